"""Visits of the demo shop's storefront: from where, with what, and how far they get.

Belongs here: inventing a visit's events, as `POST /track` takes them. Does not: sending them
(commands/shoppers.py) and those of days that are over (commands/demo_days.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

Event = dict[str, Any]

# Visits for one that buys; of the others these shares go further.
VISITS_A_SALE = 20
LOOKING_RATIO = 0.62
CARTING_RATIO = 0.2
PAYING_RATIO = 0.4
RETURNING_RATIO = 0.3
BOT_RATIO = 0.03
STEP_SECONDS = (4, 90)
VISITORS_KEPT = 500
# referrer_host, utm_source, utm_medium, utm_campaign
SOURCES: tuple[tuple[str | None, str | None, str | None, str | None], ...] = (
    (None, None, None, None),
    ("www.google.com", None, None, None),
    ("duckduckgo.com", None, None, None),
    ("www.google.com", "google", "cpc", "brand"),
    ("www.instagram.com", "instagram", "social", "autumn"),
    (None, "newsletter", "email", "autumn"),
    ("blog.example.org", None, None, None),
)
SOURCE_WEIGHTS = (30, 28, 6, 12, 11, 9, 4)
DEVICES = ("mobile", "desktop", "tablet")
DEVICE_WEIGHTS = (58, 36, 6)
PAGES = ("/", "/sale", "/new", "/about")
AGENTS = {
    "mobile": "Mozilla/5.0 (Android 16; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0",
    "desktop": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "tablet": "Mozilla/5.0 (Android 16; Tablet; rv:145.0) Gecko/145.0 Firefox/145.0",
}
CRAWLER = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


@dataclass(frozen=True, slots=True)
class Shown:
    """A product as the storefront shows it."""

    id: UUID
    name: str

    @property
    def path(self) -> str:
        """Of its page."""
        words = "".join(c if c.isalnum() else " " for c in self.name.lower()).split()
        return "/products/" + "-".join(words)


class Storefront:
    """Who visits, one after the other; some come again."""

    def __init__(self, rng: Random, products: Sequence[Shown]) -> None:
        self._rng = rng
        self._products = products
        self._visitors: list[str] = []

    def visit(self, ended_at: datetime) -> list[Event]:
        """A visit that ends without a purchase."""
        rng = self._rng
        if rng.random() < BOT_RATIO:
            return self._walk(ended_at, [("product_view", p) for p in self._some(3)], CRAWLER)
        steps: list[tuple[str, Shown | None]] = []
        if rng.random() < LOOKING_RATIO:
            looked = self._some(rng.choice((1, 1, 2, 3)))
            steps += [("product_view", product) for product in looked]
            if rng.random() < CARTING_RATIO:
                steps.append(("add_to_cart", looked[-1]))
                if rng.random() < PAYING_RATIO:
                    steps.append(("checkout_started", None))
        return self._walk(ended_at, steps)

    def purchase(self, bought_at: datetime, order_id: UUID, bought: Sequence[Shown]) -> list[Event]:
        """The visit that ended with an order."""
        steps: list[tuple[str, Shown | None]] = []
        for product in bought:
            steps += [("product_view", product), ("add_to_cart", product)]
        events = self._walk(bought_at, [*steps, ("checkout_started", None), ("purchase", None)])
        events[-1]["order_id"] = order_id
        return events

    def _walk(
        self,
        ended_at: datetime,
        steps: Sequence[tuple[str, Shown | None]],
        agent: str | None = None,
    ) -> list[Event]:
        rng = self._rng
        pauses = [timedelta(seconds=rng.uniform(*STEP_SECONDS)) for _ in steps]
        at = ended_at - sum(pauses, timedelta())
        device = rng.choices(DEVICES, DEVICE_WEIGHTS)[0]
        common = {
            "visitor_id": self._visitor_id(),
            "session_id": f"s_{rng.getrandbits(64):016x}",
            "device": device,
            "user_agent": agent or AGENTS[device],
        }
        host, source, medium, campaign = rng.choices(SOURCES, SOURCE_WEIGHTS)[0]
        landing = {
            "path": rng.choice(PAGES),
            "referrer_host": host,
            "utm_source": source,
            "utm_medium": medium,
            "utm_campaign": campaign,
        }
        found = {name: value for name, value in landing.items() if value is not None}
        events = [
            self._event("session", at, {**common, **found}),
            self._event("page_view", at, {**common, **found}),
        ]
        for (kind, product), pause in zip(steps, pauses, strict=True):
            at += pause
            about: Event = (
                {} if product is None else {"product_id": product.id, "path": product.path}
            )
            if kind == "product_view":
                events.append(self._event("page_view", at, {**common, **about}))
            events.append(self._event(kind, at, {**common, **about}))
        return events

    def _event(self, kind: str, at: datetime, values: Event) -> Event:
        event_id = UUID(int=self._rng.getrandbits(128), version=4)
        return {"id": event_id, "kind": kind, "occurred_at": at, **values}

    def _visitor_id(self) -> str:
        if self._visitors and self._rng.random() < RETURNING_RATIO:
            return self._rng.choice(self._visitors)
        made = f"v_{self._rng.getrandbits(64):016x}"
        if len(self._visitors) < VISITORS_KEPT:
            self._visitors.append(made)
        else:
            self._visitors[self._rng.randrange(VISITORS_KEPT)] = made
        return made

    def _some(self, count: int) -> list[Shown]:
        return self._rng.choices(self._products, k=count)
