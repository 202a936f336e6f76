"""Erasing a customer: nothing says who it was, in no table and no file; what was sold stays."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import polars as pl
import psycopg

from analytics.contracts import CONTRACTS
from analytics.lake import Lake
from pipelines.runner import run_export
from pipelines.verification import run_verify
from shop_api.app import App
from shop_api.db.tenancy import tenant_session
from shop_api.kernel.clock import utc_now
from shop_api.kernel.principal import ROLE_SCOPES
from shop_api.models import metadata
from tests.factories.operations import import_form
from tests.fixtures.api import Answered, Shop
from tests.fixtures.lake import new_lake, published, rows
from tests.fixtures.stores import Database

CUSTOMERS = "/api/v1/customers"
ORDERS = "/api/v1/orders"
PERSON: dict[str, Any] = {
    "email": "zelda@erased.example",
    "first_name": "Zeldanya",
    "last_name": "Quillfeather",
    "phone": "+39 555 010 7734",
    "tags": ["quillfeather-vip"],
    "external_id": "zelda@erased.example",
}
# the telephone as it was written, as bare digits, and as a word of a search vector: its last digits
# alone are in some timestamp or id sooner or later
TRACES = (
    "zelda@",
    "erased.example",
    "zeldanya",
    "quillfeather",
    "010 7734",
    "0107734",
    "'7734'",
    "whispering lane",
)
PLACE = {
    "recipient": "Zeldanya Quillfeather",
    "phone": PERSON["phone"],
    "line1": "Whispering Lane 7",
    "city": "Torino",
    "region": "TO",
    "country": "IT",
}
MAPPING = b"""
name: people
timezone: tenant
decimal_mark: "."
files:
  goods: {name: goods.csv}
entities:
  customers:
    from: goods
    fields: {external_id: code, first_name: title, email: price}
