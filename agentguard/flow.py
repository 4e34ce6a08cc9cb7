"""Flows: generators that hold all logic and do no input or output.

A flow yields one of the steps below and receives what came of it; what went wrong is thrown into it at that `yield`.
The drivers of drivers.py do what the steps ask for. Flows compose with `yield from`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from agentguard.calls import Answer, Call, Json
from agentguard.connector import Connector
from agentguard.errors import Blocked
from agentguard.ledger.rows import CallRow
from agentguard.report import Card

T = TypeVar("T")
log = logging.getLogger("agentguard")


@dataclass(frozen=True, slots=True)
class Send:
    """Let the guarded call go, once. Receives `Sent`."""

    headers: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What takes the place of the caller's arguments of the same names."""


@dataclass(frozen=True, slots=True)
class SendTogether:
    """Let several guarded calls go in one request, once. Receives a list with a `Sent` for each that is sent."""

    sends: Sequence[Send | None]
    """None stands for a call that is on record and is left out."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What came back: what it proves, and the object that the caller's SDK goes on with."""

    answer: Answer
    native: Any
    response: Json = None
    """What the ledger keeps of the response, so that a repeated call gets it again (see replay.py)."""


@dataclass(frozen=True, slots=True)
class Perform:
    """Make a call of ours (a snapshot, an undo, a look) through *border*. Receives its `Answer`."""

    border: Border
    call: Call
    headers: Mapping[str, str] = field(default_factory=dict)
    check: Callable[[], None] = lambda: None
    """Raises where it may not be sent after all; asked in the last moment."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Show a person what is about to be sent. Receives True or False, or None where there is nobody to ask."""

    card: Card


@dataclass(frozen=True, slots=True)
class Commit:
    """Write to the ledger. Receives what *write* returns. *name* is what its failpoints are called."""

    name: str
    write: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Task:
    """One of several flows that run side by side."""

    key: int
    flow: Callable[[], Flow[Any]]
    """Makes the flow, when its turn has come."""
    after: frozenset[int] = frozenset()
    """The keys of tasks that have to be done before."""


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Run *tasks*, at most *limit* at a time, each when those that it comes after are done.

    With a limit of one they run in the order in which they are given, which must respect `after`. Receives what they
    return, by key. Once one raises no other is begun; its exception is thrown when those under way have ended.
    """

    tasks: Sequence[Task]
    limit: int


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait *seconds*."""

    seconds: float


class NotBegun(BaseException):
    """Thrown in place of a step that was not begun: the task of the flow was cancelled before."""

    def __init__(self, cancelled: BaseException) -> None:
        super().__init__("the task was cancelled before")
        self.cancelled = cancelled


FlowStep: TypeAlias = Send | SendTogether | Perform | Ask | Commit | Pause | SideBySide
Flow: TypeAlias = Generator[FlowStep, Any, T]


class Border(Protocol):
    """Where calls of one client meet the world: an SDK's transport, or plain functions."""

    @property
    def connector(self) -> Connector:
        """Whose operations these are."""

    @property
    def base(self) -> str:
        """The URL of the service; what was called there is undone there and nowhere else."""

    @property
    def mode(self) -> str:
        """What parts the data of one account; see `Seam.mode`."""

    account: str | None
    """Whose account the client is for: "" where that cannot be told, None before it was asked."""

    @property
    def sync(self) -> bool:
        """Whether `perform` works."""

    @property
    def asynchronous(self) -> bool:
        """Whether `aperform` works."""

    def replay(self, call: CallRow) -> Any:
        """What the SDK goes on with where *call* is made again and its response is on record. Raises AnswerLost."""

    def hold(self, call: CallRow) -> Any:
        """What the SDK goes on with where *call* is held: an answer that says so."""

    def tell(self, note: str) -> None:
        """Put *note* on the exception that the SDK will make of the answer."""

    def never_left(self, error: BaseException) -> bool:
        """Whether *error* proves that nothing reached the service."""

    def perform(self, call: Call, headers: Mapping[str, str]) -> Answer:
        """Make *call* and wait for its answer."""

    async def aperform(self, call: Call, headers: Mapping[str, str]) -> Answer:
        """The same for an asynchronous client."""


