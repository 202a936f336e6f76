"""A signal ends a process wherever it comes, also where Python ignores what is raised."""

import signal
import subprocess
import sys

import pytest

# Falls to the signal in a place of this sort, and goes on for a while.
PROGRAM = """
import os, signal, sys, time, weakref
from shop_api.stack.interrupts import raise_at_signals

raise_at_signals()
kind, number = sys.argv[1], int(sys.argv[2])

class Dropped:
    pass

def be_told(*_):
    os.kill(os.getpid(), number)
    for _ in range(1000):
        pass

if kind == "finalizer":
    Dropped.__del__ = be_told
made = Dropped()
watched = weakref.ref(made, be_told) if kind == "callback" else None
try:
    if kind == "plain":
        be_told()
    del made
    print("went on", flush=True)
    time.sleep(20)
finally:
    print("closed", flush=True)
"""


@pytest.mark.parametrize("kind", ["finalizer", "callback", "plain"])
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)]
)
def test_a_signal_is_not_lost_where_what_it_raises_is_ignored(
    kind: str, number: signal.Signals, code: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, kind, str(int(number))],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert done.stdout.split("\n")[-2] == "closed"
    assert ("went on" in done.stdout) == (kind != "plain")
    assert "ignored" not in done.stderr


def test_what_else_is_ignored_is_told() -> None:
    program = PROGRAM.replace("os.kill(os.getpid(), number)", "raise ValueError('seven')")
    program = program.replace("time.sleep(20)", "pass")
    done = subprocess.run(
        [sys.executable, "-c", program, "finalizer", "15"],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert (done.returncode, "ValueError: seven" in done.stderr) == (0, True)
