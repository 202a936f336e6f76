"""TLS and client certificates of the built-in servers, over real sockets."""

import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import websocket
from pydantic import ValidationError

from shop_api.settings import Settings
from shop_api.stack.children import base_url, live_url
from shop_api.stack.supervisor import is_healthy
from tests.factories.rows import make_tenant
from tests.fixtures.certificates import Certificate, client_context, make_certificate
from tests.fixtures.event_stream import EventStream
from tests.fixtures.processes import free_port, process_environment, running, wait_until
from tests.fixtures.realtime import GUNICORN, Realtime
from tests.fixtures.servers import ApiServer, api_server
from tests.fixtures.stores import Database

LIVE = "/health/live"


@dataclass(frozen=True)
class Certificates:
    authority: Certificate
    server: Certificate
    client: Certificate
    # of nobody the server knows
    stranger: Certificate


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    authority = make_certificate(folder, "authority")
    return Certificates(
        authority,
        make_certificate(folder, "server", authority, is_server=True),
        make_certificate(folder, "client", authority),
        make_certificate(folder, "stranger", make_certificate(folder, "elsewhere")),
    )


@pytest.fixture(scope="module")
def settings(
    database: Database, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Settings:
    return database.settings(tmp_path_factory.mktemp("data"), redis_url)


def tls(certificates: Certificates, *, is_mutual: bool = False) -> dict[str, object]:
    files: dict[str, object] = {
        "tls_certificate": certificates.server.certificate_file,
        "tls_key": certificates.server.key_file,
    }
    if is_mutual:
        files["tls_client_ca"] = certificates.authority.certificate_file
    return files


@pytest.fixture(scope="module")
def secure(settings: Settings, certificates: Certificates) -> Iterator[ApiServer]:
    context = client_context(certificates.authority)
    log = settings.data_dir / "secure.log"
    with api_server(settings, log, context, **tls(certificates)) as server:
        yield server


@pytest.fixture(scope="module")
def mutual(settings: Settings, certificates: Certificates) -> Iterator[ApiServer]:
    context = client_context(certificates.authority, certificates.client)
    log = settings.data_dir / "mutual.log"
    with api_server(settings, log, context, **tls(certificates, is_mutual=True)) as server:
        yield server


def as_served(settings: Settings, certificates: Certificates, *, is_mutual: bool) -> Settings:
    return settings.model_copy(update=tls(certificates, is_mutual=is_mutual))


def test_the_api_speaks_tls_and_says_so(secure: ApiServer) -> None:
    heard = secure.call("GET", LIVE)
    assert heard.status == 200
    assert heard.headers["strict-transport-security"].startswith("max-age=")


def test_without_tls_no_browser_is_told_to_insist_on_it(settings: Settings) -> None:
    with api_server(settings, settings.data_dir / "plain.log") as server:
        assert "strict-transport-security" not in server.call("GET", LIVE).headers


def test_nothing_is_answered_in_the_clear(secure: ApiServer) -> None:
    with socket.create_connection(("127.0.0.1", secure.port), timeout=10) as plain:
        plain.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try:
            answered = plain.recv(1000)
        except ConnectionError:
            answered = b""
    assert b"HTTP" not in answered


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_that_are_safe_are_spoken(
    secure: ApiServer, certificates: Certificates, version: ssl.TLSVersion
) -> None:
    context = client_context(certificates.authority)
    context.minimum_version = context.maximum_version = version
    assert replace(secure, context=context).call("GET", LIVE).status == 200


def test_only_who_shows_a_certificate_of_the_authority_is_served(
    mutual: ApiServer, certificates: Certificates
) -> None:
    assert mutual.call("GET", LIVE).status == 200
    for shown in (None, certificates.stranger):
        context = client_context(certificates.authority, shown)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            replace(mutual, context=context).call("GET", LIVE)


def test_health_is_asked_over_tls(
    settings: Settings, certificates: Certificates, secure: ApiServer, mutual: ApiServer
) -> None:
    for server, is_mutual in ((secure, False), (mutual, True)):
        served = as_served(settings, certificates, is_mutual=is_mutual)
        assert is_healthy(live_url(served, server.port))
        assert not is_healthy(live_url(served, free_port()))
    assert base_url(served, 8000) == "https://127.0.0.1:8000"
    assert base_url(served, 8001, "ws") == "wss://127.0.0.1:8001"
    # a port that something else listens on does not live
    with socket.create_server(("127.0.0.1", 0)) as mute:
        assert not is_healthy(live_url(served, mute.getsockname()[1]))


def test_realtime_speaks_tls_and_asks_for_certificates(
    settings: Settings,
    certificates: Certificates,
    mutual: ApiServer,
    database: Database,
    tmp_path: Path,
) -> None:
    port = free_port()
    changes = tls(certificates, is_mutual=True)
    environment = process_environment(settings, realtime_port=port, host="127.0.0.1", **changes)
    served = as_served(settings, certificates, is_mutual=True)
    log = tmp_path / "log"
    with running([*GUNICORN, "shop_api.realtime.wsgi:app"], environment, log) as process:
        wait_until(lambda: is_healthy(live_url(served, port)), 30)
        options = {
            "ca_certs": str(certificates.authority.certificate_file),
            "certfile": str(certificates.client.certificate_file),
            "keyfile": str(certificates.client.key_file),
        }
        url = f"wss://localhost:{port}/ws?ticket=none"
        socket_ = websocket.create_connection(url, timeout=10, sslopt=options)
        opcode, data = socket_.recv_data()
        assert opcode == websocket.ABNF.OPCODE_CLOSE
        assert int.from_bytes(data[:2], "big") == 4401
        for name in ("certfile", "keyfile"):
            del options[name]
        with pytest.raises((ssl.SSLError, ConnectionError, websocket.WebSocketException)):
            websocket.create_connection(url, timeout=10, sslopt=options)
        key = Realtime(served, port, process.pid, log).bearer(make_tenant(database))
        streams = [EventStream(port, context=mutual.context, bearer=key) for _ in range(2)]
        for stream in streams:
            assert [m["type"] for m in stream.receive_many(1)] == ["connected"]
        streams[0].close()
        process.terminate()
        assert streams[1].receive() is None
        streams[1].close()
        assert process.wait(timeout=10) == 0
    # of clients without a certificate the server's own log tells, once an attempt; of nothing else
    tracebacks = log.read_text().split("Traceback")[1:]
    assert tracebacks
    assert all("in do_handshake\n" in traceback for traceback in tracebacks)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"tls_certificate": "x.pem"}, "tls_key"),
        ({"tls_key": "x.key"}, "tls_key"),
        ({"tls_client_ca": "ca.pem"}, "tls_client_ca"),
        ({"has_client_certificates": True}, "has_client_certificates"),
    ],
)
def test_settings_that_would_not_protect_are_refused(given: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(_env_file=None, **given)  # type: ignore[arg-type]
    assert [error["loc"] for error in refused.value.errors()] == [(named,)]
