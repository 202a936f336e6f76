"""Callbacks over HTTP."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import request

from shop_api.domains.callbacks import service
from shop_api.domains.callbacks.schemas import CallbackBody, CallbackSchema
from shop_api.kernel.principal import PUBLIC
from shop_api.providers.port import Callback
from shop_api.spine.unit_of_work import UnitOfWork
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

payment_callbacks = Blueprint(
    "payment_callbacks",
    __name__,
    url_prefix="/api/v1/payment_callbacks",
    description="What payment providers tell.",
)


@payment_callbacks.mutation(
    "POST",
    "/<provider>/<id:tenant_id>",
    scope=PUBLIC,
    body=CallbackBody,
    returns=CallbackSchema,
)
def receive_payment_callback(call: Call, commit: Any, provider: str, tenant_id: UUID) -> Any:
    """Tell what became of a payment.

    For payment providers, which have no credential: `X-Payment-Signature` is the HMAC-SHA256 of the
    body, in hexadecimal, with the tenant's own key. What is told twice, or late, changes nothing:
    only money that was captured, or refunded, is recorded whatever was told before, also of an
    order that was cancelled meanwhile.
    """
    service.check_signature(
        call.services.secret_keys,
        tenant_id,
        request.get_data(cache=True),
        call.exchange.header("X_PAYMENT_SIGNATURE"),
    )
    service.check_provider(provider)
    body = call.body
    callback = Callback(body["callback_id"], body["reference"], body["outcome"], body.get("amount"))

    def receive(work: UnitOfWork) -> Reply:
        hold = timedelta(seconds=call.services.settings.order_hold_seconds)
        is_applied = service.receive_callback(work, provider, callback, hold)
        return Reply.of({"callback_id": callback.callback_id, "is_applied": is_applied})

    return commit(tenant_id, f"system:{provider}_callback", receive)
