"""The stand-ins' faults, seen through real SDKs: what each does to a client, and that nothing of it is kept secret."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

import agentguard
from agentguard import CallState, Outcome
from agentguard.ledger.sqlite import SqliteLedger
from agentguard.sandbox.faults import FAULTS, MODES
from tests.boxes import Box, start_boxes
from tests.core.notes import notes

ROOT = Path(__file__).parents[2]
GENERAL = "C0GENERAL"


@pytest.fixture
def open_session(ledger: Path) -> agentguard.Session:
    """A session that approves everything."""
    return agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: True)


def outcomes(report: agentguard.Report) -> list[Outcome]:
    return [result.outcome for result in report.outcomes]


# Too often


def github_client(url: str) -> Any:
    import github

    pauses: dict[str, Any] = {"seconds_between_requests": None, "seconds_between_writes": None}
    return github.Github(auth=github.Auth.Token("t"), base_url=url, retry=None, **pauses)


def stripe_client(url: str) -> Any:
    import stripe

    return stripe.StripeClient("sk_test_1", base_addresses={"api": url})


def slack_client(url: str) -> Any:
    import slack_sdk

    return slack_sdk.WebClient("xoxb-1", base_url=f"{url}/api/")


def gmail_client(url: str) -> Any:
    from tests.gmail.world import service_at

    return service_at(url)


def hubspot_client(url: str) -> Any:
    from hubspot import HubSpot

    from agentguard.sandbox.hubspot import TOKEN

    return HubSpot(access_token=TOKEN, host=url, base_url=url)


def notion_client(url: str) -> Any:
    import notion_client

    return notion_client.Client(auth="ntn_agent", base_url=url)


def _open_page(client: Any) -> None:
    from tests.notion.world import HANDBOOK, title

    client.pages.create(parent={"page_id": HANDBOOK}, properties={"title": title("Plans")["title"]})


@dataclass(frozen=True)
class Limited:
    """How a service says that it is asked too often."""

    client: Callable[[str], Any]
    act: Callable[[Any], object]
    status: int
    says: str
    """What stands in the answer."""
    when: str | None
    """The header that says when the client may ask again, where there is one."""


LIMITS = {
    "github": Limited(
        github_client, lambda c: c.get_repo("acme/hr").create_issue("New"), 403, "secondary rate limit", "7"
    ),
    "stripe": Limited(stripe_client, lambda c: c.v1.customers.create(params={"name": "Ada"}), 429, "rate_limit", None),
    "slack": Limited(
        slack_client, lambda c: c.chat_postMessage(channel=GENERAL, text="Hello"), 429, "ratelimited", "7"
    ),
    "gmail": Limited(
        gmail_client,
        lambda c: c.users().labels().create(userId="me", body={"name": "New"}).execute(),
        429,
        "RESOURCE_EXHAUSTED",
        None,
    ),
    "hubspot": Limited(
        hubspot_client,
        lambda c: c.crm.contacts.basic_api.create({"properties": {"email": "ada@acme.example"}}),
        429,
        "TEN_SECONDLY_ROLLING",
        None,
    ),
    "notion": Limited(notion_client, _open_page, 429, "rate_limited", "7"),
}


@pytest.mark.parametrize("name", LIMITS)
def test_each_service_limits_in_its_own_words_and_a_limited_write_has_certainly_done_nothing(
    boxes: dict[str, Box], open_session: agentguard.Session, name: str
) -> None:
    box, limited = boxes[name].reset(), LIMITS[name]
    before = box.snapshot()
    plain = limited.client(box.url)
    guarded = agentguard.wrap(plain, open_session)
    box.fault("rate_limit", seconds=7, times=9)
    with pytest.raises(Exception) as raised:  # noqa: PT011 - each SDK has its own, which its transport tests name
        limited.act(guarded)
    for client in (guarded, plain):
        getattr(client, "close", lambda: None)()
    assert not isinstance(raised.value, agentguard.AgentguardError)
    assert [call.state for call in open_session.calls] == [CallState.NOT_APPLIED]
    assert len(box.requests("POST")) == 1, "a write is not repeated"
    assert box.effects() == []
    assert box.snapshot() == before

    answer = httpx.post(f"{box.url}/anything", json={})
    assert answer.status_code == limited.status
    assert limited.says in answer.text
    assert answer.headers.get("retry-after") == limited.when


def test_a_limit_may_be_answered_otherwise(boxes: dict[str, Box]) -> None:
    box = boxes["github"].reset()
    box.fault("rate_limit", status=429, headers={"x-ratelimit-remaining": "0"}, body={"message": "API rate limit"})
    answer = httpx.post(f"{box.url}/user/repos", json={})
    assert (answer.status_code, answer.json()) == (429, {"message": "API rate limit"})
    assert (answer.headers["x-ratelimit-remaining"], answer.headers["retry-after"]) == ("0", "1")


# Late and lost answers


def test_an_answer_is_held_until_the_client_gives_up(box: Box, session: agentguard.Session) -> None:
    with httpx.Client(base_url=f"{box.url}/v1/", timeout=0.3) as plain:
        guarded = agentguard.wrap(plain, session, notes)
        box.fault("timeout_after")
        begun = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            guarded.post("notes", json={"title": "one"})
        assert 0.3 <= time.monotonic() - begun < 5
        assert [effect["effect"] for effect in box.effects()] == ["created"]
        assert [call.state for call in session.calls] == [CallState.IN_DOUBT]
        assert outcomes(session.rollback()) == [Outcome.RESTORED]
    assert box.snapshot()["notes"] == {}


def test_a_held_answer_ends_by_itself(box: Box, client: httpx.Client) -> None:
    box.fault("timeout_after", seconds=0.005)
    with pytest.raises(httpx.RemoteProtocolError):
        client.post("notes", json={"title": "one"})


def test_a_straggler_lands_after_its_connection_was_cut_and_is_found_by_the_rollback(
    box: Box,
    client: httpx.Client,
    guarded: httpx.Client,
    session: agentguard.Session,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client.post("notes", json={"title": "one", "body": "first"})
    monkeypatch.setenv("AGENTGUARD_SEND_DEADLINE", "1.5")
    before = box.snapshot()
    box.fault("late", verb="PATCH", seconds=0.3)
    with pytest.raises(httpx.RemoteProtocolError):
        guarded.patch("notes/1", json={"body": "second"})
    assert box.snapshot() == before
    assert outcomes(session.rollback()) == [Outcome.RESTORED]
    (_made, landed, undone) = box.effects()
    (request, _undo) = box.requests("PATCH")
    assert landed == {"effect": "updated", "id": 1, "of": request["number"], "late": True}
    assert undone["effect"] == "updated"
    assert "late" not in undone
    assert box.snapshot() == before


def test_a_creation_that_lands_late_is_found_by_the_second_look(
    box: Box, guarded: httpx.Client, session: agentguard.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTGUARD_SEND_DEADLINE", "1.5")
    box.fault("late", verb="POST", seconds=0.3)
    with pytest.raises(httpx.RemoteProtocolError):
        guarded.post("notes", json={"title": "one"})
    assert box.effects() == []
    assert outcomes(session.rollback()) == [Outcome.RESTORED]
    assert [effect["effect"] for effect in box.effects()] == ["created", "deleted"]
    assert box.snapshot()["notes"] == {}


def test_a_straggler_that_lands_after_the_rollback_was_never_said_not_to_have_happened(
    box: Box, guarded: httpx.Client, session: agentguard.Session
) -> None:
    box.fault("late", seconds=1.0)
    with pytest.raises(httpx.RemoteProtocolError):
        guarded.post("notes", json={"title": "one"})
    assert outcomes(session.rollback()) == [Outcome.IN_DOUBT]
    assert box.effects() == [], "the rollback came first"
    box.settle()
    assert [effect["effect"] for effect in box.effects()] == ["created"]
    assert outcomes(session.rollback()) == [Outcome.RESTORED]
    assert box.snapshot()["notes"] == {}


def test_what_is_late_does_not_land_in_what_begins_after(box: Box, client: httpx.Client) -> None:
    box.fault("late", seconds=0.1)
    with pytest.raises(httpx.RemoteProtocolError):
        client.post("notes", json={"title": "one"})
    box.reset()
    time.sleep(0.3)
    assert (box.effects(), box.snapshot()["notes"]) == ([], {})


def test_it_is_an_error_to_wait_for_what_takes_longer(box: Box, client: httpx.Client) -> None:
    box.fault("late", seconds=30)
    with pytest.raises(httpx.RemoteProtocolError):
        client.post("notes", json={"title": "one"})
    with pytest.raises(TimeoutError, match="1 requests to notes have not landed"):
        box.settle(0.05)


# Reads that lag


def test_a_read_shows_the_state_before_the_last_write(box: Box, client: httpx.Client) -> None:
    client.post("notes", json={"title": "one", "body": "first"})
    client.patch("notes/1", json={"body": "second"})
    client.patch("notes/1", json={"body": "third"})
    box.fault("stale_read", verb="GET", times=2)
    assert [client.get("notes/1").json()["body"] for _ in range(3)] == ["second", "second", "third"]
    assert len(box.effects()) == 3, "nothing was done to the state by looking back"


def test_before_the_first_write_a_read_that_lags_shows_what_is_there(box: Box, client: httpx.Client) -> None:
    box.fault("stale_read", verb="GET")
    assert client.get("notes").json() == []


def test_what_somebody_else_did_lags_as_well(box: Box, client: httpx.Client) -> None:
    client.post("notes", json={"title": "one", "body": "first"})
    box.seed(notes={"1": {"id": 1, "title": "one", "body": "somebody else's"}})
    box.fault("stale_read", verb="GET")
    assert [client.get("notes/1").json()["body"] for _ in range(2)] == ["first", "somebody else's"]


def test_a_read_that_is_a_post_lags_while_a_write_goes_on_as_ever(boxes: dict[str, Box]) -> None:
    box = boxes["slack"].reset()
    client = slack_client(box.url)
    box.fault("stale_read", verb="*", path="/api/", times=1)
    ts = client.chat_postMessage(channel=GENERAL, text="Hello")["ts"]
    seen = [client.conversations_history(channel=GENERAL)["messages"] for _ in range(2)]
    assert [[message["ts"] for message in found if message["ts"] == ts] for found in seen] == [[], [ts]]
    assert sum(effect["effect"] == "chat.postMessage" for effect in box.effects()) == 1


def test_a_finder_that_meets_a_lag_says_in_doubt_and_finds_it_the_next_time(
    box: Box, client: httpx.Client, guarded: httpx.Client, session: agentguard.Session
) -> None:
    box.fault("drop_after")
    with pytest.raises(httpx.RemoteProtocolError):
        guarded.post("notes", json={"title": "one"})
    box.fault("stale_read", verb="GET", path="/notes$", times=20)
    assert outcomes(session.rollback()) == [Outcome.IN_DOUBT]
    assert list(box.snapshot()["notes"]) == ["1"]
    while client.get("notes").json() == []:
        continue  # the lag ends when its reads are used up
    assert outcomes(session.rollback()) == [Outcome.RESTORED]
    assert box.snapshot()["notes"] == {}


# A part of a batch


@pytest.fixture
def mailbox(boxes: dict[str, Box]) -> Iterator[tuple[Box, Any, list[str]]]:
    """Three messages, and a plain client."""
    from tests.gmail.world import put, service_at

    box = boxes["gmail"].reset()
    with service_at(box.url) as plain:
        yield box, plain, [put(plain, "INBOX", subject=subject) for subject in ("one", "two", "three")]


def test_of_a_batch_of_mails_the_first_are_done_and_exactly_these_are_taken_back(
    mailbox: tuple[Box, Any, list[str]], open_session: agentguard.Session
) -> None:
    box, plain, messages = mailbox
    before, made = box.snapshot(), len(box.effects())
    box.fault("partial", path="/batch", first=2)
    told: dict[str, Any] = {}
    guarded = agentguard.wrap(plain, open_session)
    batch = guarded.new_batch_http_request(callback=lambda name, _answer, error: told.update({name: error}))
    for message in messages:
        batch.add(
            guarded.users().messages().modify(userId="me", id=message, body={"addLabelIds": ["STARRED"]}),
            request_id=message,
        )
    batch.execute()
    assert [getattr(told[message], "status_code", None) for message in messages] == [None, None, 429]
    states = [call.state for call in open_session.calls]
    assert states == [CallState.COMMITTED, CallState.COMMITTED, CallState.NOT_APPLIED]
    assert len(box.effects()) - made == 2
    assert outcomes(open_session.rollback())[-2:] == [Outcome.RESTORED, Outcome.RESTORED]
    assert box.snapshot() == before


def test_of_a_batch_whose_answer_is_lost_what_was_done_is_found_and_taken_back(
    mailbox: tuple[Box, Any, list[str]], open_session: agentguard.Session
) -> None:
    box, plain, messages = mailbox
    before, made = box.snapshot(), len(box.effects())
    box.fault("partial", path="/batch", first=1, drop=True)
    guarded = agentguard.wrap(plain, open_session)
    batch = guarded.new_batch_http_request()
    for message in messages:
        batch.add(guarded.users().messages().modify(userId="me", id=message, body={"addLabelIds": ["STARRED"]}))
    with contextlib.suppress(Exception):
        batch.execute()
    assert {call.state for call in open_session.calls} == {CallState.IN_DOUBT}
    assert len(box.effects()) - made == 1
    report = open_session.rollback()
    assert sorted(outcomes(report)) == sorted([Outcome.ALREADY_UNDONE, Outcome.ALREADY_UNDONE, Outcome.RESTORED])
    assert box.snapshot() == before


def test_of_a_batch_of_records_the_first_are_done_and_taken_back(
    boxes: dict[str, Box], open_session: agentguard.Session
) -> None:
    box = boxes["hubspot"].reset()
    plain = hubspot_client(box.url)
    made = [
        plain.crm.contacts.basic_api.create({"properties": {"email": f"{name}@acme.example", "jobtitle": "old"}}).id
        for name in ("ada", "bo", "eve")
    ]
    before, count = box.snapshot(), len(box.effects())
    guarded = agentguard.wrap(plain, open_session)
    box.fault("partial", path="/batch/update", first=2)
    answer = guarded.crm.contacts.batch_api.update(
        {"inputs": [{"id": contact, "properties": {"jobtitle": "new"}} for contact in made]}
    )
    assert [record.id for record in answer.results] == made[:2]
    assert [error.context for error in answer.errors] == [{"ids": [made[2]]}]
    assert len(box.effects()) - count == 2
    report = open_session.rollback()
    assert box.snapshot() == before, str(report)
    assert Outcome.CONFLICT not in outcomes(report)


def test_a_service_without_batches_says_that_it_cannot_do_a_part(box: Box) -> None:
    with pytest.raises(ValueError, match=r"notes has no batches.*no fault was armed"):
        box.fault("partial")


# A crash between effect and answer

AGENT = """
import sys, httpx, agentguard
from tests.core.notes import notes
url, ledger = sys.argv[1:]
session = agentguard.session(agent="a", intent="i", id="killed", ledger=ledger, on_error="leave")
client = httpx.Client(base_url=url + "/v1/", headers={"sandbox-pid": str(__import__("os").getpid())})
agentguard.wrap(client, session, notes).post("notes", json={"title": "one"})
print("not killed")
"""


def agent(box: Box, ledger: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", AGENT, box.url, str(ledger)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment,
    )


def test_a_process_is_killed_between_the_effect_and_the_answer_and_another_takes_it_back(
    box: Box, client: httpx.Client, ledger: Path
) -> None:
    box.fault("kill_after")
    with agent(box, ledger) as process:
        said, wrong = process.communicate(timeout=60)
    assert (process.returncode, said) == (-9, ""), wrong
    assert [effect["effect"] for effect in box.effects()] == ["created"]
    (call,) = SqliteLedger.at(ledger).calls("killed")
    assert call.state is CallState.INTENT, "it was on the disk, and nothing has come of it"
    session = agentguard.load("killed", ledger=ledger)
    session.use(client, notes)
    assert outcomes(session.rollback(agreed=True)) == [Outcome.RESTORED]
    assert box.snapshot()["notes"] == {}


def test_a_process_may_be_named_by_the_fault(box: Box, client: httpx.Client) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as idle:
        box.fault("kill_after", pid=idle.pid)
        with pytest.raises(httpx.RemoteProtocolError):
            client.post("notes", json={"title": "one"})
        assert idle.wait(timeout=10) == -9
    assert len(box.effects()) == 1


@pytest.mark.parametrize(
    "pid", [1, os.getpid(), os.getppid(), 2**22 + 1], ids=["init", "itself", "its parent", "nobody"]
)
def test_no_process_is_killed_that_is_not_of_the_same_test(box: Box, client: httpx.Client, pid: int) -> None:
    with pytest.raises(ValueError, match=f"process {pid} is none of those that were started"):
        box.fault("kill_after", pid=pid)
    box.fault("kill_after")
    answer = client.post("notes", json={"title": "one"}, headers={"sandbox-pid": str(pid)})
    assert answer.status_code == 400
    assert "nothing was killed and nothing was changed" in answer.json()["message"]
    assert box.effects() == []


# Twice


def test_a_request_that_arrives_twice_has_one_effect_only_where_the_service_takes_a_key(
    boxes: dict[str, Box], box: Box, client: httpx.Client, open_session: agentguard.Session
) -> None:
    box.fault("duplicate")
    client.post("notes", json={"title": "one"})
    assert [effect["id"] for effect in box.effects()] == [1, 2]
    assert len({effect["of"] for effect in box.effects()}) == 1

    stripe_box = boxes["stripe"].reset()
    stripe_box.fault("duplicate", path="/v1/customers")
    guarded = agentguard.wrap(stripe_client(stripe_box.url), open_session)
    guarded.v1.customers.create(params={"name": "Ada"})
    assert [effect["effect"] for effect in stripe_box.effects()] == ["customer.created"]


# The record of it all


def test_the_log_says_of_each_effect_which_request_had_it_and_whether_it_was_late(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    with start_boxes(file, "slack") as running:
        box = running["slack"]
        box.fault("late", seconds=0.2, path="postMessage")
        with httpx.Client(base_url=box.url, headers={"authorization": "Bearer xoxb-1"}) as client:
            with pytest.raises(httpx.RemoteProtocolError):
                client.post("/api/chat.postMessage", json={"channel": GENERAL, "text": "slow"})
            client.post("/api/conversations.setTopic", json={"channel": GENERAL, "topic": "quick"})
        box.settle()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    asked = {line["number"]: line["request"]["path"] for line in lines if "request" in line}
    made = [(asked[line["of"]], line.get("late", False)) for line in lines if "effect" in line]
    assert made == [("/api/conversations.setTopic", False), ("/api/chat.postMessage", True)]


def test_a_request_that_is_refused_half_way_has_no_effect_on_record(boxes: dict[str, Box]) -> None:
    box = boxes["hubspot"].reset()
    before = box.snapshot()
    inputs = [{"properties": {"email": "ada@acme.example"}}, {"properties": {"nonsense": "x"}}]
    with pytest.raises(Exception, match="not valid"):
        hubspot_client(box.url).crm.contacts.batch_api.create({"inputs": inputs})
    assert (box.snapshot(), box.effects()) == (before, [])


def test_a_fault_that_does_not_exist_is_refused_with_those_that_do(box: Box) -> None:
    with pytest.raises(ValueError, match=r"mode must be one of drop_before, .*, partial; no fault was armed"):
        box.fault("explode")
    with pytest.raises(ValueError, match="a fault has no second; it has mode, verb, path,"):
        box.fault("late", second=3)


def test_every_way_to_go_wrong_has_a_sentence_that_says_what_it_does() -> None:
    assert set(FAULTS) < set(MODES)
    assert [name for name, how in MODES.items() if not (how.__doc__ or "").endswith(".")] == []
