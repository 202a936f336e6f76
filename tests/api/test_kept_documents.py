"""What a process keeps of products is what the database would answer, whoever wrote to it."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from shop_api.app import App, create_app
from shop_api.db.kept_documents import KeptDocument, KeptDocuments
from shop_api.db.tenancy import tenant_session
from shop_api.domains.catalog.repository import STATE, CatalogRepository
from shop_api.domains.product_documents.repository import STAFF_VIEW
from tests.fixtures.api import ApiClient, Shop, open_shop
from tests.fixtures.statements import statements
from tests.fixtures.stores import Database

PRODUCTS = "/api/v1/products"
STEPS = 30
# What reads make is looked at here, and some rows are written past the application: see
# test_kept_answers.py for answers that are kept.
APP_SETTINGS = {"cache_bytes": 0}

# every table a product's JSON is made from; each statement changes one row that is shown
WRITES = {
    "products": "UPDATE products SET name = name || '!' WHERE id = %(product)s",
    "statistics": "UPDATE products SET total_sales = total_sales + 1 WHERE id = %(product)s",
    "product_stats": "INSERT INTO product_stats (tenant_id, snapshot_id, files_digest, as_of,"
    " updated_at) VALUES (%(tenant)s, 1, 'x', now(), now()) ON CONFLICT (tenant_id)"
    " DO UPDATE SET as_of = product_stats.as_of + interval '1 second'",
    "variants": "UPDATE variants SET title = title || '!' WHERE id = %(variant)s",
    # the product's amount: all that changes is whose it is
    "own price": "UPDATE variants w SET price = CASE WHEN w.price IS NULL THEN p.price END"
    " FROM products p WHERE p.tenant_id = w.tenant_id AND p.id = w.product_id"
    " AND w.id = %(variant)s",
    "stock_levels": "UPDATE stock_levels SET quantity = quantity + 1"
    " WHERE variant_id = %(variant)s",
    "new location": "INSERT INTO stock_levels (tenant_id, variant_id, location_id, quantity,"
    " updated_at) SELECT %(tenant)s, %(variant)s, id, 5, now() FROM locations"
    " WHERE tenant_id = %(tenant)s AND NOT is_default ON CONFLICT DO NOTHING",
    "gone location": "DELETE FROM stock_levels l USING locations o WHERE o.tenant_id = l.tenant_id"
    " AND o.id = l.location_id AND NOT o.is_default AND l.variant_id = %(variant)s",
    "categories": "UPDATE categories SET name = name || '!' WHERE id = %(category)s",
    "hidden category": "UPDATE categories SET is_active = NOT is_active WHERE id = %(category)s",
    "in a category": "INSERT INTO product_categories (tenant_id, product_id, category_id)"
    " VALUES (%(tenant)s, %(product)s, %(category)s) ON CONFLICT DO NOTHING",
    "out of a category": "DELETE FROM product_categories WHERE product_id = %(product)s"
    " AND category_id = %(category)s",
    "new image": "INSERT INTO product_images (tenant_id, id, product_id, url, created_at,"
    " updated_at) VALUES (%(tenant)s, gen_random_uuid(), %(product)s, 'https://x.example/' ||"
    " random(), now(), now())",
    "images": "UPDATE product_images SET alt_text = alt_text || '!' WHERE product_id = %(product)s",
    "gone images": "DELETE FROM product_images WHERE product_id = %(product)s",
}
BEFORE = {
    "new location": ("gone location",),
    "gone location": ("new location",),
    "categories": ("in a category",),
    "hidden category": ("in a category",),
    "in a category": ("out of a category",),
    "out of a category": ("in a category",),
    "images": ("new image",),
    "gone images": ("new image",),
}


class Kept:
    """A shop of products with variants and categories, and both kinds of reader."""

    def __init__(self, app: App, anew: App, api: ApiClient, database: Database) -> None:
        self.app = app
        # another process, which keeps nothing
        self.anew = anew
        self.shop = open_shop(api)
        post = self.shop.api.post
        self.categories = [
            post("/api/v1/categories", {"name": f"C{n}", "slug": f"c{n}"}).json["id"]
            for n in range(2)
        ]
        assert post("/api/v1/locations", {"name": "Second", "code": "second"}).status == 201
        variants = [{"title": f"V{n}", "inventory": {"quantity": n}} for n in range(2)]
        self.products = [
            self.shop.product(name=f"P{n}", variants=variants, category_ids=self.categories[:1])
            for n in range(3)
        ]
        key = post("/api/v1/api_keys", {"name": "page", "kind": "publishable"}).json["key"]
        self.readers = [self.shop.api, self.shop.api.with_token(key)]
        self.connection = psycopg.connect(database.migrator_url, autocommit=True)

    def write(self, name: str, draw: random.Random | None = None) -> None:
        choose: Callable[[list[Any]], Any] = draw.choice if draw else lambda found: found[0]
        product = choose(self.products)
        values = {
            "tenant": self.shop.tenant_id,
            "product": product["id"],
            "variant": choose(product["variants"])["id"],
            "category": choose(self.categories),
        }
        self.connection.execute(WRITES[name], values)

    def answers(self, app: App | None = None) -> list[bytes]:
        asked = [PRODUCTS, *(f"{PRODUCTS}/{product['id']}" for product in self.products)]
        return [
            ApiClient(app or self.app, reader.checker, reader.token).get(path, query=query).body
            for reader in self.readers
            for path, query in [*((path, {}) for path in asked), (PRODUCTS, {"min_price": "1"})]
        ]

    def made_anew(self) -> list[bytes]:
        return self.answers(self.anew)


@pytest.fixture(scope="module")
def kept(
    app: App,
    api: ApiClient,
    database: Database,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Kept]:
    data = tmp_path_factory.mktemp("anew")
    anew = create_app(database.settings(data, redis_url, document_bytes=0, cache_bytes=0))
    shop = Kept(app, anew, api, database)
    yield shop
    shop.connection.close()
    anew.close()


@pytest.mark.parametrize("name", WRITES)
def test_what_is_written_shows_in_the_next_answer(kept: Kept, name: str) -> None:
    # what takes away has something to take, and what adds has room
    for before in BEFORE.get(name, ()):
        kept.write(before)
    before_answers = kept.answers()
    kept.write(name)
    answers = kept.answers()
    assert answers != before_answers
    assert answers == kept.made_anew()


def test_random_writes_show_in_every_answer(kept: Kept) -> None:
    draw = random.Random(20_261_127)
    names = sorted(WRITES)
    for _ in range(STEPS):
        for _ in range(draw.randint(1, 3)):
            kept.write(draw.choice(names), draw)
        answers = kept.answers()
        assert answers == kept.made_anew()


def test_what_is_kept_is_not_asked_for_again(app: App, kept: Kept) -> None:
    kept.answers()
    with statements(app.services.engine) as sent:
        kept.answers()
    assert not [text for text, _ in sent if "json_instant(p.created_at)" in text]


def test_products_written_between_the_two_questions_are_read_from_one(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A filter holds of what the page shows, also when the product has left it meanwhile."""
    path, query = PRODUCTS, {"status": "active"}
    shown = len(kept.shop.api.get(path, query=query).json["data"])
    first = CatalogRepository._page

    def then_archived(self: CatalogRepository, *arguments: Any) -> Any:
        found = first(self, *arguments)
        if arguments[-1] == STATE:
            kept.connection.execute(
                "UPDATE products SET status = 'archived' WHERE id = %s", (kept.products[0]["id"],)
            )
        return found

    kept.write("products")
    with monkeypatch.context() as patch:
        patch.setattr(CatalogRepository, "_page", then_archived)
        answered = kept.shop.api.get(path, query=query)
    assert len(answered.json["data"]) == shown - 1
    assert {product["status"] for product in answered.json["data"]} == {"active"}
    kept.connection.execute("UPDATE products SET status = 'active'")


