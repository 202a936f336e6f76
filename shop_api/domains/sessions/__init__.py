"""Sessions: a table or a till that is open, and what is ordered at it."""
