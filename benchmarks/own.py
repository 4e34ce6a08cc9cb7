"""A guarded write and what limits it: `python -m benchmarks.own FOLDER` is a worker that does them."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from functools import partial
from itertools import cycle
from pathlib import Path

from benchmarks import guarded
from benchmarks.workers import Meter, Taken, answer

PAGE, PAGES = b"x" * 4096, 256


@contextmanager
def one_sync(folder: Path) -> Iterator[Callable[[], object]]:
    """The limit: 4 KiB written over what a file holds already, and on the disk.

    To append would cost more, as the file system has to make its own notes durable. A log that was written to its end
    once is written over, too.
    """
    file = os.open(folder / "limit", os.O_RDWR | os.O_CREAT, 0o600)
    os.pwrite(file, PAGE * PAGES, 0)
    os.fsync(file)
    places = cycle(range(0, len(PAGE) * PAGES, len(PAGE)))

    def overwrite() -> None:
        os.pwrite(file, PAGE, next(places))
        os.fdatasync(file)

    yield overwrite
    os.close(file)


@contextmanager
def one_commit(folder: Path) -> Iterator[Callable[[], object]]:
    """One row of 1 KB in one durable commit of the standard library's sqlite3, in WAL mode as the ledger is."""
    db = sqlite3.connect(folder / "raw.db", isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE entry (id INTEGER PRIMARY KEY, text TEXT)")
    yield lambda: db.execute("INSERT INTO entry (text) VALUES (?)", (guarded.KILOBYTE,))
    db.close()


@contextmanager
def guarded_write(folder: Path) -> Iterator[Callable[[], object]]:
    """A guarded function whose effect is nothing."""
    with guarded.session(folder):
        yield partial(copy_context().run, guarded.write, guarded.KILOBYTE)


@contextmanager
def guarded_request(folder: Path) -> Iterator[Callable[[], object]]:
    """A guarded request of an SDK's client that is answered in memory."""
    with guarded.session(folder) as session:
        client = guarded.guarded_client(session)
        yield partial(copy_context().run, client.post, "/things", json={"text": guarded.KILOBYTE})


@contextmanager
def bare_request(folder: Path) -> Iterator[Callable[[], object]]:
    """The same request of the bare client."""
    yield partial(guarded.client().post, "/things", json={"text": guarded.KILOBYTE})


KINDS = {
    "4 KiB write + fdatasync": one_sync,
    "sqlite3 commit": one_commit,
    "guarded write": guarded_write,
    "guarded request": guarded_request,
    "bare request": bare_request,
}


def main(folder: Path) -> None:
    """Be a worker that does all of these."""
    with ExitStack() as at_the_end:
        blocks = {}
        for name, kind in KINDS.items():
            (folder / name).mkdir()
            blocks[name] = partial(_repeat, at_the_end.enter_context(kind(folder / name)))
        answer(blocks)


def _repeat(call: Callable[[], object], times: int) -> Taken:
    meter = Meter()
    for _ in range(times):
        call()
    return meter.taken()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
