"""Actions: plain functions under an explicit contract, recorded and undone like any vendor's call.

    def remove_row(row_id: int) -> None: ...

    @agentguard.action("rows.insert", undo=remove_row, undo_arguments=lambda result, **given: {"row_id": result["id"]})
    def insert_row(name: str) -> dict: ...

    with agentguard.session(agent="importer", intent="Import the list") as session:
        insert_row(name="Ashu")
    session.rollback()                  # calls remove_row(row_id=...)

The ledger holds the action's name and JSON arguments, never code. A process that rolls such a session back must have
imported the module that declares the action (`[actions] modules` in agentguard.toml), so that the name is known.
"""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from agentguard.calls import ABSENT, Answer, Call, Certainty, Effect, Handler, Json, Risk, forward, read, undo
from agentguard.connector import Connector
from agentguard.drivers import arun, run
from agentguard.engine import guard
from agentguard.errors import AnswerLost, SessionLost, UsageError
from agentguard.flow import Send, Sent
from agentguard.ledger.rows import CallRow
from agentguard.operations import Operation, OperationTable
from agentguard.replay import once
from agentguard.session import Session, current
from agentguard.work import Work

F = TypeVar("F", bound=Callable[..., Any])

actions = Connector("action", title="Actions", table=OperationTable([]))
_functions: dict[str, Callable[..., Any]] = {}


