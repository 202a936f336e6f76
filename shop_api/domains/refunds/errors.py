"""What refunds refuse."""

from decimal import Decimal

from shop_api.kernel.errors import DomainError, conflict, invalid
from shop_api.kernel.money import round_money

PAYMENT_NOT_FOUND = invalid("payment_not_found", "The order has no such payment.", "/payment_id")


def amount_exceeds_refundable(left: Decimal, currency: str) -> DomainError:
    """More than was paid and not refunded yet."""
    told = f"{round_money(max(left, Decimal(0)), currency)} {currency}"
    return conflict("amount_exceeds_refundable", f"Only {told} is left to refund.")


def shipping_exceeds_refundable(left: Decimal, currency: str) -> DomainError:
    """More shipping than was charged and not refunded yet."""
    told = f"{round_money(left, currency)} {currency}"
    return conflict("shipping_exceeds_refundable", f"Only {told} of shipping is left to refund.")


def goods_exceed_refundable(left: Decimal, currency: str) -> DomainError:
    """Lines worth more than is left of the order's goods, after amounts that named no lines."""
    told = f"{round_money(max(left, Decimal(0)), currency)} {currency}"
    return conflict(
        "amount_exceeds_refundable",
        f"Only {told} of the goods is left to refund: amounts given back before were for goods"
        " first. Refund an `amount` instead.",
    )
