"""People and credentials: users, sign-in, refresh tokens, API keys."""
