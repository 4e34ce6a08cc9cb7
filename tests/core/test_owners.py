"""Who may send: leases, fencing, recovery by another process, and a process that goes on after it was stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

import agentguard
from agentguard import leases
from agentguard.calls import CallState, Outcome
from agentguard.ledger.rows import SessionState
from agentguard.ledger.sqlite import SqliteLedger
from tests.boxes import Box
from tests.core.notes import notes

Others = Callable[[str], httpx.Client]
AGENT = """
import sys, httpx, agentguard
from tests.core.notes import notes
url, ledger, on_crash, *bodies = sys.argv[1:]
session = agentguard.session(agent="tester", intent="keep notes", id="s1", ledger=ledger, on_crash=on_crash)
client = agentguard.wrap(httpx.Client(base_url=f"{url}/v1/"), session, notes)
for body in bodies:
    try:
        print(client.post("notes", json={"title": body}).status_code, flush=True)
    except agentguard.AgentguardError as error:
        print(type(error).__name__, flush=True)
print("idle", flush=True)
sys.stdin.read()
"""


def agent(box: Box, ledger: Path, *bodies: str, on_crash: str = "rollback", **variables: str) -> subprocess.Popen[str]:
    """An agent in a process of its own, which writes notes and then waits."""
    return subprocess.Popen(
        [sys.executable, "-c", AGENT, box.url, str(ledger), on_crash, *bodies],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )


def says(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def dies(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


@pytest.fixture
def others(box: Box) -> Iterator[Callable[[str], httpx.Client]]:
    """What makes the clients of the process that recovers."""
    with ExitStack() as stack:
        yield lambda _name: stack.enter_context(httpx.Client(base_url=f"{box.url}/v1/"))


@pytest.fixture
def connector(monkeypatch: pytest.MonkeyPatch) -> None:
    """The notes' connector, as if a package had installed it."""
    from agentguard import clients, registry

    monkeypatch.setattr(registry, "connector", lambda name: notes)
    monkeypatch.setattr(clients, "installed", lambda name: notes)


def test_a_dead_agents_session_is_rolled_back_by_another_process(
    box: Box, ledger: Path, others: Others, connector: None
) -> None:
    process = agent(box, ledger, "one", "two")
    assert [says(process) for _ in range(3)] == ["201", "201", "idle"]
    assert agentguard.recover(ledger=ledger, clients=others) == []
    assert len(box.snapshot()["notes"]) == 2
    dies(process)
    (found,) = agentguard.recover(ledger=ledger, clients=others)
    assert found.ok
    assert found.state is SessionState.ROLLED_BACK
    assert box.snapshot()["notes"] == {}
    assert agentguard.recover(ledger=ledger, clients=others) == []


def test_a_session_that_asked_to_be_left_is_left(box: Box, ledger: Path, others: Others, connector: None) -> None:
    process = agent(box, ledger, "one", on_crash="leave")
    assert [says(process) for _ in range(2)] == ["201", "idle"]
    dies(process)
    (found,) = agentguard.recover(ledger=ledger, clients=others)
    assert (found.state, found.report, found.ok) == (SessionState.INTERRUPTED, None, True)
    assert len(box.snapshot()["notes"]) == 1
    assert agentguard.recover(ledger=ledger, clients=others) == []


def test_a_service_without_a_client_is_named_and_the_session_stays_for_a_person(
    box: Box, ledger: Path, others: Others, connector: None
) -> None:
    process = agent(box, ledger, "one")
    assert [says(process) for _ in range(2)] == ["201", "idle"]
    dies(process)
    (found,) = agentguard.recover(ledger=ledger, clients={})
    assert not found.ok
    assert found.missing == {"notes": "no client was given for it"}
    assert found.state is SessionState.PARTIAL
    (item,) = agentguard.queue.queue(ledger)
    assert (item.kind, "retry" in item.actions) == ("failed undo", True)
    assert agentguard.resolve(item.id, "retry", by="ops", ledger=ledger, clients={"notes": others("")}) is None
    assert box.snapshot()["notes"] == {}
    assert SqliteLedger.at(ledger).session("s1").state is SessionState.ROLLED_BACK


