"""Reads answered without Flask: its routing, its contexts and its response cost as much as all the
rest of such a read.

Belongs here: finding a path's view and calling it as blueprint.py does, with the same checks and
the same parsing. Does not: which reads these are; their endpoints say `is_direct`. Whatever is not
plainly one of them is left to Flask, which knows how to refuse it.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema

from shop_api.kernel.exchange import Answer, Exchange
from shop_api.kernel.ids import parse_id
from shop_api.web.call import Call
from shop_api.web.parser import PARSER
from shop_api.web.reply import Reply
from shop_api.web.scopes import require_scope
from shop_api.web.services import Services

_ID = re.compile(r"<id:(\w+)>")


@dataclass(frozen=True, slots=True)
class DirectRead:
    """A read as its endpoint declares it. Its path has ids alone for variables."""

    template: str
    scope: str
    query: Schema | None
    answer: Callable[[Call, dict[str, Any]], Reply]

    def pattern(self) -> re.Pattern[str]:
        """What its paths match, with a group for each id."""
        return re.compile(_ID.sub(r"(?P<\1>[^/]+)", self.template))


class DirectReads:
    """Answers the reads it knows; None for everything else."""

    def __init__(self, services: Services, reads: Iterable[DirectRead]) -> None:
        self._services = services
        self._reads = [(read.pattern().fullmatch, read) for read in reads]

    def __call__(self, exchange: Exchange) -> Answer | None:
        if exchange.method != "GET":
            return None
        for match, read in self._reads:
            found = match(exchange.path)
            if found is not None:
                path = {name: parse_id(text) for name, text in found.groupdict().items()}
                if None in path.values():
                    return None
                return self._answer(exchange, read, path)
        return None

    def _answer(self, exchange: Exchange, read: DirectRead, path: dict[str, Any]) -> Answer | None:
        query: dict[str, Any] = {}
        if read.query is None and exchange.environ.get("QUERY_STRING"):
            return None
        exchange.route = read.template
        require_scope(exchange, read.scope)
        if read.query is not None:
            query = PARSER.parse_query(read.query, exchange.environ)
        reply = read.answer(Call(self._services, exchange, query, {}), path)
        headers = reply.all_headers()
        if reply.parts is None:
            headers.append(("Content-Length", str(len(reply.body))))
        return Answer(reply.status, headers, reply.parts or reply.body)
