"""What Prometheus reads: the values of all processes of this machine, put together.

Belongs here: reading the folder, adding up what dead processes left, and the text. Does not: what
is counted (definitions.py), who may read it (the endpoints).

What a dead process counted is added to the files named `dead`: a counter that went down would read
as one that began anew, and all of it would count a second time.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from shop_api.metrics.definitions import REGISTRY
from shop_api.metrics.folder import shared_folder
from shop_api.metrics.tally import tally
from shop_api.metrics.value_files import alive_path, is_alive, locked

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
DEAD = "dead"


def exposition() -> bytes:
    """All metrics of this machine, in Prometheus' text format."""
    tally.flush()
    folder = shared_folder()
    if folder is None:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    registry.register(_FolderCollector(folder))
    return generate_latest(registry)


class _FolderCollector(Collector):
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        with locked(self._folder):
            _fold_dead(self._folder)
            # one that is just being made is empty
            files = [str(path) for path, _ in _files(self._folder) if path.stat().st_size]
            found: Iterable[Metric] = MultiProcessCollector.merge(files)
        return found


def prepare_folder(folder: Path) -> None:
    """Make the folder; begin from nothing unless processes that live use it."""
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        if any(is_alive(folder, name) for _, name in _files(folder)):
            return
        for path in (*folder.glob("*.db"), *folder.glob("*.alive"), *folder.glob("*.draft")):
            path.unlink()


def _fold_dead(folder: Path) -> None:
    files = list(_files(folder))
    dead = {name for _, name in files if name != DEAD and not is_alive(folder, name)}
    for path, name in files:
        if name in dead:
            kind = path.stem.rpartition("_")[0]
            if path.stat().st_size and not kind.startswith("gauge_live"):
                _add(path, folder / f"{kind}_{DEAD}.db", is_gauge=kind.startswith("gauge"))
            path.unlink()
    for name in dead:
        alive_path(folder, name).unlink(missing_ok=True)


def _add(source: Path, target: Path, *, is_gauge: bool) -> None:
    """Add one process's values to those of the dead; of a gauge the greatest stays."""
    draft = target.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    if target.exists():
        draft.write_bytes(target.read_bytes())
    values = MmapedDict(str(draft))
    for key, value, _, _ in MmapedDict.read_all_values_from_file(str(source)):
        before, _ = values.read_value(key)
        values.write_value(key, max(before, value) if is_gauge else before + value, 0.0)
    values.close()
    draft.replace(target)


def _files(folder: Path) -> Iterator[tuple[Path, str]]:
    """The files of values, each with the name of its process."""
    for path in sorted(folder.glob("*_*.db")):
        yield path, path.stem.rpartition("_")[2]
