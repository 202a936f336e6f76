"""`shop-api import`: a folder of another shop's export into a tenant.

Belongs here: options, progress and the summary. Does not: the import (bulk/).
"""

import uuid
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from shop_api.bulk.importer import Summary, import_digest, run_import
from shop_api.bulk.journal import FOLDER_IMPORT, ImportCancelled, open_local_job, tell_counts
from shop_api.bulk.locks import import_session
from shop_api.bulk.mapping import (
    TENANT_TIMEZONE,
    Mapping,
    decode_mapping,
    load_preset,
    of_file,
    parse_mapping,
    presets,
)
from shop_api.bulk.readers import find_files
from shop_api.bulk.rejects import RejectLog, write_rejects
from shop_api.commands.platform import ACTOR, find_tenant_id
from shop_api.commands.progress import Listener, progress_listener
from shop_api.db.engines import make_engine
from shop_api.db.request_redis import RequestRedis
from shop_api.kernel.clock import utc_now
from shop_api.kernel.errors import DomainError
from shop_api.settings import Settings
from shop_api.spine.unit_of_work import Origin
from shop_api.spine.waker import make_waker
from shop_api.stack.stores import ensure_stores

STATEMENT_TIMEOUT_SECONDS = 60.0
SHOWN_REJECTS = 10


@click.command("import")
@click.argument(
    "folder", type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path)
)
@click.option("--tenant", "slug", required=True, help="Slug of the tenant to import into.")
@click.option("--preset", type=click.Choice(presets()), help="A mapping that comes with shop-api.")
@click.option(
    "--mapping",
    "mapping_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A mapping of your own (YAML); see docs/guides/imports.md.",
)
@click.option(
    "--rejects",
    "rejects_file",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the refused rows to this CSV file.",
)
@click.option("--strict", is_flag=True, help="Exit 1 when a row was refused.")
def import_(
    folder: Path,
    slug: str,
    preset: str | None,
    mapping_file: Path | None,
    rejects_file: Path | None,
    strict: bool,
) -> None:
    """Import the files of FOLDER into a tenant.

    Running it again changes nothing; a run that was cut short goes on where it stopped. Rows that
    cannot be taken are listed by file, row, column and reason, and the others go in.
    """
    if (preset is None) == (mapping_file is None):
        raise click.UsageError("give --preset or --mapping")
    mapping = load_preset(preset) if preset else _read(mapping_file)
    try:
        with (
            ensure_stores(Settings(), must_exist=True) as settings,
            progress_listener(f"importing {mapping.name}") as listener,
        ):
            _tell_left_alone(folder, mapping)
            summary = _import(settings, slug, folder, mapping, listener)
    except DomainError as error:
        advice = _tenant_advice(mapping) if error.code == "wrong_currency" else ""
        raise click.ClickException(f"{error.detail}{advice}") from error
    except ImportCancelled as error:
        raise click.ClickException("cancelled; what was written stays") from error
    _show(summary)
    if rejects_file:
        with rejects_file.open("w", encoding="utf-8", newline="") as out:
            write_rejects(summary.rejects.kept, out)
    if strict and summary.rejects.total:
        raise click.exceptions.Exit(1)


def _tenant_advice(mapping: Mapping) -> str:
    zone = "" if mapping.timezone == TENANT_TIMEZONE else f" --timezone {mapping.timezone}"
    return f" Make one: shop-api tenant create SLUG --currency {mapping.currency}{zone}"


def _tell_left_alone(folder: Path, mapping: Mapping) -> None:
    """Name the files of the folder that the mapping does not speak of."""
    known = {path for source in mapping.files.values() for path in find_files(folder, source)}
    others = sorted(path.name for path in folder.iterdir() if path.is_file() and path not in known)
    if others:
        click.echo(f"not in the mapping, left alone: {', '.join(others)}", err=True)


def _read(path: Path | None) -> Mapping:
    assert path is not None
    try:
        with of_file(str(path)):
            return parse_mapping(decode_mapping(path.read_bytes()))
    except DomainError as error:
        raise click.ClickException(error.detail) from error


def _import(
    settings: Settings, slug: str, folder: Path, mapping: Mapping, listener: Listener
) -> Summary:
    assert settings.database_url
    assert settings.redis_url
    tenant_id = find_tenant_id(settings, slug)
    engine = make_engine(
        settings.database_url, settings, statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS
    )
    waker = make_waker(settings, RequestRedis(settings.redis_url))
    summary = Summary()
    try:
        origin = Origin(tenant_id, ACTOR, f"cli-{uuid.uuid4().hex}", utc_now())
        params = {
            "folder": str(folder),
            "mapping": mapping.name,
            "digest": import_digest(folder, mapping),
        }
        with import_session(engine, tenant_id) as single:
            journal = open_local_job(engine, waker, origin, FOLDER_IMPORT, params, listener)
            if journal.checkpoint.position:
                click.echo("going on with an import that was cut short", err=True)
            run_import(single, journal, folder, mapping, summary)
    finally:
        waker.stop()
        engine.dispose()
    return summary


def _show(summary: Summary) -> None:
    table = Table("entity", "rows", "created", "updated", "unchanged", "refused")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, told in tell_counts(summary.counts, summary.rejects).items():
        table.add_row(name, *("–" if count is None else f"{count:,}" for count in told.values()))
    Console(width=None if Console().is_terminal else 100).print(table)
    _warn(summary.rejects)


def _warn(rejects: RejectLog) -> None:
    if not rejects.total:
        return
    click.echo(f"{rejects.total:,} records were refused:", err=True)
    for reject in rejects.kept[:SHOWN_REJECTS]:
        column = f", column {reject.column}" if reject.column else ""
        click.echo(f"  {reject.file}, row {reject.row}{column}: {reject.reason}", err=True)
    if rejects.total > SHOWN_REJECTS:
        click.echo("  … use --rejects FILE for the others", err=True)
