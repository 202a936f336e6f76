"""Health and metrics over HTTP."""

from shop_api.domains.operations.repository import is_database_ready, is_redis_ready
from shop_api.domains.operations.schemas import LiveSchema, ReadySchema
from shop_api.kernel.principal import METRICS, PUBLIC
from shop_api.metrics.exposition import CONTENT_TYPE, exposition
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

operations = Blueprint(
    "operations", __name__, url_prefix="", description="Whether the service runs and can serve."
)


@operations.read("/health/live", scope=PUBLIC, returns=LiveSchema)
def get_liveness(_: Call) -> Reply:
    """Say that the process answers."""
    return Reply.of({"status": "live"})


@operations.read("/health/ready", scope=PUBLIC, returns=ReadySchema)
def get_readiness(call: Call) -> Reply:
    """Say whether requests can be served: 503 without Postgres, degraded without Redis."""
    has_database = is_database_ready(call.services.engine)
    has_redis = is_redis_ready(call.services.redis)
    status = "ready" if has_redis else "degraded"
    return Reply.of(
        {
            "status": status if has_database else "unavailable",
            "dependencies": {
                "postgres": "ready" if has_database else "unavailable",
                "redis": "ready" if has_redis else "unavailable",
            },
        },
        200 if has_database else 503,
    )


@operations.read(
    "/metrics",
    scope=METRICS,
    returns={"type": "string"},
    content_type="text/plain",
    has_session=False,
)
def get_metrics(_: Call) -> Reply:
    """Get the metrics of all processes of this machine, in Prometheus' text format."""
    return Reply(exposition(), content_type=CONTENT_TYPE)
