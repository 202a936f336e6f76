"""Answers that may be used again, found before anything makes them.

Belongs here: under which key and for how long an answer is kept, whether a kept one is current, and
Cache-Status (RFC 9211). Does not: which reads may be kept (their endpoints' policies), memory and
Redis (kept_answers.py, redis_answers.py), waiting for who makes the same (single_flight.py).

The version of what an answer is made from is read before the answer is made, and kept with it. So
an answer that was made while somebody wrote has the version from before, which nobody finds once
the writer has been answered.

An answer that is only kept in memory is kept from the second time it is asked for: to ask Redis for
the version costs as much as half of a list, and many lists are asked for once.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from hashlib import blake2b
from typing import NamedTuple
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from shop_api.db.outages import describe
from shop_api.gateway.kept_answers import CACHE_STATUS, METHOD, KeptAnswer, KeptAnswers, Key
from shop_api.gateway.purges import Purges
from shop_api.kernel.cache_policy import REAL_TIME, CachePolicy
from shop_api.kernel.exchange import Answer, CacheGrant, CacheSlot, Exchange, Stage
from shop_api.kernel.principal import Principal
from shop_api.metrics.definitions import response_cache_requests
from shop_api.spine.versions import ResourceVersions

# The policy of a path's reads; None: their answers are not kept.
FindPolicy = Callable[[str], CachePolicy | None]
# What a tenant's figures are made from now; None when it is not known.
LakeVersion = Callable[[UUID], str | None]

# Nothing is kept under a longer query: all that keeps answers holds it, and what is asked so is
# hardly asked twice.
MAX_QUERY_LENGTH = 1024

# The part of an answer's life, its last, in which one request makes it anew.
REFRESH_SHARE = 0.1
ROUNDING = timedelta(milliseconds=2)

BYPASS = (CACHE_STATUS, "shop-api; fwd=bypass")
ASKED_NOW = (CACHE_STATUS, "shop-api; fwd=bypass; detail=real_time")
FIRST = (CACHE_STATUS, "shop-api; fwd=miss; detail=first")
UNKNOWN_VERSION = (CACHE_STATUS, "shop-api; fwd=bypass; detail=unavailable")

count_hit = response_cache_requests.labels("memory", "hit").inc
count_miss = response_cache_requests.labels("memory", "miss").inc

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sources:
    """Where the stage learns what is current."""

    find_policy: FindPolicy
    lake_version: LakeVersion
    versions: ResourceVersions
    purges: Purges


class Wanted(NamedTuple):
    """An answer that is to be made: under which key it is kept, and as of which versions."""

    policy: CachePolicy
    key: Key
    epoch: str
    version: str


class ResponseCache:
    """Gives kept answers; hands on what is to be made, with the place to keep it."""

    def __init__(self, forward: Stage, kept: KeptAnswers, sources: Sources) -> None:
        self.forward = forward
        # told of the first request that may be kept (upkeep.py)
        self.on_first: Callable[[], None] = lambda: None
        self._has_begun = False
        self.kept = kept
        self.find_policy = sources.find_policy
        self.lake_version = sources.lake_version
        self.versions = sources.versions
        self.purges = sources.purges

    def __call__(self, exchange: Exchange) -> Answer:
        if exchange.method != "GET":
            return self._pass(exchange, METHOD)
        principal = exchange.principal
        policy = None if principal is None else self.find_policy(exchange.path)
        if principal is None or policy is None:
            return self._pass(exchange, BYPASS)
        query: str = exchange.environ.get("QUERY_STRING", "")
        if len(query) > MAX_QUERY_LENGTH:
            exchange.cache_status = "bypass"
            return self._pass(exchange, BYPASS)
        if REAL_TIME in query:
            wants_now, query = without_real_time(query)
            if wants_now:
                exchange.cache_status = "bypass"
                return self._pass(exchange, ASKED_NOW)
        elif "&" in query:
            query = in_order(query)
        if not self._has_begun:
            self.on_first()
            self._has_begun = True
        key = key_of(principal, exchange.api_version, exchange.path, query)
        entry = self.kept.find(key)
        if entry is None and not policy.is_shared and not self.kept.is_wanted(key):
            count_miss()
            exchange.cache_status = "miss"
            return self._pass(exchange, FIRST)
        epoch = self.purges.epoch(principal.tenant_id, exchange.path)
        if policy.follows_lake:
            version = self.lake_version(principal.tenant_id)
        else:
            resources = policy.resources(principal.scopes)
            version = self.versions.find(principal.tenant_id, resources)
        if version is None:
            exchange.cache_status = "bypass"
            return self._pass(exchange, UNKNOWN_VERSION)
        now = exchange.started_at
        if (
            entry is None
            or entry.version != epoch + version
            or (now >= entry.refresh_at and not (entry.is_refreshing and now < entry.until))
        ):
            return self._replace(exchange, Wanted(policy, key, epoch, version), entry)
        count_hit()
        self.kept.use(key, entry, now)
        exchange.cache_status = "hit"
        exchange.route = entry.route
        return entry.give(now)

    def _replace(self, exchange: Exchange, wanted: Wanted, entry: KeptAnswer | None) -> Answer:
        if entry is None:
            return self._make(exchange, wanted, "miss")
        is_old = entry.version != wanted.epoch + wanted.version
        if is_old or exchange.started_at >= entry.until:
            return self._make(exchange, wanted, "stale")
        return self._make_anew(exchange, wanted, entry)

    def _pass(self, exchange: Exchange, status: tuple[str, str]) -> Answer:
        answer = self.forward(exchange)
        answer.headers.append(status)
        return answer

    def _make(
        self, exchange: Exchange, wanted: Wanted, reason: str, old: KeptAnswer | None = None
    ) -> Answer:
        """Have the answer made, or found further in, and keep it."""
        count_miss()
        now = exchange.started_at
        slot = CacheSlot(
            wanted.policy,
            digest_of(wanted.key),
            wanted.epoch,
            wanted.version,
            find=partial(self._find, wanted.key, wanted.epoch + wanted.version, now),
            keep=partial(self._keep, exchange, wanted.key),
        )
        if old is not None:
            slot.meanwhile, slot.meanwhile_until = old.give(now), old.until
        exchange.cache_slot = slot
        answer = self.forward(exchange)
        if answer is slot.meanwhile or exchange.cache_status == "hit":
            return answer
        if not wanted.policy.is_shared:
            self._keep(exchange, wanted.key, answer)
        outcome = exchange.cache_status or reason
        exchange.cache_status = "hit" if outcome == "redis" else outcome
        answer.headers.append((CACHE_STATUS, told(outcome, exchange.cache_grant, now)))
        return answer

    def _make_anew(self, exchange: Exchange, wanted: Wanted, entry: KeptAnswer) -> Answer:
        """Replace an answer before it is too old; when that fails it is good still."""
        entry.is_refreshing = True
        try:
            answer = self._make(exchange, wanted, "stale", entry)
            if answer.status == 200:
                return answer
        except (OperationalError, PoolTimeoutError) as error:
            logger.warning("a kept answer could not be made anew: %s", describe(error))
        except Exception:
            logger.exception("a kept answer could not be made anew, it is given for its time")
        finally:
            entry.is_refreshing = False
        exchange.cache_status = "hit"
        return entry.give(exchange.started_at)

    def _find(self, key: Key, full_version: str, now: datetime) -> Answer | None:
        entry = self.kept.find(key)
        if entry is None or entry.version != full_version or now >= entry.until:
            return None
        return entry.give(now)

    def _keep(self, exchange: Exchange, key: Key, answer: Answer) -> CacheGrant | None:
        """Keep an answer if it may be; with which leave."""
        slot, principal = exchange.cache_slot, exchange.principal
        assert slot is not None
        assert principal is not None
        is_plain = answer.status == 200 and isinstance(answer.body, bytes)
        if not is_plain or answer.header("Set-Cookie") is not None:
            exchange.cache_grant = None
            return None
        policy = slot.policy
        now, longest = exchange.started_at, timedelta(seconds=policy.keep_seconds)
        grant = exchange.cache_grant
        if grant is None:
            if policy.follows_lake:
                return None
            grant = exchange.cache_grant = CacheGrant(slot.version, now + longest)
        # one that ends for another reason, as a day does, is no better when it is made anew
        # to the millisecond, when it comes from Redis
        life = grant.until - (grant.made_at or now)
        is_whole = policy.is_shared and life >= longest - ROUNDING
        keep = self.kept.replace if exchange.is_repeat else self.kept.keep
        keep(
            key,
            KeptAnswer(
                Answer(200, list(answer.headers), answer.body),
                slot.epoch + grant.version,
                grant.until,
                grant.until - longest * REFRESH_SHARE if is_whole else grant.until,
                now,
                exchange.route,
                policy.follows_lake,
                principal,
                exchange.api_version,
                exchange.path,
                exchange.environ.get("QUERY_STRING", ""),
            ),
        )
        return grant


def key_of(principal: Principal, api_version: str, path: str, query: str) -> Key:
    """Who is answered the same, and what they ask."""
    return (principal.audience, api_version, path, query)


def digest_of(key: Key) -> str:
    """A key as it is named in Redis, the same in every process."""
    return blake2b(msgspec.json.encode(key), digest_size=16).hexdigest()


@lru_cache(maxsize=1024)
def in_order(query: str) -> str:
    """A query with its parameters by name; values of one name stay in their order."""
    return "&".join(sorted(query.split("&"), key=_name_of))


def _name_of(part: str) -> str:
    return part.partition("=")[0]


def without_real_time(query: str) -> tuple[bool, str]:
    """Whether a query asks for an answer made now; and the query without that."""
    asked = [value for name, value in parse_qsl(query, keep_blank_values=True) if name == REAL_TIME]
    if asked == ["false"]:
        parts = [part for part in query.split("&") if part != f"{REAL_TIME}=false"]
        return False, in_order("&".join(parts))
    # whatever else was sent, the endpoint refuses or does
    return bool(asked), in_order(query)


def told(outcome: str, grant: CacheGrant | None, now: datetime) -> str:
    """Cache-Status of an answer that was not in this process's memory."""
    if outcome == "collapsed":
        return "shop-api; fwd=miss; collapsed"
    if grant is None:
        return f"shop-api; fwd={outcome}"
    seconds = int((grant.until - now).total_seconds())
    if outcome == "redis":
        return f"shop-api; hit; ttl={seconds}; detail=redis"
    return f"shop-api; fwd={outcome}; stored; ttl={seconds}"
