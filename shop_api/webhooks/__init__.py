"""Webhooks: events of the spine, sent to addresses that tenants name, in order and tried again."""
