"""Erasing customers; knows no HTTP.

Events and audit rows hold no personal data, so nothing of them has to go.
"""

import json
from typing import Any

from sqlalchemy import Row

from shop_api.domains.customers.errors import CUSTOMER_ERASED
from shop_api.domains.customers.repository import CustomerRepository
from shop_api.domains.erasures.repository import ErasureRepository
from shop_api.kernel.errors import not_found
from shop_api.kernel.problem import STATUS, problem_body, problem_headers
from shop_api.spine.unit_of_work import UnitOfWork

# What was typed for an order.
TYPED = ("billing_address", "note", "shipping_address")


def erase_customer(work: UnitOfWork, before: Row[Any]) -> Row[Any]:
    """Forget who a locked customer was; the resource row. One who is erased stays as they are.

    The customer is locked, so no order of theirs comes in between; then their orders are, so that
    what a request did to one, and its kept answer, is seen here or comes after.
    """
    if before.erased_at is not None:
        return before
    erasures = work.repository(ErasureRepository)
    order_ids = erasures.lock_orders(before.id)
    erasures.refuse_kept_answers(before.id, refused_answer(work))
    erasures.forget_composed_answers()
    erasures.forget_rejects(before.id)
    erasures.forget_notes(before.id, work.now)
    erasures.forget_orders(before.id, work.now)
    erasures.forget_customer(before.id, work.now)
    told = {"customer_id": str(before.id)}
    work.append("customer_erased", "customer", before.id, told)
    for order_id in order_ids:
        # an import leaves orders alone that have events of their own
        changes = {"order_id": str(order_id), "changes": list(TYPED)}
        work.append("order_updated", "order", order_id, changes)
    row = work.repository(CustomerRepository).find(before.id)
    if row is None:
        raise not_found("customer")
    work.audit("customer_erased", "customer", before.id, before.body, row.body)
    return row


def refused_answer(work: UnitOfWork) -> dict[str, Any]:
    """What a request that is sent again gets instead of the answer that was kept.

    It is not done again: that could make the customer anew.
    """
    return {
        "status": STATUS[CUSTOMER_ERASED.kind].value,
        "headers": json.dumps(problem_headers(CUSTOMER_ERASED)),
        "body": problem_body(CUSTOMER_ERASED, work.origin.request_id, "/api/v1/customers"),
    }
