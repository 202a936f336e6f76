"""Changing variants; knows no HTTP. Who changes one holds its product's row."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from shop_api.db.types import AnyRow
from shop_api.domains.catalog.repository import CatalogRepository
from shop_api.domains.catalog.service import (
    add_stock,
    check_amounts,
    default_inventory,
    end_low_stock,
    read_options,
)
from shop_api.domains.variants import errors
from shop_api.domains.variants.repository import VariantRepository
from shop_api.kernel.errors import not_found
from shop_api.kernel.ids import new_id
from shop_api.spine.unit_of_work import UnitOfWork

# What a variant is without what its body leaves out.
DEFAULTS: dict[str, Any] = {
    "sku": None,
    "price": None,
    "cost_price": None,
    "options": [],
    "weight_grams": None,
    "external_id": None,
}
ALERT = "low_stock_alert"
KEPT = ("track_quantity", "allow_backorder", ALERT)


def create_variant(work: UnitOfWork, product: Row[Any], body: dict[str, Any]) -> Row[Any]:
    """A variant after the product's others, with first stock at the default location.

    Raises `options_taken`, `too_many_variants` or `inexact_amount`.
    """
    variants = work.repository(VariantRepository)
    siblings = variants.list_options(product.id)
    if len(siblings) >= errors.MAX_VARIANTS:
        raise errors.TOO_MANY_VARIANTS
    check_amounts(body, product.currency)
    _check_options(body.get("options", []), siblings)
    variant_id = new_id(work.now)
    inventory = _inventory(work, body)
    position = max((row.position for row in siblings), default=-1) + 1
    variants.add(
        {
            "id": variant_id,
            "product_id": product.id,
            "position": position,
            **DEFAULTS,
            **_columns(body),
            **{name: inventory[name] for name in KEPT},
            "created_at": work.now,
            "updated_at": work.now,
        }
    )
    add_stock(work, {variant_id: inventory["quantity"]})
    row = _variant(variants, product.id, variant_id)
    _announce(work, product.id)
    work.audit("variant_created", "variant", variant_id, None, row.body)
    return row


def _inventory(work: UnitOfWork, body: dict[str, Any]) -> dict[str, Any]:
    """How a variant is kept: as `body` says, or as the tenant does."""
    terms = work.repository(CatalogRepository).tenant_terms()
    return default_inventory(terms) | body.get("inventory", {})


def replace_variant(
    work: UnitOfWork,
    product: Row[Any],
    before: Row[Any],
    body: dict[str, Any],
    levels: list[AnyRow],
) -> Row[Any]:
    """The variant as `body` says; what it leaves out is as in a new one. Its stock stays.

    `levels` of the product, which are held.
    """
    inventory = _inventory(work, body)
    return change_variant(
        work,
        product,
        before,
        {**DEFAULTS, **body, "inventory": {name: inventory[name] for name in KEPT}},
        levels,
    )


def change_variant(
    work: UnitOfWork,
    product: Row[Any],
    before: Row[Any],
    body: dict[str, Any],
    levels: list[AnyRow],
) -> Row[Any]:
    """Change what `body` names; the new resource row. Raises `options_taken`, `inexact_amount`.

    `levels` of the product, which are held: where the alert changes.
    """
    if not body:
        return before
    variants = work.repository(VariantRepository)
    check_amounts(body, product.currency)
    if "options" in body:
        siblings = [row for row in variants.list_options(product.id) if row.id != before.id]
        _check_options(body["options"], siblings)
    values = {**_columns(body), **body.get("inventory", {})}
    variants.change(before.id, values, work.now)
    if ALERT in values:
        alert = values[ALERT]
        levels = [level for level in levels if alert is None or level.available > alert]
        _end_low_stock(work, before.id, levels)
    row = _variant(variants, product.id, before.id)
    _announce(work, product.id)
    work.audit("variant_updated", "variant", before.id, before.body, row.body)
    return row


def delete_variant(
    work: UnitOfWork, product: Row[Any], before: Row[Any], levels: list[AnyRow]
) -> None:
    """Delete a variant that was never sold. Raises `last_variant` or `variant_in_use`.

    `levels` of the product, which are held.
    """
    variants = work.repository(VariantRepository)
    if variants.count(product.id) == 1:
        raise errors.LAST_VARIANT
    if variants.is_sold(before.id):
        raise errors.VARIANT_IN_USE
    variants.delete(before.id)
    _end_low_stock(work, before.id, levels)
    _announce(work, product.id)
    work.audit("variant_deleted", "variant", before.id, before.body, None)


def _end_low_stock(work: UnitOfWork, variant_id: UUID, levels: list[AnyRow]) -> None:
    own = [level for level in levels if level.variant_id == variant_id]
    end_low_stock(work, [(variant_id, level.location_id) for level in own])


def _columns(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "inventory"}


def _check_options(options: list[dict[str, str]], siblings: list[Row[Any]]) -> None:
    chosen = read_options(options, "/options")
    for sibling in siblings:
        if chosen and {o["name"]: o["value"] for o in sibling.options} == chosen:
            raise errors.OPTIONS_TAKEN


def _announce(work: UnitOfWork, product_id: UUID) -> None:
    """A variant is part of its product: the product changes with it."""
    work.repository(CatalogRepository).change_product(product_id, {"updated_at": work.now})
    data = {"product_id": str(product_id), "changes": ["variants"], "updated_fields": {}}
    work.append("product_updated", "product", product_id, data)


def _variant(variants: VariantRepository, product_id: UUID, variant_id: UUID) -> Row[Any]:
    row = variants.find(product_id, variant_id)
    if row is None:
        raise not_found("variant")
    return row
