"""Pure values shared by every layer: money, ids, clock, errors. Standard library only."""
