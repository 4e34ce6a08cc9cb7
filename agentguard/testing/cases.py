"""For authors of connectors: replay a handler from a JSON case, without a network and without a ledger.

A case file holds one case or a list of them:

    {"summary": "the old body comes back",
     "operation": "issues.updateComment",
     "arguments": {"owner": "acme", "repo": "hr", "comment_id": 5, "body": "new"},
     "steps": [
       {"read": "issues.getComment", "arguments": {...}, "view": "comment", "answer": {"body": "old"}},
       {"undo": "issues.updateComment", "arguments": {...}, "look": {...}, "left": {...}, "back": {...}},
       {"forward": {"id": 5, "body": "new"}}]}

`answer` and the value of `forward` are what the service says; everything else is what the handler must yield. A read
is answered through its view. That there is no way back, or none is needed, is a step as well: `{"no_undo": reason}`,
`{"unchanged": reason}`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from agentguard.calls import Call, Effect, Forward, Json, NoUndo, Outcome, Read, Step, Undo
from agentguard.connector import Connector, bind


def load_cases(folder: Path) -> Iterator[tuple[str, dict[str, Json]]]:
    """Yield every case below *folder* with a name for it."""
    for path in sorted(folder.rglob("*.json")):
        content = json.loads(path.read_text())
        for at, case in enumerate(content if isinstance(content, list) else [content]):
            yield f"{path.parent.name}/{path.stem}" + (f"#{at + 1}" if isinstance(content, list) else ""), case


def replay(connector: Connector, case: dict[str, Json]) -> None:
    """Drive the handler of *case* and compare each step with the expected one. Raises AssertionError."""
    call = Call(case["operation"], case["arguments"])
    guarded = connector.guarded[call.operation]
    steps = guarded.handler(**bind(guarded.handler, call))
    reply: Json = None
    for expected in case["steps"]:
        step = steps.send(reply)
        wanted = {name: value for name, value in expected.items() if name not in ("answer", "forward")}
        as_expected = describe(step) == wanted and isinstance(step, Forward) == ("forward" in expected)
        assert as_expected, f"{call.operation} yielded {step}, expected {expected}"
        reply = _reply(connector, step, expected)
    try:
        extra = steps.send(reply)
    except StopIteration:
        pass
    else:
        raise AssertionError(f"{call.operation} goes on with {describe(extra)}")
    forwards = sum("forward" in step for step in case["steps"])
    assert forwards == 1, f"{call.operation} forwards {forwards} times"
    said = guarded.effect is Effect.IRREVERSIBLE or any(
        kind in step for step in case["steps"] for kind in ("undo", "no_undo", "unchanged")
    )
    assert said, f"{call.operation} registers no undo and does not say why: yield unchanged() or no_undo(reason)"


def describe(step: Step) -> dict[str, Json]:
    """A step as a case writes it."""
    if isinstance(step, Forward):
        return {"headers": dict(step.headers)} if step.headers else {}
    if isinstance(step, Read):
        view = {"view": step.view} if step.view else {}
        return {"read": step.operation, "arguments": step.arguments, **view}
    if isinstance(step, NoUndo):
        return {"no_undo" if step.outcome is Outcome.IRREVERSIBLE else "unchanged": step.reason}
    assert isinstance(step, Undo)
    described: dict[str, Json] = {"undo": step.operation, "arguments": step.arguments}
    if step.look is not None:
        described |= {"look": describe(step.look), "left": step.left, "back": step.back}
    return described | ({"remains": step.remains} if step.remains else {})


def _reply(connector: Connector, step: Step, expected: dict[str, Json]) -> Json:
    if isinstance(step, Forward):
        return expected["forward"]
    if isinstance(step, Read):
        answer = expected["answer"]
        return connector.views[step.view](answer) if step.view and answer is not None else answer
    return None


def contract(connector: Connector, cases: Path) -> list[str]:
    """Return how *connector* breaks the rules; an empty list is a connector that can be trusted with a rollback.

    Each write is classified, in one place only; each guarded operation says what it does and is replayed by a case in
    the folder *cases*; each read and undo of a case can be issued; each view, finder and using operation exists.
    """
    table = connector.table.by_name
    problems = [
        f"{name}: its effect is said by {'both its row and its handler' if name in connector.guarded else 'nobody'}"
        for name, row in table.items()
        if (row.effect is not None) == (name in connector.guarded)
    ]
    problems += [
        f"{row.name}: a write without a handler needs a risk"
        for row in table.values()
        if row.effect and not row.reads and row.risk is None
    ]
    problems += [
        f"{g.where}: its docstring does not say what it does" for g in connector.guarded.values() if not g.summary
    ]
    problems += [
        f"{name}: its finder finds an operation that nobody guards"
        for name in connector.finders
        if name not in connector.guarded
    ]
    replayed = set()
    for label, case in load_cases(cases):
        replayed.add(case["operation"])
        try:
            replay(connector, case)
        except (AssertionError, KeyError, TypeError, StopIteration) as error:
            problems.append(f"{label}: {type(error).__name__}: {error}")
            continue
        problems += [f"{label}: {problem}" for problem in _cannot_be_issued(connector, case)]
    plain = {n for n, g in connector.guarded.items() if g.effect is Effect.IRREVERSIBLE}
    problems += [
        f"{name}: no case in {cases.name}/ replays it" for name in sorted(connector.guarded.keys() - replayed - plain)
    ]
    return problems


def _cannot_be_issued(connector: Connector, case: dict[str, Json]) -> Iterator[str]:
    """What is wrong with the reads and undos that a case expects: unknown, or without an argument of its path."""
    for step in case["steps"]:
        for kind, asked in (("read", step), ("undo", step), ("read", step.get("look") or {})):
            if kind not in asked:
                continue
            operation = connector.table.by_name.get(asked[kind])
            if operation is None:
                yield f"{asked[kind]} is not an operation of {connector.name}"
                continue
            try:
                connector.codec.encode(operation, asked["arguments"])
            except ValueError as error:
                yield str(error)
            if asked.get("view", "") not in ("", *connector.views):
                yield f"there is no view {asked['view']!r}"
            if kind == "read" and not operation.reads:
                yield f"{operation.name} is read from, and its row does not say that it changes nothing"
