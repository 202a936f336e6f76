"""Changing the catalogue; knows no HTTP."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select

from shop_api.db.types import AnyRow
from shop_api.domains.catalog import errors
from shop_api.domains.catalog.repository import CatalogRepository
from shop_api.kernel.errors import not_found
from shop_api.kernel.ids import new_id
from shop_api.kernel.money import is_exact, round_money
from shop_api.models import locations, stock_levels, stock_movements
from shop_api.spine.notifications import LOW_STOCK, resolve
from shop_api.spine.unit_of_work import UnitOfWork

PRICES = ("price", "compare_price", "cost_price")
DEFAULT_INVENTORY: dict[str, Any] = {
    "track_quantity": True,
    "quantity": 0,
    "low_stock_alert": None,
    "allow_backorder": False,
}

EMPTY_SEO: dict[str, Any] = {"title": None, "description": None, "slug": None}

# What a product is without what its body leaves out.
DEFAULT_PRODUCT: dict[str, Any] = {
    "description": "",
    "sku": None,
    "compare_price": None,
    "cost_price": None,
    "status": "draft",
    "tax_class": "standard",
    "tags": [],
    "seo": EMPTY_SEO,
    "external_id": None,
}


def create_product(work: UnitOfWork, body: dict[str, Any]) -> Row[Any]:
    """A product with its variants (one, titled Default, if none is given) and first stock.

    Raises `inexact_amount` when a price has more digits than the tenant's currency, and
    `options_repeated` or `option_named_twice` when variants cannot be told apart.
    """
    catalog = work.repository(CatalogRepository)
    terms = catalog.tenant_terms()
    currency = terms.currency
    given_variants = body.get("variants") or [
        {"title": "Default", "inventory": body.get("inventory", {})}
    ]
    if body.get("variants") and "inventory" in body:
        raise errors.INVENTORY_OF_VARIANTS
    check_amounts(body, currency, given_variants)
    _check_options(given_variants)
    product_id = new_id(work.now)
    stamps = {"created_at": work.now, "updated_at": work.now}
    values = {
        "id": product_id,
        "name": body["name"],
        "price": body["price"],
        "currency": currency,
        **{name: body.get(name, value) for name, value in DEFAULT_PRODUCT.items()},
        "seo": {part: text for part, text in body.get("seo", {}).items() if text is not None},
        **stamps,
    }
    rows = []
    quantities = {}
    for position, variant in enumerate(given_variants):
        inventory = default_inventory(terms) | variant.get("inventory", {})
        variant_id = new_id(work.now)
        quantities[variant_id] = inventory["quantity"]
        rows.append(
            {
                "id": variant_id,
                "product_id": product_id,
                "title": variant["title"],
                "sku": variant.get("sku"),
                "price": variant.get("price"),
                "cost_price": variant.get("cost_price"),
                "options": variant.get("options", []),
                "weight_grams": variant.get("weight_grams"),
                "position": position,
                "track_quantity": inventory["track_quantity"],
                "allow_backorder": inventory["allow_backorder"],
                "low_stock_alert": inventory["low_stock_alert"],
                **stamps,
            }
        )
    catalog.add_product(values, body.get("category_ids", []), rows)
    if body.get("images"):
        catalog.add_images(_image_rows(work, product_id, body["images"]))
    add_stock(work, quantities)
    row = _product(catalog, product_id)
    work.append("product_created", "product", product_id, {"product_id": str(product_id)})
    work.audit("product_created", "product", product_id, None, row.body)
    return row


def _image_rows(
    work: UnitOfWork, product_id: UUID, images: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    return [
        {
            "id": new_id(work.now),
            "product_id": product_id,
            "alt_text": "",
            "width": None,
            "height": None,
            **image,
            "position": position,
            "created_at": work.now,
            "updated_at": work.now,
        }
        for position, image in enumerate(images)
    ]


def _check_options(given_variants: list[dict[str, Any]]) -> None:
    seen = []
    for index, variant in enumerate(given_variants):
        pointer = f"/variants/{index}/options"
        chosen = read_options(variant.get("options", []), pointer)
        if chosen and chosen in seen:
            raise errors.options_repeated(pointer)
        seen.append(chosen)


def read_options(options: list[dict[str, str]], pointer: str) -> dict[str, str]:
    """A variant's options by their names. Raises `option_named_twice`."""
    chosen = {option["name"]: option["value"] for option in options}
    if len(chosen) < len(options):
        raise errors.option_named_twice(pointer)
    return chosen


def default_inventory(terms: AnyRow) -> dict[str, Any]:
    """How a variant of the tenant is kept when nobody says how; `terms` as `tenant_terms`."""
    return {**DEFAULT_INVENTORY, "low_stock_alert": terms.low_stock_alert}


