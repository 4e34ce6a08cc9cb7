"""What was so before a call, is somebody else's, or cannot be seen: it is neither undone nor said to be undone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient

import agentguard
from agentguard import Outcome
from tests.boxes import Box
from tests.slack.arranging import RANDOM, disabled, group, message, reacted, uploaded
from tests.slack.cases import BOT, USER
from tests.slack.test_undo import sync_client

ALREADY: dict[str, tuple[str, Callable[[WebClient], dict[str, Any]], Callable[[Any, dict[str, Any]], Any]]] = {
    "a file that is not public": (USER, uploaded, lambda c, k: c.files_revokePublicURL(file=k["id"])),
    "a group that is enabled": (BOT, group, lambda c, k: c.usergroups_enable(usergroup=k["id"])),
    "a group that is disabled": (BOT, disabled, lambda c, k: c.usergroups_disable(usergroup=k["id"])),
}


@pytest.mark.parametrize(("token", "prepare", "do"), ALREADY.values(), ids=ALREADY)
def test_what_was_so_before_the_call_stays_so(
    slack_box: Box, ledger: Path, token: str, prepare: Callable[[WebClient], Any], do: Callable[[Any, Any], Any]
) -> None:
    client = sync_client(slack_box, token)
    kept = prepare(client)
    with agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: True) as session:
        do(agentguard.wrap(client, session), kept)
    there = slack_box.snapshot()
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.ALREADY_UNDONE]
    assert slack_box.snapshot() == there


def test_another_reaction_that_was_taken_away_is_not_taken_for_ours(slack_box: Box, ledger: Path) -> None:
    client = sync_client(slack_box)
    ts = reacted(client)["ts"]
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        agentguard.wrap(client, session).reactions_add(channel=RANDOM, timestamp=ts, name="+1")
    client.reactions_remove(channel=RANDOM, timestamp=ts, name="eyes")
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.CONFLICT]


@pytest.mark.parametrize(
    ("method", "answer", "do"),
    [
        (
            "conversations.info",
            {"ok": True, "channel": {"id": RANDOM, "name": "random"}},
            lambda c: c.conversations_mark(channel=RANDOM, ts="1750000200.000200"),
        ),
        ("users.getPresence", {"ok": True, "presence": "away"}, lambda c: c.users_setPresence(presence="auto")),
    ],
    ids=["what was read", "presence"],
)
def test_a_state_that_slack_does_not_show_is_not_made_up(
    slack_box: Box, ledger: Path, method: str, answer: Any, do: Callable[[Any], Any]
) -> None:
    slack_box.seed(answers={method: answer})
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        do(agentguard.wrap(sync_client(slack_box), session))
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.IRREVERSIBLE]
    assert len([r for r in slack_box.requests() if r["path"].endswith(("mark", "setPresence"))]) == 1


def test_a_bookmark_that_somebody_made_in_place_of_a_lost_one_is_left_alone(slack_box: Box, ledger: Path) -> None:
    same = {"channel_id": RANDOM, "title": "Plan", "type": "link", "link": "https://a.example"}
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        guarded = agentguard.wrap(sync_client(slack_box), session)
        slack_box.fault("drop_before", path="bookmarks.add")
        with pytest.raises(OSError, match=r".+"):
            guarded.bookmarks_add(**same)
    sync_client(slack_box, USER).bookmarks_add(**same)
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.IN_DOUBT]
    assert len(slack_box.snapshot()["channels"][RANDOM]["bookmarks"]) == 1


def test_a_member_on_a_later_page_is_not_removed(slack_box: Box, ledger: Path) -> None:
    channels = slack_box.snapshot()["channels"]
    channels[RANDOM]["members"] += [*(f"U{n:06}" for n in range(1200)), "U0LINUS"]
    slack_box.seed(channels=channels)
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        guarded = agentguard.wrap(sync_client(slack_box), session)
        guarded.conversations_invite(channel=RANDOM, users="U0LINUS,U0GRACE", force=True)
    session.rollback()
    members = slack_box.snapshot()["channels"][RANDOM]["members"]
    assert "U0LINUS" in members
    assert "U0GRACE" not in members


def test_a_streamed_message_that_cannot_be_seen_is_not_believed_to_be_gone(slack_box: Box, ledger: Path) -> None:
    client = sync_client(slack_box)
    parent = message(client)["ts"]
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        agentguard.wrap(client, session).chat_startStream(channel=RANDOM, thread_ts=parent, markdown_text="One")
    hidden = {"ok": False, "error": "channel_not_found"}
    slack_box.seed(answers={"conversations.replies": hidden, "conversations.info": hidden})
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.FAILED]


def test_what_no_list_of_groups_shows_is_said_not_to_come_back(slack_box: Box, ledger: Path) -> None:
    client = sync_client(slack_box)
    made = group(client)["id"]
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        agentguard.wrap(client, session).usergroups_update(usergroup=made, description="New", enable_section=True)
    report = session.rollback()
    assert [one.outcome for one in report.outcomes] == [Outcome.IRREVERSIBLE]
    assert "enable_section" in str(report)
    assert slack_box.snapshot()["usergroups"][made]["description"] == "Pager"


def test_a_text_that_is_back_is_not_taken_for_the_metadata(slack_box: Box, ledger: Path) -> None:
    client = sync_client(slack_box)
    old, new = ({"event_type": "t", "event_payload": {"n": n}} for n in (1, 2))
    ts = message(client, metadata=old)["ts"]
    whole = client.conversations_history(channel=RANDOM, oldest=ts, latest=ts, inclusive=True)["messages"][0]
    with agentguard.session(agent="a", intent="i", ledger=ledger) as session:
        agentguard.wrap(client, session).chat_update(channel=RANDOM, ts=ts, text="new", metadata=new)
    client.chat_update(channel=RANDOM, ts=ts, text="as it was", blocks=whole["blocks"])
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.CONFLICT]
