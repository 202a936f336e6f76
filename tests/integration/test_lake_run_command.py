"""`shop-api lake run` and storefront events: what it takes in, and what it says if it cannot."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import redis

from pipelines import cli
from pipelines.context import LakeContext
from pipelines.traffic import run_traffic
from shop_api.spine.traffic_stream import TrafficIntake
from tests.factories.traffic import event, new_intake, send
from tests.fixtures.lake import exported_lake, invoke, rows
from tests.fixtures.stores import Database

pytestmark = pytest.mark.usefixtures("no_tenants")


@pytest.fixture
def lake(database: Database, tmp_path: Path, tenant_id: UUID) -> LakeContext:
    """A lake that was exported once."""
    return exported_lake(database, tmp_path / "lake", tenant_id)


@pytest.fixture
def intake(redis_url: str, redis_client: redis.Redis) -> TrafficIntake:
    """The way into an emptied stream."""
    return new_intake(redis_url)


def test_the_command_takes_in_what_waits_when_it_begins(
    database: Database,
    lake: LakeContext,
    tenant_id: UUID,
    intake: TrafficIntake,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[object] = []

    def take(*arguments: Any) -> object:
        taken.append(run_traffic(*arguments))
        assert len(taken) < 3, "it does not end while events come"
        send(intake, tenant_id, event())
        return taken[-1]

    monkeypatch.setattr(cli, "run_traffic", take)
    monkeypatch.setenv("REDIS_URL", redis_url)
    send(intake, tenant_id, event())
    done = invoke(database, lake, "run")
    assert (done.exit_code, rows(lake, "traffic_events").height) == (0, 1), done.output
    assert done.stdout.endswith("\n1 storefront events taken in\n")


def test_the_command_says_that_events_wait_while_redis_is_away(
    database: Database, lake: LakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    done = invoke(database, lake, "run")
    assert (done.exit_code, isinstance(done.exception, SystemExit)) == (1, True)
    # what was exported is
    assert done.stdout
    assert "storefront events wait" in done.stderr
