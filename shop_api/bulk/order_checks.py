"""The checks of orders and their parts, as rules over the staging tables."""

from shop_api.bulk.rules import Check, Rule, exact, existing, unknown

# Sums stay within numeric(18,4).
TOTAL_LIMIT = "99999999999999"


def _sum_of(entity: str) -> tuple[Rule, str]:
    """The row that takes the amounts of its order past what their sum can hold, and the join."""
    rule = Rule(
        "amount",
        f"t.total > {TOTAL_LIMIT} AND t.total - s.amount <= {TOTAL_LIMIT}",
        f"'with it the {entity} of the order come to more than an amount can hold'",
    )
    return rule, (
        f' LEFT JOIN (SELECT ctid AS place, sum(amount) OVER (PARTITION BY "order"'
        f' ORDER BY file, row) AS total FROM stage_{entity} WHERE "order" IN (SELECT "order"'
        f" FROM stage_{entity} GROUP BY 1 HAVING sum(amount) > {TOTAL_LIMIT})) t"
        " ON t.place = s.ctid"
    )


def _of_another_order(noun: str) -> Rule:
    """The row is not, in the shop, a part of an order that is not its own here."""
    return Rule(
        "external_id",
        "e.order_id IS DISTINCT FROM old.id AND e.id IS NOT NULL",
        f"'it is a {noun} of another order already'",
    )


_PAYMENTS_SUM, _PAYMENTS_TOTAL = _sum_of("payments")
_REFUNDS_SUM, _REFUNDS_TOTAL = _sum_of("refunds")
_ORDER = (
    ' LEFT JOIN stage_orders o ON o.external_id = s."order"'
    ' LEFT JOIN bad_orders b ON b.external_id = s."order"'
)
_NO_ORDER = Rule(
    "order",
    "o.external_id IS NULL AND b.external_id IS NULL",
    "format('there is no order ''%%s'' in this import', left(s.\"order\", 60))",
)
ORDER_CHECKS = (
    Check(
        "orders",
        (
            unknown("customer", "c"),
            *exact("s.digits", "discount_total", "shipping_total", "tax_total", "total"),
            Rule(
                "exchange_rate",
                "s.currency = shop.currency AND s.exchange_rate <> 1",
                "format('%%s is no rate of the shop''s own currency, which is 1', s.exchange_rate)",
            ),
        ),
        existing("customers", "c", "customer") + " JOIN tenants shop ON shop.id = %(tenant_id)s",
    ),
    Check(
        "order_lines",
        (
            _NO_ORDER,
            unknown("product", "p"),
            unknown("variant", "v"),
            *exact("o.digits", "unit_price", "discount_total", "tax_total", "shipping_total"),
            Rule(
                "discount_total",
                "s.discount_total > s.quantity * s.unit_price",
                "format('%%s is more than the line', s.discount_total)",
            ),
            Rule(
                "unit_price",
                f"s.quantity * s.unit_price > {TOTAL_LIMIT}",
                "'the line comes to more than an amount can hold'",
            ),
            Rule(
                "unit_cost",
                f"s.quantity * s.unit_cost > {TOTAL_LIMIT}",
                "'the line costs more than an amount can hold'",
            ),
        ),
        _ORDER + existing("products", "p", "product") + existing("variants", "v", "variant"),
    ),
    Check(
        "payments",
        (
            _NO_ORDER,
            *exact("o.digits", "amount"),
            _of_another_order("payment"),
            _PAYMENTS_SUM,
        ),
        _ORDER
        + existing("payments", "e", "external_id")
        + existing("orders", "old", "order")
        + _PAYMENTS_TOTAL,
    ),
    Check(
        "refunds",
        (
            _NO_ORDER,
            *exact("o.digits", "amount", "shipping_amount", "tax_amount"),
            Rule(
                "line",
                "s.line IS NOT NULL AND NOT EXISTS (SELECT FROM stage_order_lines l WHERE"
                ' l.external_id = s.line AND l."order" = s."order")',
                "format('the order has no line ''%%s''', left(s.line, 60))",
            ),
            Rule(
                "amount",
                "s.amount < s.shipping_amount + s.tax_amount",
                "'it is less than its shipping and tax'",
            ),
            _of_another_order("refund"),
            _REFUNDS_SUM,
        ),
        _ORDER
        + existing("refunds", "e", "external_id")
        + existing("orders", "old", "order")
        + _REFUNDS_TOTAL,
    ),
    Check(
        "orders",
        (
            Rule(
                "discount_total",
                "s.discount_total > COALESCE(l.subtotal - l.discount_total, 0)",
                "format('%%s is more than the lines come to', s.discount_total)",
            ),
            Rule(
                "total",
                "s.total IS DISTINCT FROM a.total AND s.total IS NOT NULL",
                "format('%%s is not the %%s that its lines, shipping and tax come to',"
                " s.total, trim_scale(a.total))",
            ),
            Rule(
                "external_id",
                f"a.total > {TOTAL_LIMIT} OR l.subtotal > {TOTAL_LIMIT}",
                "'the order comes to more than an amount can hold'",
            ),
        ),
        ' LEFT JOIN (SELECT "order", sum(quantity * unit_price) AS subtotal,'
        " sum(discount_total) AS discount_total, sum(tax_total + shipping_total) AS extra"
        ' FROM stage_order_lines GROUP BY 1) l ON l."order" = s.external_id'
        " CROSS JOIN LATERAL (SELECT s.shipping_total + s.tax_total - s.discount_total"
        " + COALESCE(l.subtotal - l.discount_total + l.extra, 0) AS total) a",
    ),
)
