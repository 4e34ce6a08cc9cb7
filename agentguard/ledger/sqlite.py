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
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import apsw
import msgspec

from agentguard.calls import CallState, Json, Outcome
from agentguard.errors import LedgerError, NoSuchSession, SessionClosed, SessionExists
from agentguard.ledger.columns import COLUMNS, dumps
from agentguard.ledger.holding import hold
from agentguard.ledger.rows import CallRow, EventRow, SessionRow, SessionState, UndoRow, UndoState
from agentguard.ledger.statements import insert, key_of, next_seq, put_event, put_undos, state_of

Row = TypeVar("Row", SessionRow, CallRow, UndoRow, EventRow)


class SqliteLedger:
    """A ledger in one file. Use `SqliteLedger.at(path)`: one object per file and process."""

    _open: ClassVar[dict[Path, SqliteLedger]] = {}
    _opening = threading.RLock()
    _all: ClassVar[weakref.WeakSet[SqliteLedger]] = weakref.WeakSet()

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._forking = False
        self._closed = False
        self._connect()
        self._all.add(self)

    @classmethod
    def at(cls, path: Path) -> SqliteLedger:
        """Return this process's ledger for *path*, opening or making it when need be."""
        path = path.absolute()
        with cls._opening:
            known = cls._open.get(path)
            if known is None or not known._in_place():
                known = cls._open[path] = cls(path)
            return known

    def _connect(self) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite gives -wal and -shm the mode of the database file, so that file comes first.
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            self._file = os.fstat(file)
            os.close(file)
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
            self._reconnect()
            try:
                with self._exclusively():
                    if durable:
                        self._check_file()
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
                raise LedgerError(
                    f"the ledger at {self.path} could not be written ({error}), and nothing is sent that is not on "
                    "record there. See to the disk's space and the file's permissions, and try again."
                ) from error

    def _check_file(self) -> None:
        # SQLite goes on writing to a file that was deleted, and every intent in it would be lost.
        if not self._in_place():
            raise LedgerError(
                f"the ledger at {self.path} was deleted or replaced while it was open, and nothing is sent without it. "
                "Put the file back, or start a new session."
            )

    def _in_place(self) -> bool:
        return self.path.exists() and os.path.samestat(self.path.stat(), self._file)

    def _rows(self, kind: type[Row], query: str, *values: Any) -> list[Row]:
        with self._lock:
            self._reconnect()
            try:
                columns = COLUMNS[kind]
                found = self._db.execute(f"SELECT {columns.names} FROM {columns.table} {query}", values)  # noqa: S608 - no value is in the text
                return [columns.load(row) for row in found]
            except apsw.Error as error:
                raise LedgerError(f"the ledger at {self.path} could not be read: {error}") from error
            except ValueError as error:
                raise LedgerError(
                    f"the ledger at {self.path} holds a {columns.table} that this version of agentguard cannot read "
                    f"({error}). Nothing was sent. Use the version that wrote it, or a newer one."
                ) from error

    # Forks. A connection must not get to the other side of one, not even to be closed there
    # (https://sqlite.org/howtocorrupt.html#_carrying_an_open_database_across_a_fork_), and a lock that another thread
    # holds would be held there for ever: so all are let go of before, and each side connects again when it needs to.

    def _before_fork(self) -> None:
        self._lock.acquire()
        if not self._closed:
            self._db.close()
            os.close(self._flock)
            self._forking = True

    def _after_fork(self) -> None:
        self._lock.release()

    def _reconnect(self) -> None:
        if self._closed:
            raise LedgerError(f"the ledger at {self.path} was closed, and nothing is sent without it. Open it again.")
        if self._forking:
            self._connect()
            self._forking = False

    # Sessions

    def start_session(self, session: SessionRow) -> None:
        """Put a new session on record. Raises SessionExists."""
        with self._writing() as db:
            if db.execute("SELECT 1 FROM session WHERE id = ?", (session.id,)).fetchone():
                raise SessionExists(
                    f"there is a session {session.id!r} in {self.path} already. Nothing was started. "
                    "Leave id= out for a new name."
                )
            insert(db, session)
            put_event(db, session.id, "session started", {"agent": session.agent, "intent": session.intent})

    def end_session(self, session: str, state: SessionState, cause: str | None = None) -> SessionState:
        """Change the state of a session; return its state. One that is no longer open cannot be completed."""
        ended = None if state in (SessionState.OPEN, SessionState.ROLLING_BACK) else time.time()
        with self._writing(durable=ended is not None) as db:
            now = state_of(db, session)
            if state is SessionState.COMPLETED and now is not SessionState.OPEN:
                return now
            db.execute(
                "UPDATE session SET state = ?, ended_at = ?, cause = coalesce(?, cause) WHERE id = ?",
                (state, ended, cause, session),
            )
            put_event(db, session, f"session {state}", {"cause": cause})
            return state

    def hold(self, session: str) -> Callable[[], None] | None:
        """Make the caller the only one who rolls *session* back; return what ends that. None: somebody else is."""
        try:
            return hold(self.path, session)
        except OSError as error:
            raise LedgerError(f"the folder of the ledger at {self.path} cannot be written to: {error}") from error

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
            # Another process may have rolled the session back since; what comes after that would be left standing.
            state = state_of(db, call.session)
            if state is not SessionState.OPEN:
                raise SessionClosed(
                    f"session {call.session} is {state.replace('_', ' ')}, in this process or by another one, "
                    "and takes no more calls. Nothing was sent. Start a new session and wrap the plain client for it."
                )
            ordinal, key = key_of(db, call) if keyed else (0, call.key)
            call = msgspec.structs.replace(call, seq=next_seq(db, call.session), ordinal=ordinal, key=key)
            insert(db, call)
            put_undos(db, call, undos)
            put_event(db, call.session, "intent", {"operation": call.operation, "reason": call.reason}, call.seq)
            return call

    def refuse(self, call: CallRow) -> CallRow:
        """Put a call on record that was stopped and never sent."""
        with self._writing() as db:
            call = msgspec.structs.replace(call, seq=next_seq(db, call.session), state=CallState.REFUSED)
            insert(db, call)
            put_event(db, call.session, "refused", {"operation": call.operation, "error": call.error}, call.seq)
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
            known = db.execute(
                "SELECT state FROM call WHERE session = ? AND seq = ?", (call.session, call.seq)
            ).fetchone()
            if known == (CallState.COMMITTED,):
                # A rollback by another process has found out before; its undos must not be planned anew.
                put_event(db, call.session, "late answer", {"state": state, "status": status, "error": error}, call.seq)
                return
            db.execute(
                "UPDATE call SET state = ?, status = ?, answer = ?, error = ?, settled_at = ? "
                "WHERE session = ? AND seq = ?",
                (state, status, dumps(answer), error, time.time(), call.session, call.seq),
            )
            if undos is not None:
                db.execute("DELETE FROM undo WHERE session = ? AND seq = ?", (call.session, call.seq))
                put_undos(db, call, undos)
            put_event(db, call.session, state, {"status": status, "error": error}, call.seq)
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
            put_event(db, call.session, CallState.NOT_APPLIED, {"error": error}, seq)

    def calls(self, session: str) -> list[CallRow]:
        """Return the calls of a session, oldest first."""
        return self._rows(CallRow, "WHERE session = ? ORDER BY seq", session)

    def last(self, session: str) -> int:
        """Return the number of the newest call of a session, 0 where there is none."""
        with self._lock:
            self._reconnect()
            try:
                return next_seq(self._db, session) - 1
            except apsw.Error as error:
                raise LedgerError(f"the ledger at {self.path} could not be read: {error}") from error

    def undos(self, session: str) -> list[UndoRow]:
        """Return the undos of a session, by call and then in the order in which they were registered."""
        return self._rows(UndoRow, "WHERE session = ? ORDER BY seq, n", session)

    # Undos

    def begin_undo(self, undo: UndoRow) -> None:
        """Write down that an undo is about to be sent."""
        with self._writing(durable=True) as db:
            self._change_undo(db, undo, UndoState.SENDING, None, "", None)
            put_event(db, undo.session, "undo intent", {"operation": undo.name}, undo.seq, undo.n)

    def end_undo(self, undo: UndoRow, outcome: Outcome, detail: str, found: Json) -> None:
        """Write down what came of an undo."""
        with self._writing() as db:
            self._change_undo(db, undo, UndoState.DONE, outcome, detail, found)
            put_event(db, undo.session, f"undo {outcome}", {"detail": detail}, undo.seq, undo.n)

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
                dumps(found),
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
            put_event(db, session, kind, data)

    def events(self, session: str, kind: str | None = None) -> list[EventRow]:
        """Return the events of a session in order, those of one *kind* or all."""
        return self._rows(EventRow, "WHERE session = ? AND kind = coalesce(?, kind) ORDER BY id", session, kind)

    def close(self) -> None:
        """Make everything durable and let go of the file."""
        with self._opening, self._lock:
            if self._open.get(self.path) is self:
                del self._open[self.path]
            if not self._closed and not self._forking:
                self._db.close()
                os.close(self._flock)
            self._closed, self._forking = True, False


_at_fork: list[SqliteLedger] = []


def _before_fork() -> None:
    SqliteLedger._opening.acquire()
    _at_fork.extend(SqliteLedger._all)
    for ledger in _at_fork:
        ledger._before_fork()


def _after_fork() -> None:
    while _at_fork:
        _at_fork.pop()._after_fork()
    SqliteLedger._opening.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
