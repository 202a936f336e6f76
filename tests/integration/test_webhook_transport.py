"""An attempt goes to the address that was judged, follows nothing, and ends in time."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from shop_api.webhooks.addresses import AllowedNetworks
from shop_api.webhooks.attempts import (
    DELIVERED,
    FORBIDDEN,
    REFUSED,
    TIMED_OUT,
    UNREACHABLE,
    Attempted,
)
from shop_api.webhooks.transport import BODY_TIMEOUT_SECONDS, Transport
from tests.fixtures.certificates import make_certificate, server_context
from tests.fixtures.processes import wait_until
from tests.fixtures.webhooks import LOOPBACK, Answer, receiving

NOT_CONNECTED = {FORBIDDEN, UNREACHABLE}
OK = b"HTTP/1.1 200 OK\r\n"


def send(*urls: str, networks: list[str] = LOOPBACK, timeout_seconds: float = 5) -> list[Attempted]:
    """Attempts one after the other, over the same connections."""

    async def attempts() -> list[Attempted]:
        transport = Transport(AllowedNetworks.of(networks), timeout_seconds)
        try:
            return [await transport.send(url, b"{}", {"webhook-id": "1"}) for url in urls]
        finally:
            await transport.close()

    return asyncio.run(attempts())


@contextmanager
def hostile(*answer: bytes, pause_seconds: float = 0, forever: bool = False) -> Iterator[str]:
    """A server that says these pieces, pausing between them, the last one for ever if told."""
    is_over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                client.recv(65_536)
                try:
                    for piece in answer:
                        client.sendall(piece)
                        time.sleep(pause_seconds)
                    while forever and not is_over.wait(pause_seconds):
                        client.sendall(answer[-1])
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        is_over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def resolving(monkeypatch: pytest.MonkeyPatch, answers: Callable[[str], str]) -> list[str]:
    """The process's resolver answers so from now on; the names it is asked for."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        if name.endswith(".example"):
            asked.append(name)
            host = answers(name)
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_no_notation_of_an_address_that_is_not_public_is_connected_to() -> None:
    """Whatever a URL that stands already was judged by: no connection is made."""
    forbidden = ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]"]
    forbidden.append("[2002:7f00:1::]")
    # the client takes these for no address, or the resolver does not know them
    unreachable = ["2130706433", "0x7f.1", "127.1", "0177.0.0.1", "localhost."]
    with receiving() as receiver:
        for host in forbidden + unreachable:
            (attempted,) = send(f"https://{host}:{receiver.port}/", networks=[])
            assert attempted.status is None
            assert attempted.outcome in ({FORBIDDEN} if host in forbidden else NOT_CONNECTED)
        assert receiver.connections == 0
        # the server would have seen it
        send(receiver.url())
        assert receiver.connections == 1


def test_a_name_is_judged_by_what_it_resolves_to_at_each_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with receiving() as receiver:
        asked = resolving(monkeypatch, lambda _: "127.0.0.1")
        (attempted,) = send(f"https://inside.example:{receiver.port}/", networks=[])
        assert (attempted.outcome, receiver.connections) == (FORBIDDEN, 0)
        # one that answers otherwise the second time: public when judged, inside when connected to
        turns = iter(["127.0.0.1", "127.0.0.2"])
        asked = resolving(monkeypatch, lambda _: next(turns))
        receiver.answer = lambda _: Answer(headers={"Connection": "close"})
        url = f"http://turn.example:{receiver.port}/"
        first, second = send(url, url, networks=["127.0.0.1/32"])
        assert (first.outcome, second.outcome) == (DELIVERED, FORBIDDEN)
        # resolved once for each connection, and connected to just that
        assert asked == ["turn.example", "turn.example"]
        assert receiver.connections == 1
        (attempted,) = send("https://nowhere.invalid/")
        assert (attempted.outcome, attempted.error) == (
            UNREACHABLE,
            "The host's name cannot be resolved.",
        )


