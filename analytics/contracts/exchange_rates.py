"""Exchange rates: what other currencies were worth in the shop's, from when on.

An order keeps the rate it was placed at beside its amounts: this table says what there was to keep.
"""

from analytics.contracts.contract import Column, Contract

EXCHANGE_RATES = Contract(
    name="exchange_rates",
    grain="one rate of a currency, from an instant on",
    source="exchange_rates",
    key=("exchange_rate_id",),
    file_key="exchange_rate_id",
    period_source=None,
    columns=(
        Column("exchange_rate_id", "text", "The rate."),
        Column("currency", "text", "ISO 4217 currency that it is the rate of."),
        Column("rate", "rate", "Units of the shop's currency for one of currency."),
        Column("effective_at", "instant", "From when on it holds, until the currency's next one."),
        Column("created_at", "instant", "When it was told."),
    ),
)
