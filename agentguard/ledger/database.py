"""One SQLite file as the ledger uses it: opened once for each process, written in groups, safe across forks.

Why apsw and not the standard library's sqlite3: SQLite up to 3.51.2 can corrupt a WAL database that two connections
write at the same instant (https://sqlite.org/releaselog/3_51_3.html), which is exactly what a ledger is, and most
Pythons link an older one. apsw's wheel carries a fixed SQLite on every platform.

One connection serves all threads of a process. Writers queue: the first leads and commits for all that wait by then,
so that they share a sync, and hands the lead on. Between processes an `flock` on a file beside the database orders the
leaders: SQLite's own waiting sleeps in growing steps and has calls of half a second.

Durability: with `synchronous=FULL` a commit returns when it is on the disk; with `NORMAL` it is in the operating
system's hands, which survives the death of the process but not a power cut.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import apsw

from agentguard import failpoints
from agentguard.errors import LedgerError

T = TypeVar("T")
Job = Callable[[apsw.Connection], T]
MIGRATIONS = "migrations"
WAIT = 30.0
"""Seconds for which a ledger that another process keeps locked is waited for."""
AFTER_EFFECT = frozenset({"result", "undo_result"})
"""Writes that tell of what is out already: better written by an old version than not at all."""
NOT_UNDERSTOOD = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What reading a value raises that is not what was written: a damaged file, or one of a newer version."""


class _Turn(Generic[T]):
    """One write that waits for its turn, with those of other threads."""

    __slots__ = ("awake", "done", "durable", "error", "job", "name", "result")

    def __init__(self, name: str, job: Job[T], durable: bool) -> None:
        self.name, self.job, self.durable = name, job, durable
        self.result: T | None = None
        self.error: BaseException | None = None
        self.done = False
        self.awake: threading.Event | None = None
        """Set when the turn is done, or when it shall lead."""


class _FileLock:
    """An `flock` that is waited for in turn, and not for ever: its holder may be a process that was stopped.

    One thread at a time may ask for it.
    """

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._mutex = threading.Lock()
        self._coming: threading.Event | None = None
        """Set when the thread that waits in the kernel's queue has come to its turn; None: there is no such thread."""
        self._wanted = False

    def __enter__(self) -> None:
        with self._mutex:
            if self._coming is None:
                with suppress(BlockingIOError):
                    fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return
                self._coming = threading.Event()
                waiting = (os.dup(self._file), self._coming)
                threading.Thread(target=self._wait, args=waiting, name="agentguard-lock", daemon=True).start()
            coming, self._wanted = self._coming, True
        try:
            if coming.wait(WAIT):
                return
        except BaseException:
            if self._give_up(coming):
                fcntl.flock(self._file, fcntl.LOCK_UN)
            raise
        if not self._give_up(coming):
            raise TimeoutError(errno.ETIMEDOUT, f"another process has kept it locked for {WAIT:g} seconds")

    def __exit__(self, *_error: object) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._file)

    def _give_up(self, coming: threading.Event) -> bool:
        """Want it no longer; whether it has come all the same."""
        with self._mutex:
            self._wanted = False
            return coming.is_set()

    def _wait(self, file: int, coming: threading.Event) -> None:
        # `file` is a second number of the same open file: the first may be closed, and be that of another, by then.
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            with self._mutex:
                self._coming = None
                if self._wanted:
                    coming.set()
                else:
                    fcntl.flock(file, fcntl.LOCK_UN)
        finally:
            os.close(file)


