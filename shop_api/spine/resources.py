"""What kept answers are made from, and which of it an event says has changed.

Belongs here: the names, and the table from events to them. Does not: their versions (versions.py),
nor which answer is made from what (web/cache_policies.py).
"""

from collections.abc import Iterable
from uuid import UUID

# products, variants, images and categories
CATALOGUE = "catalogue"
STOCK = "stock"
# what the lake's runs write beside products
STATISTICS = "statistics"
CUSTOMERS = "customers"
ORDERS = "orders"

RESOURCES = (CATALOGUE, STOCK, STATISTICS, CUSTOMERS, ORDERS)

# By an event's subject. An order and what becomes of it moves stock; not each such move has an
# event of its own, for what can be sold may stay the same.
TOUCHED: dict[str, tuple[str, ...]] = {
    "product": (CATALOGUE, STOCK),
    "category": (CATALOGUE,),
    "inventory": (STOCK,),
    "customer": (CUSTOMERS,),
    "order": (ORDERS, STOCK),
    # the batches of an import say what they write, each in an event of its own
    "job": (),
    "discount": (),
    "tax_rate": (),
    "shipping_rate": (),
    "exchange_rate": (),
    "report": (),
    "session": (),
    "tenant": (),
    "dashboard": (),
    "notification": (),
    "webhook_endpoint": (),
}

# A tenant, and what of its data has changed.
Touch = tuple[UUID, str]


def touched_by(tenant_id: UUID, subject_types: Iterable[str]) -> set[Touch]:
    """What events of these subjects say has changed; of an unknown subject, everything."""
    return {
        (tenant_id, resource)
        for subject_type in set(subject_types)
        for resource in TOUCHED.get(subject_type, RESOURCES)
    }
