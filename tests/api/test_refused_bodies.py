"""What was refused is let go of at once: the garbage collector counts objects, not bytes."""

import gc

from flask import Request

from tests.fixtures.api import Shop


def test_no_refusal_keeps_its_request(shop: Shop) -> None:
    refused = [("/api/v1/products", 422), ("/api/v1/nowhere", 404)]
    gc.collect()
    before = sum(isinstance(found, Request) for found in gc.get_objects())
    gc.disable()
    try:
        for path, status in refused * 10:
            assert shop.api.post(path, {"name": 1}).status == status
        kept = sum(isinstance(found, Request) for found in gc.get_objects()) - before
    finally:
        gc.enable()
    assert kept <= 1
