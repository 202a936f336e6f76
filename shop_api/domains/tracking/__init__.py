"""Taking in what visitors do in a storefront."""
