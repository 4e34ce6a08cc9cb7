"""A connector: one service's operations, and for those that can be taken back, how.

    github = Connector("github", title="GitHub", table=HERE / "operations.jsonl", seams=[...])

    @github.guards("issues.create", effect=Effect.COMPENSABLE, risk=Risk.LOW)
    def create_issue(owner: str, repo: str) -> Handler:
        \"\"\"Open an issue; it is closed again as not planned, and stays visible.\"\"\"
        issue = yield forward()
        yield undo("issues.update", owner=owner, repo=repo, issue_number=issue["number"], state="closed")

A handler receives the arguments that it names, by name; one that the caller did not give is None. The name `call`
stands for the whole `Call`, and `mark` for a text that no other call has: written into the request with
`forward().changing(...)`, it lets the finder know the effect when the answer is lost. The first line of the handler's
docstring is what people read about the operation.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar

from agentguard.calls import (
    ABSENT,
    Answer,
    Call,
    Effect,
    Finder,
    Handler,
    Json,
    Read,
    Risk,
    View,
    forward,
    matches,
    no_undo,
    read,
    unchanged,
    undo,
)
from agentguard.errors import HandlerError
from agentguard.operations import Operation, OperationTable
from agentguard.wire.codec import RestCodec
from agentguard.wire.seam import Seam

HandlerFunction = Callable[..., Handler]
FinderFunction = Callable[..., Finder]
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Guarded:
    """What is declared about one operation that has a handler, or that is known to have no undo."""

    operation: str
    effect: Effect
    risk: Risk
    handler: HandlerFunction
    summary: str
    remains: str
    where: str


@dataclass(frozen=True, slots=True)
class Located:
    """A finder: whether a call that got no answer happened."""

    finder: FinderFunction
    authoritative: bool
    exact: bool


@dataclass(frozen=True, slots=True)
class Account:
    """How a fresh process gets a client: the environment variables that the service's own tools use."""

    variables: tuple[str, ...]
    client: Callable[[Mapping[str, str]], Any] = field(repr=False)


