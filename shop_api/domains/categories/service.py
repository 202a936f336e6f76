"""Changing the category tree; knows no HTTP."""

from typing import Any
from uuid import UUID

from sqlalchemy import Row

from shop_api.domains.categories import errors
from shop_api.domains.categories.repository import CategoryRepository
from shop_api.kernel.errors import not_found
from shop_api.kernel.ids import new_id
from shop_api.models import MAX_CATEGORY_LEVELS
from shop_api.spine.unit_of_work import UnitOfWork

# What a category is without what its body leaves out.
DEFAULT_CATEGORY: dict[str, Any] = {
    "parent_id": None,
    "position": 0,
    "is_active": True,
    "external_id": None,
}


def create_category(work: UnitOfWork, body: dict[str, Any]) -> Row[Any]:
    """A category; its resource row. Raises `category_too_deep`."""
    categories = work.repository(CategoryRepository)
    category_id = new_id(work.now)
    if body.get("parent_id") is not None:
        # whoever moves its parent deeper waits, or is waited for
        categories.lock_tree()
        _check_depth(categories, category_id, body["parent_id"])
    categories.add({"id": category_id, **body, "created_at": work.now, "updated_at": work.now})
    work.append("category_created", "category", category_id, {"category_id": str(category_id)})
    row = _category(categories, category_id)
    work.audit("category_created", "category", category_id, None, row.body)
    return row


def change_category(
    work: UnitOfWork, category_id: UUID, before: Row[Any], body: dict[str, Any]
) -> Row[Any]:
    """Change what `body` names; a category cannot move below itself.

    Who sends `parent_id` holds the tree (`lock_tree`).
    """
    if not body:
        return before
    categories = work.repository(CategoryRepository)
    parent_id = body.get("parent_id")
    if parent_id is not None:
        if categories.is_below(parent_id, category_id):
            raise errors.CATEGORY_LOOP
        _check_depth(categories, category_id, parent_id)
    categories.change(category_id, {**body, "updated_at": work.now})
    work.append("category_updated", "category", category_id, {"category_id": str(category_id)})
    row = _category(categories, category_id)
    work.audit("category_updated", "category", category_id, before.body, row.body)
    return row


def replace_category(
    work: UnitOfWork, category_id: UUID, before: Row[Any], body: dict[str, Any]
) -> Row[Any]:
    """The category as `body` says; what it leaves out is as in a new one."""
    return change_category(work, category_id, before, {**DEFAULT_CATEGORY, **body})


def _check_depth(categories: CategoryRepository, category_id: UUID, parent_id: UUID) -> None:
    """Refuse a parent below which the category, with all it holds, would lie too deep."""
    levels = categories.count_levels(category_id, parent_id)
    # a new one has none below it, itself not counted
    if levels.above + max(levels.below, 1) > MAX_CATEGORY_LEVELS:
        raise errors.CATEGORY_TOO_DEEP


def delete_category(work: UnitOfWork, category_id: UUID, before: Row[Any]) -> None:
    """Delete a category that holds nothing; refused with `category_in_use` otherwise.

    The row is locked for update, so neither child nor product can come in between.
    """
    categories = work.repository(CategoryRepository)
    contents = categories.contents_of(category_id)
    if contents.categories or contents.products:
        raise errors.category_in_use(contents)
    categories.delete(category_id)
    work.append("category_deleted", "category", category_id, {"category_id": str(category_id)})
    work.audit("category_deleted", "category", category_id, before.body, None)


def _category(categories: CategoryRepository, category_id: UUID) -> Row[Any]:
    row = categories.find(category_id)
    if row is None:
        raise not_found("category")
    return row
