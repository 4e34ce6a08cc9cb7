"""The core under a sceptical eye: what a repeat, a batch, a held call or a late moment may neither lose nor double."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import agentguard
from agentguard.calls import CallState, Effect, Handler, Outcome, as_sent, forward, read, undo
from agentguard.connector import Connector
from agentguard.deciding import decide
from agentguard.errors import LedgerError, NotAsSent
from agentguard.ledger.rows import CallRow, SessionState
from agentguard.ledger.sqlite import SqliteLedger
from agentguard.ledger.statements import KEYS_LAST
from agentguard.policy import Condition, Policy, Rule
from agentguard.queue import queue
from tests.boxes import Box
from tests.core.notes import note, notes
from tests.core.test_resuming import gone, resumed
from tests.gmail.cases import labels
from tests.gmail.world import service_at

__all__ = ["gone"]


@pytest.fixture
def mailbox(boxes: dict[str, Box]) -> Iterator[Any]:
    with service_at(boxes["gmail"].reset().url) as service:
        yield service


def two_labels(service: Any, *names: str) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    batch = service.new_batch_http_request(callback=lambda name, found, error: answers.update({name: error or found}))
    for name in names:
        batch.add(labels(service).create(userId="me", body={"name": name}), request_id=name)
    batch.execute()
    return answers


def batches(box: Box) -> int:
    return len([r for r in box.requests("POST") if r["path"].startswith("/batch")])


# What is made again


def test_the_members_of_a_batch_in_a_named_block_are_known_again(
    boxes: dict[str, Box], mailbox: Any, ledger: Path, gone: None
) -> None:
    for _ in range(2):
        session = resumed(ledger)
        guarded = agentguard.wrap(mailbox, session)
        with session.once("labels"):
            answers = two_labels(guarded, "One", "Two", "Three")
        assert [answers[name]["name"] for name in ("One", "Two", "Three")] == ["One", "Two", "Three"]
    assert [call.once for call in session.calls] == ["labels", "labels#2", "labels#3"]
    assert batches(boxes["gmail"]) == 1


def test_a_doubtful_call_that_could_not_be_looked_at_is_not_sent_when_it_is_made_again(
    box: Box, client: httpx.Client, ledger: Path, gone: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentguard.undoing.AGAIN_AFTER", ())
    client.post("notes", json={"title": "one", "body": "as it was"})
    guarded: Any = agentguard.wrap(client, resumed(ledger), notes)
    box.fault("drop_after", "PATCH")
    with pytest.raises(httpx.HTTPError):
        guarded.patch("notes/1", json={"body": "new"})
    guarded = agentguard.wrap(client, resumed(ledger), notes)
    box.fault("status_before", "GET", status=500)
    with pytest.raises(agentguard.AgentguardError):
        guarded.patch("notes/1", json={"body": "new"})
    assert guarded.patch("notes/1", json={"body": "new"}).json()["body"] == "new"
    assert len(box.requests("PATCH")) == 1


@pytest.mark.parametrize("named", [False, True])
def test_a_call_whose_response_is_not_kept_is_not_sent_by_a_retry(
    box: Box, client: httpx.Client, ledger: Path, gone: None, named: bool
) -> None:
    def write(session: agentguard.Session, guarded: Any) -> None:
        body = {"title": "large", "body": "x" * (1 << 20)}
        if named:
            with session.once("large"):
                try:
                    guarded.post("notes", json=body)
                except agentguard.AnswerLost:
                    guarded.post("notes", json=body)
        else:
            guarded.post("notes", json=body)

    session = resumed(ledger)
    write(session, agentguard.wrap(client, session, notes))
    session = resumed(ledger)
    guarded = agentguard.wrap(client, session, notes)
    for _ in range(2):
        with pytest.raises(agentguard.AnswerLost, match="Nothing was sent"):
            write(session, guarded)
    assert len(box.requests("POST")) == 1


def test_what_a_resumed_session_takes_back_is_made_anew(
    box: Box, client: httpx.Client, ledger: Path, gone: None
) -> None:
    first = resumed(ledger)
    first.savepoint("start")
    agentguard.wrap(client, first, notes).post("notes", json={"title": "one"})
    again = resumed(ledger)
    guarded: Any = agentguard.wrap(client, again, notes)
    assert again.rollback(to="start").ok
    assert box.snapshot()["notes"] == {}
    assert guarded.post("notes", json={"title": "one"}).status_code == 201
    assert [note["title"] for note in box.snapshot()["notes"].values()] == ["one"]


def test_a_program_that_is_started_again_passes_its_savepoints_again(
    box: Box, client: httpx.Client, ledger: Path, gone: None
) -> None:
    for _ in range(2):
        session = resumed(ledger)
        guarded: Any = agentguard.wrap(client, session, notes)
        guarded.post("notes", json={"title": "before"})
        session.savepoint("half way")
        guarded.post("notes", json={"title": "after"})
    with pytest.raises(agentguard.UsageError, match="already"):
        session.savepoint("half way")
    assert session.rollback(to="half way").ok
    assert [note["title"] for note in box.snapshot()["notes"].values()] == ["before"]


def test_a_checkpoint_tells_what_was_agreed_to(client: httpx.Client, ledger: Path, gone: None) -> None:
    policy = Policy([Rule(operations="*", then="ask")])
    first = resumed(ledger, policy=policy, approver="later")
    guarded: Any = agentguard.wrap(client, first, notes)
    with pytest.raises(agentguard.ApprovalPending) as asked:
        guarded.post("notes", json={"title": "one"})
    first.checkpoint("asked")
    decide(SqliteLedger.at(ledger), asked.value.approval, approve=True, by="ops")
    found = resumed(ledger, policy=policy, approver="later").checkpointed
    assert found is not None
    assert [(card["operation"], card["id"]) for card in found.approved] == [
        ("notes.notes.create", asked.value.approval)
    ]


def test_a_key_counts_from_its_first_use(session: agentguard.Session, ledger: Path) -> None:
    store, start = SqliteLedger.at(ledger), time.time()

    def lost(at: float) -> CallRow:
        row = CallRow(
            session=session.id, connector="c", base="b", name="n", digest="d", token=session.token, created_at=at
        )
        made = store.intend(row, [], True)
        store.settle(made, CallState.IN_DOUBT, made.token, error="lost")
        return made

    first, repeat = lost(start - 2 * KEYS_LAST + 100), lost(start - KEYS_LAST + 50)
    assert repeat.key == first.key
    assert lost(start).key != first.key


@pytest.mark.parametrize("body", ["as it was", ""], ids=["words", "no words"])
def test_what_somebody_wrote_into_a_thing_whose_making_had_no_answer_is_not_removed(
    body: str, box: Box, client: httpx.Client, session: agentguard.Session
) -> None:
    box.fault("drop_after", "POST")
    with pytest.raises(httpx.HTTPError):
        agentguard.wrap(client, session, notes).post("notes", json={"title": "one", "body": body})
    client.patch("notes/1", json={"body": "somebody's"})
    before = box.snapshot()
    (result,) = session.rollback().outcomes
    assert result.outcome is Outcome.CONFLICT, result
    assert "somebody's" in result.detail
    assert box.snapshot() == before


@pytest.mark.parametrize(
    ("found", "sent", "was"),
    [
        ({"id": 1, "n": 5}, {"n": "5", "other": 1}, {"id": 1, "n": 5}),
        ({"n": 6}, {"n": "5"}, {"n": "5"}),
        ({"on": True, "text": "a\n"}, {"on": "true", "text": " a\r\n"}, {"on": True, "text": "a\n"}),
        ({"a": {"b": "theirs", "c": 1}}, {"a": {"b": "ours"}}, {"a": {"b": "ours", "c": 1}}),
        ({"tags": ["b", "a"]}, {"tags": ["a", "b"]}, {"tags": ["b", "a"]}),
        ({"tags": ["a", "theirs"]}, {"tags": ["a"]}, {"tags": ["a"]}),
        ({"rows": [{"x": "theirs", "id": 1}]}, {"rows": [{"x": "ours"}]}, {"rows": [{"x": "ours", "id": 1}]}),
        ({"rows": [{"x": 1}, {"x": 2}]}, {"rows": [{"x": 1}]}, {"rows": [{"x": 1}, {"x": 2}]}),
        ({"labels": [{"name": "a"}]}, {"labels": ["a"]}, {"labels": [{"name": "a"}]}),
        (
            {"note": "theirs", "list": [], "no": False},
            {"note": None, "list": None, "no": None},
            {"note": None, "list": [], "no": False},
        ),
        (None, {"n": 1}, None),
    ],
)
def test_what_was_sent_counts_for_what_is_found(found: Any, sent: Any, was: Any) -> None:
    assert as_sent(found, sent) == was


def test_what_a_lost_answer_would_have_told_of_more_to_undo_is_not_passed_over(
    box: Box, client: httpx.Client, session: agentguard.Session
) -> None:
    table = notes.table
    two_undos = Connector("two", title="Two undos", table=table, seams=notes.seams)
    two_undos.view(note)

    @two_undos.guards("notes.update", effect=Effect.REVERSIBLE)
    def update(id: str, body: str) -> Handler:  # noqa: A002 - what the service calls it
        """Write a note; what else it changes is known from the answer."""
        look = read("notes.get", id=id).through("note")
        old = {"body": (yield look)["body"]}
        yield undo("notes.update", id=id, **old).on(look, left={"body": body}, back=old)
        after = yield forward()
        yield undo("notes.update", id=id, title="one").on(look, left={"title": after["title"]}, back={"title": "one"})

    client.post("notes", json={"title": "one", "body": "as it was"})
    guarded: Any = agentguard.wrap(client, session, two_undos)
    box.fault("drop_after", "PATCH")
    with pytest.raises(httpx.HTTPError):
        guarded.patch("notes/1", json={"title": "two", "body": "new"})
    report = session.rollback()
    assert not report.ok
    assert "its answer was lost" in report.outcomes[0].detail
    assert box.snapshot()["notes"]["1"] == {"id": 1, "title": "two", "body": "as it was"}


# What is held


def test_a_call_that_no_table_knows_cannot_be_held_and_the_session_ends(
    box: Box, client: httpx.Client, ledger: Path
) -> None:
    policy = Policy([Rule(operations="*", then="hold")])
    session = agentguard.session(agent="a", intent="i", ledger=ledger, policy=policy)
    guarded: Any = agentguard.wrap(client, session, notes)
    with pytest.raises(agentguard.Refused, match="Nothing was sent"):
        guarded.post("unlisted", json={"a": 1})
    session.complete()
    assert session.state is SessionState.COMPLETED
    assert [call.state for call in session.calls] == [CallState.REFUSED]
    assert box.effects() == []


def test_a_held_call_that_could_not_be_sent_waits_no_longer(box: Box, client: httpx.Client, ledger: Path) -> None:
    client.post("notes", json={"title": "one"})
    policy = Policy([Rule(operations="*", then="hold")])
    session = agentguard.session(agent="a", intent="i", ledger=ledger, policy=policy)
    guarded: Any = agentguard.wrap(client, session, notes)
    guarded.patch("notes/1", json={"body": "new"})
    box.fault("status_before", "GET", times=9, status=500)
    with pytest.raises(agentguard.HeldNotSent, match="could not be read"):
        session.complete()
    (call,) = session.calls
    assert (session.state, call.state) == (SessionState.COMPLETED, CallState.NOT_APPLIED)
    assert "could not be read" in str(call.error)


def test_a_batch_that_is_stopped_leaves_nothing_held(boxes: dict[str, Box], mailbox: Any, ledger: Path) -> None:
    policy = Policy(
        [
            Rule(operations="gmail.*", when=Condition(argument="name", equals="Refused"), then="refuse"),
            Rule(operations="gmail.*", then="hold"),
        ]
    )
    session = agentguard.session(agent="a", intent="i", ledger=ledger, policy=policy)
    guarded = agentguard.wrap(mailbox, session)
    with pytest.raises(agentguard.Refused):
        two_labels(guarded, "Held", "Refused")
    session.complete()
    assert boxes["gmail"].effects() == []
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED, CallState.REFUSED]


# After the effect


def test_a_ledger_that_fails_after_the_effect_does_not_cost_a_verified_call_its_answer(
    box: Box, client: httpx.Client, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = Policy([Rule(operations="*", verify=True, then="allow")])
    session = agentguard.session(agent="a", intent="i", ledger=ledger, policy=policy)
    guarded: Any = agentguard.wrap(client, session, notes)
    write = session.ledger.database.write  # type: ignore[attr-defined]  # the store of one file

    def full(name: str, job: Any, *, durable: bool = False) -> Any:
        if name == "verified":
            raise LedgerError("the disk is full")
        return write(name, job, durable=durable)

    monkeypatch.setattr(session.ledger.database, "write", full)  # type: ignore[attr-defined]
    assert guarded.post("notes", json={"title": "one"}).status_code == 201
    assert len(box.effects()) == 1


def test_every_member_of_a_batch_has_its_answer_on_record_where_one_is_not_as_sent(
    boxes: dict[str, Box], mailbox: Any, ledger: Path
) -> None:
    policy = Policy([Rule(operations="*", verify=True, then="allow")])
    session = agentguard.session(agent="a", intent="i", ledger=ledger, policy=policy)
    guarded = agentguard.wrap(mailbox, session)
    boxes["gmail"].fault("status_before", "GET", r"labels/.+", status=500, times=9)
    with pytest.raises(NotAsSent):
        two_labels(guarded, "One", "Two")
    assert [call.state for call in session.calls] == [CallState.COMMITTED, CallState.COMMITTED]


def test_an_interrupt_of_the_thread_that_writes_for_others_is_its_own(
    session: agentguard.Session, ledger: Path
) -> None:
    database = SqliteLedger.at(ledger).database
    leads, queued = threading.Event(), threading.Event()
    met: list[BaseException] = []

    def slow(_db: object) -> None:
        leads.set()
        queued.wait(10)

    def interrupted(_db: object) -> None:
        raise KeyboardInterrupt

    def run(job: Callable[[Any], None]) -> None:
        try:
            database.write("note", job)
        except BaseException as error:  # noqa: BLE001 - which one it is, is the question
            met.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in (slow, interrupted, lambda _db: None)]
    threads[0].start()
    assert leads.wait(10)
    for number, thread in enumerate(threads[1:], 1):
        thread.start()
        while len(database._queue) < number:
            time.sleep(0.01)
    queued.set()
    for thread in threads:
        thread.join(10)
    assert sorted(type(error).__name__ for error in met) == ["KeyboardInterrupt", "LedgerError"]
    session.ledger.note(session.id, "still", {"works": True})


# What takes its time


def test_a_call_that_begins_while_a_rollback_begins_is_taken_back_too(
    box: Box, client: httpx.Client, session: agentguard.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded: Any = agentguard.wrap(client, session, notes)
    guarded.post("notes", json={"title": "one"})
    enter = session.enter

    def late(state: SessionState, cause: str | None = None) -> SessionState:
        if state is SessionState.ROLLING_BACK:
            thread = threading.Thread(target=lambda: guarded.post("notes", json={"title": "at the last moment"}))
            thread.start()
            thread.join(10)
        return enter(state, cause)

    monkeypatch.setattr(session, "enter", late)
    report = session.rollback()
    assert box.snapshot()["notes"] == {}
    assert len(report.outcomes) == 2


def test_time_for_a_late_request_counts_from_its_sending_and_not_from_the_question(
    box: Box, client: httpx.Client, ledger: Path
) -> None:
    agreed = 0.0

    def approver(_card: Any) -> bool:
        nonlocal agreed
        time.sleep(1.1)
        agreed = time.time()
        return True

    policy = Policy([Rule(operations="*", then="ask")])
    session = agentguard.session(agent="a", intent="i", ledger=ledger, policy=policy, approver=approver)
    guarded: Any = agentguard.wrap(client, session, notes)
    guarded.post("notes", json={"title": "one"})
    assert session.calls[0].created_at >= agreed


def test_time_for_a_late_request_counts_from_its_sending_and_not_from_when_it_was_held(
    box: Box, client: httpx.Client, ledger: Path
) -> None:
    policy = Policy([Rule(operations="*", then="hold")])
    session = agentguard.session(agent="a", intent="i", ledger=ledger, policy=policy)
    guarded: Any = agentguard.wrap(client, session, notes)
    guarded.post("notes", json={"title": "one"})
    time.sleep(0.1)
    completed = time.time()
    session.complete()
    assert session.calls[0].created_at >= completed


def test_what_somebody_wrote_while_a_person_was_asked_comes_back(
    box: Box, client: httpx.Client, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.post("notes", json={"title": "one", "body": "first"})

    def approver(_card: Any) -> bool:
        client.patch("notes/1", json={"body": "somebody's"})
        time.sleep(1.1)
        return True

    policy = Policy([Rule(operations="*", then="ask")])
    session = agentguard.session(agent="a", intent="i", ledger=ledger, policy=policy, approver=approver)
    guarded: Any = agentguard.wrap(client, session, notes)
    guarded.patch("notes/1", json={"body": "agent's"})
    assert session.rollback(agreed=True).ok
    assert box.snapshot()["notes"]["1"]["body"] == "somebody's"


def test_an_undo_of_a_call_that_did_not_happen_needs_nobody(
    box: Box, client: httpx.Client, session: agentguard.Session, ledger: Path
) -> None:
    client.post("notes", json={"title": "one"})
    guarded: Any = agentguard.wrap(client, session, notes)
    box.fault("drop_before", "PATCH")
    with pytest.raises(httpx.HTTPError):
        guarded.patch("notes/1", json={"body": "x"})
    session.rollback(timeout=1e-9)
    assert [item.kind for item in queue(ledger)][:1] == ["call in doubt"]
    agentguard.resolve(f"{session.id}/1", "not_applied", by="ops", note="looked", ledger=ledger)
    assert queue(ledger) == []


def test_a_call_that_turns_out_to_have_happened_after_the_rollback_stays_in_the_queue(
    box: Box, client: httpx.Client, session: agentguard.Session, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentguard.unwinding.IN_FLIGHT_SECONDS", 0.1)
    guarded: Any = agentguard.wrap(client, session, notes)
    box.fault("delay_before", "POST", seconds=1.5)
    thread = threading.Thread(target=lambda: guarded.post("notes", json={"title": "late"}))
    thread.start()
    while not session.calls:
        time.sleep(0.01)
    assert not session.rollback().ok
    thread.join(10)
    assert session.calls[0].state is CallState.COMMITTED
    assert [item.kind for item in queue(ledger)] == ["failed undo"]
    assert session.rollback().ok
    assert box.snapshot()["notes"] == {}
    assert queue(ledger) == []
