"""A session drawn as a tree, in the order in which things happened: its calls, and what people and recovery did.

What happened when is read from the events, what came of a call from its row. An event that is not known here is left to
`--events`; one whose payload was purged still has its kind and its time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agentguard.calls import CallState, Effect, Json, Outcome
from agentguard.cli.common import STATES, STYLES, moment, safe, words
from agentguard.ledger.people import EVERYTHING
from agentguard.ledger.rows import ApprovalRow, CallRow, EventRow, FreezeRow, SessionRow, UndoRow, UndoState

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text
    from rich.tree import Tree

ENDS = {"completed": "completed", "interrupted": "interrupted: its process is gone", "rolled_back": "", "partial": ""}
"""How a session's end is told; the end of a rollback is told where it began."""
BY_RISK = "default by risk"
STOPPED = (CallState.HELD, CallState.REFUSED)
SETTLED = {CallState.COMMITTED.value: "it happened", CallState.NOT_APPLIED.value: "it did not happen"}


@dataclass(frozen=True, slots=True)
class Story:
    """All that the ledger has about one session."""

    session: SessionRow
    calls: list[CallRow]
    undos: list[UndoRow]
    events: list[EventRow]
    approvals: list[ApprovalRow] = field(default_factory=list)
    freezes: list[FreezeRow] = field(default_factory=list)
    """What is frozen now, of all sessions."""


def history(story: Story) -> Iterator[dict[str, Json]]:
    """What happened around the calls, oldest first: `at`, `kind`, `call`, and what is known of it in words."""
    doubtful: set[int] = set()
    owner = False
    for event in story.events:
        told = _told(event, story, doubtful, owned=owner)
        owner = owner or event.kind in ("intent", "held", "session started")
        if event.seq is not None and event.kind == CallState.IN_DOUBT.value:
            doubtful.add(event.seq)
        if told is not None:
            yield {"at": event.at, "kind": event.kind, "call": event.seq, "told": told, "event": event.id}


def tree(story: Story) -> Tree:
    """Draw the session."""
    from rich.tree import Tree

    root = Tree(_header(story))
    at, drawn = root, set[int]()
    calls = {call.seq: call for call in story.calls}
    around = {entry["event"]: entry for entry in history(story)}
    for event in story.events:
        if event.seq in calls and event.seq not in drawn and event.kind in ("intent", "held", "refused"):
            drawn.add(event.seq)
            root.add(_branch(calls[event.seq], [undo for undo in story.undos if undo.seq == event.seq], story))
        elif event.kind in ("session rolling_back", "rollback to savepoint"):
            at = root.add(_line(event.at, around[event.id]["told"], "bold yellow"))
        elif event.id in around:
            undone = event.kind.startswith("undo ")
            node = at if undone or event.kind in ("session rolled_back", "session partial") else root
            node.add(_line(event.at, around[event.id]["told"], _style(event)))
    for call in story.calls:
        if call.seq not in drawn:  # its events are gone, or are of another version
            root.add(_branch(call, [undo for undo in story.undos if undo.seq == call.seq], story))
    if not story.calls:
        root.add("no calls")
    return root


def _told(event: EventRow, story: Story, doubtful: set[int], *, owned: bool) -> str | None:
    """One event in words; None where the calls tell of it already, or nobody asks."""
    data = event.data
    kind, _, rest = event.kind.partition(" ")
    name = f"call {event.seq}"
    by = f" by {data['by']}" if data.get("by") else ""
    why = data.get("why") or data.get("note")
    because = f": {why}" if why else ""
    match kind:
        case "savepoint":
            return f"savepoint {data.get('name', '')}"
        case "checkpoint":
            return f"checkpoint {data.get('name', '')}"
        case "approval":
            request = next((row for row in story.approvals if row.id == data.get("approval")), None)
            about = f"{data.get('approval', '')}"
            if rest == "asked for":
                return f"approval {about} asked for, of {data.get('operation') or (request and request.operation)}"
            signed = f"signed with the key of {data['key']}" if data.get("key") else "unsigned"
            return f"approval {about} {rest}{by} ({signed}){because}"
        case "frozen" | "thawed":
            return f"{kind}{by}{because}"
        case "claimed":
            return f"has a new owner (number {data.get('token', '?')})" if owned else None
        case "rollback" if rest == "to savepoint":
            return f"rollback to savepoint {data.get('name', '')}{_led_there(event, data.get('cause'), story)}"
        case "session" if rest == "rolling_back":
            return f"rollback{_led_there(event, data.get('cause') or story.session.cause, story)}"
        case "session" if rest in ("rolled_back", "partial"):
            return _came_to(event, story)
        case "session" if ENDS.get(rest):
            return ENDS[rest]
        case "undo" if rest in set(Outcome):
            undo = next((u for u in story.undos if (u.seq, u.n) == (event.seq, event.n)), None)
            what = f"{undo.name} " if undo and undo.name else ""
            return f"{name}: {what}{words(rest)}"
        case "resolved":
            where = data.get("item") or (f"{name}.{event.n}" if event.n else name)
            return f"{where}: a person decided {words(str(data.get('action', 'something')))}{by}{because}"
        case "repeated":
            return f"call {data.get('call', '?')} was made again: its recorded response was returned, nothing was sent"
        case "late":
            return f"{name}: a former owner learned of {'an undo' if rest == 'undo' else 'its answer'} too late"
        case "purged":
            return f"purged{by}: the payloads are gone"
        case _ if event.kind in SETTLED and event.seq in doubtful:
            return f"{name}: no longer in doubt, {SETTLED[event.kind]}"
    return None


