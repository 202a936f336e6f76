"""What was sent to webhook endpoints, how that went, and sending it again."""
