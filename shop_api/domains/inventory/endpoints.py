"""Locations and stock over HTTP."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from shop_api.domains.inventory import service
from shop_api.domains.inventory.repository import (
    LOCATION_SORTS,
    MOVEMENT_SORTS,
    STOCK_SORTS,
    InventoryRepository,
)
from shop_api.domains.inventory.schemas import (
    AdjustmentsBody,
    AdjustmentsSchema,
    LocationBody,
    LocationChanges,
    LocationPage,
    LocationQuery,
    LocationSchema,
    MovementPage,
    MovementQuery,
    StockPage,
    StockQuery,
)
from shop_api.kernel.errors import not_found
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

inventory = Blueprint(
    "inventory",
    __name__,
    url_prefix="/api/v1",
    description="Stock by variant and location, and what moved it.",
)


@inventory.read("/locations", scope="inventory:read", query=LocationQuery, returns=LocationPage)
def list_locations(call: Call) -> Reply:
    """List locations in the order they were created."""
    asked = call.page_request(LOCATION_SORTS["created_at"], is_descending=False)
    repository = InventoryRepository(call.session)
    page = repository.list_locations(asked)
    total = repository.count_locations() if call.wants_total else None
    return call.page(page, asked, total)


@inventory.mutation(
    "POST",
    "/locations",
    scope="inventory:write",
    body=LocationBody,
    returns=LocationSchema,
    status=201,
)
def create_location(call: Call) -> Reply:
    """Create a location."""
    return Reply.created(service.create_location(call.work, call.body), "/api/v1/locations")


@inventory.read("/locations/<id:location_id>", scope="inventory:read", returns=LocationSchema)
def get_location(call: Call, location_id: UUID) -> Reply:
    """Get a location."""
    row = InventoryRepository(call.session).find_location(location_id)
    if row is None:
        raise not_found("location")
    return Reply.resource(row)


@inventory.mutation(
    "PATCH",
    "/locations/<id:location_id>",
    scope="inventory:write",
    body=LocationChanges,
    returns=LocationSchema,
)
def update_location(call: Call, location_id: UUID) -> Reply:
    """Change a location's name or code, or make it the default one."""
    before = _locked(call, location_id)
    return Reply.resource(service.change_location(call.work, location_id, before, call.body))


@inventory.mutation("DELETE", "/locations/<id:location_id>", scope="inventory:write")
def delete_location(call: Call, location_id: UUID) -> Reply:
    """Delete a location where nothing lies and nothing is held.

    Its past movements stay in the ledger.
    """
    service.delete_location(call.work, location_id, _locked(call, location_id))
    return Reply.empty()


@inventory.read("/inventory", scope="inventory:read", query=StockQuery, returns=StockPage)
def list_stock(call: Call) -> Reply:
    """List what lies where, by variant."""
    asked = call.page_request(STOCK_SORTS["variant_id"], is_descending=False)
    repository = InventoryRepository(call.session)
    page = repository.list_stock(call.query, asked)
    total = None
    if call.wants_total:
        total = repository.count_stock(call.query)
    return call.page(page, asked, total)


@inventory.read(
    "/inventory/movements", scope="inventory:read", query=MovementQuery, returns=MovementPage
)
def list_stock_movements(call: Call) -> Reply:
    """List the ledger: every movement of stock and every hold, newest first."""
    asked = call.page_request(MOVEMENT_SORTS["created_at"], is_descending=True)
    repository = InventoryRepository(call.session)
    page = repository.list_movements(call.query, asked)
    total = repository.count_movements(call.query) if call.wants_total else None
    return call.page(page, asked, total)


@inventory.mutation(
    "POST",
    "/inventory/adjustments",
    scope="inventory:write",
    body=AdjustmentsBody,
    returns=AdjustmentsSchema,
)
def adjust_stock(call: Call) -> Reply:
    """Change stock by a delta or to a quantity, all adjustments or none.

    Send `expected_quantity` to change only what you last read.
    """
    why = {"note": call.body.get("note"), "reason": call.body.get("reason", "adjusted")}
    results = service.adjust_stock(call.work, call.body["adjustments"], **why)
    return Reply.of({"adjustments": results})


def _locked(call: Call, location_id: UUID) -> Row[Any]:
    """The location, locked, and of the version the client last read."""
    repository = InventoryRepository(call.session)
    if "is_default" in call.body:
        repository.lock_default()
    before = repository.find_location(location_id, for_update=True)
    if before is None:
        raise not_found("location")
    call.require_version(before.version)
    return before
