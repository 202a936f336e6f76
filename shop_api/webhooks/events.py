"""Which events an endpoint is sent, and what each looks like there.

Belongs here: the rule of who gets which event, and the SQL of a message. Does not: which events
there are and what scope each needs (spine/event_types.py), sending.
"""

from collections.abc import Collection

from shop_api.realtime.messages import EMAIL_SCOPE
from shop_api.spine.event_data import EVENT_DATA
from shop_api.spine.event_types import EVENT_SCOPES

# Sent to one endpoint when somebody asks for it, whatever it subscribes to.
TEST_EVENT = "webhook_test"
SUBJECT = "webhook_endpoint"
# Figures of the present second are for who looks at them.
UNSENT = frozenset({"dashboard_metrics_updated"})
EVENT_TYPES = tuple(sorted(EVENT_SCOPES.keys() - UNSENT))

# The scopes of a credential that decide what an endpoint it makes is sent.
DECIDING_SCOPES = frozenset(scope for scope in EVENT_SCOPES.values() if scope) | {EMAIL_SCOPE}

# Of an event `e`, as text, for a receiver whose scopes are an expression: the bytes that are signed
# and sent. Made anew for every attempt, for events hold no personal data: once a customer is
# erased, nothing that is still to be sent names her.
MESSAGE = f"""
('{{"type":' || to_json(e.type)::text
 || ',"timestamp":"' || json_instant(e.recorded_at)
 || '","data":' || (CASE WHEN '{EMAIL_SCOPE}' = ANY(:scopes) THEN {EVENT_DATA}
        ELSE e.data END)::text
 || ',"id":' || e.sequence || '}}')
"""


def is_allowed(event_type: str, scopes: Collection[str]) -> bool:
    """Whether these scopes open an event of this type."""
    scope = EVENT_SCOPES[event_type]
    return scope is None or scope in scopes


def is_sent(event_type: str, event_types: Collection[str] | None, scopes: Collection[str]) -> bool:
    """Whether an endpoint with this filter (None: all) and these scopes gets events of a type."""
    if event_type not in EVENT_TYPES or not is_allowed(event_type, scopes):
        return False
    return event_types is None or event_type in event_types


def message_sql(scopes: str) -> str:
    """The message of an event `e`, for whoever has the scopes of an SQL expression."""
    return MESSAGE.replace(":scopes", scopes)
