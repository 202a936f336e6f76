"""What customers refuse."""

from shop_api.kernel.errors import conflict

CONSTRAINTS = {
    "uq_customers_tenant_id_email": conflict(
        "email_taken", "A customer with this e-mail address exists already."
    ),
    "uq_customers_tenant_id_external_id": conflict(
        "external_id_taken", "A customer with this external_id exists already."
    ),
}

CUSTOMER_ERASED = conflict(
    "customer_erased", "The customer was erased: they cannot order or be changed any more."
)
CUSTOMER_IN_USE = conflict("customer_in_use", "The customer has orders and cannot be deleted.")
