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
is answered through its view. A case that registers no undo says why in `"no_undo"`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from agentguard.calls import Call, Forward, Json, Read, Step, Undo
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
        assert describe(step) == {k: v for k, v in expected.items() if k != "answer" and k != "forward"} | (
            {"forward": expected["forward"]} if isinstance(step, Forward) and "forward" in expected else {}
        ), f"{call.operation} yielded {describe(step)}, expected {expected}"
        reply = _reply(connector, step, expected)
    try:
        extra = steps.send(reply)
    except StopIteration:
        pass
    else:
        raise AssertionError(f"{call.operation} goes on with {describe(extra)}")
    forwards = sum("forward" in step for step in case["steps"])
    assert forwards == 1, f"{call.operation} forwards {forwards} times"
    if not any("undo" in step for step in case["steps"]):
        assert case.get("no_undo"), f"{call.operation} registers no undo and the case does not say why"


def describe(step: Step) -> dict[str, Json]:
    """A step as a case writes it."""
    if isinstance(step, Forward):
        return {"headers": dict(step.headers)} if step.headers else {}
    if isinstance(step, Read):
        view = {"view": step.view} if step.view else {}
        return {"read": step.operation, "arguments": step.arguments, **view}
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
