"""Stock as it is now: what lies where.

Stock at the end of a day is this less what moved since (docs/adr/0033).
"""

from analytics.contracts.contract import Column, Contract

STOCK_LEVELS = Contract(
    name="stock_levels",
    grain="variant × location where something lies or is reserved",
    source="stock_levels",
    key=("variant_id", "location_id"),
    file_key="variant_id",
    period_source=None,
    columns=(
        Column("variant_id", "text", "The variant."),
        Column("location_id", "text", "The location."),
        Column(
            "quantity",
            "integer",
            "What lies there; below zero where more was handed over than was there.",
            "items",
        ),
        Column("reserved", "integer", "What of it is promised to open orders.", "items"),
    ),
)
