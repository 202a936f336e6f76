"""What fulfilments and returns refuse."""

from shop_api.kernel.errors import conflict

NOTHING_LEFT = conflict(
    "nothing_to_fulfill", "Every line of the order is fulfilled or refunded already."
)
