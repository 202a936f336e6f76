"""`shop-api lake`: running, rebuilding, checking, tidying, opening and asking the lake by hand.

Belongs here: options and what is printed. Does not: the work (runner.py, verification.py,
compaction.py, extracts.py).
"""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import click
from redis import Redis, RedisError
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from analytics.access import access_of
from analytics.contracts import CONTRACTS, TRAFFIC_EVENTS
from analytics.engine import BadStatement, FilesDamaged, QueryTimeout, QueryTooLarge
from analytics.tenant_lake import LakeNotFoundError, TenantLake, open_with
from pipelines import extracts
from pipelines.compaction import run_compact
from pipelines.context import LakeContext
from pipelines.runner import Outcome, run_export, run_rebuild
from pipelines.traffic import BATCHES_A_RUN, run_traffic
from pipelines.verification import Difference, run_verify
from shop_api.db.engines import make_engine
from shop_api.db.outages import describe
from shop_api.kernel.clock import utc_now
from shop_api.settings import Settings
from shop_api.spine.traffic_stream import STREAM
from shop_api.stack.stores import ensure_stores

STATEMENT_TIMEOUT_SECONDS = 600.0
# Differences printed; all of them are counted.
SHOWN_DIFFERENCES = 50


@click.group("lake")
def lake() -> None:
    """The lake: facts in Parquet, made from Postgres.

    The worker keeps it up to date by itself; these commands do the same by hand.
    """


@lake.command()
def run() -> None:
    """Export what changed since the last snapshot, take storefronts' events in, publish both.

    While the worker is writing, this waits for its end.
    """
    with _open_lake("lake run") as (context, settings):
        _show(run_export(context, utc_now(), waits=True), "nothing changed")
        events = _take_traffic(context, settings)
    if events:
        click.echo(f"{events:,} storefront events taken in")


@lake.command()
def rebuild() -> None:
    """Make the whole lake anew from Postgres; readers keep the old one until it is done."""
    with _open_lake("lake rebuild") as (context, _):
        outcome = run_rebuild(context, utc_now())
    _show(outcome, "there is nothing to put in")


@lake.command()
def verify() -> None:
    """Compare Postgres and lake: counts and sums per tenant and month, the rollup per day.

    Brings the lake up to date first, so that both sides are of one instant. Ends with 1 when
    anything differs.
    """
    with _open_lake("lake verify") as (context, _):
        found = run_verify(context, utc_now(), context.on_step)
    if not found.figures:
        click.echo("nothing to compare yet: no tenant has products, customers or orders")
        return
    if not found.differences:
        click.echo(
            f"lake and Postgres agree: {found.figures:,} figures at snapshot {found.snapshot.id}"
            f" (as of {found.snapshot.as_of.isoformat()})"
        )
        return
    _show_differences(found.differences)
    raise SystemExit(1)


@lake.command()
def compact() -> None:
    """Tidy up: months for tenants that have grown, small files joined, old files deleted."""
    with _open_lake("lake compact") as (context, _):
        outcome = run_compact(context, utc_now())
    _show(outcome, "the lake is tidy")


@lake.command()
@click.argument("tenant")
@click.option("--json", "as_json", is_flag=True, help="For scripts and other readers of Delta.")
def snapshot(tenant: str, as_json: bool) -> None:
    """Say where TENANT's lake is, and at which snapshot. TENANT is a slug or an id.

    It asks the lake alone, and no database, as analytics.open_lake does.
    """
    with _tenant_lake(tenant) as opened:
        seen = opened.snapshot
        described = {
            "location": opened.location,
            "tenant_id": opened.tenant_id,
            "slug": opened.slug,
            "timezone": opened.regional.timezone,
            "currency": opened.regional.currency,
            "snapshot": {
                "id": seen.id,
                "as_of": seen.as_of.isoformat(),
                "versions": dict(seen.versions),
            },
        }
    if as_json:
        click.echo(json.dumps(described, indent=2))
        return
    versions = ", ".join(f"{name} {number}" for name, number in seen.versions.items())
    click.echo(f"lake      {opened.location}")
    click.echo(f"tenant    {opened.tenant_id} ({opened.slug})")
    click.echo(f"regional  {opened.regional.timezone}, {opened.regional.currency}")
    click.echo(f"snapshot  {seen.id}, as of {seen.as_of.isoformat()}")
    click.echo(f"versions  {versions}")


@lake.command()
@click.argument("tenant")
@click.argument("statement")
@click.option(
    "--format",
    "form",
    type=click.Choice(tuple(extracts.WRITERS)),
    default="table",
    show_default=True,
    help="How the rows are written to standard output.",
)
def sql(tenant: str, statement: str, form: str) -> None:
    """Run a SELECT over TENANT's tables, by their names; - reads it from standard input.

    "SHOW TABLES" lists the tables, "DESCRIBE orders" the columns of one. It reads the newest
    snapshot, and nothing but this tenant's files. Rows that are wider than the terminal are written
    one under the other.
    """
    if statement == "-":
        statement = sys.stdin.read()
    with _tenant_lake(tenant) as opened:
        try:
            rows = opened.sql(statement)
        except (BadStatement, FilesDamaged, QueryTimeout, QueryTooLarge) as error:
            raise click.ClickException(str(error)) from error
    extracts.WRITERS[form](rows, sys.stdout)


