"""SQL of the category tree."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, delete, func, insert, literal_column, select, text, update

from shop_api.db.keyset import KeysetPage, PageRequest, Sort, fetch_page
from shop_api.db.tenancy import Repository
from shop_api.db.types import AnyRow
from shop_api.kernel.clock import format_instant
from shop_api.kernel.ids import parse_id
from shop_api.models import MAX_CATEGORY_LEVELS, categories, category_tree_lock

c = categories.alias("c")

CATEGORY_JSON = """
(SELECT row_to_json(r)::text FROM (SELECT c.id, c.parent_id, c.name, c.slug, c.position,
    c.is_active,
    (SELECT count(*) FROM {filed}
     WHERE pc.tenant_id = c.tenant_id AND pc.category_id = c.id) AS product_count,
    c.external_id, json_instant(c.created_at) AS created_at,
    json_instant(c.updated_at) AS updated_at) r)
"""
# What a publishable key sees counts what it may see.
PUBLIC_CATEGORY_JSON = CATEGORY_JSON.replace(
    "{filed}",
    "product_categories pc JOIN products p ON p.tenant_id = pc.tenant_id AND p.id = pc.product_id"
    " AND p.status = 'active'",
)
CATEGORY_JSON = CATEGORY_JSON.replace("{filed}", "product_categories pc")

CATEGORY_SORTS = {
    "created_at": Sort("created_at", c.c.created_at, format_instant, datetime.fromisoformat),
    "name": Sort("name", c.c.name, str, str),
    "position": Sort("position", c.c.position, str, int),
}

# The category asked for, by id or slug, and all below it; UNION stops at a loop.
CATEGORY_TREE = text("""
    WITH RECURSIVE tree AS (
        SELECT id FROM categories
        WHERE tenant_id = :tree_tenant AND (id = :category_id OR slug = :slug)
        UNION
        SELECT child.id FROM categories child JOIN tree ON child.parent_id = tree.id
        WHERE child.tenant_id = :tree_tenant
    ) SELECT id FROM tree
""")

# How many levels there are from the root to a parent, and from a category down.
CATEGORY_LEVELS = text("""
    WITH RECURSIVE above AS (
        SELECT parent_id, 1 AS level FROM categories
        WHERE tenant_id = :tenant_id AND id = :parent_id
        UNION ALL
        SELECT c.parent_id, above.level + 1 FROM categories c JOIN above ON c.id = above.parent_id
        WHERE c.tenant_id = :tenant_id AND above.level <= :most
    ), below AS (
        SELECT id, 1 AS level FROM categories WHERE tenant_id = :tenant_id AND id = :category_id
        UNION ALL
        SELECT c.id, below.level + 1 FROM categories c JOIN below ON c.parent_id = below.id
        WHERE c.tenant_id = :tenant_id AND below.level <= :most
    )
    SELECT coalesce((SELECT max(level) FROM above), 0) AS above,
        coalesce((SELECT max(level) FROM below), 0) AS below
""")

CATEGORY_CONTENTS = text("""
    SELECT (SELECT count(*) FROM product_categories
            WHERE tenant_id = :tenant_id AND category_id = :category_id) AS products,
        (SELECT count(*) FROM categories
         WHERE tenant_id = :tenant_id AND parent_id = :category_id) AS categories,
        ARRAY(SELECT slug FROM categories WHERE tenant_id = :tenant_id AND parent_id = :category_id
              ORDER BY slug LIMIT 5) AS slugs
""")


class CategoryRepository(Repository):
    """The categories of one tenant."""

    def list_page(
        self, filters: dict[str, Any], page: PageRequest, *, is_public: bool = False
    ) -> KeysetPage:
        """A page of categories; `is_public`: active ones only."""
        body = PUBLIC_CATEGORY_JSON if is_public else CATEGORY_JSON
        query = select(page.sort.column, c.c.id, literal_column(body))
        return fetch_page(self.session, self._of_tree(query, filters, is_public), c.c.id, page)

    def count(self, filters: dict[str, Any], *, is_public: bool = False) -> int:
        """How many categories the filters leave."""
        query = self._of_tree(select(func.count()).select_from(c), filters, is_public)
        return self.session.execute(query).scalar_one()

    def _of_tree(self, query: Select[Any], filters: dict[str, Any], is_public: bool) -> Select[Any]:
        query = query.where(c.c.tenant_id == self.tenant_id)
        if is_public:
            query = query.where(c.c.is_active)
        for name in ("parent_id", "slug", "is_active"):
            if name in filters:
                query = query.where(c.c[name] == filters[name])
        if "is_root" in filters:
            is_root = c.c.parent_id.is_(None)
            query = query.where(is_root if filters["is_root"] else ~is_root)
        return query

    def find_public(self, category_id: UUID) -> AnyRow | None:
        """An active category's resource row."""
        return self.session.execute(
            select(c.c.id, c.c.version, literal_column(PUBLIC_CATEGORY_JSON).label("body")).where(
                c.c.tenant_id == self.tenant_id, c.c.id == category_id, c.c.is_active
            )
        ).first()

    def find(self, category_id: UUID, *, for_update: bool = False) -> Row[Any] | None:
        """A category's resource row."""
        query = select(c.c.id, c.c.version, literal_column(CATEGORY_JSON).label("body")).where(
            c.c.tenant_id == self.tenant_id, c.c.id == category_id
        )
        return self.session.execute(query.with_for_update() if for_update else query).first()

    def add(self, values: dict[str, Any]) -> None:
        """Insert a category."""
        self.session.execute(insert(categories).values(tenant_id=self.tenant_id, **values))

    def change(self, category_id: UUID, values: dict[str, Any]) -> None:
        """Update some columns; the version grows."""
        self.session.execute(
            update(categories)
            .where(categories.c.tenant_id == self.tenant_id, categories.c.id == category_id)
            .values(version=categories.c.version + 1, **values)
        )

    def lock_tree(self) -> None:
        """Let one move of a category at a time be checked and made: two at once can make a loop."""
        self.session.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"),
            {"name": category_tree_lock(self.tenant_id)},
        )

    def is_below(self, category_id: UUID, ancestor_id: UUID) -> bool:
        """Whether `category_id` is `ancestor_id` or in the tree below it."""
        return category_id in self.tree_of(str(ancestor_id))

    def tree_of(self, category: str) -> list[UUID]:
        """The ids of the category with this id, or else this slug, and of all below it."""
        category_id = parse_id(category)
        slug = category if category_id is None else None
        parameters = {"tree_tenant": self.tenant_id, "category_id": category_id, "slug": slug}
        return list(self.session.execute(CATEGORY_TREE, parameters).scalars())

    def count_levels(self, category_id: UUID, parent_id: UUID) -> AnyRow:
        """How many levels lie `above`, to the parent, and `below`, from the category down."""
        return self.session.execute(
            CATEGORY_LEVELS,
            {
                "tenant_id": self.tenant_id,
                "category_id": category_id,
                "parent_id": parent_id,
                "most": MAX_CATEGORY_LEVELS,
            },
        ).one()

    def contents_of(self, category_id: UUID) -> AnyRow:
        """How many `categories` (and some of their `slugs`) and `products` a category holds."""
        return self.session.execute(
            CATEGORY_CONTENTS, {"tenant_id": self.tenant_id, "category_id": category_id}
        ).one()

    def delete(self, category_id: UUID) -> None:
        """Delete a category that holds nothing."""
        self.session.execute(
            delete(categories).where(
                categories.c.tenant_id == self.tenant_id, categories.c.id == category_id
            )
        )