@pytest.mark.parametrize("point", ["stop@before_intent:1", "stop@after_intent:1", "stop@before_send:1"])
def test_a_stalled_owner_starts_no_send_after_another_process_took_over(
    point: str, box: Box, ledger: Path, others: Others, connector: None
) -> None:
    """SIGSTOP beyond the lease, takeover, SIGCONT.

    The lease is long enough for the stop to come before the first renewal: stopped in the middle of one, the process
    would take the ledger's lock with it, and the next process could only wait and say so.
    """
    process = agent(box, ledger, "one", "two", AGENTGUARD_LEASE_SECONDS="1.5", AGENTGUARD_FAILPOINT=point)
    try:
        _stopped(process)
        time.sleep(1.6)
        found = agentguard.recover(ledger=ledger, clients=others)
        assert [result.session for result in found] == ["s1"]
        process.send_signal(signal.SIGCONT)
        assert says(process) in ("SessionLost", "SessionClosed")
        assert says(process) in ("SessionLost", "SessionClosed")
        assert says(process) == "idle"
    finally:
        dies(process)
    assert box.requests("POST") == []
    assert box.snapshot()["notes"] == {}


def _stopped(process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
        if state == "T":
            return
        time.sleep(0.01)
    pytest.fail("the process never stopped")


def test_a_call_under_way_when_its_session_completes_is_in_doubt_until_its_answer_comes(
    box: Box, client: httpx.Client, ledger: Path
) -> None:
    session = agentguard.session(agent="tester", intent="keep notes", ledger=ledger)
    guarded: Any = agentguard.wrap(client, session, notes)
    box.fault("delay_after", "POST", seconds=0.5)
    thread = threading.Thread(target=guarded.post, args=("notes",), kwargs={"json": {"title": "slow"}})
    thread.start()
    while not box.effects():
        time.sleep(0.01)
    assert agentguard.queue.queue(ledger) == [], "it is under way"
    session.complete()
    assert [call.state for call in session.calls] == [CallState.IN_DOUBT]
    (item,) = agentguard.queue.queue(ledger)
    assert (item.kind, item.cause) == ("call in doubt", "its session has ended before the answer was there")
    thread.join()
    (call,) = session.calls
    assert (call.state, call.error) == (CallState.COMMITTED, None)
    assert agentguard.queue.queue(ledger) == []
    assert [result.outcome for result in session.rollback().outcomes] == [Outcome.RESTORED]
    assert box.snapshot()["notes"] == {}


def test_what_a_stalled_owner_learns_too_late_is_evidence(
    box: Box, client: httpx.Client, ledger: Path, others: Others, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had sent the call when it lost the session; another process that rolls back waits for what it may say."""
    monkeypatch.setenv("AGENTGUARD_SEND_DEADLINE", "5")
    session = agentguard.session(agent="tester", intent="keep notes", ledger=ledger)
    guarded: Any = agentguard.wrap(client, session, notes)
    other = agentguard.load(session.id, ledger=SqliteLedger(ledger))
    other.use(others("notes"), notes)
    box.fault("delay_after", "POST", seconds=0.5)
    reports: list[agentguard.Report] = []

    def take_back() -> None:
        while not box.effects():
            time.sleep(0.01)
        reports.append(other.rollback())

    thread = threading.Thread(target=take_back)
    thread.start()
    assert guarded.post("notes", json={"title": "slow"}).status_code == 201
    thread.join()
    assert [result.outcome for result in reports[0].outcomes] == [Outcome.RESTORED]
    assert box.snapshot()["notes"] == {}
    (call,) = SqliteLedger(ledger).calls(session.id)
    assert call.state is CallState.COMMITTED
    assert [event.kind for event in SqliteLedger(ledger).events(session.id)].count("late answer") == 1
    with pytest.raises((agentguard.SessionLost, agentguard.SessionClosed), match="Nothing was sent"):
        guarded.post("notes", json={"title": "more"})


def test_a_living_owner_keeps_its_session_however_long_it_says_nothing(
    box: Box, client: httpx.Client, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(leases.SECONDS, "0.15")
    session = agentguard.session(agent="tester", intent="keep notes", ledger=ledger)
    guarded: Any = agentguard.wrap(client, session, notes)
    time.sleep(0.6)
    assert agentguard.recover(ledger=SqliteLedger(ledger), clients={}) == []
    assert guarded.post("notes", json={"title": "still here"}).status_code == 201


def test_an_owner_of_another_process_space_is_believed_to_live(monkeypatch: pytest.MonkeyPatch) -> None:
    boot, space, process, started, number = leases.new_owner().split("/")
    assert not leases.is_gone("/".join((boot, space, process, started, number)))
    assert not leases.is_gone("/".join((boot, "4026000000", "999999999", "1", number)))
    assert leases.is_gone("/".join((boot, space, "999999999", "1", number)))
    assert leases.is_gone("/".join((boot, space, process, "1", number)))
    assert leases.is_gone("/".join(("another-start-of-the-machine", space, process, started, number)))


def test_a_setting_that_is_no_duration_starts_nothing(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(leases.SECONDS, "soon")
    with pytest.raises(agentguard.ConfigError, match="Nothing was started"):
        agentguard.session(agent="a", intent="b", ledger=ledger)
