"""Which method of a wrapped client is being called, as the proxy names it.

Most calls are reads, and for those nobody asks. So a synchronous call prepares nothing: the frame in which it runs says
that it is under way, and is looked for on the stack when the guard wants to know. A call of a coroutine function may go
on in other tasks, which have no such frame; its scope is in the context, too.

What is known of a call becomes a note on the exception that the SDK makes of its answer. The proxy sees those of the
client's own methods; for what else an SDK offers, its seam marks the methods that raise (`telling`).
"""

from __future__ import annotations

import functools
import inspect
import sys
from contextvars import ContextVar
from types import CodeType, FrameType, TracebackType
from typing import Any

from agentguard.errors import AgentguardError


class Scope:
    """A method of a wrapped client that is being called."""

    __slots__ = ("error", "name", "notes")

    def __init__(self, name: str) -> None:
        self.name = name
        self.error: AgentguardError | None = None
        """What the guard raised, whatever the SDK makes of it."""
        self.notes: list[str] = []
        """What is known of a call whose answer the SDK will make an exception of."""


in_context: ContextVar[Scope | None] = ContextVar("agentguard_scope", default=None)
"""The scope of the coroutine that this task, or the one that has begun it, is in."""
scopes: dict[FrameType, Scope] = {}
"""The scopes of synchronous calls under way that the guard has asked for. Each call takes its own out when it ends."""
calls: set[CodeType] = set()
"""The code of synchronous calls; its variable `name` is the name of the method."""
coroutines: set[CodeType] = set()
"""The code of what awaits a coroutine function's result; its variable `called` is the scope."""


def under_way() -> Scope | None:
    """The scope of the innermost call that this code runs in; None where no method of a wrapped client is called."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code in calls:
            return scopes.get(frame) or scopes.setdefault(frame, Scope(frame.f_locals["name"]))
        if frame.f_code in coroutines:
            called: Scope = frame.f_locals["called"]
            return called
        frame = frame.f_back
    return in_context.get()


class Told:
    """A block in which an SDK makes an exception of a bad answer: what is known of the call goes onto it as a note.

    What a client returns is not wrapped, so that no proxy sees what an object of the SDK raises.
    """

    __slots__ = ("_token", "notes")

    def __enter__(self) -> None:
        self.notes: list[str] = []
        self._token = _listening.set(self)

    def __exit__(self, _kind: object, error: BaseException | None, _where: TracebackType | None) -> None:
        _listening.reset(self._token)
        if error is not None:
            for note in self.notes:
                error.add_note(note)


_listening: ContextVar[Told | None] = ContextVar("agentguard_told", default=None)
"""The innermost such block."""


def telling(method: Any) -> Any:
    """*method* of an SDK, plain or a coroutine function, as such a block."""
    if inspect.iscoroutinefunction(method):

        @functools.wraps(method)
        async def acall(*args: Any, **kwargs: Any) -> Any:
            with Told():
                return await method(*args, **kwargs)

        return acall

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        with Told():
            return method(*args, **kwargs)

    return call


def tell(note: str) -> None:
    """Put *note* on the exception that the SDK will make of the answer."""
    listening = _listening.get() or under_way()
    if listening is not None:
        listening.notes.append(note)
