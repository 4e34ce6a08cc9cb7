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
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar

from agentguard.approvals import resolve_approver
from agentguard.connector import Connector
from agentguard.errors import SessionClosed, UnknownConnector, UsageError, WrongSession
from agentguard.flow import Approver, Border, Commit, Flow, Pause, arun, loop_is_running, run, whose
from agentguard.guard import Guard
from agentguard.ledger import Ledger, locate
from agentguard.ledger.rows import CallRow, SessionRow, SessionState, new_session_id
from agentguard.proxy import GuardedClient
from agentguard.redaction import Redactor
from agentguard.registry import connector as installed
from agentguard.registry import seam_for
from agentguard.report import CallOutcome, Report
from agentguard.rollback import Unwinding, unwind
from agentguard.savepoint import Savepoint, explain, explain_async

T = TypeVar("T")
log = logging.getLogger("agentguard")

current: ContextVar[Session | None] = ContextVar("agentguard_session", default=None)
_reason: ContextVar[tuple[str | None, float | None]] = ContextVar("agentguard_reason", default=(None, None))

IN_FLIGHT_SECONDS = 60.0
"""How long a rollback waits for calls that other threads or tasks have under way; after that they are in doubt."""
POLL_SECONDS = 0.02


class Session:
    """One piece of an agent's work, on record and reversible. Make one with `agentguard.session(...)`.

    All methods may be used from several threads and tasks at once.
    """

    def __init__(
        self, row: SessionRow, ledger: Ledger, *, approver: Approver | None = None, redactor: Redactor | None = None
    ) -> None:
        self.id = row.id
        self.agent = row.agent
        self.intent = row.intent
        self.tenant = row.tenant
        self.user = row.user
        self.on_error = row.on_error
        self.ledger = ledger
        self.approver = approver
        self.redactor = redactor or Redactor()
        self._state = row.state
        self._guards: dict[int, tuple[Guard, GuardedClient]] = {}
        self._borders: list[Border] = []
        self._sent_through: dict[int, Border] = {}
        self._lock = threading.RLock()
        self._in_flight = 0
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
        self._borders.append(guard)
        return guard

    def border_for(self, connector: str, base: str) -> Border:
        """Find the client for a recorded call. Raises UnknownConnector where the session has none for its URL."""
        if connector == "action":
            from agentguard.action import border

            return border
        here = [c for c in self._borders if c.connector.name == connector]
        url, _, account = base.partition("#")
        there = [c for c in here if self.redactor.clean_text(c.base) == url]
        for candidate in there:
            if not account or self.redactor.clean_text(candidate.account or "") == account:
                return candidate
        if there:
            of = ", ".join(c.account or "one that did not say whose account it is for" for c in there)
            raise UnknownConnector(
                f"the call went to the account {account}, and the {connector} client here is of {of}. Nothing was "
                "sent; give the rollback a client for that account."
            )
        others = ", ".join(c.base for c in here)
        raise UnknownConnector(
            f"the call went to {base} and there is no {connector} client for that"
            + (f" (only for {others})" if others else "")
            + ". Nothing was sent; give the rollback a client for it."
        )

    def sent_through(self, seq: int, border: Border) -> None:
        """Remember which client call *seq* goes through: two clients of one service may be of two accounts."""
        self._sent_through[seq] = border

    def _border_of(self, call: CallRow) -> Border:
        return self._sent_through.get(call.seq) or self.border_for(call.connector, call.base)

    def connector_for(self, call: CallRow) -> Connector:
        """Find the connector of a recorded call. Raises UnknownConnector where it is not installed."""
        here = (border.connector for border in self._borders if border.connector.name == call.connector)
        if call.connector == "action":
            return self.border_for(call.connector, call.base).connector
        return next(here, None) or installed(call.connector)

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
            if self.is_open() and self._enter(SessionState.COMPLETED) is not SessionState.COMPLETED:
                log.warning(
                    "agentguard: session %s was not completed: it is %s, by another process", self.id, self._state
                )

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
            if name in self._savepoints():
                raise UsageError(f"this session has a savepoint {name!r} already; give each its own name")
            self.ledger.note(self.id, "savepoint", {"name": name, "seq": self.ledger.last(self.id)})
        return Savepoint(self, name)

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

    def rollback(self, to: str | None = None, *, cause: BaseException | str | None = None) -> Report:
        """Take the session's calls back, newest first, or only those after the savepoint *to*.

        May be called again, also by another process: what was taken back is not touched again. The report tells what
        came of each call; `report.ok` is True only if every one was restored, compensated or undone already.
        """
        if any(not border.sync for border in self._borders):
            if loop_is_running():
                raise UsageError(
                    "this session has asynchronous clients and an event loop is running. Nothing was taken back. "
                    "Use `await session.arollback()`, and `async with` for the session."
                )
            return asyncio.run(self.arollback(to, cause=cause))
        return run(self._take_back(to, cause))

    async def arollback(self, to: str | None = None, *, cause: BaseException | str | None = None) -> Report:
        """The same for asynchronous programs."""
        return await arun(self._take_back(to, cause))

    def _take_back(self, to: str | None, cause: BaseException | str | None) -> Flow[Report]:
        let_go = yield from self._hold()
        try:
            after = self._start_rollback(to, cause)
            upto = yield from self._wait_for_calls()
            yield from self._ask_whose()
            outcomes = yield from unwind(Unwinding(self, self._border_of, self.connector_for), after, upto)
            return self._end_rollback(to, outcomes)
        finally:
            let_go()

    def _ask_whose(self) -> Flow[None]:
        """Ask the clients whose account they are for, where a call went through a client that is not here."""
        elsewhere = {c.connector for c in self.calls if "#" in c.base and c.seq not in self._sent_through}
        for border in self._borders:
            if border.connector.name in elsewhere:
                yield from whose(border)

    def _hold(self) -> Flow[Callable[[], None]]:
        """Wait until nobody else, in any thread or process, is rolling this session back."""
        until = time.monotonic() + IN_FLIGHT_SECONDS
        while True:
            let_go: Callable[[], None] | None = yield Commit(lambda: self.ledger.hold(self.id))
            if let_go is not None:
                return let_go
            if time.monotonic() > until:
                raise UsageError(
                    f"session {self.id} is being rolled back by another thread or process. Nothing was taken back "
                    "here. Look at it with `agentguard show` and ask again when that is done."
                )
            yield Pause(POLL_SECONDS)

    def _wait_for_calls(self) -> Flow[int]:
        """Wait until no call is under way; return the number of the last one."""
        until = time.monotonic() + IN_FLIGHT_SECONDS
        while True:
            with self._lock:
                if not self._in_flight or time.monotonic() > until:
                    return self.ledger.last(self.id)
            yield Pause(POLL_SECONDS)

    def _start_rollback(self, to: str | None, cause: BaseException | str | None) -> int:
        savepoints = self._savepoints()
        if to is not None and to not in savepoints:
            known = ", ".join(savepoints) or "none"
            raise UsageError(f"this session has no savepoint {to!r}; there are: {known}. Nothing was taken back.")
        told = f"{type(cause).__name__}: {cause}" if isinstance(cause, BaseException) else cause or "asked for"
        if to is not None:
            self.ledger.note(self.id, "rollback to savepoint", {"name": to, "cause": self.redactor.clean_text(told)})
            return savepoints[to]
        self._enter(SessionState.ROLLING_BACK, self.redactor.clean_text(told))
        return 0

    def _end_rollback(self, to: str | None, outcomes: list[CallOutcome]) -> Report:
        report = Report(self.id, outcomes, to)
        if to is None:
            self._enter(SessionState.ROLLED_BACK if report.ok else SessionState.PARTIAL)
        return report

    def _savepoints(self) -> dict[str, int]:
        return {e.data["name"]: e.data["seq"] for e in self.ledger.events(self.id, "savepoint")}

    # Calls under way

    def check_takes_calls(self) -> None:
        """Raise unless a call may be made now."""
        if not self.is_open():
            raise SessionClosed(
                f"session {self.id} is {self._state.replace('_', ' ')} and takes no more calls. Nothing was sent. "
                "Start a new session and wrap the plain client for it."
            )
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

    def _enter(self, state: SessionState, cause: str | None = None) -> SessionState:
        with self._lock:
            self._state = self.ledger.end_session(self.id, state, cause)
            return self._state

    def __repr__(self) -> str:
        return f"<agentguard session {self.id} {self._state}>"


