"""Changing stock; knows no HTTP."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from shop_api.domains.inventory import errors
from shop_api.domains.inventory.repository import InventoryRepository
from shop_api.kernel.errors import not_found
from shop_api.kernel.ids import new_id
from shop_api.spine.notifications import LOW_STOCK, Notification, Resolution, tell
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
    inventory.delete_empty_levels(location_id)
    if inventory.has_levels(location_id) or inventory.has_sessions(location_id):
        raise errors.LOCATION_IN_USE
    inventory.delete_location(location_id)
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
    results = []
    for item, level, location_id, delta in zip(
        adjustments, levels, location_ids, deltas, strict=True
    ):
        new_quantity = level.quantity + delta
        old_available = level.quantity - level.reserved
        announce(work, level, location_id, old_available, new_quantity - level.reserved)
        results.append(
            {
                "variant_id": item["variant_id"],
                "location_id": location_id,
                "old_quantity": level.quantity,
                "new_quantity": new_quantity,
                "reserved_quantity": level.reserved,
            }
        )
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


def announce(
    work: UnitOfWork,
    level: Row[Any],
    location_id: UUID,
    old_available: int,
    new_available: int,
) -> None:
    """`inventory_updated`: the quantity that can be sold, before and after, at the level's place.

    `level` has variant_id, product_id and low_stock_alert. Its row is locked, so of what crosses
    the threshold each way the tenant is told once: by a statement of this transaction, and by none
    where nothing crosses.
    """
    threshold = level.low_stock_alert
    is_low = threshold is not None and new_available <= threshold < old_available
    if is_low:
        _tell_low(work, level, location_id, new_available)
    elif threshold is not None and old_available <= threshold < new_available:
        tell(work, Resolution(_low_key(level.variant_id, location_id)))
    work.append(
        "inventory_updated",
        "inventory",
        level.variant_id,
        {
            "product_id": str(level.product_id),
            "variant_id": str(level.variant_id),
            "location_id": str(location_id),
            "old_quantity": old_available,
            "new_quantity": new_available,
            "threshold_alert": is_low,
        },
    )


def _tell_low(work: UnitOfWork, level: Row[Any], location_id: UUID, available: int) -> None:
    place = work.repository(InventoryRepository).name_level(level.variant_id, location_id)
    if place is None:
        raise LookupError(f"variant {level.variant_id} vanished from {location_id}")
    key = _low_key(level.variant_id, location_id)
    low = Notification(
        kind=LOW_STOCK,
        level="warning",
        title=f"Stock is low: {place.title}",
        message=f"{available} of {place.title} left to sell at {place.location};"
        f" you asked to be told at {level.low_stock_alert}.",
        key=key,
        action_url=f"/api/v1/inventory?variant_id={level.variant_id}",
        data={
            "product_id": str(level.product_id),
            "variant_id": str(level.variant_id),
            "location_id": str(location_id),
            "sku": place.sku,
            "available_quantity": available,
            "low_stock_alert": level.low_stock_alert,
        },
    )
    if not tell(work, low):
        # of an alert that was changed meanwhile: stock rose above it and nobody said so
        tell(work, Resolution(key))
        tell(work, low)


def _low_key(variant_id: UUID, location_id: UUID) -> str:
    return f"{LOW_STOCK}:{variant_id}:{location_id}"
