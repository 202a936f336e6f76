"""What a tenant is told by the platform: listed, and marked as read."""
