"""Lives of sessions, made up: calls, faults, crashes, people, rollbacks and recoveries in any order.

Each agent is a process that is killed with SIGKILL where the machine says so; after each step the service's own log is
held against the ledger. `make test` runs a fixed set of lives, `make crash` more and longer ones. A failure prints the
shortest life that shows it, as a program.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from agentguard.deciding import decide
from agentguard.errors import ApprovalInvalid
from agentguard.failpoints import POINTS
from agentguard.ledger.rows import ApprovalState, SessionState
from tests.crash.conftest import quick_folder
from tests.crash.world import UNDECIDED, Life, Process, Theatre, left_open

EVERYTHING = os.environ.get("AGENTGUARD_CRASH") == "all"
LIVES, STEPS = (400, 50) if EVERYTHING else (60, 25)

OF_THE_WORK = sorted(
    p for p in POINTS if p.partition("_")[2] in ("intent", "result", "send", "look", "hold", "refusal")
)
OF_A_ROLLBACK = sorted(p for p in POINTS if p.partition("_")[2] not in ("hold", "refusal", "ask", "send", "result"))
FAULTS: dict[str, dict[str, Any]] = {
    "drop_before": {},
    "drop_after": {},
    "status_after": {"status": 502},
    "truncate": {},
    "rate_limit": {"headers": {"retry-after": "0"}},
    "late": {"seconds": 0.01},
}
fault = st.sampled_from([*[""] * len(FAULTS), *FAULTS])
NOTES = {str(n): {"id": n, "title": f"from before {n}", "body": "as it was"} for n in (1, 2, 3)}
number = st.integers(0, 9)
verb = st.sampled_from(["PATCH", "DELETE", "POST"])


def seldom(points: list[str]) -> st.SearchStrategy[str]:
    """One of *points*, once in three times."""
    return st.integers(0, 2).flatmap(lambda n: st.sampled_from(points) if n == 2 else st.just(""))


point = seldom([f"{name}:1" for name in OF_THE_WORK])
point_of_rollback = seldom([f"{name}:{n}" for name in OF_A_ROLLBACK for n in (1, 2)])


class Lives(RuleBasedStateMachine):
    """One agent after the other, one session at a time, and everybody else."""

    theatre: Theatre

    def __init__(self) -> None:
        super().__init__()
        self.theatre.box.reset().seed(next=4, notes=NOTES)
        self.theatre.lives += 1
        self.folder = self.theatre.folder / f"life-{self.theatre.lives}"
        self.life = Life(self.theatre, self.folder / "ledger.db")
        self.url = self.theatre.box.url
        self.agent: Process | None = None
        self.sessions: list[str] = []
        self.script: dict[int, dict[str, Any]] = {}
        """The calls that the agent has made in its session, by number: what it makes again when it is started again."""
        self.waiting: int | None = None
        """The call that waits for a person."""
        self.savepoints: list[str] = []
        self.frozen = ""
        self.steals = False
        """Whether the agent's lease has run out under it."""
        self.count = 0

    # What is there

    @property
    def session(self) -> str:
        return self.sessions[-1]

    def state(self) -> SessionState | None:
        return self.life.store.session(self.session).state if self.sessions and self.life.path.exists() else None

    def lives(self) -> bool:
        return self.agent is not None

    def works(self) -> bool:
        return self.agent is not None and (self.steals or self.state() is SessionState.OPEN)

    def is_over(self) -> bool:
        return self.state() not in UNDECIDED

    def next(self) -> int:
        self.count += 1
        return self.count

    @property
    def here(self) -> dict[str, str]:
        return {"ledger": str(self.life.path), "url": self.url}

    def note(self, which: int) -> int:
        notes = sorted(int(name) for name in self.theatre.box.snapshot()["notes"])
        return notes[which % len(notes)] if notes else 999

    def arm(self, mode: str, verb: str, path: str = ".*") -> None:
        if mode:
            self.theatre.box.fault(mode, verb, path, **FAULTS[mode])

    def order(self, what: str, phase: str, point: str = "", **given: Any) -> dict[str, Any] | None:
        """Have the agent do something; None where it died over it."""
        assert self.agent is not None
        answer = self.agent.do(what, point=point, **given)
        if answer is None:
            self.agent, self.steals = None, False
        self.after(phase)
        return answer

    def after(self, phase: str) -> list[dict[str, Any]]:
        """Look at everything, as it is after each step."""
        self.theatre.steps += 1
        wrote = self.life.collect(phase, self.session)
        self.life.check(self.sessions if self.life.path.exists() else [])
        if self.frozen in ("*", self.session) and phase == "forward":
            assert not wrote, f"sent while {self.frozen} was frozen: {wrote}"
        if self.steals and phase == "forward":
            assert not wrote, f"sent by an agent that had lost its session: {wrote}"
        return wrote

    # The agent

    @rule(on_crash=st.sampled_from(["rollback", "resume", "leave"]))
    @precondition(is_over)
    def begin(self, on_crash: str) -> None:
        self.sessions.append(f"s{len(self.sessions) + 1}")
        self.script, self.savepoints, self.waiting, self.steals = {}, [], None, False
        if self.agent is not None:
            self.agent.kill()
        self.agent = self.theatre.process()
        self.order("open", "forward", session=self.session, on_crash=on_crash, **self.here)

    def call(self, verb: str, path: str, body: Any = None, fault: str = "", point: str = "") -> None:
        number = self.next()
        self.script[number] = {"verb": verb, "path": path, "body": body}
        self.arm(fault, verb, path)
        self.make(number, point)

    def make(self, number: int, point: str = "") -> None:
        tried = f"{number}, tried {self.next()}"
        self.life.tries[tried] = number
        answer = self.order("call", "forward", point, tried=tried, reason=tried, **self.script[number])
        self.waiting = number if answer is not None and answer.get("error") == "ApprovalPending" else self.waiting

    @rule(body=st.sampled_from(["text", "text", "text", "held", "no"]), fault=fault, point=point)
    @precondition(works)
    def create(self, body: str, fault: str, point: str) -> None:
        self.call("POST", "notes", {"title": f"note {self.next()}", "body": body}, fault, point)

    @rule(edits=st.lists(number, min_size=2, max_size=4), body=st.text("ab", min_size=1, max_size=1))
    @precondition(works)
    def work(self, edits: list[int], body: str) -> None:
        """Several calls with which nothing goes wrong."""
        self.create(body, "", "")
        for which in edits:
            if self.works():
                self.edit(which, "", "", False)

    @rule(which=number, fault=fault, point=point, stale=st.booleans())
    @precondition(works)
    def edit(self, which: int, fault: str, point: str, stale: bool) -> None:
        path = f"notes/{self.note(which)}"
        if stale:
            self.theatre.box.fault("stale_read", "GET", path)
        self.call("PATCH", path, {"body": f"agent {self.next()}"}, fault, point)
        if stale:
            self.theatre.somebody.get(path)  # where the agent did not come to look, nobody else is shown what is stale
            self.life.collect("nobody", "")

    @rule(which=number)
    @precondition(works)
    def delete(self, which: int) -> None:
        self.call("DELETE", f"notes/{self.note(which)}")

    @rule()
    @precondition(works)
    def purge(self) -> None:
        self.call("POST", "purge")

    @rule(fault=fault, point=point)
    @precondition(lambda self: self.works() and self.waiting is not None)
    def ask_again(self, fault: str, point: str) -> None:
        number, self.waiting = self.waiting, None
        assert number is not None
        self.arm(fault, self.script[number]["verb"], self.script[number]["path"])
        self.make(number, point)

    @rule()
    @precondition(works)
    def savepoint(self) -> None:
        name = f"point {self.next()}"
        if self.order("savepoint", "forward", name=name) == {}:
            self.savepoints.append(name)

    @rule(point=point, fault=fault)
    @precondition(works)
    def complete(self, point: str, fault: str) -> None:
        self.arm(fault, "POST", "notes")
        self.order("complete", "forward", point)

    @rule()
    @precondition(lives)
    def die(self) -> None:
        assert self.agent is not None
        self.agent.kill()
        self.agent, self.steals = None, False
        self.after("forward")

    @rule(at=number, point=point)
    @precondition(lambda self: self.agent is None and self.state() in (SessionState.OPEN, SessionState.INTERRUPTED))
    def start_again(self, at: int, point: str) -> None:
        """The agent is started again, resumes its session and does its whole script again."""
        self.agent = self.theatre.process()
        opened = self.order("open", "forward", session=self.session, on_crash=None, **self.here)
        assert opened == {}, f"session {self.session} is {self.state()} and cannot be resumed: {opened}"
        for n, number in enumerate(self.script):
            if self.agent is not None:
                self.make(number, point if n == at else "")

    # People

    @rule(yes=st.booleans(), which=number)
    @precondition(lambda self: bool(self.sessions))
    def decide(self, yes: bool, which: int) -> None:
        pending = self.life.store.people.approvals(pending=True)
        if pending:
            with suppress(ApprovalInvalid):  # it has expired
                decide(self.life.store, pending[which % len(pending)].id, approve=yes, by="ada")

    @rule()
    @precondition(lambda self: bool(self.sessions))
    def approvals_expire(self) -> None:
        open_ones = [
            one.id
            for one in self.life.store.people.approvals()
            if one.state in (ApprovalState.PENDING, ApprovalState.APPROVED)
        ]
        self.life.expired.update(open_ones)
        self.life.store.database.write(
            "test", lambda db: db.execute("UPDATE approval SET expires_at = 1"), durable=True
        )

    @rule(everything=st.booleans())
    @precondition(lambda self: self.sessions and not self.frozen)
    def freeze(self, everything: bool) -> None:
        self.frozen = "*" if everything else self.session
        self.life.store.people.freeze(self.frozen, "ada", "to look at it")

    @rule()
    @precondition(lambda self: self.frozen)
    def thaw(self) -> None:
        self.life.store.people.thaw(self.frozen, "ada")
        self.frozen = ""

    @rule(which=number)
    @precondition(lambda self: bool(self.sessions))
    def drift(self, which: int) -> None:
        """Somebody else changes a note."""
        with suppress(httpx.TransportError):  # a fault that no agent has met; the service's log says what was done
            self.theatre.somebody.patch(f"notes/{self.note(which)}", json={"body": f"somebody {self.next()}"})
        self.after("drift")

    # The way back

    def phase(self) -> str:
        return f"rollback {self.next()}"

    @rule(whole=st.booleans(), which=number, fault=fault, verb=verb, point=point_of_rollback)
    @precondition(lives)
    def roll_back(self, whole: bool, which: int, fault: str, verb: str, point: str) -> None:
        to = None if whole or not self.savepoints else self.savepoints[which % len(self.savepoints)]
        self.arm(fault, verb)
        self.order("rollback", self.phase(), point, to=to)

    @rule(which=number, point=point_of_rollback)
    @precondition(lives)
    def undo_one(self, which: int, point: str) -> None:
        last = self.life.store.last(self.session)
        if last:
            self.order("undo", self.phase(), point, seq=which % last + 1)

    @rule(fault=fault, verb=verb, point=point_of_rollback)
    @precondition(lambda self: self.sessions and self.agent is None)
    def roll_back_from_outside(self, fault: str, verb: str, point: str) -> None:
        self.arm(fault, verb)
        other = self.theatre.process()
        report = other.do("take_back", point=point, session=self.session, **self.here)
        if report is not None:
            other.kill()
        self.after(self.phase())

    @rule(fault=fault, verb=verb, point=point_of_rollback)
    @precondition(lambda self: self.agent is None and not self.is_over())
    def recover(self, fault: str, verb: str, point: str) -> None:
        self.arm(fault, verb)
        other = self.theatre.process()
        found = other.do("recover", point=point, **self.here)
        self.after(self.phase())
        if found is not None:
            other.kill()
            self.is_recovered(found)

    @rule(point=point_of_rollback)
    @precondition(lambda self: not self.is_over())
    def recover_twice_at_once(self, point: str) -> None:
        first, second = self.theatre.process(), self.theatre.process()
        first.tell("recover", point=point, **self.here)
        second.tell("recover", point="", **self.here)
        found = [first.hear(), second.hear()]
        self.after(self.phase())
        for other, answer in zip((first, second), found, strict=True):
            if answer is not None:
                other.kill()

    def is_recovered(self, found: dict[str, Any]) -> None:
        assert "error" not in found, found
        if not any(one["failed"] for one in found["recovered"]):
            bad = list(left_open(self.life, self.session if self.agent is not None else ""))
            assert not bad, f"{bad}: {found}"

    @rule(point=point_of_rollback)
    @precondition(lambda self: self.works() and not self.steals)
    def lose_the_session(self, point: str) -> None:
        """The agent is stopped for longer than its lease; somebody recovers, and it goes on."""
        query = "UPDATE session SET lease_until = 0 WHERE id = ?"
        self.life.store.database.write("test", lambda db: db.execute(query, (self.session,)), durable=True)
        other = self.theatre.process()
        found = other.do("recover", point=point, **self.here)
        self.after(self.phase())
        if found is not None:
            other.kill()
        self.steals = self.life.store.session(self.session).token > 1

    def teardown(self) -> None:
        """Everybody goes home: recovery comes to rest, and so does a rollback."""
        try:
            if self.sessions:
                if self.agent is not None:
                    self.die()
                self.come_to_rest()
        finally:
            if self.agent is not None:
                self.agent.kill()
            if self.life.path.exists():
                self.life.store.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def come_to_rest(self) -> None:
        other = self.theatre.process()
        for _pass in range(2):
            found = other.do("recover", **self.here)
            self.after(self.phase())
            assert found is not None
        self.is_recovered(found)
        before = len(self.life.store.events(self.session))
        found = other.do("recover", **self.here)
        assert found == {"recovered": []}, found
        assert not self.after(self.phase()), "a recovery that had nothing left to do wrote to the service"
        assert len(self.life.store.events(self.session)) == before, "a recovery with nothing left to do wrote events"
        told = []
        for _pass in range(3):
            told.append(other.do("take_back", session=self.session, **self.here))
            wrote = self.after(self.phase())
        other.kill()
        assert not wrote, f"a rollback with nothing left to do wrote: {wrote}"
        assert told[1] == told[2], f"two rollbacks say different things: {told}"


@pytest.fixture
def theatre() -> Iterator[Theatre]:
    with quick_folder() as folder, Theatre(folder) as running:
        yield running


@pytest.mark.timeout(3600 if EVERYTHING else 600)  # a failure is made shorter for up to five minutes
def test_whatever_happens_in_the_life_of_a_session_the_ledger_tells_the_truth(theatre: Theatre) -> None:
    class Here(Lives):
        pass

    Here.theatre = theatre
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=LIVES,
            stateful_step_count=STEPS,
            derandomize=True,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert theatre.steps > LIVES * 5, f"{theatre.steps} steps in {theatre.lives} lives: are the rules reached?"
