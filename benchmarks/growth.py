"""What a growing ledger costs: a write, and the questions that a person or a fresh process asks.

The ledgers are real ones: a session is made by guarded writes, and its rows are copied with SQL until there are enough
of them. How many sessions are open and how many calls are in doubt is the same in each, so that what differs is only
how much lies beside them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack, closing
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Any

import apsw
from msgspec.structs import replace

import agentguard
from agentguard.ledger.columns import COLUMNS
from agentguard.ledger.rows import UndoRow, new_session_id
from agentguard.ledger.sqlite import SqliteLedger
from agentguard.queue import queue
from benchmarks import guarded
from benchmarks.measuring import Found, Setting, Spread, enough, paired, timed

SIZES, QUICK_SIZES = (1_000, 100_000, 1_000_000), (40, 400)
CALLS = 20
"""Of each session."""
ROOM = 10_000
"""Bytes of the disk for each call, with a margin."""
OPEN, DOUBTFUL = 2, 5
"""How many sessions are open, and how many calls are in doubt, whatever the size."""


def measure(setting: Setting) -> Found:
    """Measure ledgers of three sizes, interleaved."""
    found = Found("A ledger that grows")
    sizes = _that_fit(setting)
    weights: dict[int, float] = {}
    model = setting.new_folder("model")
    names = _model(model)
    with ExitStack() as at_the_end:
        kinds: dict[str, Callable[[], float]] = {}
        times: dict[str, int] = {}
        for size in sizes:
            folder = setting.new_folder("ledger")
            _grow(model / "ledger.db", folder / "ledger.db", names, size)
            weights[size] = (folder / "ledger.db").stat().st_size / size
            session = at_the_end.enter_context(guarded.session(folder))
            write = partial(copy_context().run, guarded.write, guarded.KILOBYTE)
            assert isinstance(session.ledger, SqliteLedger)
            for question, ask in _questions(session.ledger, write).items():
                ask()
                # As many at each size, or the first after a pause would count more in one than in the other.
                if question not in times:
                    times[question] = setting.choose(enough(ask, 0.05), 2)
                kinds[f"{question}|{size}"] = partial(timed, ask, times[question])
        results = setting.interleave(kinds, setting.choose(9, 1))
        _tell(found, sizes, results)
    for size, weight in weights.items():
        found.add(f"bytes for each call, {size:,} calls", [weight], "B", note="arguments of 1 KB")
    return found


def _that_fit(setting: Setting) -> tuple[int, ...]:
    """The sizes for which there is room. Raises OSError where there is none for two of them."""
    if setting.quick:
        return QUICK_SIZES
    free = shutil.disk_usage(setting.folder).free
    sizes = tuple(size for size in SIZES if size * ROOM < free)
    if len(sizes) < 2:
        raise OSError(f"{setting.folder} has only {free:,} bytes left, and ledgers were not measured. Name another.")
    return sizes


def _tell(found: Found, sizes: tuple[int, ...], results: dict[str, list[Any]]) -> None:
    few, most = sizes[0], sizes[-1]
    for question in dict.fromkeys(key.partition("|")[0] for key in results):
        before = results[f"{question}|{few}"]
        found.add(f"{question}, {few:,} calls", before)
        for size in sizes[1:]:
            found.compare(f"{question}, {size:,} calls", results[f"{question}|{size}"], f"{few:,} calls", before)
        ratio = Spread.of(paired(results[f"{question}|{most}"], before)).median
        limit = 1.25 if question == "a guarded write" else 1.5
        found.hold(f"{question}, {most:,} calls / {few:,} calls", ratio, limit)


def _questions(ledger: SqliteLedger, write: Callable[[], object]) -> dict[str, Callable[[], object]]:
    newest = next(row.id for row in ledger.sessions(limit=10) if row.state == "completed")

    def one_session() -> object:
        loaded = agentguard.load(newest, ledger=ledger)
        return loaded.calls, ledger.undos(newest)

    return {
        "a guarded write": write,
        "listing open sessions": ledger.unfinished,
        "listing the newest sessions": partial(ledger.sessions, 20),
        "loading one session": one_session,
        "finding what is in doubt": partial(queue, ledger),
    }


def _model(folder: Path) -> dict[str, str]:
    """Make one session that is over, one that is open and one with calls in doubt; their names by what they are."""
    names = {}
    for kind in ("over", "open", "doubtful"):
        path = folder / "ledger.db"
        with guarded.session(folder) as session:
            names[kind] = session.id
            for _ in range(DOUBTFUL if kind == "doubtful" else CALLS):
                guarded.write(guarded.KILOBYTE)
        with closing(apsw.Connection(str(path))) as db:
            if kind == "open":
                # As a process leaves it that was killed: nobody owns it any more.
                db.execute("UPDATE session SET state = 'open', ended_at = NULL WHERE id = ?", (session.id,))
            if kind == "doubtful":
                db.execute("UPDATE call SET state = 'in_doubt', settled_at = NULL WHERE session = ?", (session.id,))
                db.execute("DELETE FROM undo WHERE session = ?", (session.id,))
    return names


def _grow(model: Path, path: Path, names: dict[str, str], size: int) -> None:
    """Copy the model's sessions until there are *size* calls. Its chain of events is not continued."""
    shutil.copy(model, path)
    with closing(apsw.Connection(str(path))) as db:
        db.execute("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000")
        kinds = ["over"] * max(0, (size - DOUBTFUL) // CALLS - OPEN)
        # The open and the doubtful ones lie among the others, not at the end that is in the cache.
        for place in range(OPEN - 1):
            kinds.insert(len(kinds) // 2 + place, "open")
        with db:
            db.execute("CREATE TEMP TABLE copy (old TEXT, new TEXT)")
            db.executemany("INSERT INTO copy VALUES (?, ?)", ((names[kind], new_session_id()) for kind in kinds))
            for table in ("session", "call", "event"):
                _copy(db, table)
            _copy_undos(db)
            db.execute(_NAMES)
        db.execute("PRAGMA journal_mode = WAL")


_NAMES = """
UPDATE call SET asked = found.asked, told = found.told FROM (
    SELECT session, seq, max(iif(kind = 'intent', id, NULL)) AS asked, max(iif(kind = 'committed', id, NULL)) AS told
    FROM event WHERE kind IN ('intent', 'committed') GROUP BY session, seq
) AS found WHERE found.session = call.session AND found.seq = call.seq
"""
"""Let each copied call name its own copies of the two events."""


def _copy(db: apsw.Connection, table: str) -> None:
    """Copy the rows of each old session under each of its new names, in the order of the names."""
    columns = [str(row[1]) for row in db.execute(f"PRAGMA table_info({table})")]
    of_the_session = "id" if table == "session" else "session"
    taken = ", ".join(
        "copy.new" if name == of_the_session else f'"{table}"."{name}"'
        for name in columns
        if (table, name) != ("event", "id")
    )
    given = ", ".join(f'"{name}"' for name in columns if (table, name) != ("event", "id"))
    order = "" if table == "session" else f', "{table}".seq'
    db.execute(
        f"INSERT INTO {table} ({given}) SELECT {taken} FROM copy CROSS JOIN {table} "
        f'ON "{table}"."{of_the_session}" = copy.old ORDER BY copy.new{order}'
    )


def _copy_undos(db: apsw.Connection) -> None:
    """The same for undos, as the ledger writes them: each has a checksum that covers the name of its session."""
    columns = COLUMNS[UndoRow]
    undos: dict[str, list[UndoRow]] = {}
    for found in db.execute(f"SELECT {columns.names} FROM undo").fetchall():
        row: UndoRow = columns.load(found)
        undos.setdefault(row.session, []).append(row)
    copies: list[tuple[Any, ...]] = db.execute("SELECT old, new FROM copy ORDER BY new").fetchall()
    db.executemany(
        columns.insert,
        (columns.dump(replace(row, session=new)) for old, new in copies for row in undos.get(old, ())),
    )
