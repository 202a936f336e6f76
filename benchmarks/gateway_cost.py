"""What the gateway adds to a read, measured inside one process: the same request through the whole
pipeline and, before or after it, at its innermost stage.

Run as `python -m benchmarks.gateway_cost KEY PATH …`, a path with `{}` being another each time;
prints for each path the pairs as JSON, microseconds of CPU (whole, innermost). A pair is of single
requests: what they take varies by more than the gateway costs, and less from one to the next than
from one hundred to the next. CPU is that of the process, with threads the request had work for it.
"""

import io
import itertools
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from shop_api.app import App, create_app
from shop_api.kernel.clock import utc_now
from shop_api.kernel.exchange import Exchange
from shop_api.settings import Settings

PAIRS = 3_000
WARM_UP = 300


def main(key: str, paths: list[str]) -> None:
    """Measure each path and print its pairs."""
    settings = Settings(_env_file=None)
    app = create_app(settings)
    try:
        print(json.dumps([measure(app, key, path) for path in paths]))
    finally:
        app.close()


def measure(app: App, key: str, path: str) -> list[tuple[float, float]]:
    """Pairs, each side first as often as the other."""
    numbers = itertools.count(1)

    def environ() -> dict[str, Any]:
        return make_environ(path.format(next(numbers)), key)

    answered: list[str] = []

    def start_response(status: str, _: Any) -> None:
        answered.append(status)

    def whole() -> None:
        b"".join(app(environ(), start_response))

    stages: dict[str, Any] = dict(app.gateway.stages)
    principal = stages["credentials"].authenticate(key, lambda: None)

    def innermost() -> None:
        sent = environ()
        exchange = Exchange(sent, "GET", sent["PATH_INFO"], utc_now(), request_id="bench")
        exchange.principal = principal
        answered.append(str(stages["application"](exchange).status))

    for _ in range(WARM_UP):
        whole()
        innermost()
    pairs = []
    for number in range(PAIRS):
        order = (whole, innermost) if number % 2 else (innermost, whole)
        taken = {call: seconds(call) for call in order}
        pairs.append((taken[whole] * 1e6, taken[innermost] * 1e6))
    bad = {status for status in answered if not status.startswith("200")}
    if bad:
        raise RuntimeError(f"answers that are no success: {bad}")
    return pairs


def make_environ(target: str, key: str) -> dict[str, Any]:
    """A request as the server hands it over."""
    path, _, query = target.partition("?")
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "localhost",
        "HTTP_ACCEPT": "*/*",
        "HTTP_AUTHORIZATION": f"Bearer {key}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


def seconds(call: Callable[[], None]) -> float:
    """CPU of the process for one call."""
    started = time.process_time()
    call()
    return time.process_time() - started


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
