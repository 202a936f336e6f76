"""One Delta table of the lake, and the changes of one run to it.

Belongs here: the table's files, adding and removing them in one commit, going back to the published
version. Does not: which rows change (upsert.py) and publishing (publication.py).
"""

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl
from deltalake import CommitProperties, DeltaTable, Field, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from analytics.contracts import Column, Contract
from analytics.contracts.contract import OLDER_FILES_UNTIL
from analytics.store import Store
from pipelines.frames import (
    DELTA_TYPES,
    INTEGER,
    PARTITION_COLUMNS,
    TEXT,
    delta_schema,
    polars_schema,
)
from pipelines.sinks.parquet import file_rows, write_file
from pipelines.sinks.run_record import Share

logger = logging.getLogger(__name__)

# The application transaction in each commit: the spine's position (the least open xid) as version.
APPLICATION = "shop_api.lake"
CONFIGURATION = {
    "delta.checkpointInterval": "50",
    "delta.deletedFileRetentionDuration": "interval 1 days",
    "delta.logRetentionDuration": "interval 6 hours",
}


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of a table, as the log describes it; keys are of the contract's file key."""

    tenant_id: str
    period: str
    path: str
    rows: int
    size_bytes: int
    least_key: str
    greatest_key: str


FILE_COLUMNS = {
    name: INTEGER if name in ("rows", "size_bytes") else TEXT for name in DataFile.__slots__
}


class ForeignCommitError(Exception):
    """Something else committed to the lake during a run."""


class UnusableTableError(Exception):
    """The table is not there, or not at the version that was published."""


class UnreadableFileError(Exception):
    """A file that the log names is not there, or is not what was written."""

    def __init__(self, tenant_id: str, path: str, reason: Exception) -> None:
        super().__init__(f"{path}: {reason}")
        self.tenant_id = tenant_id


class LostFilesError(Exception):
    """Files of a tenant were lost or cut off, and the tenant is to be made anew."""


class LakeTable:
    """A table of the lake at its newest version."""

    def __init__(self, location: str | Store, contract: Contract) -> None:
        store = location if isinstance(location, Store) else Store(location)
        self.store = store
        self.contract = contract
        self.root = store.uri(contract.name)
        self._delta: DeltaTable | None = None
        # up to which the disk has the log for certain
        self.synced_version: int | None = None
        self._is_whole = False

    @property
    def delta(self) -> DeltaTable:
        if self._delta is None:
            raise UnusableTableError(f"{self.root} is not open")
        return self._delta

    @property
    def version(self) -> int:
        return self.delta.version()

    def open(self) -> None:
        """Read the newest version, making an empty table where there is none."""
        try:
            if self._delta is None:
                self._delta = DeltaTable(self.root, storage_options=self.store.options)
            else:
                self._delta.update_incremental()
        except TableNotFoundError:
            self._delta = DeltaTable.create(
                self.root,
                delta_schema(self.contract),
                partition_by=PARTITION_COLUMNS,
                name=self.contract.name,
                description=self.contract.grain,
                configuration=CONFIGURATION,
                storage_options=self.store.options,
            )

    def go_back_to(self, version: int) -> None:
        """Undo commits after `version`: a run that died left them before publishing."""
        if self.version == version:
            return
        if self.version < version:
            raise UnusableTableError(f"{self.root} is at {self.version}, before {version}")
        try:
            self.delta.restore(version)
        except DeltaError as error:
            raise UnusableTableError(f"{self.root} cannot go back to {version}: {error}") from error

    @property
    def lacking(self) -> list[Column]:
        """Columns of the contract that the table is without: it is of an earlier release."""
        known = {field.name for field in self.delta.schema().fields}
        return [column for column in self.contract.columns if column.name not in known]

    def lacks_columns(self) -> bool:
        """Whether it lacks any. Asked of the log until it does not: nothing takes columns away."""
        if not self._is_whole:
            try:
                newest = DeltaTable(self.root, storage_options=self.store.options)
            except TableNotFoundError:
                return False
            names = {field.name for field in newest.schema().fields}
            self._is_whole = names.issuperset(self.contract.column_names)
        return not self._is_whole

    def require_columns(self) -> None:
        """Raise UnusableTableError when it lacks a column that may not be null in its files.

        What is not from Postgres cannot be made anew, so its new columns may be null.
        """
        wrong = [column.name for column in self.lacking if not column.is_nullable]
        if wrong and self.contract.is_from_postgres:
            raise UnusableTableError(f"{self.root} is without {', '.join(wrong)}")

    def add_columns(self) -> None:
        """Add the columns it lacks. The files that are there stay, and are null in them."""
        lacking = self.lacking
        if not lacking:
            return
        logger.info("adding %s to %s", ", ".join(c.name for c in lacking), self.root)
        written = self.delta.get_add_actions(flatten=True).column("modification_time").to_pylist()
        until = {OLDER_FILES_UNTIL: str(max(written, default=0))}
        self.delta.alter.set_table_properties(until, raise_if_not_exists=False)
        self.delta.alter.add_columns([Field(c.name, DELTA_TYPES[c.type]) for c in lacking])
        self.delta.update_incremental()

    def sizes(self) -> dict[str, int]:
        """The files that are there, by their paths in the log."""
        prefix = f"{self.contract.name}/"
        found = self.store.listing(self.contract.name)
        return {file.key.removeprefix(prefix): file.size_bytes for file in found}

    def forget(self) -> None:
        """Read the table anew next time."""
        self._delta = None

    def files(self) -> pl.DataFrame:
        """Every file: the fields of DataFile as columns."""
        actions = pl.DataFrame(self.delta.get_add_actions(flatten=True))
        if actions.is_empty():
            return pl.DataFrame(schema=FILE_COLUMNS)
        key = self.contract.file_key
        return actions.select(
            pl.col("partition.tenant_id").cast(TEXT).alias("tenant_id"),
            pl.col("partition.period").cast(TEXT).alias("period"),
            "path",
            pl.col("num_records").cast(pl.Int64).alias("rows"),
            pl.col("size_bytes").cast(pl.Int64),
            pl.col(f"min.{key}").cast(TEXT).alias("least_key"),
            pl.col(f"max.{key}").cast(TEXT).alias("greatest_key"),
        )