def test_another_server_s_rows_are_other_rows(app: App, kept: Kept) -> None:
    """After a restore or a failover rows may have the same xmin as others had before."""
    values = {"tenant_id": kept.shop.tenant_id, "product_id": kept.products[0]["id"]}
    started = "SELECT extract(epoch FROM pg_postmaster_start_time())::text"
    with tenant_session(app.services.engine, kept.shop.tenant_id) as session:
        (row,) = session.fetch(STAFF_VIEW.states_of_one, values)
        (server,) = session.fetch(started, {})[0]
    assert row.state.split(" ")[1] == server


def test_where_nothing_is_kept_a_page_is_one_statement(kept: Kept) -> None:
    with statements(kept.anew.services.engine) as sent:
        kept.answers(kept.anew)
    pages = [text for text, _ in sent if " LIMIT " in text.replace("\n", " ")]
    # two lists and three products, of two readers
    assert len(pages) == 2 * 2
    assert len([text for text, _ in sent if "FROM products p" in text]) == 2 * 3


def test_readers_of_two_kinds_and_tenants_share_nothing(kept: Kept, other_shop: Shop) -> None:
    product = f"{PRODUCTS}/{kept.products[0]['id']}"
    staff, public = (reader.get(product).json for reader in kept.readers)
    assert staff["total_sales"] is not None
    assert public["total_sales"] is None
    assert other_shop.api.get(product).status == 404


def test_documents_are_kept_within_their_bytes() -> None:
    kept = KeptDocuments(100_000)
    for number in range(1000):
        kept.keep(str(number), KeptDocument("1", "x" * 1000))
    assert len(kept) * 1400 <= 100_000
    assert kept.find("999") is not None
    assert kept.find("500") is None
    kept.keep("large", KeptDocument("1", "x" * 60_000))
    assert kept.find("large") is None


def test_what_is_asked_for_stays() -> None:
    kept = KeptDocuments(100_000)
    kept.keep("asked", KeptDocument("1", "x"))
    for number in range(1000):
        kept.keep(str(number), KeptDocument("1", "x" * 1000))
        assert kept.find("asked") == KeptDocument("1", "x")


def test_nothing_is_kept_in_no_bytes() -> None:
    kept = KeptDocuments(0)
    kept.keep("a", KeptDocument("1", ""))
    assert len(kept) == 0
