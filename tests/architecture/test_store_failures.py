"""What libpq and redis-py say of a failure is told nowhere: it may quote a part of a URL.

Whoever catches one tells of it by `shop_api.db.outages.describe`.
"""

import ast
import re
from collections.abc import Iterator

from tests.architecture.sources import sources

FAILURES = re.compile(
    r"RedisError|DBAPIError|SQLAlchemyError|OperationalError|PoolTimeoutError|psycopg\.Error"
    r"|redis\.\w+Error|OUT_OF_REACH"
)
# what tells somebody, besides `logger` and `click`
TELLERS = {"str", "repr", "Finding", "StartRefused", "RuntimeError"}
# what tells of an error only what it is
DESCRIBED_BY = {"describe", "type"}


def handlers() -> Iterator[tuple[str, ast.ExceptHandler]]:
    """Every handler of failures of stores, with its place."""
    for source in sources("analytics", "pipelines", "shop_api"):
        for node in source.nodes:
            match node:
                case ast.ExceptHandler(type=ast.expr() as kinds) if FAILURES.search(
                    ast.unparse(kinds)
                ):
                    yield f"{source.path}:{node.lineno}", node


def told(node: ast.AST) -> list[ast.expr]:
    """What a call or a text tells somebody."""
    match node:
        case ast.FormattedValue():
            return [node.value]
        case ast.Call(func=ast.Attribute(value=ast.Name(id="logger" | "click"))):
            return [*node.args, *(keyword.value for keyword in node.keywords)]
        case ast.Call(func=ast.Name(id=name)) if name in TELLERS:
            return node.args
    return []


def holds(node: ast.AST, name: str) -> bool:
    """Whether what is told is the error itself or what it holds."""
    match node:
        case ast.Call(func=ast.Name(id=function)) if function in DESCRIBED_BY:
            return False
        case ast.Name(id=found):
            return found == name
    return any(holds(child, name) for child in ast.iter_child_nodes(node))


def quotes(handler: ast.ExceptHandler) -> bool:
    """Whether it tells the error's own sentence, or its traceback, which ends with that."""
    return any(
        isinstance(node, ast.Attribute) and ast.unparse(node) == "logger.exception"
        for node in ast.walk(handler)
    ) or (
        handler.name is not None
        and any(holds(said, handler.name) for node in ast.walk(handler) for said in told(node))
    )


def test_nobody_tells_what_a_store_says_of_its_failure() -> None:
    found = list(handlers())
    assert len(found) > 40
    assert [place for place, handler in found if quotes(handler)] == []


def test_a_handler_that_quotes_is_found() -> None:
    for line, is_quote in (
        ('logger.warning("away: %s", error)', True),
        ('logger.warning("away: %s", error.orig)', True),
        ('logger.warning("away", exc_info=error)', True),
        ('logger.exception("away")', True),
        ('raise StartRefused(f"away: {error}") from error', True),
        ("return Finding(subject, False, str(error))", True),
        ('raise click.ClickException(str(getattr(error, "orig", error))) from error', True),
        ('logger.warning("away: %s", describe(error))', False),
        ('raise StartRefused(f"away: {describe(error)}") from error', False),
        ('logger.warning("away: %s", type(error).__name__)', False),
    ):
        text = f"try:\n    ask()\nexcept redis.RedisError as error:\n    {line}\n"
        (block,) = ast.parse(text).body
        assert isinstance(block, ast.Try)
        (handler,) = block.handlers
        assert quotes(handler) is is_quote, line
