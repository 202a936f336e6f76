"""Reads and orders over HTTP beside their floors on the same server (DESIGN §7)."""

import itertools
import json
import time
from dataclasses import dataclass, replace
from functools import partial
from uuid import uuid4

from benchmarks.load import Load, connections, request, run_load
from benchmarks.measure import Result, paired
from benchmarks.servers import Stores, serve
from benchmarks.shop import BenchShop, make_shop, variant_ids
from benchmarks.statements import Statement, capture, recorded, replay_per_second, written_out
from shop_api.db.engines import make_engine
from shop_api.db.keyset import PageRequest
from shop_api.db.tenancy import read_session
from shop_api.domains.catalog.repository import BODY, PLAIN_LISTS, PRODUCT_SORTS
from shop_api.domains.product_documents.repository import STAFF_VIEW

CLIENTS = 16
THREADS = 8
WORKERS = 2
PRODUCTS = "/api/v1/products"
SECONDS = 1.5
PRODUCT_COUNT = 2000
LINES = 3
# orders the psycopg clients place, of different variants as ours are
CAPTURED = 100
# What is measured is how answers are made: none is kept.
UNCACHED = {"SHOP_CACHE_BYTES": "0"}
# As `shop-api serve` does on two cores: what the floors of DESIGN §7 were measured with.
_serve = partial(serve, threads=THREADS, workers=WORKERS)


def measure_api(stores: Stores) -> list[Result]:
    """List of 20, detail and order placed, each beside hand-written code that runs the same SQL."""
    shop = make_shop(stores, products=PRODUCT_COUNT)
    results = []
    with _serve("shop_api.wsgi:app", stores.environment() | UNCACHED) as port:
        product_id = _some_product(port, shop)
        one = {"tenant_id": shop.tenant_id, "product_id": product_id}
        detail = Read("product detail", f"{PRODUCTS}/{product_id}", (STAFF_VIEW.one, one), 0.45)
        listed = Read("list of 20 products", PRODUCTS, _list_statement(stores, shop), 0.27)
        for read in (listed, detail):
            results += _measure_read(stores, port, shop, read)
        results += _measure_order(stores, port, shop)
    # every product as one that is asked for the first time
    no_documents = stores.environment() | UNCACHED | {"SHOP_DOCUMENT_BYTES": "0"}
    with _serve("shop_api.wsgi:app", no_documents) as port:
        for read in (listed, detail):
            results += _measure_read(stores, port, shop, replace(read, share=None))
    return results


@dataclass(frozen=True)
class Read:
    """A read, the statement that makes all of its answer, and its share of Flask's floor; None:
    with no JSON kept, which has no budget there."""

    name: str
    path: str
    statement: Statement
    share: float | None


def _list_statement(stores: Stores, shop: BenchShop) -> Statement:
    engine = make_engine(
        stores.postgres.application_url, stores.settings(), statement_timeout_seconds=60
    )
    page = PageRequest(PRODUCT_SORTS["created_at"], is_descending=True, limit=20)
    with (
        recorded(engine) as statements,
        read_session(engine, None, shop.tenant_id) as session,
    ):
        PLAIN_LISTS[STAFF_VIEW.name, BODY].fetch(session, page)
    engine.dispose()
    return statements[-1]


def _per_second(load: Load) -> float:
    bad = {status: count for status, count in load.statuses.items() if status not in (200, 201)}
    if bad:
        raise RuntimeError(f"answers that are no success: {bad}")
    return load.per_second


def _some_product(port: int, shop: BenchShop) -> str:
    with connections(port, 1) as (connection,):
        connection.send(request("GET", f"{PRODUCTS}?limit=1", shop.key))
        _, body = connection.read()
    product_id: str = json.loads(body)["data"][0]["id"]
    return product_id


def _measure_read(stores: Stores, port: int, shop: BenchShop, read: Read) -> list[Result]:
    sql = stores.folder / "floor_read.sql"
    sql.write_text(written_out(stores, [read.statement])[0])
    environment = stores.environment() | {
        "FLOOR_SQL": str(sql),
        "FLOOR_TENANT": str(shop.tenant_id),
    }
    ours = request("GET", read.path, shop.key)
    bare = request("GET", "/")
    with (
        _serve("benchmarks.floors:flask_sql_app", environment) as floor_port,
        _serve("benchmarks.floors:flask_json_app", environment) as flask_port,
    ):

        def run(at: int, data: bytes) -> float:
            return _per_second(run_load(at, lambda: data, clients=CLIENTS, seconds=SECONDS))

        measured, floor, ratio = paired(lambda: run(port, ours), lambda: run(floor_port, bare))
        kept = "uncached" if read.share else "no JSON kept"
        beside = f"{read.name}, {kept} / Flask + psycopg, same SQL"
        by_hand = Result(beside, measured, floor, "req/s", ratio, 0.5)
        if read.share is None:
            return [by_hand]
        _, peer_floor, peer_ratio = paired(
            lambda: run(port, ours), lambda: run(flask_port, bare), rounds=3
        )
    beside = f"{read.name}, {kept} / Flask JSON floor"
    return [by_hand, Result(beside, measured, peer_floor, "req/s", peer_ratio, read.share)]


def _measure_order(stores: Stores, port: int, shop: BenchShop) -> list[Result]:
    variants = variant_ids(stores, shop, 400)
    picks = itertools.cycle(range(0, len(variants) - LINES, LINES))
    numbers = itertools.count()
    run_id = uuid4().hex

    def next_body() -> bytes:
        start = next(picks)
        lines = [{"variant_id": str(v), "quantity": 1} for v in variants[start : start + LINES]]
        return json.dumps({"lines": lines}).encode()

    def next_order() -> bytes:
        key = f"{run_id}-{next(numbers)}"
        return request("POST", "/api/v1/orders", shop.key, next_body(), key)

    since_ms = time.time_ns() // 1_000_000
    orders = [(next_body(), f"{run_id}-floor-{number}") for number in range(CAPTURED)]
    captured = capture(stores, "POST", "/api/v1/orders", shop.key, *orders)

    def ours() -> float:
        return _per_second(run_load(port, next_order, clients=CLIENTS, seconds=SECONDS * 2))

    def database() -> float:
        return replay_per_second(stores, captured, since_ms, clients=CLIENTS, seconds=SECONDS * 2)

    environment = stores.environment()
    with _serve("benchmarks.floors:flask_json_app", environment) as flask_port:
        bare = request("GET", "/")
        measured, floor, ratio = paired(ours, database, rounds=3)
        _, peer, peer_ratio = paired(
            ours,
            lambda: _per_second(
                run_load(flask_port, lambda: bare, clients=CLIENTS, seconds=SECONDS)
            ),
            rounds=3,
        )
    return [
        Result("order of 3 lines / psycopg clients, same SQL", measured, floor, "1/s", ratio, 0.5),
        Result("order of 3 lines / Flask JSON floor", measured, peer, "1/s", peer_ratio, 0.12),
    ]
