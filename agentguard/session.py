"""A session: what a program holds while its agent works, and the way back.

with agentguard.session(agent="onboarding", intent="Open the onboarding issue") as session:
    gh = agentguard.wrap(Github(auth=token), session)
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
from agentguard.asking import Terms
from agentguard.calls import Json
from agentguard.clients import Clients
from agentguard.connector import Connector
from agentguard.drivers import arun, loop_is_running, run
from agentguard.errors import SessionClosed, SessionLost, UsageError, WrongSession
from agentguard.flow import Approver, Border, Flow
from agentguard.gatekeeping import Gatekeeper
from agentguard.guard import Guard
from agentguard.ledger import Ledger
from agentguard.ledger.people import Permit
from agentguard.ledger.rows import CallRow, SessionRow, SessionState, UndoRow
from agentguard.ledger.sqlite import lost
from agentguard.outbox import check_can_be_held, not_sent, send_held
from agentguard.owning import Ownership
from agentguard.plan import RollbackPlan, plan_rollback
from agentguard.redaction import Redactor
from agentguard.replay import Memory, naming, taken_back
from agentguard.report import CallOutcome, Report
from agentguard.resuming import Checkpoint, last_checkpoint, on_record, save_checkpoint
from agentguard.savepoint import Savepoint, explain, explain_async
from agentguard.unwinding import Brake, Pace, settle_doubts, take_back, take_back_one

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
        gatekeeper: Gatekeeper | None = None,
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
        self._lock = threading.RLock()
        self._in_flight = 0
        self.ownership = Ownership(ledger, row.id, row.owner)
        self.gatekeeper = gatekeeper or Gatekeeper(None, Terms())
        self.memory: Memory | None = None
        """The calls of earlier owners, where this process has resumed the session."""
        self.checkpointed: Checkpoint | None = None
        """Where an earlier owner was, as it last said with `checkpoint`; None where it did not, or there was none."""
        self._passed: set[str] = set()
        """The savepoints that this process has come to."""
        self._tokens: list[Token[Session | None]] = []

    # Wrapping clients

    def wrap(self, client: T, connector: str | Connector | None = None) -> T:
        """Return a guarded twin of *client*, of the same type; *client* itself is left as it is.

        *connector* is the name of an installed connector, or a `Connector`; by default the one that takes clients of
        this type. Raises UnknownClient or UnknownConnector where none does, and SessionClosed when the session is
        over. Wrapping the same client again returns the same twin.
        """
        self.check_takes_calls()
        wrapped: T = self.clients.wrapped(self, client, connector)
        return wrapped

    def use(self, client: Any, connector: str | Connector | None = None) -> Guard:
        """Let calls and undos of this session use *client*."""
        return self.clients.use(self, client, connector)

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
        self._leave()
        if error is None:
            await self.acomplete()
        elif self.is_open() and self.on_error == "rollback":
            await explain_async(self.id, error, self.arollback(cause=error))

    def _leave(self) -> None:
        try:
            current.reset(self._tokens.pop())
        except ValueError:  # it was entered in another task or thread, whose active session is not this one's concern
            if current.get() is self:
                current.set(None)

    def complete(self) -> None:
        """Send what was held, and end the session well. It can still be rolled back later.

        Raises HeldNotSent where something that was held could not be sent; the session is complete all the same.
        """
        if not self.is_open():
            return
        if self.memory is not None:
            self.settle()  # what an earlier owner left in doubt, and this one has not made again
        failed = self.drive(lambda: send_held(self), "session.acomplete()") if self.ledger.held(self.id) else []
        self._complete()
        if failed:
            raise not_sent(self.id, failed)

    async def acomplete(self) -> None:
        """The same for asynchronous programs."""
        if not self.is_open():
            return
        if self.memory is not None:
            await self.asettle()
        failed = await arun(send_held(self), approver=self.approver)
        self._complete()
        if failed:
            raise not_sent(self.id, failed)

    def _complete(self) -> None:
        with self._lock:
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
            known = self.redactor.public(name) in self.savepoints()
            if known and (self.memory is None or name in self._passed):
                raise UsageError(f"this session has a savepoint {name!r} already; give each its own name")
            if not known:  # else an earlier owner was there already, and this one comes past it again
                self.ledger.note(self.id, "savepoint", {"name": name, "seq": self.ledger.last(self.id)})
            self._passed.add(name)
        return Savepoint(self, name)

    def once(self, name: str) -> AbstractContextManager[None]:
        """Name the calls in this block: a call of that name that is on record is not made again.

        Its recorded response comes back as the SDK's own object, also in another process that has resumed the session.
        A second call in the block is known as `name#2`, and so on. Raises KeyReused where the call on record was a
        different one.
        """
        return naming(self.redactor.public(name))

    def checkpoint(self, name: str, state: Json = None) -> None:
        """Put the program's own *state* (JSON) on record; a process that resumes the session finds it again.

        It is there as `session.checkpointed`, with what is done and what is pending by then. Secrets in it are
        redacted, as everywhere.
        """
        self.check_takes_calls()
        save_checkpoint(self, self.redactor.public(name), state)

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
        concurrency: int | None = None,
        timeout: float | None = None,
        on_failure: Literal["continue", "stop"] | None = None,
        plan: str | None = None,
        agreed: bool = False,
    ) -> Report:
        """Take the session's calls back, newest first, or only those after the savepoint *to*.

        May be called again, also by another process: what was taken back is not touched again. The report tells what
        came of each call; `report.ok` is True only if every one was restored, compensated or undone already.

        Calls that have nothing to do with each other are taken back side by side, *concurrency* at a time. After
        *timeout* seconds no further undo is begun; nor after one that does not work, where *on_failure* is "stop". So
        does Ctrl-C, which raises RollbackStopped when the undo that is under way has ended. What is not given is as the
        policy's [unwind] says: one at a time, no limit, go on.

        With *plan*, the digest of a `RollbackPlan`, it does exactly that; raises PlanChanged, and does nothing, where
        it would do something else by now. An undo of high risk asks, like any call, unless a person has *agreed* to all
        of them.
        """
        brake = Brake(self.gatekeeper.pace(concurrency, timeout, on_failure, agreed, plan))
        with brake.on_interrupt():
            return self.drive(lambda: take_back(self, to, cause, brake), "session.arollback()")

    async def arollback(
        self,
        to: str | None = None,
        *,
        cause: BaseException | str | None = None,
        concurrency: int | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - not of the coroutine: what was begun is brought to its end
        on_failure: Literal["continue", "stop"] | None = None,
        plan: str | None = None,
        agreed: bool = False,
    ) -> Report:
        """The same for asynchronous programs."""
        brake = Brake(self.gatekeeper.pace(concurrency, timeout, on_failure, agreed, plan))
        return await arun(take_back(self, to, cause, brake), approver=self.approver)

    def plan(self, to: str | None = None) -> RollbackPlan:
        """Say what a rollback would do. Reads from the services and sends nothing; give its `digest` to `rollback`."""
        return self.drive(lambda: plan_rollback(self, to), "session.aplan()")

    async def aplan(self, to: str | None = None) -> RollbackPlan:
        """The same for asynchronous programs."""
        return await arun(plan_rollback(self, to))

    def undo(self, seq: int, *, force: bool = False, agreed: bool = False) -> CallOutcome | None:
        """Take one call back; None where there was nothing to take back.

        Raises UsageError where newer calls hang on it that are not taken back. *force* takes it back all the same, and
        also where somebody changed it since: what they wrote is lost.
        """
        brake = Brake(Pace(agreed=agreed))
        return self.drive(lambda: take_back_one(self, seq, brake, force), "session.arollback()")

    def settle(self) -> list[CallRow]:
        """Find out about calls in doubt, by evidence; return those of which nothing is known. Raises SessionLost."""
        self.check_owner()
        return self.drive(lambda: settle_doubts(self, Brake(Pace())), "session.asettle()")

    async def asettle(self) -> list[CallRow]:
        """The same for asynchronous programs."""
        self.check_owner()
        return await arun(settle_doubts(self, Brake(Pace())))

    def drive(self, flow: Callable[[], Flow[T]], instead: str) -> T:
        """Run a flow of this session to its end, in an event loop of its own where its clients need one."""
        if all(border.sync for border in self.clients.all):
            return run(flow(), approver=self.approver)
        if loop_is_running():
            raise UsageError(
                "this session has asynchronous clients and an event loop is running. Nothing was taken back. "
                f"Use `await {instead}`, and `async with` for the session."
            )

        async def driven() -> T:
            return await arun(flow(), approver=self.approver)

        return asyncio.run(driven())

    def savepoints(self) -> dict[str, int]:
        """The savepoints, each with the number of the last call before it."""
        return {e.data["name"]: e.data["seq"] for e in self.ledger.events(self.id, "savepoint")}

    # Owning

    @property
    def token(self) -> int:
        """By which this process writes for the session; 0 where it does not own it."""
        return self.ownership.token

    @property
    def taking_back(self) -> bool:
        """Whether this process rolls the session back now."""
        return self.ownership.rolling

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
        if goes_on and self.memory is not None:
            self.memory.forget(taken_back(self.ledger.undos(self.id)))

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
        if (inside := current.get()) is not None and inside is not self:
            raise WrongSession(
                f"this client was wrapped for session {self.id}, and session {inside.id} is the one that is active "
                "here. Nothing was sent. Wrap the plain client for the active session."
            )

    @contextmanager
    def taking_call(self, *, checked: bool = True) -> Iterator[None]:
        """Count a call as under way, so that a rollback waits for it."""
        with self._lock:
            if checked:
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

    def intend(self, call: CallRow, undos: list[UndoRow], keyed: bool, border: Border, permit: Permit) -> CallRow:
        """Put a call on record before it is sent, and remember the client that it goes through.

        Two clients of one service may be of two accounts.
        """
        asked = leases.now()
        row = self.ledger.intend(call, undos, keyed, permit)
        self.ownership.seen(row.token, asked)
        self.clients.sent_through(row.seq, border)
        return row

    def hold(self, call: CallRow, arguments: dict[str, Json], border: Border, permit: Permit) -> CallRow:
        """Put a call on record that is sent when the session completes, with its arguments whole."""
        call.arguments = self.redactor.clean(arguments)
        check_can_be_held(call, call.arguments, border.connector.table)
        row = self.ledger.hold(call, permit)
        self.clients.sent_through(row.seq, border)
        return row

    def enter(self, state: SessionState, cause: str | None = None) -> SessionState:
        """Change the session's state."""
        with self._lock:
            self._state = self.ledger.end_session(self.id, state, self.token, cause)
            return self._state

    def __repr__(self) -> str:
        return f"<agentguard session {self.id} {self._state}>"
