"""The forms in which URLs of stores and collectors are given.

Belongs here: which are refused, and what is said instead. Does not: which setting has which
(settings.py).

A password that is not escaped is read as host or port, and libpq and redis-py quote those when they
fail. So one @ ends it, before the first character that ends the authority. libpq, unlike urllib,
has only a slash end that, and refuses a % by quoting what is around it.
"""

import re
from typing import NamedTuple


class Form(NamedTuple):
    """A pattern, and an example of what has it."""

    pattern: str
    example: str


DATABASE = Form(
    r"postgres(ql)?(\+psycopg)?://(?=.)(([^@/%]|%[\da-fA-F]{2})*@)?([^@%]|%[\da-fA-F]{2})*",
    "postgresql://user:password@host:5432/database, a password's @ written as %40, / as %2F and %"
    " as %25",
)
REDIS = Form(
    r"(rediss?|unix)://([^@/?#]*@)?[^@]*",
    "redis://:password@host:6379/0, a password's @ written as %40, / as %2F, ? as %3F and # as %23",
)
COLLECTOR = Form(
    r"https?://(?!.*/v1/traces/?$)([^@/?#]*@)?[^@]+",
    "http://localhost:4318, without /v1/traces, a password's @ written as %40",
)
ENDPOINT = Form(r"https?://[^@/?#]+", "http://localhost:9000, without a path or password")
LAKE = Form(
    r"s3://[^@/]+(/[^@]*)?|(?!\w+://).+",
    "s3://bucket/path without a key, which has settings of its own, or a folder",
)


def without_driver(url: str) -> str:
    """A database's URL as libpq reads it, to whom SQLAlchemy's name of the driver is nothing."""
    return re.sub(r"^postgres(ql)?(\+psycopg)?://", "postgresql://", url)
