"""Unrelated calls are taken back side by side, related ones newest first; what stops a rollback stops it cleanly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

import agentguard
from agentguard.calls import Outcome
from agentguard.ledger.sqlite import SqliteLedger
from tests.boxes import Box
from tests.core.notes import notes


@pytest.fixture
def worked(client: httpx.Client, session: agentguard.Session) -> agentguard.Session:
    """Six notes, each of which was changed twice."""
    guarded: Any = agentguard.wrap(client, session, notes)
    for number in range(6):
        made = guarded.post("notes", json={"title": f"note {number}"}).json()["id"]
        for body in ("first", "second"):
            guarded.patch(f"notes/{made}", json={"body": body})
    return session


def test_unrelated_things_are_undone_at_once_and_one_thing_newest_first(box: Box, worked: agentguard.Session) -> None:
    before = len(box.requests())
    report = worked.rollback(concurrency=6)
    assert report.ok
    assert [result.seq for result in report.outcomes] == list(range(18, 0, -1))
    assert box.snapshot()["notes"] == {}
    undone = [(r["path"], r["body"]) for r in box.requests()[before:] if r["verb"] in ("PATCH", "DELETE")]
    for path in {path for path, _body in undone}:
        bodies = [body["body"] if body else None for p, body in undone if p == path]
        assert bodies == ["first", "", None], path
    assert len({path for path, _body in undone[:6]}) > 1, "they were undone one after the other"


def test_side_by_side_is_quicker_than_one_after_the_other(box: Box, worked: agentguard.Session) -> None:
    """By the overlap of requests, which says it without a clock."""
    overlapping, under_way, lock = 0, 0, threading.Lock()
    from agentguard.guard import Guard

    perform = Guard.perform

    def counted(self: Guard, *given: Any) -> Any:
        nonlocal overlapping, under_way
        with lock:
            under_way += 1
            overlapping = max(overlapping, under_way)
        try:
            return perform(self, *given)
        finally:
            with lock:
                under_way -= 1

    Guard.perform = counted  # type: ignore[method-assign]  # put back below
    try:
        assert worked.rollback(concurrency=3).ok
    finally:
        Guard.perform = perform  # type: ignore[method-assign]
    assert 2 <= overlapping <= 3


def test_a_blocked_one_does_not_block_unrelated_ones(box: Box, worked: agentguard.Session) -> None:
    box.seed(notes={**box.snapshot()["notes"], "3": {"id": 3, "title": "note 2", "body": "somebody else's"}})
    report = worked.rollback(concurrency=4)
    assert not report.ok
    outcomes = {result.seq: result.outcome for result in report.outcomes}
    assert [outcomes.pop(seq) for seq in (9, 8, 7)] == [Outcome.CONFLICT, Outcome.FAILED, Outcome.FAILED]
    assert set(outcomes.values()) == {Outcome.RESTORED}
    assert list(box.snapshot()["notes"]) == ["3"]


def test_a_time_limit_leaves_the_rest_to_be_continued(
    box: Box, worked: agentguard.Session, ledger: Path, client: httpx.Client
) -> None:
    box.fault("delay_after", "DELETE", seconds=0.3)
    report = worked.rollback(timeout=0.2)
    assert not report.ok
    tried = [result for result in report.outcomes if "not tried: the time limit of 0.2 s" not in result.detail]
    assert 0 < len(tried) < 18
    assert worked.state == "rolling_back"
    assert worked.rollback().ok
    assert box.snapshot()["notes"] == {}


def test_a_failure_stops_the_rest_where_that_is_asked_for(box: Box, worked: agentguard.Session) -> None:
    alerts: list[agentguard.Alert] = []
    worked.on_alert = alerts.append
    box.fault("status_before", "PATCH", status=403)
    report = worked.rollback(on_failure="stop")
    assert [result.outcome for result in report.outcomes] == [Outcome.FAILED] * 18
    assert "not tried: call 18" in report.outcomes[1].detail
    assert [alert.result.seq for alert in alerts] == [18]
    assert "call 18" not in str(alerts[0])
    assert worked.rollback().ok


def test_what_is_transient_is_tried_again_and_what_is_not_is_not(
    box: Box, worked: agentguard.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agentguard import undoing

    monkeypatch.setattr(undoing, "AGAIN_AFTER", (0.01, 0.01, 0.01))
    box.fault("status_before", "PATCH", status=429, headers={"Retry-After": "0"}, times=2)
    box.fault("status_before", "GET", status=503, times=2)
    before = len(box.requests("PATCH"))
    assert worked.rollback().ok
    assert len(box.requests("PATCH")) - before == 12 + 2


INTERRUPTED = """
import signal, sys, httpx, agentguard
from tests.core.notes import notes
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background of a shell starts without it
url, ledger = sys.argv[1:]
session = agentguard.session(agent="tester", intent="keep notes", id="s1", ledger=ledger)
client = agentguard.wrap(httpx.Client(base_url=f"{url}/v1/"), session, notes)
for number in range(3):
    client.post("notes", json={"title": str(number)})
print("ready", flush=True)
session.rollback()
"""


def test_ctrl_c_stops_after_the_undo_that_is_under_way_and_says_how_to_go_on(
    box: Box, client: httpx.Client, ledger: Path
) -> None:
    box.fault("delay_before", "DELETE", seconds=0.5)
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, box.url, str(ledger)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    assert process.stdout is not None
    process.stdout.readline()
    while not box.requests("DELETE"):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _out, told = process.communicate(timeout=30)
    assert "agentguard rollback s1" in told
    assert "2 calls were not tried" in told
    assert len(box.requests("DELETE")) == 1
    again = agentguard.load("s1", ledger=SqliteLedger(ledger))
    again.use(client, notes)
    assert again.rollback().ok
    assert box.snapshot()["notes"] == {}
