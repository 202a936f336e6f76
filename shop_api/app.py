"""create_app(): the only wiring of the api process.

Belongs here: building services, registering domains, errors, gateway. Does not: endpoints, stages.
"""

import logging
import re
from base64 import urlsafe_b64encode
from contextlib import nullcontext
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any

import redis
from cryptography.fernet import Fernet, MultiFernet
from flask import Flask
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException

from shop_api.db.constraints import register_constraints
from shop_api.db.engines import make_engine, make_probe_engine, require_safe_role
from shop_api.db.kept_documents import KeptDocuments
from shop_api.db.outages import describe
from shop_api.db.pool_watch import watch_pool
from shop_api.db.read_routing import ReadRouting
from shop_api.db.replica import Replica
from shop_api.db.request_redis import RequestRedis
from shop_api.db.sliding_windows import SlidingWindows
from shop_api.domains.accounts import endpoints as accounts
from shop_api.domains.accounts.service import Authenticator
from shop_api.domains.addresses import endpoints as addresses
from shop_api.domains.addresses import errors as address_errors
from shop_api.domains.api_keys import endpoints as api_keys
from shop_api.domains.assortment import endpoints as assortment
from shop_api.domains.audit import endpoints as audit
from shop_api.domains.batch import endpoints as batch
from shop_api.domains.batch.service import EXTENSION as BATCH
from shop_api.domains.batch.service import BatchRunner
from shop_api.domains.bulk_edits import endpoints as bulk_edits
from shop_api.domains.callbacks import endpoints as callbacks
from shop_api.domains.cancellations import endpoints as cancellations
from shop_api.domains.catalog import endpoints as catalog
from shop_api.domains.catalog import errors as catalog_errors
from shop_api.domains.categories import endpoints as categories
from shop_api.domains.categories import errors as categories_errors
from shop_api.domains.customer_figures import endpoints as customer_figures
from shop_api.domains.customers import endpoints as customers
from shop_api.domains.customers import errors as customer_errors
from shop_api.domains.erasures import endpoints as erasures
from shop_api.domains.fulfillments import endpoints as fulfillments
from shop_api.domains.images import endpoints as images
from shop_api.domains.imports import endpoints as imports
from shop_api.domains.insights import endpoints as insights
from shop_api.domains.insights.service import EXTENSION as INSIGHTS
from shop_api.domains.insights.service import Insights, Observe, access_of
from shop_api.domains.inventory import endpoints as inventory
from shop_api.domains.inventory import errors as inventory_errors
from shop_api.domains.invitations import endpoints as invitations
from shop_api.domains.invitations import errors as invitation_errors
from shop_api.domains.notifications import endpoints as notifications
from shop_api.domains.operations import endpoints as operations
from shop_api.domains.operations.service import EXTENSION as READINESS
from shop_api.domains.operations.service import Readiness
from shop_api.domains.orders import endpoints as orders
from shop_api.domains.orders import errors as order_errors
from shop_api.domains.payments import endpoints as payments
from shop_api.domains.payments import errors as payment_errors
from shop_api.domains.pipeline_runs import endpoints as pipeline_runs
from shop_api.domains.pricing import endpoints as pricing
from shop_api.domains.pricing import errors as pricing_errors
from shop_api.domains.queries import endpoints as queries
from shop_api.domains.refunds import endpoints as refunds
from shop_api.domains.reports import endpoints as reports
from shop_api.domains.sales_figures import endpoints as sales_figures
from shop_api.domains.search import endpoints as search
from shop_api.domains.sessions import endpoints as sessions
from shop_api.domains.sessions import errors as session_errors
from shop_api.domains.tenants import endpoints as tenants
from shop_api.domains.tenants import errors as tenant_errors
from shop_api.domains.tenants.service import OriginDirectory
from shop_api.domains.tickets import endpoints as tickets
from shop_api.domains.tracking import endpoints as tracking
from shop_api.domains.tracking.service import EXTENSION as TRACKING
from shop_api.domains.traffic import endpoints as traffic
from shop_api.domains.usage import endpoints as usages
from shop_api.domains.users import endpoints as users
from shop_api.domains.users import errors as user_errors
from shop_api.domains.variants import endpoints as variants
from shop_api.domains.variants import errors as variant_errors
from shop_api.domains.webhook_deliveries import endpoints as webhook_deliveries
from shop_api.domains.webhooks import endpoints as webhooks
from shop_api.gateway.idempotency import MUTATIONS
from shop_api.gateway.nonces import NonceBook
from shop_api.gateway.pipeline import Gateway, Wiring
from shop_api.gateway.purges import Purges
from shop_api.gateway.redis_answers import RedisAnswers
from shop_api.gateway.response_cache import Sources
from shop_api.kernel.errors import StartRefused
from shop_api.kernel.principal import ANY, PUBLIC, PUBLISHABLE_SCOPES
from shop_api.kernel.secret_keys import SecretKeys
from shop_api.metrics.usage import usage
from shop_api.realtime.asyncapi import make_events_document
from shop_api.settings import Settings
from shop_api.spine.traffic_stream import TrafficIntake
from shop_api.spine.usage import UsageWriter
from shop_api.spine.waker import make_waker
from shop_api.tracing.switch import open_tracing
from shop_api.web.cached_routes import CachedRoutes
from shop_api.web.direct import DirectReads
from shop_api.web.documentation import make_api
from shop_api.web.documented_versions import add_older_schemas
from shop_api.web.examples import fill_examples
from shop_api.web.reference import EVENTS_EXTENSION, SPEC_EXTENSION, reference
from shop_api.web.routing import IdConverter, raise_problem
from shop_api.web.services import EXTENSION, Services

