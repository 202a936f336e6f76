"""Batches over HTTP."""

from datetime import timedelta

from flask import current_app

from shop_api.domains.batch.repository import BatchRepository, find_horizon
from shop_api.domains.batch.schemas import BATCH_PATH, BatchAnswerSchema, BatchBody
from shop_api.domains.batch.service import EXTENSION, BatchRunner
from shop_api.kernel.principal import ANY
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

batch = Blueprint(
    "batch", __name__, url_prefix=BATCH_PATH, description="Send several requests in one."
)


# One that began before the batch may end during it.
LONGEST_ERASURE = timedelta(minutes=2)


# any of the answers may hold a secret
@batch.mutation("POST", "", scope=ANY, body=BatchBody, returns=BatchAnswerSchema, is_secret=True)
def run_batch(call: Call) -> Reply:
    """Send up to 20 requests in one.

    They run at the same time and in no particular order, each with this request's credential and in
    a transaction of its own: one may fail while others succeed. The answers come in the order of
    the requests. A request that changes something takes an `Idempotency-Key` of its own; without
    one it gets one made from the batch's, so that a batch sent again under its key does nothing
    twice. An answer with a 503 or another that asks to come again is not kept: the batch sent again
    runs what was not done. Nor is one to a publishable key, and erasing a customer forgets those
    that are: the batch sent again changes nothing twice, and reads anew.
    """
    runner: BatchRunner = current_app.extensions[EXTENSION]
    key = call.exchange.header("IDEMPOTENCY_KEY")
    seconds = call.services.settings.deadline_seconds
    horizon = find_horizon(call.session)
    answers, is_final = runner.run(call.exchange, call.body["requests"], key, seconds)
    # a page's own requests change nothing, and anybody may send them: they fill no table
    is_stored = is_final and not call.principal.is_publishable
    if is_stored and key is not None:
        is_stored = not BatchRepository(call.session).has_erased(
            horizon, call.now - LONGEST_ERASURE
        )
    body = b'{"responses":[' + b",".join(answers) + b"]}"
    return Reply(body, is_stored=is_stored, is_composed=True)
