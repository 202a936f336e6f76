"""The socket under a listener: frames stay whole and in order, however full it is."""

from collections.abc import Iterator

import gevent
import pytest
from gevent import socket

from shop_api.realtime.transport import WholeFrameSocket

# more than the buffers of a local socket take
LARGE = b"x" * 4_000_000
Pair = tuple[WholeFrameSocket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield WholeFrameSocket(ours), theirs


def test_a_frame_that_was_begun_is_finished_before_the_next(pair: Pair) -> None:
    ours, theirs = pair
    assert ours.send_at_once(b"a")
    assert ours.send_at_once(LARGE)
    # the rest waits for the client, and so does whatever else there is
    assert not ours.send_at_once(b"b")
    answering = gevent.spawn(ours.send, b"c")
    received = b""
    with gevent.Timeout(5):
        while len(received) < len(LARGE) + 2:
            received += theirs.recv(1_000_000)
        answering.join()
    assert received == b"a" + LARGE + b"c"
    assert ours.sending_since is None
    assert ours.send_at_once(b"d")
    assert theirs.recv(10) == b"d"


def test_a_frame_is_finished_though_nothing_follows_it(pair: Pair) -> None:
    ours, theirs = pair
    assert ours.send_at_once(LARGE)
    received = b""
    with gevent.Timeout(5):
        while len(received) < len(LARGE):
            received += theirs.recv(1_000_000)
        while ours.sending_since is not None:
            gevent.sleep(0.01)
    assert received == LARGE


def test_a_connection_that_broke_is_left_to_its_reader(pair: Pair) -> None:
    ours, theirs = pair
    assert ours.send_at_once(LARGE)
    theirs.close()
    with gevent.Timeout(5):
        while ours.sending_since is not None:
            gevent.sleep(0.01)
    assert not ours.send_at_once(b"a")
    with pytest.raises(OSError, match="pipe"):
        ours.send(b"a")
