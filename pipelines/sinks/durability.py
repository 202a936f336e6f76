"""What was written to a lake in a folder reaches the disk before anybody is told of it.

Belongs here: fsync of files, of Delta logs and of the folders that name them. Does not: writing
(parquet.py, delta.py, manifests.py). In a bucket an object is kept when its writing was answered.

A snapshot is a row in Postgres, which outlives a loss of power. Without this the files would not:
storefront events are taken out of Redis when they are published, and are nowhere else.
"""

import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from analytics.store import Store
from pipelines.sinks.delta import LakeTable

# A disk writes what it is asked for at once in one go.
SYNCS_AT_ONCE = 8
# A process that begins trusts the system with what is older: it writes all within half a minute.
SETTLED_SECONDS = 3600.0


def sync_tables(store: Store, tables: Iterable[LakeTable], keys: Iterable[str]) -> None:
    """Return when the disk has these objects, and what is new in the logs of the tables."""
    if store.is_remote:
        return
    changed = [table for table in tables if table.version != table.synced_version]
    sync(store, [*keys, *(key for table in changed for key in _new_log_keys(table))])
    for table in changed:
        table.synced_version = table.version


def sync(store: Store, keys: Iterable[str]) -> None:
    """Return when the disk has these objects."""
    if store.is_remote:
        return
    root = Path(store.location)
    files = [root / key for key in keys]
    folders = {folder for file in files for folder in file.parents if folder.is_relative_to(root)}
    with ThreadPoolExecutor(SYNCS_AT_ONCE, thread_name_prefix="lake-sync") as pool:
        for paths in (files, folders):
            for _ in pool.map(_sync, paths):
                continue


def _new_log_keys(table: LakeTable) -> Iterator[str]:
    folder = f"{table.contract.name}/_delta_log"
    since, settled_at = table.synced_version, time.time() - SETTLED_SECONDS
    if since is not None and since > table.version:
        # a table that was made anew counts from nought
        since = None
    with os.scandir(table.store.uri(folder)) as entries:
        for entry in entries:
            if since is None:
                is_new = entry.stat().st_mtime >= settled_at
            else:
                # names begin with a version of 20 digits; those of checkpoints' pointers do not
                is_new = entry.name >= f"{since:020}"
            if is_new and entry.is_file():
                yield f"{folder}/{entry.name}"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
