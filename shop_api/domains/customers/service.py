"""Changing customers; knows no HTTP. Events and audit rows never hold personal data."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from shop_api.domains.customers import errors
from shop_api.domains.customers.repository import CustomerRepository
from shop_api.kernel.errors import not_found
from shop_api.kernel.ids import new_id
from shop_api.spine.unit_of_work import UnitOfWork


def create_customer(work: UnitOfWork, body: dict[str, Any]) -> Row[Any]:
    """A customer; its resource row."""
    customers = work.repository(CustomerRepository)
    customer_id = new_id(work.now)
    customers.add({"id": customer_id, **body, "created_at": work.now, "updated_at": work.now})
    work.append("customer_created", "customer", customer_id, {"customer_id": str(customer_id)})
    row = _customer(customers, customer_id)
    work.audit("customer_created", "customer", customer_id, None, row.body)
    return row


def change_customer(
    work: UnitOfWork, customer_id: UUID, before: Row[Any], body: dict[str, Any]
) -> Row[Any]:
    """Change what `body` names; the new resource row. Raises `customer_erased`."""
    refuse_erased(before)
    if not body:
        return before
    customers = work.repository(CustomerRepository)
    customers.change(customer_id, {**body, "updated_at": work.now})
    work.append("customer_updated", "customer", customer_id, {"customer_id": str(customer_id)})
    row = _customer(customers, customer_id)
    work.audit("customer_updated", "customer", customer_id, before.body, row.body)
    return row


def delete_customer(work: UnitOfWork, customer_id: UUID, before: Row[Any]) -> None:
    """Delete a customer without orders; refused with `customer_in_use` otherwise.

    The row is locked for update, so no order of theirs can come in between.
    """
    customers = work.repository(CustomerRepository)
    if customers.has_orders(customer_id):
        raise errors.customer_in_use(customer_id, is_erased=before.erased_at is not None)
    customers.delete(customer_id)
    work.append("customer_deleted", "customer", customer_id, {"customer_id": str(customer_id)})
    work.audit("customer_deleted", "customer", customer_id, before.body, None)


def refuse_erased(customer: Row[Any]) -> None:
    """Raise `customer_erased` if they were; the row is locked."""
    if customer.erased_at is not None:
        raise errors.CUSTOMER_ERASED


def refuse_erased_buyer(work: UnitOfWork, customer_id: UUID | None) -> None:
    """The same of the customer of a locked order, if it has one: who erases them locks it, too."""
    if customer_id is not None and work.repository(CustomerRepository).is_erased(customer_id):
        raise errors.CUSTOMER_ERASED


def _customer(customers: CustomerRepository, customer_id: UUID) -> Row[Any]:
    row = customers.find(customer_id)
    if row is None:
        raise not_found("customer")
    return row
