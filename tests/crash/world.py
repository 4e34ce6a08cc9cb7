"""What the state machine has around it: processes that it can order about, the notes service, and who wrote what there.

`Life.check` is the machine's oracle: it looks at the service's own log and at the ledger only, by the rules of
`agentguard.testing.crash.oracle` where they fit.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from agentguard import audit
from agentguard.calls import CallState
from agentguard.ledger.rows import ApprovalState, CallRow, SessionState, UndoRow
from agentguard.ledger.sqlite import SqliteLedger
from agentguard.testing.crash import oracle
from agentguard.testing.crash.harness import SETTINGS
from agentguard.testing.crash.oracle import Arrived, LedgerView, ServiceLog, recognised
from agentguard.testing.stand_ins import Box
from tests.crash.actor import TRIED
from tests.crash.scenarios import STAGE

SOMEBODY = "x-somebody-else"
"""The header of what a third party does."""
RULES = (
    oracle.a_read_changes_nothing,
    oracle.intent_before_effect,
    oracle.nothing_is_lost_or_invented,
    oracle.nothing_undone_that_never_happened,
    oracle.undo_intent_before_undo,
    oracle.newest_first,
)
GATED = ("notes.delete", "notes.purge")
UNDECIDED = (SessionState.OPEN, SessionState.ROLLING_BACK, SessionState.INTERRUPTED)


class Process:
    """One process of tests/crash/actor.py, seen from here."""

    def __init__(self, line: socket.socket) -> None:
        self.line = line.makefile("rw")
        line.close()
        self.pid = int(self.line.readline())

    def tell(self, order: str, **given: Any) -> None:
        """Give an order, without waiting for what comes of it."""
        self.line.write(f"{json.dumps({'order': order, **given})}\n")
        self.line.flush()

    def hear(self) -> dict[str, Any] | None:
        """What came of it; None where the process died over it."""
        try:
            text = self.line.readline()
        except ConnectionResetError:
            text = ""
        if not text:
            self.line.close()
            return None
        answer: dict[str, Any] = json.loads(text)
        return answer

    def do(self, order: str, **given: Any) -> dict[str, Any] | None:
        self.tell(order, **given)
        return self.hear()

    def kill(self) -> None:
        """Kill it as a crash would, and wait until it is gone."""
        os.kill(self.pid, signal.SIGKILL)
        self.hear()


class Theatre:
    """The stand-in and the process that all others are forked from, for many lives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lives = 0
        self.steps = 0
        self.stack = ExitStack()

    def __enter__(self) -> Theatre:
        config = self.folder / "agentguard.toml"
        config.write_text('[connectors]\nnotes = "tests.core.notes:notes"\n')
        self.door = self.stack.enter_context(socket.socket(socket.AF_UNIX))
        self.door.bind(str(self.folder / "door"))
        self.door.listen()
        self.door.settimeout(30)
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        told = self.stack.enter_context((self.folder / "said").open("w"))
        service = subprocess.Popen([sys.executable, "-m", "tests.core.notes", str(self.folder / "log.jsonl")], **pipes)
        self.stack.callback(service.communicate)
        self.maker = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.actor", str(self.folder / "door")],
            env={**os.environ, **SETTINGS, "AGENTGUARD_CONFIG": str(config), "PYTHONPATH": os.pathsep.join(sys.path)},
            **{**pipes, "stderr": told},
        )
        self.stack.callback(self.maker.communicate)
        assert service.stdout is not None
        self.box = Box("notes", service.stdout.readline().strip())
        self.somebody = self.stack.enter_context(httpx.Client(base_url=f"{self.box.url}/v1/", headers={SOMEBODY: "1"}))
        return self

    def __exit__(self, *_given: object) -> None:
        self.stack.close()

    def process(self) -> Process:
        """A new process."""
        assert self.maker.stdin is not None
        self.maker.stdin.write("\n")
        self.maker.stdin.flush()
        return Process(self.door.accept()[0])


