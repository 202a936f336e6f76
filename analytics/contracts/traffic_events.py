"""Traffic: what visitors did in a storefront, event by event."""

from analytics.contracts.contract import Column, Contract

TRAFFIC_EVENTS = Contract(
    name="traffic_events",
    grain="one event of a storefront, once however often it was sent",
    source="POST /track, through a Redis stream; Postgres has none of it",
    key=("event_id",),
    file_key="hour_key",
    period_source="occurred_at",
    is_always_by_month=True,
    is_from_postgres=False,
    columns=(
        Column("event_id", "text", "The UUID that the storefront gave it."),
        Column("hour_key", "text", "The hour it happened in, in UTC, as YYYY-MM-DDTHH."),
        Column("occurred_at", "instant", "When it happened, by the storefront's clock."),
        Column("received_at", "instant", "When it was taken in; at most 48 hours later."),
        Column(
            "kind",
            "text",
            "`session`, `page_view`, `product_view`, `add_to_cart`, `checkout_started` or"
            " `purchase`.",
        ),
        Column("visitor_id", "text", "Opaque: the storefront's name for a browser."),
        Column("session_id", "text", "Opaque: one visit of the visitor."),
        Column("is_bot", "boolean", "Whether its User-Agent is a known crawler's, or missing."),
        Column("path", "text", "Of the page's URL, without its query.", is_nullable=True),
        Column("referrer_host", "text", "The host the visitor came from.", is_nullable=True),
        Column("utm_source", "text", "As the landing page's URL has it.", is_nullable=True),
        Column("utm_medium", "text", "As the landing page's URL has it.", is_nullable=True),
        Column("utm_campaign", "text", "As the landing page's URL has it.", is_nullable=True),
        Column("device", "text", "`desktop`, `mobile`, `tablet` or `other`.", is_nullable=True),
        Column("product_id", "text", "Of the product it is about.", is_nullable=True),
        Column("variant_id", "text", "Of the variant it is about.", is_nullable=True),
        Column("order_id", "text", "Of a purchase.", is_nullable=True),
    ),
)
