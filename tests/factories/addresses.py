"""A customer with an address, and the bodies of the operations on address books."""

from collections.abc import Callable
from typing import Any

from tests.fixtures.api import Shop

ADDRESS_OPERATIONS = ("get_address", "replace_address", "update_address", "delete_address")


def address_body(_: Shop) -> dict[str, Any]:
    place = {"line1": "Via Roma 1", "city": "Torino", "postal_code": "10121", "country": "IT"}
    return {"recipient": "Ada Rossi", "label": "Home", **place}


def booked_address(shop: Shop) -> dict[str, str]:
    """The ids of a new customer and of the address in their book."""
    customer_id = shop.api.post("/api/v1/customers", {"first_name": "Ada"}).json["id"]
    path = f"/api/v1/customers/{customer_id}/addresses"
    address = shop.api.post(path, address_body(shop)).json
    return {"customer_id": customer_id, "address_id": address["id"]}


ADDRESS_BODIES: dict[str, Callable[[Shop], dict[str, Any]]] = {
    "add_address": address_body,
    "replace_address": address_body,
    "update_address": lambda _: {"line1": "Via Po 2", "label": "Home"},
}
