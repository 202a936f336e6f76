"""People of a tenant: who they are and what their role lets them do."""
