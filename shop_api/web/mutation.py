"""The edge of every mutation: lock the key, replay or run, store the answer, commit once.

Belongs here: idempotency inside the transaction and the mapping of database refusals. Does not: the
key's form (gateway/idempotency.py) and the changes (services).
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
from sqlalchemy.exc import DBAPIError

from shop_api.db.read_routing import position_token
from shop_api.db.round_trips import Statement
from shop_api.db.tenancy import LockTaken
from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.kernel.etag import version_of
from shop_api.kernel.exchange import Exchange, IdempotencyKey
from shop_api.spine.unit_of_work import Origin, StoredAnswer, UnitOfWork, unit_of_work
from shop_api.web.older_shapes import OlderShapes
from shop_api.web.reply import JSON, Reply, to_response
from shop_api.web.services import Services

# A deadlock or serialization failure rolls everything back, so running it again is safe.
MAX_ATTEMPTS = 3

FIND_ANSWER = """
SELECT request_digest, status, headers, body, is_encrypted FROM idempotency_records
WHERE tenant_id = %(tenant_id)s AND key_digest = %(key_digest)s AND expires_at > %(now)s
"""

# of a stored answer's headers those that follow from its body, version and type
MADE_ANEW = ("Content-Type", "ETag")
REPLAYED = ("Idempotency-Replayed", "true")

Handler = Callable[[UnitOfWork], Reply]


def run_mutation(
    services: Services,
    exchange: Exchange,
    origin: Origin,
    handler: Handler,
    shapes: OlderShapes | None,
    *,
    is_secret: bool,
) -> Any:
    """Run `handler` in one transaction with its idempotency record; the Flask response.

    Raises 409 `idempotency_key_in_flight` when the same key runs now, 422 `idempotency_key_reused`
    when it was used for something else. `is_secret` encrypts the stored answer, which is of the
    newest version; `shapes` are those that older ones answer with, also when it is replayed.
    """
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            return _run_once(services, exchange, origin, handler, shapes, is_secret=is_secret)
        except DBAPIError as error:
            if attempt == MAX_ATTEMPTS or not _is_transient(error):
                raise
    raise AssertionError("unreachable: the last attempt returns or raises")


def _is_transient(error: DBAPIError) -> bool:
    return isinstance(
        error.orig, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure
    )


def _run_once(
    services: Services,
    exchange: Exchange,
    origin: Origin,
    handler: Handler,
    shapes: OlderShapes | None,
    *,
    is_secret: bool,
) -> Any:
    key = exchange.idempotency
    if key is not None and exchange.principal is None:
        key = key.of(origin.tenant_id, origin.actor)
    lock_key = int.from_bytes(key.key_digest[:8], "big", signed=True) if key else None
    first = [_find_answer(origin, key)] if key else []
    try:
        with unit_of_work(services.engine, services.waker, origin, lock_key, first) as work:
            if key is not None and work.session.first_rows[0]:
                stored = _replay(services, key, work.session.first_rows[0][0])
                return _respond(stored, shapes, exchange.api_version, [REPLAYED])
            reply = handler(work)
            if shapes is not None:
                reply = shapes.mark(reply)
            if key is not None and reply.is_stored:
                work.answer = _answer_to_store(services, origin, key, reply, is_secret)
    except LockTaken as error:
        raise DomainError(
            ErrorKind.CONFLICT,
            "idempotency_key_in_flight",
            "A request with this Idempotency-Key is still running. Try again shortly.",
            retry_after_seconds=1,
        ) from error
    told = _position(work)
    if reply.is_numbered:
        resource = Reply.resource(work.resource, reply.status)
        reply = replace(resource, headers=reply.headers)
    return _respond(reply, shapes, exchange.api_version, told)


def _respond(
    reply: Reply, shapes: OlderShapes | None, api_version: str, told: list[tuple[str, str]]
) -> Any:
    """The response, in the shape of the version asked for, with what else is told."""
    if shapes is not None:
        reply = shapes.back(reply, api_version)
    return to_response(reply.status, [*reply.all_headers(), *told], reply.body)


def _position(work: UnitOfWork) -> list[tuple[str, str]]:
    """What a read must have seen to show the unit's changes, where there is a replica."""
    if work.position is None:
        return []
    return [("X-Read-Position", position_token(work.position))]


def _find_answer(origin: Origin, key: IdempotencyKey) -> Statement:
    return Statement(
        FIND_ANSWER,
        {"tenant_id": origin.tenant_id, "key_digest": key.key_digest, "now": origin.now},
    )


def _replay(services: Services, key: IdempotencyKey, row: Any) -> Reply:
    """The answer as it was stored."""
    if not key.is_of(bytes(row.request_digest)):
        raise DomainError(
            ErrorKind.INVALID,
            "idempotency_key_reused",
            "This Idempotency-Key was used for another request. Use a new key.",
        )
    body = bytes(row.body)
    if row.is_encrypted:
        body = services.cipher.decrypt(body)
    named = dict(row.headers)
    version = version_of(named["ETag"]) if "ETag" in named else 0
    headers = [(name, value) for name, value in row.headers if name not in MADE_ANEW]
    return Reply(body, row.status, version, headers, named.get("Content-Type", JSON))


def _answer_to_store(
    services: Services, origin: Origin, key: IdempotencyKey, reply: Reply, is_secret: bool
) -> StoredAnswer:
    return StoredAnswer(
        key_digest=key.key_digest,
        request_digest=key.request_digest,
        status=reply.status,
        headers=reply.all_headers(),
        body=_stored_body(services, reply, is_secret),
        is_encrypted=is_secret,
        expires_at=origin.now + timedelta(seconds=services.settings.idempotency_seconds),
        is_composed=reply.is_composed,
    )


def _stored_body(services: Services, reply: Reply, is_secret: bool) -> bytes | None:
    """None where Postgres stores the body of the row it numbers."""
    if not reply.is_numbered:
        return services.cipher.encrypt(reply.body) if is_secret else reply.body
    if is_secret:
        raise RuntimeError("Postgres cannot encrypt the answer it makes")
    return None
