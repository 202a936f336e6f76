"""Where the days of the tenants' timezones begin, for queries that sort instants into days.

Belongs here: handing the edges of analytics/periods.py to Postgres. Does not: the queries. Postgres
has a time-zone database of its own, so it compares instants with edges and makes no local times.
"""

from datetime import timedelta
from typing import Any

from analytics.periods import day_starts
from pipelines.frames import INSTANT, TEXT
from pipelines.sources.reader import Reader

# The first and last instant that has a day in each timezone.
SPANS = """
SELECT t.timezone, min(seen.first), max(seen.last)
FROM tenants t JOIN (
    SELECT tenant_id, min(least(placed_at, cancelled_at)) AS first,
           max(greatest(placed_at, cancelled_at)) AS last
    FROM orders GROUP BY 1
    UNION ALL
    SELECT tenant_id, min(created_at), max(created_at) FROM refunds GROUP BY 1
) AS seen ON seen.tenant_id = t.id
GROUP BY 1
"""

# A common table expression over the parameters of `read_day_edges`: local days with their instants,
# once for each date of UTC they touch, so that instants find theirs by hashing. A zone's days come
# as one text, for arrays of arrays would have to be of one length.
LOCAL_DAY = """local_day AS MATERIALIZED (
    SELECT edge.timezone, touched.utc_day::date AS utc_day, edge.day, edge.starts_at, edge.ends_at
    FROM (
        SELECT zone.timezone, of_zone.day, of_zone.starts_at,
               lead(of_zone.starts_at) OVER (PARTITION BY zone.timezone ORDER BY of_zone.starts_at)
                   AS ends_at
        FROM unnest(%(timezones)s::text[], %(days)s::text[], %(starts)s::text[])
            AS zone (timezone, days, starts)
        CROSS JOIN LATERAL unnest(zone.days::date[], zone.starts::timestamptz[])
            AS of_zone (day, starts_at)
    ) AS edge
    CROSS JOIN LATERAL generate_series(
        date_trunc('day', edge.starts_at AT TIME ZONE 'UTC'),
        (edge.ends_at - interval '1 microsecond') AT TIME ZONE 'UTC', interval '1 day'
    ) AS touched (utc_day)
)"""

# Local dates are at most a day away from the date in UTC.
MARGIN = timedelta(days=2)


def day_join(name: str, instant: str, timezone: str) -> str:
    """A join with the local day of an instant, under the name `name`."""
    return f"""LEFT JOIN local_day AS {name} ON {name}.timezone = {timezone}
        AND {name}.utc_day = ({instant} AT TIME ZONE 'UTC')::date
        AND {instant} >= {name}.starts_at AND {instant} < {name}.ends_at"""


def read_day_edges(reader: Reader) -> dict[str, Any]:
    """The parameters of LOCAL_DAY, for all that the reader sees."""
    spans = reader.frame(SPANS, {"timezone": TEXT, "first": INSTANT, "last": INSTANT})
    names, days, starts = [], [], []
    for name, first, last in spans.rows():
        edges = day_starts(first.date() - MARGIN, last.date() + MARGIN, name)
        names.append(name)
        days.append(f"{{{','.join(str(day) for day, _ in edges)}}}")
        starts.append(f"{{{','.join(start.isoformat() for _, start in edges)}}}")
    return {"timezones": names, "days": days, "starts": starts}