class Database:
    """A file and this process's connection to it."""

    _all: ClassVar[weakref.WeakSet[Database]] = weakref.WeakSet()
    opening = threading.RLock()

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        """Held by whoever uses the connection."""
        self._queue: deque[_Turn[Any]] = deque()
        self._leader: _Turn[Any] | None = None
        """The turn whose thread writes for all that wait, or shall as soon as it is awake."""
        self._turns = threading.Lock()
        self._forking = False
        self._closed = False
        self._scripts = sorted(
            (f for f in (resources.files("agentguard.ledger") / MIGRATIONS).iterdir() if f.name.endswith(".sql")),
            key=lambda f: f.name,
        )
        self._connect()
        self._all.add(self)

    def _connect(self) -> None:
        opened = ExitStack()
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite gives -wal and -shm the mode of the database file, so that file comes first.
            file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            self._file = os.fstat(file)
            os.close(file)
            self._alone = _FileLock(f"{self.path}.lock")
            opened.callback(self._alone.close)
            self._db = apsw.Connection(str(self.path))
            opened.callback(self._db.close)
            self._db.set_busy_timeout(int(WAIT * 1000))
            self._synchronous = ""
            with self._alone:
                version = self._version()
                self._db.execute("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON")
                self._migrate(version)
            opened.pop_all()  # stays open
        except (apsw.Error, OSError, *NOT_UNDERSTOOD) as error:
            raise LedgerError(
                f"the ledger at {self.path} cannot be opened ({error}). Nothing was started, and nothing is sent "
                f"without it. {remedy(error)} Or name another one with AGENTGUARD_LEDGER."
            ) from error
        finally:
            opened.close()

    def _version(self) -> int:
        """The schema of the file. Raises LedgerError for one that is not known here."""
        (version,) = next(self._db.execute("PRAGMA user_version"))
        assert isinstance(version, int)
        if version > len(self._scripts):
            raise LedgerError(
                f"the ledger at {self.path} was written by a newer agentguard (schema {version}, known are "
                f"{len(self._scripts)}). Nothing was changed, and nothing is sent without it. Upgrade agentguard to "
                "use it."
            )
        return version

    def _migrate(self, version: int) -> None:
        for number, script in enumerate(self._scripts[version:], version + 1):
            with self._db:
                self._db.execute(script.read_text())
                self._db.pragma("user_version", number)

    # Writing

    def write(self, name: str, job: Job[T], *, durable: bool = False) -> T:
        """Run *job* in a transaction and return what it returns; *durable*: on the disk when this returns.

        *name* is that of its failpoint, `mid_NAME`: just before the commit.
        """
        turn = _Turn(name, job, durable)
        try:
            with self._turns:
                if self._leader is None:
                    self._leader = turn
                else:
                    turn.awake = threading.Event()
                self._queue.append(turn)
            if turn.awake is not None:
                turn.awake.wait()
            if not turn.done:
                self._lead()
        except BaseException:
            self._leave(turn)
            raise
        if turn.error is not None:
            raise turn.error
        return turn.result  # type: ignore[return-value]  # it has been set where there is no error

    def _leave(self, turn: _Turn[Any]) -> None:
        """Take back a turn whose thread is interrupted; where it was to lead, or to wake who leads next, it has to."""
        with self._turns:
            if turn in self._queue:
                self._queue.remove(turn)
            leader = self._leader
        if leader is turn:
            self._lead()
        elif leader is not None and leader.awake is not None:
            leader.awake.set()

    def _lead(self) -> None:
        """Commit what waits, then let the next one lead."""
        turns: deque[_Turn[Any]] = deque()
        try:
            with self._turns:
                turns, self._queue = self._queue, deque()
            with self._lock:
                self._commit(turns)
        except BaseException as error:
            told = self._explained(error)
            if not isinstance(error, Exception):  # it is this thread's alone
                told = LedgerError(
                    f"the ledger at {self.path} was not written, as the thread that wrote for several was interrupted, "
                    "and nothing is sent that is not on record there. Try again."
                )
            for turn in turns:
                if turn.error is None:
                    turn.error = told
            if not isinstance(error, Exception):
                raise
        finally:
            for turn in turns:
                turn.done = True
            with self._turns:
                leader = self._leader = self._queue[0] if self._queue else None
            for turn in turns:
                if turn.awake is not None:
                    turn.awake.set()
            if leader is not None and leader.awake is not None:
                leader.awake.set()

    def _commit(self, turns: deque[_Turn[Any]]) -> None:
        self.reconnect()
        durable = any(turn.durable for turn in turns)
        with self._alone:
            if durable:
                self._check_file()
            level = "FULL" if durable else "NORMAL"
            if level != self._synchronous:
                self._db.execute(f"PRAGMA synchronous = {level}")
                self._synchronous = level
            self._db.execute("BEGIN IMMEDIATE")
            try:
                if any(turn.name not in AFTER_EFFECT for turn in turns):
                    self._version()  # another process may have upgraded it
                if len(turns) == 1:
                    turns[0].result = turns[0].job(self._db)
                else:
                    for turn in turns:
                        self._one_of_many(turn)
                if failpoints.trap is not None:
                    for turn in turns:
                        failpoints.trap.reach(f"mid_{turn.name}")
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _one_of_many(self, turn: _Turn[Any]) -> None:
        """Run one job so that its failure leaves the others alone."""
        self._db.execute("SAVEPOINT turn")
        try:
            turn.result = turn.job(self._db)
        except Exception as error:
            if not self._db.in_transaction:
                raise
            self._db.execute("ROLLBACK TO turn")
            turn.error = self._explained(error)
        self._db.execute("RELEASE turn")

    def _explained(self, error: BaseException) -> BaseException:
        if not isinstance(error, (apsw.Error, OSError, *NOT_UNDERSTOOD)):
            return error
        told = LedgerError(
            f"the ledger at {self.path} could not be written ({error}), and nothing is sent that is not on "
            f"record there. {remedy(error)}"
        )
        told.__cause__ = error
        return told

    def _check_file(self) -> None:
        # SQLite goes on writing to a file that was deleted, and every intent in it would be lost.
        if not self.in_place():
            raise LedgerError(
                f"the ledger at {self.path} was deleted or replaced while it was open, and nothing is sent without it. "
                "Put the file back, or start a new session."
            )

    def in_place(self) -> bool:
        """Whether the path still names the file that is open."""
        try:
            return os.path.samestat(os.stat(self.path), self._file)
        except OSError:
            return False

    def shrink(self) -> None:
        """Rewrite the file so that nothing of what was removed is left in it."""
        with self._lock:
            self.reconnect()
            try:
                with self._alone:
                    self._db.execute("VACUUM")
                    self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except (apsw.Error, OSError) as error:
                raise LedgerError(
                    f"the ledger at {self.path} could not be rewritten ({error}). {remedy(error)}"
                ) from error

    # Reading

    def read(self, job: Job[T]) -> T:
        """Run *job*, which only reads."""
        with self._lock:
            self.reconnect()
            try:
                return job(self._db)
            except (apsw.Error, OSError, *NOT_UNDERSTOOD) as error:
                raise LedgerError(
                    f"the ledger at {self.path} could not be read ({error}), and nothing is sent without it. "
                    f"{remedy(error)}"
                ) from error

    # Forks. A connection must not get to the other side of one, not even to be closed there
    # (https://sqlite.org/howtocorrupt.html#_carrying_an_open_database_across_a_fork_), and a lock that another thread
    # holds would be held there for ever: so all are let go of before, and each side connects again when it needs to.

    def before_fork(self) -> None:
        """Let go of the connection, and keep others from it."""
        self._lock.acquire()
        if not self._closed and not self._forking:
            self._db.close()
            self._alone.close()
            self._forking = True

    def after_fork(self, child: bool) -> None:
        """Let the side that calls use it again. The threads that waited for their turn are on the parent's side."""
        if child:
            self._lock, self._turns = threading.RLock(), threading.Lock()
            self._queue, self._leader = deque(), None
        else:
            self._lock.release()

    def reconnect(self) -> None:
        """Connect again after a fork. Raises LedgerError where the ledger was closed."""
        if self._closed:
            raise LedgerError(f"the ledger at {self.path} was closed, and nothing is sent without it. Open it again.")
        if self._forking:
            self._connect()
            self._forking = False

    def close(self) -> None:
        """Make everything durable and let go of the file."""
        with self._lock:
            if not self._closed and not self._forking:
                self._db.close()
                self._alone.close()
            self._closed, self._forking = True, False


def remedy(error: BaseException) -> str:
    """What to do about *error*, in a sentence or two."""
    match error:
        case apsw.BusyError() | apsw.LockedError() | TimeoutError():
            return "Wait for the process that holds it, or end that one, and try again."
        case apsw.ReadOnlyError() | apsw.CantOpenError() | PermissionError():
            return "See to the permissions of the file and of its folder, and try again."
        case apsw.CorruptError() | apsw.NotADBError():
            return "The file is damaged, or no ledger: put back a copy of it."
        case _ if isinstance(error, NOT_UNDERSTOOD):
            return "The file is damaged, or a newer agentguard has written it: put back a copy of it, or upgrade."
    return "See to the disk's space and the file's permissions, and try again."


_at_fork: list[Database] = []


def _before_fork() -> None:
    Database.opening.acquire()
    _at_fork.extend(Database._all)
    for database in _at_fork:
        database.before_fork()


def _after_fork(child: bool) -> None:
    while _at_fork:
        _at_fork.pop().after_fork(child)
    Database.opening.release()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=lambda: _after_fork(False),
    after_in_child=lambda: _after_fork(True),
)