@lake.command()
@click.argument("tenant")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--table",
    "tables",
    multiple=True,
    type=click.Choice(list(CONTRACTS)),
    help="Only this one; repeat it for more. Without: all tables.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(extracts.FILE_FORMATS),
    default="parquet",
    show_default=True,
    help="parquet keeps every type; csv is for spreadsheets.",
)
def export(tenant: str, folder: Path, tables: tuple[str, ...], form: str) -> None:
    """Write TENANT's tables at the newest snapshot into FOLDER, one file each, to keep.

    TENANT is a slug or an id. FOLDER is made if need be; orders become FOLDER/orders.parquet. A
    file that stands there already is never written over: then the command says which and writes
    nothing. Rows of a question of your own: shop-api lake sql TENANT "SELECT …" --format csv
    """
    with _tenant_lake(tenant) as opened:
        try:
            written = extracts.write_tables(opened, folder, tables or tuple(CONTRACTS), form)
        except OSError as error:
            raise click.ClickException(f"{folder}: {error.strerror or error}") from error
    for path, count in written.items():
        click.echo(f"{count:>12,}  {path}")


def _tenant_lake(tenant: str) -> TenantLake:
    """A tenant's lake where the settings name one; no store need run."""
    try:
        return open_with(access_of(Settings()), tenant)
    except LakeNotFoundError as error:
        raise click.ClickException(str(error)) from error


def _take_traffic(context: LakeContext, settings: Settings) -> int:
    """Bring what waits in the stream now into the lake, as the worker does; how many events.

    What comes meanwhile is for the next run: of a busy shop there is always more.
    """
    if settings.redis_url is None:
        return 0
    count = 0
    try:
        with Redis.from_url(settings.redis_url) as client:
            for _ in range(0, client.xlen(STREAM), BATCHES_A_RUN):
                outcome = run_traffic(context, client, utc_now())
                if outcome.snapshot is None:
                    break
                count += outcome.rows_written.get(TRAFFIC_EVENTS.name, 0)
    except RedisError as error:
        raise click.ClickException(
            f"storefront events wait, for Redis is away: {describe(error)}"
        ) from error
    return count


@contextmanager
def _open_lake(title: str) -> Iterator[tuple[LakeContext, Settings]]:
    """The lake the settings name, its stores running, with progress shown on standard error."""
    with ensure_stores(Settings(), must_exist=True) as settings, _progress(title) as on_step:
        if settings.exporter_database_url is None:
            raise click.ClickException(
                "set SHOP_EXPORTER_DATABASE_URL: the same database as the role shop_exporter"
            )
        engine = make_engine(
            settings.exporter_database_url,
            settings,
            statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
        )
        try:
            context = LakeContext(
                engine,
                settings.lake_location,
                settings.lake_month_rows,
                traffic_retention=timedelta(days=settings.traffic_retention_days),
                retention_hours=settings.lake_retention_hours,
                storage_options=access_of(settings).storage_options,
                on_step=on_step,
            )
            yield context, settings
        finally:
            engine.dispose()


@contextmanager
def _progress(title: str) -> Iterator[Callable[[str], None]]:
    """What a run reports its steps to: one moving line on a terminal, a line each elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda step: click.echo(f"{title}: {step}", err=True)
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title)
        yield lambda step: bar.update(task, description=f"{title}: {step}")


def _show(outcome: Outcome, nothing: str) -> None:
    if outcome.state == "idle" or outcome.snapshot is None:
        click.echo(nothing)
        return
    click.echo(
        f"snapshot {outcome.snapshot.id} published, as of {outcome.snapshot.as_of.isoformat()}:"
        f" {len(outcome.tenant_ids)} tenants"
    )
    for table, count in outcome.rows_written.items():
        click.echo(f"  {table:<14} {count:>12,} rows written")


def _show_differences(differences: list[Difference]) -> None:
    table = Table(title=f"{len(differences):,} figures differ")
    for heading in ("table", "tenant", "period", "figure"):
        table.add_column(heading, overflow="fold")
    for heading in ("Postgres", "lake"):
        table.add_column(heading, justify="right", overflow="fold")
    for one in differences[:SHOWN_DIFFERENCES]:
        table.add_row(
            one.table, one.tenant_id, one.period, one.measure, one.postgres or "-", one.lake or "-"
        )
    Console().print(table)
    if len(differences) > SHOWN_DIFFERENCES:
        click.echo(f"and {len(differences) - SHOWN_DIFFERENCES:,} more")
