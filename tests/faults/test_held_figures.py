"""Figures while one shop is held back: with Postgres stopped, and when the hold ends."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from analytics.lake import Snapshot
from shop_api.app import App, create_app
from tests.factories import golden_shop
from tests.factories.lake import write_lake
from tests.faults.test_postgres_restarts import OwnPostgres, postgres
from tests.fixtures.api import AnswerChecker, Answered, ApiClient, Shop, open_shop

__all__ = ["postgres"]

DASHBOARD = "/api/v1/analytics/dashboard"
HELD_AT = datetime(2026, 4, 1, tzinfo=UTC)
FIRST_AT = datetime(2026, 4, 15, tzinfo=UTC)


@pytest.fixture
def app(postgres: OwnPostgres) -> Iterator[App]:
    changes = {"cache_bytes": 0, "credential_cache_seconds": 600.0}
    application = create_app(postgres.settings.model_copy(update=changes))
    yield application
    application.close()


class Publisher:
    """Publishes the same files again and again without telling anybody, as of a later instant."""

    def __init__(self, postgres: OwnPostgres, folder: Path, shops: list[Shop]) -> None:
        self._postgres = postgres
        tables = {str(shop.tenant_id): golden_shop.TABLES for shop in shops}
        self._versions = dict(write_lake(folder, tables).versions)
        self.as_of = FIRST_AT

    def publish(self, held: int, *others: tuple[str, Any]) -> Snapshot:
        """A snapshot from which `held` shops are held back, and what commits with it."""
        self.as_of += timedelta(days=1)
        server = self._postgres.server.server
        with psycopg.connect(server.get_uri(database="shop")) as connection:
            for statement, values in others:
                connection.execute(statement.encode(), values)
            found = connection.execute(
                "INSERT INTO lake_snapshots (as_of, versions, xid, transactions,"
                " system_identifier, held_tenants) VALUES (%s, %s, '1', '1:1:', 1, %s)"
                " RETURNING id",
                (self.as_of, Jsonb(self._versions), held),
            ).fetchone()
        assert found is not None
        return Snapshot(found[0], self.as_of, self._versions)


def hold(shop: Shop) -> tuple[str, Any]:
    return (
        "INSERT INTO lake_quarantine (tenant_id, attempt, retry_at, as_of, cause, created_at)"
        " VALUES (%s, 1, now(), %s, 'unreadable', now())",
        (shop.tenant_id, HELD_AT),
    )


def release(shop: Shop) -> tuple[str, Any]:
    return "DELETE FROM lake_quarantine WHERE tenant_id = %s", (shop.tenant_id,)


def ask(shop: Shop) -> Answered:
    return shop.api.get(DASHBOARD, query={"period": "7d", "real_time": "true"})


def told(shop: Shop) -> tuple[str, datetime]:
    """The snapshot of its dashboard, and of when that says it is."""
    answered = ask(shop)
    assert answered.status == 200, answered.body
    return answered.json["snapshot"], datetime.fromisoformat(answered.json["as_of"])


def follow(app: App, snapshot: Snapshot) -> None:
    deadline = time.monotonic() + 10
    while app.lake.snapshot() != snapshot:
        assert time.monotonic() < deadline, "the newest snapshot is not seen"
        time.sleep(0.005)


def test_figures_stay_true_to_their_instant_without_postgres_and_when_a_hold_ends(
    app: App, postgres: OwnPostgres
) -> None:
    api = ApiClient(app, AnswerChecker(app))
    shops = held, calm, unasked, late = [open_shop(api) for _ in range(4)]
    for shop in shops:
        # its credential is known
        assert shop.api.get("/api/v1/locations").status == 200
    publisher = Publisher(postgres, postgres.settings.data_dir / "lake", shops)
    first = publisher.publish(2, hold(held), hold(late))
    follow(app, first)
    assert told(held) == (str(first.id), HELD_AT)
    assert told(calm) == (str(first.id), first.as_of)

    second = publisher.publish(2)
    follow(app, second)
    postgres.stop("immediate")
    assert told(held) == (str(second.id), HELD_AT)
    # it was not held back then; whether it is in the second nobody can say
    assert told(calm) == (str(second.id), first.as_of)
    refused = ask(unasked)
    assert (refused.status, refused.json["code"]) == (503, "database_unavailable")
    assert int(refused.headers["Retry-After"]) >= 1

    postgres.start()
    follow(app, second)
    deadline = time.monotonic() + 10
    while told(calm) != (str(second.id), second.as_of):
        assert time.monotonic() < deadline, "Postgres is not asked again"
    assert told(held) == (str(second.id), HELD_AT)
    # one that nothing was known of is released before this process has seen the next snapshot
    third = publisher.publish(1, release(late))
    assert told(late) in [(str(second.id), HELD_AT), (str(third.id), third.as_of)]
    fourth = publisher.publish(0, release(held))
    assert told(held) in [(str(third.id), HELD_AT), (str(fourth.id), fourth.as_of)]
    follow(app, fourth)
    assert told(held) == told(unasked) == (str(fourth.id), fourth.as_of)

    # held back again: of when all were known is known of each
    fifth = publisher.publish(1, hold(held))
    follow(app, fifth)
    postgres.stop("fast")
    assert told(unasked) == told(calm) == (str(fifth.id), fourth.as_of)
