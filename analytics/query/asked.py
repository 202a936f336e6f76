"""What a question asks: metrics, dimensions, filters and order, checked against the definitions.

Belongs here: the values of a question and what refuses them. Does not: the period and the rest that
every question has (dashboard/question.py), and SQL (statement.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime

from analytics.metrics.definitions import METRICS, Metric
from analytics.metrics.dimensions import (
    ASKABLE,
    CUSTOMERS,
    DIMENSIONS,
    PAYMENTS,
    TRAFFIC,
    Dimension,
    Grain,
    dimensions_of,
)
from analytics.periods import BadParameter

# A dimension's value; None is that there is none.
Value = str | int | None


@dataclass(frozen=True, slots=True)
class Filter:
    """Only what has, or only what has not, one of these values of a dimension."""

    dimension: str
    values: tuple[Value, ...]
    is_in: bool = True


# Of the metrics that are not of sales: what they are counted of.
GRAINS: dict[str, Grain] = {PAYMENTS: "payment", CUSTOMERS: "customer", TRAFFIC: "session"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question's own part. Without a `sort`, by time or what else is read off the clock, else by
    the first metric, largest first."""

    metrics: tuple[str, ...]
    dimensions: tuple[str, ...] = ()
    filters: tuple[Filter, ...] = ()
    sort: str | None = None
    # None: a metric from its largest figure on, a dimension from its first value on
    is_descending: bool | None = None
    limit: int = 20
    offset: int = 0
    # of rows: only what counts before this instant; None: until the period ends
    until: datetime | None = None
    # as of when customers are in segments; None: when the period ends, or now while it runs
    segmented_at: datetime | None = None

    @property
    def known_metrics(self) -> list[Metric]:
        return [METRICS[name] for name in self.metrics]

    @property
    def known_dimensions(self) -> list[Dimension]:
        return [DIMENSIONS[name] for name in self.dimensions]

    @property
    def read(self) -> list[Dimension]:
        """The dimensions it reads, to cut by or to filter by."""
        names = dict.fromkeys([*self.dimensions, *(f.dimension for f in self.filters)])
        return [DIMENSIONS[name] for name in names]

    def all_filters(self, channel: str | None) -> tuple[Filter, ...]:
        """Its filters, and the channel that is asked for beside them."""
        own = () if channel is None else (Filter("channel", (channel,)),)
        return self.filters + own

    @property
    def grain(self) -> Grain:
        """The coarsest facts that can answer it."""
        own = GRAINS.get(METRICS[self.metrics[0]].source)
        if own is not None:
            return own
        return "line" if any(d.grain == "line" for d in self.read) else "order"

    @property
    def is_of_time_alone(self) -> bool:
        """Whether it is a series, in which each point in time has its place."""
        return len(self.dimensions) == 1 and DIMENSIONS[self.dimensions[0]].reads_clock

    def order(self) -> tuple[str, bool]:
        """By which metric or dimension, and whether from the largest on."""
        default = self.metrics[0]
        on_the_clock = [
            dimension.name for dimension in self.known_dimensions if dimension.reads_clock
        ]
        if on_the_clock:
            default = "time" if "time" in on_the_clock else on_the_clock[0]
        sort = self.sort or default
        is_descending = self.is_descending
        return sort, sort in self.metrics if is_descending is None else is_descending

    def without_dimensions(self) -> "Asked":
        """The question of the whole."""
        return replace(self, dimensions=(), sort=None, is_descending=None, limit=1, offset=0)


def check(asked: Asked, channel: str | None = None) -> None:
    """Refuse what the definitions do not know, naming the place and what there is.

    A channel that is asked for beside the filters is one of them.
    """
    asked = replace(asked, filters=asked.all_filters(channel))
    _check_names("metrics", asked.metrics, list(ASKABLE))
    _check_names("dimensions", asked.dimensions, list(DIMENSIONS))
    for place, chosen in enumerate(asked.filters):
        if chosen.dimension not in DIMENSIONS:
            raise BadParameter(f"filters/{place}/dimension", _must_be(list(DIMENSIONS)))
        is_whole = DIMENSIONS[chosen.dimension].kind == "whole"
        for number, value in enumerate(chosen.values):
            if value is not None and isinstance(value, int) != is_whole:
                raise BadParameter(
                    f"filters/{place}/values/{number}",
                    f"must be {'a whole number' if is_whole else 'text'}, as the answer has it",
                )
    first = asked.known_metrics[0]
    for place, metric in enumerate(asked.known_metrics):
        if metric.source != first.source:
            raise BadParameter(
                f"metrics/{place}",
                f"`{metric.name}` is counted of other things than `{first.name}`: ask for them in a"
                " question each",
            )
        unknown = next((d for d in asked.read if not d.is_known_of(metric)), None)
        if unknown is not None:
            raise BadParameter(
                f"metrics/{place}",
                f"`{metric.name}` is not known by {unknown.name}: it has the dimensions"
                f" {', '.join(dimensions_of(metric))}",
            )
    if asked.sort is not None and asked.sort not in (*asked.metrics, *asked.dimensions):
        raise BadParameter("sort", _must_be([*asked.metrics, *asked.dimensions]))


def refused_values(filters: tuple[Filter, ...]) -> Iterator[tuple[int, int, str]]:
    """The values that nothing can have: of which filter, which of its values, what it must be.

    What is no value of the kind at all is refused by `check`.
    """
    for place, chosen in enumerate(filters):
        dimension = DIMENSIONS[chosen.dimension]
        for number, value in enumerate(chosen.values):
            if value is None or isinstance(value, int) != (dimension.kind == "whole"):
                continue
            detail = dimension.refusal(value)
            if detail is not None:
                yield place, number, detail


def _check_names(place: str, names: tuple[str, ...], known: list[str]) -> None:
    for index, name in enumerate(names):
        if name not in known:
            raise BadParameter(f"{place}/{index}", _must_be(known))
        if name in names[:index]:
            raise BadParameter(f"{place}/{index}", f"`{name}` is there twice")


def _must_be(names: list[str]) -> str:
    return f"must be one of {', '.join(names)}"


def parse_time(value: Value, interval: str, parameter: str) -> int:
    """What the SQL of `time` gives for a point of a series: its day's ordinal, or its second."""
    try:
        if interval == "hour":
            instant = datetime.fromisoformat(str(value))
            if instant.tzinfo is None:
                raise ValueError("an instant needs its offset")
            return int(instant.timestamp())
        return date.fromisoformat(str(value)).toordinal()
    except ValueError as error:
        raise BadParameter(
            parameter, "must be the date, or hour, of a point of the series, as the answer names it"
        ) from error
