"""The catalogue over HTTP."""

from uuid import UUID

from shop_api.domains.catalog import errors, service
from shop_api.domains.catalog.repository import PRODUCT_SORTS, CatalogRepository
from shop_api.domains.catalog.schemas import (
    ProductBody,
    ProductChanges,
    ProductPage,
    ProductQuery,
    ProductReplacement,
    ProductSchema,
)
from shop_api.domains.product_documents.repository import (
    PUBLIC_VIEW,
    STAFF_VIEW,
    ProductDocumentRepository,
)
from shop_api.kernel.errors import not_found
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.cache_policies import PRODUCTS, RealTimeQuery
from shop_api.web.reply import Reply

products = Blueprint(
    "products",
    __name__,
    url_prefix="/api/v1/products",
    description="What is sold: products with their variants, stock and prices.",
)


@products.read(
    "",
    scope="catalog:read",
    query=ProductQuery,
    returns=ProductPage,
    is_direct=True,
    cache=PRODUCTS,
)
def list_products(call: Call) -> Reply:
    """List products, newest first unless sorted otherwise.

    One product is found by its `external_id`, the handle it has elsewhere, or by `sku`. Several may
    have the same `seo.slug`: it is not looked up.

    A publishable key sees active products only, without their cost price and what they sold.
    """
    sort = PRODUCT_SORTS[call.query.get("sort", "created_at")]
    asked = call.page_request(sort, is_descending=sort.name in ("created_at", "updated_at"))
    catalog = CatalogRepository(call.session)
    is_public = call.principal.is_publishable
    if is_public and sort.name == "total_sales":
        # the order tells, and a cursor holds the amount
        raise errors.SORT_NOT_ALLOWED
    total = None
    if call.wants_total:
        total = catalog.count_products(call.query, is_public=is_public)
    kept = call.services.product_documents
    page = catalog.list_products(call.query, asked, kept, is_public=is_public)
    return call.page(page, asked, total)


@products.read(
    "/<id:product_id>",
    scope="catalog:read",
    query=RealTimeQuery,
    returns=ProductSchema,
    is_direct=True,
    cache=PRODUCTS,
)
def get_product(call: Call, product_id: UUID) -> Reply:
    """Get a product with its variants, stock and categories.

    A publishable key sees active products only, without their cost price.
    """
    view = PUBLIC_VIEW if call.principal.is_publishable else STAFF_VIEW
    kept = call.services.product_documents
    row = ProductDocumentRepository(call.session).find(product_id, view, kept)
    if row is None:
        raise not_found("product")
    return Reply.resource(row)


@products.mutation(
    "POST", "", scope="catalog:write", body=ProductBody, returns=ProductSchema, status=201
)
def create_product(call: Call) -> Reply:
    """Create a product, with variants, images and first stock.

    Prices are in the tenant's currency. Without variants it gets one, titled Default,
    which stays when others are added later.
    """
    row = service.create_product(call.work, call.body)
    return Reply.created(row, "/api/v1/products")


@products.mutation(
    "PUT",
    "/<id:product_id>",
    scope="catalog:write",
    body=ProductReplacement,
    returns=ProductSchema,
)
def replace_product(call: Call, product_id: UUID) -> Reply:
    """Replace a product. What is left out is as in a new one; its variants and images stay.

    So a `status` left out becomes `draft`, and without `category_ids` it is in no category. To
    change some fields only, PATCH it.
    """
    before = CatalogRepository(call.session).find_product(product_id, for_update=True)
    if before is None:
        raise not_found("product")
    call.require_version(before.version)
    return Reply.resource(service.replace_product(call.work, product_id, before, call.body))


@products.mutation(
    "PATCH",
    "/<id:product_id>",
    scope="catalog:write",
    body=ProductChanges,
    returns=ProductSchema,
)
def update_product(call: Call, product_id: UUID) -> Reply:
    """Change some fields of a product."""
    before = CatalogRepository(call.session).find_product(product_id, for_update=True)
    if before is None:
        raise not_found("product")
    call.require_version(before.version)
    return Reply.resource(service.change_product(call.work, product_id, before, call.body))


@products.mutation("DELETE", "/<id:product_id>", scope="catalog:write")
def delete_product(call: Call, product_id: UUID) -> Reply:
    """Delete a product that was never sold. Archive one that was."""
    catalog = CatalogRepository(call.session)
    levels = catalog.lock_stock([product_id])
    before = catalog.find_product(product_id, for_update=True)
    if before is None:
        raise not_found("product")
    call.require_version(before.version)
    service.delete_product(call.work, product_id, before, levels)
    return Reply.empty()
