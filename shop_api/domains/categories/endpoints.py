"""The category tree over HTTP."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from shop_api.db.types import AnyRow
from shop_api.domains.categories import service
from shop_api.domains.categories.repository import CATEGORY_SORTS, CategoryRepository
from shop_api.domains.categories.schemas import (
    CategoryBody,
    CategoryChanges,
    CategoryPage,
    CategoryQuery,
    CategoryReplacement,
    CategorySchema,
)
from shop_api.kernel.errors import not_found
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

categories = Blueprint(
    "categories",
    __name__,
    url_prefix="/api/v1/categories",
    description="The tree that products are filed in.",
)


@categories.read("", scope="catalog:read", query=CategoryQuery, returns=CategoryPage)
def list_categories(call: Call) -> Reply:
    """List categories, oldest first unless sorted otherwise.

    A publishable key sees active categories only, and counts active products.
    """
    sort = CATEGORY_SORTS[call.query.get("sort", "created_at")]
    asked = call.page_request(sort, is_descending=False)
    tree = CategoryRepository(call.session)
    is_public = call.principal.is_publishable
    page = tree.list_page(call.query, asked, is_public=is_public)
    total = None
    if call.wants_total:
        total = tree.count(call.query, is_public=is_public)
    return call.page(page, asked, total)


@categories.read("/<id:category_id>", scope="catalog:read", returns=CategorySchema)
def get_category(call: Call, category_id: UUID) -> Reply:
    """Get a category. A publishable key sees active ones only."""
    tree = CategoryRepository(call.session)
    row: AnyRow | None
    if call.principal.is_publishable:
        row = tree.find_public(category_id)
    else:
        row = tree.find(category_id)
    if row is None:
        raise not_found("category")
    return Reply.resource(row)


@categories.mutation(
    "POST", "", scope="catalog:write", body=CategoryBody, returns=CategorySchema, status=201
)
def create_category(call: Call) -> Reply:
    """Create a category, at the root or below another, at most ten levels deep."""
    row = service.create_category(call.work, call.body)
    return Reply.created(row, "/api/v1/categories")


@categories.mutation(
    "PUT",
    "/<id:category_id>",
    scope="catalog:write",
    body=CategoryReplacement,
    returns=CategorySchema,
)
def replace_category(call: Call, category_id: UUID) -> Reply:
    """Replace a category. What is left out is as in a new one: without `parent_id`, a root.

    The products and categories in it stay.
    """
    before = _category_to_change(call, category_id)
    return Reply.resource(service.replace_category(call.work, category_id, before, call.body))


@categories.mutation(
    "PATCH",
    "/<id:category_id>",
    scope="catalog:write",
    body=CategoryChanges,
    returns=CategorySchema,
)
def update_category(call: Call, category_id: UUID) -> Reply:
    """Change some fields of a category, or move it with all below it."""
    before = _category_to_change(call, category_id)
    return Reply.resource(service.change_category(call.work, category_id, before, call.body))


def _category_to_change(call: Call, category_id: UUID) -> Row[Any]:
    """The category, locked, in the version asked for."""
    tree = CategoryRepository(call.session)
    if call.body.get("parent_id") is not None:
        # before the row: two moves that each hold a row and wait for the tree would never end
        tree.lock_tree()
    before = tree.find(category_id, for_update=True)
    if before is None:
        raise not_found("category")
    call.require_version(before.version)
    return before


@categories.mutation("DELETE", "/<id:category_id>", scope="catalog:write")
def delete_category(call: Call, category_id: UUID) -> Reply:
    """Delete a category that holds neither categories nor products: 409 says what it holds."""
    before = CategoryRepository(call.session).find(category_id, for_update=True)
    if before is None:
        raise not_found("category")
    call.require_version(before.version)
    service.delete_category(call.work, category_id, before)
    return Reply.empty()
