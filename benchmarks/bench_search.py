"""Search over 100 000 products, asked by one client: how long the slowest twentieth takes."""

import itertools
import json
import random
import time
from datetime import UTC, datetime, timedelta
from statistics import quantiles
from urllib.parse import quote

import psycopg

from benchmarks.load import Connection, connections, request
from benchmarks.measure import Result
from benchmarks.servers import Stores, serve
from benchmarks.shop import BenchShop, make_shop
from shop_api.kernel.ids import new_id

PRODUCTS = 100_000
ASKED = 500
WARMUP = 25
BUDGET_MS = 50.0
START = datetime(2026, 1, 1, tzinfo=UTC)

MATERIALS = ["Cotton", "Linen", "Wool", "Silk", "Leather", "Oak", "Steel", "Glass", "Clay", "Paper"]
COLOURS = ["Red", "Blue", "Green", "Crème", "Écru", "Rosé", "Grün", "Azul", "Negro", "Brûlé"]
THINGS = ["Shirt", "Mug", "Chair", "Lámpara", "Tür", "Bag", "Sofa", "Table", "Café Cup", "Plate"]
DETAILS = [
    "soft",
    "strong",
    "light",
    "heavy",
    "woven",
    "carved",
    "painted",
    "folded",
    "polished",
    "quilted",
]
# one product in a thousand has one of them in its name
RARE = ["Zanzibar", "Xylophone", "Quasar", "Jabberwock"]

# what is typed, by kind; every tenth product is of cotton
QUERIES = {
    "a common word": ["cotton", "shirt", "blue", "polished"],
    "a rare word": ["zanzibar", "xylophone", "quasar", "jabberwock"],
    "a beginning": ["cot", "sh", "zan", "pol", "l"],
    "accents": ["creme", "Crème", "lampara", "TÜR", "brule"],
    "two words": ["cotton shirt", "blue mu", "creme cafe", "zanzibar 4000"],
}
COLUMNS = (
    "tenant_id, id, name, description, sku, price, currency, status, tags, created_at, updated_at"
)


def measure_search(stores: Stores) -> list[Result]:
    """Milliseconds an answer takes, of all queries and of the slowest kind."""
    shop = make_shop(stores, products=0, variants=0)
    _fill(stores, shop)
    taken: dict[str, list[float]] = {kind: [] for kind in QUERIES}
    with (
        serve("shop_api.wsgi:app", stores.environment(), threads=1) as port,
        connections(port, 1) as (connection,),
    ):
        rounds = zip(*(itertools.cycle(words) for words in QUERIES.values()), strict=True)
        for number, asked in enumerate(itertools.islice(rounds, WARMUP + ASKED // len(QUERIES))):
            for kind, words in zip(QUERIES, asked, strict=True):
                milliseconds = _ask(connection, shop, words)
                if number >= WARMUP:
                    taken[kind].append(milliseconds)
    p95 = {kind: quantiles(found, n=20)[-1] for kind, found in taken.items()}
    mixed = quantiles(itertools.chain.from_iterable(taken.values()), n=20)[-1]
    slowest = max(p95, key=lambda kind: p95[kind])
    return [
        _result(f"search of {PRODUCTS:,} products, p95 of mixed queries / budget", mixed),
        _result(f"search of {PRODUCTS:,} products, p95 of {slowest} / budget", p95[slowest]),
    ]


def _result(name: str, milliseconds: float) -> Result:
    ratio = milliseconds / BUDGET_MS
    return Result(name, milliseconds, BUDGET_MS, "ms", ratio, 1, is_at_most=True)


def _fill(stores: Stores, shop: BenchShop) -> None:
    """The shop's products, by COPY; what is searched is made from them as they come."""
    pick = random.Random(1)
    url = stores.postgres.server.get_uri(database="shop")
    with psycopg.connect(url, autocommit=True) as connection:
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY products ({COLUMNS}) FROM STDIN") as copy,
        ):
            for number in range(PRODUCTS):
                copy.write_row(_product(pick, shop, number))
        # as autovacuum leaves it: the words' index without a list of what is new
        connection.execute("VACUUM ANALYZE products")


def _product(pick: random.Random, shop: BenchShop, number: int) -> tuple[object, ...]:
    name = f"{pick.choice(MATERIALS)} {pick.choice(COLOURS)} {pick.choice(THINGS)} {number}"
    if number % 1000 == 0:
        name = f"{RARE[number // 1000 % len(RARE)]} {name}"
    description = " ".join(pick.choices(DETAILS, k=8))
    made_at = START + timedelta(seconds=number)
    tags = [pick.choice(DETAILS)]
    return (
        *(shop.tenant_id, new_id(made_at), name, description, f"SKU-{number}", "19.99", "USD"),
        *("active", tags, made_at, made_at),
    )


def _ask(connection: Connection, shop: BenchShop, words: str) -> float:
    """Milliseconds until the answer is here; it must have found something."""
    data = request("GET", f"/api/v1/search?q={quote(words)}", shop.key)
    started = time.perf_counter()
    connection.send(data)
    status, body = connection.read()
    milliseconds = (time.perf_counter() - started) * 1000
    if status != 200 or not json.loads(body)["products"]:
        raise RuntimeError(f"nothing found for {words!r}: {status} {body[:300]!r}")
    return milliseconds
