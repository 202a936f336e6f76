"""The second wall: a repository that names another tenant finds nothing and changes nothing.

Each method of each repository is called in a transaction of one tenant, with the id and the rows of
another. Row-level security must refuse what the repository's own condition lets through.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import Row, text
from sqlalchemy.exc import DBAPIError, NoResultFound

from shop_api import domains
from shop_api.app import App
from shop_api.db.keyset import KeysetPage
from shop_api.db.tenancy import Repository, TenantSession, tenant_session
from shop_api.domains.accounts.repository import AccountRepository
from shop_api.domains.api_keys import repository as api_keys
from shop_api.domains.api_keys.repository import KeyRepository
from shop_api.domains.audit import repository as audit
from shop_api.domains.audit.repository import AuditRepository
from shop_api.domains.batch.repository import BatchRepository
from shop_api.domains.bulk_edits.repository import BulkEditRepository
from shop_api.domains.imports import repository as imports
from shop_api.domains.imports.repository import JobRepository
from shop_api.domains.insights.repository import HoldRepository
from shop_api.domains.invitations import repository as invitations
from shop_api.domains.invitations.repository import InvitationRepository
from shop_api.domains.notifications.repository import (
    NOTIFICATION_SORTS,
    NotificationRepository,
)
from shop_api.domains.pipeline_runs.repository import SHARES_BY_START, ShareRepository
from shop_api.domains.pricing.repository import PricingRepository
from shop_api.domains.reports import repository as reports
from shop_api.domains.reports.repository import ReportRepository
from shop_api.domains.search.repository import SearchRepository
from shop_api.domains.tenants.repository import TenantRepository
from shop_api.domains.users import repository as users
from shop_api.domains.users.repository import UserRepository
from shop_api.kernel.ids import new_id
from shop_api.models import (
    PLATFORM_TABLES,
    job_rejects,
    lake_quarantine,
    lake_snapshots,
    metadata,
    notices,
    notifications,
    pipeline_run_shares,
    pipeline_runs,
)
from tests.factories.addresses import booked_address
from tests.factories.calls import (
    NOW,
    STAMPS,
    Arguments,
    change,
    listed,
    no_filters,
    nothing,
    one,
    page,
)
from tests.factories.catalog_calls import CATALOG_CALLS
from tests.factories.customer_calls import CUSTOMER_CALLS
from tests.factories.operations import SUBJECTS, make_report
from tests.factories.order_calls import ORDER_CALLS, lived_order
from tests.factories.pricing import PRICING, discounted_order
from tests.factories.webhooks import WEBHOOK_CALLS
from tests.fixtures.api import ApiClient, Shop, open_shop
from tests.fixtures.stores import Database

LATER = datetime(2999, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Victim:
    """A shop with one of everything."""

    shop: Shop
    product: dict[str, Any]
    ids: dict[str, UUID]

    @property
    def variant_id(self) -> UUID:
        return UUID(self.product["variants"][0]["id"])


def a_key(_: Victim) -> tuple[dict[str, Any]]:
    secret = {"prefix": "sk_", "key_hash": uuid4().bytes, "scopes": []}
    return ({"id": new_id(NOW), "name": "x", "kind": "secret", **secret, **STAMPS},)


def a_user(_: Victim) -> tuple[dict[str, Any]]:
    who = {"email": f"{uuid4().hex}@x.io", "name": "x", "role": "owner", "password_hash": ""}
    return ({"id": new_id(NOW), **who, **STAMPS},)


def an_invitation(_: Victim) -> tuple[dict[str, Any]]:
    who = {"email": f"{uuid4().hex}@x.io", "role": "owner", "invited_by": "user:x"}
    return ({"id": new_id(NOW), **who, "token_hash": uuid4().bytes, "expires_at": NOW, **STAMPS},)


def a_refresh_token(victim: Victim) -> tuple[dict[str, Any]]:
    times = {"created_at": NOW, "expires_at": NOW}
    token = {"family_id": uuid4(), "token_hash": uuid4().bytes}
    return ({"id": new_id(NOW), "user_id": victim.ids["user_id"], **token, **times},)


def a_tenant(_: Victim) -> tuple[dict[str, Any]]:
    names = {"name": "x", "slug": uuid4().hex, "plan": "free"}
    return ({**names, "currency": "USD", "timezone": "UTC", **STAMPS},)


CASES: dict[type[Repository], dict[str, Arguments]] = {
    AccountRepository: {
        "add_refresh_token": a_refresh_token,
        "find_user": lambda victim: (victim.ids["user_id"], victim.ids["family_id"]),
        "lock_user": one("user_id"),
        "revoke_family": lambda victim: (victim.ids["family_id"], NOW),
        "revoke_sessions": lambda victim: (victim.ids["owner_id"], NOW),
        "touch_key": lambda victim: (victim.ids["key_id"], NOW),
        "use_refresh_token": lambda victim: (victim.ids["token_id"], NOW),
    },
    KeyRepository: {
        "add": a_key,
        "change": change("key_id", name="taken over"),
        "count": nothing,
        "find": one("key_id"),
        "list_page": lambda _: (page(api_keys.KEYS_BY_CREATED_AT),),
    },
    NotificationRepository: {
        "count": no_filters,
        "find": one("notification_id"),
        "list_page": listed(NOTIFICATION_SORTS["created_at"]),
        "mark": lambda victim: (victim.ids["notification_id"], NOW),
        "mark_all": lambda _: (NOW,),
    },
    UserRepository: {
        "add": a_user,
        "change": change("user_id", role="owner"),
        "count": no_filters,
        "delete": one("user_id"),
        "find": one("user_id"),
        "is_last_owner": one("owner_id"),
        "list_page": listed(users.USERS_BY_CREATED_AT),
        "lock_owners": nothing,
    },
    InvitationRepository: {
        "add": an_invitation,
        "change": change("invitation_id", role="owner"),
        "count": no_filters,
        "find": one("invitation_id"),
        "find_inviting_key": one("key_id"),
        "find_inviting_user": one("owner_id"),
        "has_user": lambda victim: (victim.shop.email,),
        "list_page": listed(invitations.INVITATIONS_BY_CREATED_AT),
        "revoke_expired": lambda victim: (f"expired@{victim.shop.slug}.example", LATER),
    },
    BatchRepository: {"has_erased": lambda _: ("0", datetime(2000, 1, 1, tzinfo=UTC))},
    SearchRepository: {
        "list_customers": lambda _: ("Ada", 10),
        "list_orders": lambda _: ([(1, 10_000)], "x", [], 10),
        "list_products": lambda _: ("thing", None, 10),
    },
    AuditRepository: {
        "count": no_filters,
        "find": one("entry_id"),
        "list_page": listed(audit.ENTRY_SORTS["created_at"]),
    },
    JobRepository: {
        "add_file": lambda victim: (victim.ids["job_id"], "taken-over.csv", b"x"),
        "change": change("job_id", state="failed"),
        "count": no_filters,
        "count_rejects": one("job_id"),
        "delete_files": one("job_id"),
        "file_content": lambda victim: (victim.ids["job_id"], "goods.csv"),
        "file_names": one("job_id"),
        "find": one("job_id"),
        "list_page": listed(imports.JOB_SORTS["created_at"]),
        "list_rejects": lambda victim: (
            victim.ids["job_id"],
            page(imports.REJECTS_BY_POSITION),
        ),
        "list_rejects_after": lambda victim: (victim.ids["job_id"], 0, 10),
    },
    PricingRepository: PRICING,
    HoldRepository: {"find": nothing},
    ShareRepository: {
        "count": nothing,
        "find_hold": nothing,
        "list_page": lambda _: (page(SHARES_BY_START),),
    },
    ReportRepository: {
        "count": no_filters,
        "find": one("report_id"),
        "find_file": lambda victim: (victim.ids["report_id"], "csv"),
        "list_page": listed(reports.REPORT_SORTS["period_from"]),
    },
    **ORDER_CALLS,
    **CATALOG_CALLS,
    **CUSTOMER_CALLS,
    **WEBHOOK_CALLS,
    TenantRepository: {
        "add": a_tenant,
        "change": lambda _: ({"name": "taken over", "updated_at": NOW},),
        "find": nothing,
        "list_priced": nothing,
    },
    BulkEditRepository: {
        "change_products": lambda victim: ({victim.ids["product_id"]: {"name": "taken over"}}, NOW),
        "delete_products": lambda victim: ([victim.ids["product_id"]],),
        "find_holders": lambda _: (["WALL"], []),
        "find_sold": lambda victim: ([victim.ids["sold_product_id"]],),
        "lock_products": lambda victim: ([victim.ids["product_id"]],),
        "lock_categories": lambda victim: ([victim.ids["category_id"]],),
        "read_products": lambda victim: ([victim.ids["product_id"]],),
        "set_categories": lambda victim: ({victim.ids["product_id"]: [victim.ids["category_id"]]},),
    },
}
METHODS = [(kind, name) for kind, methods in CASES.items() for name in methods]
REFUSALS = (psycopg.errors.InsufficientPrivilege, psycopg.errors.IntegrityError)
# what reads must find something when the owner asks
READS = ("find", "get_", "list_", "count", "file_", "tenant_currency", "default_", "is_below")


def repositories() -> Iterator[type[Repository]]:
    """Every repository of the domains."""
    for module in pkgutil.walk_packages(domains.__path__, f"{domains.__name__}."):
        if module.name.endswith(".repository"):
            importlib.import_module(module.name)
    for kind in Repository.__subclasses__():
        if kind.__module__.startswith(domains.__name__):
            yield kind


@pytest.fixture(scope="module")
def victim(app: App, api: ApiClient, database: Database) -> Victim:
    shop = open_shop(api)
    found = {name: UUID(make(shop)) for name, make in SUBJECTS.items() if name != "report_id"}
    found["report_id"] = UUID(make_report(shop))
    booked = booked_address(shop)
    found |= {
        "booked_id": UUID(booked["customer_id"]),
        "address_id": UUID(booked["address_id"]),
    }
    product = shop.product(sku="WALL")
    found |= lived_order(shop, product)
    found["sold_product_id"] = UUID(product["id"])
    found["empty_location_id"] = found["location_id"]
    found["location_id"] = UUID(shop.api.get("/api/v1/locations").json["data"][0]["id"])
    images_of = f"/api/v1/products/{product['id']}/images"
    added = shop.api.post(images_of, {"url": "https://shop.example/1.jpg"}).json
    found["image_id"] = UUID(added["id"])
    shop.api.post(
        "/api/v1/orders",
        {
            "lines": [{"variant_id": product["variants"][0]["id"], "quantity": 1}],
            "session_id": str(found["session_id"]),
        },
    )
    found |= discounted_order(shop)
    invited = {"email": f"expired@{shop.slug}.example", "role": "viewer"}
    assert shop.api.post("/api/v1/invitations", invited).status == 201
    with tenant_session(app.services.engine, shop.tenant_id) as session:
        found["notification_id"] = new_id(NOW)
        told: dict[str, Any] = {
            "kind": "late_pipeline",
            "level": "warning",
            "title": "x",
            "message": "x",
        }
        told |= {"id": found["notification_id"], "tenant_id": shop.tenant_id, "data": {}}
        session.execute(notifications.insert(), [{**told, "created_at": NOW}])
        token = session.execute(text("SELECT id, family_id, user_id FROM refresh_tokens")).one()
        reject = {"job_id": found["job_id"], "position": 1, "file": "x", "row": 1, "reason": "x"}
        session.execute(job_rejects.insert(), [{"tenant_id": shop.tenant_id, **reject}])
    with database.exporter_engine.begin() as connection:
        run = {"id": new_id(NOW), "name": "lake_export", "state": "succeeded", "started_at": NOW}
        connection.execute(pipeline_runs.insert(), run)
        share = {"run_id": run["id"], "started_at": NOW, "state": "refused"}
        share |= dict.fromkeys(("rows_written", "bytes_written", "files_written"), 1)
        connection.execute(pipeline_run_shares.insert(), {"tenant_id": shop.tenant_id, **share})
        hold = {"attempt": 1, "retry_at": NOW, "as_of": NOW, "cause": "rule", "created_at": NOW}
        connection.execute(lake_quarantine.insert(), {"tenant_id": shop.tenant_id, **hold})
        snapshot = {"as_of": NOW, "versions": {}, "xid": 1, "transactions": "1:1:"}
        connection.execute(lake_snapshots.insert(), {**snapshot, "system_identifier": 1})
        notice = {"id": new_id(NOW), "content": {"Resolution": {"key": "x"}}, "created_at": NOW}
        connection.execute(notices.insert(), {"tenant_id": shop.tenant_id, **notice})
    found |= {"token_id": token[0], "family_id": token[1], "owner_id": token[2]}
    return Victim(shop, product, found)


@pytest.fixture(scope="module")
def attacker(api: ApiClient) -> Shop:
    return open_shop(api)


def holdings(database: Database, tenant_id: UUID) -> dict[str, list[str]]:
    """Every row of a tenant, as the migrator sees it."""
    found = {}
    with psycopg.connect(database.migrator_url) as connection:
        for name in sorted(metadata.tables.keys() - PLATFORM_TABLES):
            column = "id" if name == "tenants" else "tenant_id"
            query = f"SELECT t::text FROM {name} t WHERE {column} = %s ORDER BY 1"
            rows = connection.execute(query.encode(), (tenant_id,)).fetchall()
            found[name] = [row for (row,) in rows]
    return found


def is_nothing(answer: Any) -> bool:
    """Whether a method's answer tells nothing of the other tenant."""
    if isinstance(answer, KeysetPage):
        return not answer.rows
    if isinstance(answer, Row) and "is_held" in answer._fields:
        # with it comes the newest snapshot, which is nobody's
        return not answer.is_held and answer.held_as_of is None
    if isinstance(answer, tuple | Row):
        return not any(answer)
    if isinstance(answer, list):
        # a row for each that was asked for, empty where nothing was found
        return all(getattr(row, "product_id", row) is None for row in answer)
    return not answer


