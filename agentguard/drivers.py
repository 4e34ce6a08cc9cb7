"""The two drivers of flows: `run` for synchronous programs, `arun` for asynchronous ones.

They do what the steps of a flow ask for and throw what goes wrong into it. Around each step is a pair of failpoints.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import closing
from contextvars import copy_context
from functools import cache
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, TypeVar

from agentguard import failpoints
from agentguard.calls import Effect
from agentguard.errors import UsageError
from agentguard.flow import (
    Approver,
    Ask,
    Commit,
    Flow,
    FlowStep,
    NotBegun,
    Pause,
    Perform,
    Send,
    SendTogether,
    SideBySide,
    Task,
)

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

T = TypeVar("T")


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
            _reach("before", step)
            try:
                reply = _do(step, transmit, approver)
            except BaseException as raised:  # noqa: BLE001 - every way a step can end is the flow's to judge
                error = raised
            _reach("after", step)


async def arun(flow: Flow[T], *, transmit: Callable[[Any], Any] | None = None, approver: Approver | None = None) -> T:
    """Drive *flow* to its end in an event loop and return what it returns.

    What is being written when the task is cancelled is written to its end; then the next step is not begun.
    """
    reply: Any = None
    error: BaseException | None = None
    cancelled: asyncio.CancelledError | None = None
    with closing(flow):
        while True:
            try:
                step = flow.throw(error) if error is not None else flow.send(reply)
            except StopIteration as stop:
                if cancelled is not None:
                    raise cancelled from None
                result: T = stop.value
                return result
            except NotBegun as left:
                for note in getattr(left, "__notes__", ()):
                    left.cancelled.add_note(note)
                raise left.cancelled from None
            reply, error = None, None
            if cancelled is not None and not isinstance(step, Commit):
                error, cancelled = NotBegun(cancelled), None
                continue
            _reach("before", step)
            try:
                if isinstance(step, Commit):
                    writing, cancelled = await _written(step.write, cancelled)
                    reply = writing.result()
                else:
                    reply = await _ado(step, transmit, approver)
            except BaseException as raised:  # noqa: BLE001 - a cancellation, too, has to be put on record
                error = raised
            _reach("after", step)


async def _written(
    write: Callable[[], Any], cancelled: asyncio.CancelledError | None
) -> tuple[Future[Any], asyncio.CancelledError | None]:
    """Run *write* in a thread, so that the loop goes on and writes of several tasks share a sync.

    Returns what came of it, and a cancellation that has come before or meanwhile.
    """
    writing = _threads().submit(copy_context().run, write)
    if not loop_is_running():
        wait([writing])  # it is another kind of event loop, which cannot wait for it
        return writing, cancelled
    written = asyncio.wrap_future(writing)
    while not written.done():
        try:
            await asyncio.wait([written])
        except asyncio.CancelledError as error:
            cancelled = cancelled or error
    return writing, cancelled


WRITERS = 64
"""How many tasks write at a time, at most."""


@cache
def _threads() -> ThreadPoolExecutor:
    # Threads of its own: in the loop's, a program's slow work may be all that runs.
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(WRITERS, "agentguard-ledger")


os.register_at_fork(after_in_child=_threads.cache_clear)


def _reach(when: str, step: FlowStep) -> None:
    if failpoints.trap is not None:
        name = _name(step)
        if name:
            failpoints.trap.reach(f"{when}_{name}")


def _name(step: FlowStep) -> str:
    """What the failpoints around *step* are called; empty where there are none."""
    match step:
        case Commit():
            return step.name
        case Send() | SendTogether():
            return "send"
        case Pause() | SideBySide():
            return ""
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
            step.check()
            return step.border.perform(step.call, step.headers)
        case Pause():
            return time.sleep(step.seconds)
        case SideBySide():
            return _side_by_side(step, approver)
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
        case Send() | SendTogether():
            assert transmit is not None
            return await transmit(step)
        case Perform() if step.border.asynchronous:
            step.check()
            return await step.border.aperform(step.call, step.headers)
        case Perform():
            step.check()
            return await asyncio.to_thread(step.border.perform, step.call, step.headers)
        case Pause():
            return await asyncio.sleep(step.seconds)
        case SideBySide():
            return await _aside_by_side(step, approver)
        case Ask():
            said = approver(step.card) if approver else None
            return await said if inspect.isawaitable(said) else said


class _Schedule:
    """Which tasks may begin, and what came of those that have ended."""

    def __init__(self, step: SideBySide) -> None:
        self.tasks = step.tasks
        self.results: dict[int, Any] = {}
        self.error: BaseException | None = None
        self.limit = step.limit
        self.running = 0
        places = {task.key: place for place, task in enumerate(step.tasks)}
        self._left = [sum(key in places for key in task.after) for task in step.tasks]
        self._followers: dict[int, list[int]] = {}
        for place, task in enumerate(step.tasks):
            for key in task.after:
                self._followers.setdefault(key, []).append(place)
        self._ready = [place for place, left in enumerate(self._left) if not left]

    def next(self) -> Task | None:
        """Take the first task that may begin now."""
        if self.error is not None or self.running >= self.limit or not self._ready:
            return None
        self.running += 1
        return self.tasks[heappop(self._ready)]

    def done(self, task: Task, result: Any, error: BaseException | None) -> None:
        """Note what came of *task*, and who may begin after it."""
        self.running -= 1
        if error is not None:
            self.error = self.error or error
            return
        self.results[task.key] = result
        for place in self._followers.get(task.key, ()):
            self._left[place] -= 1
            if not self._left[place]:
                heappush(self._ready, place)

    def outcome(self) -> dict[int, Any]:
        """What all of them came to."""
        if self.error is not None:
            raise self.error
        assert len(self.results) == len(self.tasks), "tasks wait for one another"
        return self.results


def _side_by_side(step: SideBySide, approver: Approver | None) -> dict[int, Any]:
    schedule = _Schedule(step)
    if step.limit == 1:
        while task := schedule.next():
            schedule.done(task, run(task.flow(), approver=approver), None)
        return schedule.outcome()
    from concurrent.futures import ThreadPoolExecutor  # for those who need threads

    with ThreadPoolExecutor(min(step.limit, len(step.tasks)), "agentguard-rollback") as pool:
        under_way: dict[Future[Any], Task] = {}
        while True:
            while task := schedule.next():
                context = copy_context()
                under_way[pool.submit(context.run, run, task.flow(), approver=approver)] = task
            if not under_way:
                return schedule.outcome()
            ended, _others = wait(under_way, return_when=FIRST_COMPLETED)
            for future in ended:
                error = future.exception()
                schedule.done(under_way.pop(future), None if error else future.result(), error)


async def _aside_by_side(step: SideBySide, approver: Approver | None) -> dict[int, Any]:
    schedule = _Schedule(step)
    under_way: dict[asyncio.Task[Any], Task] = {}
    try:
        while True:
            while task := schedule.next():
                under_way[asyncio.create_task(arun(task.flow(), approver=approver))] = task
            if not under_way:
                return schedule.outcome()
            ended, _others = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for future in ended:
                error = future.exception()
                schedule.done(under_way.pop(future), None if error else future.result(), error)
    finally:
        for future in under_way:
            future.cancel()


def loop_is_running() -> bool:
    """Whether this is an asynchronous program, here and now."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
