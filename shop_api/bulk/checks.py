"""Checks of staged rows that need other rows: duplicates, references, exactness, sums.

Belongs here: the rules as SQL over the staging tables. Does not: rules of one value
(expressions.py). A row that breaks a rule leaves its table; an order that loses a row,
or is refused itself, is remembered in `bad_orders` and refused whole (assembly.py takes only the
others).
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from shop_api.bulk.fields import PARTS_OF_ORDER
from shop_api.bulk.rejects import Reject, RejectLog
from shop_api.bulk.staging import Staging

# Sums stay within numeric(18,4).
TOTAL_LIMIT = "99999999999999"


@dataclass(frozen=True)
class Rule:
    """What must not be: the field it is about, the SQL condition, and the sentence (SQL text)."""

    field: str
    condition: str
    reason: str


@dataclass(frozen=True)
class Check:
    """Rules of one entity that share their joins; a row breaks the first that applies."""

    entity: str
    rules: tuple[Rule, ...]
    joins: str = ""


def _exact(digits: str, *fields: str) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            field,
            f'round(s."{field}", {digits}) <> s."{field}"',
            f"format('%%s has more decimals than its currency', s.\"{field}\")",
        )
        for field in fields
    )


def _unknown(field: str, table: str) -> Rule:
    return Rule(
        field,
        f's."{field}" IS NOT NULL AND {table}.id IS NULL',
        f"format('there is no {field} ''%%s''', left(s.\"{field}\", 60))",
    )


def _existing(table: str, alias: str, field: str) -> str:
    return (
        f" LEFT JOIN {table} {alias} ON {alias}.tenant_id = %(tenant_id)s"
        f' AND {alias}.external_id = s."{field}"'
    )


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


_PAYMENTS_SUM, _PAYMENTS_TOTAL = _sum_of("payments")
_REFUNDS_SUM, _REFUNDS_TOTAL = _sum_of("refunds")
PRODUCT_CHECKS = (
    Check(
        "products",
        (
            _unknown("category", "c"),
            *_exact("s.digits", "price", "compare_price", "cost_price"),
            Rule(
                "external_id",
                "NOT EXISTS (SELECT FROM stage_variants v WHERE v.product = s.external_id)",
                "'none of its variants could be taken'",
            ),
        ),
        _existing("categories", "c", "category"),
    ),
)
VARIANT_CHECKS = (
    Check(
        "variants",
        (
            Rule(
                "product",
                "p.external_id IS NULL",
                "format('there is no product ''%%s'' in this import', left(s.product, 60))",
            ),
            Rule(
                "external_id",
                "v.id IS NOT NULL AND v.product_id IS DISTINCT FROM old.id",
                "'it is a variant of another product already'",
            ),
            *_exact("p.digits", "price", "cost_price"),
        ),
        " LEFT JOIN stage_products p ON p.external_id = s.product"
        + _existing("variants", "v", "external_id")
        + _existing("products", "old", "product"),
    ),
)
STOCK_CHECKS = (
    Check(
        "stock",
        (
            Rule(
                "variant",
                "v.external_id IS NULL",
                "format('there is no variant ''%%s'' in this import', left(s.variant, 60))",
            ),
            Rule(
                "location",
                "l.id IS NULL",
                "COALESCE(format('there is no location ''%%s''', left(s.location, 60)),"
                " 'the shop has no default location')",
            ),
        ),
        " LEFT JOIN stage_variants v ON v.external_id = s.variant"
        " LEFT JOIN locations l ON l.tenant_id = %(tenant_id)s"
        " AND CASE WHEN s.location IS NULL THEN l.is_default ELSE l.code = s.location END",
    ),
)
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
            _unknown("customer", "c"),
            *_exact("s.digits", "discount_total", "shipping_total", "tax_total", "total"),
        ),
        _existing("customers", "c", "customer"),
    ),
    Check(
        "order_lines",
        (
            _NO_ORDER,
            _unknown("product", "p"),
            _unknown("variant", "v"),
            *_exact("o.digits", "unit_price", "discount_total", "tax_total", "shipping_total"),
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
        ),
        _ORDER + _existing("products", "p", "product") + _existing("variants", "v", "variant"),
    ),
    Check(
        "payments",
        (
            _NO_ORDER,
            *_exact("o.digits", "amount"),
            Rule(
                "external_id",
                "e.order_id IS DISTINCT FROM old.id AND e.id IS NOT NULL",
                "'it is a payment of another order already'",
            ),
            _PAYMENTS_SUM,
        ),
        _ORDER
        + _existing("payments", "e", "external_id")
        + _existing("orders", "old", "order")
        + _PAYMENTS_TOTAL,
    ),
    Check(
        "refunds",
        (
            _NO_ORDER,
            *_exact("o.digits", "amount", "shipping_amount", "tax_amount"),
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
            Rule(
                "external_id",
                "e.order_id IS DISTINCT FROM old.id AND e.id IS NOT NULL",
                "'it is a refund of another order already'",
            ),
            _REFUNDS_SUM,
        ),
        _ORDER
        + _existing("refunds", "e", "external_id")
        + _existing("orders", "old", "order")
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


@dataclass(frozen=True)
class Checker:
    """Runs checks and writes what they find into the log."""

    staging: Staging
    tenant_id: UUID
    log: RejectLog
    # (entity, field) → the columns it came from
    labels: dict[tuple[str, str], str]

    def run(self, *checks: Check) -> None:
        """Take the rows that break a rule out of staging."""
        for check in checks:
            with self.staging.sets() as connection:
                self._report(connection, check.entity, _check_sql(check))

    def refuse_duplicates(self, entity: str, fields: tuple[str, ...], policy: str) -> None:
        """Keep one row per key: the first, or the last; the others are refused or passed over."""
        direction = "DESC" if policy == "last" else "ASC"
        key = ", ".join(f'"{field}"' for field in fields)
        ranked = (
            f"SELECT ctid AS place, row_number() OVER (PARTITION BY {key}"
            f" ORDER BY file {direction}, row {direction}) AS n"
            f' FROM stage_{entity} WHERE "{fields[0]}" IS NOT NULL'
        )
        with self.staging.sets() as connection:
            if policy != "reject":
                connection.exec_driver_sql(
                    f"DELETE FROM stage_{entity} WHERE ctid IN"
                    f" (SELECT place FROM ({ranked}) r WHERE n > 1)"
                )
                return
            query = (
                f"SELECT s.ctid AS place, s.file, s.row, '{fields[0]}' AS field,"
                f" format('%%s occurs more than once', left(s.\"{fields[0]}\", 60)) AS reason,"
                f" {_order_key(entity, is_repeated=True)} AS order_key"
                f" FROM stage_{entity} s JOIN ({ranked}) r ON r.place = s.ctid AND r.n > 1"
            )
            self._report(connection, entity, query)

    def refuse_taken(self, entity: str, field: str) -> None:
        """Refuse a value that must be unique in the shop and is another row's."""
        query = (
            f"SELECT s.ctid AS place, s.file, s.row, '{field}' AS field,"
            f" format('''%%s'' is the {field} of another row', s.\"{field}\") AS reason,"
            f" NULL::text AS order_key"
            f' FROM (SELECT *, ctid, row_number() OVER (PARTITION BY "{field}" ORDER BY file, row)'
            f' AS n FROM stage_{entity} WHERE "{field}" IS NOT NULL) s'
            f" LEFT JOIN {entity} t ON t.tenant_id = %(tenant_id)s"
            f' AND t."{field}" = s."{field}" AND t.external_id IS DISTINCT FROM s.external_id'
            " WHERE s.n > 1 OR t.id IS NOT NULL"
        )
        with self.staging.sets() as connection:
            self._report(connection, entity, query)

    def report_bad_orders(self) -> None:
        """Refuse the orders that lost a row of theirs, naming it."""
        query = (
            "SELECT s.ctid AS place, s.file, s.row, NULL AS field, format('refused with its row"
            " %%s of %%s', b.row, (%(files)s::text[])[b.file + 1]) AS reason,"
            " NULL::text AS order_key FROM stage_orders s JOIN bad_orders b USING (external_id)"
            " WHERE b.entity <> 'orders'"
        )
        with self.staging.sets() as connection:
            self._report(connection, "orders", query)
            connection.exec_driver_sql(
                "DELETE FROM stage_orders s USING bad_orders b WHERE b.external_id = s.external_id"
            )

    def _report(self, connection: Connection, entity: str, query: str) -> None:
        statement = f"""
            WITH found AS MATERIALIZED ({query}), gone AS (
                DELETE FROM stage_{entity} s USING found f WHERE s.ctid = f.place
            ), bad AS (
                INSERT INTO bad_orders (external_id, entity, file, row)
                SELECT DISTINCT ON (order_key) order_key, '{entity}', file, row FROM found
                WHERE order_key IS NOT NULL ORDER BY order_key, file, row ON CONFLICT DO NOTHING
            )
            SELECT file, row, field, reason, count(*) OVER () AS total
            FROM found ORDER BY file, row LIMIT %(limit)s"""
        values: dict[str, Any] = {
            "tenant_id": self.tenant_id,
            "files": self.staging.files,
            "limit": max(self.log.room, 1),
        }
        rows = connection.exec_driver_sql(statement, values).all()
        self.log.add(
            entity,
            rows[0].total if rows else 0,
            [
                Reject(
                    self.staging.files[row.file],
                    row.row,
                    self.labels.get((entity, row.field), row.field),
                    row.reason,
                )
                for row in rows
            ],
        )


def _check_sql(check: Check) -> str:
    fields = " ".join(f"WHEN {rule.condition} THEN '{rule.field}'" for rule in check.rules)
    numbers = " ".join(f"WHEN {r.condition} THEN {i}" for i, r in enumerate(check.rules))
    reasons = " ".join(f"WHEN {i} THEN {rule.reason}" for i, rule in enumerate(check.rules))
    conditions = " OR ".join(f"({rule.condition})" for rule in check.rules)
    return (
        f"SELECT s.ctid AS place, s.file, s.row, CASE {fields} END AS field,"
        f" CASE (CASE {numbers} END) {reasons} END AS reason,"
        f" {_order_key(check.entity)} AS order_key"
        f" FROM stage_{check.entity} s{check.joins} WHERE {conditions}"
    )


def _order_key(entity: str, *, is_repeated: bool = False) -> str:
    """The order a refused row takes with it. A repeated order takes none: its first row counts."""
    if entity == "orders":
        return "NULL::text" if is_repeated else "s.external_id"
    return 's."order"' if entity in PARTS_OF_ORDER else "NULL::text"
