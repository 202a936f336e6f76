"""The cache stages of processes, over a stage that counts what it is asked to make."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from shop_api.db.request_redis import RequestRedis
from shop_api.gateway.kept_answers import KeptAnswers
from shop_api.gateway.purges import Purges
from shop_api.gateway.redis_answers import RedisAnswers
from shop_api.gateway.response_cache import ResponseCache, Sources
from shop_api.gateway.single_flight import SingleFlight
from shop_api.kernel.cache_policy import CachePolicy, Ingredient
from shop_api.kernel.exchange import Answer, CacheGrant, Exchange, Stage
from shop_api.kernel.principal import Principal
from shop_api.kernel.rate_limits import PLAN_LIMITS
from shop_api.spine.resources import CATALOGUE, ORDERS
from shop_api.spine.versions import ResourceVersions

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
TENANT = UUID("01936d2e-7c1a-7b3f-8e5d-0a1b2c3d4e5f")
OTHER_TENANT = UUID("01936d2e-7c1a-7b3f-8e5d-0a1b2c3d4e60")
FREE = PLAN_LIMITS["free"]
READER = Principal(TENANT, "user:1", frozenset({"catalog:read"}), FREE)

LIST, DEAR, FIGURES = "/list", "/dear", "/figures"
POLICIES = {
    LIST: CachePolicy(300, (Ingredient(CATALOGUE), Ingredient(ORDERS, "orders:read"))),
    DEAR: CachePolicy(900, (Ingredient(CATALOGUE),), is_shared=True),
    FIGURES: CachePolicy(600, follows_lake=True, is_shared=True),
}


@dataclass
class Process:
    """The cache stages of one process, over a stage that counts what it is asked to make."""

    redis_url: str
    lake_version: str | None = "snapshot 1"
    wait_seconds: float = 5.0
    waiting_limit: int = 100
    cache_bytes: int = 10_000_000
    keeps_first: bool = True
    made: list[str] = field(default_factory=list)
    # what making an answer does
    make: Callable[[Exchange], Answer] = field(default=lambda e: plain(e.path))

    def __post_init__(self) -> None:
        self.requests = RequestRedis(self.redis_url)
        self.versions = ResourceVersions(self.requests)
        self.purges = Purges(self.requests)
        self.answers = RedisAnswers(self.requests, 1_000_000)
        self.kept = KeptAnswers(self.cache_bytes, keeps_first=self.keeps_first)
        sources = Sources(POLICIES.get, lambda _: self.lake_version, self.versions, self.purges)
        flight = SingleFlight(self._make, self.answers, self.wait_seconds, self.waiting_limit)
        self.stage: Stage = ResponseCache(flight, self.kept, sources)

    def _make(self, exchange: Exchange) -> Answer:
        self.made.append(exchange.path)
        answer = self.make(exchange)
        exchange.route = exchange.path
        if exchange.path == FIGURES and self.lake_version is not None:
            until = exchange.started_at + timedelta(seconds=600)
            exchange.cache_grant = CacheGrant(self.lake_version, until)
        return answer

    def get(
        self,
        path: str,
        query: str = "",
        principal: Principal = READER,
        at: datetime = NOON,
        method: str = "GET",
    ) -> Answer:
        exchange = Exchange({"QUERY_STRING": query}, method, path, at)
        exchange.principal = principal
        return self.stage(exchange)

    def close(self) -> None:
        self.answers.close()
        self.requests.close()


def plain(text: str, *headers: tuple[str, str]) -> Answer:
    return Answer(200, [("Content-Type", "application/json"), *headers], text.encode() * 1000)


def status(answer: Answer) -> str:
    found = [value for name, value in answer.headers if name == "Cache-Status"]
    assert len(found) == 1
    return found[0].removeprefix("shop-api; ")


Start = Callable[..., Process]
