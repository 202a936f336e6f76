"""The event spine: appending with the change, waking and feeding the readers."""
