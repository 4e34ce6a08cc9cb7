"""What a durable commit of 1 KB costs: apsw and sqlite3, in WAL mode and with the rollback journal.

Run it with `python benchmarks/journal_modes.py [FOLDER]` on the disk that the ledger will be on. The repetitions are
interleaved; each figure is the median, minimum and maximum of nine times 200 commits, in microseconds.
"""

from __future__ import annotations

import fcntl
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable

import apsw

REPETITIONS, COMMITS = 9, 200


def committer(library: str, journal: str, folder: str) -> Callable[[], None]:
    """Return a function that makes one durable commit under a file lock."""
    path = os.path.join(folder, f"{library}-{journal}.db")
    execute = (apsw.Connection(path) if library == "apsw" else sqlite3.connect(path, isolation_level=None)).execute
    execute(f"PRAGMA journal_mode = {journal}")
    # EXTRA also syncs the folder after the journal is removed; WAL needs only FULL for the same promise.
    execute(f"PRAGMA synchronous = {'FULL' if journal == 'WAL' else 'EXTRA'}")
    execute("CREATE TABLE entry (id INTEGER PRIMARY KEY, text TEXT)")
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT)
    text = "x" * 1024

    def commit() -> None:
        fcntl.flock(lock, fcntl.LOCK_EX)
        execute("BEGIN IMMEDIATE")
        execute("INSERT INTO entry (text) VALUES (?)", (text,))
        execute("COMMIT")
        fcntl.flock(lock, fcntl.LOCK_UN)

    return commit


def main(parent: str | None) -> None:
    with tempfile.TemporaryDirectory(dir=parent) as folder:
        kinds = [(library, journal) for library in ("apsw", "sqlite3") for journal in ("WAL", "DELETE")]
        commits = {kind: committer(*kind, folder) for kind in kinds}
        taken: dict[tuple[str, str], list[float]] = {kind: [] for kind in kinds}
        for _ in range(REPETITIONS):
            for kind in random.sample(kinds, len(kinds)):
                start = time.perf_counter()
                for _ in range(COMMITS):
                    commits[kind]()
                taken[kind].append((time.perf_counter() - start) / COMMITS * 1e6)
    print(f"SQLite {sqlite3.sqlite_version} in sqlite3, {apsw.sqlite_lib_version()} in apsw")
    for (library, journal), values in taken.items():
        print(f"{library:8} {journal:7} {statistics.median(values):6.0f} ({min(values):.0f} to {max(values):.0f}) µs")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
