"""Changing customers' address books; knows no HTTP. Who changes one holds its customer's row."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from shop_api.domains.addresses import errors
from shop_api.domains.addresses.repository import AddressRepository
from shop_api.kernel.errors import not_found
from shop_api.kernel.ids import new_id
from shop_api.models import MAX_ADDRESSES
from shop_api.spine.unit_of_work import UnitOfWork

FLAGS = ("is_default_shipping", "is_default_billing")
# What an address is without what its body leaves out.
DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(("recipient", "company", "phone", "label", "line2", "region", "postal_code")),
    **dict.fromkeys(FLAGS, False),
}


def add_address(work: UnitOfWork, customer_id: UUID, body: dict[str, Any]) -> Row[Any]:
    """An address in a customer's book, the first one its default. Raises `too_many_addresses`."""
    addresses = work.repository(AddressRepository)
    count = addresses.count(customer_id)
    if count >= MAX_ADDRESSES:
        raise errors.TOO_MANY_ADDRESSES
    values = {**dict.fromkeys(FLAGS, count == 0), **body}
    _make_way(work, customer_id, values)
    address_id = new_id(work.now)
    stamps = {"created_at": work.now, "updated_at": work.now}
    addresses.add({"id": address_id, "customer_id": customer_id, **values, **stamps})
    row = _address(addresses, customer_id, address_id)
    _announce(work, customer_id)
    work.audit("customer_address_added", "customer_address", address_id, None, row.body)
    return row


def replace_address(
    work: UnitOfWork, customer_id: UUID, before: Row[Any], body: dict[str, Any]
) -> Row[Any]:
    """The address as `body` says; what it leaves out is empty, or not the default."""
    return change_address(work, customer_id, before, {**DEFAULTS, **body})


def change_address(
    work: UnitOfWork, customer_id: UUID, before: Row[Any], body: dict[str, Any]
) -> Row[Any]:
    """Change what `body` names; the new resource row. A new default takes another's place."""
    if not body:
        return before
    addresses = work.repository(AddressRepository)
    _make_way(work, customer_id, body)
    addresses.change(before.id, {**body, "updated_at": work.now})
    row = _address(addresses, customer_id, before.id)
    _announce(work, customer_id)
    work.audit("customer_address_updated", "customer_address", before.id, before.body, row.body)
    return row


def delete_address(work: UnitOfWork, customer_id: UUID, before: Row[Any]) -> None:
    """Delete an address; orders keep theirs."""
    work.repository(AddressRepository).delete(before.id)
    _announce(work, customer_id)
    work.audit("customer_address_deleted", "customer_address", before.id, before.body, None)


def _make_way(work: UnitOfWork, customer_id: UUID, values: dict[str, Any]) -> None:
    for flag in FLAGS:
        if values.get(flag):
            work.repository(AddressRepository).unset_default(customer_id, flag, work.now)


def _announce(work: UnitOfWork, customer_id: UUID) -> None:
    """An address is part of its customer: where a customer is follows from the default one."""
    work.append("customer_updated", "customer", customer_id, {"customer_id": str(customer_id)})


def _address(addresses: AddressRepository, customer_id: UUID, address_id: UUID) -> Row[Any]:
    row = addresses.find(customer_id, address_id)
    if row is None:
        raise not_found("address")
    return row
