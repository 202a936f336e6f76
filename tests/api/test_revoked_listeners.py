"""A ticket and an open socket count only as long as the credential they came from."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from shop_api.app import App
from shop_api.kernel.clock import utc_now
from tests.factories.signing import Signer
from tests.fixtures.api import PASSWORD as OWNER_PASSWORD
from tests.fixtures.api import ApiClient, Shop
from tests.fixtures.event_stream import EventStream
from tests.fixtures.realtime import Realtime, Socket, realtime_process
from tests.fixtures.stores import Database

# what becomes of a credential is seen at once
APP_SETTINGS = {"credential_cache_seconds": 0.0}

TICKETS = "/api/v1/realtime/tickets"
KEYS = "/api/v1/api_keys"
USERS = "/api/v1/users"
PASSWORD = "a-long-password-of-theirs"
SCOPES = ["events:read", "orders:read", "customers:read"]


@pytest.fixture(scope="module")
def realtime(
    app: App, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Realtime]:
    log = tmp_path_factory.mktemp("realtime") / "log"
    with realtime_process(app.services.settings, log) as process:
        yield process


def make_key(shop: Shop, **changes: Any) -> tuple[str, ApiClient]:
    answered = shop.api.post(KEYS, {"name": "listener", "scopes": SCOPES, **changes})
    assert answered.status == 201, answered.body
    return f"{KEYS}/{answered.json['id']}", shop.api.with_token(answered.json["key"])


def make_user(shop: Shop, role: str = "staff") -> tuple[str, ApiClient]:
    email = f"{uuid4().hex}@example.com"
    body = {"email": email, "name": "Person", "role": role, "password": PASSWORD}
    path = f"{USERS}/{shop.api.post(USERS, body).json['id']}"
    login = shop.api.with_token(None).post(
        "/api/v1/auth/login", {"email": email, "password": PASSWORD}
    )
    return path, shop.api.with_token(login.json["access_token"])


def ticket(api: ApiClient) -> str:
    return str(api.post(TICKETS).json["ticket"])


def stream(realtime: Realtime, api: ApiClient, **headers: str) -> EventStream:
    return EventStream(realtime.port, bearer=api.token, headers=headers)


def connect(realtime: Realtime, api: ApiClient) -> Socket:
    socket = Socket(realtime.port, ticket(api))
    assert socket.receive()["type"] == "connected"
    return socket


def test_sockets_of_a_revoked_key_are_closed_and_its_tickets_refused(
    realtime: Realtime, shop: Shop
) -> None:
    path, holder = make_key(shop)
    other = connect(realtime, make_key(shop)[1])
    unused = ticket(holder)
    # one that talks and one that stays silent
    sockets = [connect(realtime, holder), connect(realtime, holder)]
    sockets[0].send(type="ping")
    assert sockets[0].receive()["type"] == "pong"
    streams = [stream(realtime, holder), EventStream(realtime.port, ticket=ticket(holder))]
    for opened in streams:
        assert [message["type"] for message in opened.receive_many(1)] == ["connected"]
    assert shop.api.delete(path).status == 204
    started = time.monotonic()
    assert [socket.close_code() for socket in sockets] == [4401, 4401]
    assert [opened.receive() for opened in streams] == [None, None]
    assert time.monotonic() - started < 1.2
    refused = stream(realtime, holder)
    assert (refused.status, refused.problem["code"]) == (401, "invalid_credential")
    assert EventStream(realtime.port, ticket=unused).problem["code"] == "invalid_ticket"
    assert Socket(realtime.port, unused).close_code() == 4401
    other.send(type="ping")
    assert other.receive()["type"] == "pong"
    other.close()


def test_a_key_that_loses_a_scope_loses_its_sockets(realtime: Realtime, shop: Shop) -> None:
    path, holder = make_key(shop)
    unused, silent = ticket(holder), ticket(holder)
    socket = connect(realtime, holder)
    changed = shop.api.patch(path, {"scopes": ["events:read", "orders:read"]})
    assert changed.status == 200, changed.body
    assert socket.close_code() == 4403
    narrowed = Socket(realtime.port, unused)
    assert narrowed.receive()["type"] == "connected"
    assert shop.api.patch(path, {"scopes": ["orders:read"]}).status == 200
    assert narrowed.close_code() == 4403
    assert Socket(realtime.port, silent).close_code() == 4403


def test_a_key_that_expires_ends_its_sockets(realtime: Realtime, shop: Shop) -> None:
    expires_at = utc_now() + timedelta(seconds=1.5)
    _, holder = make_key(shop, expires_at=expires_at.isoformat())
    socket = connect(realtime, holder)
    assert socket.close_code() == 4401
    assert utc_now() >= expires_at


@pytest.mark.parametrize("change", [{"is_disabled": True}, {"role": "viewer"}, None])
def test_a_user_who_is_disabled_changed_or_deleted_stops_listening(
    realtime: Realtime, shop: Shop, change: dict[str, Any] | None
) -> None:
    path, holder = make_user(shop)
    unused, socket = ticket(holder), connect(realtime, holder)
    answered = shop.api.delete(path) if change is None else shop.api.patch(path, change)
    assert answered.status in (200, 204), answered.body
    assert socket.close_code() == 4401
    assert Socket(realtime.port, unused).close_code() == 4401


@pytest.mark.parametrize("ending", ["logout", "reuse"])
def test_a_sign_in_that_ends_takes_its_sockets_and_no_others(
    realtime: Realtime, shop: Shop, ending: str
) -> None:
    login = {"email": shop.email, "password": OWNER_PASSWORD}
    tokens, others = (
        shop.api.with_token(None).post("/api/v1/auth/login", login).json for _ in range(2)
    )
    holder, other = (shop.api.with_token(each["access_token"]) for each in (tokens, others))
    unused, socket, kept = ticket(holder), connect(realtime, holder), connect(realtime, other)
    followed = stream(realtime, holder)
    assert followed.status == 200
    body = {"refresh_token": tokens["refresh_token"]}
    if ending == "logout":
        assert holder.post("/api/v1/auth/logout", body).status == 204
    else:
        answers = [holder.with_token(None).post("/api/v1/auth/refresh", body) for _ in range(2)]
        assert [answered.status for answered in answers] == [200, 401]
    assert socket.close_code() == 4401
    assert [message["type"] for message in followed.receive_many(1)] == ["connected"]
    assert followed.receive() is None
    assert stream(realtime, holder).status == 401
    assert Socket(realtime.port, unused).close_code() == 4401
    kept.send(type="ping")
    assert kept.receive()["type"] == "pong"
    kept.close()


def test_a_copied_key_that_must_sign_opens_no_stream(realtime: Realtime, shop: Shop) -> None:
    signer = Signer("")
    path, holder = make_key(shop, public_key=signer.public_key, requires_signature=True)
    signer.key_id = path.rpartition("/")[2]
    refused = stream(realtime, holder)
    assert (refused.status, refused.problem["code"]) == (401, "signature_required")
    signed = stream(realtime, holder, **signer.headers("GET", "/events"))
    assert signed.status == 200
    signed.close()
