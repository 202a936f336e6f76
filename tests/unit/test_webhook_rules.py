"""Where webhooks may go, in every notation; when they are tried again; how they are signed."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from shop_api.kernel.secret_keys import SecretKeys
from shop_api.webhooks.addresses import AllowedNetworks, RefusedUrl, is_public
from shop_api.webhooks.schedule import (
    DELAYS_SECONDS,
    LIFETIME,
    asked_to_wait,
    is_given_up,
    next_attempt,
)
from shop_api.webhooks.signing import SecretCipher, SecretUnreadable, make_secret, signed_headers
from tests.architecture.sources import ROOT

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOWHERE = AllowedNetworks()
GUIDE = (ROOT / "docs" / "guides" / "webhooks.md").read_text(encoding="utf-8")

PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
# what an address may be written as, or be embedded in, and none may be connected to
NOT_PUBLIC = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "192.0.0.8", "192.0.2.1", "198.18.0.1", "203.0.113.7"),
    *("192.88.99.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1"),
    *("2002:7f00:1::", "2002:808:808::1", "2001::1", "2001:0:808:808::1", "2001:db8::1"),
    *("3fff::1", "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1"),
    *("100::1", "5f00::1", "4000::1"),
]
LITERALS = [f"[{address}]" if ":" in address else address for address in NOT_PUBLIC]
NOTATIONS = [
    *("2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.1", "127.0.1"),
    *("0", "0x0", "10.1", "08.0.0.1", "1.2.3.4.5", "127.0.0.1.", "localhost.", "localhost"),
    *("LocalHost", "db.internal", "printer.local", "a.localhost", "example.com.", "example..com"),
    *("-a.example", "ex%61mple.com", "exämple.com", "example.com%00.evil", "[::1", "::1"),
    *("[v1.x]", "127。0。0。1", "１２７.0.0.1", "a b.example", "", "example.0x1", "example.123"),
]


@pytest.mark.parametrize("text", PUBLIC)
def test_addresses_of_the_internet_are_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_no_other_address_is_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("host", [*LITERALS, *NOTATIONS])
def test_hosts_that_are_not_on_the_internet_are_refused(host: str) -> None:
    with pytest.raises(RefusedUrl):
        NOWHERE.check_url(f"https://{host}/hooks")


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.com/", "ftp://example.com/", "//example.com/", "example.com", "https://"),
        *("https:example.com", "https:///hooks", "javascript:alert(1)", "file:///etc/passwd"),
        *("https://user@example.com/", "https://a:b@example.com/", "https://example.com#@8.8.8.8/"),
        *("https://8.8.8.8@127.0.0.1/", "https://example.com\\@127.0.0.1/", "https://a.b/#x"),
        *("https://example.com:0/", "https://example.com:99999/", "https://example.com:8x/"),
        *("https://example.com/\r\nHost: x", "https://example.com/ä", " https://example.com/"),
        *("https://example.com/" + "a" * 2048, "https://ex\tample.com/", "HTTPS://127.0.0.1/"),
    ],
)
def test_urls_that_are_not_plain_are_refused(url: str) -> None:
    with pytest.raises(RefusedUrl):
        NOWHERE.check_url(url)


def test_plain_urls_are_taken() -> None:
    for url in (
        "https://example.com",
        "https://a-b.example.com:8443/x/y?z=%20&t=1",
        "https://8.8.8.8/hooks",
        "https://[2606:4700:4700::1111]:8443/",
        "HTTPS://Example.com/",
        "https://xn--exmple-cua.com/",
    ):
        NOWHERE.check_url(url)


def test_only_networks_that_are_named_are_allowed_beside_and_only_they_by_http() -> None:
    allowed = AllowedNetworks.of(["127.0.0.0/8", "fd00::/8"])
    for url in ("http://127.0.0.1:8080/", "https://127.9.9.9/", "http://[fd00::1]/"):
        allowed.check_url(url)
    allowed.check_url("http://[::ffff:127.0.0.1]/")
    for url in ("http://8.8.8.8/", "http://10.0.0.1/", "https://10.0.0.1/", "https://[::1]/"):
        with pytest.raises(RefusedUrl):
            allowed.check_url(url)
    assert not allowed.may_connect(ip_address("8.8.8.8"), is_secure=False)
    assert allowed.may_connect(ip_address("8.8.8.8"), is_secure=True)


@given(st.lists(st.floats(0, 1), min_size=10, max_size=10))
def test_a_delivery_is_tried_eleven_times_within_its_day(chances: list[float]) -> None:
    at = NOW
    for number, chance in enumerate(chances, 1):
        following = next_attempt(number, at, NOW + LIFETIME, chance)
        assert following is not None
        delay = (following - at).total_seconds()
        assert 0.8 * DELAYS_SECONDS[number - 1] - 0.001 <= delay <= DELAYS_SECONDS[number - 1]
        at = following
    assert at < NOW + LIFETIME
    assert next_attempt(11, at, NOW + LIFETIME, 0.5) is None
    # one that began late ends with its day
    assert next_attempt(8, NOW + timedelta(hours=23), NOW + LIFETIME, 0.5) is None


def test_the_guide_names_the_delays() -> None:
    *most, last = [_in_words(seconds) for seconds in DELAYS_SECONDS]
    assert f"again after {', '.join(most)} and {last}, each up to a fifth sooner" in GUIDE


def _in_words(seconds: int) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        *((None, 30), ("120", 120), (" 7 ", 7), ("0", 1), ("99999999999999999999", 3600)),
        *(("Sun, 01 Mar 2026 12:05:00 GMT", 300), ("Sun, 01 Mar 2026 11:00:00 GMT", 1)),
        *(("Tue, 01 Mar 2033 12:05:00 GMT", 3600), ("soon", 30), ("-5", 30), ("٣", 30)),
        *(("Sun, 01 Mar 2026 12:05:00", 300), ("", 30)),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", 30),
    ],
)
def test_a_receiver_is_left_alone_as_long_as_it_asks_within_an_hour(
    header: str | None, seconds: int
) -> None:
    assert asked_to_wait(header, NOW) == NOW + timedelta(seconds=seconds)


def test_an_endpoint_is_given_up_for_many_failures_over_a_long_time() -> None:
    hours = [NOW - timedelta(hours=hours) for hours in (0, 2, 13)]
    assert [is_given_up(50, since, NOW, lost_one=False) for since in hours] == [False, False, True]
    assert not is_given_up(49, hours[2], NOW, lost_one=False)
    assert [is_given_up(11, since, NOW, lost_one=True) for since in hours] == [False, True, True]
    assert not is_given_up(0, None, NOW, lost_one=True)


def test_what_is_signed_with_two_secrets_either_verifies() -> None:
    old, new, other = make_secret(), make_secret(), make_secret()
    body = '{"name":"Müsli"}'.encode()
    headers = signed_headers([new, old], "msg_1", datetime.now(UTC), body)
    for secret in (old, new):
        assert Webhook(secret).verify(body, headers) == {"name": "Müsli"}
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(other).verify(body, headers)
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(new).verify(body + b" ", headers)


def test_a_secret_is_read_with_any_key_that_is_believed_and_renewed_with_the_newest() -> None:
    first, second = "a" * 32, "b" * 32
    secret = make_secret()
    kept = SecretCipher(SecretKeys.of(first, [])).encrypt(secret)
    rotated = SecretCipher(SecretKeys.of(second, [first]))
    assert rotated.decrypt(kept) == secret
    renewed = rotated.renew(kept)
    assert renewed is not None
    last = SecretCipher(SecretKeys.of(second, []))
    assert last.decrypt(renewed) == secret
    assert rotated.renew(renewed) is None
    with pytest.raises(SecretUnreadable):
        last.decrypt(kept)
