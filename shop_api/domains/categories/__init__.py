"""The tree that products are filed in."""
