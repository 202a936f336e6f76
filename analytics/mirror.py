"""Files of a lake in a bucket, as DuckDB reads them: from this machine's disk.

Belongs here: fetching files, keeping those that are read, deleting those that were read longest
ago. Does not: which files (lake.py) and reading them (engine.py).

A file of the lake is written once under a name that never comes again, so a fetched one stays true.
Any number of threads and processes may share the folder: a file appears in it whole, and what was
read within the last KEPT_SECONDS nobody deletes. Who reads longer says so every TOUCH_SECONDS.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from uuid import uuid4

from analytics.store import Store

KEPT_SECONDS = 120.0
TOUCH_SECONDS = 30.0
# Files fetched at once: most are small, and wait for the bucket's answer rather than for its bytes.
CONNECTIONS = 8
PART = ".part"
# A download that a dead process left.
ABANDONED_SECONDS = 3600.0
# The folder is looked through once this share of its limit was fetched: some 100 000 files, in 1 s.
SHRINK_SHARE = 1 / 64


class Mirror:
    """A folder with files of one bucket, of about `limit_bytes` when nobody reads more at once."""

    def __init__(self, store: Store, folder: Path, limit_bytes: int) -> None:
        self.store = store
        # another lake's files may have the same names
        place = blake2b(store.location.encode(), digest_size=8).hexdigest()
        self.folder = folder.resolve() / place
        self._limit_bytes = limit_bytes
        # fetched since the folder was looked through; at first others may have filled it
        self._fetched_bytes: float = limit_bytes
        self._held: Counter[Path] = Counter()
        self._coming: dict[str, Future[int]] = {}
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._toucher: threading.Thread | None = None
        self._stopped = threading.Event()

    @contextmanager
    def held(
        self, uris: Iterable[str], timeout_seconds: float | None = None
    ) -> Iterator[dict[str, str]]:
        """The path of each file on this disk, where it stays until the context is left.

        Raises TimeoutError; what is on its way then still comes, for who asks next.
        """
        paths = {uri: self.folder / self.store.key(uri) for uri in uris}
        with self._lock:
            self._held.update(paths.values())
            self._start()
        try:
            self._fetch(paths, timeout_seconds)
            yield {uri: str(path) for uri, path in paths.items()}
        finally:
            with self._lock:
                self._held.subtract(paths.values())
                self._held += Counter()

    def close(self) -> None:
        """End the threads; the files stay for the next process."""
        self._stopped.set()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def _fetch(self, paths: dict[str, Path], timeout_seconds: float | None) -> None:
        missing = [uri for uri, path in paths.items() if not _touch(path)]
        if not missing:
            return
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        # one thread fetches a file, all who want it wait for that
        with self._lock:
            assert self._pool is not None
            for uri in missing:
                if uri not in self._coming:
                    self._coming[uri] = self._pool.submit(self._download, uri, paths[uri])
            coming = [self._coming[uri] for uri in missing]
        fetched_bytes = 0
        for one in coming:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            fetched_bytes += one.result(left)
        with self._lock:
            self._fetched_bytes += fetched_bytes
            is_due = bool(fetched_bytes) and self._fetched_bytes > self._limit_bytes * SHRINK_SHARE
            if is_due:
                self._fetched_bytes = 0
        if is_due:
            self._shrink()

    def _download(self, uri: str, path: Path) -> int:
        """The bytes that were fetched."""
        part = path.with_name(f"{uuid4()}{PART}")
        try:
            if _touch(path):
                return 0
            path.parent.mkdir(parents=True, exist_ok=True)
            self.store.download(self.store.key(uri), part)
            part.replace(path)
            return path.stat().st_size
        finally:
            part.unlink(missing_ok=True)
            with self._lock:
                del self._coming[uri]

    def _shrink(self) -> None:
        """Delete what was read longest ago until the rest is within the limit."""
        with self._lock:
            held = set(self._held)
        now = time.time()
        files = sorted(_files(self.folder), key=lambda file: file.stat.st_mtime)
        total_bytes = sum(file.stat.st_size for file in files)
        for file in files:
            age_seconds = now - file.stat.st_mtime
            is_abandoned = file.path.suffix == PART and age_seconds > ABANDONED_SECONDS
            if not is_abandoned and (
                total_bytes <= self._limit_bytes
                or file.path in held
                or file.path.suffix == PART
                or age_seconds < KEPT_SECONDS
            ):
                continue
            if not is_abandoned and _is_touched(file):
                continue
            file.path.unlink(missing_ok=True)
            total_bytes -= file.stat.st_size

    def _start(self) -> None:
        """With the first file: a forked process starts its own."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="lake-mirror")
            self._toucher = threading.Thread(
                target=self._keep_touching, name="lake-mirror-touch", daemon=True
            )
            self._toucher.start()

    def _keep_touching(self) -> None:
        while not self._stopped.wait(TOUCH_SECONDS):
            with self._lock:
                held = list(self._held)
            for path in held:
                _touch(path)


class _File:
    """A file of the folder, as it was seen."""

    def __init__(self, path: Path, stat: os.stat_result) -> None:
        self.path = path
        self.stat = stat


def _files(folder: Path) -> Iterator[_File]:
    for directory, _, names in os.walk(folder):
        for name in names:
            path = Path(directory, name)
            try:
                yield _File(path, path.stat())
            except FileNotFoundError:
                # another process was faster
                continue


def _is_touched(file: _File) -> bool:
    """Whether somebody began to read it since the folder was looked through."""
    try:
        return file.path.stat().st_mtime > file.stat.st_mtime
    except FileNotFoundError:
        return False


def _touch(path: Path) -> bool:
    """Say that a file is read; False when it is not there."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True
