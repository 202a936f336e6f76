"""The dashboard from the gateway's memory beside a bare WSGI answer of the same bytes (DESIGN §7).

Both run under granian with one worker. The gateway does all it does in production: credentials,
bounds, cache, headers, a line of access log written to a file.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.lake_data import lake_of
from benchmarks.lake_shop import lake_environment, open_shop
from benchmarks.load import connections, request, run_load, run_pipelined
from benchmarks.measure import Result, paired
from benchmarks.servers import Stores, serve

# The answer's size does not depend on it: a small lake is enough.
ORDERS = 20_000
PATH = "/api/v1/analytics/dashboard?from=2025-12-01&to=2026-01-01"
CLIENTS = 4
DEPTH = 16
SECONDS = 0.5
# Blocking threads tried; each side is measured at its own best. With more they take turns at the
# interpreter: four give both sides less than two.
THREADS = (1, 2)
# granian, of the bare floor too, leaves one pipelined answer in some millions unsent until the
# connection's next bytes come; such a run is thrown away.
TRIES = 3
FLOOR = "benchmarks.floors:bare"
OURS = "shop_api.wsgi:app"
BUDGET = 0.5
# of what Flask answering 1 KB of JSON gives on the same server, the peers' unit
PEER_BUDGET = 3.6


def measure_hot_read(stores: Stores) -> list[Result]:
    """Identity and zstd, each beside a floor that answers the very same bytes."""
    data = lake_of(ORDERS)
    shop = open_shop(stores, data)
    environment = lake_environment(stores, data)
    results = [_beside_bare(stores, environment, shop.key, c) for c in ("identity", "zstd")]
    return [*results, _beside_flask(environment, shop.key)]


def _beside_bare(stores: Stores, environment: dict[str, str], key: str, coding: str) -> Result:
    asked = _with_coding(request("GET", PATH, key), coding)
    body = stores.folder / f"hot-{coding}.body"
    with serve(OURS, environment, threads=1) as port:
        body.write_bytes(_answer(port, asked))
    floor_environment = {**environment, "FLOOR_BODY": str(body)}
    bare = request("GET", "/")
    with (
        _with_threads(OURS, environment) as ports,
        _with_threads(FLOOR, floor_environment) as floor_ports,
    ):
        for port in ports:
            _answer(port, asked)
        measured, floor, ratio = paired(
            lambda: _best(ports, asked), lambda: _best(floor_ports, bare), rounds=5
        )
    name = f"hot dashboard, {coding} / bare WSGI"
    return Result(name, measured, floor, "req/s", ratio, BUDGET)


@contextmanager
def _with_threads(target: str, environment: dict[str, str]) -> Iterator[list[int]]:
    """The ports of a server for each number of blocking threads."""
    with ExitStack() as servers:
        yield [
            servers.enter_context(serve(target, environment, threads=threads))
            for threads in THREADS
        ]


def _best(ports: list[int], data: bytes) -> float:
    """Answers a second with the number of threads that gives most."""
    return max(_per_second(port, data) for port in ports)


def _beside_flask(environment: dict[str, str], key: str) -> Result:
    """In the peers' unit: both without pipelining, four requests outstanding."""
    asked, bare = request("GET", PATH, key), request("GET", "/")
    flask_app = "benchmarks.floors:flask_json_app"
    with (
        serve(OURS, environment, threads=1) as port,
        serve(flask_app, environment, threads=1) as flask_port,
    ):
        _answer(port, asked)
        measured, floor, ratio = paired(
            lambda: _per_second(port, asked), lambda: _per_second(flask_port, bare)
        )
    return Result("hot dashboard / Flask JSON floor", measured, floor, "req/s", ratio, PEER_BUDGET)


def _with_coding(data: bytes, coding: str) -> bytes:
    return data[:-2] + f"Accept-Encoding: {coding}\r\n\r\n".encode()


def _answer(port: int, data: bytes) -> bytes:
    """The body of an answer that came from memory."""
    load = run_load(port, lambda: data, clients=1, seconds=0.2)
    if set(load.statuses) != {200}:
        raise RuntimeError(f"answers that are no success: {load.statuses}")
    with connections(port, 1) as (connection,):
        connection.send(data)
        _, body = connection.read()
    return body


def _per_second(port: int, data: bytes) -> float:
    for _ in range(TRIES):
        load = run_pipelined(port, data, clients=CLIENTS, depth=DEPTH, seconds=SECONDS)
        if load is not None:
            return load.per_second
    raise RuntimeError(f"the server stopped answering in each of {TRIES} runs")
