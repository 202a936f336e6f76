"""Inventory movements: the ledger of stock, row by row. Nothing of it ever changes.

Which product a variant is of, and its cost, say the dimensions; a variant that was deleted since is
in neither `dim_variants` nor `stock_levels`, and its movements stay.
"""

from analytics.contracts.contract import Column, Contract

INVENTORY_MOVEMENTS = Contract(
    name="inventory_movements",
    grain="one row of the ledger: a variant at a location",
    source="stock_movements",
    key=("movement_key",),
    file_key="movement_key",
    period_source="moved_at",
    columns=(
        Column(
            "movement_key",
            "text",
            "When it was, as YYYY-MM-DDTHH:MM:SS.ffffff in UTC, a slash and the movement's id: keys"
            " are in the order of time.",
        ),
        Column("variant_id", "text", "The variant."),
        Column("location_id", "text", "The location, which may be deleted since."),
        Column("quantity_delta", "integer", "By how much what lies there changed.", "items"),
        Column(
            "reserved_delta",
            "integer",
            "By how much what of it is promised to open orders changed.",
            "items",
        ),
        Column(
            "reason",
            "text",
            "reserved, released, sold, returned, adjusted, imported, correction, recount, received,"
            " damaged or lost.",
        ),
        Column("order_id", "text", "The order it was for, if any.", is_nullable=True),
        Column("moved_at", "instant", "When it was."),
    ),
)
