"""What the category tree refuses."""

from shop_api.db.types import AnyRow
from shop_api.kernel.errors import DomainError, conflict, invalid
from shop_api.models import MAX_CATEGORY_LEVELS

CONSTRAINTS = {
    "uq_categories_tenant_id_slug": conflict(
        "slug_taken", "A category with this slug exists already.", "/slug"
    ),
    "uq_categories_tenant_id_external_id": conflict(
        "external_id_taken", "A category with this external_id exists already.", "/external_id"
    ),
    "fk_categories_tenant_id_parent_id": invalid(
        "category_not_found", "The parent category does not exist.", "/parent_id"
    ),
}

CATEGORY_LOOP = invalid(
    "category_loop",
    "A category cannot be below itself: choose a parent that is not among those below it.",
    "/parent_id",
)
CATEGORY_TOO_DEEP = invalid(
    "category_too_deep",
    f"Categories lie at most {MAX_CATEGORY_LEVELS} levels deep: choose a parent further up.",
    "/parent_id",
)


def category_in_use(contents: AnyRow) -> DomainError:
    """A category that holds something: `categories`, some `slugs` of them, `products`."""
    held = []
    if contents.categories:
        more = ", …" if contents.categories > len(contents.slugs) else ""
        noun = "category" if contents.categories == 1 else "categories"
        held.append(f"{contents.categories} {noun} ({', '.join(contents.slugs)}{more})")
    if contents.products:
        held.append(f"{contents.products} product{'' if contents.products == 1 else 's'}")
    return conflict(
        "category_in_use",
        f"The category holds {' and '.join(held)}. Move or delete what it holds first.",
    )
