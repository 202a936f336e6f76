"""How fresh a tenant's figures are, in words for the merchant; knows no HTTP."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row

from shop_api.kernel.clock import format_instant
from shop_api.spine.held_data import HELD, explain

EMPTY, FRESH, LATE, HELD_BACK = "empty", "fresh", "late", "held_back"
MESSAGES = {
    EMPTY: "Nothing is published yet. Your figures are there within moments of the first sale.",
    FRESH: "Your figures are up to date.",
    LATE: "Your figures are late. Nothing is lost, your shop goes on, and they catch up by"
    " themselves.",
}


def describe(
    as_of: datetime | None, held: Row[Any] | None, now: datetime, late_after: timedelta
) -> dict[str, Any]:
    """A tenant's state of the lake. Of one held back, figures are as of when that began."""
    if held is not None:
        as_of = held.as_of
    age = None if as_of is None else max(timedelta(0), now - as_of)
    is_late = age is not None and age > late_after
    if held is not None:
        state = HELD_BACK
        why = explain(held.cause, held.table_name, held.rule, held.row_count)
        message = f"{why} {HELD}"
    else:
        state = EMPTY if as_of is None else LATE if is_late else FRESH
        message = MESSAGES[state]
    return {
        "state": state,
        "message": message,
        "as_of": _instant(as_of),
        "lag_seconds": None if age is None else round(age.total_seconds(), 6),
        "is_late": is_late,
        "late_since": _instant(as_of + late_after if is_late and as_of is not None else None),
        "held": None
        if held is None
        else {
            "since": _instant(held.created_at),
            "retry_at": _instant(held.retry_at),
            "attempts": held.attempt,
            "cause": held.cause,
            "table": held.table_name,
            "rule": held.rule,
            "row_count": held.row_count,
        },
    }


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else format_instant(instant)