def _led_there(event: EventRow, cause: Json, story: Story) -> str:
    """Why a rollback began: its cause, and the newest call before it where that did not go well."""
    told = f": {cause}" if cause else ""
    before = [call for call in story.calls if call.created_at <= event.at]
    if before and before[-1].error and before[-1].state is not CallState.COMMITTED:
        told += f" (call {before[-1].seq}, {before[-1].operation}: {STATES[before[-1].state]})"
    return told


def _came_to(event: EventRow, story: Story) -> str:
    counts = Counter(words(undo.outcome.value) for undo in story.undos if undo.outcome is not None)
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "nothing to take back"
    whole = event.kind == "session rolled_back"
    return f"{'everything is taken back' if whole else 'something could NOT be taken back'}: {told}"


def _style(event: EventRow) -> str:
    kind, _, rest = event.kind.partition(" ")
    if kind == "undo":
        return STYLES[Outcome(rest)]
    if event.kind == "session partial":
        return "bold red"
    return {"savepoint": "bold cyan", "checkpoint": "cyan", "frozen": "bold red", "approval": "yellow"}.get(kind, "dim")


def _line(at: float, told: str, style: str) -> Text:
    from rich.text import Text

    return Text.assemble((f"{moment(at, date=False)}  ", "dim")).append_text(safe(told, style))


def _header(story: Story) -> Group:
    from rich.console import Group
    from rich.text import Text

    row = story.session
    ended = f" to {moment(row.ended_at, date=False)}" if row.ended_at else ""
    frozen = next((f for f in story.freezes if f.scope in (row.id, EVERYTHING)), None)
    facts = {
        "agent": safe(row.agent),
        "user": safe(row.user or ""),
        "intent": safe(row.intent),
        "time": Text(f"{moment(row.started_at)}{ended} UTC"),
        "cause": safe(row.cause or ""),
        "frozen": safe(f"by {frozen.by}: {frozen.why or 'no reason given'}" if frozen else "", "bold red"),
    }
    title = Text.assemble(safe(row.id, "bold"), "  ", (words(row.state).upper(), "bold"))
    return Group(title, _facts(facts))


def _branch(call: CallRow, undos: list[UndoRow], story: Story) -> Group:
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    well = call.state in (CallState.COMMITTED, CallState.NOT_APPLIED, CallState.REFUSED, CallState.HELD)
    sure = "" if call.confidence is None else f" ({call.confidence:.0%} sure)"
    title = Text.assemble(
        (f"{call.seq}  {moment(call.created_at, date=False)}  ", "dim"),
        safe(call.operation, "bold"),
        "  ",
        safe(call.target),
    )
    checked = "read back, as sent" if call.verified == "ok" else call.verified or ""
    facts = {
        "state": Text(STATES[call.state], style="" if well else "bold red"),
        "why": safe(call.reason or "").append(sure if call.reason else ""),
        "rule": safe(call.rule if call.rule and (call.state in STOPPED or call.rule != BY_RISK) else ""),
        "agreed": safe(_agreed(call, story.approvals)),
        "check": safe(checked, "" if call.verified == "ok" else "bold red"),
        "person": safe(_decided(call.resolution)),
        "error": safe(call.error or ""),
    }
    if call.state is CallState.COMMITTED and not undos:
        facts["undo"] = Text(
            "none: it cannot be taken back" if call.effect is Effect.IRREVERSIBLE else "none on record"
        )
    ways = ({"undo": _way_back(undo), "person": safe(_decided(undo.resolution))} for undo in undos)
    rows = [_facts(facts), *(_facts(way) for way in ways)]
    return Group(title, *(Padding(row, (0, 0, 0, 3), expand=False) for row in rows))


def _agreed(call: CallRow, approvals: list[ApprovalRow]) -> str:
    found = next((row for row in approvals if row.id == call.approval), None)
    if found is None:
        return ""
    signed = f"signed with the key of {found.key}" if found.signature else "unsigned"
    return f"{found.id}, by {found.decided_by} ({signed})"


def _decided(resolution: Json) -> str:
    if not isinstance(resolution, dict):
        return ""
    note = f": {resolution['note']}" if resolution.get("note") else ""
    return f"{words(str(resolution.get('action')))}, by {resolution.get('by')}{note}"


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
