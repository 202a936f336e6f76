"""Changing a product's images; knows no HTTP. Who changes one holds its product's row."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from shop_api.domains.catalog.repository import CatalogRepository
from shop_api.domains.images import errors
from shop_api.domains.images.repository import ImageRepository
from shop_api.kernel.errors import not_found
from shop_api.kernel.ids import new_id
from shop_api.models import MAX_IMAGES
from shop_api.spine.unit_of_work import UnitOfWork


def add_image(work: UnitOfWork, product_id: UUID, body: dict[str, Any]) -> Row[Any]:
    """An image at `position`, or after the others; those behind it move on.

    Raises `too_many_images` or `variant_not_found`.
    """
    images = work.repository(ImageRepository)
    ids = images.list_ids(product_id)
    if len(ids) >= MAX_IMAGES:
        raise errors.TOO_MANY_IMAGES
    _check_variant(images, product_id, body)
    image_id = new_id(work.now)
    images.add(
        {
            "id": image_id,
            "product_id": product_id,
            **body,
            "position": len(ids),
            "created_at": work.now,
            "updated_at": work.now,
        }
    )
    _place(images, product_id, ids, image_id, body.get("position", len(ids)))
    row = _image(images, product_id, image_id)
    _announce(work, product_id)
    work.audit("image_added", "image", image_id, None, row.body)
    return row


def change_image(
    work: UnitOfWork, product_id: UUID, before: Row[Any], body: dict[str, Any]
) -> Row[Any]:
    """Change what `body` names; moved to another position, the others close up.

    Raises `variant_not_found`.
    """
    if not body:
        return before
    images = work.repository(ImageRepository)
    _check_variant(images, product_id, body)
    values = {name: value for name, value in body.items() if name != "position"}
    images.change(before.id, values, work.now)
    if "position" in body:
        others = [image_id for image_id in images.list_ids(product_id) if image_id != before.id]
        _place(images, product_id, others, before.id, body["position"])
    row = _image(images, product_id, before.id)
    _announce(work, product_id)
    work.audit("image_updated", "image", before.id, before.body, row.body)
    return row


def delete_image(work: UnitOfWork, product_id: UUID, before: Row[Any]) -> None:
    """Delete an image; the others close up."""
    images = work.repository(ImageRepository)
    images.delete(before.id)
    images.renumber(product_id, images.list_ids(product_id))
    _announce(work, product_id)
    work.audit("image_deleted", "image", before.id, before.body, None)


def _place(
    images: ImageRepository, product_id: UUID, others: list[UUID], image_id: UUID, position: int
) -> None:
    images.renumber(product_id, [*others[:position], image_id, *others[position:]])


def _check_variant(images: ImageRepository, product_id: UUID, body: dict[str, Any]) -> None:
    variant_id = body.get("variant_id")
    if variant_id is not None and not images.has_variant(product_id, variant_id):
        raise errors.VARIANT_NOT_FOUND


def _announce(work: UnitOfWork, product_id: UUID) -> None:
    """An image is part of its product: the product changes with it."""
    work.repository(CatalogRepository).change_product(product_id, {"updated_at": work.now})
    data = {"product_id": str(product_id), "changes": ["images"], "updated_fields": {}}
    work.append("product_updated", "product", product_id, data)


def _image(images: ImageRepository, product_id: UUID, image_id: UUID) -> Row[Any]:
    row = images.find(product_id, image_id)
    if row is None:
        raise not_found("image")
    return row
