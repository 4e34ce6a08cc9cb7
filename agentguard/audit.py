"""Proving what happened: the chain over the events verified, anchored and exported, and old payloads taken away.

`verify` walks the chain (see ledger/chain.py), compares each call with what its events say of it, and compares the
chain with anchors: hashes of newest events that were kept where whoever can write to the ledger cannot. An anchor is a
line of JSON in a file, or a tag of a git repository, or is printed for the caller to keep.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import apsw

from agentguard.calls import CallState, Json, Outcome
from agentguard.errors import LedgerError, UsageError
from agentguard.ledger import Ledger
from agentguard.ledger.chain import Link, breaks
from agentguard.ledger.columns import loads
from agentguard.ledger.database import Database
from agentguard.ledger.reading import rows
from agentguard.ledger.rows import ApprovalRow, CallRow, SessionState, UndoRow
from agentguard.ledger.sqlite import SqliteLedger
from agentguard.ledger.statements import put_event, state_and_token, what_came, what_was_asked

TAG = "agentguard-anchor"
OUTCOMES = frozenset(Outcome)


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification has found."""

    events: int
    unchained: int
    """The first events, which are older than the chain."""
    anchors: int
    newest: str
    """The hash of the newest event; empty where there is none."""
    faults: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything agrees."""
        return not self.faults


def database_of(ledger: Ledger) -> Database:
    """The file behind a ledger. Raises UsageError for one that keeps no chain."""
    if not isinstance(ledger, SqliteLedger):
        raise UsageError("only a ledger in an SQLite file has a chain of events. Nothing was done.")
    return ledger.database


def verify(ledger: Ledger, anchors: dict[int, str] | None = None) -> Verified:
    """Verify the chain over the events, the calls against it, and it against *anchors* (hashes by event)."""
    database = database_of(ledger)

    def look(db: apsw.Connection) -> tuple[list[Link], int, list[str]]:
        with db:  # of one moment: what others write meanwhile would look like a forgery
            links = [Link(*row) for row in db.execute(_LINKS)]
            unchained = int(str(next(iter(db.execute(_UNCHAINED)))[0]))
            try:
                differing = list(_rows_against_events(database, links))
            except LedgerError as error:
                differing = [f"the rows could not be compared with the events: {error}"]
        return links, unchained, differing

    links, unchained, faults = database.read(look)
    faults = [*breaks(links, unchained, anchors or {}), *faults]
    newest = links[-1].hash if links and links[-1].hash else ""
    return Verified(len(links), unchained, len(anchors or {}), newest, faults)


_LINKS = "SELECT id, session, seq, n, kind, at, data, salt, digest, hash FROM event ORDER BY id"
_UNCHAINED = "SELECT value FROM meta WHERE name = 'unchained'"


def _rows_against_events(database: Database, links: list[Link]) -> Iterator[str]:
    """Say which calls and undos are not what their events tell of them; purged sessions are not compared."""
    asked: dict[tuple[str, int], str] = {}
    came: dict[tuple[str, int], str] = {}
    purged = _purged(links)
    told = {(link.session, link.seq) for link in links}
    by_call = {link.id: (link.session, link.seq) for link in links if link.kind in ("intent", "committed")}
    for link in links:
        if link.seq is None or link.n is not None or link.session in purged:
            continue
        try:
            data = loads(link.data)
        except ValueError:
            continue  # told as a break of the chain
        seal = data.get("row") if isinstance(data, dict) else None
        if seal and link.kind in ("intent", "held"):
            asked[link.session, link.seq] = seal
        elif seal:
            came[link.session, link.seq] = seal
        elif link.kind in ("resolved", "not_applied"):
            came.pop((link.session, link.seq), None)  # a person, or a repeat, has settled it otherwise
    for call in rows(database, CallRow, "ORDER BY session, seq"):
        key = call.session, call.seq
        if key not in told:
            yield f"call {call.seq} of session {call.session} is on no record but its own"
        for event in (call.asked, call.told):
            if event is not None and by_call.pop(event, None) != key:
                yield f"call {call.seq} of session {call.session} names an event that does not tell of it"
        if key in asked and asked.pop(key) != what_was_asked(call):
            yield f"call {call.seq} of session {call.session} is not the one that was put on record"
        if key in came and came[key] != _came(database, call):
            yield f"what came of call {call.seq} of session {call.session} is not what was put on record"
    for session, seq in asked:
        yield f"call {seq} of session {session} was put on record and is gone"
    for event, (session, of) in by_call.items():
        yield f"event {event} is named by no call, and does not show in what is told of call {of} of session {session}"
    yield from _undos_against_events(database, links)
    yield from _approvals_against_events(database, links)


def _purged(links: list[Link]) -> set[str]:
    """The sessions whose payloads are gone, and with them what could be compared."""
    return {link.session for link in links if link.kind == "purged"}


def _undos_against_events(database: Database, links: list[Link]) -> Iterator[str]:
    """Say which undos have not come to what their last events tell."""
    purged = _purged(links)
    ended: dict[tuple[str, int], dict[int, tuple[str | None, str | None]]] = {}
    for link in links:
        if link.session in purged or link.seq is None:
            continue
        of = link.session, link.seq
        if link.n is None:
            if link.kind == CallState.COMMITTED:
                ended.pop(of, None)  # what there is to undo is on record from now on
            continue
        try:
            data = loads(link.data)
        except ValueError:
            continue  # told as a break of the chain
        kind = link.kind.removeprefix("undo ")
        if kind == "intent":
            ended.setdefault(of, {})[link.n] = None, ""
        elif kind in OUTCOMES:
            ended.setdefault(of, {})[link.n] = kind, data.get("detail")
        elif kind == "resolved" and data.get("action") in ("applied", "not_applied"):
            ended.setdefault(of, {})[link.n] = Outcome.COMPENSATED if data["action"] == "applied" else None, None
    for undo in rows(database, UndoRow, "WHERE name <> ''"):
        outcome, detail = ended.get((undo.session, undo.seq), {}).pop(undo.n, (None, ""))
        same = undo.outcome == outcome and detail in (None, undo.detail)
        if not same and undo.session not in purged:
            name = f"undo {undo.n} of call {undo.seq} of session {undo.session}"
            yield f"what came of {name} is not what was put on record"
    for (session, seq), left in ended.items():
        for n in left:
            yield f"undo {n} of call {seq} of session {session} was put on record and is gone"


def _approvals_against_events(database: Database, links: list[Link]) -> Iterator[str]:
    """Say which decisions of people are on no record but their own."""
    decided = {}
    for link in links:
        if link.kind in ("approval approved", "approval denied") and link.salt is not None:
            try:
                data = loads(link.data)
            except ValueError:
                continue  # told as a break of the chain
            if isinstance(data, dict):
                decided[data.get("approval")] = (data.get("digest"), data.get("by"))
    purged = _purged(links)
    for row in rows(database, ApprovalRow, "WHERE state <> 'pending'"):
        if row.session not in purged and decided.get(row.id) != (row.digest, row.decided_by):
            yield f"the approval {row.id} is {row.state}, and nobody is on record as having decided it"


def _came(database: Database, call: CallRow) -> str:
    query = "SELECT answer FROM call WHERE session = ? AND seq = ?"
    (answer,) = database.read(lambda db: next(iter(db.execute(query, (call.session, call.seq)))))
    return what_came(call.state, call.status, str(answer), call.error)


# Anchors


def newest(ledger: Ledger, earlier: dict[int, str] | None = None) -> dict[str, Json]:
    """The anchor of this moment: the newest event's number and hash.

    Raises UsageError where there is none, and where the record does not agree, by itself or with *earlier* anchors.
    """
    found = verify(ledger, earlier)
    if found.faults:
        raise UsageError(
            f"the record does not agree: {found.faults[0]}. Nothing was anchored. See `agentguard audit verify`."
        )
    if not found.newest:
        raise UsageError("there is no event to anchor yet. Nothing was written.")
    return {"event": found.events, "hash": found.newest, "at": time.time()}


def anchor_in_file(ledger: Ledger, path: Path) -> dict[str, Json]:
    """Append an anchor to a file."""
    anchor = newest(ledger, anchors_of(path, "Nothing was anchored.") if path.exists() else None)
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(anchor) + "\n")
    except OSError as error:
        raise UsageError(f"{path} cannot be written to ({error}). Nothing was anchored.") from error
    return anchor


def anchor_in_git(ledger: Ledger, folder: Path) -> dict[str, Json]:
    """Keep an anchor as an annotated tag of the git repository at *folder*; push it to where agents cannot write."""
    anchor = newest(ledger, anchors_of(folder, "Nothing was anchored."))
    name = f"{TAG}-{anchor['event']}"
    _git(folder, "Nothing was anchored.", "tag", "-a", "-f", name, "-m", json.dumps(anchor))
    return anchor


def anchors_of(path: Path, otherwise: str = "Nothing was verified.") -> dict[int, str]:
    """The anchors in a file, or in the tags of a git repository where *path* is a folder."""
    if path.is_dir():
        text = _git(path, otherwise, "tag", "-l", f"{TAG}-*", "--format=%(contents:subject)")
    else:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise UsageError(f"there are no anchors in {path} ({error}). {otherwise}") from error
    try:
        found = [json.loads(line) for line in text.splitlines() if line.strip()]
        # Of two for one event the first counts: the second was made of what had been written anew.
        return {int(anchor["event"]): str(anchor["hash"]) for anchor in reversed(found)}
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} holds something that is no anchor ({error}). {otherwise} Name what `agentguard audit "
            "anchor` has written."
        ) from error


def _git(folder: Path, otherwise: str, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and the arguments are ours
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - wherever it is installed
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise UsageError(f"git is not installed ({error}). {otherwise}") from error
    if done.returncode:
        raise UsageError(f"git could not do it in {folder}: {done.stderr.strip()}. {otherwise}")
    return done.stdout


# Export and purge


def export(ledger: Ledger, session: str | None = None) -> Iterator[dict[str, Json]]:
    """Every event of a session or of all, with its place in the chain, oldest first."""
    database = database_of(ledger)
    query = f"{_LINKS.removesuffix(' ORDER BY id')} WHERE session = coalesce(?, session) ORDER BY id"
    for link in database.read(lambda db: [Link(*row) for row in db.execute(query, (session,))]):
        yield {
            "id": link.id,
            "session": link.session,
            "call": link.seq,
            "undo": link.n,
            "kind": link.kind,
            "at": link.at,
            "data": loads(link.data),
            "salt": link.salt,
            "digest": link.digest,
            "hash": link.hash,
        }


PURGED = '{"$purged":true}'


def purge(ledger: Ledger, session: str, by: str) -> int:
    """Take the payloads of an ended session away; return how many events lost theirs.

    What stays: which operations were called and when, what became of them, and every digest, so that the chain still
    verifies. It cannot be rolled back afterwards. Raises UsageError while it has not ended.
    """
    database = database_of(ledger)
    ledger.session(session)

    def job(db: apsw.Connection) -> int:
        state, _token = state_and_token(db, session)
        if state not in (SessionState.COMPLETED, SessionState.ROLLED_BACK, SessionState.PARTIAL):
            stands = state.replace("_", " ")
            raise UsageError(f"session {session} is {stands}. Nothing was purged. Complete it or roll it back first.")
        db.execute(
            "UPDATE call SET arguments = ?, snapshots = '[]', answer = ?, response = 'null', reason = NULL, "
            "target = '', error = iif(error IS NULL, NULL, 'purged') WHERE session = ?",
            (PURGED, PURGED, session),
        )
        db.execute(
            "UPDATE undo SET arguments = ?, look = 'null', \"left\" = 'null', back = 'null', found = 'null', "
            "detail = iif(detail = '', '', 'purged') WHERE session = ?",
            (PURGED, session),
        )
        db.execute("UPDATE approval SET card = ?, target = '' WHERE session = ?", (PURGED, session))
        db.execute("UPDATE session SET intent = '', cause = NULL, purged_at = ? WHERE id = ?", (time.time(), session))
        db.execute("UPDATE event SET data = '{}', salt = NULL WHERE session = ? AND salt IS NOT NULL", (session,))
        count = db.changes()
        put_event(db, session, "purged", {"by": by, "events": count})
        return count

    purged = database.write("purge", job, durable=True)
    try:
        database.shrink()
    except LedgerError as error:
        raise UsageError(
            f"the payloads of session {session} are gone from the ledger, and the file could not be rewritten "
            f"({error}): traces may be left in it. Run it again."
        ) from error
    return purged


def expired(ledger: Ledger, retention: float) -> list[str]:
    """The sessions that have ended longer ago than *retention* seconds and still have their payloads."""
    database = database_of(ledger)
    query = "SELECT id FROM session WHERE ended_at < ? AND purged_at IS NULL ORDER BY id"
    return [str(name) for (name,) in database.read(lambda db: db.execute(query, (time.time() - retention,)).fetchall())]