def test_every_method_is_tried() -> None:
    public = {
        (kind, name)
        for kind in repositories()
        for name, _ in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }
    assert public == set(METHODS)


@pytest.mark.parametrize(("kind", "name"), METHODS, ids=lambda v: getattr(v, "__name__", v))
def test_another_tenants_rows_do_not_exist(
    app: App,
    database: Database,
    victim: Victim,
    attacker: Shop,
    kind: type[Repository],
    name: str,
) -> None:
    arguments = CASES[kind][name](victim)
    before = holdings(database, victim.shop.tenant_id)
    answer = None
    try:
        with tenant_session(app.services.engine, attacker.tenant_id) as session:
            forged = kind(TenantSession(session.connection, victim.shop.tenant_id))
            answer = getattr(forged, name)(*arguments)
    except DBAPIError as error:
        # refused by the policy, or by a reference the policy hides
        if not isinstance(error.orig, REFUSALS):
            raise
    except (NoResultFound, LookupError):
        answer = None
    assert is_nothing(answer), f"{kind.__name__}.{name} told {answer}"
    assert holdings(database, victim.shop.tenant_id) == before


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind, name in METHODS if name.startswith(READS)],
    ids=lambda v: getattr(v, "__name__", v),
)
def test_the_owner_finds_them(app: App, victim: Victim, kind: type[Repository], name: str) -> None:
    """So that the test above is not empty."""
    with tenant_session(app.services.engine, victim.shop.tenant_id) as session:
        answer = getattr(kind(session), name)(*CASES[kind][name](victim))
    assert not is_nothing(answer)


def test_without_a_tenant_nothing_is_seen(app: App, victim: Victim) -> None:
    with app.services.engine.begin() as connection:
        for name in sorted(metadata.tables.keys() - PLATFORM_TABLES):
            found = connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()
            assert found == 0, name
