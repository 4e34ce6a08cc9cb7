"""The ledger in one SQLite file, shared by the threads of a process and by processes.

Why apsw and not the standard library's sqlite3: SQLite up to 3.51.2 can corrupt a WAL database that two connections
write at the same instant (https://sqlite.org/releaselog/3_51_3.html), which is exactly what a ledger is, and most
Pythons link an older one. apsw's wheel carries a fixed SQLite on every platform.

One connection serves all threads of a process, under one lock. Between processes an `flock` on a file beside the
database orders the writers: SQLite's own waiting sleeps in growing steps and has calls of half a second.

Durability: with `synchronous=FULL` a commit returns when it is on the disk; with `NORMAL` it is in the operating
system's hands, which survives the death of the process but not a power cut. Intents are FULL, results NORMAL: a result
lost to a power cut is a doubt that the next rollback settles, an intent lost would be an effect nobody knows of.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import apsw
import msgspec

from agentguard.calls import CallState, Json, Outcome
from agentguard.errors import LedgerError, NoSuchSession, SessionExists
from agentguard.ledger.rows import CallRow, EventRow, SessionRow, SessionState, UndoRow, UndoState

Row = TypeVar("Row", SessionRow, CallRow, UndoRow, EventRow)
_encode = msgspec.json.Encoder(enc_hook=str).encode


class SqliteLedger:
    """A ledger in one file. Use `SqliteLedger.at(path)`: one object per file and process."""

    _open: ClassVar[dict[Path, SqliteLedger]] = {}
    _opening = threading.Lock()

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._connect()

    @classmethod
    def at(cls, path: Path) -> SqliteLedger:
        """Return this process's ledger for *path*, opening or making it when need be."""
        path = path.absolute()
        with cls._opening:
            known = cls._open.get(path)
            if known is None or not path.exists():
                known = cls._open[path] = cls(path)
            return known

    def _connect(self) -> None:
        self._pid = os.getpid()
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite gives -wal and -shm the mode of the database file, so that file comes first.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            self._flock = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._db = apsw.Connection(str(self.path))
            self._db.set_busy_timeout(30_000)
            self._synchronous = ""
            with self._exclusively():
                self._db.execute("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON")
                self._migrate()
        except (apsw.Error, OSError) as error:
            raise LedgerError(
                f"the ledger at {self.path} cannot be opened ({error}). Nothing was started. "
                "Check the path and its permissions, or name another one with AGENTGUARD_LEDGER."
            ) from error

    def _migrate(self) -> None:
        version = self._db.pragma("user_version")
        folder = resources.files("agentguard.ledger") / "migrations"
        scripts = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
        if version > len(scripts):
            raise LedgerError(
                f"the ledger at {self.path} was written by a newer agentguard (schema {version}, known are "
                f"{len(scripts)}). Nothing was changed. Upgrade agentguard to use it."
            )
        for number, script in enumerate(scripts[version:], version + 1):
            with self._db:
                self._db.execute(script.read_text())
                self._db.pragma("user_version", number)

    # Transactions

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        fcntl.flock(self._flock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._flock, fcntl.LOCK_UN)

    @contextmanager
    def _writing(self, durable: bool = False) -> Iterator[apsw.Connection]:
        """One transaction; *durable*: on the disk when the block is left."""
        with self._lock:
            self._after_fork()
            try:
                with self._exclusively():
                    level = "FULL" if durable else "NORMAL"
                    if level != self._synchronous:
                        self._db.execute(f"PRAGMA synchronous = {level}")
                        self._synchronous = level
                    self._db.execute("BEGIN IMMEDIATE")
                    try:
                        yield self._db
                        self._db.execute("COMMIT")
                    except BaseException:
                        if self._db.in_transaction:
                            self._db.execute("ROLLBACK")
                        raise
            except (apsw.Error, OSError) as error:
                raise LedgerError(f"the ledger at {self.path} could not be written: {error}") from error

    def _rows(self, kind: type[Row], query: str, *values: Any) -> list[Row]:
        with self._lock:
            self._after_fork()
            try:
                columns = _COLUMNS[kind]
                found = self._db.execute(f"SELECT {columns.names} FROM {columns.table} {query}", values)  # noqa: S608 - no value is in the text
                return [columns.load(row) for row in found]
            except apsw.Error as error:
                raise LedgerError(f"the ledger at {self.path} could not be read: {error}") from error

    def _after_fork(self) -> None:
        # An SQLite connection must not be used on the other side of a fork: the child opens its own.
        if self._pid != os.getpid():
            self._lock = threading.RLock()
            self._connect()

    # Sessions

    def start_session(self, session: SessionRow) -> None:
        """Put a new session on record. Raises SessionExists."""
        with self._writing() as db:
            if db.execute("SELECT 1 FROM session WHERE id = ?", (session.id,)).fetchone():
                raise SessionExists(
                    f"there is a session {session.id!r} in {self.path} already. Nothing was started. "
                    "Leave id= out for a new name."
                )
            _insert(db, session)
            _event(db, session.id, "session started", {"agent": session.agent, "intent": session.intent})

    def end_session(self, session: str, state: SessionState, cause: str | None = None) -> None:
        """Change the state of a session."""
        ended = None if state in (SessionState.OPEN, SessionState.ROLLING_BACK) else time.time()
        with self._writing(durable=ended is not None) as db:
            db.execute(
                "UPDATE session SET state = ?, ended_at = ?, cause = coalesce(?, cause) WHERE id = ?",
                (state, ended, cause, session),
            )
            _event(db, session, f"session {state}", {"cause": cause})

    def session(self, session: str) -> SessionRow:
        """Return one session. Raises NoSuchSession."""
        found = self._rows(SessionRow, "WHERE id = ?", session)
        if not found:
            raise NoSuchSession(f"there is no session {session!r} in {self.path}. `agentguard sessions` lists them.")
        return found[0]

    def sessions(self, limit: int = 100) -> list[SessionRow]:
        """Return the newest sessions, newest first."""
        return self._rows(SessionRow, "ORDER BY id DESC LIMIT ?", limit)

    # Calls

    def intend(self, call: CallRow, undos: list[UndoRow], keyed: bool) -> CallRow:
        """Put a call on record before it is sent, with the undos known so far; return it with `seq` and `key`."""
        with self._writing(durable=True) as db:
            # An equal call that is in doubt is repeated under its own key, so that the service can tell that it is
            # the same one; every other equal call counts as one that was meant.
            settled = (
                "SELECT count(*) FROM call WHERE session = ? AND digest = ? AND state NOT IN ('in_doubt', 'refused')"
            )
            ordinal = _number(db, settled, call.session, call.digest) if keyed else 0
            key = f"agentguard-{call.session}-{call.digest[:16]}-{ordinal}" if keyed and call.key is None else call.key
            call = msgspec.structs.replace(call, seq=_next(db, call.session), ordinal=ordinal, key=key)
            _insert(db, call)
            _put_undos(db, call, undos)
            _event(db, call.session, "intent", {"operation": call.operation, "reason": call.reason}, call.seq)
            return call

    def refuse(self, call: CallRow) -> CallRow:
        """Put a call on record that was stopped and never sent."""
        with self._writing() as db:
            call = msgspec.structs.replace(call, seq=_next(db, call.session), state=CallState.REFUSED)
            _insert(db, call)
            _event(db, call.session, "refused", {"operation": call.operation, "error": call.error}, call.seq)
            return call

    def settle(
        self,
        call: CallRow,
        state: CallState,
        *,
        undos: list[UndoRow] | None = None,
        status: int | None = None,
        answer: Json = None,
        error: str | None = None,
    ) -> None:
        """Write down what came of a call. *undos* replace those of its intent."""
        with self._writing() as db:
            db.execute(
                "UPDATE call SET state = ?, status = ?, answer = ?, error = ?, settled_at = ? "
                "WHERE session = ? AND seq = ?",
                (state, status, _encode(answer).decode(), error, time.time(), call.session, call.seq),
            )
            if undos is not None:
                db.execute("DELETE FROM undo WHERE session = ? AND seq = ?", (call.session, call.seq))
                _put_undos(db, call, undos)
            _event(db, call.session, state, {"status": status, "error": error}, call.seq)
            if state is CallState.COMMITTED and call.key:
                self._settle_repeats(db, call)

    def _settle_repeats(self, db: apsw.Connection, call: CallRow) -> None:
        """The effect of earlier doubtful calls under the same idempotency key is the effect of this one."""
        earlier = db.execute(
            "SELECT seq FROM call WHERE session = ? AND key = ? AND state = 'in_doubt' AND seq < ?",
            (call.session, call.key, call.seq),
        ).fetchall()
        for (seq,) in earlier:
            assert isinstance(seq, int)
            error = f"settled by call {call.seq}, which repeated it under the same idempotency key"
            db.execute(
                "UPDATE call SET state = 'not_applied', error = ? WHERE session = ? AND seq = ?",
                (error, call.session, seq),
            )
            _event(db, call.session, CallState.NOT_APPLIED, {"error": error}, seq)

    def calls(self, session: str) -> list[CallRow]:
        """Return the calls of a session, oldest first."""
        return self._rows(CallRow, "WHERE session = ? ORDER BY seq", session)

    def undos(self, session: str) -> list[UndoRow]:
        """Return the undos of a session, by call and then in the order in which they were registered."""
        return self._rows(UndoRow, "WHERE session = ? ORDER BY seq, n", session)

    # Undos

    def begin_undo(self, undo: UndoRow) -> None:
        """Write down that an undo is about to be sent."""
        with self._writing(durable=True) as db:
            self._change_undo(db, undo, UndoState.SENDING, None, "", None)
            _event(db, undo.session, "undo intent", {"operation": undo.name}, undo.seq, undo.n)

    def end_undo(self, undo: UndoRow, outcome: Outcome, detail: str, found: Json) -> None:
        """Write down what came of an undo."""
        with self._writing() as db:
            self._change_undo(db, undo, UndoState.DONE, outcome, detail, found)
            _event(db, undo.session, f"undo {outcome}", {"detail": detail}, undo.seq, undo.n)

    def _change_undo(
        self, db: apsw.Connection, undo: UndoRow, state: UndoState, outcome: Outcome | None, detail: str, found: Json
    ) -> None:
        db.execute(
            "UPDATE undo SET state = ?, attempt = ?, outcome = ?, detail = ?, found = ?, updated_at = ? "
            "WHERE session = ? AND seq = ? AND n = ?",
            (
                state,
                undo.attempt,
                outcome,
                detail,
                _encode(found).decode(),
                time.time(),
                undo.session,
                undo.seq,
                undo.n,
            ),
        )

    # Events

    def note(self, session: str, kind: str, data: dict[str, Json]) -> None:
        """Append an event that changes no row."""
        with self._writing() as db:
            _event(db, session, kind, data)

    def events(self, session: str) -> list[EventRow]:
        """Return the events of a session in order."""
        return self._rows(EventRow, "WHERE session = ? ORDER BY id", session)

    def close(self) -> None:
        """Make everything durable and let go of the file."""
        with self._opening, self._lock:
            type(self)._open.pop(self.path, None)
            if self._pid == os.getpid():
                self._db.close()
                os.close(self._flock)


