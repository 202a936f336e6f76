"""Every metric of the product: name, labels, meaning and unit (the name's last word).

Belongs here: definitions, and the values a label may have where they are few. Does not: counting
(the code that does what is counted), collecting over processes (exposition.py).

Routes are templates, never paths, and tenants are no label: a label's values must be few. Alert
rules and dashboards (deploy/) name only what is defined here; a test holds that.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from shop_api.metrics.kinds import BatchedCounter, BatchedHistogram
from shop_api.metrics.value_files import share_values

share_values()
# no `_created` series beside every other
disable_created_metrics()

REGISTRY = CollectorRegistry()

DURATION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIZE_BUCKETS = (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000)
CONNECTION_BUCKETS = (1, 10, 60, 300, 1_800, 7_200, 43_200)
LAG_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300)
RUN_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1_800)

# requests
api_requests = Counter(
    "api_requests_total",
    "Requests answered, by method, route template and status.",
    ("method", "endpoint", "status"),
    registry=REGISTRY,
)
api_request_duration = BatchedHistogram(
    "api_request_duration_seconds",
    "Seconds from a request's arrival in the gateway to its answer.",
    ("method", "endpoint"),
    buckets=DURATION_BUCKETS,
    registry=REGISTRY,
)
api_request_size = BatchedHistogram(
    "api_request_size_bytes",
    "Bytes of request bodies, as far as they were received.",
    ("method", "endpoint"),
    buckets=SIZE_BUCKETS,
    registry=REGISTRY,
)
api_response_size = BatchedHistogram(
    "api_response_size_bytes",
    "Bytes of response bodies as sent; streams of unknown length are left out.",
    ("method", "endpoint"),
    buckets=SIZE_BUCKETS,
    registry=REGISTRY,
)

# the gateway's caches and limits
response_cache_requests = BatchedCounter(
    "response_cache_requests_total",
    "Reads that may be kept, by the cache asked (layer) and what it had (outcome: hit or miss).",
    ("layer", "outcome"),
    registry=REGISTRY,
)
request_deduplication_hits = BatchedCounter(
    "request_deduplication_hits_total",
    "Requests answered with what another one that ran at the same time got.",
    registry=REGISTRY,
)
request_deduplication_misses = BatchedCounter(
    "request_deduplication_misses_total",
    "Requests that could have shared an answer and ran by themselves, being the first.",
    registry=REGISTRY,
)
request_deduplication_wait = Histogram(
    "request_deduplication_wait_duration_seconds",
    "Seconds that requests waited for the answer of another one.",
    buckets=DURATION_BUCKETS,
    registry=REGISTRY,
)
rate_limit_refusals = Counter(
    "rate_limit_refusals_total",
    "Requests refused with 429, by the policy that refused.",
    ("policy",),
    registry=REGISTRY,
)
rate_limit_unenforced = BatchedCounter(
    "rate_limit_unenforced_total",
    "Requests let through unlimited because Redis was away.",
    registry=REGISTRY,
)
server_busy_refusals = Counter(
    "server_busy_refusals_total",
    "Requests refused with 503 to keep threads and memory for others, by what had no place left.",
    ("place",),
    registry=REGISTRY,
)
# figures, reports, searches and imports; all other reads; a body's arrival; its bytes; the wait for
# an answer that another request makes; the check of a password
PLACES = ("long", "reads", "bodies", "body_bytes", "shared_answer", "sign_in")
for place in PLACES:
    # a refusal that has not happened is a zero, not an absence
    server_busy_refusals.labels(place)

# the lake, as it is asked
analytics_answer_duration = Histogram(
    "analytics_answer_duration_seconds",
    "Seconds that DuckDB took for answers that were not kept.",
    buckets=DURATION_BUCKETS,
    registry=REGISTRY,
)

# storefront events
traffic_events = Counter(
    "traffic_events_total",
    "Storefront events by what became of them: accepted, duplicate (found in the lake already), or"
    " refused and why.",
    ("outcome",),
    registry=REGISTRY,
)
TRAFFIC_OUTCOMES = (
    "accepted",
    "duplicate",
    "too_old",
    "in_future",
    "stream_full",
    "redis_away",
)
for outcome in TRAFFIC_OUTCOMES:
    # a refusal that has not happened is a zero, not an absence
    traffic_events.labels(outcome)
traffic_lag = Gauge(
    "traffic_lag_seconds",
    "Age of the storefront events that wait longest for the lake, as the worker last saw it.",
    multiprocess_mode="livemax",
    registry=REGISTRY,
)

# Postgres
database_pool_in_use = Gauge(
    "database_pool_in_use_connections",
    "Pooled connections that work, by process kind and pool.",
    ("process", "pool"),
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
database_pool_limit = Gauge(
    "database_pool_limit_connections",
    "Connections a pool may have at most, by process kind and pool.",
    ("process", "pool"),
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
database_pool_timeouts = Counter(
    "database_pool_timeouts_total",
    "Waits for a pooled connection that were given up.",
    registry=REGISTRY,
)
# an age, and not the instant: of several processes the worst counts, and those that ask no replica
# would be it. Each renews it every second.
replica_lag = Gauge(
    "replica_lag_seconds",
    "Seconds since the read replica was last known to lack nothing, in the process that knows"
    " least; 0 without a replica.",
    multiprocess_mode="livemax",
    registry=REGISTRY,
)
database_slow_queries = Counter(
    "database_slow_queries_total",
    "Round trips to Postgres slower than SHOP_SLOW_QUERY_SECONDS.",
    registry=REGISTRY,
)

# realtime
websocket_connections_active = Gauge(
    "websocket_connections_active",
    "WebSockets open now.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
websocket_messages_sent = BatchedCounter(
    "websocket_messages_sent_total",
    "Messages sent over WebSockets, by type.",
    ("message_type",),
    registry=REGISTRY,
)
websocket_connection_duration = Histogram(
    "websocket_connection_duration_seconds",
    "Seconds that ended WebSockets were open.",
    buckets=CONNECTION_BUCKETS,
    registry=REGISTRY,
)
websocket_errors = Counter(
    "websocket_errors_total",
    "WebSockets refused, or closed for a fault, by what it was.",
    ("error_type",),
    registry=REGISTRY,
)
sse_connections_active = Gauge(
    "sse_connections_active",
    "Event streams (SSE) open now.",
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
sse_events_sent = BatchedCounter(
    "sse_events_sent_total",
    "Events sent over SSE, with those about the stream itself.",
    registry=REGISTRY,
)
sse_connection_duration = Histogram(
    "sse_connection_duration_seconds",
    "Seconds that ended event streams were open.",
    buckets=CONNECTION_BUCKETS,
    registry=REGISTRY,
)
sse_errors = Counter(
    "sse_errors_total",
    "Event streams refused, or ended for a fault, by what it was.",
    ("error_type",),
    registry=REGISTRY,
)

# the worker
relay_events = Counter(
    "relay_events_total",
    "Events published from Postgres to Redis.",
    registry=REGISTRY,
)
relay_lag = BatchedHistogram(
    "relay_lag_seconds",
    "Seconds from an event's record to its publication.",
    buckets=LAG_BUCKETS,
    registry=REGISTRY,
)
relay_caught_up = Gauge(
    "relay_caught_up_timestamp_seconds",
    "When the relay had last published all that was committed, in Unix seconds.",
    multiprocess_mode="max",
    registry=REGISTRY,
)
pipeline_as_of = Gauge(
    "pipeline_as_of_timestamp_seconds",
    "All commits before this instant are in the published lake, in Unix seconds.",
    multiprocess_mode="max",
    registry=REGISTRY,
)
pipeline_late_after = Gauge(
    "pipeline_late_after_seconds",
    "Age of the published lake from which tenants are told that their figures are late.",
    multiprocess_mode="max",
    registry=REGISTRY,
)
pipeline_runs_ended = Counter(
    "pipeline_runs_total",
    "Runs of pipelines that had something to do, by pipeline and outcome (succeeded, failed).",
    ("pipeline", "outcome"),
    registry=REGISTRY,
)
pipeline_rows = Counter(
    "pipeline_rows_total",
    "Rows written, by pipeline and table.",
    ("pipeline", "table"),
    registry=REGISTRY,
)
pipeline_written_bytes = Counter(
    "pipeline_written_bytes_total",
    "Bytes of the files written, by pipeline.",
    ("pipeline",),
    registry=REGISTRY,
)
pipeline_lag = Histogram(
    "pipeline_lag_seconds",
    "Seconds from the oldest event a run took in, or from what its figures are as of, to its end.",
    ("pipeline",),
    buckets=RUN_BUCKETS,
    registry=REGISTRY,
)
pipeline_run_duration = Histogram(
    "pipeline_run_duration_seconds",
    "Seconds that runs of pipelines took which had something to do.",
    ("pipeline",),
    buckets=RUN_BUCKETS,
    registry=REGISTRY,
)
pipeline_held_tenants = Gauge(
    "pipeline_held_tenants",
    "Tenants whose data is held back from the lake.",
    # of whoever wrote the lake last
    multiprocess_mode="livemostrecent",
    registry=REGISTRY,
)
webhook_attempts = Counter(
    "webhook_attempts_total",
    "Attempts to deliver a webhook, by outcome (delivered, refused, timed_out, unreachable,"
    " forbidden_address).",
    ("outcome",),
    registry=REGISTRY,
)
webhook_attempt_duration = Histogram(
    "webhook_attempt_duration_seconds",
    "Seconds that attempts to deliver a webhook took.",
    buckets=DURATION_BUCKETS,
    registry=REGISTRY,
)
webhook_caught_up = Gauge(
    "webhook_caught_up_timestamp_seconds",
    "When all that was committed had last become deliveries of webhooks, in Unix seconds.",
    multiprocess_mode="max",
    registry=REGISTRY,
)
webhook_pending = Gauge(
    "webhook_pending_deliveries",
    "Webhooks of active endpoints that are due and not delivered yet.",
    multiprocess_mode="livemostrecent",
    registry=REGISTRY,
)
webhook_oldest_pending = Gauge(
    "webhook_oldest_pending_seconds",
    "How long the longest of them is due, and none is that is only tried again later.",
    multiprocess_mode="livemostrecent",
    registry=REGISTRY,
)
job_runs = Counter(
    "job_runs_total",
    "Runs of scheduled jobs, by name and outcome (succeeded, failed).",
    ("name", "outcome"),
    registry=REGISTRY,
)
job_run_duration = Histogram(
    "job_run_duration_seconds",
    "Seconds that runs of scheduled jobs took.",
    ("name",),
    buckets=RUN_BUCKETS,
    registry=REGISTRY,
)
job_late = Gauge(
    "job_late",
    "1 while a scheduled job has not succeeded for longer than it may, else 0.",
    ("name",),
    multiprocess_mode="livemax",
    registry=REGISTRY,
)

# all
process_starts = Counter(
    "process_starts_total",
    "Processes started, by kind (api, realtime, worker).",
    ("process",),
    registry=REGISTRY,
)
processes_running = Gauge(
    "processes_running",
    "Processes that run now, by kind.",
    ("process",),
    multiprocess_mode="livesum",
    registry=REGISTRY,
)