def add_stock(work: UnitOfWork, quantities: dict[UUID, int]) -> None:
    """First stock of new variants at the default location, with its ledger rows."""
    location_id = work.session.execute(
        select(locations.c.id).where(
            locations.c.tenant_id == work.tenant_id, locations.c.is_default
        )
    ).scalar_one()
    place = {"tenant_id": work.tenant_id, "location_id": location_id}
    work.session.execute(
        insert(stock_levels),
        [
            {**place, "variant_id": variant_id, "quantity": quantity, "updated_at": work.now}
            for variant_id, quantity in quantities.items()
        ],
    )
    moved = [
        {
            **place,
            "id": new_id(work.now),
            "variant_id": variant_id,
            "quantity_delta": quantity,
            "reserved_delta": 0,
            "reason": "adjusted",
            "actor": work.origin.actor,
            "created_at": work.now,
        }
        for variant_id, quantity in quantities.items()
        if quantity
    ]
    if moved:
        work.session.execute(insert(stock_movements), moved)


def low_stock_key(variant_id: UUID, location_id: UUID) -> str:
    """Of what the tenant is told where a variant runs low."""
    return f"{LOW_STOCK}:{variant_id}:{location_id}"


def end_low_stock(work: UnitOfWork, places: Iterable[tuple[UUID, UUID]]) -> None:
    """That a variant runs low at a location is over, where the tenant was told so of these: there
    is more than its alert, or no alert, or nothing any more that could run low."""
    resolve(work, [low_stock_key(variant_id, location_id) for variant_id, location_id in places])


def check_amounts(
    body: dict[str, Any], currency: str, given_variants: list[dict[str, Any]] | None = None
) -> None:
    """Every price must be exact in the currency."""
    pointers = [f"/{name}" for name in PRICES if _is_inexact(body.get(name), currency)]
    for index, variant in enumerate(given_variants or []):
        pointers += [
            f"/variants/{index}/{name}"
            for name in ("price", "cost_price")
            if _is_inexact(variant.get(name), currency)
        ]
    if pointers:
        raise errors.inexact_amounts(pointers, currency)


def _is_inexact(amount: Decimal | None, currency: str) -> bool:
    return amount is not None and not is_exact(amount, currency)


def replace_product(
    work: UnitOfWork, product_id: UUID, before: Row[Any], body: dict[str, Any]
) -> Row[Any]:
    """The product as `body` says; what it leaves out is as in a new one. Variants stay."""
    whole = {**DEFAULT_PRODUCT, "category_ids": [], **body}
    seo = EMPTY_SEO | whole["seo"]
    return change_product(work, product_id, before, {**whole, "seo": seo})


def change_product(
    work: UnitOfWork, product_id: UUID, before: Row[Any], body: dict[str, Any]
) -> Row[Any]:
    """Change what `body` names; the new resource row."""
    if not body:
        return before
    catalog = work.repository(CatalogRepository)
    check_amounts(body, before.currency)
    values = {name: value for name, value in body.items() if name != "category_ids"}
    catalog.change_product(product_id, {**values, "updated_at": work.now})
    if "category_ids" in body:
        catalog.set_categories(product_id, body["category_ids"])
    row = _product(catalog, product_id)
    record_change(work, before, row, body)
    return row


def record_change(work: UnitOfWork, before: AnyRow, after: AnyRow, body: dict[str, Any]) -> None:
    """The event and the audit row of a product changed as `body` says."""
    values = {name: value for name, value in body.items() if name != "category_ids"}
    data = {
        "product_id": str(after.id),
        "changes": sorted(body),
        "updated_fields": _plain(values, after.currency),
    }
    work.append("product_updated", "product", after.id, data)
    work.audit("product_updated", "product", after.id, before.body, after.body)


def _plain(values: dict[str, Any], currency: str) -> dict[str, Any]:
    """What was changed, amounts with the currency's digits."""
    return {
        name: round_money(value, currency) if isinstance(value, Decimal) else value
        for name, value in values.items()
    }


def delete_product(
    work: UnitOfWork, product_id: UUID, before: Row[Any], levels: list[AnyRow]
) -> None:
    """Delete a product nobody ever bought, with its `levels`, which are held; refused with
    `product_in_use` otherwise."""
    work.repository(CatalogRepository).delete_product(product_id)
    end_low_stock(work, [(level.variant_id, level.location_id) for level in levels])
    record_deletion(work, before)


def record_deletion(work: UnitOfWork, before: AnyRow) -> None:
    """The event and the audit row of a product deleted."""
    work.append("product_deleted", "product", before.id, {"product_id": str(before.id)})
    work.audit("product_deleted", "product", before.id, before.body, None)


def _product(catalog: CatalogRepository, product_id: UUID) -> Row[Any]:
    row = catalog.find_product(product_id)
    if row is None:
        raise not_found("product")
    return row
