"""Checks of staged rows that need other rows: duplicates, references, exactness, sums.

Belongs here: the rules as SQL over the staging tables. Does not: rules of one value
(expressions.py). A row that breaks a rule leaves its table; an order that loses a row, or is
refused itself, is remembered in `bad_orders` and refused whole, and so is a product that loses a
variant (assembly.py takes only the others).
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from shop_api.bulk.fields import WHOLES
from shop_api.bulk.rejects import Reject, RejectLog
from shop_api.bulk.rules import Check
from shop_api.bulk.staging import Staging


@dataclass(frozen=True)
class Checker:
    """Runs checks and writes what they find into the log."""

    staging: Staging
    tenant_id: UUID
    log: RejectLog
    # (entity, field) → the columns it came from
    labels: dict[tuple[str, str], str]
    # said of a product that is in no file
    product_hint: str = ""

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
                f" {_whole_key(entity, is_repeated=True)} AS whole_key"
                f" FROM stage_{entity} s JOIN ({ranked}) r ON r.place = s.ctid AND r.n > 1"
            )
            self._report(connection, entity, query)

    def refuse_taken(self, entity: str, field: str) -> None:
        """Refuse a value that must be unique in the shop and is another row's."""
        query = (
            f"SELECT s.ctid AS place, s.file, s.row, '{field}' AS field,"
            f" format('''%%s'' is the {field} of another row', s.\"{field}\") AS reason,"
            f" {_whole_key(entity)} AS whole_key"
            f' FROM (SELECT *, ctid, row_number() OVER (PARTITION BY "{field}" ORDER BY file, row)'
            f' AS n FROM stage_{entity} WHERE "{field}" IS NOT NULL) s'
            f" LEFT JOIN {entity} t ON t.tenant_id = %(tenant_id)s"
            f' AND t."{field}" = s."{field}" AND t.external_id IS DISTINCT FROM s.external_id'
            " WHERE s.n > 1 OR t.id IS NOT NULL"
        )
        with self.staging.sets() as connection:
            self._report(connection, entity, query)

    def report_bad(self, whole: str) -> None:
        """Refuse the orders, or products, that lost a row of theirs, naming it."""
        query = (
            "SELECT s.ctid AS place, s.file, s.row, NULL AS field, format('refused with its row"
            " %%s of %%s', b.row, (%(files)s::text[])[b.file + 1]) AS reason,"
            f" NULL::text AS whole_key FROM stage_{whole} s JOIN bad_{whole} b USING (external_id)"
            f" WHERE b.entity <> '{whole}'"
        )
        with self.staging.sets() as connection:
            self._report(connection, whole, query)
            connection.exec_driver_sql(
                f"DELETE FROM stage_{whole} s USING bad_{whole} b"
                " WHERE b.external_id = s.external_id"
            )

    def _report(self, connection: Connection, entity: str, query: str) -> None:
        whole, _ = WHOLES.get(entity, ("orders", ""))
        statement = f"""
            WITH found AS MATERIALIZED ({query}), gone AS (
                DELETE FROM stage_{entity} s USING found f WHERE s.ctid = f.place
            ), bad AS (
                INSERT INTO bad_{whole} (external_id, entity, file, row)
                SELECT DISTINCT ON (whole_key) whole_key, '{entity}', file, row FROM found
                WHERE whole_key IS NOT NULL ORDER BY whole_key, file, row ON CONFLICT DO NOTHING
            )
            SELECT file, row, field, reason, count(*) OVER () AS total
            FROM found ORDER BY file, row LIMIT %(limit)s"""
        values: dict[str, Any] = {
            "tenant_id": self.tenant_id,
            "files": self.staging.files,
            "limit": max(self.log.room, 1),
            "product_hint": self.product_hint,
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
        f" {_whole_key(check.entity)} AS whole_key"
        f" FROM stage_{check.entity} s{check.joins} WHERE {conditions}"
    )


def _whole_key(entity: str, *, is_repeated: bool = False) -> str:
    """What a refused row takes with it. A repeated order takes none: its first row counts."""
    whole, key = WHOLES.get(entity, ("", ""))
    return "NULL::text" if not whole or (is_repeated and whole == entity) else f's."{key}"'
