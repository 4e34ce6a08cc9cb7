"""The recovery queue: what needs a person, with its cause, the evidence, and what may be done about it.

An item is a call of which nobody knows whether it happened, or an undo that met a conflict, failed or is itself in
doubt. Items are not kept: they are what stands in the ledger. A person's decision is on record with who, when and why,
and nothing leaves the queue without one, or without a rollback that has settled it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from agentguard import leases
from agentguard.calls import CallState, Json, Outcome
from agentguard.errors import NoSuchItem, SessionBusy, UsageError
from agentguard.ledger import Ledger, locate
from agentguard.ledger.rows import CallRow, SessionRow, SessionState, UndoRow, UndoState
from agentguard.redaction import Redactor

Action = Literal["applied", "not_applied", "retry", "force", "close"]
ACTIONS: dict[str, tuple[Action, ...]] = {
    "call in doubt": ("applied", "not_applied", "retry", "close"),
    "undo in doubt": ("applied", "not_applied", "retry", "close"),
    "conflict": ("applied", "retry", "force", "close"),
    "failed undo": ("applied", "retry", "close"),
    "not as sent": ("applied", "retry", "close"),
}
"""What a person may do about each kind of item.

`applied`: it has happened (or, for an undo, it was done, by hand perhaps). `not_applied`: it certainly has not.
`retry`: look again, and go on with the undo. `force`: overwrite what somebody else changed since. `close`: leave it.
For a call that was not as sent when it was read back, `applied` says that it is right all the same.
"""
_KINDS = {
    Outcome.IN_DOUBT: "undo in doubt",
    Outcome.CONFLICT: "conflict",
    Outcome.FAILED: "failed undo",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that needs a person."""

    id: str
    """`SESSION/CALL` or `SESSION/CALL.UNDO`."""
    kind: str
    session: SessionRow
    call: CallRow
    undo: UndoRow | None
    cause: str
    evidence: Json
    """What was seen: for a conflict what we left, what is there, and what would be written back."""

    @property
    def actions(self) -> tuple[Action, ...]:
        """What may be done about it."""
        if self.undo is not None and not self.undo.name:
            return "applied", "close"  # there is nothing to send
        return ACTIONS[self.kind]

    @property
    def resolution(self) -> Json:
        """What a person has decided, where that left it as it is."""
        return self.undo.resolution if self.undo else self.call.resolution

    def to_dict(self) -> dict[str, Json]:
        """The same as JSON."""
        return {
            "id": self.id,
            "kind": self.kind,
            "session": self.session.id,
            "agent": self.session.agent,
            "operation": self.call.operation,
            "target": self.call.target,
            "undo": f"{self.call.connector}.{self.undo.name}" if self.undo else None,
            "cause": self.cause,
            "evidence": self.evidence,
            "actions": list(self.actions),
            "resolution": self.resolution,
        }


def queue(ledger: str | Path | Ledger | None = None, *, closed: bool = False) -> list[Item]:
    """Return what needs a person, oldest first; with *closed* also what a person has closed."""
    store = locate(ledger)
    return [item for item in _items(store) if closed or (item.resolution or {}).get("action") != "close"]


def _items(store: Ledger) -> Iterator[Item]:
    calls, undos = store.people.open_items()
    sessions: dict[str, SessionRow] = {}

    def session(name: str) -> SessionRow:
        if name not in sessions:
            sessions[name] = store.session(name)
        return sessions[name]

    for call in calls:
        if call.verified not in (None, "ok"):
            name, seen = f"{call.session}/{call.seq}", {"sent": call.arguments}
            yield Item(name, "not as sent", session(call.session), call, None, str(call.verified), seen)
            continue
        of = session(call.session)
        own = [undo for undo in store.undos(call.session) if undo.seq == call.seq]
        if own and all(undo.outcome is not None and undo.outcome.ok for undo in own):
            continue  # whether it happened or not: the state from before was read back
        cause = call.error or "its process has ended before the answer was there, and nobody has looked since"
        yield Item(f"{call.session}/{call.seq}", "call in doubt", of, call, None, cause, {"sent": call.arguments})
    for undo in undos:
        call = store.call(undo.session, undo.seq)
        if call.state is CallState.NOT_APPLIED:
            continue  # it was not tried, and there is nothing to take back by now
        evidence = {"left": undo.left, "found": undo.found, "would_write": undo.arguments}
        assert undo.outcome is not None
        name, kind = f"{undo.session}/{undo.seq}.{undo.n}", _KINDS[undo.outcome]
        yield Item(name, kind, session(undo.session), call, undo, undo.detail, evidence)


