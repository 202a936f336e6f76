"""The processes of the product: the command line and environment of each.

Belongs here: what is started. Does not: watching over it (supervisor.py).
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shop_api.metrics.folder import FOLDER_VARIABLE, shared_folder
from shop_api.settings import Settings

KINDS = ("api", "realtime", "worker")


@dataclass(frozen=True)
class ChildSpec:
    """A process to keep running; it is ready when `health_url` answers 200, or at once."""

    name: str
    command: Sequence[str]
    health_url: str | None = None


def product_children(settings: Settings, kinds: Sequence[str] = KINDS) -> list[ChildSpec]:
    """The processes of these kinds, in the order they are started."""
    found: list[ChildSpec] = []
    if "api" in kinds:
        found.append(
            ChildSpec(
                "api",
                [sys.executable, "-m", "shop_api.stack.api_server"],
                live_url(settings, settings.api_port),
            )
        )
    if "realtime" in kinds:
        config = "python:shop_api.realtime.gunicorn_config"
        found.append(
            ChildSpec(
                "realtime",
                [sys.executable, "-m", "gunicorn", "-c", config, "shop_api.realtime.wsgi:app"],
                live_url(settings, settings.realtime_port),
            )
        )
    if "worker" in kinds:
        count = settings.worker_processes
        for number in range(1, count + 1):
            name = "worker" if count == 1 else f"worker-{number}"
            found.append(ChildSpec(name, [sys.executable, "-m", "shop_api.worker"]))
    return found


def authority(host: str, port: int) -> str:
    """Host and port as they stand in a URL: an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def base_url(settings: Settings, port: int, scheme: str = "http") -> str:
    """Where clients on this machine find the process of a port; `scheme` without the s of TLS."""
    secure = "s" if settings.tls_certificate else ""
    return f"{scheme}{secure}://{authority(settings.host, port)}"


def live_url(settings: Settings, port: int) -> str:
    """Where the process of a port is asked, from this machine, whether it lives.

    `tls://`: it answers only who shows a certificate, which this machine has none of.
    """
    host = settings.host
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 (asked, not bound)
        host = "127.0.0.1"
    if settings.tls_client_ca:
        return f"tls://{authority(host, port)}"
    scheme = "https" if settings.tls_certificate else "http"
    return f"{scheme}://{authority(host, port)}/health/live"


# What a child must see of settings that were given as options, made, or found out.
_EXPORTED = (
    "data_dir",
    "migrator_database_url",
    "exporter_database_url",
    "secret_key",
    "platform_key",
    "metrics_key",
    "host",
    "api_port",
    "realtime_port",
    "api_workers",
    "api_threads",
    "realtime_workers",
    "shutdown_grace_seconds",
)


def metrics_folder(settings: Settings) -> Path:
    """Where the processes of this machine count: the folder the environment names, or our own."""
    return shared_folder() or settings.data_dir / "metrics"


def child_environment(settings: Settings) -> dict[str, str]:
    """This process's environment with the settings as they are now."""
    values = {f"SHOP_{name.upper()}": getattr(settings, name) for name in _EXPORTED}
    values["DATABASE_URL"] = settings.database_url
    values["DATABASE_READ_URL"] = settings.database_read_url
    values["REDIS_URL"] = settings.redis_url
    if settings.accepted_secret_keys:
        values["SHOP_ACCEPTED_SECRET_KEYS"] = json.dumps(settings.accepted_secret_keys)
    values[FOLDER_VARIABLE] = metrics_folder(settings)
    given = {name: str(value) for name, value in values.items() if value is not None}
    return {**os.environ, **given}
