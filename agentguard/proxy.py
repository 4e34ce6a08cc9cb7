"""What `wrap` returns: the guarded twin of a client behind a transparent proxy.

The gate under the twin is what guards; it sees every request, whatever path led to it. The proxy adds two things. It
names the call, so that the ledger can say `chat_postMessage`. And it sees to it that an error of ours reaches the
caller even where an SDK turns whatever its transport raises into an exception of its own. Everything else is the
twin's: what methods return is returned as it is, and is guarded because it uses the twin's transport.

A named method is kept in the proxy's own dict, where wrapt's C code finds it before it asks `__getattr__`, and a call
of it prepares nothing: who calls is found out when the guard asks (see scopes.py).
"""

from __future__ import annotations

import copy
import functools
import inspect
import sys
from collections.abc import Callable
from contextlib import suppress
from types import CodeType, CoroutineType, MethodType
from typing import Any, SupportsIndex

import wrapt

from agentguard.guard import Guard
from agentguard.scopes import Scope, calls, coroutines, in_context, scopes

Find = Callable[[Any, str], Any]


class GuardedClient(wrapt.ObjectProxy[Any]):
    """A client whose writes are recorded and can be taken back. It has the type of the client that was wrapped."""

    def __init__(self, twin: Any, guard: Guard) -> None:
        super().__init__(twin)
        self._self_guard = guard
        self._self_named: dict[str, tuple[Any, Callable[[], None]]] = {}

    # wrapt's own goes the long way round for a subclass with `__getattr__`, and asks that twice where it raises.
    __getattribute__ = object.__getattribute__

    def __getattr__(self, name: str) -> Any:
        # Asked only for what is not kept: the first time for a method, always for anything else, which may change.
        twin = self.__wrapped__
        value = getattr(twin, name)
        if isinstance(value, MethodType) and value.__self__ is twin:
            return _keep(self, name, value)
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if not name.startswith("_self_"):
            _forget(self, name)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        _forget(self, name)

    def __enter__(self) -> Any:
        entered = self.__wrapped__.__enter__()
        return self if entered is self.__wrapped__ else entered

    def __exit__(self, *exc_info: Any) -> Any:
        return self.__wrapped__.__exit__(*exc_info)

    async def __aenter__(self) -> Any:
        entered = await self.__wrapped__.__aenter__()
        return self if entered is self.__wrapped__ else entered

    async def __aexit__(self, *exc_info: Any) -> Any:
        return await self.__wrapped__.__aexit__(*exc_info)

    def __copy__(self) -> GuardedClient:
        return GuardedClient(copy.copy(self.__wrapped__), self._self_guard)

    def __deepcopy__(self, memo: dict[int, Any]) -> GuardedClient:
        return GuardedClient(copy.deepcopy(self.__wrapped__, memo), self._self_guard)

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        raise TypeError(
            "a guarded client belongs to a session of this process and cannot be pickled; "
            "send the plain client and wrap it on the other side"
        )

    def __eq__(self, other: object) -> bool:
        return bool(self.__wrapped__ == (other.__wrapped__ if isinstance(other, GuardedClient) else other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.__wrapped__)

    def __repr__(self) -> str:
        return repr(self.__wrapped__)


def _keep(proxy: GuardedClient, name: str, method: Any) -> Any:
    """Name *method* and keep it where the next look-up finds it; all threads get the same one."""
    if inspect.isgeneratorfunction(method) or inspect.isasyncgenfunction(method):
        return method  # nothing is called yet when it returns
    make = _named_coroutine if inspect.iscoroutinefunction(method) else _named
    named, _pin = proxy._self_named.setdefault(name, make(name, method))
    proxy.__self_setattr__(name, named)
    return named


def _forget(proxy: GuardedClient, name: str) -> None:
    """Look *name* up anew the next time, and everything if it is another client that is wrapped now."""
    for known in list(proxy._self_named) if name == "__wrapped__" else [name]:
        kept = proxy._self_named.pop(known, None)
        if kept is not None:
            proxy.__self_dict__.pop(known, None)
            kept[1]()


def _named(name: str, method: Any) -> tuple[MethodType, Callable[[], None]]:
    """*method* of a twin, called under its name, and how to pin it to what it is now.

    It looks the method up with each call, so that one which was replaced on the twin or its class is called. Replaced
    through the proxy, it is pinned: what replaces a method may call what was there before.
    """
    find: Find = getattr

    def call(twin: Any, /, *args: Any, **kwargs: Any) -> Any:
        try:
            found = find(twin, name)
            result = found(*args, **kwargs) if kwargs else found(*args)
        except BaseException as error:
            if scopes:
                _say(scopes.pop(sys._getframe(), None), error)
            raise
        called = scopes.pop(sys._getframe(), None) if scopes else None
        if type(result) is CoroutineType:
            return _awaited(result, called or Scope(name))
        if called is not None and called.error is not None:
            raise called.error
        return result

    def pin() -> None:
        nonlocal find
        find = lambda _twin, _name: method  # noqa: E731 - two lines less to read than a def

    function = method.__func__
    functools.update_wrapper(call, function)
    with suppress(ValueError, TypeError):  # of some callables there is none
        call.__signature__ = inspect.signature(function)  # type: ignore[attr-defined] # functions take any attribute
    return MethodType(call, method.__self__), pin


def _named_coroutine(name: str, method: Any) -> tuple[Any, Callable[[], None]]:
    """The same for a coroutine function. Its call may go on in other tasks, so that its scope is in the context."""
    find: Find = getattr

    def call(_method: Any, twin: Any, args: Any, kwargs: Any) -> Any:
        result = find(twin, name)(*args, **kwargs)
        return _awaited(result, Scope(name)) if type(result) is CoroutineType else result

    def pin() -> None:
        nonlocal find
        find = lambda _twin, _name: method  # noqa: E731 - as above

    return wrapt.FunctionWrapper(method, call), pin


async def _awaited(result: Any, called: Scope) -> Any:
    token = in_context.set(called)
    try:
        value = await result
    except BaseException as error:
        _say(called, error)
        raise
    finally:
        in_context.reset(token)
    if called.error is not None:
        raise called.error
    return value


def _say(called: Scope | None, error: BaseException) -> None:
    """Raise what the guard raised in place of what the SDK made of it, and add what the guard knows to any other."""
    if called is None:
        return
    if called.error is not None and called.error is not error and isinstance(error, Exception):
        raise called.error from None
    for note in called.notes:
        error.add_note(note)


calls.add(next(c for c in _named.__code__.co_consts if isinstance(c, CodeType) and c.co_name == "call"))
coroutines.add(_awaited.__code__)
