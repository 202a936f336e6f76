"""A call of each repository method of the catalogue, its stock and its sessions.

For the test of the wall between tenants.
"""

from typing import Any
from uuid import uuid4

from shop_api.db.kept_documents import KeptDocuments
from shop_api.db.tenancy import Repository
from shop_api.domains.catalog import repository as catalog
from shop_api.domains.catalog.repository import CatalogRepository
from shop_api.domains.categories import repository as categories
from shop_api.domains.categories.repository import CategoryRepository
from shop_api.domains.images import repository as images
from shop_api.domains.images.repository import ImageRepository
from shop_api.domains.inventory import repository as inventory
from shop_api.domains.inventory.repository import InventoryRepository
from shop_api.domains.product_documents.repository import STAFF_VIEW, ProductDocumentRepository
from shop_api.domains.sessions import repository as sessions
from shop_api.domains.sessions.repository import SessionRepository
from shop_api.domains.variants import repository as variants
from shop_api.domains.variants.repository import VariantRepository
from shop_api.kernel.ids import new_id
from tests.factories.calls import (
    NOW,
    STAMPS,
    Arguments,
    change,
    listed,
    no_filters,
    nothing,
    of_product,
    one,
    page,
)


def an_adjustment(victim: Any) -> tuple[dict[str, Any]]:
    return (
        {
            "variant_ids": [victim.variant_id],
            "location_ids": [victim.ids["location_id"]],
            "deltas": [1],
            "movement_ids": [new_id(NOW)],
            "actor": "system:test",
            "reason": "recount",
            "note": None,
            "now": NOW,
        },
    )


def a_product(_: Any) -> tuple[Any, ...]:
    product_id = new_id(NOW)
    values = {"id": product_id, "name": "x", "price": 1, "currency": "USD", "status": "draft"}
    variant = {"id": new_id(NOW), "product_id": product_id, "title": "x", **STAMPS}
    return ({**values, **STAMPS}, [], [variant])


def an_image(victim: Any) -> dict[str, Any]:
    product_id = victim.ids["sold_product_id"]
    return {"id": new_id(NOW), "product_id": product_id, "url": "https://x.example", **STAMPS}


def a_session(_: Any) -> tuple[dict[str, Any]]:
    values = {"kind": "till", "name": uuid4().hex, "channel": "pos", "opened_by": "user:x"}
    values["currency"] = "USD"
    return ({"id": new_id(NOW), **values, "opened_at": NOW, **STAMPS},)


CATALOG_CALLS: dict[type[Repository], dict[str, Arguments]] = {
    CatalogRepository: {
        "add_images": lambda victim: ([an_image(victim)],),
        "add_product": a_product,
        "change_product": change("product_id", name="taken over"),
        "count_products": no_filters,
        "delete_product": one("product_id"),
        "exists": one("product_id"),
        "find_product": one("product_id"),
        "list_products": lambda _: ({}, page(catalog.PRODUCT_SORTS["price"]), KeptDocuments(0)),
        "lock_stock": lambda victim: ([victim.ids["product_id"]],),
        "set_categories": lambda victim: (
            victim.ids["product_id"],
            [victim.ids["category_id"]],
        ),
        "tenant_terms": nothing,
    },
    CategoryRepository: {
        "add": lambda _: ({"id": new_id(NOW), "name": "x", "slug": uuid4().hex, **STAMPS},),
        "change": change("category_id", name="taken over"),
        "contents_of": one("category_id"),
        "count": no_filters,
        "count_levels": lambda victim: (victim.ids["category_id"], victim.ids["category_id"]),
        "delete": one("category_id"),
        "find": one("category_id"),
        "find_public": one("category_id"),
        "is_below": lambda victim: (victim.ids["category_id"], victim.ids["category_id"]),
        "list_page": listed(categories.CATEGORY_SORTS["created_at"]),
        "lock_tree": nothing,
        "tree_of": lambda victim: (str(victim.ids["category_id"]),),
    },
    ProductDocumentRepository: {
        "find": lambda victim: (victim.ids["product_id"], STAFF_VIEW, KeptDocuments(0)),
        "current_bodies": lambda victim: (
            [(None, victim.ids["product_id"], "null 0")],
            STAFF_VIEW,
            KeptDocuments(0),
        ),
        "list_documents": lambda victim: ([str(victim.ids["product_id"])], STAFF_VIEW),
    },
    ImageRepository: {
        "add": lambda victim: (an_image(victim),),
        "change": lambda victim: (victim.ids["image_id"], {"alt_text": "taken over"}, NOW),
        "count": one("sold_product_id"),
        "delete": one("image_id"),
        "find": of_product("image_id"),
        "has_variant": lambda victim: (victim.ids["sold_product_id"], victim.variant_id),
        "list_ids": one("sold_product_id"),
        "list_page": lambda victim: (
            victim.ids["sold_product_id"],
            page(images.IMAGE_SORTS["position"]),
        ),
        "renumber": lambda victim: (
            victim.ids["sold_product_id"],
            [new_id(NOW), victim.ids["image_id"]],
        ),
    },
    InventoryRepository: {
        "add_location": lambda _: (
            {"id": new_id(NOW), "name": "x", "code": uuid4().hex, **STAMPS},
        ),
        "adjust": an_adjustment,
        "change_location": change("location_id", name="taken over"),
        "count_locations": nothing,
        "count_movements": no_filters,
        "count_stock": no_filters,
        "default_location_id": nothing,
        "delete_empty_levels": one("location_id"),
        "delete_location": one("empty_location_id"),
        "find_location": one("location_id"),
        "has_levels": one("location_id"),
        "has_sessions": one("location_id"),
        "hold_backorders": lambda victim: (
            {
                "variant_ids": [victim.variant_id],
                "quantities": [1],
                "movement_ids": [new_id(NOW)],
                "order_id": new_id(NOW),
                "actor": "x",
                "now": NOW,
            },
        ),
        "name_levels": lambda victim: ([victim.variant_id], [victim.ids["location_id"]]),
        "list_locations": lambda _: (page(inventory.LOCATION_SORTS["created_at"]),),
        "list_movements": listed(inventory.MOVEMENT_SORTS["created_at"]),
        "list_stock": listed(inventory.STOCK_SORTS["variant_id"]),
        "lock_default": nothing,
        "lock_levels": lambda victim: ([victim.variant_id], [victim.ids["location_id"]], NOW),
        "unset_default": lambda _: (NOW,),
    },
    SessionRepository: {
        "add": a_session,
        "change": change("session_id", closed_at=NOW),
        "count": no_filters,
        "find": one("session_id"),
        "find_for_order": one("session_id"),
        "list_page": listed(sessions.SESSION_SORTS["opened_at"]),
        "list_unsettled": one("session_id"),
    },
    VariantRepository: {
        "add": lambda victim: (
            {
                "id": new_id(NOW),
                "product_id": victim.ids["sold_product_id"],
                "title": "x",
                **STAMPS,
            },
        ),
        "change": lambda victim: (victim.variant_id, {"title": "taken over"}, NOW),
        "count": one("sold_product_id"),
        "delete": lambda victim: (victim.variant_id,),
        "find": lambda victim: (victim.ids["sold_product_id"], victim.variant_id),
        "is_sold": lambda victim: (victim.variant_id,),
        "list_options": one("sold_product_id"),
        "list_page": lambda victim: (
            victim.ids["sold_product_id"],
            page(variants.VARIANT_SORTS["position"]),
        ),
    },
}