class Connector:
    """The operations, handlers, finders and views of one service."""

    def __init__(
        self,
        name: str,
        *,
        title: str,
        table: Path | OperationTable,
        seams: Sequence[Seam] = (),
        codec: RestCodec | None = None,
        account: Account | None = None,
        idempotency_header: str | None = None,
    ) -> None:
        self.name = name
        self.title = title
        self.seams = tuple(seams)
        self.codec = codec or RestCodec()
        self.account = account
        self.idempotency_header = idempotency_header
        """The header that makes the service treat a repeated request as the same one; sent with every write."""
        self.guarded: dict[str, Guarded] = {}
        self.finders: dict[str, Located] = {}
        self.views: dict[str, View] = {}
        self.witness: Callable[[Read], Read | None] = lambda _read: None
        """For a read that found nothing: a read that must succeed before "it is gone" is believed."""
        self.unproven: Callable[[Read], str] = lambda _read: ""
        """For a read that found nothing: why the thing may be there all the same, where a service hides some things."""
        self.graver: Callable[[Call], Risk] = lambda _call: Risk.LOW
        """How bad a call would be for what it is given; the higher of this and the risk of its operation counts."""
        self.recipients: Callable[[Call], list[str]] | None = None
        """Whom a call writes to, for policies; where the service writes to people."""
        self.amount: Callable[[Call], tuple[Decimal, str] | None] | None = None
        """The money that a call moves, in whole units, and its currency, for policies; where the service moves any."""
        self.owner: tuple[Read, Callable[[Answer], str]] | None = None
        """How to ask whose account a client is for, and what the answer says: a name that is no secret, or ""."""
        self._table = table

    @cached_property
    def table(self) -> OperationTable:
        """Every operation of the service. Loaded when first needed; checks that what is guarded exists."""
        table = self._table if isinstance(self._table, OperationTable) else OperationTable.load(self._table)
        for guarded in self.guarded.values():
            if guarded.operation not in table.by_name:
                raise HandlerError(f"{guarded.where} guards {guarded.operation!r}, which {self.name}'s table lacks")
        return table

    @cached_property
    def proved(self) -> frozenset[str]:
        """The operations whose undo a test does, undoes and compares: `proved.txt` beside the table lists them."""
        path = self._table.with_name("proved.txt") if isinstance(self._table, Path) else None
        return frozenset(path.read_text().split()) if path and path.exists() else frozenset()

    def facts(self, operation: Operation, arguments: Mapping[str, Json] | None = None) -> tuple[Effect, Risk]:
        """Effect and risk of *operation*. What nobody has classified is irreversible and of high risk.

        A connector may find a call riskier for its *arguments*.
        """
        guarded = self.guarded.get(operation.name)
        if guarded is not None:
            return guarded.effect, guarded.risk
        if operation.effect is Effect.READ:
            return Effect.READ, Risk.LOW
        return operation.effect or Effect.IRREVERSIBLE, operation.risk or Risk.HIGH

    def reads(self, verb: str, path: str) -> bool:
        """Whether this request certainly changes nothing. By verb, unless the service says otherwise."""
        return verb in ("GET", "HEAD", "OPTIONS")

    # Declaring operations

    def guards(
        self, operation: str, *, effect: Effect, risk: Risk = Risk.LOW, remains: str = ""
    ) -> Callable[[HandlerFunction], HandlerFunction]:
        """Register the decorated generator function as the handler of *operation*."""

        def register(handler: HandlerFunction) -> HandlerFunction:
            code = handler.__code__
            where = f"{handler.__qualname__} ({code.co_filename}:{code.co_firstlineno})"
            if not inspect.isgeneratorfunction(handler):
                raise HandlerError(f"{where} is not a generator function: it must yield forward()")
            if operation in self.guarded:
                raise HandlerError(f"{where}: {operation} is guarded by {self.guarded[operation].where} already")
            summary = (inspect.getdoc(handler) or "").split("\n\n")[0].replace("\n", " ")
            self.guarded[operation] = Guarded(operation, effect, risk, handler, summary, remains, where)
            return handler

        return register

    def finds(
        self, operation: str, *, authoritative: bool = False, exact: bool = False
    ) -> Callable[[FinderFunction], FinderFunction]:
        """Register how to find out whether a call of *operation* happened when its answer was lost.

        The decorated generator function yields reads and returns the answer that the call would have had, or None.
        It may name `since`, the time of the intent (ISO 8601, UTC), `key`, the idempotency key that was sent, `mark`,
        what the handler put into the request, and `snapshots`.
        *authoritative* says that None proves that it did not happen, because the look-up is by a marker of ours and
        not delayed. Somebody may have changed the thing before it is found: so what the call sent in its body counts
        in place of what is found under the same name (`as_sent`), unless the answer is *exact*: known from an event of
        that time, or put right by the finder itself.
        """

        def register(finder: FinderFunction) -> FinderFunction:
            self.finders[operation] = Located(finder, authoritative, exact)
            return finder

        return register

    def view(self, function: F) -> F:
        """Register a pure function of an answer under its own name, for `Read.through`."""
        self.views[function.__name__] = function
        return function

    # What repeats has short forms, which build the same generators.

    def restores(
        self,
        operation: str,
        *,
        by: str,
        view: str,
        using: str | None = None,
        fields: Iterable[str] = (),
        ignoring: Iterable[str] = (),
        effect: Effect = Effect.REVERSIBLE,
        risk: Risk = Risk.LOW,
        remains: str = "",
        summary: str = "",
        clear: Mapping[str, Json] | None = None,
    ) -> None:
        """Register an update whose undo writes the old values of the fields that it changed.

        *by* reads the thing (with those of the call's arguments that stand in its path), *view* turns it into fields
        named and shaped as the update takes them, and *using* is the operation that writes them back, by default the
        same one. *fields* limits which arguments count as fields; by default all that the view shows. Arguments in
        *ignoring* steer the call and are no state; others are reported as not put back. *clear* gives the value that
        empties a field whose old value was None.
        """
        allowed, steering = frozenset(fields), frozenset(ignoring)

        def handler(call: Call) -> Handler:
            table = self.table.by_name
            look_path = {name: call.arguments[name] for name in table[by].parameters}
            undo_path = {name: call.arguments[name] for name in table[using or operation].parameters}
            look = read(by, **look_path).through(view)
            before = yield look
            given = [name for name in call.arguments if name not in look_path | undo_path and name not in steering]
            names = [name for name in given if name in before and (not allowed or name in allowed)]
            old = {name: before[name] for name in names}
            # What the call changes besides: left unsaid, the report would claim more than is true.
            lost = ", ".join(sorted(set(given) - set(names)))
            if old:
                empty = clear or {}
                written = {n: empty[n] if v is None and n in empty else v for n, v in old.items()}
                way_back = undo(using or operation, **undo_path, **written)
                new = {name: call.arguments[name] for name in names}
                yield way_back.on(look, left=new, back=old, same_shape=True).leaving(remains)
            if lost:
                yield no_undo(f"{lost} cannot be put back")
            elif not old:
                yield unchanged("the call gave nothing to change")
            yield forward()

        handler.__doc__ = summary or f"Update; the old values come back. Read by {by}."
        handler.__qualname__ = f"{self.name}.restores({operation!r})"
        self.guards(operation, effect=effect, risk=risk, remains=remains)(handler)

    def creates(
        self,
        operation: str,
        *,
        undone_by: str,
        key: Mapping[str, str],
        by: str,
        view: str,
        effect: Effect = Effect.REVERSIBLE,
        risk: Risk = Risk.LOW,
        remains: str = "",
        back: Json = None,
        summary: str = "",
    ) -> None:
        """Register a creation whose undo deletes what was made.

        *key* maps arguments of *undone_by* and *by* to names in the answer, dots going deeper. *back* is what *by*
        shows afterwards: by default that the thing is absent.
        """

        def handler(call: Call) -> Handler:
            made = yield forward()
            found = {name: dig(made, path) for name, path in key.items()}
            table = self.table.by_name
            known = {**call.arguments, **found}
            arguments = {name: known[name] for name in dict.fromkeys((*table[undone_by].parameters, *key))}
            look = read(by, **{n: known[n] for n in dict.fromkeys((*table[by].parameters, *key))}).through(view)
            seen = self.views[view](made)
            way_back = undo(undone_by, **arguments)
            yield way_back.on(look, left=seen, back=ABSENT if back is None else back).leaving(remains)

        handler.__doc__ = summary or f"Create; taken back with {undone_by}."
        handler.__qualname__ = f"{self.name}.creates({operation!r})"
        self.guards(operation, effect=effect, risk=risk, remains=remains)(handler)

    def pairs(
        self,
        operation: str,
        inverse: str,
        *names: str,
        by: str,
        view: str,
        left: Callable[[Call], Json],
        back: Callable[[Call], Json],
        effect: Effect = Effect.REVERSIBLE,
        risk: Risk = Risk.LOW,
        remains: str = "",
        summary: str = "",
    ) -> None:
        """Register one half of a pair: *inverse*, with the arguments *names*, takes *operation* back.

        *by* reads the thing; *left* and *back* say what *view* shows with and without it. A call that finds it
        switched already changes nothing and registers no undo.
        """

        def handler(call: Call) -> Handler:
            look = read(by, **{name: call.arguments[name] for name in self.table.by_name[by].parameters}).through(view)
            before = yield look
            if matches(left(call), before):
                yield unchanged()
            else:
                way_back = undo(inverse, **{name: call.arguments[name] for name in names})
                yield way_back.on(look, left=left(call), back=back(call)).leaving(remains)
            yield forward()

        handler.__doc__ = summary or f"Taken back with {inverse}."
        handler.__qualname__ = f"{self.name}.pairs({operation!r})"
        self.guards(operation, effect=effect, risk=risk, remains=remains)(handler)

    def irreversible(self, operation: str, reason: str, *, risk: Risk = Risk.HIGH) -> None:
        """Register an operation that cannot be taken back, and why."""

        def handler() -> Handler:
            yield forward()

        handler.__doc__ = reason
        handler.__qualname__ = f"{self.name}.irreversible({operation!r})"
        self.guards(operation, effect=Effect.IRREVERSIBLE, risk=risk)(handler)


def dig(value: Json, path: str) -> Json:
    """Follow a dotted path into JSON. Raises KeyError with the whole path where it breaks off."""
    for part in path.split("."):
        if not isinstance(value, dict) or part not in value:
            raise KeyError(path)
        value = value[part]
    return value


def bind(function: Callable[..., Any], call: Call, **special: Json) -> dict[str, Json]:
    """The keyword arguments for a handler or finder: those of the call that it names, None for what is not there."""
    given = {**special, "call": call}
    bound: dict[str, Json] = {}
    for name, parameter in _parameters(function):
        if parameter.kind is parameter.VAR_KEYWORD:
            bound.update({k: v for k, v in call.arguments.items() if k not in bound})
        elif name in given:
            bound[name] = given[name]
        elif name in call.arguments:
            bound[name] = call.arguments[name]
        elif parameter.default is parameter.empty:
            bound[name] = None
    return bound


def marks(function: Callable[..., Any]) -> bool:
    """Whether a handler puts a mark into the call, to know its effect by."""
    return any(name == "mark" for name, _parameter in _parameters(function))


@cache
def _parameters(function: Callable[..., Any]) -> tuple[tuple[str, inspect.Parameter], ...]:
    return tuple(inspect.signature(function).parameters.items())
