"""Search over products, customers and orders."""
