"""A call whose answer was lost: what a rollback says of it is true of the workspace."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from slack_sdk import WebClient

import agentguard
from agentguard import CallState, Outcome
from tests.boxes import Box
from tests.proving import differences
from tests.slack.cases import CASES, Case

pytestmark = pytest.mark.filterwarnings("ignore:stars.* is deprecated")
IDS = [f"{case.operation} {case.name}".strip() for case in CASES]
FOUND_OR_SHOWN = {
    "chat.meMessage",
    "chat.postMessage",
    "chat.scheduleMessage",
    "chat.startStream",
    "chat.update",
    "reactions.add",
    "reactions.remove",
    "pins.add",
    "pins.remove",
    "bookmarks.add",
    "bookmarks.edit",
    "conversations.create",
    "conversations.setTopic",
    "conversations.invite",
    "conversations.archive",
    "files.completeUploadExternal",
    "usergroups.create",
    "usergroups.update",
    "users.profile.set",
}
"""Operations for which a lost answer is settled, and not only reported."""


@pytest.mark.parametrize("mode", ["drop_before", "drop_after"])
@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_what_is_said_of_a_lost_call_is_true(case: Case, mode: str, slack_box: Box, ledger: Path) -> None:
    client = WebClient(case.token, base_url=f"{slack_box.url}/api/")
    kept = case.prepare(client)
    before = slack_box.snapshot()
    with agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: True) as session:
        guarded = agentguard.wrap(client, session)
        slack_box.fault(mode, path=f"/{re.escape(case.operation)}$")
        with pytest.raises(OSError, match=r".+"):
            case.do(guarded, kept)
    assert session.calls[-1].state is CallState.IN_DOUBT
    report = session.rollback()
    outcomes = [one.outcome for one in report.outcomes]
    changed = differences(before, slack_box.snapshot())
    if mode == "drop_before":
        assert changed == []
        # A message carries a mark: that it is not there is certain, and nothing is left to report.
        certain = case.operation == "chat.postMessage"
        assert outcomes == [] if certain else outcomes in ([Outcome.IN_DOUBT], [Outcome.ALREADY_UNDONE]), str(report)
    elif report.ok:
        unexpected = [path for path in changed if not any(re.fullmatch(pattern, path) for pattern in case.residue)]
        assert unexpected == [], str(report)
    if mode == "drop_after" and case.operation in FOUND_OR_SHOWN:
        assert outcomes == [case.outcome], str(report)
