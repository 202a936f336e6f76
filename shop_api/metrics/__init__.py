"""What the processes count of themselves, for Prometheus."""
