"""Batches: several requests in one, each as if it had come alone."""
