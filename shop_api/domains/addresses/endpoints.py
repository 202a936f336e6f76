"""Address books over HTTP, below their customer."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from shop_api.domains.addresses import service
from shop_api.domains.addresses.repository import ADDRESS_SORTS, AddressRepository
from shop_api.domains.addresses.schemas import (
    CustomerAddressBody,
    CustomerAddressChanges,
    CustomerAddressPage,
    CustomerAddressQuery,
    CustomerAddressSchema,
)
from shop_api.domains.customers.repository import CustomerRepository
from shop_api.domains.customers.service import refuse_erased
from shop_api.kernel.errors import not_found
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

addresses = Blueprint(
    "addresses",
    __name__,
    url_prefix="/api/v1/customers/<id:customer_id>/addresses",
    description="Where a customer's orders are sent and billed to.",
)


@addresses.read("", scope="customers:read", query=CustomerAddressQuery, returns=CustomerAddressPage)
def list_addresses(call: Call, customer_id: UUID) -> Reply:
    """List a customer's addresses in the order they were added."""
    _require_customer(call, customer_id)
    asked = call.page_request(ADDRESS_SORTS["created_at"], is_descending=False)
    repository = AddressRepository(call.session)
    page = repository.list_page(customer_id, asked)
    total = repository.count(customer_id) if call.wants_total else None
    return call.page(page, asked, total)


@addresses.read("/<id:address_id>", scope="customers:read", returns=CustomerAddressSchema)
def get_address(call: Call, customer_id: UUID, address_id: UUID) -> Reply:
    """Get an address of a customer."""
    row = AddressRepository(call.session).find(customer_id, address_id)
    if row is None:
        raise not_found("address")
    return Reply.resource(row)


@addresses.mutation(
    "POST",
    "",
    scope="customers:write",
    body=CustomerAddressBody,
    returns=CustomerAddressSchema,
    status=201,
)
def add_address(call: Call, customer_id: UUID) -> Reply:
    """Add an address to a customer's book, which holds 50 at most.

    The first one is the default. `If-Match` names the version of the customer.
    """
    call.require_version(_locked_customer(call, customer_id).version)
    row = service.add_address(call.work, customer_id, call.body)
    return Reply.created(row, f"/api/v1/customers/{customer_id}/addresses")


@addresses.mutation(
    "PUT",
    "/<id:address_id>",
    scope="customers:write",
    body=CustomerAddressBody,
    returns=CustomerAddressSchema,
)
def replace_address(call: Call, customer_id: UUID, address_id: UUID) -> Reply:
    """Replace an address. What is left out is empty; a default that is left out is none."""
    _locked_customer(call, customer_id)
    before = _found(call, customer_id, address_id)
    return Reply.resource(service.replace_address(call.work, customer_id, before, call.body))


@addresses.mutation(
    "PATCH",
    "/<id:address_id>",
    scope="customers:write",
    body=CustomerAddressChanges,
    returns=CustomerAddressSchema,
)
def update_address(call: Call, customer_id: UUID, address_id: UUID) -> Reply:
    """Change some fields of an address, or make it the default."""
    _locked_customer(call, customer_id)
    before = _found(call, customer_id, address_id)
    return Reply.resource(service.change_address(call.work, customer_id, before, call.body))


@addresses.mutation("DELETE", "/<id:address_id>", scope="customers:write")
def delete_address(call: Call, customer_id: UUID, address_id: UUID) -> Reply:
    """Delete an address. Orders keep the address they were placed with."""
    _locked_customer(call, customer_id)
    service.delete_address(call.work, customer_id, _found(call, customer_id, address_id))
    return Reply.empty()


def _require_customer(call: Call, customer_id: UUID) -> None:
    if not CustomerRepository(call.session).exists(customer_id):
        raise not_found("customer")


def _locked_customer(call: Call, customer_id: UUID) -> Row[Any]:
    customer = CustomerRepository(call.session).find(customer_id, for_update=True)
    if customer is None:
        raise not_found("customer")
    refuse_erased(customer)
    return customer


def _found(call: Call, customer_id: UUID, address_id: UUID) -> Row[Any]:
    """The address, of the version the client last read."""
    before = AddressRepository(call.session).find(customer_id, address_id)
    if before is None:
        raise not_found("address")
    call.require_version(before.version)
    return before
