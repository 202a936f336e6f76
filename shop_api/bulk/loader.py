"""Ready rows into the tables, one unit of work per batch.

Belongs here: the statements of a batch, its event, audit row and checkpoint. Does not: what
the rows are (assembly.py). A row that is there already is updated only where it differs; a
batch that wrote nothing says nothing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from shop_api.bulk.staging import Staging
from shop_api.db.tenancy import tenant_session
from shop_api.spine.notifications import resolve
from shop_api.spine.unit_of_work import Origin, UnitOfWork, unit_of_work
from shop_api.spine.waker import Waker

BATCH_ROWS = 5000
CATEGORY_BATCH_ROWS = 1_000_000


@dataclass(frozen=True)
class TableLoad:
    """One table of a phase: the columns inserted, and those of them compared with what is there."""

    table: str
    columns: tuple[str, ...]
    compared: tuple[str, ...] = ()
    # columns every row of the phase gets beside its own, as SQL
    extra: tuple[tuple[str, str], ...] = ()

    def insert(self, *, returns_parents: bool) -> str:
        """The rows that are not there yet."""
        names = ", ".join(("tenant_id", *self.columns, *(name for name, _ in self.extra)))
        values = ", ".join(
            ("%(tenant_id)s", *(f"r.{c}" for c in self.columns), *(sql for _, sql in self.extra))
        )
        statement = (
            f"INSERT INTO {self.table} ({names}) SELECT {values} FROM ready_{self.table} r"
            f" WHERE {IN_BATCH} AND NOT r.is_existing ORDER BY r.ordinal"
        )
        if not returns_parents:
            return statement
        return (
            f"WITH written AS ({statement} RETURNING id) SELECT DISTINCT r.parent_id"
            f" FROM written w JOIN ready_{self.table} r USING (id) WHERE {IN_BATCH}"
        )

    def update(self, *, parent: str) -> str:
        """The rows that are there and differ."""
        changes = ", ".join(f"{c} = r.{c}" for c in self.compared)
        old = ", ".join(f"t.{c}" for c in self.compared)
        new = ", ".join(f"r.{c}" for c in self.compared)
        return (
            f"UPDATE {self.table} t SET {changes} FROM ready_{self.table} r"
            f" WHERE {IN_BATCH} AND r.is_existing AND t.tenant_id = %(tenant_id)s AND t.id = r.id"
            f" AND ({old}) IS DISTINCT FROM ({new}) RETURNING r.{parent}"
        )


IN_BATCH = "r.ordinal > %(after)s AND r.ordinal <= %(until)s"
# A batch's rows are found one by one, by their keys, however large the tables are.
BY_KEY = (
    "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;"
    " SET LOCAL enable_seqscan = off"
)
TIMES = (("created_at", "r.created_at"), ("updated_at", "%(now)s"))


@dataclass(frozen=True)
class Guard:
    """Subjects that the shop may change itself while the import runs: how a batch's are locked, and
    the ids of those that were changed since they came."""

    lock: str
    changed: str


@dataclass(frozen=True)
class Phase:
    """One kind of subject with the tables that belong to it; the first holds the subject itself."""

    name: str
    subject_type: str
    head: TableLoad
    parts: tuple[TableLoad, ...] = ()
    # further statements; each returns the ids of the subjects it changed
    statements: tuple[str, ...] = ()
    # the same, only for batches with subjects that are there already
    repairs: tuple[str, ...] = ()
    guard: Guard | None = None
    # keys of what the tenant was told of subjects that are there already, and a batch has ended
    ended: str | None = None
    batch_rows: int = BATCH_ROWS

    def changes(self) -> Iterator[str]:
        """The statements that bring what is there already in line."""
        if self.head.compared:
            yield self.head.update(parent="id")
        for part in self.parts:
            if part.compared:
                yield part.update(parent="parent_id")
        yield from self.repairs

    @property
    def event_type(self) -> str:
        return f"{self.name}_imported"


@dataclass(frozen=True)
class Batch:
    """The part of a phase with ordinals in (after, until]; `place` is that of its last row."""

    after: int
    until: int
    place: str
    row_count: int
    new_count: int
    # new subjects before this batch
    new_before: int

    @property
    def has_existing(self) -> bool:
        return self.new_count < self.row_count


@dataclass(frozen=True)
class Written:
    """What a batch did."""

    created: int
    updated: int
    unchanged: int


# called in the batch's transaction with the phase's name and the place of the batch's last row
Checkpoint = Callable[[UnitOfWork, str, str, Written], None]


@dataclass(frozen=True)
class Loader:
    """Writes the ready tables of one import."""

    staging: Staging
    waker: Waker
    origin: Origin

    def batches(self, phase: Phase, after: str) -> Iterator[Batch]:
        """The phase's batches that come after a place ('': all)."""
        table = f"ready_{phase.head.table}"
        with self.staging.engine.begin() as connection:
            rows = connection.exec_driver_sql(
                "SELECT (ordinal - 1 - f.done) / %(size)s AS batch, max(ordinal) AS until,"
                " max(place) AS place, count(*) AS n,"
                f" count(*) FILTER (WHERE NOT is_existing) AS new, min(f.done) AS done"
                f" FROM {table}, (SELECT COALESCE(max(ordinal), 0) AS done FROM {table}"
                ' WHERE place COLLATE "C" <= %(after)s) f WHERE ordinal > f.done'
                " GROUP BY 1 ORDER BY 1",
                {"size": phase.batch_rows, "after": after},
            ).all()
            new_before = connection.exec_driver_sql(
                f"SELECT count(*) FROM {table} WHERE NOT is_existing AND ordinal <= %(done)s",
                {"done": rows[0].done if rows else 0},
            ).scalar_one()
        lower = rows[0].done if rows else 0
        for row in rows:
            yield Batch(lower, row.until, row.place, row.n, row.new, new_before)
            lower = row.until
            new_before += row.new

    def write(self, phase: Phase, batch: Batch, checkpoint: Checkpoint) -> Written:
        """Write one batch in one transaction."""
        first_number = self._take_numbers(batch) if phase.name == "orders" else 0
        values = {
            "tenant_id": self.origin.tenant_id,
            "now": self.origin.now,
            "actor": self.origin.actor,
            "after": batch.after,
            "until": batch.until,
            "first_number": first_number,
        }
        with unit_of_work(self.staging.engine, self.waker, self.origin) as work:
            spared_count = self._spare_changed(work.connection, phase, batch, values)
            created, updated = self._write_rows(work.connection, phase, batch, values)
            if phase.ended is not None and batch.has_existing:
                resolve(work, list(work.connection.exec_driver_sql(phase.ended, values).scalars()))
            unchanged_count = batch.row_count - spared_count - len(created) - len(updated)
            written = Written(len(created), len(updated), unchanged_count)
            if ids := [str(i) for i in (*created, *sorted(updated))]:
                work.append(phase.event_type, phase.subject_type, None, {"ids": ids})
                counts = {"created": written.created, "updated": written.updated}
                work.audit(phase.event_type, phase.subject_type, None, None, counts)
            checkpoint(work, phase.name, batch.place, written)
        return written

    def _spare_changed(
        self, connection: Connection, phase: Phase, batch: Batch, values: dict[str, Any]
    ) -> int:
        """Lock the batch's subjects that are there already, and take those out of it that the shop
        has changed since they were assembled; how many."""
        if phase.guard is None or not batch.has_existing:
            return 0
        connection.exec_driver_sql(phase.guard.lock, values)
        # a statement of its own: it sees what those committed that the lock waited for
        changed = list(connection.exec_driver_sql(phase.guard.changed, values).scalars())
        if changed:
            heads = [(phase.head.table, "id")]
            for table, key in heads + [(part.table, "parent_id") for part in phase.parts]:
                connection.exec_driver_sql(
                    f"DELETE FROM ready_{table} r WHERE {IN_BATCH} AND r.{key} = ANY(%(ids)s)",
                    {**values, "ids": changed},
                )
        return len(changed)

    def _write_rows(
        self, connection: Connection, phase: Phase, batch: Batch, values: dict[str, Any]
    ) -> tuple[list[UUID], set[UUID]]:
        created: list[UUID] = []
        if batch.new_count:
            statement = phase.head.insert(returns_parents=False) + " RETURNING id"
            created = list(connection.exec_driver_sql(statement, values).scalars())
        touched: set[UUID] = set()
        for part in phase.parts:
            insert = part.insert(returns_parents=batch.has_existing)
            result = connection.exec_driver_sql(insert, values)
            if batch.has_existing:
                touched.update(result.scalars())
        for statement in phase.statements:
            touched.update(connection.exec_driver_sql(statement, values).scalars())
        if batch.has_existing:
            connection.exec_driver_sql(BY_KEY)
            for statement in phase.changes():
                touched.update(connection.exec_driver_sql(statement, values).scalars())
        updated = touched.difference(created)
        if updated and phase.head.compared:
            connection.exec_driver_sql(
                f"UPDATE {phase.head.table} SET version = version + 1, updated_at = %(now)s"
                " WHERE tenant_id = %(tenant_id)s AND id = ANY(%(ids)s)",
                {**values, "ids": list(updated)},
            )
        return created, updated

    def _take_numbers(self, batch: Batch) -> int:
        """Numbers for the batch's new orders, in a transaction of its own, so that orders placed
        meanwhile do not wait for the batch; a batch that fails leaves a gap."""
        if not batch.new_count:
            return 0
        with tenant_session(self.staging.engine, self.origin.tenant_id) as session:
            last = session.connection.exec_driver_sql(
                "SELECT draw_numbers(%(tenant_id)s, 'order', %(count)s)",
                {"count": batch.new_count, "tenant_id": self.origin.tenant_id},
            ).scalar()
        if last is None:
            raise LookupError(f"tenant {self.origin.tenant_id} has no order counter")
        return int(last) - batch.new_count - batch.new_before