@dataclass
class Life:
    """One example: its ledger, its requests, and what the machine knows of them by itself."""

    theatre: Theatre
    path: Path
    phases: dict[int, tuple[str, str]] = field(default_factory=dict)
    """For each request, the phase and the session in which it arrived."""
    tries: dict[str, int] = field(default_factory=dict)
    """For each try, the number of the call in the agent's script."""
    expired: set[str] = field(default_factory=set)
    """Approvals that had run out before they were used."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    effects: list[dict[str, Any]] = field(default_factory=list)

    @property
    def store(self) -> SqliteLedger:
        return SqliteLedger.at(self.path)

    def collect(self, phase: str, session: str) -> list[dict[str, Any]]:
        """Take in the requests that arrived since the last time, as those of *phase*; return the writes."""
        log = self.theatre.box.settle()._call("log")
        self.requests, self.effects = log["requests"], log["effects"]
        new = [one for one in self.requests if one["number"] not in self.phases]
        for one in new:
            self.phases[one["number"]] = phase, session
        return [one for one in new if one["verb"] != "GET" and SOMEBODY not in one["headers"]]

    def log_of(self, session: str) -> ServiceLog:
        """What the service knows of one session."""
        changed: dict[int, list[str]] = {}
        for effect in self.effects:
            changed.setdefault(effect["of"], []).append(effect["effect"])
        arrived = []
        for one in self.requests:
            phase, whose = self.phases[one["number"]]
            if whose != session or SOMEBODY in one["headers"]:
                continue
            body = one["body"] if isinstance(one["body"], dict) else {}
            found = Arrived("notes", one["verb"], one["path"], body, phase, changed.get(one["number"], []))
            found.number, found.tried = one["number"], one["headers"].get(TRIED, "")
            arrived.append(recognised(STAGE, found))
        return ServiceLog(arrived, {}, {}, takes_back=True)

    def view(self, session: str) -> LedgerView:
        """What the ledger holds of one session."""
        store = self.store
        return LedgerView(store.calls(session), store.undos(session), [], str(store.session(session).state))

    # The oracle

    def check(self, sessions: Iterable[str]) -> None:
        """Fail with everything that does not hold."""
        found = [f"the record does not agree: {fault}" for fault in audit.verify(self.store).faults]
        by: dict[int, tuple[str, CallRow | UndoRow]] = {}
        for session in sessions:
            log, ledger = self.log_of(session), self.view(session)
            oracle.assign(log, ledger)
            by |= {one.number: (session, one.by) for one in log.arrived if one.by is not None}
            for rule in RULES:
                found += rule(log, ledger)
            found += undone_at_most_once(log, ledger)
            found += self.sent_with_leave(log)
            found += self.done_once(log, ledger)
        found += self.drift_is_left_alone(by)
        found += [
            f"the approval {one.id} was used after it had expired"
            for one in self.store.people.approvals()
            if one.id in self.expired and one.state is ApprovalState.CONSUMED
        ]
        assert not found, "\n".join(found)

    def sent_with_leave(self, log: ServiceLog) -> Iterator[str]:
        """What needs a person's yes was sent under an approval of its own, that was used up for it."""
        for one in oracle.writes(log):
            if not isinstance(one.by, CallRow):
                continue
            if one.body.get("body") == "no":
                yield f"what the policy refuses was sent: {one}"
            if one.name in GATED:
                approval = self.store.people.approval(one.by.approval) if one.by.approval else None
                if approval is None or (approval.state, approval.seq) != (ApprovalState.CONSUMED, one.by.seq):
                    yield f"sent without an approval that was used up for it: {one}, {approval}"

    def done_once(self, log: ServiceLog, ledger: LedgerView) -> Iterator[str]:
        """A call of the agent's script has one effect, however often the script is done; one more if it was undone."""
        undone = {undo.seq for undo in ledger.undos if undo.outcome is not None and undo.outcome.ok}
        standing: dict[int, list[int]] = {}
        for one in oracle.writes(log):
            if one.tried and one.effects and isinstance(one.by, CallRow) and one.by.seq not in undone:
                standing.setdefault(self.tries[one.tried], []).append(one.by.seq)
        for number, seqs in standing.items():
            if len(seqs) > 1:
                yield f"call {number} of the script was made as {seqs}, and none of them was taken back"

    def drift_is_left_alone(self, by: dict[int, tuple[str, CallRow | UndoRow]]) -> Iterator[str]:
        """What somebody else wrote is not overwritten by the undo of a call from before."""
        theirs: dict[Any, int] = {}
        since: dict[Any, set[tuple[str, int]]] = {}
        for effect in self.effects:
            note, number = effect.get("id"), effect["of"]
            if number not in by:
                if effect["effect"] == "updated":
                    theirs[note], since[note] = number, set()
                continue
            session, row = by[number]
            for each in [note] if note is not None else list(theirs):
                if each not in theirs:
                    continue
                if isinstance(row, CallRow):
                    since[each].add((session, row.seq))
                elif number > theirs[each] and (session, row.seq) not in since[each]:
                    yield f"the undo of call {row.seq} of {session} overwrote what somebody else wrote in note {each}"


def undone_at_most_once(log: ServiceLog, ledger: LedgerView) -> Iterator[str]:
    """An undo that is said to be done was done once; none was done twice.

    What is in conflict may have been done, where its answer was lost and somebody changed the thing afterwards.
    """
    for undo in ledger.undos:
        done = oracle.of(log, undo)
        if len(done) > 1:
            yield f"the undo {undo.n} of call {undo.seq} ({undo.name}) has happened {len(done)} times"
        if undo.outcome in oracle.SAID_TO_BE_DONE and undo.name and not done:
            yield f"the undo {undo.n} of call {undo.seq} ({undo.name}) is {undo.outcome} and never happened"


def left_open(life: Life, living: str) -> Iterator[str]:
    """What a recovery that came to its end must not have left: a session without an owner, a call in the air."""
    for row in life.store.unfinished():
        if row.id != living:
            yield f"session {row.id} is {row.state} after a recovery"
    for row in life.store.sessions():
        for call in life.store.calls(row.id) if row.id != living else ():
            if call.state is CallState.INTENT:
                yield f"call {call.seq} of {row.id} still stands as perhaps sent after a recovery"
