"""What payment providers tell of their own accord."""
