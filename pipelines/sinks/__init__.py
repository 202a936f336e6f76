"""Files, commits and the row that publishes them together."""
