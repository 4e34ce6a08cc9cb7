"""Every guarded operation of Slack is done through the real SDK, undone, and compared from the outside."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path
from typing import Any

import pytest
from agentguard_connectors.slack import slack
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

import agentguard
from agentguard import Outcome
from tests.boxes import Box
from tests.proving import prove
from tests.slack.arranging import RANDOM, message, reminder, uploaded
from tests.slack.cases import BOT, CASES, IRREVERSIBLE, USER, Case

pytestmark = pytest.mark.filterwarnings("ignore:stars.* is deprecated")
IDS = [f"{case.operation} {case.name}".strip() for case in CASES]


def sync_client(box: Box, token: str = BOT, **settings: Any) -> WebClient:
    return WebClient(token, base_url=f"{box.url}/api/", **settings)


def async_client(box: Box, token: str = BOT, **settings: Any) -> AsyncWebClient:
    return AsyncWebClient(token, base_url=f"{box.url}/api/", **settings)


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_what_is_done_is_undone(case: Case, slack_box: Box, ledger: Path) -> None:
    client = sync_client(slack_box, case.token)
    kept = case.prepare(client)
    prove(
        slack_box,
        ledger,
        client,
        lambda guarded: case.do(guarded, kept),
        operation=f"slack.{case.operation}",
        outcome=case.outcome,
        residue=case.residue,
    )


@pytest.mark.parametrize("case", CASES[::3], ids=IDS[::3])
def test_what_is_done_with_the_asynchronous_client_is_undone(case: Case, slack_box: Box, ledger: Path) -> None:
    kept = case.prepare(sync_client(slack_box, case.token))

    def do(guarded: Any) -> None:
        calling = case.do(guarded, kept)
        assert inspect.iscoroutine(calling)
        asyncio.run(calling)

    prove(
        slack_box,
        ledger,
        async_client(slack_box, case.token),
        do,
        operation=f"slack.{case.operation}",
        outcome=case.outcome,
        residue=case.residue,
    )


@pytest.mark.parametrize("operation", IRREVERSIBLE)
def test_what_cannot_be_undone_is_reported_as_irreversible(operation: str, slack_box: Box, ledger: Path) -> None:
    do, token = IRREVERSIBLE[operation]
    client = sync_client(slack_box, token)
    kept = {"files.delete": uploaded, "reminders.complete": reminder}.get(operation, lambda _client: {})(client)
    with agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: True) as session:
        do(agentguard.wrap(client, session), kept)
    report = session.rollback()
    assert [(one.operation, one.outcome) for one in report.outcomes] == [(f"slack.{operation}", Outcome.IRREVERSIBLE)]
    assert not report.ok


def test_every_guarded_operation_has_a_case() -> None:
    elsewhere = {"chat.appendStream", "incoming-webhook"}
    assert {case.operation for case in CASES} | IRREVERSIBLE.keys() | elsewhere == slack.guarded.keys()


def test_a_bot_that_archived_a_channel_is_told_that_it_cannot_bring_it_back(slack_box: Box, ledger: Path) -> None:
    with agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: True) as session:
        agentguard.wrap(sync_client(slack_box), session).conversations_archive(channel=RANDOM)
    report = session.rollback()
    assert [one.outcome for one in report.outcomes] == [Outcome.IRREVERSIBLE]
    assert "no bot" in str(report)
    assert slack_box.snapshot()["channels"][RANDOM]["is_archived"]


def test_a_message_that_was_edited_since_is_left_alone(slack_box: Box, ledger: Path) -> None:
    client = sync_client(slack_box)
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        sent = agentguard.wrap(client, session).chat_postMessage(channel=RANDOM, text="first")
    client.chat_update(channel=RANDOM, ts=sent["ts"], text="second")
    report = session.rollback()
    assert [one.outcome for one in report.outcomes] == [Outcome.CONFLICT]
    assert slack_box.snapshot()["channels"][RANDOM]["messages"][sent["ts"]]["text"] == "second"


def test_a_topic_that_somebody_set_since_is_left_alone(slack_box: Box, ledger: Path) -> None:
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        agentguard.wrap(sync_client(slack_box), session).conversations_setTopic(channel=RANDOM, topic="ours")
    sync_client(slack_box, USER).conversations_setTopic(channel=RANDOM, topic="theirs")
    report = session.rollback()
    assert [one.outcome for one in report.outcomes] == [Outcome.CONFLICT]
    assert slack_box.snapshot()["channels"][RANDOM]["topic"]["value"] == "theirs"


def test_the_reaction_of_somebody_else_is_no_conflict_and_stays(slack_box: Box, ledger: Path) -> None:
    client = sync_client(slack_box)
    ts = message(client)["ts"]
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        agentguard.wrap(client, session).reactions_add(channel=RANDOM, timestamp=ts, name="eyes")
    sync_client(slack_box, USER).reactions_add(channel=RANDOM, timestamp=ts, name="eyes")
    report = session.rollback()
    assert [one.outcome for one in report.outcomes] == [Outcome.RESTORED]
    assert slack_box.snapshot()["channels"][RANDOM]["messages"][ts]["reactions"][0]["users"] == ["U0ADMIN"]


def test_only_those_who_were_not_members_are_removed_again(slack_box: Box, ledger: Path) -> None:
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        guarded = agentguard.wrap(sync_client(slack_box), session)
        guarded.conversations_invite(channel=RANDOM, users="U0ADA,U0GRACE", force=True)
    session.rollback()
    assert slack_box.snapshot()["channels"][RANDOM]["members"] == ["U0BOT", "U0ADMIN", "U0ADA"]


def test_joining_a_channel_that_one_is_in_leaves_nothing_to_undo(slack_box: Box, ledger: Path) -> None:
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        agentguard.wrap(sync_client(slack_box), session).conversations_join(channel=RANDOM)
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.ALREADY_UNDONE]
    assert "U0BOT" in slack_box.snapshot()["channels"][RANDOM]["members"]


def test_a_message_with_answers_is_deleted_and_its_thread_stays(slack_box: Box, ledger: Path) -> None:
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        sent = agentguard.wrap(sync_client(slack_box), session).chat_postMessage(channel=RANDOM, text="Question")
    sync_client(slack_box, USER).chat_postMessage(channel=RANDOM, text="Answer", thread_ts=sent["ts"])
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.COMPENSATED]
    assert slack_box.snapshot()["channels"][RANDOM]["messages"][sent["ts"]]["subtype"] == "tombstone"


def test_several_calls_on_one_message_come_back_in_reverse(slack_box: Box, ledger: Path) -> None:
    client = sync_client(slack_box)
    ts = message(client)["ts"]
    before = slack_box.snapshot()["channels"][RANDOM]["messages"][ts]
    with agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: True) as session:
        guarded = agentguard.wrap(client, session)
        guarded.chat_update(channel=RANDOM, ts=ts, text="one")
        guarded.chat_update(channel=RANDOM, ts=ts, text="two")
        guarded.reactions_add(channel=RANDOM, timestamp=ts, name="eyes")
        guarded.reactions_add(channel=RANDOM, timestamp=ts, name="+1")
    assert session.rollback().ok
    after = slack_box.snapshot()["channels"][RANDOM]["messages"][ts]
    after.pop("edited")
    assert after == before


def test_another_process_takes_the_work_back_with_the_account_in_its_environment(slack_box: Box, ledger: Path) -> None:
    before = slack_box.snapshot()
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        guarded = agentguard.wrap(sync_client(slack_box), session)
        guarded.chat_postMessage(channel=RANDOM, text="Hello")
        guarded.reactions_add(channel="C0GENERAL", timestamp="1750000100.000100", name="eyes")
    assert slack.account is not None
    client = slack.account.client({"SLACK_BOT_TOKEN": BOT, "SLACK_API_URL": f"{slack_box.url}/api"})
    report = agentguard.load(session.id, ledger=ledger, clients={"slack": client}).rollback()
    assert [one.outcome for one in report.outcomes] == [Outcome.RESTORED, Outcome.COMPENSATED], str(report)
    assert slack_box.snapshot() == before


@pytest.mark.parametrize("scope", ["channels:history", "reactions:read"])
def test_a_state_that_may_not_be_read_stops_the_call(slack_box: Box, ledger: Path, scope: str) -> None:
    client = sync_client(slack_box)
    ts = message(client)["ts"]
    refusal = {"ok": False, "error": "missing_scope", "needed": scope}
    slack_box.seed(answers={"conversations.history": refusal, "reactions.get": refusal})
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        guarded = agentguard.wrap(client, session)
        with pytest.raises(agentguard.SnapshotFailed, match=scope):
            if scope == "reactions:read":
                guarded.reactions_add(channel=RANDOM, timestamp=ts, name="eyes")
            else:
                guarded.chat_update(channel=RANDOM, ts=ts, text="new")
    assert not [r for r in slack_box.requests() if r["path"].endswith(("chat.update", "reactions.add"))]


def test_an_undo_that_slack_refuses_is_a_failure_and_not_a_success(slack_box: Box, ledger: Path) -> None:
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        agentguard.wrap(sync_client(slack_box), session).chat_postMessage(channel=RANDOM, text="Hello")
    slack_box.seed(answers={"chat.delete": {"ok": False, "error": "cant_delete_message"}})
    report = session.rollback()
    assert [one.outcome for one in report.outcomes] == [Outcome.FAILED]
    assert "cant_delete_message" in str(report)


def test_an_undo_whose_answer_is_lost_is_judged_by_what_is_there(slack_box: Box, ledger: Path) -> None:
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        agentguard.wrap(sync_client(slack_box), session).chat_postMessage(channel=RANDOM, text="Hello")
    slack_box.fault("drop_after", path="chat.delete")
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.COMPENSATED]
    assert len([r for r in slack_box.requests() if r["path"].endswith("chat.delete")]) == 1


def test_a_file_that_somebody_deleted_is_gone_already(slack_box: Box, ledger: Path) -> None:
    client = sync_client(slack_box)
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        made = agentguard.wrap(client, session).files_upload_v2(content="x", filename="a.txt", channel=RANDOM)
    client.files_delete(file=made["file"]["id"])
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.ALREADY_UNDONE]


def test_a_file_that_cannot_be_seen_with_a_dead_token_is_not_believed_to_be_gone(slack_box: Box, ledger: Path) -> None:
    client = sync_client(slack_box)
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        agentguard.wrap(client, session).files_upload_v2(content="x", filename="a.txt", channel=RANDOM)
    dead = {"ok": False, "error": "invalid_auth"}
    slack_box.seed(answers={"files.info": {"ok": False, "error": "file_not_found"}, "auth.test": dead})
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.FAILED]


def test_a_direct_message_is_addressed_by_user_and_deleted_in_its_channel(slack_box: Box, ledger: Path) -> None:
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        sent = agentguard.wrap(sync_client(slack_box), session).chat_postMessage(channel="U0ADA", text="Hello")
    assert sent["channel"].startswith("D")
    assert session.rollback().ok
    assert slack_box.snapshot()["channels"][sent["channel"]]["messages"] == {}


def test_the_metadata_of_a_message_comes_back(slack_box: Box, ledger: Path) -> None:
    client = sync_client(slack_box)
    old, new = ({"event_type": "t", "event_payload": {"n": n}} for n in (1, 2))
    ts = message(client, metadata=old)["ts"]
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        agentguard.wrap(client, session).chat_update(channel=RANDOM, ts=ts, text="new", metadata=new)
    assert session.rollback().ok
    assert slack_box.snapshot()["channels"][RANDOM]["messages"][ts]["metadata"] == old


def test_a_message_that_was_edited_before_is_restored_without_a_trace(slack_box: Box, ledger: Path) -> None:
    client = sync_client(slack_box)
    ts = message(client)["ts"]
    client.chat_update(channel=RANDOM, ts=ts, text="edited")
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        agentguard.wrap(client, session).chat_update(channel=RANDOM, ts=ts, text="new")
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.RESTORED]


def test_a_group_that_was_empty_is_not_said_to_be_empty_again(slack_box: Box, ledger: Path) -> None:
    client = sync_client(slack_box)
    group = client.usergroups_create(name="Duty", handle="duty")["usergroup"]["id"]
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        agentguard.wrap(client, session).usergroups_users_update(usergroup=group, users="U0ADA")
    report = session.rollback()
    assert [one.outcome for one in report.outcomes] == [Outcome.IRREVERSIBLE]
    assert "was empty before" in str(report)


def test_leaving_a_private_channel_cannot_be_taken_back_and_says_so(slack_box: Box, ledger: Path) -> None:
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        agentguard.wrap(sync_client(slack_box), session).conversations_leave(channel="C0SECRET")
    report = session.rollback()
    assert [one.outcome for one in report.outcomes] == [Outcome.IRREVERSIBLE]
    assert "U0BOT" not in slack_box.snapshot()["channels"]["C0SECRET"]["members"]


def test_a_large_channel_is_not_taken_for_what_its_first_page_shows(slack_box: Box, ledger: Path) -> None:
    channels = slack_box.snapshot()["channels"]
    channels[RANDOM]["members"] += [f"U{n:06}" for n in range(1200)]
    slack_box.seed(channels=channels)
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        agentguard.wrap(sync_client(slack_box), session).conversations_invite(channel=RANDOM, users="U0LINUS")
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.COMPENSATED]
    assert "U0LINUS" not in slack_box.snapshot()["channels"][RANDOM]["members"]


def test_a_streamed_message_that_began_empty_is_deleted(slack_box: Box, ledger: Path) -> None:
    client = sync_client(slack_box)
    parent = message(client)["ts"]
    before = slack_box.snapshot()
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        guarded = agentguard.wrap(client, session)
        ts = guarded.chat_startStream(channel=RANDOM, thread_ts=parent)["ts"]
        guarded.chat_appendStream(channel=RANDOM, ts=ts, markdown_text="One.")
        guarded.chat_stopStream(channel=RANDOM, ts=ts)
    report = session.rollback()
    assert report.ok, str(report)
    assert slack_box.snapshot() == before


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda c: c.chat_update(channel=RANDOM, ts="1.000001", text="x"), "message_not_found"),
        (lambda c: c.chat_delete(channel="C0NOWHERE", ts="1.000001"), "channel_not_found"),
        (lambda c: c.reactions_add(channel=RANDOM, timestamp="1.000001", name="eyes"), "message_not_found"),
        (lambda c: c.bookmarks_edit(channel_id=RANDOM, bookmark_id="Bk9", title="x"), "not_found"),
        (lambda c: c.bookmarks_remove(channel_id=RANDOM, bookmark_id="Bk9"), "not_found"),
        (lambda c: c.usergroups_update(usergroup="S9", name="x"), "no_such_subteam"),
        (lambda c: c.usergroups_users_update(usergroup="S9", users="U0ADA"), "no_such_subteam"),
        (lambda c: c.conversations_setTopic(channel="C0NOWHERE", topic="x"), "channel_not_found"),
        (lambda c: c.chat_deleteScheduledMessage(channel=RANDOM, scheduled_message_id="Q9"), "invalid_scheduled_"),
    ],
)
def test_what_is_not_there_is_slacks_to_say(slack_box: Box, ledger: Path, call: Any, error: str) -> None:
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        with pytest.raises(SlackApiError, match=error):
            call(agentguard.wrap(sync_client(slack_box), session))
        assert session.rollback().outcomes == []
