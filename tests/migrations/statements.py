"""Statements that would rewrite a table of a running shop, or lock it while they read all of it."""

import re

_CREATED = re.compile(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+)", re.IGNORECASE)

# each with the table it is about as its group, if it names one
_UNSAFE = [
    # CREATE INDEX and DROP INDEX lock the table's writes; CONCURRENTLY does not
    r"CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY)[^;]*? ON (\w+)",
    r"DROP INDEX (?!CONCURRENTLY)",
    # a default that differs per row, a type and NOT NULL touch or read every row
    r"ALTER TABLE (\w+) ADD COLUMN [^;]*?DEFAULT (?:gen_random_uuid|clock_timestamp|nextval)",
    r"ALTER TABLE (\w+) ADD COLUMN (?![^;]*DEFAULT)[^;]*NOT NULL",
    r"ALTER TABLE (\w+) ALTER COLUMN \w+ (?:SET DATA )?TYPE",
    r"ALTER TABLE (\w+) ALTER COLUMN \w+ SET NOT NULL",
    # a constraint is checked on all rows, unless it is added NOT VALID and validated later
    r"ALTER TABLE (\w+) ADD CONSTRAINT (?![^;]*(?:NOT VALID|USING INDEX))[^;]*",
    # the processes that still run the old code do not know the new name
    r"ALTER TABLE (\w+) RENAME",
    r"LOCK TABLE (\w+)",
    r"VACUUM FULL (\w+)",
    r"CLUSTER (\w+)",
    r"TRUNCATE (?:TABLE )?(\w+)",
]


def unsafe_statements(text: str) -> list[str]:
    """The statements in a revision that would stop a running shop; its own new tables are free."""
    flat = re.sub(r"\s+", " ", re.sub(r"\"|--[^\n]*", " ", text))
    created = {name.lower() for name in _CREATED.findall(flat)}
    return [
        match.group(0)
        for pattern in _UNSAFE
        for match in re.finditer(pattern, flat, re.IGNORECASE)
        if not (match.groups() and match.group(1).lower() in created)
    ]
