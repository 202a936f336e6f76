"""Customer segments: which scores make which, and what that means in words.

Belongs here: the table, and the SQL made of it. Does not: the scores (customers.py).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Segment:
    """Customers with scores within these bounds; the first segment that fits is theirs."""

    name: str
    title: str
    rule: str
    # (least, most) of each score
    recency: tuple[int, int]
    frequency: tuple[int, int] = (1, 5)
    monetary: tuple[int, int] = (1, 5)

    def holds(self, recency: int, frequency: int, monetary: int) -> bool:
        """Whether scores are within its bounds."""
        return (
            self.recency[0] <= recency <= self.recency[1]
            and self.frequency[0] <= frequency <= self.frequency[1]
            and self.monetary[0] <= monetary <= self.monetary[1]
        )


# In order: together they hold all 125 triples of scores.
SEGMENTS: tuple[Segment, ...] = (
    Segment(
        "champions",
        "Champions",
        "ordered lately, often and for much: recency, frequency and monetary 4 or 5",
        (4, 5),
        (4, 5),
        (4, 5),
    ),
    Segment(
        "loyal",
        "Loyal",
        "order often, the last time not long ago: recency 3 to 5, frequency 4 or 5, no champions",
        (3, 5),
        (4, 5),
    ),
    Segment(
        "potential_loyalists",
        "Potential loyalists",
        "ordered lately and more than others who are new: recency 4 or 5, frequency 2 or 3",
        (4, 5),
        (2, 3),
    ),
    Segment(
        "new",
        "New",
        "ordered lately, and as seldom as anybody: recency 4 or 5, frequency 1",
        (4, 5),
        (1, 1),
    ),
    Segment(
        "need_attention",
        "Need attention",
        "middling in how lately and how often they order: recency 3, frequency 3",
        (3, 3),
        (3, 3),
    ),
    Segment(
        "about_to_sleep",
        "About to sleep",
        "order seldom, the last time a while ago: recency 3, frequency 1 or 2",
        (3, 3),
        (1, 2),
    ),
    Segment(
        "cannot_lose",
        "Cannot lose",
        "ordered often and for much, but not lately: recency 1 or 2, frequency and monetary 4 or 5",
        (1, 2),
        (4, 5),
        (4, 5),
    ),
    Segment(
        "at_risk",
        "At risk",
        "ordered more than seldom, but not lately: recency 1 or 2, frequency 3 to 5, and not one of"
        " those you cannot lose",
        (1, 2),
        (3, 5),
    ),
    Segment(
        "hibernating",
        "Hibernating",
        "ordered seldom, and not lately: recency 2, frequency 1 or 2",
        (2, 2),
        (1, 2),
    ),
    Segment(
        "lost",
        "Lost",
        "ordered seldom, and longer ago than four fifths of all: recency 1, frequency 1 or 2",
        (1, 1),
        (1, 2),
    ),
)
SEGMENT_NAMES: tuple[str, ...] = tuple(segment.name for segment in SEGMENTS)


def segment_of(recency: int, frequency: int, monetary: int) -> Segment:
    """The segment of three scores."""
    return next(each for each in SEGMENTS if each.holds(recency, frequency, monetary))


def segment_expression() -> str:
    """The table as SQL over the three scores."""
    cases = " ".join(
        f"WHEN recency_score BETWEEN {each.recency[0]} AND {each.recency[1]}"
        f" AND frequency_score BETWEEN {each.frequency[0]} AND {each.frequency[1]}"
        f" AND monetary_score BETWEEN {each.monetary[0]} AND {each.monetary[1]}"
        f" THEN '{each.name}'"
        for each in SEGMENTS
    )
    return f"CASE {cases} END"
