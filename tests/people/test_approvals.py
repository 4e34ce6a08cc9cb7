"""A decision is bound to one exact call, is used once, expires, and cannot be made up."""

from __future__ import annotations

import multiprocessing
import threading
import time
from pathlib import Path
from typing import Any

import apsw
import httpx
import msgspec
import pytest

import agentguard
from agentguard import deciding
from agentguard.asking import Terms
from agentguard.errors import ApprovalExpired, ApprovalInvalid, NoSuchApproval
from agentguard.keys import new_key, sign
from agentguard.ledger.rows import ApprovalRow, ApprovalState
from tests.people.conftest import Agent


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The private key of Ann, whose public one agentguard.toml names."""
    path = tmp_path / "ann.pem"
    public = new_key(path)
    assert path.stat().st_mode & 0o077 == 0
    config = tmp_path / "agentguard.toml"
    config.write_text(f'[approvals]\nexpires = "1h"\n[approvals.keys]\nann = "{public}"\n')
    monkeypatch.setenv("AGENTGUARD_CONFIG", str(config))
    return path


def terms() -> Terms:
    from agentguard.config import approval_terms

    return approval_terms()


def approve(agent: Agent, name: str, key: Path | None, by: str | None = None) -> ApprovalRow:
    return deciding.decide(agent.store, name, approve=True, by=by, key=key, terms=terms())


def sql(agent: Agent, statement: str, *values: Any) -> None:
    db = apsw.Connection(str(agent.ledger))
    db.execute(statement, values)
    db.close()


def test_an_approved_call_goes_once(agent: Agent, key: Path) -> None:
    session = agent.session()
    guarded = agent.wrapped(session)
    name = agent.asks(session)
    assert agent.asks(session) == name, "the same call asks the same question"
    assert agent.purges() == 0
    approve(agent, name, key)
    assert guarded.post("purge", json={}).status_code == 204
    assert agent.purges() == 1
    row = agent.store.people.approval(name)
    assert (row.state, row.decided_by, row.key, row.seq) == (
        ApprovalState.CONSUMED,
        "ann",
        "ann",
        session.calls[-1].seq,
    )
    assert session.calls[-1].approval == name
    assert agent.asks(session) != name
    assert agent.purges() == 1


def test_it_may_be_approved_while_the_process_is_gone(agent: Agent, key: Path, gone: None) -> None:
    name = agent.asks(agent.session(id="s1"))
    approve(agent, name, key)
    again = agent.session(id="s1")
    assert agent.wrapped(again).post("purge", json={}).status_code == 204
    assert agent.purges() == 1


def test_a_call_can_wait_for_its_decision(agent: Agent, key: Path) -> None:
    session = agent.session(approver="wait")
    guarded = agent.wrapped(session)

    def decide(agree: bool) -> None:
        while not (waiting := agent.store.people.approvals(pending=True)):
            time.sleep(0.01)
        deciding.decide(agent.store, waiting[0].id, approve=agree, why="quarter end", key=key, terms=terms())

    for agree in (True, False):
        thread = threading.Thread(target=decide, args=(agree,))
        thread.start()
        if agree:
            assert guarded.post("purge", json={}).status_code == 204
        else:
            with pytest.raises(agentguard.ApprovalDenied, match=r"denied by ann: quarter end\. Nothing was sent"):
                guarded.post("purge", json={})
        thread.join()
    assert agent.purges() == 1


def test_a_request_that_nobody_answers_expires_which_is_no_denial(
    agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "agentguard.toml"
    config.write_text('[approvals]\nexpires = "0.1s"\n')
    monkeypatch.setenv("AGENTGUARD_CONFIG", str(config))
    with pytest.raises(ApprovalExpired, match="that is no denial"):
        agent.wrapped(agent.session(approver="wait")).post("purge", json={})
    assert agent.purges() == 0
    (row,) = agent.store.people.approvals()
    assert deciding.standing(row) == "expired"
    with pytest.raises(ApprovalInvalid, match="expired already"):
        deciding.decide(agent.store, row.id, approve=True, by="ann", terms=Terms())


def test_whoever_asks_is_not_whoever_agrees(agent: Agent) -> None:
    session = agent.session()
    name = agent.asks(session)
    for by in ("cleaner", "uma"):
        with pytest.raises(ApprovalInvalid, match="cannot approve their own calls"):
            deciding.decide(agent.store, name, approve=True, by=by, terms=Terms())
    with pytest.raises(ApprovalInvalid, match="not one of those"):
        deciding.decide(agent.store, name, approve=True, by="bob", terms=Terms(approvers=("ann",)))
    with pytest.raises(NoSuchApproval):
        deciding.decide(agent.store, "ap-none", approve=True, by="ann", terms=Terms())
    with pytest.raises(agentguard.UsageError, match="who decides"):
        deciding.decide(agent.store, name, approve=True, terms=Terms())
    assert deciding.decide(agent.store, name, approve=True, by="ann", terms=Terms()).signature is None
    with pytest.raises(ApprovalInvalid, match="approved already"):
        deciding.decide(agent.store, name, approve=False, by="ann", terms=Terms())
    assert agent.wrapped(session).post("purge", json={}).status_code == 204


# Ten ways to forge or misuse one. Nothing is sent in any of them.


def refused(agent: Agent, session: agentguard.Session, **body: Any) -> None:
    with pytest.raises(agentguard.Blocked, match="Nothing was sent"):
        agent.wrapped(session).post("purge", json=body)
    assert agent.purges() == 0


def test_a_row_that_was_inserted_counts_for_nothing(agent: Agent, key: Path) -> None:
    session = agent.session()
    real = agent.store.people.approval(agent.asks(session))
    sql(agent, "DELETE FROM approval")
    made_up = msgspec.structs.replace(real, id="ap-made-up", state=ApprovalState.APPROVED, decided_by="ann", key="ann")
    agent.store.people.ask(made_up)
    refused(agent, session)


def test_a_flipped_status_counts_for_nothing(agent: Agent, key: Path) -> None:
    session = agent.session()
    name = agent.asks(session)
    sql(agent, "UPDATE approval SET state = 'approved', decided_by = 'ann', key = 'ann' WHERE id = ?", name)
    refused(agent, session)


def test_a_flipped_status_counts_for_nothing_without_keys_either(agent: Agent) -> None:
    session = agent.session()
    name = agent.asks(session)
    sql(agent, "UPDATE approval SET state = 'approved', decided_by = 'ann' WHERE id = ?", name)
    refused(agent, session)


def test_a_signature_of_another_key_counts_for_nothing(agent: Agent, key: Path, tmp_path: Path) -> None:
    from agentguard.keys import load_key

    session = agent.session()
    name = agent.asks(session)
    new_key(tmp_path / "mallory.pem")
    row = msgspec.structs.replace(agent.store.people.approval(name), state=ApprovalState.APPROVED)
    row.decided_by, row.key, row.decided_at = "ann", "ann", time.time()
    row.signature = sign(row, load_key(tmp_path / "mallory.pem"))
    agent.store.people.decide(row)
    refused(agent, session)
    with pytest.raises(agentguard.UsageError, match="not a key that may approve"):
        approve(agent, agent.asks(session, other=1), tmp_path / "mallory.pem")
    with pytest.raises(agentguard.UsageError, match="have to be signed"):
        approve(agent, agent.asks(session, other=1), None, by="ann")


def test_a_used_one_cannot_be_used_again(agent: Agent, key: Path) -> None:
    session = agent.session()
    name = agent.asks(session)
    approve(agent, name, key)
    agent.wrapped(session).post("purge", json={})
    sql(agent, "UPDATE approval SET state = 'approved', seq = NULL WHERE id = ?", name)
    sent = agent.purges()
    # Its signature is good: what shows that it was used is the call that was sent under it.
    with pytest.raises(agentguard.Blocked, match="Nothing was sent"):
        agent.wrapped(session).post("purge", json={})
    assert agent.purges() == sent == 1


def test_other_arguments_need_another_approval(agent: Agent, key: Path) -> None:
    session = agent.session()
    approve(agent, agent.asks(session, older_than=365), key)
    with pytest.raises(agentguard.ApprovalPending):
        agent.wrapped(session).post("purge", json={"older_than": 1})
    assert agent.purges() == 0


def test_another_session_needs_another_approval(agent: Agent, key: Path) -> None:
    first, second = agent.session(), agent.session()
    name = agent.asks(first)
    approve(agent, name, key)
    sql(agent, "UPDATE approval SET session = ? WHERE id = ?", second.id, name)
    refused(agent, second)


def test_another_account_needs_another_approval(agent: Agent, key: Path) -> None:
    from tests.core.notes import notes

    session = agent.session()
    approve(agent, agent.asks(session), key)
    with httpx.Client(base_url=agent.box.url.replace("127.0.0.1", "localhost") + "/v1/") as other:
        guarded: Any = agentguard.wrap(other, session, notes)
        with pytest.raises(agentguard.ApprovalPending):
            guarded.post("purge", json={})
    assert agent.purges() == 0


def test_an_expired_one_counts_for_nothing(agent: Agent, key: Path) -> None:
    session = agent.session()
    name = agent.asks(session)
    approve(agent, name, key)
    sql(agent, "UPDATE approval SET expires_at = ? WHERE id = ?", time.time() - 1, name)
    with pytest.raises(agentguard.ApprovalPending):
        agent.wrapped(session).post("purge", json={})
    sql(agent, "UPDATE approval SET expires_at = ? WHERE id = ?", time.time() + 9999, name)
    refused(agent, session)  # the time that was signed was another one


def test_arguments_that_change_after_the_decision_are_not_sent(agent: Agent, key: Path) -> None:
    session = agent.session()
    body = {"older_than": 365}
    approve(agent, agent.asks(session, **body), key)
    body["older_than"] = 0
    with pytest.raises(agentguard.ApprovalPending):
        agent.wrapped(session).post("purge", json=body)
    assert agent.purges() == 0


def _race(url: str, ledger: str, session: str, start: Any, results: Any) -> None:
    from agentguard.ledger.people import Permit
    from agentguard.ledger.rows import CallRow
    from agentguard.ledger.sqlite import SqliteLedger

    store = SqliteLedger(Path(ledger))
    (approval,) = store.people.approvals(session=session)
    call = CallRow(session=session, connector="notes", base=url, name="notes.purge", token=1, approval=approval.id)
    start.wait()
    try:
        store.intend(call, [], False, Permit(approval.digest))
        results.put("sent")
    except agentguard.Blocked:
        results.put("stopped")


def test_of_32_processes_one_can_use_it(agent: Agent, key: Path) -> None:
    session = agent.session()
    approve(agent, agent.asks(session), key)
    context = multiprocessing.get_context("forkserver")
    start, results = context.Event(), context.Queue()
    racers = [
        context.Process(target=_race, args=(agent.box.url, str(agent.ledger), session.id, start, results))
        for _ in range(32)
    ]
    for racer in racers:
        racer.start()
    start.set()
    came = [results.get(timeout=60) for _ in racers]
    for racer in racers:
        racer.join()
    assert came.count("sent") == 1
    assert came.count("stopped") == 31
