"""Erasing over HTTP."""

from uuid import UUID

from shop_api.domains.customers.repository import CustomerRepository
from shop_api.domains.customers.schemas import CustomerSchema
from shop_api.domains.erasures import service
from shop_api.kernel.errors import not_found
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

erasures = Blueprint(
    "erasures",
    __name__,
    url_prefix="/api/v1/customers",
    description="Forget who a customer was, and keep what was sold.",
)


@erasures.mutation(
    "POST", "/<id:customer_id>/erase", scope="customers:erase", returns=CustomerSchema
)
def erase_customer(call: Call, customer_id: UUID) -> Reply:
    """Erase a customer's personal data, for good.

    Name, e-mail address, telephone, tags, address book, `external_id` and what was typed on their
    orders are gone; of the orders' addresses country and region stay. The orders stay under the
    customer's id, which can neither order nor be changed any more: 409 `customer_erased`. Erasing
    again changes nothing.
    """
    before = CustomerRepository(call.session).find(customer_id, for_update=True)
    if before is None:
        raise not_found("customer")
    call.require_version(before.version)
    return Reply.resource(service.erase_customer(call.work, before))