def session(
    agent: str,
    intent: str,
    *,
    id: str | None = None,  # noqa: A002 - what it is called everywhere
    tenant: str | None = None,
    user: str | None = None,
    ledger: str | Path | Ledger | None = None,
    on_error: Literal["rollback", "leave"] = "rollback",
    approver: Approver | Literal["terminal"] | None = None,
) -> Session:
    """Start a session: *agent* is who works, *intent* is what for, in words that a person will read.

    Use it with `with` or `async with`. Leaving the block normally completes the session; an exception rolls it back
    (unless *on_error* is "leave") and is raised again with the report as a note. *ledger* is a path or URL, by default
    that of AGENTGUARD_LEDGER, agentguard.toml or `.agentguard/ledger.db`. *approver* is asked about calls of high or
    critical risk: a function of a `Card` that returns True or False, or "terminal"; without one they are stopped.
    """
    if on_error not in ("rollback", "leave"):
        raise UsageError(f'on_error is "rollback" or "leave", not {on_error!r}')
    redactor, asked = Redactor(), resolve_approver(approver)
    row = SessionRow(
        id=id or new_session_id(),
        agent=agent,
        intent=redactor.clean_text(intent),
        tenant=tenant,
        user=user,
        on_error=on_error,
        started_at=time.time(),
    )
    store = locate(ledger)
    store.start_session(row)
    return Session(row, store, approver=asked, redactor=redactor)


def load(id: str, *, clients: Mapping[str, Any] | None = None, ledger: str | Path | Ledger | None = None) -> Session:  # noqa: A002 - as above
    """Open a recorded session, from any process, to look at it or to roll it back.

    *clients* are the plain clients that its undos use, by connector name. Raises NoSuchSession.
    """
    store = locate(ledger)
    loaded = Session(store.session(id), store)
    for connector, client in (clients or {}).items():
        loaded.use(client, connector)
    return loaded


def wrap(client: T, session: Session, connector: str | Connector | None = None) -> T:
    """Return a guarded twin of *client* for *session*, through the connector of that name; see `Session.wrap`."""
    if not isinstance(session, Session):
        raise UsageError(f"wrap(client, session) needs a session, not a {type(session).__name__}. Nothing was wrapped.")
    return session.wrap(client, connector)
