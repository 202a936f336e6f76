"""Page 1 and page 10 000 of a million products: a page costs the same anywhere (DESIGN §7)."""

import json
from uuid import UUID

import psycopg

from benchmarks.load import connections, request, run_load
from benchmarks.measure import Result, paired
from benchmarks.servers import SECRET, Stores, serve
from benchmarks.shop import BenchShop, make_shop
from shop_api.db.keyset import Position
from shop_api.domains.catalog.repository import PRODUCT_SORTS
from shop_api.kernel.secret_keys import SecretKeys
from shop_api.web.pagination import DEFAULT_LIMIT, CursorSigner, filter_context

PRODUCTS = 1_000_000
PAGE = 10_000
PATH = "/api/v1/products"
SORT = PRODUCT_SORTS["created_at"]
SECONDS = 1.0
ROUNDS = 9

LAST_OF_PAGE_BEFORE = """
SELECT created_at, id FROM products WHERE tenant_id = %s
ORDER BY created_at DESC, id DESC OFFSET %s LIMIT 1
"""


def measure_paging(stores: Stores) -> list[Result]:
    """Seconds an answer takes, page 10 000 beside page 1."""
    shop = make_shop(stores, products=PRODUCTS, variants=0)
    rows_before = (PAGE - 1) * DEFAULT_LIMIT
    cursor = _cursor_after(stores, shop, rows_before)
    first = request("GET", PATH, shop.key)
    far = request("GET", f"{PATH}?after={cursor}", shop.key)
    with serve("shop_api.wsgi:app", stores.environment(), threads=1) as port:
        _check(port, far, f"Product {PRODUCTS - rows_before}")
        measured, floor, ratio = paired(
            lambda: _milliseconds(port, far), lambda: _milliseconds(port, first), ROUNDS
        )
    name = f"page {PAGE:,} of {PRODUCTS:,} products / page 1"
    return [Result(name, measured, floor, "ms", ratio, 1.2, is_at_most=True)]


def _cursor_after(stores: Stores, shop: BenchShop, rows: int) -> str:
    """The cursor a client would have after walking over so many rows."""
    url = stores.postgres.server.get_uri(database="shop")
    with psycopg.connect(url, options="-c timezone=UTC") as connection:
        row = connection.execute(LAST_OF_PAGE_BEFORE, (shop.tenant_id, rows - 1)).fetchone()
    if row is None:
        raise RuntimeError("there are fewer products than pages to walk")
    created_at, product_id = row
    signer = CursorSigner(SecretKeys(SECRET.encode()), shop.tenant_id, PATH)
    context = filter_context({}, SORT, is_descending=True)
    return signer.make(Position(created_at, UUID(str(product_id))), SORT, context)


def _check(port: int, data: bytes, name: str) -> None:
    with connections(port, 1) as (connection,):
        connection.send(data)
        status, body = connection.read()
    found = json.loads(body)
    if status != 200 or found["data"][0]["name"] != name:
        raise RuntimeError(f"not the page asked for: {status} {body[:300]!r}")


def _milliseconds(port: int, data: bytes) -> float:
    load = run_load(port, lambda: data, clients=1, seconds=SECONDS)
    return 1000 / load.per_second
