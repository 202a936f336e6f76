"""How long each class of reads is kept, and what its answers are made from.

Belongs here: the policies, and the parameter that passes them by. Does not: keeping (gateway), and
which read has which policy (its endpoint says `cache=`). A resource that is missing here makes
stale answers: tests/api/test_kept_answers.py writes to everything each read shows.
"""

from marshmallow import Schema

from shop_api.kernel.cache_policy import CachePolicy, Ingredient
from shop_api.spine.resources import CATALOGUE, CUSTOMERS, ORDERS, STATISTICS, STOCK
from shop_api.web.fields import FlagParameter

# A product shows its stock and, beside it, what it sold.
PRODUCTS = CachePolicy(300, (Ingredient(CATALOGUE), Ingredient(STOCK), Ingredient(STATISTICS)))

# Each kind is searched by those who may read it.
SEARCH = CachePolicy(
    900,
    (
        Ingredient(CATALOGUE, "catalog:read"),
        Ingredient(CUSTOMERS, "customers:read"),
        Ingredient(ORDERS, "orders:read"),
    ),
    is_shared=True,
)

# Until the tenant's figures in the lake are others, or the tenant's day ends.
FIGURES = CachePolicy(600, follows_lake=True, is_shared=True)


class RealTimeQuery(Schema):
    """Of every read that may be kept."""

    real_time = FlagParameter(
        metadata={
            "description": "`true`: make the answer now, whatever is kept; neither take nor keep"
            " one. For checks: a kept answer already has what you wrote."
        }
    )
