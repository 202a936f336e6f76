"""Changing or deleting many products in one transaction; knows no HTTP."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from shop_api.db.types import AnyRow
from shop_api.domains.bulk_edits import errors
from shop_api.domains.bulk_edits.repository import COLUMNS, BulkEditRepository
from shop_api.domains.catalog.errors import EXTERNAL_ID_TAKEN, PRODUCT_IN_USE, SKU_TAKEN
from shop_api.domains.catalog.repository import CatalogRepository
from shop_api.domains.catalog.service import (
    check_amounts,
    end_low_stock,
    record_change,
    record_deletion,
)
from shop_api.kernel.errors import DomainError, not_found
from shop_api.kernel.etag import make_etag, matches_version
from shop_api.kernel.problem import STATUS
from shop_api.spine.unit_of_work import UnitOfWork

# Fields no two products have the same of, and what is said when they would.
UNIQUE = {"sku": SKU_TAKEN, "external_id": EXTERNAL_ID_TAKEN}


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What became of one product."""

    id: UUID
    status: int
    etag: str | None = None
    problem: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Present:
    """What decides whether an item can be done, as it was before the call."""

    products: dict[UUID, AnyRow]
    # field and value → the product that has it
    holders: dict[tuple[str, str], UUID]
    category_ids: set[UUID]


def update_products(
    work: UnitOfWork, items: list[dict[str, Any]], *, is_atomic: bool
) -> list[ItemResult]:
    """Change what each item names; what became of each, in their order.

    With `is_atomic` raises `items_refused` when one cannot be done. A number of statements that
    does not grow with the items.
    """
    edits = work.repository(BulkEditRepository)
    present = _read_present(edits, items)
    refusals: dict[int, DomainError] = {}
    for index, item in enumerate(items):
        try:
            _check_item(item, present)
        except DomainError as error:
            refusals[index] = error
    if is_atomic and refusals:
        raise errors.items_refused("products", refusals)
    accepted = [item for index, item in enumerate(items) if index not in refusals]
    after = _change(work, edits, accepted) if accepted else {}
    return [
        _refused(item["id"], refusals[index]) if index in refusals else _done(after[item["id"]])
        for index, item in enumerate(items)
    ]


def _read_present(edits: BulkEditRepository, items: list[dict[str, Any]]) -> Present:
    """Lock the products and read what the items are checked against."""
    changes_keys = any(name in item for item in items for name in UNIQUE)
    products = edits.lock_products([item["id"] for item in items], changes_keys=changes_keys)
    wanted = {name: [item[name] for item in items if item.get(name)] for name in UNIQUE}
    holders = {}
    if any(wanted.values()):
        holders = edits.find_holders(wanted["sku"], wanted["external_id"])
    named = {category_id for item in items for category_id in item.get("category_ids", ())}
    return Present(products, holders, edits.lock_categories(sorted(named)) if named else set())


def _check_item(item: dict[str, Any], present: Present) -> None:
    """Raise when an item cannot be done; else its SKU and external id are taken from now on."""
    product = present.products.get(item["id"])
    if product is None:
        raise not_found("product")
    if "if_match" in item and not matches_version(item["if_match"], product.version):
        raise errors.version_changed(item["if_match"])
    check_amounts(item, product.currency)
    for position, category_id in enumerate(item.get("category_ids", ())):
        if category_id not in present.category_ids:
            raise errors.category_not_found(position)
    taken = {name: (name, item[name]) for name in UNIQUE if item.get(name)}
    for name, key in taken.items():
        if present.holders.get(key, product.id) != product.id:
            raise UNIQUE[name]
    present.holders.update(dict.fromkeys(taken.values(), product.id))


def _change(
    work: UnitOfWork, edits: BulkEditRepository, items: list[dict[str, Any]]
) -> dict[UUID, AnyRow]:
    """Make the changes of items that were checked; the new resource rows."""
    ids = [item["id"] for item in items]
    before = edits.read_products(ids)
    columns = {item["id"]: {name: item[name] for name in COLUMNS if name in item} for item in items}
    edits.change_products(columns, work.now)
    memberships = {item["id"]: item["category_ids"] for item in items if "category_ids" in item}
    if memberships:
        edits.set_categories(memberships)
    after = edits.read_products(ids)
    for item in items:
        changes = {name: item[name] for name in item if name not in ("id", "if_match")}
        record_change(work, before[item["id"]], after[item["id"]], changes)
    return after


def delete_products(work: UnitOfWork, ids: list[UUID], *, is_atomic: bool) -> list[ItemResult]:
    """Delete those of the products nobody ever bought; what became of each, in their order.

    With `is_atomic` raises `items_refused` when one cannot be deleted.
    """
    edits = work.repository(BulkEditRepository)
    levels = work.repository(CatalogRepository).lock_stock(ids)
    present = edits.lock_products(ids, changes_keys=True)
    sold = edits.find_sold(ids)
    refusals = {
        index: not_found("product") if product_id not in present else PRODUCT_IN_USE
        for index, product_id in enumerate(ids)
        if product_id not in present or product_id in sold
    }
    if is_atomic and refusals:
        raise errors.items_refused("ids", refusals)
    accepted = [product_id for index, product_id in enumerate(ids) if index not in refusals]
    if accepted:
        before = edits.read_products(accepted)
        edits.delete_products(accepted)
        deleted = set(accepted)
        end_low_stock(
            work,
            [(at.variant_id, at.location_id) for at in levels if at.product_id in deleted],
        )
        for product_id in accepted:
            record_deletion(work, before[product_id])
    return [
        _refused(product_id, refusals[index]) if index in refusals else ItemResult(product_id, 204)
        for index, product_id in enumerate(ids)
    ]


def _done(row: AnyRow) -> ItemResult:
    return ItemResult(row.id, 200, make_etag(row.body.encode(), row.version))


def _refused(product_id: UUID, error: DomainError) -> ItemResult:
    problem = {
        "code": error.code,
        "detail": error.detail,
        "errors": [{"pointer": e.pointer, "detail": e.detail} for e in error.errors],
    }
    return ItemResult(product_id, STATUS[error.kind].value, None, problem)
