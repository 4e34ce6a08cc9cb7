"""`agentguard show SESSION`: its calls over time, each with its reason, its state, and the way back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agentguard.calls import CallState, Effect, Json, Outcome
from agentguard.cli.common import (
    STATES,
    STYLES,
    console,
    example,
    find_session,
    iso,
    json_option,
    ledger_option,
    moment,
    print_json,
    safe,
    words,
)
from agentguard.cli.sessions import session_json
from agentguard.ledger.rows import CallRow, SessionRow, UndoRow, UndoState

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text
    from rich.tree import Tree


@click.command(epilog=example("agentguard show last"))
@click.argument("session")
@ledger_option
@json_option
def show(session: str, ledger: str | None, as_json: bool) -> None:
    """Show what a session did, and what came of it.

    SESSION is its name, the beginning of it, or "last".
    """
    store, row = find_session(ledger, session)
    calls, undos = store.calls(row.id), store.undos(row.id)
    savepoints = {event.data["name"]: event.data["seq"] for event in store.events(row.id) if event.kind == "savepoint"}
    if as_json:
        print_json(
            {
                "session": session_json(row, len(calls)),
                "savepoints": [{"name": name, "after": seq} for name, seq in savepoints.items()],
                "calls": [call_json(call, [u for u in undos if u.seq == call.seq]) for call in calls],
            }
        )
        return
    tree = _header(row)
    for call in (None, *calls):
        if call is not None:
            tree.add(_branch(call, [undo for undo in undos if undo.seq == call.seq]))
        for name, after in savepoints.items():
            if after == (call.seq if call else 0):
                tree.add(safe(f"savepoint {name}", "bold cyan"))
    if not calls:
        tree.add("no calls")
    console().print(tree)


def _header(row: SessionRow) -> Tree:
    from rich.console import Group
    from rich.text import Text
    from rich.tree import Tree

    ended = f" to {moment(row.ended_at, date=False)}" if row.ended_at else ""
    facts = {
        "agent": safe(row.agent),
        "intent": safe(row.intent),
        "time": Text(f"{moment(row.started_at)}{ended} UTC"),
        "cause": safe(row.cause or ""),
    }
    title = Text.assemble(safe(row.id, "bold"), "  ", (words(row.state).upper(), "bold"))
    return Tree(Group(title, _facts(facts)))


def _branch(call: CallRow, undos: list[UndoRow]) -> Group:
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    well = call.state in (CallState.COMMITTED, CallState.NOT_APPLIED, CallState.REFUSED)
    sure = "" if call.confidence is None else f" ({call.confidence:.0%} sure)"
    title = Text.assemble(
        (f"{call.seq}  {moment(call.created_at, date=False)}  ", "dim"),
        safe(call.operation, "bold"),
        "  ",
        safe(call.target),
    )
    facts = {
        "state": Text(STATES[call.state], style="" if well else "bold red"),
        "why": safe(call.reason or "").append(sure if call.reason else ""),
        "error": safe(call.error or ""),
    }
    if call.state is CallState.COMMITTED and not undos:
        facts["undo"] = Text(
            "none: it cannot be taken back" if call.effect is Effect.IRREVERSIBLE else "none on record"
        )
    rows = [_facts(facts), *(_facts({"undo": _way_back(undo)}) for undo in undos)]
    return Group(title, *(Padding(row, (0, 0, 0, 3), expand=False) for row in rows))


def _facts(facts: dict[str, Text]) -> Table:
    """Names and values side by side; what is empty is left out."""
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=6)
    for name, value in facts.items():
        if value.plain:
            table.add_row(Text(name, style="dim"), value)
    return table


def _way_back(undo: UndoRow) -> Text:
    line = safe(undo.name).append("  ")
    if undo.outcome is not None:
        outcome = words(undo.outcome.value)
        line.append(outcome if undo.outcome.ok else outcome.upper(), STYLES[undo.outcome])
        note = undo.detail
    else:
        line.append("begun, and no result on record" if undo.state is UndoState.SENDING else "ready")
        note = f"would leave: {undo.remains}" if undo.remains else ""
    return line.append("\n").append_text(safe(note, "dim")) if note else line


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
        "undos": [
            {
                "operation": f"{call.connector}.{undo.name}",
                "arguments": undo.arguments,
                "state": undo.state.value,
                "outcome": _value(undo.outcome),
                "detail": undo.detail,
                "remains": undo.remains,
            }
            for undo in undos
        ],
    }


def _value(outcome: Outcome | None) -> str | None:
    return outcome.value if outcome else None
