"""Declarations: which routes of an HTTP API take which others back, in TOML or in Python.

    name = "crm"
    base = "https://crm.example/api"
    idempotency_header = "Idempotency-Key"          # if the API has one

    [[routes]]
    call = "POST /users"
    undo = "DELETE /users/{result.id}"              # {result.x}: from the call's answer; {x}: from its own arguments
    look = "GET /users/{result.id}"                 # to see that nobody changed it, and that it is gone afterwards
    find = {read = "GET /users", items = "data", same = ["email"]}     # after a lost answer: did it happen?

    [[routes]]
    call = "POST /orders"
    undo = "POST /orders/{result.id}/cancel"
    mark = "body.reference"                         # a text that no other call has, to find the order by
    find = {read = "GET /orders", query = {reference = "{mark}"}, mark = "reference", authoritative = true}

    [[routes]]
    call = "PATCH /users/{id}"
    restore = "GET /users/{id}"                     # read before; the fields that the call changed are written back

    [[routes]]
    call = "POST /users/search"
    effect = "read"

What is not declared is unknown: GET, HEAD and OPTIONS pass, everything else asks and cannot be undone.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from agentguard import ABSENT, Connector, Effect, Handler, Risk, forward, no_undo, read, unchanged, undo
from agentguard.calls import Call, Json, Read, Undo
from agentguard.connector import dig
from agentguard.errors import ConfigError
from agentguard.operations import Operation, OperationTable
from agentguard_connectors.http.finding import Finding, finder_of
from agentguard_connectors.http.marks import HttpCodec, Mark, carrying
from agentguard_connectors.http.routes import Api, Route, Undoing, shown
from agentguard_connectors.http.seams import AsyncHttpxSeam, HttpxSeam, RequestsSeam


def declare(source: Path | str | Api) -> Connector:
    """Make a connector of a declaration: a TOML file, or an `Api`. Raises ConfigError with the place of a mistake."""
    if isinstance(source, Api):
        return _Builder(source, f"Api {source.name!r}").build()
    try:
        api = msgspec.convert(tomllib.loads(Path(source).read_text()), Api)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{source}: {_place(str(error))}. Nothing was declared.") from error
    return _Builder(api, str(source)).build()


def _place(error: str) -> str:
    """Msgspec's "- at `$.routes[1]`" in the words of the file."""
    return re.sub(r" - at `\$\.?(.*?)`$", lambda found: f" at {found[1]}" if found[1] else "", error)


