"""What customers refuse."""

from uuid import UUID

from shop_api.kernel.errors import DomainError, conflict

CONSTRAINTS = {
    "uq_customers_tenant_id_email": conflict(
        "email_taken", "A customer with this e-mail address exists already.", "/email"
    ),
    "uq_customers_tenant_id_external_id": conflict(
        "external_id_taken", "A customer with this external_id exists already.", "/external_id"
    ),
}

CUSTOMER_ERASED = conflict(
    "customer_erased",
    "The customer was erased: they cannot order or be changed any more. Make another one.",
)


def customer_in_use(customer_id: UUID, *, is_erased: bool) -> DomainError:
    """A customer with orders, which stay."""
    further = (
        "They were erased: the orders name nobody any more."
        if is_erased
        else f"To forget who they were: POST /api/v1/customers/{customer_id}/erase."
    )
    return conflict("customer_in_use", f"The customer has orders, and stays with them. {further}")
