"""The access log: every line written, whole, in order and soon; a full pipe holds callers back."""

import os
import threading
import time
from pathlib import Path

import pytest

from shop_api.gateway.access_log import GATHER_SECONDS, MAX_WAITING, LineWriter


def test_lines_of_many_threads_are_all_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        write = LineWriter(file.fileno())

        def work(name: str) -> None:
            for number in range(5_000):
                write(f"{name} {number} {'x' * 300}\n".encode())

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        write.flush()
    lines = path.read_text().splitlines()
    assert len(lines) == 20_000
    for name in "abcd":
        assert [int(line.split()[1]) for line in lines if line[0] == name] == list(range(5_000))


def test_a_line_is_written_without_another_to_push_it(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with path.open("wb") as file:
        write = LineWriter(file.fileno())
        for expected in (b"one\n", b"one\ntwo\n"):
            write(expected[-4:])
            deadline = time.monotonic() + 2
            while path.read_bytes() != expected:
                assert time.monotonic() < deadline
                time.sleep(GATHER_SECONDS)


def test_a_reader_that_does_not_read_holds_the_writers_back() -> None:
    """Lines wait in memory up to a number, then callers wait; nothing is lost."""
    reader, writer = os.pipe()
    write = LineWriter(writer)
    count = MAX_WAITING * 2

    def call() -> None:
        for number in range(count):
            write(b"%09d\n" % number)

    caller = threading.Thread(target=call)
    caller.start()
    caller.join(timeout=0.5)
    assert caller.is_alive()
    received = b""
    while len(received) < count * 10:
        received += os.read(reader, 65_536)
    caller.join(timeout=5)
    assert received == b"".join(b"%09d\n" % n for n in range(count))
    os.close(reader)
    os.close(writer)


def test_a_log_that_cannot_be_written_spoils_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    write = LineWriter(writer)
    for _ in range(MAX_WAITING * 2):
        write(b"line\n")
    write.flush()
    os.close(writer)
    assert "lines of the access log are lost" in caplog.text