def test_no_redirect_is_followed_no_proxy_asked_and_no_cookie_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with receiving() as receiver, receiving() as other:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, other.url(""))
        location = {"Location": other.url(), "Set-Cookie": "a=b"}
        statuses = [301, 302, 303, 307, 308]
        answers = iter([Answer(status, location) for status in statuses])
        receiver.answer = lambda _: next(answers)
        attempts = send(*[receiver.url()] * len(statuses))
        assert [attempted.status for attempted in attempts] == statuses
        assert {attempted.outcome for attempted in attempts} == {REFUSED}
        assert ("Location", other.url()) in attempts[0].headers
        assert other.connections == 0
        for message in receiver.messages:
            assert "cookie" not in message.headers
            assert message.headers["content-type"] == "application/json"
        # all over one connection
        assert receiver.connections == 1


def test_what_hangs_or_drips_ends_in_time_and_what_never_ends_is_cut_off() -> None:
    line = b"X-Line: " + b"a" * 100 + b"\r\n"
    cases: list[tuple[tuple[bytes, ...], dict[str, Any], str, float]] = [
        # nothing is said; the head drips; the head never ends; a line of it never ends
        ((b"",), {"pause_seconds": 3}, TIMED_OUT, 1.0),
        ((OK, b"X"), {"pause_seconds": 0.1, "forever": True}, TIMED_OUT, 1.0),
        ((OK, line), {"forever": True}, UNREACHABLE, 1.0),
        ((OK, b"a" * 1000), {"forever": True}, UNREACHABLE, 1.0),
        ((b"garbage\r\n\r\n",), {}, UNREACHABLE, 1.0),
        # the head says that it was taken; the body drips, or never ends
        ((OK + b"\r\n", b"b"), {"pause_seconds": 0.1, "forever": True}, DELIVERED, 2.5),
        ((OK + b"\r\n", b"b" * 65_536), {"forever": True}, DELIVERED, 1.0),
        ((OK + b"Content-Length: 5000000000\r\n\r\n", b"b"), {}, DELIVERED, 1.0),
    ]
    for answer, options, outcome, seconds in cases:
        timeout_seconds = 1 if outcome == TIMED_OUT else 10
        with hostile(*answer, **options) as url:
            (attempted,) = send(url, timeout_seconds=timeout_seconds)
        assert attempted.outcome == outcome, (answer, attempted)
        assert attempted.duration_seconds < seconds + 0.5, (answer, attempted)
        assert len(attempted.body or "") <= 1024
        assert (attempted.error is None) == (outcome == DELIVERED)
    assert BODY_TIMEOUT_SECONDS == 2


def test_what_postgres_cannot_keep_is_replaced_and_little_is_kept() -> None:
    body = b"\x00\xff\xed\xa0\x80" + "ü".encode() * 600
    with receiving() as receiver:
        receiver.answer = lambda _: Answer(200, {"X-Odd": "\xff" * 3000}, body)
        (attempted,) = send(receiver.url())
    assert attempted.body is not None
    assert "\0" not in attempted.body
    assert attempted.body.startswith("\ufffd\ufffd")
    assert len(attempted.body.encode("utf-8", "strict")) < 1100
    assert dict(attempted.headers)["X-Odd"] == "\xff" * 1024


def test_a_certificate_must_be_of_the_name_and_of_an_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = make_certificate(tmp_path, "authority")
    server = make_certificate(tmp_path, "server", authority, is_server=True)
    resolving(monkeypatch, lambda _: "127.0.0.1")
    with receiving(server_context(server)) as receiver:
        (attempted,) = send(receiver.url(scheme="https"))
        assert attempted.outcome == UNREACHABLE
        assert "certificate" in str(attempted.error)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate_file))
        (attempted,) = send(receiver.url(scheme="https"))
        assert attempted.outcome == DELIVERED
        (attempted,) = send(f"https://other.example:{receiver.port}/")
        assert attempted.outcome == UNREACHABLE
        assert "other.example" in str(attempted.error)
    wait_until(lambda: len(receiver.messages) == 1)