if TYPE_CHECKING:
    from shop_api.tracing.tracing import Tracing

logger = logging.getLogger(__name__)

BLUEPRINTS = (
    accounts.auth,
    api_keys.api_keys,
    users.users,
    *(invitations.invitations, invitations.acceptance),
    audit.audit_log,
    tenants.tenants,
    categories.categories,
    catalog.products,
    variants.variants,
    images.images,
    bulk_edits.bulk_edits,
    inventory.inventory,
    customers.customers,
    addresses.addresses,
    *(pricing.discounts, pricing.tax_rates, pricing.shipping_rates, pricing.exchange_rates),
    sessions.sessions,
    *(orders.orders, orders.customer_orders),
    payments.payments,
    fulfillments.fulfillments,
    refunds.refunds,
    cancellations.cancellations,
    erasures.erasures,
    callbacks.payment_callbacks,
    insights.insights,
    customer_figures.customer_figures,
    queries.queries,
    assortment.assortment,
    sales_figures.sales_figures,
    usages.usage,
    pipeline_runs.pipeline_runs,
    *(notifications.notifications, webhooks.webhook_endpoints, *webhook_deliveries.BLUEPRINTS),
    *(traffic.traffic, tracking.tracking, reports.reports),
    *(imports.imports, imports.product_imports, imports.jobs),
    batch.batch,
    search.search,
    tickets.realtime,
    operations.operations,
)

CONSTRAINTS = (
    user_errors.CONSTRAINTS,
    invitation_errors.CONSTRAINTS,
    tenant_errors.CONSTRAINTS,
    catalog_errors.CONSTRAINTS,
    categories_errors.CONSTRAINTS,
    variant_errors.CONSTRAINTS,
    inventory_errors.CONSTRAINTS,
    customer_errors.CONSTRAINTS,
    address_errors.CONSTRAINTS,
    pricing_errors.CONSTRAINTS,
    session_errors.CONSTRAINTS,
    order_errors.CONSTRAINTS,
    payment_errors.CONSTRAINTS,
)