class _Columns:
    """How one kind of row lies in its table: text, numbers and null as they are, everything else as JSON."""

    def __init__(self, kind: type[Any], table: str) -> None:
        self.kind = kind
        self.table = table
        fields = msgspec.structs.fields(kind)
        self.fields = [field.name for field in fields]
        self.names = ", ".join(f'"{name}"' for name in self.fields)
        self.json = {
            f.name
            for f in fields
            if f.name in ("arguments", "snapshots", "answer", "look", "left", "back", "found", "data")
        }
        self.insert = f"INSERT INTO {table} ({self.names}) VALUES ({', '.join('?' * len(fields))})"  # noqa: S608 - likewise

    def dump(self, row: msgspec.Struct) -> tuple[Any, ...]:
        return tuple(
            _encode(value).decode() if name in self.json else _plain(value)
            for name in self.fields
            for value in (getattr(row, name),)
        )

    def load(self, row: tuple[Any, ...]) -> Any:
        values = {
            name: msgspec.json.decode(value) if name in self.json else value
            for name, value in zip(self.fields, row, strict=True)
        }
        return msgspec.convert(values, self.kind, strict=False)


def _plain(value: Any) -> Any:
    value = getattr(value, "value", value)
    return int(value) if isinstance(value, bool) else value


_COLUMNS = {
    SessionRow: _Columns(SessionRow, "session"),
    CallRow: _Columns(CallRow, "call"),
    UndoRow: _Columns(UndoRow, "undo"),
    EventRow: _Columns(EventRow, "event"),
}


def _insert(db: apsw.Connection, row: SessionRow | CallRow | UndoRow) -> None:
    columns = _COLUMNS[type(row)]
    db.execute(columns.insert, columns.dump(row))


def _next(db: apsw.Connection, session: str) -> int:
    return _number(db, "SELECT coalesce(max(seq), 0) + 1 FROM call WHERE session = ?", session)


def _number(db: apsw.Connection, query: str, *values: str) -> int:
    (found,) = next(iter(db.execute(query, values)))
    return int(found)


def _put_undos(db: apsw.Connection, call: CallRow, undos: list[UndoRow]) -> None:
    for n, row in enumerate(undos, 1):
        _insert(db, msgspec.structs.replace(row, seq=call.seq, n=n))


def _event(
    db: apsw.Connection, session: str, kind: str, data: dict[str, Json], seq: int | None = None, n: int | None = None
) -> None:
    present = {name: value for name, value in data.items() if value is not None}
    db.execute(
        "INSERT INTO event (session, seq, n, kind, at, data) VALUES (?, ?, ?, ?, ?, ?)",
        (session, seq, n, str(kind), time.time(), _encode(present).decode()),
    )
