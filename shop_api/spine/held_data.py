"""Why a tenant's data is held back from the lake, in words for the merchant.

Belongs here: the causes and their sentences, the same wherever a tenant reads them. Does not:
holding data back (pipelines).
"""

CAUSES = ("rule", "unreadable", "lost_files")
HELD = (
    "Until that is mended your figures stay as they were; nothing is lost, your shop goes on, and"
    " it is tried again by itself."
)


def explain(cause: str, table: str | None, rule: str | None, count: int | None) -> str:
    """One sentence; `table`, `rule` and `count` where a rule is broken."""
    if cause == "rule" and table is not None:
        noun = table.replace("_", " ")
        rows = f"1 row of {noun} breaks" if count == 1 else f"{count} rows of {noun} break"
        return f"{rows} a rule of your figures: {rule}."
    if cause == "lost_files":
        return "Files of your figures were damaged. They are made anew from your shop's data."
    return "Some of your data cannot be computed."
