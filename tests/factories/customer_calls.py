"""A call of each repository method of customers and their address books.

For the test of the wall between tenants.
"""

from typing import Any

from shop_api.db.tenancy import Repository
from shop_api.domains.addresses import repository as addresses
from shop_api.domains.addresses.repository import AddressRepository
from shop_api.domains.customers import repository as customers
from shop_api.domains.customers.repository import CustomerRepository
from shop_api.domains.erasures.repository import ErasureRepository
from shop_api.kernel.ids import new_id
from tests.factories.calls import (
    NOW,
    STAMPS,
    Arguments,
    change,
    listed,
    no_filters,
    nothing,
    one,
    page,
)


def an_address(victim: Any) -> tuple[dict[str, Any]]:
    place = {"line1": "x", "city": "x", "country": "IT"}
    return ({"id": new_id(NOW), "customer_id": victim.ids["booked_id"], **place, **STAMPS},)


CUSTOMER_CALLS: dict[type[Repository], dict[str, Arguments]] = {
    AddressRepository: {
        "add": an_address,
        "change": change("address_id", line1="taken over"),
        "count": one("booked_id"),
        "delete": one("address_id"),
        "find": lambda victim: (victim.ids["booked_id"], victim.ids["address_id"]),
        "list_page": lambda victim: (
            victim.ids["booked_id"],
            page(addresses.ADDRESS_SORTS["created_at"]),
        ),
        "unset_default": lambda victim: (victim.ids["booked_id"], "is_default_billing", NOW),
    },
    ErasureRepository: {
        "forget_composed_answers": nothing,
        "forget_customer": lambda victim: (victim.ids["booked_id"], NOW),
        "forget_notes": lambda victim: (victim.ids["buyer_id"], NOW),
        "forget_orders": lambda victim: (victim.ids["buyer_id"], NOW),
        "forget_rejects": one("booked_id"),
        "lock_orders": one("buyer_id"),
        "refuse_kept_answers": lambda victim: (
            victim.ids["booked_id"],
            {"status": 409, "headers": "[]", "body": b"taken over"},
        ),
    },
    CustomerRepository: {
        "add": lambda _: ({"id": new_id(NOW), **STAMPS},),
        "change": change("customer_id", first_name="taken over"),
        "count": no_filters,
        "delete": one("customer_id"),
        "exists": one("customer_id"),
        "find": one("customer_id"),
        "has_orders": one("customer_id"),
        "is_erased": one("customer_id"),
        "list_page": listed(customers.CUSTOMER_SORTS["created_at"]),
    },
}
