"""The gateway's stages: one per file, in one order, the same in code and in the documentation."""

import re

from shop_api.db.request_redis import RequestRedis
from shop_api.db.sliding_windows import SlidingWindows
from shop_api.gateway.pipeline import ORDER, Wiring, build_stages
from shop_api.gateway.purges import Purges
from shop_api.gateway.redis_answers import RedisAnswers
from shop_api.gateway.response_cache import Sources
from shop_api.settings import Settings
from shop_api.spine.versions import ResourceVersions
from tests.architecture.sources import ROOT

PAGE = ROOT / "docs" / "architecture.md"
# files of the gateway that are no stage
SUPPORT = {
    "__init__",
    "body_memory",
    "body_readers",
    "kept_answers",
    "leases",
    "nonces",
    "pipeline",
    "places",
    "purges",
    "redis_answers",
    "refusal",
    "signatures",
    "upkeep",
}


def test_the_stages_are_built_in_the_order_of_the_list() -> None:
    away = RequestRedis("redis://localhost")
    wiring = Wiring(
        Settings(_env_file=None),
        lambda _token, _before_lookup: None,
        Sources(lambda _: None, lambda _: None, ResourceVersions(away), Purges(away)),
        RedisAnswers(away, 0),
        lambda _: False,
        re.compile(""),
        re.compile(""),
        lambda _: None,
        lambda _name, _seconds: True,
        SlidingWindows(RequestRedis("redis://127.0.0.1:1")),
    )
    names = [name for name, _ in build_stages(lambda *_: [], wiring)]
    assert names == list(ORDER)


def test_every_stage_has_its_file_and_every_file_is_a_stage() -> None:
    files = {path.stem for path in (ROOT / "shop_api" / "gateway").glob("*.py")}
    assert files - SUPPORT == set(ORDER)
    assert len(ORDER) == len(set(ORDER))


def test_the_documentation_gives_the_same_order() -> None:
    section = PAGE.read_text(encoding="utf-8").split("## The gateway", 1)[1].split("\n## ", 1)[0]
    assert re.findall(r"^\d+\. `(\w+)`", section, re.MULTILINE) == list(ORDER)


def test_what_must_be_outside_of_what() -> None:
    """Whoever moves a stage meets the reason here."""
    place = {name: index for index, name in enumerate(ORDER)}
    for outer, inner, reason in [
        ("cors", "problems", "a browser must be able to read a refusal"),
        ("access_log", "cors", "preflights are logged"),
        ("metrics", "cors", "preflights are counted"),
        ("request_identity", "access_log", "the log line names the request"),
        ("access_log", "problems", "refusals are logged with their status"),
        ("metrics", "problems", "refusals are counted with their status"),
        ("metrics", "compression", "the size that is counted is the size that is sent"),
        ("compression", "response_cache", "a cached answer is kept once, and compressed for each"),
        ("problems", "credentials", "a refusal is written as a problem"),
        ("problems", "deadline", "a deadline that has passed is told as a problem"),
        ("deadline", "credentials", "who asks is found out within the deadline, too"),
        ("body_size", "idempotency", "no digest of a body that is too large"),
        ("credentials", "rate_limit", "a tenant and not an address is counted"),
        ("rate_limit", "response_cache", "a kept answer counts, too"),
        ("credentials", "response_cache", "a cached answer belongs to a tenant"),
        ("credentials", "idempotency", "a key belongs to a principal"),
        ("credentials", "possession", "what a key is bound to comes with the key"),
        ("possession", "rate_limit", "whoever has only copied a key uses up no quota of it"),
        ("possession", "response_cache", "a kept answer is for who may have it"),
        ("possession", "idempotency", "the digest that was signed is checked with the body"),
        ("response_cache", "application", "a hit never enters Flask"),
        ("response_cache", "bulkhead", "a kept answer holds no thread for long"),
        ("bulkhead", "idempotency", "a body is not waited for before there is a place"),
        ("response_cache", "single_flight", "nobody waits for what is in memory"),
        ("single_flight", "bulkhead", "only who makes an answer holds a place"),
        ("idempotency", "application", "a mutation finds its key named"),
    ]:
        assert place[outer] < place[inner], reason
