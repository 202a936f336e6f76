"""What address books refuse."""

from shop_api.kernel.errors import conflict
from shop_api.models import MAX_ADDRESSES

TOO_MANY_ADDRESSES = conflict(
    "too_many_addresses", f"A customer has at most {MAX_ADDRESSES} addresses: delete one."
)
_DEFAULT_TAKEN = conflict(
    "default_taken", "Another address was made the default meanwhile: read the book again."
)

CONSTRAINTS = {
    "uq_customer_addresses_default_shipping": _DEFAULT_TAKEN,
    "uq_customer_addresses_default_billing": _DEFAULT_TAKEN,
}
