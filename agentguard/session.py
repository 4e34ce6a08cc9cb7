"""A session: what a program holds while its agent works, and the way back.

with agentguard.session(agent="onboarding", intent="Open the onboarding issue") as session:
    gh = agentguard.wrap(Github(auth=token), session)
    ...
session.rollback()
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from agentguard import leases
from agentguard.alerts import Alert
from agentguard.calls import Json
from agentguard.clients import Clients
from agentguard.connector import Connector
from agentguard.drivers import arun, loop_is_running, run
from agentguard.errors import SessionClosed, SessionLost, UsageError, WrongSession
from agentguard.flow import Approver, Border, Flow
from agentguard.guard import Guard
from agentguard.ledger import Ledger
from agentguard.ledger.rows import CallRow, SessionRow, SessionState, UndoRow
from agentguard.ledger.sqlite import lost
from agentguard.owning import Ownership
from agentguard.proxy import GuardedClient
from agentguard.redaction import Redactor
from agentguard.registry import seam_for
from agentguard.replay import Memory, Once, once
from agentguard.report import CallOutcome, Report
from agentguard.resuming import Checkpoint, last_checkpoint, on_record, save_checkpoint
from agentguard.savepoint import Savepoint, explain, explain_async
from agentguard.unwinding import Brake, Terms, settle_doubts, take_back, take_back_one

if TYPE_CHECKING:
    from agentguard.work import Work

T = TypeVar("T")
log = logging.getLogger("agentguard")

current: ContextVar[Session | None] = ContextVar("agentguard_session", default=None)
_reason: ContextVar[tuple[str | None, float | None]] = ContextVar("agentguard_reason", default=(None, None))


class Session:
    """One piece of an agent's work, on record and reversible. Make one with `agentguard.session(...)`.

    All methods may be used from several threads and tasks at once.
    """

    def __init__(
        self,
        row: SessionRow,
        ledger: Ledger,
        *,
        approver: Approver | None = None,
        redactor: Redactor | None = None,
        on_alert: Callable[[Alert], object] | None = None,
    ) -> None:
        self.id = row.id
        self.agent = row.agent
        self.intent = row.intent
        self.tenant = row.tenant
        self.user = row.user
        self.on_error = row.on_error
        self.on_alert = on_alert
        self.ledger = ledger
        self.approver = approver
        self.redactor = redactor or Redactor()
        self.clients = Clients(self.redactor)
        self._state = row.state
        self._guards: dict[int, tuple[Guard, GuardedClient]] = {}
        self._lock = threading.RLock()
        self._in_flight = 0
        self.ownership = Ownership(ledger, row.id, row.owner)
        self.memory: Memory | None = None
        """The calls of earlier owners, where this process has resumed the session."""
        self.checkpointed: Checkpoint | None = None
        """Where an earlier owner was, as it last said with `checkpoint`; None where it did not, or there was none."""
        self._tokens: list[Token[Session | None]] = []

    # Wrapping clients

    def wrap(self, client: T, connector: str | Connector | None = None) -> T:
        """Return a guarded twin of *client*, of the same type; *client* itself is left as it is.

        *connector* is the name of an installed connector, or a `Connector`; by default the one that takes clients of
        this type. Raises UnknownClient or UnknownConnector where none does, and SessionClosed when the session is
        over. Wrapping the same client again returns the same twin.
        """
        self.check_takes_calls()
        if isinstance(client, GuardedClient):
            if client._self_guard.session is self:
                return client
            raise WrongSession(
                f"this client was wrapped for session {client._self_guard.session.id} already. Nothing was wrapped. "
                "Wrap the plain client."
            )
        known = self._guards.get(id(client))
        if known is None:
            guard = self.use(client, connector)
            known = self._guards[id(client)] = guard, GuardedClient(guard.twin, guard)
        named = connector.name if isinstance(connector, Connector) else connector
        if named not in (None, known[0].connector.name):
            raise UsageError(
                f"this client is wrapped with the connector {known[0].connector.name!r} in this session already. "
                f"Nothing was wrapped with {named!r}. Use a client of its own for that."
            )
        wrapped: Any = known[1]
        return wrapped  # type: ignore[no-any-return]  # a proxy: it has the type of what it wraps

    def use(self, client: Any, connector: str | Connector | None = None) -> Guard:
        """Let calls and undos of this session use *client*."""
        found, seam = seam_for(client, connector)
        guard = Guard(self, found, seam, client)
        self.clients.all.append(guard)
        return guard

    # Being a context

    def __enter__(self) -> Session:
        self._tokens.append(current.set(self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self._leave()
        if error is None:
            self.complete()
        elif self.is_open() and self.on_error == "rollback":
            explain(self.id, error, lambda: self.rollback(cause=error))

    async def __aenter__(self) -> Session:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if error is None or not self.is_open() or self.on_error != "rollback":
            self.__exit__(kind, error, tb)
            return
        self._leave()
        await explain_async(self.id, error, self.arollback(cause=error))

    def _leave(self) -> None:
        try:
            current.reset(self._tokens.pop())
        except ValueError:  # it was entered in another task or thread, whose active session is not this one's concern
            if current.get() is self:
                current.set(None)

    def complete(self) -> None:
        """End the session well. It can still be rolled back later."""
        with self._lock:
            if not self.is_open():
                return
            if self.enter(SessionState.COMPLETED) is not SessionState.COMPLETED:
                log.warning(
                    "agentguard: session %s was not completed: it is %s, by another process", self.id, self._state
                )
            self.ownership.forget()

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make this the active session in this thread: actions in the block belong to it. Threads start with none."""
        token = current.set(self)
        try:
            yield
        finally:
            current.reset(token)

    @contextmanager
    def because(self, reason: str, confidence: float | None = None) -> Iterator[None]:
        """Put the agent's reason, and how sure it was (0 to 1), on record with each call in this block."""
        if confidence is not None and not 0 <= confidence <= 1:
            raise UsageError(f"confidence is a number from 0 to 1, not {confidence}")
        token = _reason.set((reason, confidence))
        try:
            yield
        finally:
            _reason.reset(token)

    def savepoint(self, name: str) -> Savepoint:
        """Mark a point to which `rollback(to=name)` can go back. As a block: an exception in it goes back to it."""
        self.check_takes_calls()
        with self._lock:
            if name in self.savepoints():
                raise UsageError(f"this session has a savepoint {name!r} already; give each its own name")
            self.ledger.note(self.id, "savepoint", {"name": name, "seq": self.ledger.last(self.id)})
        return Savepoint(self, name)

    def once(self, name: str) -> AbstractContextManager[None]:
        """Name the calls in this block: a call of that name that is on record is not made again.

        Its recorded response comes back as the SDK's own object, also in another process that has resumed the session.
        A second call in the block is known as `name#2`, and so on. Raises KeyReused where the call on record was a
        different one.
        """
        return _named(name)

    def checkpoint(self, name: str, state: Json = None) -> None:
        """Put the program's own *state* (JSON) on record; a process that resumes the session finds it again.

        It is there as `session.checkpointed`, with what is done and what is pending by then. Secrets in it are
        redacted, as everywhere.
        """
        self.check_takes_calls()
        save_checkpoint(self, name, state)

    # Looking

    @property
    def state(self) -> SessionState:
        """Where the session stands."""
        return self._state

    @property
    def calls(self) -> list[CallRow]:
        """The recorded calls, oldest first."""
        return self.ledger.calls(self.id)

    def why(self) -> tuple[str | None, float | None]:
        """The agent's reason and confidence at this moment."""
        return _reason.get()

    # Taking back

    def rollback(
        self,
        to: str | None = None,
        *,
        cause: BaseException | str | None = None,
        concurrency: int = 1,
        timeout: float | None = None,
        on_failure: Literal["continue", "stop"] = "continue",
    ) -> Report:
        """Take the session's calls back, newest first, or only those after the savepoint *to*.

        May be called again, also by another process: what was taken back is not touched again. The report tells what
        came of each call; `report.ok` is True only if every one was restored, compensated or undone already.

        Calls that have nothing to do with each other are taken back side by side, *concurrency* at a time. After
        *timeout* seconds no further undo is begun; nor after one that does not work, where *on_failure* is "stop". So
        does Ctrl-C, which raises RollbackStopped when the undo that is under way has ended.
        """
        brake = Brake(Terms(concurrency, timeout, on_failure))
        with brake.on_interrupt():
            return self.drive(lambda: take_back(self, to, cause, brake), "session.arollback()")

    async def arollback(
        self,
        to: str | None = None,
        *,
        cause: BaseException | str | None = None,
        concurrency: int = 1,
        timeout: float | None = None,  # noqa: ASYNC109 - not of the coroutine: what was begun is brought to its end
        on_failure: Literal["continue", "stop"] = "continue",
    ) -> Report:
        """The same for asynchronous programs."""
        return await arun(take_back(self, to, cause, Brake(Terms(concurrency, timeout, on_failure))))

    def undo(self, seq: int, *, force: bool = False) -> CallOutcome | None:
        """Take one call back; None where there was nothing to take back.

        Raises UsageError where newer calls hang on it that are not taken back. *force* takes it back all the same, and
        also where somebody changed it since: what they wrote is lost.
        """
        brake = Brake(Terms())
        return self.drive(lambda: take_back_one(self, seq, brake, force), "session.arollback()")

    def settle(self) -> list[CallRow]:
        """Find out about the calls in doubt, by evidence; return those of which nothing is known. Takes nothing back.

        For a session that this process owns.
        """
        return self.drive(lambda: settle_doubts(self, Brake(Terms())), "session.asettle()")

    async def asettle(self) -> list[CallRow]:
        """The same for asynchronous programs."""
        return await arun(settle_doubts(self, Brake(Terms())))

    def drive(self, flow: Callable[[], Flow[T]], instead: str) -> T:
        """Run a flow of this session to its end, in an event loop of its own where its clients need one."""
        if all(border.sync for border in self.clients.all):
            return run(flow())
        if loop_is_running():
            raise UsageError(
                "this session has asynchronous clients and an event loop is running. Nothing was taken back. "
                f"Use `await {instead}`, and `async with` for the session."
            )

        async def driven() -> T:
            return await arun(flow())

        return asyncio.run(driven())

    def alarm(self, result: CallOutcome) -> None:
        """Tell the program, if it wants to know, that a call could not be taken back."""
        if self.on_alert is None:
            return
        try:
            self.on_alert(Alert(self.id, self.agent, self.intent, result))
        except Exception:
            log.exception("agentguard: the alert about call %s of session %s failed", result.seq, self.id)

    def savepoints(self) -> dict[str, int]:
        """The savepoints, each with the number of the last call before it."""
        return {e.data["name"]: e.data["seq"] for e in self.ledger.events(self.id, "savepoint")}

    # Owning

    @property
    def token(self) -> int:
        """By which this process writes for the session; 0 where it does not own it."""
        return self.ownership.token

    def check_owner(self) -> None:
        """Raise SessionLost unless a send may start now for this session in this process."""
        self.ownership.check()

    def resume(self) -> None:
        """Go on where an earlier owner was. Raises SessionBusy where it lives, SessionClosed where it is over."""
        self.ownership.claim(reopen=True)
        self._state = SessionState.OPEN
        self.memory = Memory(self.calls, self.ledger.undos(self.id))
        self.checkpointed = last_checkpoint(self)

    def adopt(self) -> None:
        """Own a session whose process is gone. Raises SessionBusy where it lives."""
        self._state = self.ownership.claim().state

    def begin_rollback(self, *, steal: bool = True) -> None:
        """Become the only one who rolls the session back. Raises SessionBusy where another process or thread does.

        Without *steal* also where its process lives.
        """
        found = self.ownership.begin_rollback(steal=steal)
        if found is not None:
            self._state = found.state

    def end_rollback(self) -> None:
        """Let others have the session, unless it goes on in this process."""
        goes_on = self.is_open() and (self.memory is not None or self.ownership.earlier is None)
        self.ownership.end_rollback(keep=goes_on)

    def on_record(self, work: Work) -> Flow[CallRow | None]:
        """Find the call that *work* makes again; None where it is a new one."""
        return on_record(self, work)

    # Calls under way

    def check_takes_calls(self) -> None:
        """Raise unless a call may be made now."""
        if not self.is_open():
            raise SessionClosed(
                f"session {self.id} is {self._state.replace('_', ' ')} and takes no more calls. Nothing was sent. "
                "Start a new session and wrap the plain client for it."
            )
        if not self.ownership.holds:
            raise SessionLost(lost(self.id))
        inside = current.get()
        if inside is not None and inside is not self:
            raise WrongSession(
                f"this client was wrapped for session {self.id}, and session {inside.id} is the one that is active "
                "here. Nothing was sent. Wrap the plain client for the active session."
            )

    @contextmanager
    def taking_call(self) -> Iterator[None]:
        """Count a call as under way, so that a rollback waits for it."""
        with self._lock:
            self.check_takes_calls()
            self._in_flight += 1
        try:
            yield
        finally:
            with self._lock:
                self._in_flight -= 1

    def is_open(self) -> bool:
        """Whether calls may be made."""
        return self._state is SessionState.OPEN

    def calls_under_way(self) -> bool:
        """Whether this process is making a call now."""
        with self._lock:
            return self._in_flight > 0

    def intend(self, call: CallRow, undos: list[UndoRow], keyed: bool, border: Border) -> CallRow:
        """Put a call on record before it is sent, and remember the client that it goes through.

        Two clients of one service may be of two accounts.
        """
        asked = leases.now()
        row = self.ledger.intend(call, undos, keyed)
        self.ownership.seen(row.token, asked)
        self.clients.sent_through(row.seq, border)
        return row

    def enter(self, state: SessionState, cause: str | None = None) -> SessionState:
        """Change the session's state."""
        with self._lock:
            self._state = self.ledger.end_session(self.id, state, self.token, cause)
            return self._state

    def __repr__(self) -> str:
        return f"<agentguard session {self.id} {self._state}>"


@contextmanager
def _named(name: str) -> Iterator[None]:
    if not name:
        raise UsageError("a name given with `once` is a text that is not empty. Nothing was sent.")
    token = once.set(Once(name))
    try:
        yield
    finally:
        once.reset(token)
