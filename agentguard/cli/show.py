"""`agentguard show SESSION`: its calls over time, each with its reason, its state, and the way back."""

from __future__ import annotations

import json

import click

from agentguard.calls import Json, Outcome
from agentguard.cli.approvals import request_json
from agentguard.cli.common import (
    console,
    example,
    find_session,
    iso,
    json_option,
    ledger_option,
    moment,
    print_json,
    safe,
)
from agentguard.cli.sessions import session_json
from agentguard.cli.showing import Story, history, tree
from agentguard.ledger.rows import CallRow, EventRow, UndoRow


@click.command(epilog=example("agentguard show last"))
@click.argument("session")
@click.option("--events", "raw", is_flag=True, help="List the events as they are on record.")
@ledger_option
@json_option
def show(session: str, raw: bool, ledger: str | None, as_json: bool) -> None:
    """Show what a session did, and what came of it.

    SESSION is its name, the beginning of it, or "last". Calls, savepoints, decisions of people, changes of the owner
    and rollbacks are in the order in which they happened.
    """
    store, row = find_session(ledger, session)
    story = Story(
        row,
        store.calls(row.id),
        store.undos(row.id),
        store.events(row.id),
        store.people.approvals(session=row.id),
        store.people.freezes(),
    )
    if as_json:
        print_json(story_json(story) | ({"events": [event_json(event) for event in story.events]} if raw else {}))
    elif raw:
        for event in story.events:
            _show_event(event)
    else:
        console().print(tree(story))


def _show_event(event: EventRow) -> None:
    from rich.text import Text

    about = ".".join(str(number) for number in (event.seq, event.n) if number is not None)
    line = Text.assemble((f"{event.id:>6}  {moment(event.at)}  ", "dim"), f"{about:<6}", safe(event.kind, "bold"))
    if event.data:
        line.append("  ").append_text(safe(json.dumps(event.data, ensure_ascii=False, default=str)))
    console().print(line, overflow="fold")


def story_json(story: Story) -> dict[str, Json]:
    """A session as JSON, with its calls and what happened around them."""
    savepoints = [event.data for event in story.events if event.kind == "savepoint" and event.data]
    return {
        "session": session_json(story.session, len(story.calls)),
        "savepoints": [{"name": data["name"], "after": data["seq"]} for data in savepoints],
        "calls": [call_json(call, [undo for undo in story.undos if undo.seq == call.seq]) for call in story.calls],
        "approvals": [request_json(row) for row in story.approvals],
        "history": [{**entry, "at": iso(entry["at"])} for entry in history(story)],
    }


def event_json(event: EventRow) -> dict[str, Json]:
    """One event as JSON."""
    return {
        "id": event.id,
        "call": event.seq,
        "undo": event.n,
        "kind": event.kind,
        "at": iso(event.at),
        "data": event.data,
    }


def call_json(call: CallRow, undos: list[UndoRow]) -> dict[str, Json]:
    """One call as JSON, secrets redacted as they are in the ledger."""
    return {
        "seq": call.seq,
        "operation": call.operation,
        "method": call.method,
        "target": call.target,
        "account": call.base,
        "arguments": call.arguments,
        "effect": call.effect.value,
        "risk": str(call.risk),
        "state": call.state.value,
        "reason": call.reason,
        "confidence": call.confidence,
        "error": call.error,
        "at": iso(call.created_at),
        "rule": call.rule,
        "approval": call.approval,
        "verified": call.verified,
        "resolution": call.resolution,
        "undos": [
            {
                "operation": f"{call.connector}.{undo.name}",
                "arguments": undo.arguments,
                "state": undo.state.value,
                "outcome": _value(undo.outcome),
                "detail": undo.detail,
                "remains": undo.remains,
                "resolution": undo.resolution,
            }
            for undo in undos
        ],
    }


def _value(outcome: Outcome | None) -> str | None:
    return outcome.value if outcome else None
