"""What redelivering refuses."""

from shop_api.kernel.errors import invalid

BOUNDS_CROSS = invalid("bounds_cross", "Must be after `from`.", "/to")