def whose(border: Border) -> Flow[str]:
    """Ask, once for each client, whose account it is for; "" where that cannot be told.

    With a key of another account nothing that a call made can be seen, which looks as if somebody had deleted it.
    """
    if border.account is not None:
        return border.account
    if border.connector.owner is None:
        border.account = ""
        return ""
    question, name = border.connector.owner
    try:
        answer: Answer = yield Perform(border, Call(question.operation, question.arguments))
        told = name(answer)
        border.account = f"{told} {border.mode}".strip() if told else ""
    except Exception as error:  # noqa: BLE001 - the call does not depend on it; a rollback asks again
        log.debug("agentguard: whose account this is could not be asked: %s", type(error).__name__)
        return ""
    return border.account


Approver: TypeAlias = Callable[[Card], Any]
"""Asked with a card; returns whether the call may go. May be a coroutine function in an asynchronous program."""


@dataclass(slots=True)
class _Part(Generic[T]):
    """One call of several in a request: it waits at its `Send`, or it has a result from before."""

    flow: Flow[T]
    send: Send | None
    result: Any = None


def together(flows: Sequence[Flow[T]]) -> Flow[list[T]]:
    """Run guarded calls that travel in one request: each up to its `Send`, then one send, then each to its end.

    Where one of them is stopped before, nothing is sent, and those that were ready go on record as not sent. One that
    ends without a `Send` is on record from before.
    """
    parts: list[_Part[T]] = []
    try:
        for flow in flows:
            part = yield from _up_to_send(flow)
            parts.append(part)
    except BaseException as stopped:
        withdrawn = Blocked(f"not sent, as another call of the same request was stopped: {stopped}")
        yield from _withdraw(parts, withdrawn)
        raise
    if all(part.send is None for part in parts):
        return [part.result for part in parts]
    try:
        sent: list[Sent] = yield SendTogether([part.send for part in parts])
    except BaseException as error:
        yield from _withdraw(parts, error)
        raise
    answers = iter(sent)
    failed: BaseException | None = None
    for part in parts:
        if part.send is not None:
            answer = next(answers)
            try:
                part.result = yield from _to_the_end(part.flow, answer)
            except GeneratorExit:
                raise
            except BaseException as error:  # noqa: BLE001 - raised below, once the answers of all are on record
                failed = failed or error
    if failed is not None:
        raise failed
    return [part.result for part in parts]


def _up_to_send(flow: Flow[T]) -> Flow[_Part[T]]:
    try:
        step = next(flow)
        while not isinstance(step, Send):
            try:
                reply = yield step
            except BaseException as error:  # noqa: BLE001 - every way a step can end is the flow's to judge
                step = flow.throw(error)
            else:
                step = flow.send(reply)
    except StopIteration as stop:
        return _Part(flow, None, stop.value)
    return _Part(flow, step)


def _to_the_end(flow: Flow[T], reply: Any) -> Flow[T]:
    try:
        step = flow.send(reply)
        while True:
            try:
                reply = yield step
            except BaseException as error:  # noqa: BLE001 - likewise
                step = flow.throw(error)
            else:
                step = flow.send(reply)
    except StopIteration as stop:
        result: T = stop.value
        return result


def _withdraw(parts: list[_Part[Any]], error: BaseException) -> Flow[None]:
    """Tell those that wait at their `Send` what became of it; each puts that on record and raises the same again."""
    for part in parts:
        if part.send is None:
            continue
        try:
            step = part.flow.throw(error)
            while True:
                step = part.flow.send((yield step))
        except StopIteration:
            continue
        except BaseException as raised:
            if raised is not error:
                raise