def action(
    name: str,
    *,
    undo: Callable[..., Any] | None,
    undo_arguments: Callable[..., dict[str, Json]] | None = None,
    look: Callable[..., Json] | None = None,
    effect: Effect = Effect.COMPENSABLE,
    risk: Risk = Risk.LOW,
    reason: str = "",
) -> Callable[[F], F]:
    """Declare the decorated function as the action *name*: what it does, how it is undone, how bad a wrong one is.

    *undo* takes it back, called with the keyword arguments that *undo_arguments* returns for the result and the
    action's own arguments (by default the action's own arguments). None says that there is no undo, with *effect*
    IRREVERSIBLE and *reason*. *look*, given the action's arguments, returns the state that it changes as JSON: it is
    called before and after, the undo is only run while the state is what the action left, and `restored` is said only
    when it was seen to be back. Without it an undo that returns is `compensated`.

    *name* is what the ledger records; keep it when you rename the function. Arguments and results must be JSON. The
    action must be called with a session active. All three functions may be coroutine functions if the action is one.
    """
    undo_name, look_name = f"{name}.undo", f"{name}.look"
    if undo is None and effect is not Effect.IRREVERSIBLE:
        raise UsageError(f"the action {name!r} has no undo: say effect=Effect.IRREVERSIBLE and why with reason=")

    def declare(function: F) -> F:
        _register(name, function, reads=False)
        if undo is not None:
            _register(undo_name, undo, reads=False)
        if look is not None:
            _register(look_name, look, reads=True)
        handler = _handler(name, undo, undo_arguments, look)
        handler.__doc__ = reason or inspect.getdoc(function) or f"The action {name}."
        handler.__qualname__ = f"{function.__module__}.{function.__qualname__}"
        actions.guarded.pop(name, None)
        actions.guards(name, effect=effect, risk=risk)(handler)
        arguments = _arguments(function)

        def bound(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
            return Call(name, _json(name, arguments(args, kwargs)))

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def guarded_async(*args: Any, **kwargs: Any) -> Any:
                session = _session(name)
                work = _work(session, bound(args, kwargs))

                async def asend(step: Send) -> Sent:
                    _check_owner(session)
                    return _sent(name, await function(*args, **kwargs))

                with session.taking_call():
                    return await arun(guard(work), transmit=asend, approver=session.approver)

            return guarded_async  # type: ignore[return-value]  # it has the signature of what it wraps

        @functools.wraps(function)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            session = _session(name)
            work = _work(session, bound(args, kwargs))

            def send(step: Send) -> Sent:
                _check_owner(session)
                return _sent(name, function(*args, **kwargs))

            with session.taking_call():
                return run(guard(work), transmit=send, approver=session.approver)

        return guarded  # type: ignore[return-value]  # likewise

    return declare


def _arguments(function: Callable[..., Any]) -> Callable[[tuple[Any, ...], dict[str, Any]], dict[str, Any]]:
    """What names the arguments of a call of *function*. Raises TypeError as the function would."""
    signature = inspect.signature(function)
    names = [name for name, p in signature.parameters.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    plain = len(names) == len(signature.parameters)

    def named(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        rest = names[len(args) :]
        if plain and len(args) + len(kwargs) == len(names) and all(name in kwargs for name in rest):
            # As most are called, and many times faster.
            return dict(zip(names, args, strict=False)) | {name: kwargs[name] for name in rest}
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        return dict(given.arguments)

    return named


def _handler(
    name: str,
    undoes: Callable[..., Any] | None,
    undo_arguments: Callable[..., dict[str, Json]] | None,
    look: Callable[..., Json] | None,
) -> Callable[[Call], Handler]:
    def handler(call: Call) -> Handler:
        seeing = read(f"{name}.look", **_accepted(look, call.arguments)).or_none() if look else None
        before = (yield seeing) if seeing else None
        result = yield forward()
        if undoes is None:
            return
        given = undo_arguments(result, **call.arguments) if undo_arguments else _accepted(undoes, call.arguments)
        way_back = undo(f"{name}.undo", **_json(name, given))
        if seeing:
            after = yield seeing
            way_back = way_back.on(seeing, left=_seen(after), back=_seen(before))
        yield way_back

    return handler


def _seen(state: Json) -> Json:
    """What `look` showed; that it showed nothing is a state, too."""
    return ABSENT if state is None else state


def _accepted(function: Callable[..., Any], arguments: dict[str, Json]) -> dict[str, Json]:
    """Those of *arguments* that *function* takes."""
    parameters = inspect.signature(function).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return arguments
    return {name: value for name, value in arguments.items() if name in parameters}


def _register(name: str, function: Callable[..., Any], *, reads: bool) -> None:
    known = _functions.get(name)
    if known is not None and (known.__module__, known.__qualname__) != (function.__module__, function.__qualname__):
        raise UsageError(
            f"two actions are called {name!r}: {known.__module__}.{known.__qualname__} and "
            f"{function.__module__}.{function.__qualname__}. Give each its own name."
        )
    _functions[name] = function
    effect = Effect.READ if reads else None
    # The risk of an action stands in its declaration; its undo is what the same author has declared to be safe.
    actions.table.by_name[name] = Operation(name, "CALL", name, effect, Risk.LOW)


def _session(name: str) -> Session:
    session = current.get()
    if session is None:
        raise UsageError(
            f"the action {name!r} was called outside of a session. It was not run. "
            "Call it inside `with agentguard.session(...)`."
        )
    session.check_takes_calls()
    return session


def _work(session: Session, call: Call) -> Work:
    operation = actions.table.by_name[call.operation]
    return Work(session, border, operation, call, method=call.operation, block=once.get())


def _sent(name: str, result: Any) -> Sent:
    value = _json(name, result, after=True)
    return Sent(Answer(200, value, Certainty.HAPPENED), result, {"status": 200, "as_answer": True})


def _json(name: str, value: Any, *, after: bool = False) -> Any:
    try:
        return _copy(value)
    except (RecursionError, TypeError, ValueError) as error:
        if after:
            # It has run: the caller gets the result, and the ledger says that it could not hold it.
            return {"$unserialisable": f"{type(value).__name__}: {error}"}
        raise UsageError(
            f"the arguments of the action {name!r} are not JSON ({error}). It was not run. "
            "Pass names and numbers instead of objects, so that another process can undo it."
        ) from error


_SIMPLE = frozenset({str, int, float, bool, type(None)})


def _copy(value: Any) -> Any:
    kind = type(value)
    if kind in _SIMPLE:
        return value
    if kind is dict and all(type(name) is str for name in value):
        return {name: _copy(item) for name, item in value.items()}
    if kind is list:
        return [_copy(item) for item in value]
    return json.loads(json.dumps(value))  # what is not JSON as it is: a tuple, a subclass, a name that is a number


class _NotRun(UsageError):
    """The function was not run."""


class _Lost(_NotRun, SessionLost):
    """Another process has taken the session over. The function was not run."""


def _check_owner(session: Session) -> None:
    try:
        session.check_owner()
    except SessionLost as lost:
        raise _Lost(str(lost)) from None


@dataclass(slots=True)
class _Border:
    """Runs actions, their undos and their looks by name."""

    base: str = "python"
    mode: str = ""
    account: str | None = ""
    sync: bool = True
    asynchronous: bool = True

    @property
    def connector(self) -> Connector:
        return actions

    def never_left(self, error: BaseException) -> bool:
        """What a function raises proves nothing, not even an error of ours: it may have called a wrapped client."""
        return isinstance(error, _NotRun)

    def replay(self, call: CallRow) -> Json:
        """The recorded result of *call*."""
        kept = call.response
        value = kept.get("json", call.answer) if isinstance(kept, dict) else None
        if kept is None or (isinstance(value, dict) and value.keys() & {"$unserialisable", "$large"}):
            raise AnswerLost(
                f"the action {call.name!r} is call {call.seq} of session {call.session} again, which happened, and its "
                "result is not on record. It was not run."
            )
        return value

    def hold(self, call: CallRow) -> Json:
        """What the caller gets of an action that is held."""
        return {"held": f"{call.session}/{call.seq}"}

    def tell(self, note: str) -> None:
        """A function raises its own exceptions."""

    def perform(self, call: Call, headers: Mapping[str, str]) -> Answer:
        result = _named(call.operation)(**call.arguments)
        if inspect.isawaitable(result):
            if inspect.iscoroutine(result):
                result.close()
            raise _NotRun(f"{call.operation} is a coroutine function: use `await session.arollback()`")
        return _answer(call, result)

    async def aperform(self, call: Call, headers: Mapping[str, str]) -> Answer:
        result = _named(call.operation)(**call.arguments)
        return _answer(call, await result if inspect.isawaitable(result) else result)


def _named(name: str) -> Callable[..., Any]:
    function = _functions.get(name)
    if function is None:
        raise _NotRun(
            f"no action {name!r} is declared in this process. Import the module that declares it, "
            "or name it under [actions] modules in agentguard.toml."
        )
    return function


def _answer(call: Call, result: Any) -> Answer:
    missing = result is None and call.operation.endswith(".look")
    return Answer(404 if missing else 200, _json(call.operation, result, after=True), Certainty.HAPPENED, missing)


border = _Border()