class App:
    """The gateway, the Flask application behind it and its services."""

    def __init__(
        self,
        gateway: Gateway,
        flask: Flask,
        services: Services,
        lake: Insights,
        redis_answers: RedisAnswers,
        tracing: "Tracing | None",
        usage_writer: UsageWriter,
    ) -> None:
        self.gateway = gateway
        self.flask = flask
        self.services = services
        self.lake = lake
        self.redis_answers = redis_answers
        self.tracing = tracing
        self.usage_writer = usage_writer
        self.batches = flask.extensions[BATCH] = BatchRunner(gateway)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        return self.gateway(environ, start_response)

    def close(self) -> None:
        """Close pools and threads, in reverse order of start."""
        self.batches.close()
        self.gateway.upkeep.close()
        self.redis_answers.close()
        self.lake.close()
        readiness: Readiness = self.flask.extensions[READINESS]
        readiness.close()
        self.services.waker.stop()
        self.usage_writer.close()
        self.services.engine.dispose()
        if self.services.reads is not None:
            self.services.reads.replica.close()
        self.services.redis.close()
        self.services.request_redis.close()
        if self.tracing is not None:
            self.tracing.close()


def create_app(settings: Settings) -> App:
    """The WSGI application of the api process."""
    for constraints in CONSTRAINTS:
        register_constraints(constraints)
    services = make_services(settings)
    tracing = open_tracing(settings, "api")
    if tracing is not None:
        _watch(services, tracing)
    _refuse_unsafe_role(services.engine)
    if services.reads is not None:
        _refuse_unsafe_role(services.reads.replica.engine)
    flask = make_flask(services)
    authenticate = Authenticator(
        services.engine,
        accounts.token_policy(services),
        services.platform_key,
        settings.metrics_key,
    )
    lake = make_lake(settings, services.engine, nullcontext if tracing is None else tracing.query)
    flask.extensions[INSIGHTS] = lake
    flask.extensions[READINESS] = Readiness(
        make_probe_engine(str(settings.database_url)),
        services.request_redis.client,
        services.reads,
        settings.lake_late_after_seconds,
    )
    flask.extensions[TRACKING] = TrafficIntake(services.request_redis, settings.traffic_event_limit)
    origins = OriginDirectory(services.engine)
    redis_answers = RedisAnswers(services.request_redis, settings.shared_answer_bytes)
    wiring = Wiring(
        settings,
        authenticate,
        Sources(
            cached_routes(settings).find,
            lake.current_version,
            services.waker.versions,
            Purges(services.request_redis),
        ),
        redis_answers,
        origins.is_known,
        mutation_paths(flask, {PUBLIC}),
        mutation_paths(flask, {PUBLIC, ANY, *PUBLISHABLE_SCOPES}),
        DirectReads(services, [read for noun in BLUEPRINTS for read in noun.direct_reads]),
        NonceBook(services.request_redis),
        SlidingWindows(services.request_redis),
        None if tracing is None else tracing.tracer,
    )
    gateway = Gateway(flask.wsgi_app, wiring)
    usage_writer = UsageWriter(services.engine, usage, settings.usage_write_seconds)
    usage_writer.start()
    return App(gateway, flask, services, lake, redis_answers, tracing, usage_writer)


def _watch(services: Services, tracing: "Tracing") -> None:
    tracing.watch_engine(services.engine)
    if services.reads is not None:
        tracing.watch_engine(services.reads.replica.engine)
    tracing.watch_redis(services.redis)
    services.request_redis.watch(tracing.watch_redis)


def cached_routes(settings: Settings) -> CachedRoutes:
    """The reads whose answers are kept.

    A replica may be behind: what it answers is made from something older than the version says. So
    with replicas only figures are kept, which name the snapshot they are of.
    """
    return CachedRoutes(
        (template, policy)
        for noun in BLUEPRINTS
        for template, policy in noun.cached_routes
        if policy.follows_lake
        or (settings.database_read_url is None and (settings.cache_bytes or policy.is_shared))
    )


def mutation_paths(flask: Flask, scopes: set[str]) -> re.Pattern[str]:
    """The paths of mutations that need one of these scopes."""
    rules = [
        rule.rule
        for rule in flask.url_map.iter_rules()
        if getattr(flask.view_functions[rule.endpoint], "scope", None) in scopes
        and MUTATIONS & (rule.methods or set())
    ]
    # a variable stands for one segment
    return re.compile("|".join(re.sub("<[^>]*>", "[^/]+", rule) for rule in rules))


