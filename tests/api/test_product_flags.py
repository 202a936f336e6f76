"""What a product's row keeps of its variants and stock equals what they are, whoever writes."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from shop_api.app import App
from shop_api.db.tenancy import TenantSession, tenant_session
from shop_api.domains.cancellations.tasks import expire_orders
from shop_api.domains.imports.tasks import ImportRunner
from shop_api.kernel.clock import utc_now
from shop_api.spine.jobs import WorkerContext
from tests.api.test_bulk_import import send
from tests.api.test_fulfillments import act, some
from tests.api.test_orders import pay
from tests.factories.exports import write_table
from tests.fixtures.api import Shop
from tests.fixtures.imports import new_runner
from tests.fixtures.stores import Database

PRODUCTS = "/api/v1/products"
STEPS = 90
# some rows are written past the application here
APP_SETTINGS = {"cache_bytes": 0}
# one variant each, whose stock may come with it; or several
GOODS = """
name: goods
files: {goods: {name: goods.csv}}
entities:
  products: {from: goods, fields: {external_id: code, name: code, price: price,
    track_quantity: is_tracked}}
  stock: {from: goods, fields: {variant: code, quantity: on_hand}}
"""
SIZES = """
name: sizes
files: {goods: {name: goods.csv}}
entities:
  products: {from: goods, duplicates: first, fields: {external_id: code, name: code, price: price}}
  variants: {from: goods, fields: {external_id: size, product: code, title: size,
    track_quantity: is_tracked, allow_backorder: is_open}}
  stock: {from: goods, fields: {variant: size, quantity: on_hand}}
"""
# beside what the API can: whole rows moved, changed and taken away
STATEMENTS = [
    "UPDATE stock_levels SET reserved = quantity WHERE quantity >= 0 AND random() < 0.2",
    "UPDATE stock_levels SET quantity = reserved + 1 WHERE quantity >= 0 AND random() < 0.2",
    "UPDATE stock_levels SET reserved = CASE WHEN random() < 0.5 THEN 0 ELSE 9 END",
    "DELETE FROM stock_levels WHERE random() < 0.1",
    "INSERT INTO stock_levels (tenant_id, variant_id, location_id, quantity, updated_at)"
    " SELECT v.tenant_id, v.id, l.id, floor(random() * 2), now() FROM variants v, locations l"
    " WHERE random() < 0.3 ON CONFLICT DO NOTHING",
    "UPDATE variants SET track_quantity = random() < 0.9, allow_backorder = random() < 0.1"
    " WHERE random() < 0.3",
    "UPDATE variants v SET product_id = (SELECT id FROM products WHERE v.id IS NOT NULL"
    " ORDER BY random() LIMIT 1) WHERE random() < 0.1",
    "DELETE FROM variants v WHERE random() < 0.1 AND NOT EXISTS (SELECT FROM order_lines l"
    " WHERE l.variant_id = v.id)",
]


@pytest.fixture
def runner(database: Database, app: App) -> ImportRunner:
    """The worker's part of an import."""
    return new_runner(database, app)


def kept_and_true(session: TenantSession) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """(is_in_stock, has_variants) of each product: of its row, and of its variants and stock."""
    free = {
        row.variant_id
        for row in session.execute(text("SELECT * FROM stock_levels"))
        if row.quantity > row.reserved
    }
    sold, counts = set(), Counter[Any]()
    for row in session.execute(text("SELECT * FROM variants")):
        counts[row.product_id] += 1
        if not row.track_quantity or row.allow_backorder or row.id in free:
            sold.add(row.product_id)
    rows = session.execute(text("SELECT id, is_in_stock, has_variants FROM products")).all()
    kept = {row.id: (row.is_in_stock, row.has_variants) for row in rows}
    return kept, {row.id: (row.id in sold, counts[row.id] > 1) for row in rows}


