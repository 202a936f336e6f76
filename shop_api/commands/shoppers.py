"""Simulated shoppers of the demo: they browse, buy, pay and collect over the real HTTP API.

`python -m shop_api.commands.shoppers --pace 20`, with the keys in SHOP_DEMO_KEY and, of the page
that tells what visitors do, SHOP_DEMO_PUBLISHABLE_KEY. Belongs here: what a shopper does. Does not:
the shop (bulk/demo_shop) or starting them (commands/demo.py).
"""

import http.client
import json
import logging
import os
import random
import signal
import threading
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import click

from shop_api.bulk.demo_shop.history import GUEST_RATIO, METHODS, RETURNING_RATIO
from shop_api.bulk.demo_shop.people import ADDRESS_PARTS, address_of, make_person
from shop_api.bulk.demo_shop.visits import (
    AGENTS,
    VISITS_A_SALE,
    Event,
    Shown,
    Storefront,
)
from shop_api.kernel.clock import format_instant, utc_now
from shop_api.kernel.logs import configure_logging
from shop_api.settings import Settings

SHOPPERS = 3
# The first one comes soon, whatever the pace, so that somebody who watches sees a figure move.
FIRST_SECONDS = 3.0
BACKOFF_SECONDS = 2.0
TIMEOUT_SECONDS = 10.0
MAX_TRIES = 5
CODE_RATIO = 0.25

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answered:
    """Status, JSON and Retry-After of an answer; status 0 when there was none."""

    status: int
    json: Any
    retry_after_seconds: float

    @property
    def is_passing(self) -> bool:
        """Whether the same request may succeed later."""
        code = self.json.get("code") if isinstance(self.json, dict) else None
        return self.status in (0, 429, 503) or code == "idempotency_key_in_flight"


