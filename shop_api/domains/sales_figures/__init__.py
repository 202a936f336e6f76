"""Sales over HTTP: the report by what a shop chooses."""