class Mutations:
    """Whatever may happen to a shop's products, chosen by dice; refusals are part of it."""

    def __init__(
        self, app: App, shop: Shop, dice: random.Random, runner: ImportRunner, folder: Path
    ) -> None:
        self.app, self.shop, self.dice, self.runner, self.folder = app, shop, dice, runner, folder
        self.orders: list[dict[str, Any]] = []

    def inventory(self) -> dict[str, Any]:
        return {
            "track_quantity": self.dice.random() < 0.9,
            "allow_backorder": self.dice.random() < 0.1,
        }

    def products(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = self.shop.api.get(PRODUCTS, query={"limit": "100"}).json[
            "data"
        ]
        return listed

    def variant(self) -> tuple[str, str]:
        having = [p for p in self.products() if p["variants"]]
        if not having:
            return self.create(), "00000000-0000-7000-8000-000000000000"
        product = self.dice.choice(having)
        return product["id"], self.dice.choice(product["variants"])["id"]

    def create(self) -> str:
        variants = [
            {
                "title": f"V{n}",
                "inventory": {"quantity": self.dice.randrange(3), **self.inventory()},
            }
            for n in range(self.dice.choice((1, 1, 2)))
        ]
        product_id: str = self.shop.product("1.00", variants=variants)["id"]
        return product_id

    def delete(self) -> None:
        self.shop.api.delete(f"{PRODUCTS}/{self.variant()[0]}")

    def bulk_delete(self) -> None:
        ids = [p["id"] for p in self.products() if self.dice.random() < 0.1]
        self.shop.api.delete(f"{PRODUCTS}/bulk-delete", body={"ids": ids or [self.variant()[0]]})

    def bulk_update(self) -> None:
        items = [{"id": p["id"], "status": "draft"} for p in self.dice.sample(self.products(), 1)]
        assert self.shop.api.put(f"{PRODUCTS}/bulk-update", {"products": items}).status == 200

    def add_variant(self) -> None:
        body = {"title": "V", "inventory": {"quantity": self.dice.randrange(3), **self.inventory()}}
        self.shop.api.post(f"{PRODUCTS}/{self.variant()[0]}/variants", body)

    def change_variant(self) -> None:
        product_id, variant_id = self.variant()
        path = f"{PRODUCTS}/{product_id}/variants/{variant_id}"
        self.shop.api.patch(path, {"inventory": self.inventory()})

    def delete_variant(self) -> None:
        product_id, variant_id = self.variant()
        self.shop.api.delete(f"{PRODUCTS}/{product_id}/variants/{variant_id}")

    def adjust(self) -> None:
        ids = {self.variant()[1] for _ in range(3)}
        deltas = [{"variant_id": v, "delta": self.dice.choice((-2, -1, 1, 2))} for v in ids]
        self.shop.api.post("/api/v1/inventory/adjustments", {"adjustments": deltas})

    def order(self) -> None:
        lines = {self.variant()[1]: self.dice.randrange(1, 3) for _ in range(2)}
        answered = self.shop.order(*lines.items())
        if answered.status == 201:
            self.orders.append(answered.json)

    def advance(self) -> None:
        if self.orders:
            order = self.dice.choice(self.orders)
            if self.dice.random() < 0.5:
                act(self.shop, order, "cancel", {"restock": self.dice.random() < 0.7})
            else:
                pay(self.shop, order)
                act(self.shop, order, "fulfillments", some(order, 1))
                act(self.shop, order, "returns", some(order, 1))

    def expire(self) -> None:
        services = self.app.services
        exporter = self.runner.context.exporter_engine
        context = WorkerContext(
            services.settings, services.engine, exporter, services.waker, services.redis
        )
        expire_orders(context, utc_now() + timedelta(days=1))

    def bring(self) -> None:
        def row(code: int, size: int) -> dict[str, str]:
            flags = {
                "is_tracked": self.dice.choice(("true", "true", "false")),
                "is_open": self.dice.choice(("false", "false", "true")),
            }
            on_hand = str(self.dice.randrange(2))
            return {
                "code": f"P{code}",
                "size": f"S{size}",
                "price": "1",
                "on_hand": on_hand,
                **flags,
            }

        has_sizes = self.dice.random() < 0.5
        codes = range(4, 8) if has_sizes else self.dice.sample(range(4), 3)
        rows = [row(code, code * 10 + n) for code in codes for n in range(1 + has_sizes)]
        path = write_table(self.folder, "goods", self.dice.sample(rows, len(rows)))
        assert send(self.shop.api, [path], SIZES if has_sizes else GOODS).status == 202
        self.runner.run(utc_now())

    def write(self) -> None:
        with tenant_session(self.app.services.engine, self.shop.tenant_id) as session:
            session.execute(text("SELECT setseed(:seed)"), {"seed": self.dice.random()})
            session.execute(text(self.dice.choice(STATEMENTS)))


@pytest.mark.parametrize("seed", range(3))
def test_what_is_kept_is_what_is_there(
    app: App, shop: Shop, runner: ImportRunner, tmp_path: Path, seed: int
) -> None:
    dice = random.Random(seed)
    mutations = Mutations(app, shop, dice, runner, tmp_path)
    names = [
        n for n in vars(Mutations) if n[0] != "_" and n not in ("inventory", "products", "variant")
    ]
    done: list[str] = []
    for _ in range(4):
        mutations.create()
    seen: set[tuple[bool, bool]] = set()
    for _ in range(STEPS):
        done.append(dice.choice(names))
        getattr(mutations, done[-1])()
        with tenant_session(app.services.engine, shop.tenant_id) as session:
            kept, true = kept_and_true(session)
        assert kept == true, done
        # what a product tells is what it is found by
        told = {UUID(p["id"]): p["is_in_stock"] for p in mutations.products()}
        assert told == {key: flags[0] for key, flags in true.items()}
        seen |= set(kept.values())
    assert seen == {(a, b) for a in (True, False) for b in (True, False)}
    assert set(done) == set(names)


@contextmanager
def meanwhile(write: Callable[[], None]) -> Iterator[threading.Thread]:
    """A second writer, who begins before the first commits."""
    thread = threading.Thread(target=write)
    yield thread
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("goes", [True, False])
def test_two_who_turn_variants_of_one_product(app: App, shop: Shop, goes: bool) -> None:
    """Each alone would find the other's as it was."""
    start = 1 if goes else 0
    product = shop.product(
        variants=[{"title": v, "inventory": {"quantity": start}} for v in ("a", "b")]
    )
    first, second = (variant["id"] for variant in product["variants"])
    sold_out = "UPDATE stock_levels SET quantity = :quantity WHERE variant_id = :id"

    def turn(session: TenantSession, variant_id: str) -> None:
        session.execute(text(sold_out), {"quantity": 1 - start, "id": variant_id})

    def turn_second() -> None:
        with tenant_session(app.services.engine, shop.tenant_id) as session:
            turn(session, second)

    with (
        meanwhile(turn_second) as thread,
        tenant_session(app.services.engine, shop.tenant_id) as session,
    ):
        turn(session, first)
        thread.start()
        thread.join(0.3)
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        kept, true = kept_and_true(session)
    assert kept == true
    assert {flags[0] for flags in kept.values()} == {not goes}


@pytest.mark.parametrize("statement", ["INSERT", "DELETE"])
def test_two_who_add_or_take_variants_of_one_product(app: App, shop: Shop, statement: str) -> None:
    product = shop.product(variants=[{"title": v} for v in ("a", "b", "c")])
    ids = [variant["id"] for variant in product["variants"]]
    add = (
        "INSERT INTO variants (tenant_id, id, product_id, title, created_at, updated_at)"
        " SELECT tenant_id, gen_random_uuid(), product_id, title, now(), now() FROM variants"
        " WHERE id = :id"
    )
    take = "DELETE FROM variants WHERE id = :id"
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        if statement == "INSERT":
            session.execute(text("DELETE FROM variants WHERE id <> :id"), {"id": ids[0]})

    def change(session: TenantSession, variant_id: str) -> None:
        session.execute(text(add if statement == "INSERT" else take), {"id": variant_id})

    def change_too() -> None:
        with tenant_session(app.services.engine, shop.tenant_id) as session:
            change(session, ids[0] if statement == "INSERT" else ids[1])

    with (
        meanwhile(change_too) as thread,
        tenant_session(app.services.engine, shop.tenant_id) as session,
    ):
        change(session, ids[0])
        thread.start()
        thread.join(0.3)
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        kept, true = kept_and_true(session)
    assert kept == true
    assert {flags[1] for flags in kept.values()} == {statement == "INSERT"}
