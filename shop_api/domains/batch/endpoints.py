"""Batches over HTTP."""

from flask import current_app

from shop_api.domains.batch.schemas import BATCH_PATH, BatchAnswerSchema, BatchBody
from shop_api.domains.batch.service import EXTENSION, BatchRunner
from shop_api.kernel.principal import ANY
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

batch = Blueprint(
    "batch", __name__, url_prefix=BATCH_PATH, description="Send several requests in one."
)


# any of the answers may hold a secret
@batch.mutation("POST", "", scope=ANY, body=BatchBody, returns=BatchAnswerSchema, is_secret=True)
def run_batch(call: Call) -> Reply:
    """Send up to 20 requests in one.

    They run at the same time and in no particular order, each with this request's credential and in
    a transaction of its own: one may fail while others succeed. The answers come in the order of
    the requests. A request that changes something takes an `Idempotency-Key` of its own; without
    one it gets one made from the batch's, so that a batch sent again under its key does nothing
    twice. An answer with a 503 or another that asks to come again is not kept: the batch sent again
    runs what was not done.
    """
    runner: BatchRunner = current_app.extensions[EXTENSION]
    key = call.exchange.header("IDEMPOTENCY_KEY")
    seconds = call.services.settings.deadline_seconds
    answers, is_final = runner.run(call.exchange, call.body["requests"], key, seconds)
    return Reply(b'{"responses":[' + b",".join(answers) + b"]}", is_stored=is_final)
