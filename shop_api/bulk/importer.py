"""One import from its files to the tables: read, check, assemble, load, phase by phase.

Belongs here: the order of the steps, and what a caller gives and gets. Does not: jobs and
their rows (journal.py), HTTP and the command line.
"""

import contextlib
import hashlib
import logging
from collections.abc import Callable, Iterator
from collections.abc import Mapping as MappingType
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import polars as pl
import psycopg
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from shop_api.bulk.assembly import Assembler
from shop_api.bulk.checks import Checker
from shop_api.bulk.clashes import clash
from shop_api.bulk.expressions import TypedChunk, compile_entity, field_labels
from shop_api.bulk.field_types import Scope
from shop_api.bulk.fields import ENTITIES, Mapped
from shop_api.bulk.journal import (
    Counts,
    EntityCounts,
    ImportCancelled,
    ImportHandedOver,
    Journal,
    Progress,
)
from shop_api.bulk.loader import Loader, Phase, Written
from shop_api.bulk.locks import tree_lock
from shop_api.bulk.lookups import load_lookups
from shop_api.bulk.mapping import (
    Mapping,
    columns_of,
    entity_columns,
    listed,
    mapping_error,
    require_currency,
)
from shop_api.bulk.order_checks import ORDER_CHECKS
from shop_api.bulk.phases import (
    categories_phase,
    customers_phase,
    orders_phase,
    products_phase,
)
from shop_api.bulk.product_checks import (
    CATEGORY_LIST_CHECKS,
    IMAGE_CHECKS,
    OPTION_CHECKS,
    PRODUCT_CHECKS,
    STOCK_CHECKS,
    VARIANT_CHECKS,
    product_hint,
)
from shop_api.bulk.readers import absent_columns, find_files, read_chunks
from shop_api.bulk.rejects import RejectLog, storable
from shop_api.bulk.staging import Staging, new_staging
from shop_api.db.outages import describe
from shop_api.db.tenancy import tenant_session
from shop_api.kernel.errors import DomainError, not_found
from shop_api.spine.unit_of_work import Origin, UnitOfWork

# Reading takes about this share of an import's time.
READ_SHARE = 0.3
INTERRUPT_SECONDS = 5.0

logger = logging.getLogger(__name__)


@dataclass
class Summary:
    """What an import did. Parts of an order are counted as read and rejected; they are written with
    their order."""

    counts: Counts = field(default_factory=dict)
    rejects: RejectLog = field(default_factory=RejectLog)

    def of(self, entity: str) -> EntityCounts:
        return self.counts.setdefault(entity, EntityCounts())


@dataclass(frozen=True)
class Shop:
    """What an import needs to know of the tenant."""

    currency: str
    timezone: str


def read_shop(engine: Engine, tenant_id: UUID) -> Shop:
    """The tenant's currency and timezone."""
    with tenant_session(engine, tenant_id) as session:
        row = session.connection.exec_driver_sql(
            "SELECT currency, timezone FROM tenants WHERE id = %s", (tenant_id,)
        ).first()
    if row is None:
        raise not_found("tenant")
    return Shop(row.currency, row.timezone)


