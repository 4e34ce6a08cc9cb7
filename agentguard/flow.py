"""Flows: generators that hold all logic and do no input or output, and the two drivers that do it for them.

A flow yields one of the steps below and receives what came of it; what went wrong is thrown into it at that `yield`.
`run` serves synchronous programs, `arun` asynchronous ones. Flows compose with `yield from`.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar

from agentguard import failpoints
from agentguard.calls import Answer, Call, Effect
from agentguard.connector import Connector
from agentguard.errors import Blocked, UsageError
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
    """Let several guarded calls go in one request, once. Receives a list with a `Sent` for each."""

    sends: Sequence[Send]


@dataclass(frozen=True, slots=True)
class Sent:
    """What came back: what it proves, and the object that the caller's SDK goes on with."""

    answer: Answer
    native: Any


@dataclass(frozen=True, slots=True)
class Perform:
    """Make a call of ours (a snapshot, an undo, a look) through *border*. Receives its `Answer`."""

    border: Border
    call: Call
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ask:
    """Show a person what is about to be sent. Receives True or False, or None where there is nobody to ask."""

    card: Card


@dataclass(frozen=True, slots=True)
class Commit:
    """Write to the ledger. Receives what *write* returns."""

    write: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait *seconds*."""

    seconds: float


FlowStep: TypeAlias = Send | SendTogether | Perform | Ask | Commit | Pause
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


def together(flows: Sequence[Flow[T]]) -> Flow[list[T]]:
    """Run guarded calls that travel in one request: each up to its `Send`, then one send, then each to its end.

    Where one of them is stopped before, nothing is sent, and those that were ready go on record as not sent.
    """
    ready: list[tuple[Flow[T], Send]] = []
    try:
        for flow in flows:
            send = yield from _up_to_send(flow)
            ready.append((flow, send))
    except BaseException as stopped:
        withdrawn = Blocked(f"not sent, as another call of the same request was stopped: {stopped}")
        for flow, _send in ready:
            yield from _withdraw(flow, withdrawn)
        raise
    try:
        sent: list[Sent] = yield SendTogether([send for _flow, send in ready])
    except BaseException as error:
        for flow, _send in ready:
            yield from _withdraw(flow, error)
        raise
    results = []
    for (flow, _send), answer in zip(ready, sent, strict=True):
        results.append((yield from _to_the_end(flow, answer)))
    return results


def _up_to_send(flow: Flow[Any]) -> Flow[Send]:
    step = next(flow)
    while not isinstance(step, Send):
        try:
            reply = yield step
        except BaseException as error:  # noqa: BLE001 - every way a step can end is the flow's to judge
            step = flow.throw(error)
        else:
            step = flow.send(reply)
    return step


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


def _withdraw(flow: Flow[Any], error: BaseException) -> Flow[None]:
    """Tell a flow that waits at its `Send` what became of it; it puts that on record and raises the same again."""
    try:
        step = flow.throw(error)
        while True:
            step = flow.send((yield step))
    except StopIteration:
        return
    except BaseException as raised:
        if raised is not error:
            raise


def run(flow: Flow[T], *, transmit: Callable[[Any], Any] | None = None, approver: Approver | None = None) -> T:
    """Drive *flow* to its end and return what it returns."""
    reply: Any = None
    error: BaseException | None = None
    with closing(flow):
        while True:
            try:
                step = flow.throw(error) if error is not None else flow.send(reply)
            except StopIteration as stop:
                result: T = stop.value
                return result
            reply, error = None, None
            if failpoints.trap is not None:
                failpoints.trap.reach(f"before_{_name(step)}")
            try:
                reply = _do(step, transmit, approver)
            except BaseException as raised:  # noqa: BLE001 - every way a step can end is the flow's to judge
                error = raised
            if failpoints.trap is not None:
                failpoints.trap.reach(f"after_{_name(step)}")


async def arun(flow: Flow[T], *, transmit: Callable[[Any], Any] | None = None, approver: Approver | None = None) -> T:
    """Drive *flow* to its end in an event loop and return what it returns."""
    reply: Any = None
    error: BaseException | None = None
    with closing(flow):
        while True:
            try:
                step = flow.throw(error) if error is not None else flow.send(reply)
            except StopIteration as stop:
                result: T = stop.value
                return result
            reply, error = None, None
            if failpoints.trap is not None:
                failpoints.trap.reach(f"before_{_name(step)}")
            try:
                reply = await _ado(step, transmit, approver)
            except BaseException as raised:  # noqa: BLE001 - a cancellation, too, has to be put on record
                error = raised
            if failpoints.trap is not None:
                failpoints.trap.reach(f"after_{_name(step)}")


def _name(step: FlowStep) -> str:
    """What a failpoint at *step* is called."""
    match step:
        case Commit():
            return "commit"
        case Send() | SendTogether():
            return "send"
        case Pause():
            return "pause"
        case Ask():
            return "ask"
        case Perform():
            operation = step.border.connector.table.by_name.get(step.call.operation)
            return "look" if operation is not None and operation.effect is Effect.READ else "perform"


def _do(step: FlowStep, transmit: Callable[[Any], Any] | None, approver: Approver | None) -> Any:
    match step:
        case Commit():
            return step.write()
        case Send() | SendTogether():
            assert transmit is not None
            return transmit(step)
        case Perform():
            return step.border.perform(step.call, step.headers)
        case Pause():
            return time.sleep(step.seconds)
        case Ask():
            said = approver(step.card) if approver else None
            if inspect.isawaitable(said):
                if inspect.iscoroutine(said):
                    said.close()
                raise UsageError(
                    "the approver is asynchronous and the call is not. Nothing was sent. "
                    "Give the session a plain function, or use an asynchronous client."
                )
            return said


async def _ado(step: FlowStep, transmit: Callable[[Any], Any] | None, approver: Approver | None) -> Any:
    match step:
        case Commit():
            return step.write()
        case Send() | SendTogether():
            assert transmit is not None
            return await transmit(step)
        case Perform() if step.border.asynchronous:
            return await step.border.aperform(step.call, step.headers)
        case Perform():
            return await asyncio.to_thread(step.border.perform, step.call, step.headers)
        case Pause():
            return await asyncio.sleep(step.seconds)
        case Ask():
            said = approver(step.card) if approver else None
            return await said if inspect.isawaitable(said) else said


def loop_is_running() -> bool:
    """Whether this is an asynchronous program, here and now."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