"""


def sold_to(shop: Shop, customer_id: str) -> dict[str, Any]:
    """An order of the customer that went through everything, told with their name all along."""
    name = "for Zeldanya Quillfeather"
    table = {"kind": "table", "name": "Table 4", "note": name}
    session_id = shop.api.post("/api/v1/sessions", table, key="table").json["id"]
    body = {
        "lines": [{"variant_id": shop.product()["variants"][0]["id"], "quantity": 2}],
        "customer_id": customer_id,
        "session_id": session_id,
        "shipping_address": PLACE,
        "billing_address": PLACE,
        "note": name,
    }
    order: dict[str, Any] = shop.api.post(ORDERS, body, key="order").json
    path = f"{ORDERS}/{order['id']}"
    shop.api.patch(path, {"note": f"Ring twice, {name}"}, key="note")
    paid = {"method": "cash", "reference": "Transfer of Z. Quillfeather"}
    assert shop.api.post(f"{path}/payments", paid, key="paid").status == 201
    sent = {"carrier": "DHL", "tracking_number": "quillfeather-1"}
    assert shop.api.post(f"{path}/fulfillments", sent, key="sent").status == 201
    line = {"line_id": order["lines"][0]["id"], "quantity": 1}
    for kind in ("returns", "refunds"):
        back = shop.api.post(f"{path}/{kind}", {"lines": [line], "reason": name}, key=kind)
        assert back.status == 201
    cancelled = shop.api.post(ORDERS, body, key="order-2").json
    shop.api.post(f"{ORDERS}/{cancelled['id']}/cancel", {"reason": name}, key="cancel")
    found: dict[str, Any] = shop.api.get(path).json
    return found


def known(shop: Shop) -> str:
    """A customer with an address book; every answer about them is kept."""
    customer_id: str = shop.api.post(CUSTOMERS, PERSON, key="made").json["id"]
    path = f"{CUSTOMERS}/{customer_id}"
    assert shop.api.post(f"{path}/addresses", PLACE, key="address").status == 201
    shop.api.patch(path, {"first_name": "Zeldanya-Maria"}, key="changed")
    inner = {"method": "PATCH", "path": path, "body": {"first_name": "Zeldanya"}}
    assert shop.api.post("/api/v1/batch", {"requests": [inner]}, key="batch").status == 200
    return customer_id


def erase(shop: Shop, customer_id: str, **options: Any) -> Answered:
    return shop.api.post(f"{CUSTOMERS}/{customer_id}/erase", **options)


def found_in_postgres(database: Database, tenant_id: UUID) -> dict[str, str]:
    """Where in all tables a trace is: text, JSON, lists, words of searches and bytes."""
    found = {}
    with psycopg.connect(database.migrator_url) as connection:
        for table in metadata.sorted_tables:
            if "tenant_id" not in table.c:
                continue
            for column in table.c:
                value = f'"{column.name}"::text'
                if str(column.type) in ("BLOB", "BYTEA", "LARGEBINARY"):
                    value = f"encode(\"{column.name}\", 'escape')"
                query = f"SELECT {value} FROM {table.name} WHERE tenant_id = %s"
                for (text,) in connection.execute(query.encode(), (tenant_id,)):
                    for trace in TRACES:
                        if trace in (text or "").lower():
                            found[f"{table.name}.{column.name}"] = text
    return found


def found_in_files(files: list[str]) -> list[str]:
    """Files in which a trace is, whatever they are compressed by."""
    return [
        path
        for path in files
        for trace in TRACES
        if trace in str(pl.read_parquet(path, hive_partitioning=False).rows()).lower()
    ]


def test_nothing_says_who_it_was_and_what_was_sold_stays(
    shop: Shop, database: Database, tmp_path: Path
) -> None:
    customer_id = known(shop)
    order = sold_to(shop, customer_id)
    lake = new_lake(database, tmp_path / "lake")
    run_export(lake, utc_now())
    before = found_in_postgres(database, shop.tenant_id)
    assert {name.split(".")[0] for name in before} >= {
        *("customers", "customer_addresses", "orders", "payments", "fulfillments"),
        *("refunds", "returns", "sessions", "idempotency_records"),
    }
    assert "customers.search" in before

    answered = erase(shop, customer_id)
    assert answered.status == 200
    erased = answered.json
    assert (
        erased.items()
        >= {
            "id": customer_id,
            "email": None,
            "first_name": "",
            "last_name": "",
            "phone": None,
            "tags": [],
            "external_id": None,
        }.items()
    )
    assert erased["erased_at"] is not None
    assert found_in_postgres(database, shop.tenant_id) == {}

    # what was sold is told as before, where to only roughly
    after = shop.api.get(f"{ORDERS}/{order['id']}").json
    for address in (after["shipping_address"], after["billing_address"]):
        kept = {part: said for part, said in address.items() if said is not None}
        assert kept == {"country": "IT", "region": "TO"}
    untold = ("shipping_address", "billing_address", "note", "payments", "updated_at")
    assert {name: v for name, v in after.items() if name not in untold} == {
        name: v for name, v in order.items() if name not in untold
    }
    history = shop.api.get(f"{CUSTOMERS}/{customer_id}/orders").json["data"]
    assert len(history) == 2
    run_export(lake, utc_now())
    assert run_verify(lake, utc_now()).differences == []
    [dimension] = rows(lake, "dim_customers").filter(customer_id=customer_id).to_dicts()
    assert (dimension["orders"], dimension["country"], dimension["region"]) == (1, None, None)
    [fact] = rows(lake, "orders").filter(order_id=order["id"]).to_dicts()
    assert (fact["customer_id"], fact["country"]) == (customer_id, "IT")
    snapshot, files = published(lake), Lake(lake.location)
    current = [
        path for table in CONTRACTS for path in files.files(table, snapshot, str(shop.tenant_id))
    ]
    assert len(current) > 5
    assert found_in_files(current) == []


def test_an_erased_customer_neither_orders_nor_changes(shop: Shop) -> None:
    customer_id = known(shop)
    line = {"variant_id": shop.product()["variants"][0]["id"], "quantity": 1}
    order = {"lines": [line], "customer_id": customer_id}
    order_id = shop.api.post(ORDERS, order).json["id"]
    path = f"{CUSTOMERS}/{customer_id}"
    [address] = shop.api.get(f"{path}/addresses").json["data"]
    first = erase(shop, customer_id)
    assert shop.api.get(path).json == first.json
    refused = [
        shop.api.post(ORDERS, order),
        shop.api.patch(path, {"first_name": "Zeldanya"}),
        shop.api.post(f"{path}/addresses", PLACE),
        shop.api.patch(f"{path}/addresses/{address['id']}", {"label": "Home"}),
        shop.api.patch(f"{ORDERS}/{order_id}", {"shipping_address": PLACE}),
    ]
    assert {(answer.status, answer.code) for answer in refused} == {(409, "customer_erased")}
    assert shop.api.get(f"{path}/addresses").json["data"] == []
    # and again is no other thing
    again = erase(shop, customer_id)
    assert (again.status, again.body) == (200, first.body)
    assert again.headers["ETag"] == first.headers["ETag"]
    stale = erase(shop, customer_id, headers={"If-Match": '"1-0"'})
    assert stale.status == 412
    # another may have the address
    assert shop.api.post(CUSTOMERS, PERSON).status == 201


def test_a_request_sent_again_tells_nothing_and_does_nothing(shop: Shop) -> None:
    customer_id = known(shop)
    kept = erase(shop, customer_id, key="erase")
    again = shop.api.post(CUSTOMERS, PERSON, key="made")
    assert (again.status, again.code) == (409, "customer_erased")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert shop.api.get(CUSTOMERS, query={"include_total": "true"}).json["total"] == 1
    # its own answer stays, byte for byte
    replayed = erase(shop, customer_id, key="erase")
    assert (replayed.body, replayed.headers["Idempotency-Replayed"]) == (kept.body, "true")


def test_a_batch_sent_again_tells_nothing_and_does_nothing(shop: Shop) -> None:
    """Its answer is kept encrypted, and may be of anybody."""
    customer_id = known(shop)
    reading = {"method": "GET", "path": f"{CUSTOMERS}/{customer_id}"}
    writing = {"method": "POST", "path": CUSTOMERS, "body": {"first_name": "Neighbour"}}
    body = {"requests": [reading, writing]}
    told = shop.api.post("/api/v1/batch", body, key="told")
    assert b"Zeldanya" in told.body
    erase(shop, customer_id)
    again = shop.api.post("/api/v1/batch", body, key="told")
    assert b"Zeldanya" not in again.body
    first, second = (answer["responses"][1] for answer in (told.json, again.json))
    assert second["headers"]["Idempotency-Replayed"] == "true"
    assert second["body"] == first["body"]
    assert shop.api.get(CUSTOMERS, query={"include_total": "true"}).json["total"] == 2


def test_a_batch_during_which_somebody_is_erased_is_not_kept(shop: Shop) -> None:
    customer_id = known(shop)
    requests = [
        {"method": "GET", "path": f"{CUSTOMERS}/{customer_id}"},
        {"method": "POST", "path": f"{CUSTOMERS}/{customer_id}/erase"},
    ]
    told = shop.api.post("/api/v1/batch", {"requests": requests}, key="both")
    assert [answer["status"] for answer in told.json["responses"]] == [200, 200]
    again = shop.api.post("/api/v1/batch", {"requests": requests}, key="both")
    assert "Idempotency-Replayed" not in again.headers
    assert b"Zeldanya" not in again.body


def test_others_keep_what_is_theirs(shop: Shop, other_shop: Shop, database: Database) -> None:
    body = {**PERSON, "email": "other@kept.example", "external_id": "o"}
    neighbour = shop.api.post(CUSTOMERS, body, key="other").json["id"]
    foreign = known(other_shop)
    before = found_in_postgres(database, other_shop.tenant_id)
    erase(shop, known(shop))
    assert shop.api.get(f"{CUSTOMERS}/{neighbour}").json["last_name"] == "Quillfeather"
    assert shop.api.post(CUSTOMERS, body, key="other").json["id"] == neighbour
    assert found_in_postgres(database, other_shop.tenant_id) == before
    assert other_shop.api.get(f"{CUSTOMERS}/{foreign}").json["email"] == PERSON["email"]


def test_what_an_import_refused_is_forgotten(app: App, shop: Shop, database: Database) -> None:
    customer_id = known(shop)
    form, kind = import_form(MAPPING)
    job_id = shop.api.post("/api/v1/imports", data=form, content_type=kind).json["id"]
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        for place, reason in enumerate((f"'{PERSON['email'].upper()}' is taken", "Not a number.")):
            session.connection.exec_driver_sql(
                "INSERT INTO job_rejects (tenant_id, job_id, position, file, row, reason)"
                " VALUES (%s, %s, %s, 'people.csv', 1, %s)",
                (shop.tenant_id, job_id, place, reason),
            )
    erase(shop, customer_id)
    assert found_in_postgres(database, shop.tenant_id) == {}
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        kept = session.connection.exec_driver_sql(
            "SELECT reason FROM job_rejects ORDER BY position"
        )
        assert [row[0] for row in kept] == [
            "A value of a customer who was erased since.",
            "Not a number.",
        ]


def test_an_order_at_the_same_moment_is_erased_or_refused(shop: Shop, database: Database) -> None:
    variant_id = shop.product(quantity=1000)["variants"][0]["id"]
    for _ in range(5):
        customer_id = shop.api.post(CUSTOMERS, {"first_name": "Zeldanya"}).json["id"]
        order = {
            "lines": [{"variant_id": variant_id, "quantity": 1}],
            "customer_id": customer_id,
            "shipping_address": PLACE,
        }
        with ThreadPoolExecutor(4) as pool:
            placing = [pool.submit(shop.api.post, ORDERS, order) for _ in range(6)]
            assert erase(shop, customer_id).status == 200
            assert {future.result().status for future in placing} <= {201, 409}
    assert found_in_postgres(database, shop.tenant_id) == {}


def test_owners_and_admins_erase() -> None:
    assert {role for role, scopes in ROLE_SCOPES.items() if "customers:erase" in scopes} == {
        "owner",
        "admin",
    }
