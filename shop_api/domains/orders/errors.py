"""What orders refuse."""

from typing import Any
from uuid import UUID

from shop_api.kernel.errors import DomainError, FieldError, conflict, invalid
from shop_api.kernel.money import told_digits

# status → what it may become
MOVES: dict[str, tuple[str, ...]] = {
    "pending": ("processing", "cancelled"),
    "processing": ("completed", "cancelled"),
    "completed": (),
    "cancelled": (),
}

GIVEN_BACK = (
    "POST /orders/{id}/refunds gives money back, POST /orders/{id}/returns takes goods back"
)

# of a variant: at one location at most, and at all together
NOTHING = (0, 0)

VARIANT_GONE = invalid(
    "variant_not_found", "A variant was deleted meanwhile: place the order without it.", "/lines"
)

ADDRESS_IS_FINAL = conflict(
    "address_is_final",
    "The goods have left, or never will: the shipping address stays. Leave it out.",
)

CONSTRAINTS = {
    "fk_orders_tenant_id_customer_id": invalid(
        "customer_not_found", "The customer does not exist.", "/customer_id"
    ),
    "uq_orders_tenant_id_external_id": conflict(
        "external_id_taken", "An order with this external_id exists already.", "/external_id"
    ),
}


def moves_left(status: str, fulfillment_status: str) -> tuple[str, ...]:
    """What an order may become: none is cancelled of which goods have left."""
    has_left = fulfillment_status != "unfulfilled"
    return tuple(move for move in MOVES[status] if move != "cancelled" or not has_left)


def illegal_move(status: str, wanted: str, why: str = "") -> DomainError:
    """An order cannot go from `status` to `wanted`; `why`: and what to do about it."""
    if (status, wanted) == ("completed", "cancelled"):
        why = GIVEN_BACK
    told = f": {why}" if why else ""
    may = what_it_may_become(MOVES[status])
    return conflict("illegal_state_change", f"A {status} order cannot be {wanted}{told}. {may}")


def goods_have_left(order: Any, left: int, remaining: int) -> DomainError:
    """An order of which `left` units have left cannot be cancelled; `remaining` are still here."""
    have = "1 unit of it has" if left == 1 else f"{left} units of it have"
    remain = "1 that remains" if remaining == 1 else f"{remaining} that remain"
    then = (
        f"Refund the {remain} with POST /orders/{{id}}/refunds, and complete it."
        if remaining
        else f"Complete it; {GIVEN_BACK}."
    )
    may = what_it_may_become(moves_left(order.status, order.fulfillment_status))
    detail = f"The order cannot be cancelled: {have} left. {then} {may}"
    return conflict("illegal_state_change", detail)


def what_it_may_become(allowed: tuple[str, ...]) -> str:
    """A sentence that names the moves there are."""
    return f"It may become: {', '.join(allowed)}." if allowed else "It is final."


def lines_not_found(unknown: dict[int, UUID]) -> DomainError:
    """Lines that the order does not have: index → what was sent."""
    error = invalid(
        "line_not_found", "The order has no such line: send the `id` of one of its `lines`."
    )
    error.errors = [
        FieldError(f"/lines/{index}/line_id", f"No line {line_id}.")
        for index, line_id in unknown.items()
    ]
    return error


def too_many_units(left: dict[int, int], what: str) -> DomainError:
    """More of a line than there is left to `what`: index → what is left."""
    error = conflict(
        "quantity_exceeds_remaining",
        f"A line has fewer units left to be {what}: `errors` says how many.",
    )
    error.errors = [
        FieldError(f"/lines/{index}/quantity", f"{quantity} left to be {what}.")
        for index, quantity in left.items()
    ]
    return error


def variants_not_found(unknown: dict[int, UUID]) -> DomainError:
    """Lines whose variant does not exist: index → what was sent."""
    error = invalid(
        "variant_not_found",
        "A variant does not exist: send the id of one of a product's `variants`, not a product's.",
    )
    error.errors = [
        FieldError(f"/lines/{index}/variant_id", f"No variant {variant_id}.")
        for index, variant_id in unknown.items()
    ]
    return error


def not_for_sale(indexes: list[int]) -> DomainError:
    """Lines whose product is not active."""
    error = conflict(
        "product_not_for_sale",
        "A product is not for sale: `errors` says which. Make it `active`, or leave it out.",
    )
    error.errors = [
        FieldError(f"/lines/{index}/variant_id", "Its product is not active.") for index in indexes
    ]
    return error


def out_of_stock(
    lines: dict[int, Any],
    available: dict[UUID, tuple[int, int]] | None,
    ordered: list[dict[str, Any]],
) -> DomainError:
    """Lines of whose variant no location has enough: index → the variant's offer.

    `available`: what one location has at most, and all together, where the caller may know it.
    """
    offers = {offer.variant_id: offer for offer in lines.values()}
    names = {
        variant_id: f"{offer.title} ({offer.sku or variant_id})"
        for variant_id, offer in offers.items()
    }
    detail = f"Not enough stock of: {', '.join(names.values())}."
    for variant_id, name in names.items():
        wanted = sum(line["quantity"] for line in ordered if line["variant_id"] == variant_id)
        if available and available.get(variant_id, NOTHING)[1] >= wanted:
            detail += (
                f" All locations together have enough of {name}, but an order takes all it"
                " needs of a variant from one location."
            )
    error = conflict("out_of_stock", detail)
    error.errors = [
        FieldError(
            f"/lines/{index}/quantity",
            "More than there is at any location."
            if available is None
            else f"At most {available.get(offer.variant_id, NOTHING)[0]} are available at one"
            " location.",
        )
        for index, offer in lines.items()
    ]
    return error


def wrong_currency(currency: str) -> DomainError:
    """The shop sells in another currency."""
    return invalid(
        "wrong_currency",
        f"Orders of this tenant are in {currency}: send that, or no currency.",
        "/currency",
    )


def inexact_amount(currency: str, pointer: str = "/amount") -> DomainError:
    """An amount with more digits than its currency has."""
    return invalid("inexact_amount", f"Too many decimals: {told_digits(currency)}.", pointer)


def cost_too_large() -> DomainError:
    """A line whose goods cost more than figures converted into another currency can hold."""
    return invalid(
        "amount_too_large",
        "What the goods of a line cost is beyond 10^14: order fewer, or correct their cost.",
        "/lines",
    )


def amount_too_large() -> DomainError:
    """A total beyond what can be stored."""
    return invalid(
        "amount_too_large",
        "The order's total is beyond 10^14, which is what can be stored: split it.",
        "/lines",
    )
