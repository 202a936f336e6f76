"""Usage of many tenants: written in time and in turn, whoever adds meanwhile."""

import logging
import time
from collections import defaultdict
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from shop_api.db.engines import make_engine
from shop_api.db.round_trips import Statement
from shop_api.db.tenancy import run_for_tenants, tenant_session
from shop_api.metrics import usage as usages
from shop_api.metrics.usage import Usage, UsageCounts, UsageKey
from shop_api.settings import Settings
from shop_api.spine import usage as spine_usage
from shop_api.spine.usage import UsageWriter
from tests.fixtures.lake import now
from tests.fixtures.stores import Database

# of the hours that are still written
RECENT = now().replace(minute=5) - timedelta(hours=4)


def add_to_all(counts: UsageCounts, tenant_ids: list[UUID], kinds: int, at: datetime) -> None:
    # by kind, as the tally does: a tenant's totals are not next to each other
    for kind in range(kinds):
        for tenant_id in tenant_ids:
            counts.add(at, (tenant_id.int, "GET", f"/r/{kind}", "2xx"), Usage(1))


def requests_by_tenant(database: Database, tenant_ids: list[UUID]) -> dict[UUID, int]:
    with psycopg.connect(database.exporter_url) as connection:
        found = connection.execute(
            "SELECT tenant_id, sum(requests)::int FROM api_usage WHERE tenant_id = ANY(%s)"
            " GROUP BY 1",
            (tenant_ids,),
        ).fetchall()
    return dict(found)


def test_three_thousand_tenants_are_written_in_two_rounds(database: Database) -> None:
    tenant_ids, counts = [uuid4() for _ in range(3000)], UsageCounts()
    writer = UsageWriter(database.engine, counts, 60)
    add_to_all(counts, tenant_ids, 10, RECENT)
    assert writer.write() or writer.write()
    assert requests_by_tenant(database, tenant_ids) == dict.fromkeys(tenant_ids, 10)


def test_when_time_is_short_tenants_take_turns(database: Database) -> None:
    """All grow before each round, and a round has time for a part of them."""
    tenant_ids, counts = [uuid4() for _ in range(6000)], UsageCounts()
    writer = UsageWriter(database.engine, counts, 60)
    rounds_cut_off = 0
    for _ in range(60):
        add_to_all(counts, tenant_ids, 10, RECENT)
        rounds_cut_off += not writer.write(seconds=0.5)
        if len(requests_by_tenant(database, tenant_ids)) == len(tenant_ids):
            break
    assert rounds_cut_off
    assert len(requests_by_tenant(database, tenant_ids)) == len(tenant_ids)


def test_totals_that_cannot_be_written_do_not_hold_up_the_others(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spine_usage, "BATCH_TOTALS", 10)
    tenant_ids, counts = [uuid4() for _ in range(20)], UsageCounts()
    writer = UsageWriter(database.engine, counts, 60)
    add_to_all(counts, tenant_ids, 10, RECENT)
    assert writer.write()
    add_to_all(counts, tenant_ids, 10, RECENT)
    with tenant_session(database.engine, tenant_ids[0]) as session:
        session.execute(text("SELECT FROM api_usage FOR UPDATE"))
        assert not writer.write(seconds=1)
        assert not writer.write(seconds=1)
        found = requests_by_tenant(database, tenant_ids)
        assert found == dict.fromkeys(tenant_ids, 20) | {tenant_ids[0]: 10}
    assert writer.write()
    assert requests_by_tenant(database, tenant_ids) == dict.fromkeys(tenant_ids, 20)


