"""`shop-api listen`: print a tenant's events as they happen; a small client to learn from.

Belongs here: ticket, connection, resume after a break. Does not: the server (realtime/).
"""

import json
import sys
import time
import urllib.error
import urllib.request
from typing import Any

import click
from simple_websocket import Client, ConnectionClosed, ConnectionError

from shop_api.settings import Settings
from shop_api.spine.event_types import EVENT_TYPES
from shop_api.stack.children import base_url

RETRY_SECONDS = 1.0
# How long to wait for a server that never answered.
PATIENCE_SECONDS = 15.0


@click.command()
@click.option("--key", envvar="SHOP_KEY", required=True, help="A secret key, or set SHOP_KEY.")
@click.option("--api", help="URL of the API. Default: this machine, SHOP_API_PORT.")
@click.option("--realtime", help="URL of the realtime process. Default: SHOP_REALTIME_PORT.")
@click.option("--type", "types", multiple=True, help="Only this type of event; repeatable.")
@click.option("--count", type=click.IntRange(min=1), help="Stop after this many events.")
def listen(
    key: str, api: str | None, realtime: str | None, types: tuple[str, ...], count: int | None
) -> None:
    """Print events, one JSON line each, until Ctrl-C.

    A broken connection is made again, and what happened meanwhile is printed then.
    """
    unknown = sorted(set(types) - set(EVENT_TYPES))
    if unknown:
        raise click.UsageError(
            f"no type {', '.join(unknown)}; there are {', '.join(sorted(EVENT_TYPES))}"
        )
    settings = Settings()
    listener = Listener(
        key,
        api or base_url(settings, settings.api_port),
        realtime or base_url(settings, settings.realtime_port, "ws"),
        frozenset(types),
        count,
    )
    try:
        _listen(listener)
    except KeyboardInterrupt:
        # how it is meant to end
        return


def _listen(listener: "Listener") -> None:
    patience_ends_at = time.monotonic() + PATIENCE_SECONDS
    while not listener.is_done:
        try:
            listener.listen()
        except (ConnectionClosed, ConnectionError, OSError) as error:
            click.echo(
                f"no connection to {listener.api} and {listener.realtime} ({error}), trying again",
                err=True,
            )
            if listener.last_event_id is None and time.monotonic() > patience_ends_at:
                raise click.ClickException(
                    "no server answered there: is it running? --api and --realtime choose others"
                ) from error
            time.sleep(RETRY_SECONDS)


class Listener:
    """A client that knows the last event it printed."""

    def __init__(
        self, key: str, api: str, realtime: str, types: frozenset[str], count: int | None
    ) -> None:
        self.key = key
        self.api = api
        self.realtime = realtime
        self.types = types
        self.left = count
        self.last_event_id: int | None = None

    @property
    def is_done(self) -> bool:
        return self.left == 0

    def listen(self) -> None:
        """One connection, until it breaks or enough was printed."""
        client = Client(f"{self.realtime}/ws?ticket={self._ticket()}")
        try:
            if self.last_event_id is not None:
                resume = {"type": "resume", "last_event_id": self.last_event_id}
                client.send(json.dumps(resume))
            while not self.is_done:
                self._take(client.receive())
        finally:
            if client.connected:
                client.close()

    def _take(self, text: str) -> None:
        event: dict[str, Any] = json.loads(text)
        if event["type"] == "connected":
            click.echo(f"connected to {self.realtime}", err=True)
            if self.last_event_id is None:
                self.last_event_id = event["id"]
            return
        if event["id"] is not None:
            self.last_event_id = event["id"]
        if not self.types or event["type"] in self.types:
            # as it came: amounts keep their digits
            click.echo(text)
            sys.stdout.flush()
            if self.left is not None:
                self.left -= 1

    def _ticket(self) -> str:
        request = urllib.request.Request(  # noqa: S310 (the URL is the caller's own)
            f"{self.api}/api/v1/realtime/tickets",
            method="POST",
            headers={"Authorization": f"Bearer {self.key}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
                ticket: str = json.load(response)["ticket"]
        except urllib.error.HTTPError as error:
            problem = json.loads(error.read() or b"{}")
            raise click.ClickException(problem.get("detail", str(error))) from error
        return ticket
