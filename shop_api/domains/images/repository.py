"""SQL of images. A product's are numbered from 0 without gaps; who changes them holds its row."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, insert, literal_column, select, text, update

from shop_api.db.keyset import KeysetPage, PageRequest, Sort, fetch_page
from shop_api.db.tenancy import Repository
from shop_api.models import product_images, variants

i = product_images.alias("i")

IMAGE_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT i.id, i.product_id, i.variant_id, i.url, i.alt_text,
    i.position, i.width, i.height, json_instant(i.created_at) AS created_at,
    json_instant(i.updated_at) AS updated_at) r)
"""

IMAGE_SORTS = {"position": Sort("position", i.c.position, str, int)}

# Positions as the ids are listed; only what moves is written.
RENUMBER = text("""
    UPDATE product_images x SET position = n.position - 1
    FROM unnest(CAST(:ids AS uuid[])) WITH ORDINALITY AS n (id, position)
    WHERE x.tenant_id = :tenant_id AND x.product_id = :product_id AND x.id = n.id
      AND x.position <> n.position - 1
""")


class ImageRepository(Repository):
    """Images of one tenant's products."""

    def list_page(self, product_id: UUID, page: PageRequest) -> KeysetPage:
        """A page of a product's images."""
        query = select(page.sort.column, i.c.id, literal_column(IMAGE_JSON)).where(
            i.c.tenant_id == self.tenant_id, i.c.product_id == product_id
        )
        return fetch_page(self.session, query, i.c.id, page)

    def count(self, product_id: UUID) -> int:
        """How many images the product has."""
        query = select(func.count()).where(
            i.c.tenant_id == self.tenant_id, i.c.product_id == product_id
        )
        return self.session.execute(query).scalar_one()

    def find(self, product_id: UUID, image_id: UUID) -> Row[Any] | None:
        """An image's resource row."""
        query = select(i.c.id, i.c.version, literal_column(IMAGE_JSON).label("body")).where(
            i.c.tenant_id == self.tenant_id, i.c.product_id == product_id, i.c.id == image_id
        )
        return self.session.execute(query).first()

    def list_ids(self, product_id: UUID) -> list[UUID]:
        """The product's images in their order."""
        query = select(i.c.id).where(i.c.tenant_id == self.tenant_id, i.c.product_id == product_id)
        return list(self.session.execute(query.order_by(i.c.position, i.c.id)).scalars())

    def has_variant(self, product_id: UUID, variant_id: UUID) -> bool:
        """Whether the product has the variant."""
        query = select(variants.c.id).where(
            variants.c.tenant_id == self.tenant_id,
            variants.c.product_id == product_id,
            variants.c.id == variant_id,
        )
        return self.session.execute(query).first() is not None

    def add(self, values: dict[str, Any]) -> None:
        """Insert an image."""
        self.session.execute(insert(product_images).values(tenant_id=self.tenant_id, **values))

    def change(self, image_id: UUID, values: dict[str, Any], now: datetime) -> None:
        """Update some columns; the version grows."""
        self.session.execute(
            update(product_images)
            .where(product_images.c.tenant_id == self.tenant_id, product_images.c.id == image_id)
            .values(version=product_images.c.version + 1, updated_at=now, **values)
        )

    def renumber(self, product_id: UUID, ids: list[UUID]) -> None:
        """Number the product's images from 0 as they are listed."""
        values = {"tenant_id": self.tenant_id, "product_id": product_id, "ids": ids}
        self.session.execute(RENUMBER, values)

    def delete(self, image_id: UUID) -> None:
        """Delete an image."""
        self.session.execute(
            delete(product_images).where(
                product_images.c.tenant_id == self.tenant_id, product_images.c.id == image_id
            )
        )
