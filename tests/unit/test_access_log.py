"""The access log: every line written, whole, in order and soon; a full pipe holds callers back."""

import json
import os
import threading
import time
from pathlib import Path

import pytest

from shop_api.gateway.access_log import GATHER_SECONDS, MAX_WAITING, Line, LineWriter
from shop_api.kernel.clock import utc_now


def line(request_id: str) -> Line:
    return Line(utc_now(), "info", "api", 1, "request", request_id, "GET", "/things", 200, 0.001, 0)


def request_ids(written: bytes) -> list[str]:
    return [json.loads(line)["request_id"] for line in written.splitlines()]


def test_lines_of_many_threads_are_all_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        write = LineWriter(file.fileno())

        def work(name: str) -> None:
            for number in range(5_000):
                write(line(f"{name} {number} {'x' * 300}"))

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        write.flush()
    found = [request_id.split() for request_id in request_ids(path.read_bytes())]
    assert len(found) == 20_000
    for name in "abcd":
        assert [int(number) for by, number, _ in found if by == name] == list(range(5_000))


def test_a_line_is_written_without_another_to_push_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        write = LineWriter(file.fileno())
        for expected in (["one"], ["one", "two"]):
            write(line(expected[-1]))
            deadline = time.monotonic() + 2
            while request_ids(path.read_bytes()) != expected:
                assert time.monotonic() < deadline
                time.sleep(GATHER_SECONDS)


def test_a_reader_that_does_not_read_holds_the_writers_back() -> None:
    """Lines wait in memory up to a number, then callers wait; nothing is lost."""
    reader, writer = os.pipe()
    write = LineWriter(writer)
    count = MAX_WAITING * 2

    def call() -> None:
        for number in range(count):
            write(line(str(number)))

    caller = threading.Thread(target=call)
    caller.start()
    caller.join(timeout=0.5)
    assert caller.is_alive()
    received = b""
    while received.count(b"\n") < count:
        received += os.read(reader, 65_536)
    caller.join(timeout=5)
    assert request_ids(received) == [str(number) for number in range(count)]
    os.close(reader)
    os.close(writer)


def test_a_log_that_cannot_be_written_spoils_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    write = LineWriter(writer)
    for _ in range(MAX_WAITING * 2):
        write(line("lost"))
    write.flush()
    os.close(writer)
    assert "lines of the access log are lost" in caplog.text
