"""Products' JSON, and what a process keeps of it."""
