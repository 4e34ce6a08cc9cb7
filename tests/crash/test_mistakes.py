"""More mistakes, built into the library on purpose, that no crash shows: each is noticed by a check of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

import agentguard
from agentguard import failpoints, leases
from agentguard.calls import Effect
from agentguard.deciding import decide
from agentguard.errors import AgentguardError, ApprovalPending
from agentguard.guard import Guard
from agentguard.ledger import sqlite
from agentguard.ledger.rows import ApprovalState
from agentguard.ledger.sqlite import SqliteLedger
from agentguard.redaction import Redactor
from agentguard.session import Session
from agentguard.testing.crash import Bench, Fault, Plan
from tests.boxes import Box
from tests.core.conftest import _notes_process, box
from tests.core.notes import notes
from tests.crash.scenarios import SCENARIOS, STAGE
from tests.crash.test_crash import CAUGHT as BY_A_CRASH

__all__ = ["_notes_process", "box"]
TOKEN = "tok_4f9a7c31b2d84e06"


class Set:
    """A service with one note, a session, and a guarded client."""

    def __init__(self, box: Box, ledger: Path) -> None:
        self.box, self.ledger = box, ledger
        box.seed(next=2, notes={"1": {"id": 1, "title": "one", "body": "as it was"}})
        self.session = agentguard.session(agent="agent", intent="keep notes", ledger=ledger, approver="later")
        self.plain = httpx.Client(base_url=f"{box.url}/v1/", headers={"authorization": f"Bearer {TOKEN}"})
        self.client = agentguard.wrap(self.plain, self.session, notes)

    @property
    def store(self) -> SqliteLedger:
        return SqliteLedger.at(self.ledger)

    def edit(self, body: str = "changed") -> None:
        self.client.patch("notes/1", json={"body": body})

    def taken_over(self) -> None:
        """Have somebody else own the session from now on."""
        self.store.claim(self.session.id, leases.new_owner(), leases.now() + 30, steal=True)


@pytest.fixture
def stage(box: Box, ledger: Path) -> Iterator[Set]:
    made = Set(box, ledger)
    yield made
    made.plain.close()
    failpoints.arm({})


def at(point: str, act: Callable[[], None]) -> None:
    """Have *act* happen when this process reaches *point*."""

    class Here(failpoints.Trap):
        def reach(self, name: str) -> None:
            if name == point:
                act()

    failpoints.trap = Here("", "")


# The checks: what each finds


def a_lost_session_sends_nothing(stage: Set) -> list[str]:
    stage.taken_over()
    tried(stage.edit)
    return [f"sent after the session was lost: {one}" for one in stage.box.requests("PATCH")]


def a_session_lost_in_the_last_moment_sends_nothing(stage: Set) -> list[str]:
    def lose() -> None:
        stage.taken_over()
        assert stage.session.ownership.lease is not None
        stage.session.ownership.lease.seen -= 60  # it has been asleep since

    at("before_send", lose)
    tried(stage.edit)
    return [f"sent after the session was lost: {one}" for one in stage.box.requests("PATCH")]


def an_approval_is_used_up_when_the_call_is_sent(stage: Set) -> list[str]:
    found: list[str] = []

    def look() -> None:
        found.extend(
            f"{a.id} is {a.state}" for a in stage.store.people.approvals() if a.state is ApprovalState.APPROVED
        )

    with pytest.raises(ApprovalPending):
        stage.client.post("purge")
    (asked,) = stage.store.people.approvals(pending=True)
    decide(stage.store, asked.id, approve=True, by="ada")
    at("before_send", look)
    tried(lambda: stage.client.post("purge"))
    assert len(stage.box.requests("POST")) == 1
    return found


def a_read_passes_while_everything_is_frozen(stage: Set) -> list[str]:
    stage.store.people.freeze("*", "ada", "to look at it")
    told = tried(lambda: stage.client.get("notes/1"))
    return [f"a read was stopped: {told}"] if told else []


def no_secret_is_in_the_ledger(stage: Set) -> list[str]:
    stage.edit(f"the token is {TOKEN}")
    stage.store.close()
    return [str(file) for file in stage.ledger.parent.iterdir() if TOKEN.encode() in file.read_bytes()]


def what_somebody_wrote_into_a_lost_creation_is_kept(stage: Set) -> list[str]:
    stage.box.fault("drop_after", "POST")
    with pytest.raises(httpx.HTTPError):
        stage.client.post("notes", json={"title": "two", "body": "ours"})
    stage.plain.patch("notes/2", json={"body": "theirs"})
    stage.session.rollback()
    left = stage.box.snapshot()["notes"]
    return [] if "2" in left and left["2"]["body"] == "theirs" else [f"what somebody wrote is gone: {left}"]


def tried(act: Callable[[], object]) -> str:
    """Do it, and return which error of the guard stopped it."""
    try:
        act()
    except AgentguardError as error:
        return f"{type(error).__name__}: {error}"
    return ""


# The mistakes


def fencing_token_ignored(patch: pytest.MonkeyPatch) -> None:
    check = SqliteLedger._check_open

    def any_owner(self: SqliteLedger, db: Any, call: Any) -> int:
        call.token = self.session(call.session).token
        return check(self, db, call)

    patch.setattr(SqliteLedger, "_check_open", any_owner)


def lease_not_checked_before_send(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Session, "check_owner", lambda self: None)


def approval_used_outside_the_intent(patch: pytest.MonkeyPatch) -> None:
    consume, settle = sqlite.consume, SqliteLedger.settle
    later: list[Callable[[SqliteLedger], object]] = []

    def postponed(db: Any, call: Any, digest: str) -> None:
        later.append(lambda ledger: ledger.database.write("approval", lambda db: consume(db, call, digest)))

    def now(self: SqliteLedger, *given: Any, **more: Any) -> Any:
        while later:
            later.pop()(self)
        return settle(self, *given, **more)

    patch.setattr(sqlite, "consume", postponed)
    patch.setattr(SqliteLedger, "settle", now)


def reads_taken_for_writes(patch: pytest.MonkeyPatch) -> None:
    decode = Guard.decode

    def taken(self: Guard, request: Any) -> Any:
        found = decode(self, request)
        graver = msgspec.structs.replace(found.operation, effect=Effect.COMPENSABLE)
        return replace(found, operation=graver)

    patch.setattr(Guard, "decode", taken)
    patch.setattr(Guard, "passes", lambda self, verb, url: False)


def written_before_it_is_redacted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Redactor, "clean", lambda self, value: value)
    patch.setattr(Redactor, "clean_text", lambda self, text: text)


def found_taken_for_left(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("agentguard.doubt.as_sent", lambda found, _sent: found)


CAUGHT: list[tuple[Callable[[pytest.MonkeyPatch], None], Callable[[Set], list[str]]]] = [
    (fencing_token_ignored, a_lost_session_sends_nothing),
    (lease_not_checked_before_send, a_session_lost_in_the_last_moment_sends_nothing),
    (approval_used_outside_the_intent, an_approval_is_used_up_when_the_call_is_sent),
    (reads_taken_for_writes, a_read_passes_while_everything_is_frozen),
    (written_before_it_is_redacted, no_secret_is_in_the_ledger),
    (found_taken_for_left, what_somebody_wrote_into_a_lost_creation_is_kept),
]


@pytest.mark.parametrize(("mistake", "check"), CAUGHT, ids=[mistake.__name__ for mistake, _check in CAUGHT])
def test_a_mistake_is_noticed_by_its_check(
    mistake: Callable[[pytest.MonkeyPatch], None],
    check: Callable[[Set], list[str]],
    stage: Set,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mistake(monkeypatch)
    assert check(stage), "nothing was noticed"


@pytest.mark.parametrize("check", [check for _mistake, check in CAUGHT], ids=lambda check: check.__name__)
def test_without_a_mistake_the_check_finds_nothing(check: Callable[[Set], list[str]], stage: Set) -> None:
    assert check(stage) == []


def test_a_fresh_key_for_a_call_that_is_repeated_is_noticed(bench: Bench) -> None:
    plan = Plan(SCENARIOS["keyed"], fault=Fault("stripe", 1, "drop_after"))

    def made(plan: Plan) -> int:
        arrived = bench.run(plan).log.arrived
        return sum(len(one.effects) for one in arrived if one.phase == "forward" and one.name == "customers.create")

    assert made(replace(plan, mutant="fresh_key_on_repeat")) > made(plan) > 0


def test_every_mistake_of_the_list_is_tried() -> None:
    assert {*BY_A_CRASH, "fresh_key_on_repeat"} == STAGE.mistakes.keys()
