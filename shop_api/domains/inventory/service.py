"""Changing stock; knows no HTTP."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row

from shop_api.db.types import AnyRow
from shop_api.domains.catalog.service import end_low_stock, low_stock_key
from shop_api.domains.inventory import errors
from shop_api.domains.inventory.repository import InventoryRepository
from shop_api.kernel.errors import not_found
from shop_api.kernel.ids import new_id
from shop_api.spine.notifications import LOW_STOCK, Notification, tell_anew
from shop_api.spine.unit_of_work import UnitOfWork


def create_location(work: UnitOfWork, body: dict[str, Any]) -> Row[Any]:
    """A location; its resource row."""
    inventory = work.repository(InventoryRepository)
    location_id = new_id(work.now)
    inventory.add_location(
        {"id": location_id, **body, "created_at": work.now, "updated_at": work.now}
    )
    row = _location(inventory, location_id)
    work.audit("location_created", "location", location_id, None, row.body)
    return row


def change_location(
    work: UnitOfWork, location_id: UUID, before: Row[Any], body: dict[str, Any]
) -> Row[Any]:
    """Change what `body` names; the new resource row. A new default takes another's place."""
    if not body:
        return before
    inventory = work.repository(InventoryRepository)
    if body.get("is_default") and not before.is_default:
        inventory.unset_default(work.now)
    inventory.change_location(location_id, {**body, "updated_at": work.now})
    row = _location(inventory, location_id)
    work.audit("location_updated", "location", location_id, before.body, row.body)
    return row


def delete_location(work: UnitOfWork, location_id: UUID, before: Row[Any]) -> None:
    """Delete a location that is empty. Raises `default_location` or `location_in_use`.

    The row is locked for update, so nothing is put there meanwhile.
    """
    if before.is_default:
        raise errors.DEFAULT_LOCATION
    inventory = work.repository(InventoryRepository)
    emptied = inventory.delete_empty_levels(location_id)
    if inventory.has_levels(location_id) or inventory.has_sessions(location_id):
        raise errors.LOCATION_IN_USE
    inventory.delete_location(location_id)
    end_low_stock(work, [(variant_id, location_id) for variant_id in emptied])
    work.audit("location_deleted", "location", location_id, before.body, None)


def _location(inventory: InventoryRepository, location_id: UUID) -> Row[Any]:
    row = inventory.find_location(location_id)
    if row is None:
        raise not_found("location")
    return row


def adjust_stock(
    work: UnitOfWork,
    adjustments: list[dict[str, Any]],
    note: str | None,
    reason: str = "adjusted",
) -> list[dict[str, Any]]:
    """Change stock by `delta`, or to `quantity`; all adjustments or none.

    `expected_quantity` makes one conditional. Raises `variant_not_found`, `location_not_found`,
    `unexpected_quantity` or `stock_below_zero`, naming the adjustments. Returns old and new
    quantity of each.
    """
    inventory = work.repository(InventoryRepository)
    default_id = inventory.default_location_id()
    variant_ids = [item["variant_id"] for item in adjustments]
    location_ids = [item.get("location_id") or default_id for item in adjustments]
    named = list(zip(variant_ids, location_ids, strict=True))
    if len(set(named)) != len(named):
        raise errors.NAMED_TWICE
    levels = inventory.lock_levels(variant_ids, location_ids, work.now)
    _check_levels(adjustments, levels)
    deltas = [
        item["delta"] if "delta" in item else item["quantity"] - level.quantity
        for item, level in zip(adjustments, levels, strict=True)
    ]
    _check_deltas(deltas, levels)
    inventory.adjust(
        {
            "variant_ids": variant_ids,
            "location_ids": location_ids,
            "deltas": deltas,
            "movement_ids": [new_id(work.now) for _ in deltas],
            "actor": work.origin.actor,
            "reason": reason,
            "note": note,
            "now": work.now,
        }
    )
    results, changes = [], []
    for item, level, location_id, delta in zip(
        adjustments, levels, location_ids, deltas, strict=True
    ):
        changes.append(StockChange(level, location_id, level.quantity - level.reserved, delta))
        results.append(
            {
                "variant_id": item["variant_id"],
                "location_id": location_id,
                "old_quantity": level.quantity,
                "new_quantity": level.quantity + delta,
                "reserved_quantity": level.reserved,
            }
        )
    announce(work, changes)
    work.audit(
        "stock_adjusted",
        "inventory",
        None,
        {"quantities": [_quantity(result, result["old_quantity"]) for result in results]},
        {
            "quantities": [_quantity(result, result["new_quantity"]) for result in results],
            "reason": reason,
            "note": note,
        },
    )
    return results


