"""Logs: one JSON object per line on standard error, the same in every process.

Belongs here: the line's form, switching it on, and a line for what nobody caught. Does not: what is
logged (its module) and the access line's fields (gateway).
"""

import json
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType

from shop_api.kernel.clock import format_instant
from shop_api.kernel.errors import StartRefused

# What every LogRecord has; anything else came in by `extra=` and is written as a field.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


logger = logging.getLogger(__name__)


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; `extra` fields follow the standard ones."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "timestamp": format_instant(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "process": self._process,
            "pid": record.process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({key: value for key, value in vars(record).items() if key not in _STANDARD})
        if record.exc_info:
            error = record.exc_info[1]
            # a sentence for an operator, to whom the stack says nothing
            is_sentence = isinstance(error, StartRefused)
            line["exception"] = str(error) if is_sentence else self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logging(process: str, level: str) -> None:
    """Send every logger of this process to standard error as JSON; `process` names its kind."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    log_uncaught_exceptions()


def log_uncaught_exceptions() -> None:
    """What nobody catches, in any thread, is a line like all others and no bare traceback."""
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


@contextmanager
def last_words(exit_code: int = 1) -> Iterator[None]:
    """An exception out of the block is logged and ends the process.

    For blocks that are called by servers which print what they catch.
    """
    try:
        yield
    except Exception:
        logger.critical("process cannot go on", exc_info=True)
        raise SystemExit(exit_code) from None


def _log_uncaught(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if not issubclass(kind, Exception):
        # Ctrl-C is no defect
        sys.__excepthook__(kind, error, traceback)
        return
    logger.critical("process cannot go on", exc_info=(kind, error, traceback))


def _log_uncaught_in_thread(given: threading.ExceptHookArgs) -> None:
    # None when Python is at its end, where nothing can be told any more
    if given.exc_value is not None and given.exc_type is not SystemExit:
        told = (given.exc_type, given.exc_value, given.exc_traceback)
        name = given.thread.name if given.thread else None
        logger.critical("thread cannot go on", exc_info=told, extra={"thread_name": name})
