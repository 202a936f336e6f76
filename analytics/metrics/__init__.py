"""The catalogue of metrics: definitions that everything that shows a figure uses."""
