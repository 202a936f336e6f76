"""API usage: what a tenant's clients asked, hour by hour."""

from analytics.contracts.contract import Column, Contract

API_USAGE = Contract(
    name="api_usage",
    grain="one hour × method × route × status class",
    source="api_usage, the totals of all processes together",
    key=("hour_key", "method", "route", "status_class"),
    file_key="hour_key",
    period_source="hour",
    columns=(
        Column("hour_key", "text", "The hour in UTC, as YYYY-MM-DDTHH."),
        Column("hour", "instant", "Its first instant; a request is of the hour of its answer."),
        Column("method", "text", "HTTP method; `other` for one that is made up."),
        Column(
            "route", "text", "The route's template; `none` when a request was refused before it."
        ),
        Column("status_class", "text", "`2xx` to `5xx`."),
        Column("requests", "integer", "Requests answered.", "requests"),
        Column("refusals", "integer", "Of them, those answered 429.", "requests"),
        Column("cache_hits", "integer", "Of them, those answered from a cache.", "requests"),
        Column("request_bytes", "integer", "Declared sizes of their bodies.", "bytes"),
        Column(
            "response_bytes",
            "integer",
            "Sizes of the answers' bodies as sent; a stream of unknown length counts as nothing.",
            "bytes",
        ),
        Column("duration_microseconds", "integer", "Σ time to the answer.", "microseconds"),
    ),
)
