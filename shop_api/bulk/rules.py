"""What a check is made of: rules as SQL over a staging table, and the sentences they refuse with.

Belongs here: the parts that the checks of every entity share. Does not: the checks
(product_checks.py, order_checks.py) and running them (checks.py).
"""

from dataclasses import dataclass


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


def exact(digits: str, *fields: str) -> tuple[Rule, ...]:
    """Amounts have no more decimals than their currency."""
    return tuple(
        Rule(
            field,
            f'round(s."{field}", {digits}) <> s."{field}"',
            "format('%%s has more decimals than the %%s of its currency',"
            f' s."{field}", {digits})',
        )
        for field in fields
    )


def unknown(field: str, table: str) -> Rule:
    """What the field names is there, in the joined table."""
    return Rule(
        field,
        f's."{field}" IS NOT NULL AND {table}.id IS NULL',
        f"format('there is no {field} ''%%s''', left(s.\"{field}\", 60))",
    )


def existing(table: str, alias: str, field: str) -> str:
    """The join of the shop's rows that the field names."""
    return (
        f" LEFT JOIN {table} {alias} ON {alias}.tenant_id = %(tenant_id)s"
        f' AND {alias}.external_id = s."{field}"'
    )
