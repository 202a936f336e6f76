"""Every setting: name, type, default, unit and meaning. Read once at start, from the environment.

Belongs here: values an operator may change. Does not: constants of the wire contract.
Environment variables are `SHOP_` + the upper-case name (besides `DATABASE_URL`, `DATABASE_READ_URL`
and `REDIS_URL`), or a line in `.env`. `docs/guides/settings.md` is made from this file.
"""

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shop_api.setting_forms import (
    CollectorUrl,
    DatabaseUrl,
    EndpointUrl,
    LakeUrl,
    Memory,
    Network,
    RedisUrl,
)


class Settings(BaseSettings):
    """The settings of one process."""

    model_config = SettingsConfigDict(
        env_prefix="SHOP_", env_file=".env", extra="ignore", frozen=True, populate_by_name=True
    )

    # stores
    database_url: DatabaseUrl | None = Field(
        None,
        validation_alias=AliasChoices("DATABASE_URL", "database_url"),
        description="PostgreSQL ≥ 15, as the application role. Unset: an embedded server.",
    )
    database_read_url: DatabaseUrl | None = Field(
        None,
        validation_alias=AliasChoices("DATABASE_READ_URL", "database_read_url"),
        description="A read replica for GETs. Unset: reads use DATABASE_URL.",
    )
    replica_lag_seconds: float = Field(
        10.0,
        gt=0,
        description="A replica further behind than this serves no reads until it has caught up.",
    )
    redis_url: RedisUrl | None = Field(
        None,
        validation_alias=AliasChoices("REDIS_URL", "redis_url"),
        description="Redis ≥ 6.2. Unset: an embedded server.",
    )
    redis_timeout_seconds: float = Field(
        0.15,
        gt=0,
        le=10,
        description="What a request waits for Redis before it goes on without it.",
    )
    migrator_database_url: DatabaseUrl | None = Field(
        None, description="The same database as the migrator role, which owns the tables."
    )
    exporter_database_url: DatabaseUrl | None = Field(
        None, description="The same database as the exporter role, which reads all tenants."
    )
    data_dir: Path = Field(
        Path("var"), description="Folder for the embedded stores, the lake and generated secrets."
    )
    lake_url: LakeUrl | None = Field(
        None,
        description="Folder of the lake, or s3://bucket/path. Unset: `lake` in the data folder.",
    )
    pool_preset: Literal["low", "default", "high"] = Field(
        "default", description="Database pool per process: low 10/2, default 25/5, high 100/20."
    )
    pool_timeout_seconds: float = Field(
        5.0, description="Longest wait for a pooled connection before 503."
    )

    # processes
    host: str = Field("127.0.0.1", description="Address the api and realtime processes listen on.")
    api_port: int = Field(8000, ge=1, le=65535, description="Port of the REST API.")
    realtime_port: int = Field(8001, ge=1, le=65535, description="Port of WebSocket and SSE.")
    worker_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Port of the workers' /metrics and /health/live, in the clear. Unset: none.",
    )
    api_workers: int = Field(2, ge=1, le=256, description="API worker processes.")
    api_threads: int = Field(8, ge=1, le=256, description="Threads per API worker.")
    api_connections: int = Field(
        4_000,
        ge=1,
        description="Most open connections of one API worker, idle ones included; others wait to be"
        " accepted.",
    )
    long_request_threads: int | None = Field(
        None,
        ge=1,
        description="Threads of an API worker that figures, reports, searches and imports may hold."
        " Unset: half.",
    )
    realtime_workers: int = Field(1, ge=1, le=64, description="Realtime processes.")
    worker_processes: int = Field(1, ge=1, le=64, description="Worker processes.")
    realtime_connections: int = Field(
        12_000, ge=1, description="Most open connections of one realtime process."
    )
    shutdown_grace_seconds: float = Field(
        8.0, ge=0, description="How long running requests may finish after SIGTERM."
    )

    # security
    secret_key: str | None = Field(
        None,
        min_length=32,
        description="Signs access tokens and cursors. Unset: made once in the data folder.",
    )
    accepted_secret_keys: list[Annotated[str, Field(min_length=32)]] = Field(
        [],
        description="Secret keys believed beside SHOP_SECRET_KEY while it is rotated; they sign"
        " nothing.",
    )
    platform_key: str | None = Field(
        None,
        min_length=32,
        description="Bearer for GET, POST and PATCH of /tenants and the details of /health/ready."
        " Unset: made once in the data folder, as the file `platform_key`.",
    )
    metrics_key: str | None = Field(
        None,
        min_length=32,
        description="Bearer for GET /metrics. Unset: made once in the data folder.",
    )
    access_token_seconds: int = Field(900, ge=1, description="Life of an access token.")
    refresh_token_seconds: int = Field(2_592_000, ge=1, description="Life of a refresh token.")
    ticket_seconds: int = Field(60, ge=1, description="Life of a realtime ticket.")
    sign_in_account_limit: int = Field(
        20, ge=1, description="Failed sign-ins of one e-mail address within the window before 429."
    )
    sign_in_address_limit: int = Field(
        200, ge=1, description="Failed sign-ins from one network address within the window."
    )
    sign_in_window_seconds: int = Field(
        900, ge=1, description="How long failed sign-ins are counted."
    )
    trusted_proxies: int = Field(
        0,
        ge=0,
        description="Proxies before this server that add to X-Forwarded-For; 0: none is believed.",
    )
    signature_skew_seconds: int = Field(
        300,
        ge=1,
        le=3600,
        description="How far the time of a signed request (RFC 9421) may be from this server's.",
    )
    tls_certificate: Path | None = Field(
        None,
        description="PEM file of the certificate, with its chain, that the api and realtime"
        " processes speak TLS with. Unset: plain HTTP, for a proxy on the same machine.",
    )
    tls_key: Path | None = Field(
        None, validate_default=True, description="PEM file of the certificate's private key."
    )
    tls_client_ca: Path | None = Field(
        None,
        description="PEM file of the authority that signs clients' certificates: who shows none is"
        " not served at all.",
    )
    has_client_certificates: bool = Field(
        False,
        description="The nearest trusted proxy checks clients' certificates, tells them by"
        " Client-Cert (RFC 9440), and removes that header from what clients send.",
    )
    cors_origins: list[str] = Field(
        [], description="Browser origins allowed on every tenant, as a JSON list."
    )
    credential_cache_seconds: float = Field(
        1.0, ge=0, description="How long a process trusts a checked credential."
    )

    # bounds
    rate_limit_address: int = Field(
        600,
        ge=1,
        description="Requests a minute of one network address (IPv6: of a /64) without a valid"
        " credential.",
    )
    rate_limit_user_ratio: float = Field(
        1.0,
        gt=0,
        le=1,
        description="What one user or API key may take of its tenant's requests a minute.",
    )
    body_limit_bytes: int = Field(10_000_000, ge=1, description="Largest request body.")
    import_body_limit_bytes: int = Field(
        100_000_000, ge=1, description="Largest request body of an import."
    )
    body_memory_bytes: int = Field(
        30_000_000,
        ge=0,
        description="Bodies larger than 64 KB that an API worker holds at once, together; a single"
        " larger one is taken when there is no other, and of one tenant two thirds.",
    )
    body_piece_seconds: float = Field(
        10.0,
        gt=0,
        description="Longest that 64 KB of a body larger than that may take to arrive before 408.",
    )
    query_parameter_limit: int = Field(50, ge=1, description="Most query parameters.")
    deadline_seconds: float = Field(30.0, gt=0, description="Longest a request may run.")
    idempotency_seconds: int = Field(86_400, ge=1, description="How long a key is kept.")
    compression_min_bytes: int = Field(1024, ge=0, description="Smallest body compressed.")
    cache_bytes: int = Field(67_108_864, ge=0, description="Answers kept in one API worker.")
    cache_keeps_first: bool = Field(
        False,
        description="Keep products and lists of them from the first time they are asked for,"
        " which makes that time dearer, and not from the second.",
    )
    shared_answer_bytes: int = Field(
        1_048_576, ge=0, description="Largest answer kept in Redis, compressed; 0: none is."
    )
    shared_wait_seconds: float = Field(
        30.0, gt=0, description="Longest wait for the answer of another request before 408."
    )
    shared_waiting_limit: int | None = Field(
        None,
        ge=0,
        description="Threads of an API worker that may wait so for over a second; others get 503."
        " Unset: half of `api_threads`.",
    )
    document_bytes: int = Field(
        33_554_432, ge=0, description="Products' JSON that one API worker keeps."
    )

    # usage
    usage_write_seconds: float = Field(
        60.0,
        gt=0,
        description="How often an API worker writes what its tenants asked; what it counted since"
        " is lost when it is killed.",
    )
    usage_retention_days: int = Field(
        400,
        ge=7,
        description="How long Postgres keeps usage. The lake keeps what it took, until it is made"
        " anew.",
    )

    # traffic
    traffic_event_limit: int = Field(
        500_000,
        ge=1_000,
        description="Storefront events that wait in Redis for the lake at most, of one tenant half;"
        " then POST /track answers 503. Each takes some 150 bytes.",
    )
    traffic_retention_days: int = Field(
        400, ge=7, description="How long the lake keeps storefront events; longer is gone for good."
    )

    # orders
    order_hold_seconds: int = Field(
        1800,
        ge=1,
        description="How long an order that nobody pays holds its stock before it is cancelled.",
    )

    # lake
    lake_interval_seconds: float = Field(
        2.0, gt=0, description="How often the export looks for changed rows."
    )
    lake_endpoint_url: EndpointUrl | None = Field(
        None, description="Server of the lake's bucket, such as http://localhost:9000. Unset: AWS."
    )
    lake_region: str | None = Field(None, description="Region of the lake's bucket.")
    lake_access_key_id: str | None = Field(
        None,
        description="Name of the key to the lake's bucket. Unset: as AWS' own tools look for one.",
    )
    lake_secret_access_key: str | None = Field(
        None, repr=False, description="The key to the lake's bucket."
    )
    lake_mirror_bytes: int = Field(
        4 * 1024**3,
        ge=0,
        description="Files of a lake in a bucket that this machine keeps on its disk, in"
        " `lake_mirror` of the data folder; what is read at the moment may be more.",
    )
    lake_retention_hours: int = Field(
        1,
        ge=0,
        description="How long the lake keeps files that were replaced. Who holds a snapshot open"
        " keeps its files for longer.",
    )
    lake_late_after_seconds: float = Field(
        300.0, gt=0, description="Age of figures from which tenants are told that they are late."
    )
    lake_month_rows: int = Field(
        200_000, ge=1, description="Orders a year from which a tenant is partitioned by month."
    )
    duckdb_memory: Memory = Field(
        "128MB", description="Memory limit of DuckDB per API worker; larger queries spill to disk."
    )
    duckdb_threads: int = Field(2, ge=1, description="Threads of DuckDB per API worker.")
    report_hour: int = Field(
        6, ge=0, le=23, description="Hour, in the tenant's timezone, of the daily sales report."
    )

    # realtime
    websocket_queue_length: int = Field(256, ge=1, description="Messages queued per WebSocket.")
    websocket_ping_seconds: float = Field(54.0, gt=0, description="Interval of server pings.")
    websocket_idle_seconds: float = Field(60.0, gt=0, description="Silence that closes a socket.")
    sse_queue_length: int = Field(100, ge=1, description="Messages queued per event stream.")
    sse_comment_seconds: float = Field(30.0, gt=0, description="Interval of a stream's comments.")
    slow_client_seconds: float = Field(1.0, gt=0, description="How long a full queue is borne.")
    event_retention_seconds: int = Field(
        86_400, ge=1, description="How far back a client may resume."
    )

    # webhooks
    webhook_allowed_networks: list[Network] = Field(
        [],
        description="Networks that webhooks may be sent to, by http too, though they are not public"
        ' ones, such as ["10.1.0.0/16"].',
    )
    webhook_retention_days: int = Field(
        30, ge=2, description="How long deliveries of webhooks and their attempts are kept."
    )

    # logs
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least level logged."
    )
    slow_request_seconds: float = Field(0.1, gt=0, description="Requests slower are marked slow.")
    slow_query_seconds: float = Field(
        0.1, gt=0, description="Round trips to Postgres slower are logged, with the statement."
    )

    # traces
    otlp_endpoint: CollectorUrl | None = Field(
        None,
        description="Base URL of the OpenTelemetry collector that is sent spans (OTLP over HTTP),"
        " such as http://localhost:4318. Unset: nothing is traced.",
    )
    trace_sample_ratio: float = Field(
        1.0,
        ge=0,
        le=1,
        description="Share of requests and jobs traced. A request with a `traceparent` follows its"
        " sampled flag.",
    )

    @field_validator("tls_key")
    @classmethod
    def _tls_is_whole(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if (value is None) != (info.data.get("tls_certificate") is None):
            raise ValueError("set SHOP_TLS_CERTIFICATE and SHOP_TLS_KEY, or neither")
        return value

    @field_validator("tls_client_ca")
    @classmethod
    def _client_ca_needs_tls(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("tls_key") is None:
            raise ValueError("needs SHOP_TLS_CERTIFICATE and SHOP_TLS_KEY")
        return value

    @field_validator("has_client_certificates")
    @classmethod
    def _certificates_come_from_a_proxy(cls, value: bool, info: ValidationInfo) -> bool:
        if value and not info.data.get("trusted_proxies"):
            raise ValueError("needs SHOP_TRUSTED_PROXIES of 1 or more")
        return value

    @cached_property
    def lake_location(self) -> str:
        """The lake's root: `lake_url`, or the `lake` folder of the data folder."""
        return self.lake_url or str((self.data_dir / "lake").resolve())

    @cached_property
    def pool_size(self) -> tuple[int, int]:
        """Connections kept and connections beyond them, per process."""
        return {"low": (10, 2), "default": (25, 5), "high": (100, 20)}[self.pool_preset]
