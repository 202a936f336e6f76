"""Edits of many products over HTTP."""

from shop_api.domains.bulk_edits import service
from shop_api.domains.bulk_edits.schemas import (
    BulkDeleteBody,
    BulkQuery,
    BulkResult,
    BulkUpdateBody,
)
from shop_api.web.blueprint import Blueprint, Call
from shop_api.web.reply import Reply

bulk_edits = Blueprint(
    "bulk_edits",
    __name__,
    url_prefix="/api/v1/products",
    description="Change or delete many products in one call; each tells what became of it.",
)


@bulk_edits.mutation(
    "PUT",
    "/bulk-update",
    scope="catalog:write",
    query=BulkQuery,
    body=BulkUpdateBody,
    returns=BulkResult,
    is_conditional=False,
)
def bulk_update_products(call: Call) -> Reply:
    """Change some fields of up to 1000 products.

    Each item has an `id` and what to change, as in the update of one product. The answer tells what
    became of each. A SKU or external_id counts as taken when a product had it before the call.
    With `atomic=true` a product that cannot be changed refuses the whole call.
    """
    is_atomic = call.query.get("atomic", False)
    results = service.update_products(call.work, call.body["products"], is_atomic=is_atomic)
    return _answer(results)


@bulk_edits.mutation(
    "DELETE",
    "/bulk-delete",
    scope="catalog:write",
    query=BulkQuery,
    body=BulkDeleteBody,
    returns=BulkResult,
    is_conditional=False,
)
def bulk_delete_products(call: Call) -> Reply:
    """Delete up to 1000 products that were never sold.

    The answer tells what became of each; those on orders stay. With `atomic=true` a product that
    cannot be deleted refuses the whole call.
    """
    is_atomic = call.query.get("atomic", False)
    return _answer(service.delete_products(call.work, call.body["ids"], is_atomic=is_atomic))


def _answer(results: list[service.ItemResult]) -> Reply:
    failed = sum(result.problem is not None for result in results)
    return Reply.of(
        {"succeeded": len(results) - failed, "failed": failed, "results": results},
    )