def test_a_total_that_postgres_refuses_holds_up_no_other(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    tenant_ids, counts = [uuid4() for _ in range(150)], UsageCounts()
    writer = UsageWriter(database.engine, counts, 60)
    add_to_all(counts, tenant_ids, 10, RECENT)
    assert writer.write()
    add_to_all(counts, tenant_ids, 10, RECENT)
    # one total each of the first tenant and of one in the midst of the second transaction
    refused = [tenant_ids[0], tenant_ids[120]]
    for tenant_id in refused:
        counts.add(RECENT, (tenant_id.int, "GET", "/r/3", "2xx"), Usage(4, request_bytes=2**63))
    assert writer.write()
    expected = dict.fromkeys(tenant_ids, 20)
    # as it was written before
    assert requests_by_tenant(database, tenant_ids) == expected | dict.fromkeys(refused, 19)
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert told == [
        f"usage of 5 requests is lost: Postgres refuses it of tenant {tenant_id}:"
        " NumericValueOutOfRange 22003"
        for tenant_id in refused
    ]
    # and counts on from there
    assert counts.unwritten() == {}
    counts.add(RECENT, (refused[0].int, "GET", "/r/3", "2xx"), Usage(1))
    assert writer.write()
    assert requests_by_tenant(database, refused) == {refused[0]: 20, refused[1]: 19}


def test_a_batch_writes_each_tenants_rows_as_that_tenant(database: Database) -> None:
    """Row-level security holds for each statement of a transaction of many tenants."""
    one, other = uuid4(), uuid4()
    row = Statement(
        "INSERT INTO tenant_counters (tenant_id, name, value) VALUES (%(tenant_id)s, 'x', 1)",
        {"tenant_id": other},
    )
    with pytest.raises(DBAPIError, match="row-level security"):
        run_for_tenants(database.engine, [(other, row), (one, row)])
    with tenant_session(database.engine, other) as session:
        assert session.execute(text("SELECT count(*) FROM tenant_counters")).scalar() == 0


def test_writing_takes_no_time_for_each_total_and_tenant() -> None:
    """20 000 totals of 2000 tenants, told to be written one tenant after the other, twice."""
    tenant_ids, counts = [uuid4() for _ in range(2000)], UsageCounts()
    add_to_all(counts, tenant_ids, 10, RECENT)
    add_to_all(counts, tenant_ids, 10, RECENT + timedelta(hours=1))
    by_tenant: defaultdict[int, dict[UsageKey, Usage]] = defaultdict(dict)
    for place, total in counts.unwritten().items():
        by_tenant[place.tenant][place] = total
    started = time.thread_time()
    for totals in by_tenant.values():
        counts.written(totals)
    counts.let_go()
    assert time.thread_time() - started < 1
    assert len(counts._totals) == 20_000
    assert counts.unwritten() == {}


def test_what_grows_while_it_is_written_waits_behind_the_others() -> None:
    counts = UsageCounts()
    for route in ("a", "b", "c"):
        counts.add(RECENT, (1, "GET", route, "2xx"), Usage(1))
    taken = counts.unwritten()
    # growing does not change whose turn it is
    counts.add(RECENT, (1, "GET", "a", "2xx"), Usage(1))
    assert [place.route for place in counts.unwritten()] == ["a", "b", "c"]
    counts.written(dict(list(taken.items())[:2]))
    assert [place.route for place in counts.unwritten()] == ["c", "a"]


def test_what_is_lost_is_told_once_with_its_number(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(usages, "MAX_UNWRITTEN", 3)
    tenant_id, counts = uuid4(), UsageCounts()
    away = make_engine(
        "postgresql://127.0.0.1:9/none", Settings(_env_file=None), statement_timeout_seconds=1
    )
    for route in range(5):
        counts.add(RECENT, (tenant_id.int, "GET", f"/{route}", "2xx"), Usage(4))
    for _ in range(3):
        assert not UsageWriter(away, counts, 60).write()
        counts.add(RECENT, (tenant_id.int, "GET", "/last", "2xx"), Usage(1))
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    writer = UsageWriter(database.engine, counts, 60)
    assert writer.write()
    assert writer.write()
    [told] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "usage of 11 requests is lost" in told.getMessage()
    assert requests_by_tenant(database, [tenant_id]) == {tenant_id: 12}
