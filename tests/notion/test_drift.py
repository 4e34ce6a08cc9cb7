"""What a rollback does when the world has moved on, and what it does not claim."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from agentguard_connectors.notion import notion as connector
from notion_client import Client

import agentguard
from agentguard import Outcome
from tests.boxes import Box
from tests.notion.world import (
    BOARD,
    HANDBOOK,
    HOME,
    PARAGRAPH,
    REMARK,
    ROWS,
    TABLE,
    TASKS,
    TASKS_SOURCE,
    TEAM,
    THREAD,
    TICK,
    paragraph,
    text,
    title,
)


@pytest.fixture
def session(ledger: Path) -> agentguard.Session:
    """A session whose approver agrees to everything."""
    return agentguard.session(agent="drifter", intent="See what changes", ledger=ledger, approver=lambda _card: True)


def writes(box: Box) -> int:
    """How many writes arrived so far."""
    return len(box.requests("POST", "PATCH", "DELETE"))


def outcome(session: agentguard.Session) -> tuple[Outcome, str]:
    """Roll back the one call of *session*; what came of it and why."""
    report = session.rollback()
    assert len(report.outcomes) == 1, str(report)
    return report.outcomes[0].outcome, report.outcomes[0].detail


def test_another_property_that_somebody_changed_survives(box: Box, notion: Any, ada: Any, session: Any) -> None:
    agentguard.wrap(notion, session).pages.update(ROWS[0], properties={"Priority": {"number": 9}})
    ada.pages.update(ROWS[0], properties={"Status": {"select": {"name": "Done"}}}, icon={"emoji": "💻"})
    assert outcome(session)[0] is Outcome.RESTORED
    page = box.snapshot()["pages"][ROWS[0]]
    assert page["values"]["p1"] == 2
    assert page["values"]["stat"] == "od"
    assert page["icon"]["emoji"] == "💻"


def test_the_same_property_is_a_conflict_with_both_values(box: Box, notion: Any, ada: Any, session: Any) -> None:
    agentguard.wrap(notion, session).pages.update(ROWS[0], properties={"Priority": {"number": 9}})
    ada.pages.update(ROWS[0], properties={"Priority": {"number": 11}})
    sent = writes(box)
    result, detail = outcome(session)
    assert result is Outcome.CONFLICT
    assert '"number": 9' in detail
    assert '"number": 11' in detail
    assert writes(box) == sent


def test_another_field_of_the_same_block_survives(box: Box, notion: Any, ada: Any, session: Any) -> None:
    agentguard.wrap(notion, session).blocks.update(TICK, to_do={"checked": True})
    ada.blocks.update(TICK, to_do={"rich_text": text("Read it twice")})
    assert outcome(session)[0] is Outcome.RESTORED
    content = box.snapshot()["blocks"][TICK]["content"]
    assert content["checked"] is False
    assert content["rich_text"][0]["plain_text"] == "Read it twice"


def test_a_renamed_column_is_a_conflict(box: Box, notion: Any, ada: Any, session: Any) -> None:
    agentguard.wrap(notion, session).pages.update(ROWS[0], properties={"Priority": {"number": 9}})
    ada.data_sources.update(TASKS_SOURCE, properties={"Priority": {"name": "Urgency"}})
    assert outcome(session)[0] is Outcome.CONFLICT


def test_a_new_page_that_somebody_edited_is_not_put_into_the_trash(
    box: Box, notion: Any, ada: Any, session: Any
) -> None:
    made = agentguard.wrap(notion, session).pages.create(parent={"page_id": TEAM}, properties={"title": title("Plan")})
    ada.pages.update(made["id"], properties={"title": title("The plan")})
    assert outcome(session)[0] is Outcome.CONFLICT
    assert box.snapshot()["pages"][made["id"]]["in_trash"] is False


def test_a_new_block_that_somebody_edited_stays_and_the_other_goes(
    box: Box, notion: Any, ada: Any, session: Any
) -> None:
    answer = agentguard.wrap(notion, session).blocks.children.append(TEAM, children=[paragraph("A"), paragraph("B")])
    first, second = (one["id"] for one in answer["results"])
    ada.blocks.update(first, paragraph={"rich_text": text("A, rather")})
    assert outcome(session)[0] is Outcome.CONFLICT
    blocks = box.snapshot()["blocks"]
    assert (blocks[first]["in_trash"], blocks[second]["in_trash"]) == (False, True)


def test_what_the_agent_did_to_its_own_page_is_taken_back_before_the_page(box: Box, notion: Any, session: Any) -> None:
    guarded = agentguard.wrap(notion, session)
    row = guarded.pages.create(parent={"data_source_id": TASKS_SOURCE}, properties={"Name": title("Plan")})
    guarded.pages.update(row["id"], properties={"Status": {"select": {"name": "Done"}}}, icon={"emoji": "🎉"})
    guarded.blocks.children.append(row["id"], children=[paragraph("Now")])
    report = session.rollback()
    assert report.ok, str(report)
    assert {one.outcome for one in report.outcomes} == {Outcome.COMPENSATED, Outcome.RESTORED}


@pytest.mark.parametrize("parent", [{"page_id": HANDBOOK}, {"data_source_id": TASKS_SOURCE}], ids=["page", "row"])
def test_a_new_page_into_which_somebody_wrote_is_left_alone(
    box: Box, notion: Any, ada: Any, session: Any, parent: Any
) -> None:
    name = "title" if "page_id" in parent else "Name"
    made = agentguard.wrap(notion, session).pages.create(parent=parent, properties={name: title("Plan")})
    ada.blocks.children.append(made["id"], children=[paragraph("My notes")])
    sent = writes(box)
    assert outcome(session)[0] is Outcome.CONFLICT
    assert writes(box) == sent


def test_a_new_block_below_which_somebody_wrote_is_left_alone(box: Box, notion: Any, ada: Any, session: Any) -> None:
    guarded = agentguard.wrap(notion, session)
    made = guarded.blocks.children.append(TEAM, children=[paragraph("Plan")])["results"][0]["id"]
    ada.blocks.children.append(made, children=[paragraph("My notes")])
    sent = writes(box)
    assert outcome(session)[0] is Outcome.CONFLICT
    assert writes(box) == sent


def test_a_new_block_below_which_the_session_wrote_goes_with_it(box: Box, notion: Any, session: Any) -> None:
    guarded = agentguard.wrap(notion, session)
    made = guarded.blocks.children.append(TEAM, children=[paragraph("Plan")])["results"][0]["id"]
    guarded.blocks.children.append(made, children=[paragraph("More")])
    report = session.rollback()
    assert [one.outcome for one in report.outcomes] == [Outcome.COMPENSATED] * 2, str(report)


def test_a_comment_with_a_reply_is_not_deleted(box: Box, notion: Any, ada: Any, session: Any) -> None:
    made = agentguard.wrap(notion, session).comments.create(parent={"page_id": HANDBOOK}, rich_text=text("Done?"))
    ada.comments.create(discussion_id=made["discussion_id"], rich_text=text("Not yet"))
    sent = writes(box)
    assert outcome(session)[0] is Outcome.CONFLICT
    assert writes(box) == sent
    assert len(box.snapshot()["comments"]) == 3


@pytest.mark.parametrize("where", [{"parent": {"page_id": HANDBOOK}}, {"discussion_id": THREAD}], ids=["new", "reply"])
def test_a_comment_whose_discussion_was_resolved_is_not_said_to_be_gone(
    box: Box, notion: Any, session: Any, where: Any
) -> None:
    made = agentguard.wrap(notion, session).comments.create(rich_text=text("Done?"), **where)
    box.seed(resolved=[made["discussion_id"]])
    sent = writes(box)
    result, detail = outcome(session)
    assert result is Outcome.CONFLICT
    assert "resolved" in detail
    assert writes(box) == sent
    assert made["id"] in box.snapshot()["comments"]


def test_a_discussion_among_more_than_one_answer_shows_is_left_alone(
    box: Box, notion: Any, ada: Any, session: Any
) -> None:
    for at in range(100):
        ada.comments.create(parent={"page_id": HANDBOOK}, rich_text=text(f"Remark {at}"))
    made = agentguard.wrap(notion, session).comments.create(parent={"page_id": HANDBOOK}, rich_text=text("Done?"))
    assert outcome(session)[0] is Outcome.CONFLICT
    assert made["id"] in box.snapshot()["comments"]


@pytest.mark.parametrize("where", [{"parent": {"page_id": HANDBOOK}}, {"discussion_id": THREAD}], ids=["new", "reply"])
def test_a_comment_that_the_session_made_and_deleted_is_not_said_again(
    box: Box, notion: Any, session: Any, where: Any
) -> None:
    guarded = agentguard.wrap(notion, session)
    guarded.comments.delete(guarded.comments.create(rich_text=text("Done?"), **where)["id"])
    report = session.rollback()
    assert [one.outcome for one in report.outcomes] == [Outcome.ALREADY_UNDONE] * 2, str(report)
    assert list(box.snapshot()["comments"]) == [REMARK]


def test_a_reply_is_deleted_whatever_was_said_after_it(box: Box, notion: Any, ada: Any, session: Any) -> None:
    agentguard.wrap(notion, session).comments.create(discussion_id=THREAD, rich_text=text("It is"))
    ada.comments.create(discussion_id=THREAD, rich_text=text("Thanks"))
    assert outcome(session)[0] is Outcome.COMPENSATED
    said = [one["rich_text"][0]["plain_text"] for one in box.snapshot()["comments"].values()]
    assert said == ["Is this still right?", "Thanks"]


def test_a_deleted_comment_with_replies_says_that_they_are_gone(box: Box, notion: Any, ada: Any, session: Any) -> None:
    ada.comments.create(discussion_id=THREAD, rich_text=text("Yes"))
    agentguard.wrap(notion, session).comments.delete(REMARK)
    result, detail = outcome(session)
    assert result is Outcome.COMPENSATED
    assert "replies" in detail


def test_what_is_no_longer_shared_is_not_said_to_be_gone(box: Box, notion: Any, session: Any) -> None:
    view = agentguard.wrap(notion, session).views.create(
        database_id=TASKS, data_source_id=TASKS_SOURCE, name="Mine", type="list"
    )
    box.seed(unshared=[TASKS, view["id"]])
    result, detail = outcome(session)
    assert result is Outcome.FAILED
    assert "no permission" in detail


def test_a_view_that_somebody_deleted_is_already_undone(box: Box, notion: Any, ada: Any, session: Any) -> None:
    view = agentguard.wrap(notion, session).views.create(
        database_id=TASKS, data_source_id=TASKS_SOURCE, name="Mine", type="list"
    )
    ada.views.delete(view["id"])
    assert outcome(session)[0] is Outcome.ALREADY_UNDONE


def test_a_page_that_somebody_took_out_of_the_trash_is_already_undone(
    box: Box, notion: Any, ada: Any, session: Any
) -> None:
    agentguard.wrap(notion, session).pages.update(ROWS[0], in_trash=True)
    ada.pages.update(ROWS[0], in_trash=False)
    assert outcome(session)[0] is Outcome.ALREADY_UNDONE


def test_a_page_that_moved_on_is_not_moved_back(box: Box, notion: Any, ada: Any, session: Any) -> None:
    agentguard.wrap(notion, session).pages.move(HANDBOOK, parent={"page_id": HOME})
    ada.pages.move(HANDBOOK, parent={"data_source_id": TASKS_SOURCE})
    assert outcome(session)[0] is Outcome.CONFLICT


def test_a_page_whose_parent_is_not_shared_still_comes_out_of_the_trash(box: Box, notion: Any, session: Any) -> None:
    box.seed(unshared=[TEAM])
    agentguard.wrap(notion, session).pages.update(HANDBOOK, in_trash=True)
    result, detail = outcome(session)
    assert result is Outcome.COMPENSATED
    assert "among its siblings" in detail
    assert box.snapshot()["pages"][HANDBOOK]["in_trash"] is False


def test_an_icon_that_notion_keeps_cannot_be_put_back_and_the_report_says_so(
    box: Box, notion: Any, session: Any
) -> None:
    upload = notion.file_uploads.create(filename="logo.png", content_type="image/png")
    notion.file_uploads.send(upload["id"], file=("logo.png", b"png", "image/png"))
    notion.pages.update(HANDBOOK, icon={"file_upload": {"id": upload["id"]}})
    agentguard.wrap(notion, session).pages.update(HANDBOOK, icon={"emoji": "📕"})
    result, detail = outcome(session)
    assert result is Outcome.IRREVERSIBLE
    assert "a file that Notion keeps" in detail


def test_what_can_be_put_back_is_even_if_the_icon_cannot(box: Box, notion: Any, session: Any) -> None:
    upload = notion.file_uploads.create(filename="logo.png", content_type="image/png")
    notion.file_uploads.send(upload["id"], file=("logo.png", b"png", "image/png"))
    notion.pages.update(HANDBOOK, icon={"file_upload": {"id": upload["id"]}})
    agentguard.wrap(notion, session).pages.update(HANDBOOK, icon={"emoji": "📕"}, properties={"title": title("Rules")})
    result, detail = outcome(session)
    assert result is Outcome.IRREVERSIBLE
    assert "a file that Notion keeps" in detail
    assert box.snapshot()["pages"][HANDBOOK]["values"]["title"][0]["plain_text"] == "Handbook"


def test_a_database_icon_that_cannot_be_cleared_does_not_hold_the_title_back(
    box: Box, notion: Any, session: Any
) -> None:
    agentguard.wrap(notion, session).databases.update(TASKS, icon={"emoji": "✅"}, title=text("To do"))
    result, detail = outcome(session)
    assert result is Outcome.FAILED
    assert "refused the undo" in detail
    assert box.snapshot()["databases"][TASKS]["title"][0]["plain_text"] == "Tasks"


def test_erased_content_is_irreversible(box: Box, notion: Any, session: Any) -> None:
    agentguard.wrap(notion, session).pages.update(HOME, erase_content=True)
    assert outcome(session)[0] is Outcome.IRREVERSIBLE


def test_drafts_that_expire_are_not_in_the_report(box: Box, notion: Any, session: Any) -> None:
    guarded = agentguard.wrap(notion, session)
    query = guarded.views.queries.create(TABLE)
    guarded.views.queries.delete(TABLE, query["id"])
    guarded.file_uploads.create(filename="a.txt")
    report = session.rollback()
    assert report.ok
    assert [one.operation for one in report.outcomes] == ["notion.views.queries.create"]
    assert report.outcomes[0].outcome is Outcome.ALREADY_UNDONE


# The answer was lost


LOST: dict[str, Any] = {
    "blocks": lambda n: n.blocks.children.append(HOME, children=[paragraph("One"), {"divider": {}}]),
    "blocks in between": lambda n: n.blocks.children.append(HOME, children=[paragraph("One")], after=PARAGRAPH),
    "page": lambda n: n.pages.create(parent={"page_id": TEAM}, properties={"title": title("Plan")}),
    "row": lambda n: n.pages.create(parent={"data_source_id": TASKS_SOURCE}, properties={"Name": title("Plan")}),
    "comment": lambda n: n.comments.create(parent={"page_id": HANDBOOK}, rich_text=text("Looks good")),
    "update": lambda n: n.pages.update(ROWS[0], properties={"Priority": {"number": 9}, "Name": title("Other")}),
    "trash": lambda n: n.pages.update(ROWS[0], in_trash=True),
    "block": lambda n: n.blocks.update(PARAGRAPH, paragraph={"rich_text": text("Changed")}),
    "view": lambda n: n.views.update(BOARD, quick_filters={"Status": None}),
    "column": lambda n: n.data_sources.update(TASKS_SOURCE, properties={"Status": {"name": "State"}}),
}


@pytest.mark.parametrize("do", LOST.values(), ids=LOST)
def test_a_call_whose_answer_was_lost_is_found_and_taken_back(box: Box, notion: Any, session: Any, do: Any) -> None:
    arm(box)
    with pytest.raises(Exception, match="disconnected"):
        do(agentguard.wrap(notion, session))
    result, detail = outcome(session)
    assert result in (Outcome.RESTORED, Outcome.COMPENSATED), detail


@pytest.mark.parametrize("do", LOST.values(), ids=LOST)
def test_a_call_that_was_lost_on_its_way_is_never_said_to_be_taken_back(
    box: Box, notion: Any, session: Any, do: Any
) -> None:
    before = box.snapshot()
    arm(box, "drop_before")
    with pytest.raises(Exception, match="disconnected"):
        do(agentguard.wrap(notion, session))
    sent = writes(box)
    result, detail = outcome(session)
    assert result in (Outcome.IN_DOUBT, Outcome.ALREADY_UNDONE), detail
    assert [r["path"] for r in box.requests("POST", "PATCH", "DELETE")[sent:] if not r["path"].endswith("/query")] == []
    assert box.snapshot() == before


def arm(box: Box, mode: str = "drop_after") -> None:
    """Break the connection at the next write."""
    for verb in ("POST", "PATCH", "DELETE"):
        box.fault(mode, verb=verb)


def test_two_calls_that_say_the_same_stay_in_doubt(box: Box, notion: Any, session: Any) -> None:
    guarded = agentguard.wrap(notion, session)
    guarded.blocks.children.append(TEAM, children=[paragraph("One")])
    box.fault("drop_after", verb="PATCH")
    with pytest.raises(Exception, match="disconnected"):
        guarded.blocks.children.append(TEAM, children=[paragraph("One")])
    report = session.rollback()
    assert [one.outcome for one in report.outcomes] == [Outcome.IN_DOUBT, Outcome.COMPENSATED]


def test_another_process_takes_the_calls_back(box: Box, notion: Any, session: Any, ledger: Path) -> None:
    agentguard.wrap(notion, session).pages.update(ROWS[0], properties={"Priority": {"number": 9}})
    session.complete()
    again = agentguard.load(session.id, ledger=ledger)
    assert connector.account is not None
    client = connector.account.client({"NOTION_TOKEN": "ntn_agent_token", "NOTION_API_URL": box.url})
    assert isinstance(client, Client)
    again.use(client)
    with contextlib.closing(client):
        assert again.rollback().ok
    assert box.snapshot()["pages"][ROWS[0]]["values"]["p1"] == 2
