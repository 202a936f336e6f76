"""One table per file: what its source is, how it is shaped, what is checked, where it goes."""