def make_lake(settings: Settings, engine: Engine, observe: Observe) -> Insights:
    """The lake as this process reads it; nothing is opened before the first question."""
    return Insights(
        str(settings.database_url),
        engine,
        access_of(settings),
        memory_limit=settings.duckdb_memory,
        threads=settings.duckdb_threads,
        observe=observe,
    )


def _refuse_unsafe_role(engine: Engine) -> None:
    """Refuse to serve as a role that sees all tenants. A database that is away is asked later."""
    try:
        require_safe_role(engine)
    except OperationalError as error:
        logger.warning("the database is away, its role is checked later: %s", describe(error))


def make_services(settings: Settings) -> Services:
    """The means of the api process; every URL and secret must be set."""
    if not (settings.database_url and settings.redis_url):
        raise StartRefused("DATABASE_URL and REDIS_URL must be set; `shop-api serve` sets them")
    if not (settings.secret_key and settings.platform_key):
        raise StartRefused(
            "SHOP_SECRET_KEY and SHOP_PLATFORM_KEY must be set; `shop-api serve` sets them"
        )
    timeout = settings.deadline_seconds
    engine = make_engine(settings.database_url, settings, statement_timeout_seconds=timeout)
    watch_pool(engine, "api", "primary", sum(settings.pool_size))
    requests = RequestRedis(settings.redis_url, settings.redis_timeout_seconds)
    waker = make_waker(settings, requests)
    reads = None
    if settings.database_read_url is not None and waker.positions is not None:
        read_engine = make_engine(
            settings.database_read_url, settings, statement_timeout_seconds=timeout
        )
        watch_pool(read_engine, "api", "replica", sum(settings.pool_size))
        replica = Replica(
            read_engine,
            settings.database_url,
            settings.database_read_url,
            settings.replica_lag_seconds,
        )
        reads = ReadRouting(replica, waker.positions)
    secret_keys = SecretKeys.of(settings.secret_key, settings.accepted_secret_keys)
    ciphers = [Fernet(urlsafe_b64encode(key)) for key in secret_keys.derived(b"stored-answer")]
    return Services(
        settings=settings,
        engine=engine,
        reads=reads,
        waker=waker,
        redis=redis.Redis.from_url(settings.redis_url, socket_timeout=2, socket_connect_timeout=2),
        request_redis=requests,
        secret_keys=secret_keys,
        platform_key=settings.platform_key,
        cipher=MultiFernet(ciphers),
        product_documents=KeptDocuments(settings.document_bytes),
        sign_in_places=BoundedSemaphore(max(1, settings.api_threads // 2)),
    )


def make_document() -> dict[str, Any]:
    """The OpenAPI document, without connecting to anything."""
    document: dict[str, Any] = make_flask(None).extensions[SPEC_EXTENSION].to_dict()
    return document


def make_flask(services: Services | None) -> Flask:
    """Flask with every domain's blueprint; errors leave it as exceptions for the gateway.

    Without services it can only describe itself.
    """
    flask = Flask("shop_api", static_folder=None)
    flask.config.update(PROPAGATE_EXCEPTIONS=True, MAX_CONTENT_LENGTH=None)
    flask.url_map.converters["id"] = IdConverter
    flask.url_map.strict_slashes = True
    flask.url_map.merge_slashes = False
    flask.extensions[EXTENSION] = services
    api = make_api(flask, IdConverter)
    for blueprint in BLUEPRINTS:
        api.register_blueprint(blueprint)
    fill_examples(api.spec.components.schemas)
    add_older_schemas(api.spec.components.schemas)
    flask.register_blueprint(reference)
    flask.extensions[SPEC_EXTENSION] = api.spec
    flask.extensions[EVENTS_EXTENSION] = make_events_document()
    flask.register_error_handler(HTTPException, raise_problem)
    return flask
