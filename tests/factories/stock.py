"""What happens to stock, written straight to Postgres with its ledger and events, for the lake."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from shop_api import models
from shop_api.spine.unit_of_work import UnitOfWork
from tests.factories.rows import insert


def add_variant(work: UnitOfWork, product_id: UUID, **changes: Any) -> UUID:
    """A variant of a product, of which nothing lies anywhere."""
    variant_id = insert(work, models.variants, product_id=product_id, title="Default", **changes)
    work.append("product_updated", "product", product_id, {})
    return variant_id


def main_location(work: UnitOfWork) -> UUID:
    """The tenant's default location."""
    columns = models.locations.c
    query = select(columns.id).where(columns.tenant_id == work.tenant_id, columns.is_default)
    found: UUID = work.session.execute(query).scalar_one()
    return found


def add_location(work: UnitOfWork, code: str) -> UUID:
    return insert(work, models.locations, name=code, code=code)


def move(
    work: UnitOfWork,
    variant_id: UUID,
    quantity: int = 0,
    reserved: int = 0,
    *,
    reason: str = "adjusted",
    order_id: UUID | None = None,
    location_id: UUID | None = None,
    at: datetime | None = None,
) -> None:
    """Move stock of a variant, with its ledger row. What an order moves is told by its event."""
    location_id = location_id or main_location(work)
    levels = models.stock_levels
    place = {"tenant_id": work.tenant_id, "variant_id": variant_id, "location_id": location_id}
    empty = {**place, "is_backordered": True, "updated_at": work.now}
    work.session.execute(upsert(levels).values(empty).on_conflict_do_nothing())
    work.session.execute(
        update(levels)
        .where(*(levels.c[name] == value for name, value in place.items()))
        .values(quantity=levels.c.quantity + quantity, reserved=levels.c.reserved + reserved)
    )
    insert(
        work,
        models.stock_movements,
        variant_id=variant_id,
        location_id=location_id,
        quantity_delta=quantity,
        reserved_delta=reserved,
        reason=reason,
        order_id=order_id,
        actor="system:test",
        created_at=at or work.now,
    )
    if order_id is None:
        work.append("inventory_updated", "inventory", variant_id, {})
    else:
        work.append("order_status_changed", "order", order_id, {})


def fulfill(
    work: UnitOfWork, order_id: UUID, quantity: int, at: datetime, carrier: str | None = None
) -> UUID:
    """Hand over units of an order's first line."""
    lines = models.order_lines
    line_id = work.session.execute(
        select(lines.c.id).where(lines.c.order_id == order_id).order_by(lines.c.position)
    ).scalars()
    first = line_id.first()
    fulfillment_id = insert(
        work, models.fulfillments, order_id=order_id, carrier=carrier, created_at=at
    )
    work.session.execute(
        models.fulfillment_lines.insert().values(
            tenant_id=work.tenant_id,
            fulfillment_id=fulfillment_id,
            order_line_id=first,
            quantity=quantity,
        )
    )
    work.session.execute(
        update(lines)
        .where(lines.c.id == first)
        .values(fulfilled_quantity=lines.c.fulfilled_quantity + quantity)
    )
    work.append("order_fulfilled", "order", order_id, {})
    return fulfillment_id
