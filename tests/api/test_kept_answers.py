"""No kept answer is older than what was written through the application: two processes on the same
stores, one that writes and one that reads.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shop_api.app import App, cached_routes, create_app
from shop_api.domains.catalog.repository import CatalogRepository
from shop_api.domains.search.repository import SearchRepository
from shop_api.spine import resources
from shop_api.web.cache_policies import FIGURES
from tests.factories.operations import Operation, make_request, operations
from tests.fixtures.api import Answered, ApiClient, Shop, open_shop
from tests.fixtures.stores import Database

# what becomes of a credential is seen at once
APP_SETTINGS = {"credential_cache_seconds": 0.0}

PRODUCTS, SEARCH = "/api/v1/products", "/api/v1/search"
CHANGES = [operation for operation in operations() if not operation.is_read]
# What answers are made of changes with these, by the first part of their path.
SHOWN = ("products", "categories", "customers", "orders", "inventory", "batch")
READS: list[tuple[str, dict[str, Any]]] = [
    (PRODUCTS, {"limit": 10}),
    (
        PRODUCTS,
        {
            "limit": 10,
            "sort": "inventory",
            "order": "asc",
            "in_stock": "true",
            "include_total": "true",
        },
    ),
    *((SEARCH, {"q": word, "limit": 10}) for word in ("t", "a", "1", "e", "u")),
]


class TwoProcesses:
    """A shop, whose owner writes in one process, and readers of another."""

    def __init__(self, writer: Shop, reader: App) -> None:
        self.shop = writer
        api = writer.api
        # what is shown of customers belongs to orders as well
        ada = api.post("/api/v1/customers", {"first_name": "Ada"}).json
        self.product = writer.product(name="Thing first")
        line = {"variant_id": self.product["variants"][0]["id"], "quantity": 1}
        api.post("/api/v1/orders", {"customer_id": ada["id"], "lines": [line]})
        page = api.post("/api/v1/api_keys", {"name": "page", "kind": "publishable"}).json["key"]
        tokens = (api.token, page)
        self.readers = [ApiClient(reader, api.checker, token) for token in tokens]

    def ask(self, *, now: bool = False) -> list[Answered]:
        """Every read by every reader; `now`: past whatever is kept."""
        detail: tuple[str, dict[str, Any]] = (f"{PRODUCTS}/{self.product['id']}", {})
        more = {"real_time": "true"} if now else {}
        return [
            reader.get(path, query=query | more)
            for reader in self.readers
            for path, query in [*READS, detail]
        ]


@pytest.fixture(scope="module")
def reader(
    database: Database, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[App]:
    data = tmp_path_factory.mktemp("reader")
    settings = database.settings(
        data, redis_url, credential_cache_seconds=0.0, cache_keeps_first=True
    )
    application = create_app(settings)
    yield application
    application.close()


@pytest.fixture(scope="module")
def two(api: ApiClient, reader: App) -> TwoProcesses:
    return TwoProcesses(open_shop(api), reader)


def bodies(answers: list[Answered]) -> list[bytes]:
    assert {answered.status for answered in answers} == {200}
    return [answered.body for answered in answers]


def all_hits(answers: list[Answered]) -> bool:
    return all(answered.headers["Cache-Status"].startswith("shop-api; hit") for answered in answers)


@pytest.mark.parametrize("operation", CHANGES, ids=str)
def test_what_one_process_writes_the_other_shows(two: TwoProcesses, operation: Operation) -> None:
    request = make_request(operation, two.shop)
    bodies(two.ask())
    kept = two.ask()
    assert all_hits(kept)
    assert request.send().status < 300
    after = bodies(two.ask())
    assert after == bodies(two.ask(now=True))


def test_what_is_written_is_seen_to_be_shown(two: TwoProcesses) -> None:
    """The changes above do show: were the answers the same, nothing would be told of them."""
    moved = []
    for operation in CHANGES:
        request = make_request(operation, two.shop)
        before = bodies(two.ask(now=True))
        request.send()
        if bodies(two.ask(now=True)) != before:
            moved.append(operation.path.split("/")[3])
    assert len(moved) >= 20, moved
    assert set(moved) <= set(SHOWN)


def test_what_is_not_shown_leaves_answers_kept(two: TwoProcesses) -> None:
    two.ask()
    api = two.shop.api
    assert api.post("/api/v1/locations", {"name": "Shelf", "code": "shelf-x"}).status == 201
    assert api.patch("/api/v1/tenant", {"name": "Renamed"}).status == 200
    assert all_hits(two.ask())


def test_another_tenant_s_changes_leave_answers_kept(two: TwoProcesses, other_shop: Shop) -> None:
    two.ask()
    other_shop.product()
    assert all_hits(two.ask())


@pytest.mark.parametrize(
    ("kind", "read", "path", "query"),
    [
        (CatalogRepository, "list_products", PRODUCTS, {"limit": "99"}),
        (SearchRepository, "list_products", SEARCH, {"q": "overtaken"}),
    ],
)
def test_what_was_read_before_a_change_is_not_kept_after_it(
    two: TwoProcesses,
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Any],
    read: str,
    path: str,
    query: dict[str, Any],
) -> None:
    """The reader has read; the writer commits and is answered; only then the reader keeps."""
    product = two.shop.product(name=f"Overtaken {kind.__name__}")
    first = getattr(kind, read)
    renamed = f"Overtaken {kind.__name__} and renamed"

    def then_written(self: Any, *arguments: Any, **options: Any) -> Any:
        found = first(self, *arguments, **options)
        monkeypatch.setattr(kind, read, first)
        path = f"{PRODUCTS}/{product['id']}"
        assert two.shop.api.patch(path, {"name": renamed}).status == 200
        return found

    monkeypatch.setattr(kind, read, then_written)
    old = two.readers[0].get(path, query=query)
    assert renamed.encode() not in old.body
    assert "stored" in old.headers["Cache-Status"]
    assert renamed.encode() in two.readers[0].get(path, query=query).body


def test_each_subject_of_an_event_says_what_it_touches(two: TwoProcesses, app: App) -> None:
    """An event of a subject that is not in the table makes all answers old, which is dear."""
    with app.services.engine.begin() as connection:
        connection.exec_driver_sql(
            "SELECT set_config('app.tenant_id', %s, true)", (str(two.shop.tenant_id),)
        )
        found = connection.exec_driver_sql("SELECT DISTINCT subject_type FROM events").scalars()
        assert set(found) <= set(resources.TOUCHED)


def test_every_kept_read_takes_real_time_and_no_other_does(app: App) -> None:
    kept = {
        template.replace("<id:", "{").replace(">", "}")
        for blueprint in app.flask.blueprints.values()
        for template, _ in getattr(blueprint, "cached_routes", ())
    }
    assert len(kept) >= 6
    takes = {o.path for o in operations() if "real_time" in o.query_names and o.method == "GET"}
    assert takes == kept


def test_a_replica_s_answers_are_not_kept(database: Database, redis_url: str) -> None:
    settings = database.settings(Path("var"), redis_url, database_read_url=database.application_url)
    routes = cached_routes(settings)
    assert routes.find(PRODUCTS) is None
    assert routes.find(SEARCH) is None
    assert routes.find("/api/v1/analytics/dashboard") is FIGURES