def find_item(store: Ledger, name: str) -> Item:
    """Return the item called *name*. Raises NoSuchItem."""
    for item in _items(store):
        if item.id == name:
            return item
    raise NoSuchItem(
        f"there is no item {name!r} in the queue: it was never there, or it is settled. Nothing was done. "
        "`agentguard queue` lists them."
    )


def resolve(
    name: str,
    action: Action,
    *,
    by: str,
    note: str = "",
    ledger: str | Path | Ledger | None = None,
    clients: Mapping[str, Any] | None = None,
) -> Item | None:
    """Decide about the item *name*; return it as it stands then, None where it is settled.

    *by* is who decides, and *note* why; closing needs one. `retry` and `force` send undos, through *clients* (plain
    clients by connector name). Raises NoSuchItem, UsageError for an action that the item does not allow, and
    SessionBusy while its session belongs to a process that lives, or where somebody else has decided meanwhile.
    """
    store = locate(ledger)
    item = find_item(store, name)
    if action not in item.actions:
        allowed = ", ".join(item.actions)
        raise UsageError(
            f"{name} is a {item.kind}, and {action!r} is nothing that can be done about it. Nothing was done. "
            f"It may be one of: {allowed}."
        )
    if action == "close" and not note:
        raise UsageError(f"{name} is closed with a note that says why. Nothing was done. Add one.")
    of = item.session
    if leases.lives(of.owner, of.lease_until):
        raise SessionBusy(
            f"session {of.id} belongs to a process that lives. Nothing was done. Wait until it has ended."
        )
    note = Redactor().clean_text(note)
    decision = {"action": action, "by": by, "note": note, "at": time.time()}
    if action in ("retry", "force"):
        _again(store, item, decision, clients or {}, force=action == "force")
    else:
        store.people.resolve(_decided(item, action, by, note), decision, item.undo or item.call, of.token)
        _conclude(store, of)
    return next((left for left in _items(store) if left.id == name), None)


def _decided(item: Item, action: Action, by: str, note: str) -> CallRow | UndoRow:
    """The row as the decision makes it."""
    said = f"{by} says so" + (f": {note}" if note else "")
    if item.undo is not None:
        undo = msgspec.structs.replace(item.undo)
        if action == "applied":
            undo.state, undo.outcome, undo.detail = UndoState.DONE, Outcome.COMPENSATED, f"done; {said}"
        elif action == "not_applied":
            undo.state, undo.outcome = UndoState.PLANNED, None
            undo.detail = f"it was not done; {said}"
        return undo
    call = msgspec.structs.replace(item.call)
    if item.kind == "not as sent":
        call.verified = "ok" if action == "applied" else call.verified
        return call
    if action == "applied":
        call.state, call.error = CallState.COMMITTED, None
    elif action == "not_applied":
        call.state, call.error = CallState.NOT_APPLIED, f"it did not happen; {said}"
    return call


def _again(store: Ledger, item: Item, decision: Json, clients: Mapping[str, Any], *, force: bool) -> None:
    """Take the item's call back, with what hangs on it out of the way already."""
    from agentguard.opening import load

    store.note(item.session.id, "resolved", {"item": item.id, **decision}, durable=True)
    session = load(item.session.id, clients=clients, ledger=store)
    session.undo(item.call.seq, force=force, agreed=True)
    _conclude(store, item.session)


def _conclude(store: Ledger, row: SessionRow) -> None:
    """Say that a session is taken back as a whole once its last item is settled."""
    if store.session(row.id).state is not SessionState.PARTIAL:
        return
    if any(item.session.id == row.id for item in _items(store)):
        return
    undos = store.undos(row.id)
    committed = [c for c in store.calls(row.id) if c.state in (CallState.COMMITTED, CallState.IN_DOUBT)]
    taken_back = {call.seq: [u for u in undos if u.seq == call.seq] for call in committed}
    if all(own and all(u.outcome is not None and u.outcome.ok for u in own) for own in taken_back.values()):
        store.people.conclude(row.id)