class Shopper(threading.Thread):
    """One visitor after the other, until told to stop."""

    def __init__(
        self,
        settings: Settings,
        key: str,
        publishable_key: str,
        stopped: threading.Event,
        pause_seconds: float,
    ) -> None:
        super().__init__(daemon=True)
        self._address = (settings.host, settings.api_port)
        self._key = key
        self._publishable_key = publishable_key
        self._stopped = stopped
        self._pause_seconds = pause_seconds
        self._rng = random.Random()
        self._storefront: Storefront | None = None

    def run(self) -> None:
        pause = self._rng.uniform(0, min(FIRST_SECONDS, self._pause_seconds))
        while not self._stopped.wait(pause):
            self._shop()
            pause = self._pause_seconds * self._rng.uniform(0.6, 1.4)

    def _shop(self) -> None:
        basket = self._fill_basket()
        if not basket:
            return
        channel = self._rng.choice(("web", "web", "web", "pos"))
        lines = [
            {
                "variant_id": self._rng.choice(product["variants"])["id"],
                "quantity": self._rng.choice((1, 1, 1, 2)),
            }
            for product in basket
        ]
        order: dict[str, Any] = {"lines": lines, "channel": channel}
        customer = self._customer(channel)
        if customer is not None:
            order["customer_id"] = customer["id"]
        if channel == "web":
            order["shipping_address"] = self._address_of(customer)
            order["shipping_rate_id"] = self._shipping_rate_id()
            order["discount_codes"] = self._codes()
        placed = self._call("POST", "/api/v1/orders", order)
        if placed.status == 201:
            # else somebody was faster, most often: 409 out_of_stock
            self._finish(placed.json["id"], channel)
            if channel == "web":
                self._tell_visits(placed.json["id"], [_shown(product) for product in basket])

    def _tell_visits(self, order_id: str, bought: list[Shown]) -> None:
        """What led to the order, and the visits that led to none, as a page's script tells it."""
        if self._storefront is None:
            found = self._list("/api/v1/products?status=active&limit=100")
            self._storefront = Storefront(self._rng, [_shown(product) for product in found])
        now = utc_now()
        events = self._storefront.purchase(now, uuid.UUID(order_id), bought)
        for _ in range(VISITS_A_SALE - 1):
            ago = timedelta(seconds=self._rng.uniform(0, self._pause_seconds))
            events += self._storefront.visit(now - ago)
        body = {"events": [_as_sent(event) for event in events]}
        self._call("POST", "/api/v1/track", body, self._publishable_key)

    def _codes(self) -> list[str]:
        """A discount code, sometimes."""
        if self._rng.random() >= CODE_RATIO:
            return []
        known = [one["code"] for one in self._list("/api/v1/discounts") if one["code"]]
        return [self._rng.choice(known)] if known else []

    def _fill_basket(self) -> list[Any]:
        sort = self._rng.choice(("name", "price", "created_at"))
        order = self._rng.choice(("asc", "desc"))
        path = f"/api/v1/products?status=active&limit=50&sort={sort}&order={order}"
        sold = [product for product in self._list(path) if product["is_in_stock"]]
        return self._rng.sample(sold, k=min(len(sold), self._rng.choice((1, 1, 2, 3))))

    def _customer(self, channel: str) -> Any:
        """Somebody who bought before, somebody new, or None: a guest."""
        if self._rng.random() < GUEST_RATIO[channel]:
            return None
        if self._rng.random() < RETURNING_RATIO:
            known = self._list("/api/v1/customers?limit=100")
            if known:
                return self._rng.choice(known)
        person = make_person(self._rng, self._rng.randrange(10**6, 10**9))
        body = {name: person[name] for name in ("email", "first_name", "last_name")}
        made = self._call("POST", "/api/v1/customers", body)
        if made.status != 201:
            return None
        self._call("POST", f"/api/v1/customers/{made.json['id']}/addresses", address_of(person))
        return made.json

    def _address_of(self, customer: Any) -> dict[str, Any]:
        """What is in the customer's book; of a guest, any."""
        book = self._list(f"/api/v1/customers/{customer['id']}/addresses") if customer else []
        if not book:
            return address_of(make_person(self._rng, 0))
        return {name: book[0][name] for name in ADDRESS_PARTS}

    def _shipping_rate_id(self) -> str | None:
        rates = self._list("/api/v1/shipping_rates")
        return rates[0]["id"] if rates else None

    def _finish(self, order_id: str, channel: str) -> None:
        """A few change their mind; the others pay. Over the counter goods are handed over."""
        if self._rng.random() < 0.05:
            self._call("POST", f"/api/v1/orders/{order_id}/cancel")
            return
        names, weights = METHODS[channel]
        method = self._rng.choices(names, weights)[0]
        paid = self._call("POST", f"/api/v1/orders/{order_id}/payments", {"method": method})
        if paid.status == 201 and (channel == "pos" or self._rng.random() < 0.3):
            self._call("POST", f"/api/v1/orders/{order_id}/complete")

    def _list(self, path: str) -> list[Any]:
        answered = self._call("GET", path)
        found: list[Any] = answered.json["data"] if answered.status == 200 else []
        return found

    def _call(
        self, method: str, path: str, body: Any = None, credential: str | None = None
    ) -> Answered:
        """One request, tried again with the same key while the trouble is a passing one."""
        key = str(uuid.uuid4())
        answered = Answered(0, None, BACKOFF_SECONDS)
        for _ in range(MAX_TRIES):
            answered = self._once(method, path, body, key, credential or self._key)
            if not answered.is_passing:
                break
            if self._stopped.wait(answered.retry_after_seconds + self._rng.random()):
                break
        return answered

    def _once(self, method: str, path: str, body: Any, key: str, credential: str) -> Answered:
        headers = {"Authorization": f"Bearer {credential}", "User-Agent": AGENTS["desktop"]}
        data = None
        if method == "POST":
            headers["Idempotency-Key"] = key
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body)
        connection = http.client.HTTPConnection(*self._address, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            content = response.read()
            retry = response.headers.get("Retry-After", "")
        except (OSError, http.client.HTTPException) as error:
            logger.info("no answer from the API: %s", error)
            return Answered(0, None, BACKOFF_SECONDS)
        finally:
            connection.close()
        wait = float(retry) if retry.isdigit() else BACKOFF_SECONDS
        return Answered(response.status, json.loads(content) if content else None, wait)


def _shown(product: dict[str, Any]) -> Shown:
    return Shown(uuid.UUID(product["id"]), product["name"])


def _as_sent(event: Event) -> Event:
    """An event as JSON takes it: the time as text, ids too."""
    ids = {name: str(value) for name, value in event.items() if isinstance(value, uuid.UUID)}
    return {**event, **ids, "occurred_at": format_instant(event["occurred_at"])}


@click.command()
@click.option("--pace", type=float, required=True, help="Seconds between orders, on average.")
def main(pace: float) -> None:
    """Run the shoppers until SIGTERM or SIGINT."""
    settings = Settings()
    configure_logging("shoppers", settings.log_level)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    keys = os.environ["SHOP_DEMO_KEY"], os.environ["SHOP_DEMO_PUBLISHABLE_KEY"]
    shoppers = [Shopper(settings, *keys, stopped, pace * SHOPPERS) for _ in range(SHOPPERS)]
    for shopper in shoppers:
        shopper.start()
    stopped.wait()


if __name__ == "__main__":
    main()
