"""Listen to a shop's events over a WebSocket: ticket, reconnect with backoff, resume.

    pip install websocket-client
    python listen.py http://127.0.0.1:8000 ws://127.0.0.1:8001 sk_… [last_event_id]

Belongs here: what every client of the events needs, to be copied. Does not: what is done with them.
"""

import json
import random
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import websocket

DELAY_MIN_SECONDS = 0.5
DELAY_MAX_SECONDS = 30.0
# The server pings every 54 s: with nothing for longer than that the connection is dead.
SILENCE_SECONDS = 75.0
# Messages that answer what a client has sent, and are no events.
ANSWERS = ("resumed", "subscribed", "pong", "error")
# What waiting does not mend: the key is not valid, or lacks the scope `events:read`.
FINAL = (401, 403)
# Of ranges of time that are up to the client.
_random = random.SystemRandom()


class Events:
    """A shop's events, each once and in order, for as long as they are asked for.

    `last_event_id` is that of the last event handled. Keep it with what the events change, in one
    transaction: who starts again with it misses nothing and does nothing twice. A message of the
    type `reset` says that events are gone: read what you need anew, then go on.
    """

    def __init__(self, api: str, realtime: str, key: str, last_event_id: int | None = None) -> None:
        self.api = api
        self.realtime = realtime
        self.key = key
        self.last_event_id = last_event_id
        self._delay = DELAY_MIN_SECONDS

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while True:
            try:
                yield from self._connection()
            except urllib.error.HTTPError as error:
                if error.code in FINAL:
                    raise
                self._wait(float(error.headers.get("Retry-After", 0)))
            except (OSError, websocket.WebSocketException):
                self._wait()

    def _connection(self) -> Iterator[dict[str, Any]]:
        url = f"{self.realtime}/ws?ticket={self._ticket()}"
        connection = websocket.create_connection(url, timeout=SILENCE_SECONDS)
        try:
            if self.last_event_id is not None:
                # at once: live events are held back for a quarter of a second
                resume = {"type": "resume", "last_event_id": self.last_event_id}
                connection.send(json.dumps(resume))
            while True:
                text = connection.recv()
                if not text:  # a close frame: the server restarts, is full, or heard nothing
                    raise websocket.WebSocketConnectionClosedException
                message = json.loads(text)
                if message["type"] == "connected":
                    self._delay = DELAY_MIN_SECONDS
                    if self.last_event_id is None:
                        self.last_event_id = message["id"]
                elif message["type"] not in ANSWERS:
                    yield message
                    # whoever asks for the next one is done with this one; today's figures also
                    # come without an id: such a message passes, and is not to be resumed from
                    if message["id"] is not None:
                        self.last_event_id = message["id"]
        finally:
            connection.close()

    def _ticket(self) -> str:
        request = urllib.request.Request(
            f"{self.api}/api/v1/realtime/tickets",
            method="POST",
            headers={"Authorization": f"Bearer {self.key}"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            ticket: str = json.load(response)["ticket"]
        return ticket

    def _wait(self, least_seconds: float = 0.0) -> None:
        """Longer each time, and spread: all clients of a server lose it at the same moment."""
        time.sleep(least_seconds + _random.uniform(0, self._delay))
        self._delay = min(self._delay * 2, DELAY_MAX_SECONDS)


def main() -> None:
    """Print events, one JSON line each, until Ctrl-C."""
    api, realtime, key, *last_event_id = sys.argv[1:]
    for event in Events(api, realtime, key, *map(int, last_event_id)):
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
