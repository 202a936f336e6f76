"""What travels over a socket: who sees what, and what a client may say."""

import contextlib
import json
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shop_api.kernel.principal import SCOPES
from shop_api.realtime import messages
from shop_api.realtime.frames import WEBSOCKET, Frame, OutgoingEvent, note_frame
from shop_api.realtime.messages import Event
from shop_api.spine.event_types import EVENT_SCOPES, visible_types

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def payload(sent: Frame) -> str:
    """The text of an unmasked frame."""
    frame = sent.data
    size, start = frame[1], 2
    if size == 126:
        size, start = int.from_bytes(frame[2:4], "big"), 4
    elif size == 127:
        size, start = int.from_bytes(frame[2:10], "big"), 10
    assert frame[0] == 0x81
    assert len(frame) == start + size
    return frame[start:].decode()


def event(data: str) -> Event:
    return Event(7, "order_created", msgspec.Raw(data.encode()), "2026-03-01T12:00:00.000000Z")


def test_amounts_leave_with_their_digits() -> None:
    frame = OutgoingEvent(event('{"total_amount": 19.90}')).frame(WEBSOCKET, shows_email=True)
    assert payload(frame) == (
        '{"id":7,"type":"order_created","data":{"total_amount": 19.90},'
        '"timestamp":"2026-03-01T12:00:00.000000Z"}'
    )


def test_amounts_keep_their_digits_where_the_email_is_withheld() -> None:
    outgoing = OutgoingEvent(event('{"total_amount": 19.90, "customer_email": "a@b.example"}'))
    assert '"data":{"total_amount":19.90}' in payload(outgoing.frame(WEBSOCKET, shows_email=False))
    assert "a@b.example" in payload(outgoing.frame(WEBSOCKET, shows_email=True))


def test_a_frame_is_made_once() -> None:
    outgoing = OutgoingEvent(event('{"customer_email": "a@b.example"}'))
    for shows_email in (True, False):
        first = outgoing.frame(WEBSOCKET, shows_email=shows_email)
        assert outgoing.frame(WEBSOCKET, shows_email=shows_email) is first


@given(st.text(max_size=70_000))
def test_any_text_fits_a_frame(text: str) -> None:
    frame = note_frame(WEBSOCKET, "error", {"detail": text}, NOW)
    assert json.loads(payload(frame))["data"] == {"detail": text}


def test_every_pushed_type_needs_a_scope_that_exists() -> None:
    assert {scope for scope in EVENT_SCOPES.values() if scope} <= set(SCOPES)
    assert {messages.LISTEN_SCOPE, messages.EMAIL_SCOPE} <= set(SCOPES)
    assert visible_types(frozenset(SCOPES)) == frozenset(EVENT_SCOPES)
    assert visible_types(frozenset()) == {"system_notification"}


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")))
def test_no_message_does_more_than_be_refused(text: str) -> None:
    with contextlib.suppress(msgspec.DecodeError):
        messages.decode_request(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"type":"ping"}', messages.Ping()),
        ('{"type":"subscribe","types":["a"]}', messages.Subscribe(["a"])),
        ('{"type":"unsubscribe"}', messages.Unsubscribe()),
        ('{"type":"resume","last_event_id":5}', messages.Resume(5)),
    ],
)
def test_requests_are_read(text: str, expected: messages.Request) -> None:
    assert messages.decode_request(text) == expected
