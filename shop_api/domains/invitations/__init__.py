"""Invitations: a person joins with a token that is shown once."""
