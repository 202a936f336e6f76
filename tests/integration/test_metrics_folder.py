"""Metrics of several processes are told together, and what a dead one counted stays."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from shop_api.metrics.exposition import prepare_folder
from shop_api.metrics.folder import FOLDER_VARIABLE

COUNT = """
import sys, time
from shop_api.metrics import definitions as metrics
metrics.relay_events.inc(int(sys.argv[1]))
metrics.relay_lag.observe(0.2)
metrics.websocket_connections_active.inc(3)
metrics.pipeline_as_of.set(int(sys.argv[1]))
print("counted", flush=True)
time.sleep(60)
"""
TELL = "from shop_api.metrics.exposition import exposition; print(exposition().decode())"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    prepare_folder(tmp_path)
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, FOLDER_VARIABLE: str(folder)}


@contextmanager
def counting(folder: Path, count: int) -> Iterator[subprocess.Popen[str]]:
    """A process that has counted and lives."""
    command = [sys.executable, "-c", COUNT, str(count)]
    with subprocess.Popen(
        command, env=environment(folder), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "counted\n"
        yield process
        process.kill()


def told(folder: Path) -> dict[str, float]:
    """What is told of metrics without labels, by a process of its own, in which nothing ran."""
    output = subprocess.run(
        [sys.executable, "-c", TELL],
        env=environment(folder),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    return {
        sample.name: sample.value
        for family in text_string_to_metric_families(output)
        for sample in family.samples
        if not sample.labels
    }


def test_processes_are_added_up(folder: Path) -> None:
    with counting(folder, 2), counting(folder, 40):
        found = told(folder)
    assert found["relay_events_total"] == 42
    assert found["relay_lag_seconds_count"] == 2
    assert found["websocket_connections_active"] == 6
    assert found["pipeline_as_of_timestamp_seconds"] == 40


def test_a_killed_process_leaves_its_counts_and_no_files(folder: Path) -> None:
    with ExitStack() as alive:
        alive.enter_context(counting(folder, 1))
        for count in (10, 100):
            with counting(folder, count) as process:
                process.send_signal(signal.SIGKILL)
                process.wait()
            # told twice: what was added up is not added up again
            for _ in range(2):
                found = told(folder)
        assert found["relay_events_total"] == 111
        assert found["relay_lag_seconds_count"] == 3
        assert found["relay_lag_seconds_sum"] == pytest.approx(0.6)
        assert found["websocket_connections_active"] == 3
        assert found["pipeline_as_of_timestamp_seconds"] == 100
        names = {path.stem.rpartition("_")[2] for path in folder.glob("*.db")}
        # the dead, the one that lives, and the last that told
        assert len(names) == 3
        assert len(list(folder.glob("*.alive"))) == 2


def test_a_new_start_begins_from_nothing(folder: Path) -> None:
    with counting(folder, 5):
        pass
    prepare_folder(folder)
    assert told(folder)["relay_events_total"] == 0


def test_a_second_supervisor_leaves_what_lives_alone(folder: Path) -> None:
    with counting(folder, 5):
        prepare_folder(folder)
        assert told(folder)["relay_events_total"] == 5


def test_counts_survive_scrapes_while_processes_come_and_go(folder: Path) -> None:
    """Each value told is at least the one before: Prometheus would take less for a restart."""
    with counting(folder, 0):
        last = 0.0
        for number in range(1, 6):
            with counting(folder, number) as process:
                first = told(folder)["relay_events_total"]
                process.kill()
                process.wait()
                second = told(folder)["relay_events_total"]
            assert last <= first <= second
            last = second
        assert last == 15
