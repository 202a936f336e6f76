"""Orders: placing, reading and changing them, and what happened to them."""
