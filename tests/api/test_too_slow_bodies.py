"""Large bodies that come too slowly lose the room they hold; small ones may take their time."""

import io
import time

from shop_api.app import App
from tests.api.test_slow_bodies import CUSTOMERS, LARGE, half_sent, send
from tests.fixtures.api import Shop, encode

PIECE_SECONDS = 0.3
APP_SETTINGS = {"body_piece_seconds": PIECE_SECONDS}


class Pausing(io.BytesIO):
    """A body whose pieces each take a while."""

    pieces = 0

    def read(self, size: int | None = -1) -> bytes:
        self.pieces += 1
        time.sleep(1.5 * PIECE_SECONDS)
        return super().read(size)


def test_a_large_body_that_comes_too_slowly_is_refused(app: App, shop: Shop) -> None:
    body = encode({"first_name": "a" * 200_000})
    pausing = Pausing(body)
    refused = send(app, CUSTOMERS, pausing, shop.api.token, len(body))
    assert (refused.status, refused.code) == (408, "body_too_slow")
    assert pausing.pieces == 1
    small = encode({"first_name": "Ada"})
    assert send(app, CUSTOMERS, Pausing(small), shop.api.token, len(small)).status == 201


def test_who_sends_nothing_more_gives_way_to_others(app: App, shop: Shop, other_shop: Shop) -> None:
    body = encode({"first_name": "a" * (LARGE - 100)})

    def ask() -> str:
        return send(app, CUSTOMERS, io.BytesIO(body), other_shop.api.token, len(body)).code

    with (
        half_sent(app, CUSTOMERS, shop.api.token, 2, LARGE),
        half_sent(app, CUSTOMERS, other_shop.api.token, 1, LARGE),
    ):
        assert ask() == "server_busy"
        time.sleep(PIECE_SECONDS)
        # their threads wait still
        assert ask() == "validation_failed"
