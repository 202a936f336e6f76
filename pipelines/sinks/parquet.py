"""One Parquet file of a partition, and what the Delta log says of it.

Belongs here: writing a file and its statistics. Does not: committing it (delta.py).
"""

import json
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from typing import Any
from uuid import uuid4

import polars as pl
from deltalake.transaction import AddAction

from analytics.contracts import Contract
from analytics.store import Store

# Rows of a full file. What still changes lies in small files, which are cheap to write anew for one
# changed row; what has come to rest lies in large ones, which are fast to scan.
DIMENSION_FILE_ROWS = 10_000
LIVE_FILE_ROWS = 25_000
RESTING_FILE_ROWS = 250_000
# New rows join a partition's last file up to this many.
TAIL_ROWS = 2_000
ROW_GROUP_ROWS = 100_000
# A period has come to rest this long after its end.
REST = timedelta(days=45)


def file_rows(period: str, now: datetime) -> int:
    """Rows of a full file of the period."""
    if period == "all":
        return DIMENSION_FILE_ROWS
    year, month = int(period[:4]), int(period[5:] or 12)
    end = datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)
    return RESTING_FILE_ROWS if end + REST < now else LIVE_FILE_ROWS


def write_file(
    store: Store, contract: Contract, tenant_id: str, period: str, rows: pl.DataFrame, now: datetime
) -> AddAction:
    """Write `rows` to a new file of the partition; nobody sees it until it is committed."""
    relative = f"tenant_id={tenant_id}/period={period}/{uuid4()}.parquet"
    # a full file is 10 to 30 MB: it is put into its place as a whole
    file = BytesIO()
    rows.select(contract.column_names).write_parquet(
        file, compression="zstd", compression_level=1, row_group_size=ROW_GROUP_ROWS
    )
    store.write(f"{contract.name}/{relative}", file.getbuffer())
    return AddAction(
        path=relative,
        size=file.getbuffer().nbytes,
        partition_values={"tenant_id": tenant_id, "period": period},
        modification_time=int(now.timestamp() * 1000),
        data_change=True,
        stats=json.dumps(_statistics(contract, rows)),
    )


def _statistics(contract: Contract, rows: pl.DataFrame) -> dict[str, Any]:
    """Least and greatest file key and period source, which say what a file cannot hold."""
    columns = {contract.file_key, contract.period_source or contract.file_key}
    bounds = rows.select(
        *(pl.col(name).min().alias(f"min {name}") for name in columns),
        *(pl.col(name).max().alias(f"max {name}") for name in columns),
    ).row(0, named=True)
    return {
        "numRecords": rows.height,
        "minValues": {name: _lower(bounds[f"min {name}"]) for name in columns},
        "maxValues": {name: _upper(bounds[f"max {name}"]) for name in columns},
        "nullCount": dict.fromkeys(columns, 0),
    }


def _lower(value: str | date | datetime) -> str:
    """A bound as Delta writes it: instants in whole milliseconds."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
    return value.isoformat() if isinstance(value, date) else value


def _upper(value: str | date | datetime) -> str:
    if isinstance(value, datetime):
        return _lower(value + timedelta(microseconds=999))
    return _lower(value)
