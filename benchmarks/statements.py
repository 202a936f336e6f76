"""What SQL a request runs: captured from the application, and run again without it.

Belongs here: capturing statements with their parameters, replaying them from plain psycopg clients.
Does not: HTTP floors (floors.py).
"""

import io
import multiprocessing
import os
import pickle
import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import Engine, event

from benchmarks.servers import Stores
from shop_api.app import create_app
from shop_api.db.engines import SESSION_OPTIONS

Statement = tuple[str, Any]

UUID_V7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@contextmanager
def recorded(engine: Engine) -> Iterator[list[Statement]]:
    """Every statement the engine runs meanwhile, with its parameters."""
    found: list[Statement] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, _m: bool) -> None:
        found.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


def capture(
    stores: Stores, method: str, path: str, token: str, *asked: tuple[bytes, str | None]
) -> list[list[Statement]]:
    """The statements of each request (body, idempotency key); that of the credential left out."""
    app = create_app(stores.settings().model_copy(update={"log_level": "WARNING"}))
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_AUTHORIZATION": f"Bearer {token}",
        "CONTENT_TYPE": "application/json" if method == "POST" else "",
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
    }
    # the first call fills the credential cache, so that what is left is the requests' own
    warm = environ | {"REQUEST_METHOD": "GET", "PATH_INFO": "/health/live", "CONTENT_LENGTH": "0"}
    list(app(warm | {"wsgi.input": io.BytesIO()}, lambda *_: None))
    found = []
    for body, key in asked:
        sent = {"CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}
        if key is not None:
            sent["HTTP_IDEMPOTENCY_KEY"] = key
        with recorded(app.services.engine) as statements:
            list(app(environ | sent, lambda *_: None))
        found.append(statements)
    app.close()
    return found


def written_out(stores: Stores, statements: list[Statement]) -> list[str]:
    """The statements with their values in the text."""
    with psycopg.connect(stores.postgres.application_url) as connection:
        cursor = psycopg.ClientCursor(connection)
        return [cursor.mogrify(text, parameters) for text, parameters in statements]


def replay_per_second(
    stores: Stores, requests: list[list[Statement]], since_ms: int, *, clients: int, seconds: float
) -> float:
    """Committed runs a second of the requests' statements as prepared transactions, by `clients`.

    Connections are set as the application sets its own, and each client takes the requests in an
    order of its own. Ids made at or after `since_ms` (UUIDv7), digests and the lock key are new on
    every run. Two processes share the clients, as pgbench's two threads would.
    """
    path = stores.folder / "replay.pickle"
    path.write_bytes(pickle.dumps(requests))
    context = multiprocessing.get_context("spawn")
    with context.Pool(2) as pool:
        runs = [
            pool.apply_async(
                _replay_process,
                (stores.postgres.application_url, str(path), since_ms, clients // 2, seconds),
            )
            for _ in range(2)
        ]
        return sum(run.get(timeout=seconds + 60) for run in runs)


def _replay_process(url: str, path: str, since_ms: int, threads: int, seconds: float) -> float:
    requests: list[list[Statement]] = pickle.loads(Path(path).read_bytes())

    def work(_: int) -> int:
        done = 0
        with psycopg.connect(url, prepare_threshold=0, options=SESSION_OPTIONS) as connection:
            deadline = time.perf_counter() + seconds
            while time.perf_counter() < deadline:
                renew = _renewal(since_ms)
                statements = random.choice(requests)
                with connection.transaction():
                    for text, parameters in statements:
                        connection.execute(text, _map(parameters, renew))
                done += 1
        return done

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(work, range(threads))) / seconds


def _renewal(since_ms: int) -> Callable[[Any], Any]:
    """A function that gives new ids, digests and lock keys, the same new for the same old."""
    made: dict[Any, Any] = {}

    def renew(value: Any) -> Any:
        if isinstance(value, UUID) and value.version == 7 and value.int >> 80 >= since_ms:
            return made.setdefault(value, uuid4())
        if isinstance(value, str):
            for old in _ids_in(value):
                value = value.replace(str(old), str(renew(old)))
            return value
        if isinstance(value, bytes) and len(value) == 32:
            return made.setdefault(value, os.urandom(32))
        if isinstance(value, int) and abs(value) > 1 << 40:
            return made.setdefault(value, int.from_bytes(os.urandom(7), "big"))
        return value

    return renew


@cache
def _ids_in(text: str) -> tuple[UUID, ...]:
    """The UUIDv7s inside a text: rows are sent as JSON."""
    return tuple({UUID(found) for found in UUID_V7.findall(text)})


def _map(parameters: Any, renew: Callable[[Any], Any]) -> Any:
    if isinstance(parameters, dict):
        return {name: _map(value, renew) for name, value in parameters.items()}
    if isinstance(parameters, list | tuple):
        return [_map(value, renew) for value in parameters]
    return renew(parameters)
