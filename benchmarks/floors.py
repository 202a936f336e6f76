"""The floors: the least a server could do for the same answer, on the same server.

Belongs here: bare WSGI, bare Flask, and Flask with hand-written SQL. Run by granian as
`benchmarks.floors:<name>`, told what to answer by the environment.
"""

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psycopg
from flask import Flask, Response

StartResponse = Callable[[str, list[tuple[str, str]]], Any]

_body = Path(os.environ["FLOOR_BODY"]).read_bytes() if "FLOOR_BODY" in os.environ else b"{}"
_headers = [("Content-Type", "application/json"), ("Content-Length", str(len(_body)))]


def bare(_: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """WSGI that answers at once with the same bytes."""
    start_response("200 OK", _headers)
    return (_body,)


def flask_json() -> Flask:
    """Flask that answers 1 KB of JSON: the floor the peers of DESIGN §7 are named beside."""
    app = Flask("floor")
    payload = {"items": ["x" * 60 for _ in range(16)]}

    @app.get("/")
    def answer() -> Any:
        return payload

    return app


def flask_sql() -> Flask:
    """Flask + psycopg: the statements given, one transaction, the rows' text joined.

    FLOOR_SQL is a file of statements parted by lines of `--`; FLOOR_TENANT the tenant they are for.
    """
    app = Flask("floor")
    statements = Path(os.environ["FLOOR_SQL"]).read_text().split("\n--\n")
    tenant = os.environ["FLOOR_TENANT"]
    kept = threading.local()

    @app.get("/")
    def answer() -> Response:
        if not hasattr(kept, "connection"):
            kept.connection = psycopg.connect(os.environ["DATABASE_URL"], prepare_threshold=0)
        with kept.connection.transaction(), kept.connection.cursor() as cursor:
            cursor.execute("SELECT set_config('app.tenant_id', %s, true)", (tenant,))
            for statement in statements:
                cursor.execute(statement)
            body = "[" + ",".join(row[-1] for row in cursor) + "]"
        return Response(body, content_type="application/json")

    return app


def __getattr__(name: str) -> Any:
    """Build a Flask floor when granian asks for it."""
    makers = {"flask_json_app": flask_json, "flask_sql_app": flask_sql}
    if name not in makers:
        raise AttributeError(name)
    return makers[name]()
