"""Images over HTTP, below their product."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from shop_api.domains.catalog.repository import CatalogRepository
from shop_api.domains.images import service
from shop_api.domains.images.repository import IMAGE_SORTS, ImageRepository
from shop_api.domains.images.schemas import (
    ImageBody,
    ImageChanges,
    ImagePage,
    ImageQuery,
    ProductImageSchema,
)
from shop_api.kernel.errors import not_found
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

images = Blueprint(
    "images",
    __name__,
    url_prefix="/api/v1/products/<id:product_id>/images",
    description="Pictures of a product, in their order.",
)


@images.read("", scope="catalog:read", query=ImageQuery, returns=ImagePage)
def list_images(call: Call, product_id: UUID) -> Reply:
    """List a product's images in their order.

    A publishable key sees those of active products.
    """
    _require_product(call, product_id)
    asked = call.page_request(IMAGE_SORTS["position"], is_descending=False)
    repository = ImageRepository(call.session)
    page = repository.list_page(product_id, asked)
    total = repository.count(product_id) if call.wants_total else None
    return call.page(page, asked, total)


@images.read("/<id:image_id>", scope="catalog:read", returns=ProductImageSchema)
def get_image(call: Call, product_id: UUID, image_id: UUID) -> Reply:
    """Get an image of a product."""
    _require_product(call, product_id)
    row = ImageRepository(call.session).find(product_id, image_id)
    if row is None:
        raise not_found("image")
    return Reply.resource(row)


@images.mutation(
    "POST", "", scope="catalog:write", body=ImageBody, returns=ProductImageSchema, status=201
)
def add_image(call: Call, product_id: UUID) -> Reply:
    """Add an image to a product, by its address.

    `If-Match` names the version of the product.
    """
    call.require_version(_locked_product(call, product_id).version)
    row = service.add_image(call.work, product_id, call.body)
    return Reply.created(row, f"/api/v1/products/{product_id}/images")


@images.mutation(
    "PATCH",
    "/<id:image_id>",
    scope="catalog:write",
    body=ImageChanges,
    returns=ProductImageSchema,
)
def update_image(call: Call, product_id: UUID, image_id: UUID) -> Reply:
    """Change some fields of an image, or move it."""
    _locked_product(call, product_id)
    before = _found(call, product_id, image_id)
    return Reply.resource(service.change_image(call.work, product_id, before, call.body))


@images.mutation("DELETE", "/<id:image_id>", scope="catalog:write")
def delete_image(call: Call, product_id: UUID, image_id: UUID) -> Reply:
    """Delete an image; those behind it move up."""
    _locked_product(call, product_id)
    service.delete_image(call.work, product_id, _found(call, product_id, image_id))
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


def _found(call: Call, product_id: UUID, image_id: UUID) -> Row[Any]:
    """The image, of the version the client last read."""
    before = ImageRepository(call.session).find(product_id, image_id)
    if before is None:
        raise not_found("image")
    call.require_version(before.version)
    return before
