"""A session: what a program holds while its agent works, and the way back.

with agentguard.session(agent="onboarding", intent="Open the onboarding issue") as session:
    gh = agentguard.wrap(Github(auth=token), session)
    ...
session.rollback()
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, TypeVar

from agentguard.approvals import resolve_approver
from agentguard.connector import Connector
from agentguard.errors import SessionClosed, UnknownConnector, UsageError, WrongSession
from agentguard.flow import Approver, Border, Flow, arun, run
from agentguard.guard import Guard
from agentguard.ledger import Ledger, open_ledger
from agentguard.ledger.rows import CallRow, SessionRow, SessionState
from agentguard.proxy import GuardedClient
from agentguard.redaction import Redactor
from agentguard.registry import seam_for
from agentguard.report import CallOutcome, Report
from agentguard.rollback import Unwinding, unwind

T = TypeVar("T")
log = logging.getLogger("agentguard")

current: ContextVar[Session | None] = ContextVar("agentguard_session", default=None)
_reason: ContextVar[tuple[str | None, float | None]] = ContextVar("agentguard_reason", default=(None, None))

IN_FLIGHT_SECONDS = 60.0
"""How long a rollback waits for calls that other threads or tasks have under way; after that they are in doubt."""


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
        self._changed = threading.Condition()
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
        for candidate in here:
            if self.redactor.clean_text(candidate.base) == base:
                return candidate
        others = ", ".join(c.base for c in here)
        raise UnknownConnector(
            f"the call went to {base} and there is no {connector} client for that"
            + (f" (only for {others})" if others else "")
        )

    # Being a context

    def __enter__(self) -> Session:
        self._tokens.append(current.set(self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        current.reset(self._tokens.pop())
        if error is None:
            self.complete()
        elif self._open() and self.on_error == "rollback":
            self._explain(error, lambda: self.rollback(cause=error))

    async def __aenter__(self) -> Session:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        if error is None or not self._open() or self.on_error != "rollback":
            self.__exit__(kind, error, tb)
            return
        current.reset(self._tokens.pop())
        try:
            report = await self.arollback(cause=error)
        except Exception as failed:  # noqa: BLE001 - the program's own exception is the one to be raised
            error.add_note(_not_rolled_back(self, failed))
        else:
            error.add_note(f"agentguard: {report}")

    def _explain(self, error: BaseException, rollback: Any) -> None:
        try:
            error.add_note(f"agentguard: {rollback()}")
        except Exception as failed:  # noqa: BLE001 - the program's own exception is the one to be raised
            error.add_note(_not_rolled_back(self, failed))

    def complete(self) -> None:
        """End the session well. It can still be rolled back later."""
        if self._open():
            self._enter(SessionState.COMPLETED)

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
        if name in self._savepoints():
            raise UsageError(f"this session has a savepoint {name!r} already; give each its own name")
        self.ledger.note(self.id, "savepoint", {"name": name, "seq": len(self.ledger.calls(self.id))})
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
            if _loop_is_running():
                raise UsageError(
                    "this session has asynchronous clients and an event loop is running. Nothing was taken back. "
                    "Use `await session.arollback()`, and `async with` for the session."
                )
            return asyncio.run(self.arollback(to, cause=cause))
        after = self._start_rollback(to, cause)
        self._wait_for_calls()
        return self._end_rollback(to, run(self._unwind(after)))

    async def arollback(self, to: str | None = None, *, cause: BaseException | str | None = None) -> Report:
        """The same for asynchronous programs."""
        after = self._start_rollback(to, cause)
        await asyncio.to_thread(self._wait_for_calls)
        return self._end_rollback(to, await arun(self._unwind(after)))

    def _unwind(self, after: int) -> Flow[list[CallOutcome]]:
        return unwind(Unwinding(self, self.border_for), after)

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
        return {e.data["name"]: e.data["seq"] for e in self.ledger.events(self.id) if e.kind == "savepoint"}

    # Calls under way

    def check_takes_calls(self) -> None:
        """Raise unless a call may be made now."""
        if not self._open():
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
        with self._changed:
            self.check_takes_calls()
            self._in_flight += 1
        try:
            yield
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()

    def _wait_for_calls(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._in_flight, IN_FLIGHT_SECONDS)

    def _open(self) -> bool:
        return self._state is SessionState.OPEN

    def _enter(self, state: SessionState, cause: str | None = None) -> None:
        with self._changed:
            self.ledger.end_session(self.id, state, cause)
            self._state = state

    def __repr__(self) -> str:
        return f"<agentguard session {self.id} {self._state}>"


class Savepoint:
    """A point in a session to go back to; `with` and `async with` go back to it when the block fails."""

    def __init__(self, session: Session, name: str) -> None:
        self.session = session
        self.name = name

    def __enter__(self) -> Savepoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        if error is not None and self.session._open():
            self.session._explain(error, lambda: self.session.rollback(self.name, cause=error))

    async def __aenter__(self) -> Savepoint:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        if error is None or not self.session._open():
            return
        try:
            report = await self.session.arollback(self.name, cause=error)
        except Exception as failed:  # noqa: BLE001 - the program's own exception is the one to be raised
            error.add_note(_not_rolled_back(self.session, failed))
        else:
            error.add_note(f"agentguard: {report}")


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
    redactor = Redactor()
    row = SessionRow(
        id=id or new_id(),
        agent=agent,
        intent=redactor.clean_text(intent),
        tenant=tenant,
        user=user,
        on_error=on_error,
        started_at=time.time(),
    )
    store = locate(ledger)
    store.start_session(row)
    return Session(row, store, approver=resolve_approver(approver), redactor=redactor)


def load(id: str, *, clients: Mapping[str, Any] | None = None, ledger: str | Path | Ledger | None = None) -> Session:  # noqa: A002 - as above
    """Open a recorded session, from any process, to look at it or to roll it back.

    *clients* are the plain clients that its undos use, by connector name. Raises NoSuchSession.
    """
    store = locate(ledger)
    loaded = Session(store.session(id), store)
    for connector, client in (clients or {}).items():
        loaded.use(client, connector)
    return loaded


def locate(ledger: str | Path | Ledger | None) -> Ledger:
    """Return the ledger meant by an argument, the environment or the configuration."""
    if ledger is None:
        from agentguard.config import ledger_location

        return open_ledger(ledger_location(None))
    return open_ledger(ledger) if isinstance(ledger, str | Path) else ledger


def wrap(client: T, session: Session, connector: str | Connector | None = None) -> T:
    """Return a guarded twin of *client* for *session*, through the connector of that name; see `Session.wrap`."""
    if not isinstance(session, Session):
        raise UsageError(f"wrap(client, session) needs a session, not a {type(session).__name__}. Nothing was wrapped.")
    return session.wrap(client, connector)


def new_id() -> str:
    """A new session name: time first (milliseconds, base 32), so that keys are in time order, then 60 random bits."""
    number = (int(time.time() * 1000) << 60) | secrets.randbits(60)
    digits = "0123456789abcdefghjkmnpqrstvwxyz"
    return "".join(digits[(number >> shift) & 31] for shift in range(100, -1, -5))


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _not_rolled_back(session: Session, failed: Exception) -> str:
    return (
        f"agentguard: session {session.id} could NOT be rolled back ({type(failed).__name__}: {failed}). "
        f"Run `agentguard rollback {session.id}` when the cause is gone."
    )
