"""Health and metrics over HTTP."""

from typing import Any

from flask import current_app

from shop_api.domains.operations.schemas import InstanceSchema, LiveSchema, ReadySchema
from shop_api.domains.operations.service import (
    EXTENSION,
    UNAVAILABLE,
    Readiness,
    count_instances,
)
from shop_api.kernel.principal import METRICS, PUBLIC
from shop_api.metrics.exposition import CONTENT_TYPE, exposition
from shop_api.stack.instances import Instance
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

operations = Blueprint(
    "operations", __name__, url_prefix="", description="Whether the service runs and can serve."
)


@operations.read("/health/live", scope=PUBLIC, returns=LiveSchema)
def get_liveness(_: Call) -> Reply:
    """Say that the process answers."""
    return Reply.of({"status": "live"})


@operations.read("/health/ready", scope=PUBLIC, returns=ReadySchema, unavailable=ReadySchema)
def get_readiness(call: Call) -> Reply:
    """Say whether requests can be served: 503 without Postgres, degraded without Redis.

    With the platform key it tells each dependency and every process of the product, too.
    """
    readiness: Readiness = current_app.extensions[EXTENSION]
    health = readiness.find()
    body: dict[str, Any] = {"status": health.status}
    principal = call.exchange.principal
    # the metrics key, which has a scope, opens the metrics alone
    if principal is not None and principal.is_platform and not principal.scopes:
        body |= {
            "dependencies": readiness.dependencies(health),
            "instance_counts": count_instances(health.instances),
            "instances": [_described(instance) for instance in health.instances],
        }
    if health.status != UNAVAILABLE:
        return Reply.of(body)
    reply = Reply.of(body, 503)
    reply.headers.append(("Retry-After", "1"))
    return reply


def _described(instance: Instance) -> dict[str, Any]:
    """An instance without what its kind tells, which dependencies say."""
    return {name: getattr(instance, name) for name in InstanceSchema().fields}


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