def import_digest(folder: Path, mapping: Mapping) -> str:
    """Tells imports apart: the mapping, and each file's name, size and time of change."""
    digest = hashlib.sha256(msgspec.json.encode(mapping, order="deterministic"))
    for source in mapping.files.values():
        for path in find_files(folder, source):
            stat = path.stat()
            digest.update(f"{path.name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


@dataclass
class Import:
    """An import's fixed parts; `write` runs the phases over what was staged."""

    staging: Staging
    journal: Journal
    mapped: Mapped
    summary: Summary
    policies: MappingType[str, str] = field(default_factory=dict)
    labels: dict[tuple[str, str], str] = field(default_factory=dict)
    product_hint: str = ""

    @property
    def origin(self) -> Origin:
        return self.journal.origin

    def __post_init__(self) -> None:
        for name, before in self.journal.checkpoint.counts.items():
            counts = self.summary.of(name)
            counts.created, counts.updated = before.created, before.updated
            counts.unchanged = before.unchanged

    def write(self) -> None:
        """Check, assemble and load everything that is staged."""
        log = self.summary.rejects
        self.staging.analyze()
        checker = Checker(self.staging, self.origin.tenant_id, log, self.labels, self.product_hint)
        assembler = Assembler(self.staging, self.origin.tenant_id, self.origin.now, self.mapped)
        self._refuse_duplicates(checker)
        self._report("checking", 0)
        self._write_categories(assembler)
        self._check_products(checker)
        assembler.assemble("products")
        self._load(products_phase(self.mapped))
        checker.refuse_taken("customers", "email")
        assembler.assemble("customers")
        self._load(customers_phase(self.mapped))
        checker.run(*ORDER_CHECKS)
        checker.report_bad("orders")
        assembler.assemble("orders")
        self._load(orders_phase(self.mapped))

    def _write_categories(self, assembler: Assembler) -> None:
        """Categories, while nobody moves others: what is checked holds when it is written."""
        field_name = "paths" if "paths" in self.mapped.get("categories", ()) else "parent"
        label = self.labels.get(("categories", field_name), field_name)
        with contextlib.ExitStack() as held:
            if self.staging.counts.get("categories"):
                held.enter_context(tree_lock(self.staging.engine, self.origin.tenant_id))
            assembler.assemble_categories(self.summary.rejects, label)
            self._load(categories_phase(self.mapped))

    def _check_products(self, checker: Checker) -> None:
        """A product stands on its variants, a variant on its product."""
        checker.run(*VARIANT_CHECKS)
        if self.staging.has_variants:
            checker.run(*OPTION_CHECKS)
            checker.report_bad("products")
        checker.run(*PRODUCT_CHECKS)
        if "categories" in self.mapped.get("products", ()):
            checker.run(*CATEGORY_LIST_CHECKS)
        if self.staging.has_variants:
            checker.run(*VARIANT_CHECKS)
        else:
            self.staging.drop_default_variants()
        checker.run(*STOCK_CHECKS)
        if "images" in self.mapped:
            checker.run(*IMAGE_CHECKS)

    def _refuse_duplicates(self, checker: Checker) -> None:
        keys: dict[str, tuple[str, ...]] = {
            name: (entity.key,) for name, entity in ENTITIES.items() if entity.key
        }
        # the first is named and must be there; lines are told apart within their order
        keys |= {"order_lines": ("external_id", "order"), "stock": ("variant", "location")}
        keys |= {"images": ("url", "product")}
        policies = dict(self.policies)
        if not self.staging.has_variants:
            # they follow their products without a word
            policies["variants"] = "last" if policies.get("products") == "last" else "first"
        for entity, fields in keys.items():
            if self.staging.counts.get(entity):
                checker.refuse_duplicates(entity, fields, policies.get(entity, "reject"))
        for entity in ("products", "variants"):
            checker.refuse_taken(entity, "sku")

    def _load(self, phase: Phase) -> None:
        if not self.staging.counts.get(phase.name):
            return
        loader = Loader(self.staging, self.journal.waker, self.origin)
        done = 0
        for batch in loader.batches(phase, self.journal.checkpoint.position.get(phase.name, "")):
            loader.write(phase, batch, self._checkpoint)
            done += batch.row_count
            self._report(phase.name, done)

    def _checkpoint(self, work: UnitOfWork, phase: str, place: str, written: Written) -> None:
        counts = self.summary.of(phase)
        counts.created += written.created
        counts.updated += written.updated
        counts.unchanged += written.unchanged
        self.journal.save(work, phase, place, self.summary.counts, self.summary.rejects)

    def _report(self, step: str, done: int) -> None:
        weights = {n: self.staging.counts.get(n, 0) for n in ("products", "customers", "orders")}
        before = 0
        for name, weight in weights.items():
            if name == step:
                break
            before += weight
        whole = sum(weights.values()) or 1
        share = (before + done) / whole if step in weights else 0.0
        self.journal.report(Progress(step, done, READ_SHARE + (1 - READ_SHARE) * share))


def run_import(
    single: Engine, journal: Journal, folder: Path, mapping: Mapping, summary: Summary
) -> None:
    """Import the files of `folder` as `mapping` says, on the connection of an `import_session`.

    Goes on where `journal` says it stopped, and closes the job: succeeded, or failed or cancelled,
    and then raises. ImportHandedOver, and an error that another attempt of a worker may not meet,
    leave the job open.
    """
    log = summary.rejects
    with journal.held(_interrupter(single)):
        try:
            _run(single, journal, folder, mapping, summary)
        except ImportCancelled:
            journal.finish("cancelled", summary.counts, log, None)
            raise
        except pl.exceptions.PolarsError as error:
            refused = mapping_error(f"The mapping cannot be evaluated: {storable(str(error))}")
            journal.finish("failed", summary.counts, log, refused.detail)
            raise refused from error
        except DomainError as error:
            journal.finish("failed", summary.counts, log, error.detail)
            raise
        except IntegrityError as error:
            clashed = clash(error)
            if clashed is None:
                _close_broken(journal, summary, error)
                raise
            journal.finish("failed", summary.counts, log, clashed.detail)
            raise clashed from error
        # a COPY raises the driver's own
        except (DBAPIError, psycopg.Error) as error:
            if isinstance(error, OperationalError | psycopg.OperationalError):
                if journal.stopping.is_set():
                    raise ImportHandedOver from error
                if not journal.is_local:
                    raise
            _close_broken(journal, summary, error)
            raise
    journal.finish("succeeded", summary.counts, log, None)


def _close_broken(journal: Journal, summary: Summary, error: DBAPIError | psycopg.Error) -> None:
    """Close the job that an error of Postgres ended, if Postgres still answers."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    message = origin.diag.message_primary if isinstance(origin, psycopg.Error) else None
    detail = f"Postgres ended the import: {message or 'it does not answer'}. What is written stays."
    try:
        journal.finish("failed", summary.counts, summary.rejects, detail)
    except DBAPIError as second:
        logger.warning("cannot close job %s: %s", journal.job_id, describe(second))


def _interrupter(single: Engine) -> Callable[[], None]:
    """Ends the statement that runs on the one connection, from another thread."""
    with single.connect() as connection:
        driver: Any = connection.connection.driver_connection

    def interrupt() -> None:
        try:
            driver.cancel_safe(timeout=INTERRUPT_SECONDS)
        except psycopg.Error as error:
            logger.warning("cannot interrupt the import's statement: %s", describe(error))

    return interrupt


def _run(
    single: Engine, journal: Journal, folder: Path, mapping: Mapping, summary: Summary
) -> None:
    origin = journal.origin
    shop = read_shop(single, origin.tenant_id)
    require_currency(mapping, shop.currency)
    for name in mapping.entities:
        summary.of(name)
    scope = Scope(
        mapping,
        shop.timezone,
        shop.currency,
        load_lookups(folder, mapping, journal.require_going_on),
    )
    products = mapping.entities.get("products")
    columns = listed(products.only_if) if products else ()
    run = Import(
        new_staging(single, origin.now, has_variants="variants" in mapping.entities),
        journal,
        _mapped(folder, mapping),
        summary,
        {name: entity.duplicates for name, entity in mapping.entities.items()},
        product_hint=product_hint(columns),
    )
    _stage(run, folder, scope)
    run.write()


def _mapped(folder: Path, mapping: Mapping) -> Mapped:
    """The fields that the files can fill: not those of columns that none of them has."""
    absent = {
        alias: absent_columns(find_files(folder, file), file)
        for alias, file in mapping.files.items()
    }
    return {
        name: frozenset(
            field_name
            for field_name, expression in entity.fields.items()
            if not (columns := columns_of(expression))
            or any(columns - absent[alias] for alias in entity.sources)
        )
        for name, entity in mapping.entities.items()
    }


def _ahead(chunks: Iterator[TypedChunk]) -> Iterator[TypedChunk]:
    """The chunks, the next one read in a thread while the present one is staged."""
    with ThreadPoolExecutor(1, thread_name_prefix="import-reader") as pool:
        coming = pool.submit(next, chunks, None)
        while (chunk := coming.result()) is not None:
            coming = pool.submit(next, chunks, None)
            yield chunk


def _stage(run: Import, folder: Path, scope: Scope) -> None:
    """Read every entity's files into staging."""
    mapping = scope.mapping
    entities = [name for name in ENTITIES if name in mapping.entities]
    for i, name in enumerate(entities):
        source = mapping.entities[name]
        reader = compile_entity(ENTITIES[name], source, scope)
        for field_name, label in field_labels(ENTITIES[name], source).items():
            run.labels[name, field_name] = label
        counts = run.summary.of(name)
        for alias in source.sources:
            file = mapping.files[alias]
            for path in find_files(folder, file):
                chunks = read_chunks(path, file, entity_columns(source))
                for typed in _ahead(reader.read(chunk, path.name) for chunk in chunks):
                    run.staging.add(name, typed, path.name)
                    counts.read += typed.read_count
                    run.summary.rejects.add(
                        name, typed.rejected_count, typed.rejects, are_values=True
                    )
                    ratio = READ_SHARE * i / len(entities)
                    run.journal.report(Progress(f"reading {name}", counts.read, ratio))
