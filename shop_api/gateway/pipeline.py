"""The order of the stages, in one list, and the WSGI door to it.

Belongs here: order and wiring. A test holds this list equal to docs/architecture.md.
"""

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from shop_api.db.sliding_windows import SlidingWindows
from shop_api.gateway.access_log import AccessLog, Line, write_line
from shop_api.gateway.application import AnswerDirectly, Application
from shop_api.gateway.body_memory import BodyMemory
from shop_api.gateway.body_readers import BodyReaders
from shop_api.gateway.body_size import BodySize
from shop_api.gateway.bounds import Bounds
from shop_api.gateway.bulkhead import Bulkhead
from shop_api.gateway.compression import Compression
from shop_api.gateway.conditional import Conditional
from shop_api.gateway.cors import Cors, KnownOrigin
from shop_api.gateway.credentials import Authenticate, Credentials
from shop_api.gateway.deadline import Deadline
from shop_api.gateway.idempotency import Idempotency
from shop_api.gateway.kept_answers import KeptAnswers
from shop_api.gateway.leases import Leases
from shop_api.gateway.metrics import Metrics
from shop_api.gateway.possession import Possession
from shop_api.gateway.problems import Problems
from shop_api.gateway.rate_limit import RateLimit
from shop_api.gateway.redis_answers import RedisAnswers
from shop_api.gateway.refusal import INTERNAL_ERROR, refuse
from shop_api.gateway.request_identity import RequestIdentity
from shop_api.gateway.response_cache import ResponseCache, Sources
from shop_api.gateway.signatures import SignatureChecker, UseNonce
from shop_api.gateway.single_flight import SingleFlight
from shop_api.gateway.upkeep import Upkeep
from shop_api.kernel.clock import utc_now
from shop_api.kernel.exchange import METHODS, OTHER_METHOD, Exchange, Stage
from shop_api.kernel.secret_keys import SecretKeys
from shop_api.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

logger = logging.getLogger(__name__)

StartResponse = Callable[[str, list[tuple[str, str]]], Any]

# Outermost first: a request passes them downwards, its answer upwards.
ORDER = (
    "request_identity",
    "tracing",
    "access_log",
    "metrics",
    "cors",
    "compression",
    "conditional",
    "problems",
    "deadline",
    "body_size",
    "credentials",
    "bounds",
    "possession",
    "rate_limit",
    "response_cache",
    "single_flight",
    "bulkhead",
    "idempotency",
    "application",
)

_STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


@dataclass(frozen=True)
class Wiring:
    """What the stages need from the application."""

    settings: Settings
    authenticate: Authenticate
    sources: Sources
    redis_answers: RedisAnswers
    is_known_origin: KnownOrigin
    # mutations that take no credential, and those that take a publishable key
    public_paths: re.Pattern[str]
    publishable_paths: re.Pattern[str]
    answer_directly: AnswerDirectly
    use_nonce: UseNonce
    windows: SlidingWindows
    # None: requests are not traced
    tracer: "Tracer | None" = None


