"""Simulated shoppers of the demo: they browse, buy, pay and collect over the real HTTP API.

`python -m shop_api.commands.shoppers --pace 20`, with the key in SHOP_DEMO_KEY. Belongs here: what
a shopper does. Does not: the shop (bulk/demo_shop) or starting them (commands/demo.py).
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
from typing import Any

import click

from shop_api.bulk.demo_shop.history import GUEST_RATIO, METHODS, RETURNING_RATIO
from shop_api.bulk.demo_shop.people import make_person
from shop_api.kernel.logs import configure_logging
from shop_api.settings import Settings

SHOPPERS = 3
# The first one comes soon, whatever the pace, so that somebody who watches sees a figure move.
FIRST_SECONDS = 3.0
BACKOFF_SECONDS = 2.0
TIMEOUT_SECONDS = 10.0
MAX_TRIES = 5
ADDRESS_PARTS = ("line1", "city", "region", "postal_code", "country")

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
        self, settings: Settings, key: str, stopped: threading.Event, pause_seconds: float
    ) -> None:
        super().__init__(daemon=True)
        self._address = (settings.host, settings.api_port)
        self._key = key
        self._stopped = stopped
        self._pause_seconds = pause_seconds
        self._rng = random.Random()

    def run(self) -> None:
        pause = self._rng.uniform(0, min(FIRST_SECONDS, self._pause_seconds))
        while not self._stopped.wait(pause):
            self._shop()
            pause = self._pause_seconds * self._rng.uniform(0.6, 1.4)

    def _shop(self) -> None:
        lines = self._fill_basket()
        if not lines:
            return
        channel = self._rng.choice(("web", "web", "web", "pos"))
        order: dict[str, Any] = {"lines": lines, "channel": channel}
        customer = self._customer(channel)
        if customer is not None:
            order["customer_id"] = customer["id"]
        if channel == "web":
            order["shipping_address"] = self._address_of(customer)
            order["shipping_rate_id"] = self._shipping_rate_id()
        placed = self._call("POST", "/api/v1/orders", order)
        if placed.status == 201:
            # else somebody was faster, most often: 409 out_of_stock
            self._finish(placed.json["id"], channel)

    def _fill_basket(self) -> list[dict[str, Any]]:
        sort = self._rng.choice(("name", "price", "created_at"))
        order = self._rng.choice(("asc", "desc"))
        path = f"/api/v1/products?status=active&limit=50&sort={sort}&order={order}"
        sold = [product for product in self._list(path) if product["is_in_stock"]]
        chosen = self._rng.sample(sold, k=min(len(sold), self._rng.choice((1, 1, 2, 3))))
        return [
            {
                "variant_id": self._rng.choice(product["variants"])["id"],
                "quantity": self._rng.choice((1, 1, 1, 2)),
            }
            for product in chosen
        ]

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
        self._call("POST", f"/api/v1/customers/{made.json['id']}/addresses", _address(person))
        return made.json

    def _address_of(self, customer: Any) -> dict[str, Any]:
        """What is in the customer's book; of a guest, any."""
        book = self._list(f"/api/v1/customers/{customer['id']}/addresses") if customer else []
        if not book:
            return _address(make_person(self._rng, 0))
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

    def _call(self, method: str, path: str, body: Any = None) -> Answered:
        """One request, tried again with the same key while the trouble is a passing one."""
        key = str(uuid.uuid4())
        answered = Answered(0, None, BACKOFF_SECONDS)
        for _ in range(MAX_TRIES):
            answered = self._once(method, path, body, key)
            if not answered.is_passing:
                break
            if self._stopped.wait(answered.retry_after_seconds + self._rng.random()):
                break
        return answered

    def _once(self, method: str, path: str, body: Any, key: str) -> Answered:
        headers = {"Authorization": f"Bearer {self._key}"}
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


def _address(person: dict[str, Any]) -> dict[str, Any]:
    return {name: person[f"address_{name}"] for name in ADDRESS_PARTS}


@click.command()
@click.option("--pace", type=float, required=True, help="Seconds between orders, on average.")
def main(pace: float) -> None:
    """Run the shoppers until SIGTERM or SIGINT."""
    settings = Settings()
    configure_logging("shoppers", settings.log_level)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    key = os.environ["SHOP_DEMO_KEY"]
    shoppers = [Shopper(settings, key, stopped, pace * SHOPPERS) for _ in range(SHOPPERS)]
    for shopper in shoppers:
        shopper.start()
    stopped.wait()


if __name__ == "__main__":
    main()
