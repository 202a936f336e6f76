"""What a listener wants of its tenant's events: types, products, orders.

Belongs here: choosing, and judging an event by it. Does not: how a choice is sent (messages.py,
event_stream.py).

An event is wanted when its type is on and, where products or orders were chosen, what it is about
is among them. What is about no product is not turned away by a choice of products.
"""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from shop_api.kernel.errors import DomainError, ErrorKind
from shop_api.realtime.frames import OutgoingEvent
from shop_api.realtime.messages import CHOSEN_LIMIT
from shop_api.spine.event_types import EVENT_SCOPES, visible_types


class Interest:
    """All that the scopes allow, until something is chosen."""

    __slots__ = ("_allowed", "_orders", "_products", "_types")

    def __init__(self, scopes: frozenset[str]) -> None:
        self._allowed = visible_types(scopes)
        self._types = self._allowed
        # None: all of them
        self._products: frozenset[str] | None = None
        self._orders: frozenset[str] | None = None

    def wants(self, outgoing: OutgoingEvent) -> bool:
        """Whether the event goes to this listener."""
        if outgoing.event.type not in self._types:
            return False
        return (self._products is None or _is_in(outgoing.subject.product_id, self._products)) and (
            self._orders is None or _is_in(outgoing.subject.order_id, self._orders)
        )

    def add(
        self,
        types: Collection[str] | None,
        products: Collection[UUID] | None,
        orders: Collection[UUID] | None,
    ) -> None:
        """Want these too; without any, all there is. Changes nothing when it raises."""
        if types is None and products is None and orders is None:
            self._types, self._products, self._orders = self._allowed, None, None
            return
        self._check(types or ())
        added_products = _added(self._products, products, "products")
        added_orders = _added(self._orders, orders, "orders")
        self._types |= set(types or ())
        self._products, self._orders = added_products, added_orders

    def drop(
        self,
        types: Collection[str] | None,
        products: Collection[UUID] | None,
        orders: Collection[UUID] | None,
    ) -> None:
        """Want these no more; without any, nothing at all.

        When the last product chosen is dropped no event about a product is wanted.
        """
        if types is None and products is None and orders is None:
            self._types, self._products, self._orders = frozenset(), None, None
            return
        self._types -= set(types or ())
        self._products = _dropped(self._products, products)
        self._orders = _dropped(self._orders, orders)

    def choose(
        self,
        types: Collection[str] | None,
        products: Collection[UUID] | None,
        orders: Collection[UUID] | None,
    ) -> None:
        """Want these and nothing else; None: all of that kind."""
        if types is not None:
            self._check(types)
            self._types = frozenset(types)
        self._products = _added(None, products, "products")
        self._orders = _added(None, orders, "orders")

    def tell(self) -> dict[str, Any]:
        """What is wanted, as `subscribed` has it."""
        return {
            "types": sorted(self._types),
            "products": None if self._products is None else sorted(self._products),
            "orders": None if self._orders is None else sorted(self._orders),
        }

    def _check(self, types: Collection[str]) -> None:
        for type_ in types:
            if type_ not in EVENT_SCOPES:
                raise DomainError(
                    ErrorKind.MALFORMED, "unknown_event_type", f"There is no event type `{type_}`."
                )
            if type_ not in self._allowed:
                scope = EVENT_SCOPES[type_]
                raise DomainError(
                    ErrorKind.FORBIDDEN, "insufficient_scope", f"{type_} needs the scope {scope}."
                )


def _is_in(subject: Any, chosen: frozenset[str]) -> bool:
    return subject is None or subject in chosen


def _added(
    chosen: frozenset[str] | None, ids: Collection[UUID] | None, noun: str
) -> frozenset[str] | None:
    if ids is None:
        return chosen
    together = (chosen or frozenset()) | {str(found) for found in ids}
    if len(together) > CHOSEN_LIMIT:
        raise DomainError(
            ErrorKind.MALFORMED,
            f"too_many_{noun}",
            f"One connection can choose {CHOSEN_LIMIT} {noun}. Choose by types, or open another.",
        )
    return together


def _dropped(chosen: frozenset[str] | None, ids: Collection[UUID] | None) -> frozenset[str] | None:
    return chosen if chosen is None or ids is None else chosen - {str(found) for found in ids}
