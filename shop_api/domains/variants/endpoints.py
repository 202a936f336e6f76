"""Variants over HTTP, below their product."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from shop_api.domains.catalog.repository import CatalogRepository
from shop_api.domains.variants import service
from shop_api.domains.variants.repository import VARIANT_SORTS, VariantRepository
from shop_api.domains.variants.schemas import (
    NewVariantBody,
    VariantChanges,
    VariantDetailSchema,
    VariantPage,
    VariantQuery,
    VariantReplacement,
)
from shop_api.kernel.errors import not_found
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

variants = Blueprint(
    "variants",
    __name__,
    url_prefix="/api/v1/products/<id:product_id>/variants",
    description="The forms a product is sold in, each with its price and stock.",
)


@variants.read("", scope="catalog:read", query=VariantQuery, returns=VariantPage)
def list_variants(call: Call, product_id: UUID) -> Reply:
    """List a product's variants in their order.

    A publishable key sees those of active products, without their cost price.
    """
    _require_product(call, product_id)
    asked = call.page_request(VARIANT_SORTS["position"], is_descending=False)
    repository = VariantRepository(call.session)
    page = repository.list_page(product_id, asked, is_public=call.principal.is_publishable)
    total = repository.count(product_id) if call.wants_total else None
    return call.page(page, asked, total)


@variants.read("/<id:variant_id>", scope="catalog:read", returns=VariantDetailSchema)
def get_variant(call: Call, product_id: UUID, variant_id: UUID) -> Reply:
    """Get a variant with its stock over all locations."""
    _require_product(call, product_id)
    row = VariantRepository(call.session).find(
        product_id, variant_id, is_public=call.principal.is_publishable
    )
    if row is None:
        raise not_found("variant")
    return Reply.resource(row)


@variants.mutation(
    "POST",
    "",
    scope="catalog:write",
    body=NewVariantBody,
    returns=VariantDetailSchema,
    status=201,
)
def create_variant(call: Call, product_id: UUID) -> Reply:
    """Add a variant to a product, with first stock at the default location.

    Those it has stay, also the one titled Default of a product made without variants: delete that
    one afterwards, or PATCH its `title` and `options` to make it one of the choices.

    `If-Match` names the version of the product.
    """
    product = _locked_product(call, product_id)
    call.require_version(product.version)
    row = service.create_variant(call.work, product, call.body)
    return Reply.created(row, f"/api/v1/products/{product_id}/variants")


@variants.mutation(
    "PUT",
    "/<id:variant_id>",
    scope="catalog:write",
    body=VariantReplacement,
    returns=VariantDetailSchema,
)
def replace_variant(call: Call, product_id: UUID, variant_id: UUID) -> Reply:
    """Replace a variant. What is left out is as in a new one; its stock stays.

    Where `inherits_price` is true leave `price` out, or send null: an amount makes it the variant's
    own.
    """
    levels = CatalogRepository(call.session).lock_stock([product_id])
    product = _locked_product(call, product_id)
    before = _found(call, product_id, variant_id)
    return Reply.resource(service.replace_variant(call.work, product, before, call.body, levels))


@variants.mutation(
    "PATCH",
    "/<id:variant_id>",
    scope="catalog:write",
    body=VariantChanges,
    returns=VariantDetailSchema,
)
def update_variant(call: Call, product_id: UUID, variant_id: UUID) -> Reply:
    """Change some fields of a variant. `price` null makes it the product's again."""
    changes_alert = service.ALERT in call.body.get("inventory", {})
    levels = CatalogRepository(call.session).lock_stock([product_id]) if changes_alert else []
    product = _locked_product(call, product_id)
    before = _found(call, product_id, variant_id)
    return Reply.resource(service.change_variant(call.work, product, before, call.body, levels))


@variants.mutation("DELETE", "/<id:variant_id>", scope="catalog:write")
def delete_variant(call: Call, product_id: UUID, variant_id: UUID) -> Reply:
    """Delete a variant that was never sold, with its stock. A product keeps at least one."""
    levels = CatalogRepository(call.session).lock_stock([product_id])
    product = _locked_product(call, product_id)
    service.delete_variant(call.work, product, _found(call, product_id, variant_id), levels)
    return Reply.empty()


def _require_product(call: Call, product_id: UUID) -> None:
    """404 unless the product is there for the one who asks."""
    if not CatalogRepository(call.session).exists(
        product_id, is_public=call.principal.is_publishable
    ):
        raise not_found("product")


def _locked_product(call: Call, product_id: UUID) -> Row[Any]:
    product = CatalogRepository(call.session).find_product(product_id, for_update=True)
    if product is None:
        raise not_found("product")
    return product


def _found(call: Call, product_id: UUID, variant_id: UUID) -> Row[Any]:
    """The variant, of the version the client last read."""
    before = VariantRepository(call.session).find(product_id, variant_id)
    if before is None:
        raise not_found("variant")
    call.require_version(before.version)
    return before
