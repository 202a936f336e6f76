"""Webhook endpoints: where a tenant has its events sent."""
