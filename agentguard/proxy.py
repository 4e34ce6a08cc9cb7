"""What `wrap` returns: the guarded twin of a client behind a transparent proxy.

The gate under the twin is what guards; it sees every request, whatever path led to it. The proxy adds two things. It
names the call, so that the ledger can say `chat_postMessage`. And it sees to it that an error of ours reaches the
caller even where an SDK turns whatever its transport raises into an exception of its own. Everything else is the
twin's: what methods return is returned as it is, and is guarded because it uses the twin's transport.
"""

from __future__ import annotations

import copy
import inspect
from typing import Any, SupportsIndex

import wrapt

from agentguard.guard import Guard, Scope, scope


class GuardedClient(wrapt.ObjectProxy[Any]):
    """A client whose writes are recorded and can be taken back. It has the type of the client that was wrapped."""

    def __init__(self, twin: Any, guard: Guard) -> None:
        super().__init__(twin)
        self._self_guard = guard
        self._self_methods: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        known = self._self_methods.get(name)
        if known is not None:
            return known
        value = getattr(self.__wrapped__, name)
        if inspect.ismethod(value) and value.__self__ is self.__wrapped__:
            value = self._self_methods[name] = wrapt.FunctionWrapper(value, _Named(name))
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_self_"):
            self._self_methods.pop(name, None)
        super().__setattr__(name, value)

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


class _Named:
    """Calls a method of the client under its name."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, wrapped: Any, instance: Any, args: Any, kwargs: Any) -> Any:
        called = Scope(self.name)
        token = scope.set(called)
        try:
            result = wrapped(*args, **kwargs)
        except Exception as error:
            if called.error is not None and called.error is not error:
                raise called.error from None
            raise
        finally:
            scope.reset(token)
        if inspect.iscoroutine(result):
            return _awaited(result, called)
        if called.error is not None:
            raise called.error
        return result


async def _awaited(result: Any, called: Scope) -> Any:
    token = scope.set(called)
    try:
        value = await result
    except Exception as error:
        if called.error is not None and called.error is not error:
            raise called.error from None
        raise
    finally:
        scope.reset(token)
    if called.error is not None:
        raise called.error
    return value
