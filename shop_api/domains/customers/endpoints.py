"""Customers over HTTP."""

from uuid import UUID

from shop_api.domains.customers import service
from shop_api.domains.customers.repository import CUSTOMER_SORTS, CustomerRepository
from shop_api.domains.customers.schemas import (
    CustomerBody,
    CustomerPage,
    CustomerQuery,
    CustomerSchema,
)
from shop_api.kernel.errors import not_found
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

customers = Blueprint(
    "customers", __name__, url_prefix="/api/v1/customers", description="Who buys."
)


@customers.read("", scope="customers:read", query=CustomerQuery, returns=CustomerPage)
def list_customers(call: Call) -> Reply:
    """List customers, newest first."""
    asked = call.page_request(
        CUSTOMER_SORTS[call.query.get("sort", "created_at")], is_descending=True
    )
    repository = CustomerRepository(call.session)
    page = repository.list_page(call.query, asked)
    total = repository.count(call.query) if call.wants_total else None
    return call.page(page, asked, total)


@customers.read("/<id:customer_id>", scope="customers:read", returns=CustomerSchema)
def get_customer(call: Call, customer_id: UUID) -> Reply:
    """Get a customer."""
    row = CustomerRepository(call.session).find(customer_id)
    if row is None:
        raise not_found("customer")
    return Reply.resource(row)


@customers.mutation(
    "POST", "", scope="customers:write", body=CustomerBody, returns=CustomerSchema, status=201
)
def create_customer(call: Call) -> Reply:
    """Create a customer."""
    row = service.create_customer(call.work, call.body)
    return Reply.created(row, "/api/v1/customers")


@customers.mutation(
    "PATCH",
    "/<id:customer_id>",
    scope="customers:write",
    body=CustomerBody,
    returns=CustomerSchema,
)
def update_customer(call: Call, customer_id: UUID) -> Reply:
    """Change some fields of a customer."""
    before = CustomerRepository(call.session).find(customer_id, for_update=True)
    if before is None:
        raise not_found("customer")
    call.require_version(before.version)
    return Reply.resource(service.change_customer(call.work, customer_id, before, call.body))


@customers.mutation("DELETE", "/<id:customer_id>", scope="customers:write")
def delete_customer(call: Call, customer_id: UUID) -> Reply:
    """Delete a customer who never ordered."""
    before = CustomerRepository(call.session).find(customer_id, for_update=True)
    if before is None:
        raise not_found("customer")
    call.require_version(before.version)
    service.delete_customer(call.work, customer_id, before)
    return Reply.empty()
