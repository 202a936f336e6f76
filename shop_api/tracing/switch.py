"""Whether this process traces: the only door to the modules that import OpenTelemetry.

Belongs here: the setting that opens it. Does not: spans. Without `SHOP_OTLP_ENDPOINT` nothing is
imported, wrapped or listened to, so that not tracing costs nothing.
"""

from typing import TYPE_CHECKING, Literal

from shop_api.settings import Settings

if TYPE_CHECKING:
    from shop_api.tracing.tracing import Tracing


def open_tracing(settings: Settings, process: Literal["api", "worker"]) -> "Tracing | None":
    """The tracing of this process; None: nothing is traced."""
    if settings.otlp_endpoint is None:
        return None
    try:
        from shop_api.tracing.tracing import Tracing
    except ModuleNotFoundError as error:
        raise RuntimeError(
            "SHOP_OTLP_ENDPOINT is set and OpenTelemetry is not installed:"
            " pip install 'shop-api[tracing]'"
        ) from error
    return Tracing(settings.otlp_endpoint, settings.trace_sample_ratio, process)