class _Builder:
    """Turns routes into operations and handlers."""

    def __init__(self, api: Api, source: str) -> None:
        self.api = api
        self.source = source
        self.at = ""
        self.rows: dict[tuple[str, str], Operation] = {}

    def build(self) -> Connector:
        for number, route in enumerate(self.api.routes):
            self.at = f"routes[{number}] ({route.call})"
            self._check(route)
            self._row(route.call, route.name, reads=route.effect is Effect.READ, field="call")
        plans = []
        marks: dict[str, Mark] = {}
        for number, route in enumerate(self.api.routes):
            self.at = f"routes[{number}] ({route.call})"
            mark = self._mark(route)
            if mark is not None:
                marks[self._row(route.call).name] = mark
            finding = self._finder(route, mark)
            plans.append((route, *self._plan(route, mark, finding), finding))
        api = self.api
        connector = Connector(
            api.name,
            title=api.title or api.name,
            table=OperationTable([*self.rows.values()]),
            seams=[HttpxSeam(api.base), AsyncHttpxSeam(api.base), RequestsSeam(api.base)],
            codec=HttpCodec(marks),
            idempotency_header=api.idempotency_header,
        )
        connector.view(_as_it_is)
        for route, handler, effect, finding in plans:
            name = self._row(route.call).name
            if handler is not None:
                handler.__doc__ = route.summary or _summary(route)
                handler.__qualname__ = f"{self.source}: {route.call}"
                connector.guards(name, effect=effect, risk=route.risk or Risk.LOW, remains=route.remains)(handler)
            if finding is not None:
                connector.finds(name, authoritative=finding.find.authoritative)(finder_of(finding))
        return connector

    def _fail(self, problem: str) -> ConfigError:
        return ConfigError(f"{self.source}: {self.at}: {problem}. Nothing was declared.")

    def _check(self, route: Route) -> None:
        if route.restore and route.undo:
            raise self._fail("restore and undo exclude each other")
        if route.effect is Effect.READ and (route.restore or route.undo):
            raise self._fail("what only reads needs no undo")
        if route.effect in (Effect.REVERSIBLE, Effect.COMPENSABLE) and not (route.restore or route.undo):
            raise self._fail(f"effect {route.effect.value} needs undo or restore")
        if route.look and not route.undo:
            raise self._fail("look goes with undo")
        if route.mark and route.effect is Effect.READ:
            raise self._fail("what only reads needs no mark")
        if route.mark and route.restore:
            raise self._fail("restore and mark exclude each other: what restore reads shows whether it happened")

    def _mark(self, route: Route) -> Mark | None:
        if not route.mark:
            return None
        mark = Mark.parse(route.mark)
        if mark is None:
            raise self._fail(f"mark is {route.mark!r}, not body.NAME or header.NAME")
        if mark.header and self.api.idempotency_header and mark.header == self.api.idempotency_header.lower():
            raise self._fail(f"mark is {route.mark!r}, which carries the idempotency key already")
        return mark

    def _row(self, text: str, name: str = "", *, reads: bool = False, field: str = "") -> Operation:
        """The operation of a route, made when it is first spoken of. Routes are the same when they match the same."""
        verb, _, path = text.strip().partition(" ")
        if not re.fullmatch(r"[A-Z]+", verb) or not path.startswith("/"):
            raise self._fail(f"{field} is {text!r}, not a verb and a path such as 'POST /users'")
        if reads and verb in ("PUT", "PATCH", "DELETE"):
            raise self._fail(f"{field} is {text!r}, and {verb} is no read")
        key = (verb, re.sub(r"\{[^}]*\}", "{}", path))
        if key not in self.rows:
            plain = re.sub(r"\{result\.([^}]*)\}", lambda found: "{" + found[1].replace(".", "_") + "}", path)
            effect = Effect.READ if reads or verb in ("GET", "HEAD") else None
            self.rows[key] = Operation(name or f"{verb} {plain}", verb, plain, effect)
        return self.rows[key]

    def _plan(self, route: Route, marking: Mark | None, finding: Finding | None) -> tuple[Any, Effect]:
        own = self._row(route.call)
        if route.effect is Effect.READ or own.reads:
            return None, Effect.READ
        if route.restore:
            return self._restoring(route, own), route.effect or Effect.REVERSIBLE
        if route.undo:
            return self._undoing(route, own, marking, finding), route.effect or (
                Effect.REVERSIBLE if route.look and not route.remains else Effect.COMPENSABLE
            )

        def plain(call: Call, mark: str | None) -> Handler:
            yield carrying(marking, call, mark)

        # A write that is declared without an undo says that it has none.
        return plain if marking else _plain, route.effect or Effect.IRREVERSIBLE

    def _restoring(self, route: Route, own: Operation) -> Any:
        looking = self._row(str(route.restore), reads=True, field="restore")
        missing = [name for name in looking.parameters if name not in own.parameters]
        if missing:
            raise self._fail(f"restore needs {{{missing[0]}}}, which the path of the call does not have")

        def restore(call: Call) -> Handler:
            look = read(looking.name, **{n: call.arguments[n] for n in looking.parameters}).through("_as_it_is")
            before = yield look
            given = [n for n in call.arguments if n not in own.parameters and n not in route.ignore]
            changed = [n for n in given if n in before]
            old = {name: before[name] for name in changed}
            if old:
                back = undo(own.name, **{n: call.arguments[n] for n in own.parameters}, **old)
                left = {name: call.arguments[name] for name in changed}
                yield back.on(look, left=left, back=old, same_shape=True).leaving(route.remains)
            lost = ", ".join(name for name in given if name not in before)
            if lost:
                yield no_undo(f"{lost} cannot be put back: {route.restore} does not show it")
            elif not old:
                yield unchanged("the call gave nothing to change")
            yield forward()

        def replace(call: Call) -> Handler:
            # What a PUT leaves out it takes away: the whole is compared, and written back.
            look = read(looking.name, **{n: call.arguments[n] for n in looking.parameters}).through("_as_it_is")
            before = shown(route, (yield look))
            yield forward()
            left = shown(route, (yield look))
            body = {name: value for name, value in before.items() if name not in own.parameters}
            back = undo(own.name, **{n: call.arguments[n] for n in own.parameters}, **body)
            gone = {name: ABSENT for name in before if name not in left}
            new = {name: ABSENT for name in left if name not in before}
            yield back.on(look, left={**left, **gone}, back={**before, **new}).leaving(route.remains)
            lost = ", ".join(n for n in call.arguments if n not in own.parameters and n not in {*before, *left})
            if lost:
                yield no_undo(f"{lost} cannot be put back: {route.restore} does not show it")

        return replace if own.verb == "PUT" else restore

    def _undoing(self, route: Route, own: Operation, marking: Mark | None, finding: Finding | None) -> Any:
        undoing = route.undo if isinstance(route.undo, Undoing) else Undoing(str(route.undo))
        way_back = self._row(undoing.call, field="undo")
        undo_values = self._values(undoing.call, own)
        looking = self._row(route.look, reads=True, field="look") if route.look else None
        look_values = self._values(route.look, own) if route.look else []
        late = "result." in undoing.call + (route.look or "")

        def taking_back(call: Call, answer: Json) -> Undo:
            arguments = dict(zip(way_back.parameters, _fill(undo_values, call, answer), strict=True))
            return undo(way_back.name, **arguments, **undoing.body).leaving(route.remains)

        def seeing(call: Call, answer: Json) -> Read:
            assert looking is not None
            values = dict(zip(looking.parameters, _fill(look_values, call, answer), strict=True))
            return read(looking.name, **values).through("_as_it_is")

        def creating(call: Call, mark: str | None) -> Handler:
            if finding is not None and finding.needs_before(call):
                yield finding.listed(call)  # so that the finder can tell what was there before
            made = yield carrying(marking, call, mark)
            back = taking_back(call, made)
            yield back.on(seeing(call, made), left=shown(route, made), back=ABSENT) if looking else back

        def switching(call: Call, mark: str | None) -> Handler:
            yield taking_back(call, None)
            yield carrying(marking, call, mark)

        def switching_seen(call: Call, mark: str | None) -> Handler:
            # What the call leaves behind is seen only then: without it a change by somebody else would be run over.
            before = shown(route, (yield seeing(call, None).or_none()))
            yield carrying(marking, call, mark)
            left = shown(route, (yield seeing(call, None).or_none()))
            back = taking_back(call, None)
            # A look that does not show what the call does cannot show that it is undone either.
            yield back if left == before else back.on(seeing(call, None), left=left, back=before)

        return creating if late else switching_seen if looking else switching

    def _values(self, text: str, own: Operation) -> list[str]:
        """Where the values for the path of *text* come from, in their order."""
        names = re.findall(r"\{([^}]*)\}", text)
        for name in names:
            if not name.startswith("result.") and name not in own.parameters:
                raise self._fail(f"{{{name}}} in {text!r} is neither in the path of the call nor {{result.{name}}}")
        return names

    def _finder(self, route: Route, mark: Mark | None) -> Finding | None:
        find = route.find
        if find is None:
            return None
        listing = self._row(find.read, reads=True, field="find.read")
        own = self._row(route.call)
        by_mark = find.mark or "mark" in listing.parameters or any("{mark}" in text for text in find.query.values())
        if by_mark and mark is None:
            raise self._fail("find looks for a mark, and the route has no mark = 'body.NAME' or 'header.NAME'")
        if not by_mark and not find.same:
            raise self._fail("find needs same, the fields to compare, or mark, the field that shows the mark")
        if by_mark and not find.mark and (find.items or "mark" not in listing.parameters):
            raise self._fail("find.mark has to say which field shows the mark")
        if find.same and "mark" in listing.parameters:
            raise self._fail(
                f"find.read is {find.read!r}, which shows nothing of a call without a mark: same needs a list"
            )
        named = [name for text in find.query.values() for name in re.findall(r"\{([^}]*)\}", text)]
        missing = [n for n in (*listing.parameters, *named) if n not in own.parameters and n != "mark"]
        if missing:
            raise self._fail(f"find.read needs {{{missing[0]}}}, which the path of the call does not have")
        undoing = route.undo.call if isinstance(route.undo, Undoing) else str(route.undo or "")
        keys = tuple(re.findall(r"\{result\.([^}]*)\}", undoing + (route.look or "")))
        return Finding(find, listing, keys, mark if by_mark else None)


def _plain() -> Handler:
    """Let the call go."""
    yield forward()


def _as_it_is(answer: Json) -> Json:
    """The whole answer."""
    return answer


def _fill(names: list[str], call: Call, answer: Json) -> list[Json]:
    return [dig(answer, n.removeprefix("result.")) if n.startswith("result.") else call.arguments[n] for n in names]


def _summary(route: Route) -> str:
    if route.restore:
        return f"Taken back by writing the old values, read with {route.restore}."
    if route.undo:
        return f"Taken back with {route.undo.call if isinstance(route.undo, Undoing) else route.undo}."
    return "Declared without an undo."
