"""Changed rows into a tenant's files: only files that hold a changed key are written anew.

Belongs here: which file a row goes to. Does not: which rows changed (incremental.py).

A file whose rows of those keys are what they were stays as it is.

A partition is a few files cut by ranges of the file key, whose bounds are in the Delta log. A key
is looked for in the files whose range covers it, found by reading, and its new rows stay in the
file it was found in. New keys join the partition's last file while that is short.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

import polars as pl

from pipelines.frames import Grain, period_of
from pipelines.sinks.delta import DataFile, Rewrite, empty
from pipelines.sinks.parquet import TAIL_ROWS


def replace_keys(
    rewrite: Rewrite, tenant_id: str, keys: set[str], rows: pl.DataFrame, grain: Grain
) -> pl.DataFrame:
    """Replace all rows of `keys` by `rows`; answers the rows that were there before."""
    key = rewrite.contract.file_key
    incoming = rows.with_columns(period_of(rewrite.contract, grain))
    files = rewrite.files(tenant_id)
    tails = _tails(files)
    wanted = pl.Series(sorted(keys), dtype=pl.String)
    candidates = _candidates(files, wanted.to_list())
    if rows.is_empty() and not candidates:
        return empty(rewrite.contract)
    old: list[pl.DataFrame] = []
    # rows that lie behind others in the last file of their period
    last: dict[str, list[pl.DataFrame]] = {}
    for file in candidates:
        frame = rewrite.read([file])
        is_changed = frame[key].is_in(wanted.implode())
        if not is_changed.any():
            continue
        taken = frame.filter(is_changed)
        old.append(taken)
        is_here = pl.col(key).is_in(taken[key].unique().implode())
        is_here &= pl.col("period") == file.period
        put = incoming.filter(is_here).select(frame.columns)
        # a key whose old rows lay in two files has its new rows in the first
        incoming = incoming.filter(~is_here)
        if _is_same(rewrite, taken, put):
            # the customers of a thousand orders lie in all files of a million customers
            continue
        rewrite.remove([file])
        kept = pl.concat([frame.filter(~is_changed), put])
        if file == tails.get(file.period):
            last[file.period] = [kept]
        elif kept.height:
            rewrite.add(tenant_id, file.period, kept)
    _append(rewrite, tenant_id, incoming, tails, last)
    return pl.concat(old) if old else empty(rewrite.contract)


def _is_same(rewrite: Rewrite, before: pl.DataFrame, after: pl.DataFrame) -> bool:
    """Whether the new rows are the old ones."""
    key = rewrite.contract.key
    return before.height == after.height and before.sort(key).equals(after.sort(key))


def _candidates(files: Iterable[DataFile], keys: list[str]) -> list[DataFile]:
    """Files whose range of keys covers one of `keys` (sorted)."""
    return [
        file
        for file in files
        if bisect_left(keys, file.least_key) < bisect_right(keys, file.greatest_key)
    ]


def _tails(files: Iterable[DataFile]) -> dict[str, DataFile]:
    """Each period's last file, where new rows may join it."""
    last: dict[str, DataFile] = {}
    for file in sorted(files, key=lambda file: (file.greatest_key, file.path)):
        last[file.period] = file
    return {period: file for period, file in last.items() if file.rows < TAIL_ROWS}


def _append(
    rewrite: Rewrite,
    tenant_id: str,
    rows: pl.DataFrame,
    tails: dict[str, DataFile],
    last: dict[str, list[pl.DataFrame]],
) -> None:
    """Write new keys behind the tail of their period, which is written anew with them."""
    new = {
        str(period): part
        for (period,), part in rows.partition_by("period", as_dict=True, include_key=False).items()
    }
    for period, part in new.items():
        if period not in last and period in tails:
            rewrite.remove([tails[period]])
            last[period] = [rewrite.read([tails[period]])]
        last.setdefault(period, []).append(part)
    columns = ["tenant_id", *rewrite.contract.column_names]
    for period, parts in last.items():
        content = pl.concat([part.select(columns) for part in parts])
        if content.height:
            rewrite.add(tenant_id, period, content)
