"""That rows have the shape of their contract: columns, types, no nulls, one row per key.

Belongs here: rules that hold for every table. Does not: rules about amounts (amounts.py).
"""

import polars as pl

from analytics.contracts import TENANT_ID, Contract
from pipelines.checks.failure import CheckFailedError, refuse
from pipelines.frames import polars_schema


def check_shape(contract: Contract, rows: pl.DataFrame) -> None:
    """Refuse rows that are not of `contract`; `rows` also have tenant_id."""
    schema = polars_schema(contract)
    for name, kind in schema.items():
        if rows.schema.get(name) != kind:
            found = rows.schema.get(name)
            raise CheckFailedError(contract.name, f"{name} is {kind}, not {found}", rows.height, [])
    required = [column.name for column in contract.columns if not column.is_nullable]
    key = [TENANT_ID.name, *contract.key]
    refuse(
        contract.name,
        f"no null in {', '.join(required)}",
        rows.filter(pl.any_horizontal(pl.col(name).is_null() for name in required)).select(key),
    )
    if any(rows[name].n_unique() == rows.height for name in contract.key):
        # one column alone tells them apart: counting it takes half of what comparing keys does
        return
    refuse(contract.name, f"{', '.join(key)} unique", rows.filter(rows.select(key).is_duplicated()))
