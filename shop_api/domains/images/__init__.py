"""Images of a product, in their order."""