class Rewrite:
    """The changes of one run to one table, committed at once."""

    def __init__(self, table: LakeTable, now: datetime) -> None:
        self.table = table
        self.contract = table.contract
        self.now = now
        self.rows_written = 0
        self._schema = polars_schema(table.contract)
        self._added: list[AddAction] = []
        self._removed: list[RemoveAction] = []
        self._files = table.files().sort("tenant_id")
        runs = self._files["tenant_id"].rle().struct.unnest()
        ends = runs["len"].cum_sum()
        # where a tenant's files begin and end
        self._places = dict(
            zip(runs["value"], zip(ends - runs["len"], ends, strict=True), strict=True)
        )

    @property
    def is_empty(self) -> bool:
        return not (self._added or self._removed)

    @property
    def removed_paths(self) -> set[str]:
        """Files that this run takes out."""
        return {action.path for action in self._removed}

    def tell_written(self, shares: dict[str, Share]) -> None:
        """Add what this run writes to each tenant's share."""
        for action in self._added:
            share = shares.setdefault(str(action.partition_values["tenant_id"]), Share())
            share.rows += json.loads(action.stats)["numRecords"]
            share.size_bytes += action.size
            share.files += 1

    @property
    def written_keys(self) -> list[str]:
        """The objects that this run wrote for the table."""
        return [f"{self.contract.name}/{action.path}" for action in self._added]

    @property
    def changed_tenant_ids(self) -> set[str]:
        """Tenants whose files this run changes."""
        added = {str(action.partition_values["tenant_id"]) for action in self._added}
        return added | {str((a.partition_values or {})["tenant_id"]) for a in self._removed}

    def paths_after(self, tenant_id: str) -> list[str]:
        """The tenant's files as this run leaves them."""
        before = [file.path for file in self.files(tenant_id)]
        added = [a.path for a in self._added if a.partition_values["tenant_id"] == tenant_id]
        removed = self.removed_paths
        return [path for path in before if path not in removed] + added

    @property
    def tenant_ids(self) -> set[str]:
        """Tenants that had files before this run."""
        return set(self._places)

    @property
    def damaged_tenant_ids(self) -> set[str]:
        """Tenants of whom a file is not there, or not of the size that was written."""
        sizes = self.table.sizes()
        files = self._files.select("tenant_id", "path", "size_bytes").rows()
        return {id_ for id_, path, size in files if sizes.get(path) != size}

    def lose_damaged(self) -> None:
        """Take out the files that are not there, or not of the size that was written."""
        sizes = self.table.sizes()
        for file in (DataFile(*row) for row in self._files.rows()):
            if sizes.get(file.path) != file.size_bytes:
                self.lose(file, "the file is not there, or cut off")

    def files(self, tenant_id: str) -> list[DataFile]:
        """The tenant's files before this run."""
        start, end = self._places.get(tenant_id, (0, 0))
        return [DataFile(*row) for row in self._files[start:end].rows()]

    def read(self, files: Iterable[DataFile]) -> pl.DataFrame:
        """The rows of some of the table's files, with tenant_id."""
        frames = [self._read(file) for file in files]
        return pl.concat(frames) if frames else empty(self.contract)

    def _read(self, file: DataFile) -> pl.DataFrame:
        rows = self._load(file)
        lacking = self._schema.keys() - set(rows.columns)
        return rows.with_columns(
            pl.lit(None, self._schema[name]).alias(name) for name in lacking
        ).select(pl.lit(file.tenant_id).alias("tenant_id"), *self.contract.column_names)

    def read_column(self, file: DataFile, name: str) -> pl.Series:
        """One column of a file."""
        return self._load(file, [name])[name]

    def _load(self, file: DataFile, columns: list[str] | None = None) -> pl.DataFrame:
        """Raises UnreadableFileError; and OSError when it is the store that cannot be read."""
        table = self.table
        uri, options = f"{table.root}/{file.path}", table.store.options
        try:
            return pl.read_parquet(
                uri, columns=columns, hive_partitioning=False, storage_options=options
            )
        except (OSError, pl.exceptions.PolarsError) as error:
            try:
                content = table.store.read(f"{self.contract.name}/{file.path}")
                return pl.read_parquet(content, columns=columns, hive_partitioning=False)
            except (FileNotFoundError, pl.exceptions.PolarsError):
                raise UnreadableFileError(file.tenant_id, uri, error) from error

    def take(self, files: Sequence[DataFile]) -> pl.DataFrame:
        """Take out files; answers their rows. What cannot be read and is nowhere else is lost."""
        frames = [empty(self.contract)]
        for file in files:
            try:
                frames.append(self._read(file))
            except UnreadableFileError as error:
                if self.contract.is_from_postgres:
                    raise
                self._tell_lost(file, error)
        self.remove(files)
        return pl.concat(frames)

    def lose(self, file: DataFile, reason: Exception | str) -> None:
        """Take out a file that cannot be read, of rows that are nowhere else."""
        self._tell_lost(file, reason)
        self.remove([file])

    def _tell_lost(self, file: DataFile, reason: Exception | str) -> None:
        place = f"tenant {file.tenant_id} in {self.contract.name}"
        logger.error("%s rows of %s are lost: %s", file.rows, place, reason)

    def remove(self, files: Iterable[DataFile]) -> None:
        """Take files out of the table."""
        deleted_at = int(self.now.timestamp() * 1000)
        self._removed += [
            RemoveAction(
                path=file.path,
                data_change=True,
                deletion_timestamp=deleted_at,
                size=file.size_bytes,
                partition_values={"tenant_id": file.tenant_id, "period": file.period},
            )
            for file in files
        ]

    def add(self, tenant_id: str, period: str, rows: pl.DataFrame) -> None:
        """Put rows into a partition: sorted by file key, in files that are full but the last."""
        ordered = rows.sort(self.contract.file_key)
        for piece in ordered.iter_slices(file_rows(period, self.now)):
            self._added.append(
                write_file(self.table.store, self.contract, tenant_id, period, piece, self.now)
            )
        self.rows_written += rows.height

    def commit(self, xid: int) -> None:
        """Commit all of it as the table's next version, unless there is nothing."""
        if self.is_empty:
            return
        expected = self.table.version + 1
        try:
            self.table.delta.create_write_transaction(
                [*self._removed, *self._added],
                "append",
                delta_schema(self.contract),
                PARTITION_COLUMNS,
                commit_properties=CommitProperties(
                    max_commit_retries=0, app_transactions=[Transaction(APPLICATION, xid)]
                ),
            )
        except CommitFailedError as error:
            raise ForeignCommitError(f"{self.table.root} is past {expected}: {error}") from error
        self.table.delta.update_incremental()
        if self.table.version != expected:
            raise ForeignCommitError(
                f"{self.table.root} is at {self.table.version}, not {expected}"
            )


def empty(contract: Contract) -> pl.DataFrame:
    """No rows of a table."""
    return pl.DataFrame(schema={"tenant_id": TEXT, **polars_schema(contract)})