def build_stages(wsgi_app: Any, wiring: Wiring) -> list[tuple[str, Stage]]:
    """Every stage by its name in ORDER, each holding the next."""
    settings = wiring.settings
    secret_keys = SecretKeys.of(settings.secret_key or "", settings.accepted_secret_keys)
    logs_requests = settings.log_level in ("DEBUG", "INFO")
    makers: dict[str, Callable[[Stage], Stage]] = {
        "request_identity": RequestIdentity,
        "tracing": lambda forward: _traced(forward, wiring.tracer),
        "access_log": lambda forward: AccessLog(
            forward, settings.slow_request_seconds, write_line if logs_requests else _no_line
        ),
        "metrics": Metrics,
        "cors": lambda forward: Cors(
            forward, frozenset(settings.cors_origins), wiring.is_known_origin
        ),
        "compression": lambda forward: Compression(forward, settings.compression_min_bytes),
        "conditional": Conditional,
        "problems": Problems,
        "deadline": lambda forward: Deadline(forward, settings.deadline_seconds),
        "body_size": lambda forward: BodySize(
            forward, settings.body_limit_bytes, settings.import_body_limit_bytes
        ),
        "credentials": lambda forward: Credentials(
            forward, wiring.authenticate, settings.credential_cache_seconds
        ),
        "bounds": lambda forward: Bounds(forward, settings.query_parameter_limit),
        "possession": lambda forward: Possession(
            forward,
            SignatureChecker(wiring.use_nonce, settings.signature_skew_seconds),
            has_certificates=settings.has_client_certificates,
        ),
        "rate_limit": lambda forward: RateLimit(
            forward,
            Leases(wiring.windows),
            settings.rate_limit_address,
            settings.rate_limit_user_ratio,
            settings.trusted_proxies,
        ),
        "response_cache": lambda forward: ResponseCache(
            forward,
            KeptAnswers(settings.cache_bytes, keeps_first=settings.cache_keeps_first),
            wiring.sources,
        ),
        "single_flight": lambda forward: SingleFlight(
            forward,
            wiring.redis_answers,
            settings.shared_wait_seconds,
            waiting_limit(settings),
        ),
        "bulkhead": lambda forward: Bulkhead(
            forward, settings.api_threads, settings.long_request_threads
        ),
        "idempotency": lambda forward: Idempotency(
            forward,
            secret_keys.derived(b"request-digest"),
            wiring.public_paths,
            wiring.publishable_paths,
            BodyReaders(settings.api_threads),
            _body_memory(settings),
        ),
        "application": lambda _: Application(wsgi_app, wiring.answer_directly),
    }
    stages: list[tuple[str, Stage]] = []
    stage: Stage = Application(wsgi_app, wiring.answer_directly)
    for name in reversed(ORDER):
        stage = makers[name](stage)
        stages.insert(0, (name, stage))
    return stages


def _body_memory(settings: Settings) -> BodyMemory:
    """What bodies of this process may hold; a few threads wait for it."""
    waiting = settings.api_threads // 4
    return BodyMemory(settings.body_memory_bytes, waiting, settings.body_piece_seconds)


def _traced(forward: Stage, tracer: "Tracer | None") -> Stage:
    """The stage that traces; without a tracer there is none, and the next stands in its place."""
    if tracer is None:
        return forward
    from shop_api.gateway.tracing import Tracing

    return Tracing(forward, tracer)


def waiting_limit(settings: Settings) -> int:
    """How many threads may wait for long for what another request makes."""
    chosen = settings.shared_waiting_limit
    return settings.api_threads // 2 if chosen is None else chosen


def _no_line(_: Line) -> None:
    """Requests are not logged above level INFO."""


class Gateway:
    """The WSGI application the server runs."""

    def __init__(self, wsgi_app: Any, wiring: Wiring) -> None:
        self.stages = build_stages(wsgi_app, wiring)
        self.first = self.stages[0][1]
        stages = dict(self.stages)
        cache, credentials = stages["response_cache"], stages["credentials"]
        limits = stages["rate_limit"]
        assert isinstance(cache, ResponseCache)
        assert isinstance(credentials, Credentials)
        assert isinstance(limits, RateLimit)
        credentials.admit_stranger = limits.admit_stranger
        self.upkeep = Upkeep(cache, wiring.settings.deadline_seconds)
        cache.on_first = self.upkeep.start

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        if method not in METHODS:
            # no route has it; Flask would take `post` for POST, which no stage took for a mutation
            method = environ["REQUEST_METHOD"] = OTHER_METHOD
        exchange = Exchange(environ, method, environ.get("PATH_INFO", "/"), utc_now())
        try:
            answer = self.first(exchange)
        except Exception:
            # a stage outside `problems` failed: still a problem, and never a bare 500
            logger.exception("a gateway stage failed (request %s)", exchange.request_id)
            answer = refuse(INTERNAL_ERROR, exchange)
        start_response(_STATUS_LINES[answer.status], answer.headers)
        body = answer.body
        if not isinstance(body, bytes):
            return body
        return () if exchange.method == "HEAD" else (body,)