def hold_backorders(
    work: UnitOfWork, order_id: UUID, levels: list[Row[Any]], units: dict[UUID, int]
) -> list[Row[Any]]:
    """`levels`, as an order reserved them; what is at no location is held at the default one if it
    may be backordered: nothing was ever counted of it, or its location was deleted.
    """
    wanted = [level.variant_id for level in levels if level.location_id is None]
    held = work.repository(InventoryRepository).hold_backorders(
        {
            "variant_ids": wanted,
            "quantities": [units[variant_id] for variant_id in wanted],
            "movement_ids": [new_id(work.now) for _ in wanted],
            "order_id": order_id,
            "actor": work.origin.actor,
            "now": work.now,
        }
    )
    placed = {level.variant_id: level for level in held}
    return [placed.get(level.variant_id, level) for level in levels]


def _quantity(result: dict[str, Any], quantity: int) -> dict[str, Any]:
    """What an audit row tells of one place."""
    place = {name: result[name] for name in ("variant_id", "location_id")}
    return {**place, "quantity": quantity}


def _check_levels(adjustments: list[dict[str, Any]], levels: list[Row[Any]]) -> None:
    unknown = {
        index: adjustments[index]["variant_id"]
        for index, level in enumerate(levels)
        if level.product_id is None
    }
    if unknown:
        raise errors.variants_not_found(unknown)
    nowhere = {
        index: adjustments[index]["location_id"]
        for index, level in enumerate(levels)
        if level.quantity is None
    }
    if nowhere:
        raise errors.locations_not_found(nowhere)
    unexpected = {
        index: level.quantity
        for index, (item, level) in enumerate(zip(adjustments, levels, strict=True))
        if item.get("expected_quantity") not in (None, level.quantity)
    }
    if unexpected:
        raise errors.unexpected_quantities(unexpected)


def _check_deltas(deltas: list[int], levels: list[Row[Any]]) -> None:
    short = {
        index: (level.quantity, level.reserved)
        for index, (delta, level) in enumerate(zip(deltas, levels, strict=True))
        if delta < 0
        and (
            level.quantity + delta < 0
            or (level.quantity + delta < level.reserved and not level.allow_backorder)
        )
    }
    if short:
        raise errors.below_zero(short)


@dataclass(frozen=True, slots=True)
class StockChange:
    """What can be sold of a variant at a location, and what comes to it."""

    # variant_id, product_id and low_stock_alert
    variant: AnyRow
    location_id: UUID
    old_available: int
    delta: int

    @property
    def new_available(self) -> int:
        return self.old_available + self.delta

    @property
    def is_low(self) -> bool:
        """It has fallen to the alert."""
        alert = self.variant.low_stock_alert
        return alert is not None and self.new_available <= alert < self.old_available

    @property
    def has_risen(self) -> bool:
        """It has risen above the alert."""
        alert = self.variant.low_stock_alert
        return alert is not None and self.old_available <= alert < self.new_available


def announce(work: UnitOfWork, changes: Iterable[StockChange]) -> None:
    """`inventory_updated` of each; the levels' rows are locked.

    So of what crosses its alert the tenant is told once, each way: by statements of this
    transaction, as many for one as for all, and by none where nothing crosses.
    """
    changes = list(changes)
    if low := [change for change in changes if change.is_low]:
        _tell_low(work, low)
    end_low_stock(
        work, [(one.variant.variant_id, one.location_id) for one in changes if one.has_risen]
    )
    for change in changes:
        variant = change.variant
        work.append(
            "inventory_updated",
            "inventory",
            variant.variant_id,
            {
                "product_id": str(variant.product_id),
                "variant_id": str(variant.variant_id),
                "location_id": str(change.location_id),
                "old_quantity": change.old_available,
                "new_quantity": change.new_available,
                "threshold_alert": change.is_low,
            },
        )


def _tell_low(work: UnitOfWork, low: list[StockChange]) -> None:
    """What goes on of an alert that was changed while an order was placed is over by it."""
    names = work.repository(InventoryRepository).name_levels(
        [change.variant.variant_id for change in low], [change.location_id for change in low]
    )
    tell_anew(
        work,
        [_low(one, names[one.variant.variant_id, one.location_id]) for one in low],
    )


def _low(change: StockChange, names: AnyRow) -> Notification:
    variant = change.variant
    return Notification(
        kind=LOW_STOCK,
        level="warning",
        title=f"Stock is low: {names.title}",
        message=f"{change.new_available} of {names.title} left to sell at {names.location};"
        f" you asked to be told at {variant.low_stock_alert}.",
        key=low_stock_key(variant.variant_id, change.location_id),
        action_url=f"/api/v1/inventory?variant_id={variant.variant_id}",
        data={
            "product_id": str(variant.product_id),
            "variant_id": str(variant.variant_id),
            "location_id": str(change.location_id),
            "sku": names.sku,
            "available_quantity": change.new_available,
            "low_stock_alert": variant.low_stock_alert,
        },
    )
