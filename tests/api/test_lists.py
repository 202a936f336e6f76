"""Keyset lists: every row once, in order, in both directions, while rows come and go."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import ColumnElement, NullPool, create_engine, text

from shop_api.app import App
from shop_api.db.engines import sqlalchemy_url
from shop_api.db.tenancy import tenant_session
from shop_api.kernel.ids import new_id
from tests.factories.lists import CASES, START, ListCase, defaults
from tests.fixtures.api import Answered, ApiClient, Shop, open_shop

each_list = pytest.mark.parametrize("listed", CASES, ids=str)

# rows are written past the application here
APP_SETTINGS = {"cache_bytes": 0}


@pytest.fixture(scope="module")
def shop(api: ApiClient) -> Shop:
    """One shop; each test empties the list it tries."""
    return open_shop(api)


class Rows:
    """Rows of one list, written and deleted as other clients would."""

    def __init__(self, app: App, shop: Shop, listed: ListCase) -> None:
        self.engine = app.services.engine
        # history is deleted by nobody else
        url = sqlalchemy_url(str(app.services.settings.migrator_database_url))
        self.owner = create_engine(url, poolclass=NullPool)
        self.shop = shop
        self.listed = listed

    def clear(self) -> set[str]:
        """Delete what can be deleted; the ids that stay (the shop's own key, user, location)."""
        table = self.listed.table
        self._delete(table.c.created_at < START + MONTH)
        with tenant_session(self.engine, self.shop.tenant_id) as session:
            kept = session.execute(table.select().with_only_columns(table.c.id))
            return {str(row_id) for row_id in kept.scalars()}

    def add(self, values: list[int]) -> list[str]:
        ids = [new_id(START) for _ in values]
        table = self.listed.table
        rows = []
        for row_id, value in zip(ids, values, strict=True):
            stamps = {c: START for c in ("created_at", "updated_at") if c in table.c}
            row = {**stamps, **defaults(table, row_id), **self.listed.values(value)}
            rows.append({"tenant_id": self.shop.tenant_id, "id": row_id, **row})
        if rows:
            with tenant_session(self.engine, self.shop.tenant_id) as session:
                session.execute(table.insert(), rows)
        return [str(row_id) for row_id in ids]

    def remove(self, ids: list[str]) -> None:
        self._delete(self.listed.table.c.id.in_([UUID(i) for i in ids]))

    def _delete(self, condition: ColumnElement[bool]) -> None:
        table = self.listed.table
        with self.owner.begin() as connection:
            mine = table.c.tenant_id == self.shop.tenant_id
            connection.execute(table.delete().where(mine, condition))

    def in_order(self, order: str) -> list[str]:
        """The ids as Postgres orders them."""
        direction = "DESC" if order == "desc" else "ASC"
        column = self.listed.column
        query = (
            f"SELECT id FROM {self.listed.table.name} ORDER BY {column} {direction}, id {direction}"
        )
        with tenant_session(self.engine, self.shop.tenant_id) as session:
            return [str(row_id) for row_id in session.execute(text(query)).scalars()]


MONTH = timedelta(days=31)
# more than any list here has
MAX_PAGES = 50


def ids_of(answered: Answered) -> list[str]:
    assert answered.status == 200, answered.body
    return [row["id"] for row in answered.json["data"]]


def walk(shop: Shop, listed: ListCase, limit: int, **query: Any) -> Iterator[list[str]]:
    """The pages forwards, by end_cursor."""
    after: dict[str, str] = {}
    for _ in range(MAX_PAGES):
        answered = shop.api.get(listed.path, query=listed.query(limit=limit, **query, **after))
        yield ids_of(answered)
        info = answered.json["page_info"]
        assert info["has_previous_page"] == bool(after)
        if not info["has_next_page"]:
            return
        after = {"after": info["end_cursor"]}
    pytest.fail("the pages never end")


def walk_back(shop: Shop, listed: ListCase, limit: int, **query: Any) -> Iterator[list[str]]:
    """The pages backwards, from the last one, by start_cursor."""
    asked: dict[str, Any] = {"last": limit}
    for _ in range(MAX_PAGES):
        answered = shop.api.get(listed.path, query=listed.query(**asked, **query))
        yield ids_of(answered)
        info = answered.json["page_info"]
        if not info["has_previous_page"]:
            return
        asked = {"last": limit, "before": info["start_cursor"]}
    pytest.fail("the pages never end")


@each_list
def test_both_directions_give_each_row_once(app: App, shop: Shop, listed: ListCase) -> None:
    rows = Rows(app, shop, listed)

    @settings(
        max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(
        values=st.lists(st.integers(0, 5), max_size=14),
        limit=st.integers(1, 5),
        order=st.sampled_from(["asc", "desc"]),
    )
    def check(values: list[int], limit: int, order: str) -> None:
        rows.clear()
        rows.add(values)
        expected = rows.in_order(order)
        forwards = [i for page in walk(shop, listed, limit, order=order) for i in page]
        assert forwards == expected
        backwards = list(walk_back(shop, listed, limit, order=order))
        assert [i for page in reversed(backwards) for i in page] == expected
        answered = shop.api.get(listed.path, query=listed.query(include_total="true"))
        assert answered.json["total"] == len(expected)

    check()


@each_list
def test_rows_that_come_and_go_disturb_nobody_else(app: App, shop: Shop, listed: ListCase) -> None:
    rows = Rows(app, shop, listed)
    rows.clear()
    lasting = rows.add([1, 1, 2, 2, 2, 3, 4, 4])
    passing = rows.add([0, 1, 2, 3, 4])
    stay = set(lasting)
    seen: list[str] = []
    for index, page in enumerate(walk(shop, listed, 2)):
        seen += page
        # what was just shown may go, and others come before and behind
        rows.remove([i for i in page if i in passing])
        if index < 4:
            rows.add([index, 5])
    shown = [row_id for row_id in seen if row_id in stay]
    expected = [row_id for row_id in rows.in_order(listed.default_order) if row_id in stay]
    assert shown == expected
    assert len(set(seen)) == len(seen)


@each_list
def test_the_link_header_walks_too(app: App, shop: Shop, listed: ListCase) -> None:
    rows = Rows(app, shop, listed)
    rows.clear()
    rows.add([3, 1, 2, 2, 0])
    expected = rows.in_order(listed.default_order)
    links = {"next": f"{listed.path}?limit=2" + (f"&sort={listed.sort}" * listed.names_sort)}
    seen: list[str] = []
    while "next" in links:
        answered, links = follow(shop, links["next"])
        seen += ids_of(answered)
    assert seen == expected
    back: list[str] = []
    while "prev" in links:
        answered, links = follow(shop, links["prev"])
        back = ids_of(answered) + back
    assert back == expected[: len(back)]
    assert len(back) >= len(expected) - 2


def follow(shop: Shop, link: str) -> tuple[Answered, dict[str, str]]:
    parts = urlsplit(link)
    answered = shop.api.get(parts.path, query=dict(parse_qsl(parts.query)))
    links = {}
    for part in answered.headers.get("Link", "").split(", "):
        if part:
            target, relation = part.split("; ")
            links[relation.removeprefix('rel="').removesuffix('"')] = target[1:-1]
    return answered, links


@each_list
def test_cursors_of_elsewhere_are_refused(
    app: App, shop: Shop, api: ApiClient, listed: ListCase
) -> None:
    rows = Rows(app, shop, listed)
    rows.clear()
    rows.add([1, 2, 3])
    cursor = shop.api.get(listed.path, query=listed.query(limit=1)).json["page_info"]["end_cursor"]
    other = "asc" if listed.default_order == "desc" else "desc"
    refused = [
        shop.api.get(listed.path, query=listed.query(after=cursor, order=other)),
        open_shop(api).api.get(listed.path, query=listed.query(after=cursor)),
        *[
            shop.api.get(each.path, query=each.query(after=cursor))
            for each in CASES
            if str(each) != str(listed)
        ],
        *[shop.api.get(listed.path, query=listed.query(after=bad)) for bad in damaged(cursor)],
        *[shop.api.get(listed.path, query=listed.query(before=bad)) for bad in damaged(cursor)],
    ]
    assert {(a.status, a.code) for a in refused} == {(400, "invalid_cursor")}
    assert shop.api.get(listed.path, query=listed.query(after=cursor)).status == 200
    # page sizes may change on the way; filters may not
    assert shop.api.get(listed.path, query=listed.query(after=cursor, limit=7)).status == 200


def damaged(cursor: str) -> list[str]:
    flipped = "B" if cursor[0] != "B" else "C"
    return [
        "",
        "x",
        "AAAA",
        "é",
        "\N{SNOWMAN}" * 10,
        "!" + cursor,
        cursor + "!",
        cursor + "=",
        cursor[:-2],
        flipped + cursor[1:],
        cursor[:20] + flipped + cursor[21:],
        cursor * 2,
        "A" * 2000,
    ]


def test_a_cursor_is_bound_to_its_filter(shop: Shop) -> None:
    for price in ("1.00", "2.00", "3.00"):
        shop.product(price, tags=["bound"])
    query = {"tags": "bound", "min_price": "1.00", "limit": 1}
    cursor = shop.api.get("/api/v1/products", query=query).json["page_info"]["end_cursor"]
    again = shop.api.get("/api/v1/products", query={**query, "after": cursor})
    assert again.status == 200
    for other in ({**query, "min_price": "1.01"}, {"tags": "bound"}, {**query, "status": "draft"}):
        answered = shop.api.get("/api/v1/products", query={**other, "after": cursor})
        assert (answered.status, answered.code) == (400, "invalid_cursor")


@each_list
@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "-1"},
        {"limit": "abc"},
        {"limit": "1.0"},
        {"limit": "1_0"},
        {"limit": "٣"},
        {"limit": ""},
        {"first": "101"},
        {"last": "0"},
        {"limit": "5", "first": "5"},
        {"order": "sideways"},
        {"include_total": "yes"},
        {"limit": ["1", "2"]},
    ],
    ids=str,
)
def test_pages_of_another_size_are_refused(
    shop: Shop, listed: ListCase, query: dict[str, Any]
) -> None:
    answered = shop.api.get(listed.path, query=query)
    assert (answered.status, answered.code) == (400, "invalid_parameter")
    assert answered.json["errors"][0]["pointer"] in query


def test_a_page_before_the_first_row_says_that_more_follows(shop: Shop) -> None:
    for _ in range(2):
        shop.api.post("/api/v1/customers", {"first_name": "x", "tags": ["edge"]})
    query = {"tags": "edge"}
    info = shop.api.get("/api/v1/customers", query=query).json["page_info"]
    for side, cursor, flag in (
        ("before", "start_cursor", "has_next_page"),
        ("after", "end_cursor", "has_previous_page"),
    ):
        page = shop.api.get("/api/v1/customers", query={**query, side: info[cursor]}).json
        assert page["data"] == []
        assert page["page_info"][flag] is True


def test_the_default_page_is_twenty(shop: Shop) -> None:
    for _ in range(21):
        shop.api.post("/api/v1/customers", {"first_name": uuid4().hex, "tags": ["many"]})
    page = shop.api.get("/api/v1/customers", query={"tags": "many"}).json
    assert len(page["data"]) == 20
    assert page["page_info"]["has_next_page"] is True
    assert "total" not in page
