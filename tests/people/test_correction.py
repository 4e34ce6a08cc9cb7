"""The correction trail says what happened, in words for those whom it concerned, and nothing in it can mislead."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from slack_sdk import WebClient

import agentguard
from agentguard.calls import ABSENT, CallState, Effect, Outcome, Risk
from agentguard.cli.report import described, report
from agentguard.correction import Correction, correction
from agentguard.ledger.rows import CallRow, EventRow, SessionRow, SessionState, UndoRow, UndoState
from agentguard.ledger.sqlite import SqliteLedger
from agentguard.report import CallOutcome
from agentguard.trail import in_words
from tests.boxes import Box
from tests.github.clients import pygithub
from tests.people.reading import nothing_unseen
from tests.people.test_properties import pieces
from tests.people.texts import MISLEADING

TITLES = {
    "What an agent did, and how it was corrected",
    "Why it was corrected",
    "What could not be put back",
    "What was made good, and what remains of it",
    "What was put back as it was",
    "What was left as the agent made it",
    "What the agent has asked for, and what is not done yet",
    "What the agent tried, and what did not happen",
    "Who has looked at it",
    "Where the record is",
    "For whoever looks into it",
}


def told(ledger: Path, session: str, outcomes: list[CallOutcome] | None = None) -> Correction:
    """The correction of a session, from its ledger."""
    store = SqliteLedger.at(ledger)
    calls = store.calls(session)
    summaries, titles = described(calls)
    return correction(
        store.session(session),
        calls,
        store.undos(session),
        store.events(session),
        outcomes or (),
        summaries=summaries,
        titles=titles,
        record=str(ledger),
    )


def section(text: str, title: str) -> str:
    """What stands below *title*, on one line."""
    found = re.search(rf"^{re.escape(title)}\n((?:  .*\n?)+)", text, re.MULTILINE)
    return " ".join(found[1].split()) if found else ""


class Work:
    """An agent whose work comes to every kind of end."""

    def __init__(self, ledger: Path, github_box: Box, slack_box: Box) -> None:
        bare = pygithub(github_box).get_repo("acme/hr")
        first, second = bare.create_issue("Laptop", "13 inch"), bare.create_issue("Badge")
        session = agentguard.session(
            agent="onboarding",
            intent="Set up Ashu",
            user="uma",
            ledger=ledger,
            approver=lambda card: "archive" not in card.operation,
        )
        gh = agentguard.wrap(pygithub(github_box), session).get_repo("acme/hr")
        slack = agentguard.wrap(WebClient("xoxb-agent", base_url=f"{slack_box.url}/api/"), session)
        gh.get_issue(first.number).edit(title="Laptop for Ashu")
        gh.get_issue(second.number).edit(title="Badge for Ashu")
        gh.create_issue("Desk")
        slack.chat_postEphemeral(channel="C0GENERAL", user="U0ADMIN", text="Ashu starts on Monday")
        with pytest.raises(agentguard.ApprovalDenied):
            slack.conversations_archive(channel="C0GENERAL")
        second.edit(title="Badge and key")
        self.session = session

    def rollback(self) -> agentguard.Report:
        return self.session.rollback(cause="Ashu starts in June")


@pytest.fixture
def work(ledger: Path, github_box: Box, slack_box: Box) -> Work:
    return Work(ledger, github_box, slack_box)


def test_each_end_is_told_where_it_belongs(work: Work, ledger: Path) -> None:
    work.rollback()
    text = told(ledger, work.session.id).text()
    assert '"onboarding" began to work for "uma". Its task: "Set up Ashu".' in section(
        text, min(TITLES & {text.split("\n")[0]})
    )
    assert section(text, "Why it was corrected") == '- The reason on record: "Ashu starts in June".'
    back = section(text, "What was put back as it was")
    assert "GitHub: Edit an issue" in back
    assert '"title": the agent made it "Laptop for Ashu"; before it was "Laptop".' in back
    made_good = section(text, "What was made good, and what remains of it")
    assert made_good.count("GitHub: Open an issue") == 1
    assert "closed as not planned" in made_good
    assert "the correction makes it" not in made_good  # the agent gave no state: that it was "open" is no change of its
    left = section(text, "What could not be put back")
    assert "Somebody else has changed it since, and their change was left alone." in left
    assert 'Slack: Post ephemeral to "C0GENERAL", "U0ADMIN". It cannot be taken back. Why: "One person sees it' in left
    assert section(text, "What the agent tried, and what did not happen").startswith(
        '- Slack: Archive a channel to "C0G'
    )
    assert section(text, "Who has looked at it") == "- No person, as far as the record says."
    assert str(ledger) in section(text, "Where the record is").replace(" ", "")


def test_the_main_sentences_name_no_operation(work: Work, ledger: Path) -> None:
    work.rollback()
    found = told(ledger, work.session.id)
    for whole in (found.text(), found.markdown()):
        main, _title, technical = whole.partition("For whoever looks into it")
        for change in found.changes:
            assert change.operation not in main
            assert change.operation in technical.replace("\n    ", "")


def test_the_rows_say_what_the_report_has_said(work: Work, ledger: Path) -> None:
    rolled_back = work.rollback()
    from_rows = told(ledger, work.session.id)
    assert {c.seq: c.outcome for c in from_rows.changes if c.outcome} == {
        result.seq: result.outcome.value for result in rolled_back.outcomes
    }
    assert from_rows.ok is rolled_back.ok is False
    with_outcomes = told(ledger, work.session.id, rolled_back.outcomes)
    assert [c.standing for c in with_outcomes.changes] == [c.standing for c in from_rows.changes]


def test_before_a_rollback_everything_stands(work: Work, ledger: Path) -> None:
    found = told(ledger, work.session.id)
    assert [change.standing for change in found.changes] == ["kept"] * 4 + ["not_done"]
    text = found.text()
    assert section(text, "Why it was corrected") == "- It was not."
    assert "Nobody has taken it back." in section(text, "What was left as the agent made it")
    assert "put back" not in section(text, "What an agent did, and how it was corrected")


def test_a_rollback_to_a_savepoint_leaves_what_came_before(ledger: Path, slack_box: Box) -> None:
    with agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: True) as session:
        slack = agentguard.wrap(WebClient("xoxb-agent", base_url=f"{slack_box.url}/api/"), session)
        slack.chat_postEphemeral(channel="C0GENERAL", user="U0ADMIN", text="one")
        session.savepoint("here")
        slack.chat_postEphemeral(channel="C0GENERAL", user="U0ADMIN", text="two")
        session.rollback(to="here")
        slack.chat_postEphemeral(channel="C0GENERAL", user="U0ADMIN", text="three")
    found = told(ledger, session.id)
    assert [(c.standing, c.outcome) for c in found.changes] == [
        ("kept", None),
        ("open", "irreversible"),
        ("kept", None),
    ]
    assert section(found.text(), "Why it was corrected") == "- Somebody asked for it."


def test_a_purged_session_says_that_its_details_are_gone() -> None:
    call = call_row(connector="github", name="issues.create", arguments={"$purged": True}, target="")
    events = [EventRow(id=9, session="s", at=0.0, kind="purged", data={"by": "dana", "events": 8})]
    undo = undo_row(Outcome.COMPENSATED, arguments={"$purged": True}, remains="the closed issue")
    summaries = {"github.issues.create": "Open an issue; it is closed again."}
    row = session_row(intent="", state=SessionState.ROLLED_BACK)
    text = correction(row, [call], [undo], events, summaries=summaries).text()
    assert "The details were removed from the record since" in text
    assert '"dana" removed the details from the record' in section(text, "Who has looked at it")
    assert "Github: Open an issue. It was made good." in text
    assert "$purged" not in text


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (
            {"kind": "approval approved", "data": {"approval": "ap-1", "by": "dana", "why": "it is urgent"}},
            '"dana" agreed beforehand that it be done (number 1), because: "it is urgent".',
        ),
        (
            {"kind": "approval denied", "data": {"approval": "ap-2", "by": "dana", "why": None}},
            '"dana" said no to it, so that it was not done.',
        ),
        (
            {"kind": "resolved", "seq": 1, "data": {"action": "close", "by": "dana", "note": "agreed with Ashu"}},
            '"dana" closed it as it is (number 1), because: "agreed with Ashu".',
        ),
        (
            {"kind": "resolved", "data": {"item": "s/1/1", "action": "force", "by": "dana", "note": ""}},
            '"dana" had it put back, although it was changed since (number 1).',
        ),
        ({"kind": "frozen", "data": {"by": "dana", "why": "wrong"}}, '"dana" stopped the agent, because: "wrong".'),
    ],
)
def test_who_has_looked_at_it_is_named(event: dict[str, Any], said: str) -> None:
    events = [EventRow(id=7, session="s", at=1_800_000_000.0, **event)]
    found = correction(session_row(), [call_row(approval="ap-1")], [], events)
    assert section(found.text(), "Who has looked at it") == f"- 2027-01-15 08:00:00 UTC: {said}"


def session_row(**given: Any) -> SessionRow:
    usual: dict[str, Any] = {"id": "s", "agent": "a", "intent": "i", "started_at": 1_800_000_000.0}
    return SessionRow(**{**usual, **given})


def call_row(**given: Any) -> CallRow:
    usual: dict[str, Any] = {"session": "s", "seq": 1, "connector": "crm", "base": "https://crm.example", "name": "x.y"}
    usual |= {"state": CallState.COMMITTED, "effect": Effect.REVERSIBLE, "risk": Risk.LOW}
    return CallRow(**{**usual, **given})


def undo_row(outcome: Outcome | None, **given: Any) -> UndoRow:
    state = UndoState.DONE if outcome else UndoState.PLANNED
    return UndoRow(**{"session": "s", "seq": 1, "name": "x.z", "state": state, "outcome": outcome, **given})


@pytest.mark.parametrize(
    ("state", "call", "undos", "standing", "outcome"),
    [
        ("rolled_back", {}, [undo_row(Outcome.RESTORED)], "restored", "restored"),
        ("rolled_back", {}, [undo_row(Outcome.RESTORED), undo_row(Outcome.COMPENSATED)], "corrected", "compensated"),
        ("partial", {}, [undo_row(Outcome.RESTORED), undo_row(Outcome.FAILED)], "open", "failed"),
        ("partial", {"effect": Effect.IRREVERSIBLE}, [], "open", "irreversible"),
        ("partial", {"error": "the way back could not be worked out"}, [], "open", "failed"),
        ("completed", {}, [undo_row(None)], "kept", None),
        ("completed", {"effect": Effect.IRREVERSIBLE}, [], "kept", None),
        ("completed", {}, [undo_row(Outcome.IRREVERSIBLE, name="")], "kept", None),
        ("partial", {}, [undo_row(Outcome.IRREVERSIBLE, name="")], "open", "irreversible"),
        ("completed", {}, [undo_row(Outcome.RESTORED)], "restored", "restored"),
        ("rolling_back", {}, [undo_row(Outcome.RESTORED), undo_row(None)], "kept", None),
        ("rolling_back", {}, [undo_row(None, state=UndoState.SENDING)], "open", "in_doubt"),
        ("open", {"state": CallState.INTENT}, [], "open", "in_doubt"),
        ("partial", {"state": CallState.IN_DOUBT}, [undo_row(None)], "open", "in_doubt"),
        ("rolled_back", {"state": CallState.INTENT}, [undo_row(Outcome.RESTORED)], "restored", "restored"),
        ("open", {"state": CallState.HELD}, [], "waiting", None),
        ("rolled_back", {"state": CallState.HELD}, [], "not_done", None),
        ("rolled_back", {"state": CallState.NOT_APPLIED}, [undo_row(None)], "not_done", None),
    ],
)
def test_what_became_of_a_call_is_read_from_its_rows(
    state: str, call: dict[str, Any], undos: list[UndoRow], standing: str, outcome: str | None
) -> None:
    ended = None if state == "open" else 1_800_000_001.0
    found = correction(session_row(state=SessionState(state), ended_at=ended), [call_row(**call)], undos, [])
    (change,) = found.changes
    assert (change.standing, change.outcome) == (standing, outcome)
    assert found.ok is (standing != "open")


def test_what_is_corrected_to_a_third_value_is_not_called_the_former_one() -> None:
    made = {"left": {"active": True, "id": 1}, "back": {"active": False, "id": ABSENT}, "remains": "it stays listed"}
    undo = undo_row(Outcome.COMPENSATED, **made)
    found = correction(session_row(state=SessionState.ROLLED_BACK), [call_row(arguments={"active": True})], [undo], [])
    text = section(found.text(), "What was made good, and what remains of it")
    assert '"active": the agent made it "true"; the correction makes it "false".' in text
    assert "before it was" not in text


@pytest.mark.parametrize(
    ("operation", "summary", "words"),
    [
        ("issues.create", "Open an issue; it is closed again.", "Open an issue"),
        ("notes.create", "Create; taken back with notes.delete.", "Create note"),
        ("chat.postMessage", "", "Post message"),
        ("refunds.create", "", "Create refund"),
        ("pages.update+erase_content", "", "Erase content"),
        ("POST /v1/x", "", "Change something, in a way that is not described"),
    ],
)
def test_an_operation_is_told_in_words(operation: str, summary: str, words: str) -> None:
    assert in_words(operation, summary) == words


def hostile(text: str) -> Correction:
    """A correction in which everything that others write is *text*."""
    agreed = {"by": text, "why": text, "cause": text}
    events = [
        EventRow(id=1, session="s", at=0.0, kind="approval approved", data=agreed),
        EventRow(id=2, session="s", at=0.0, kind="session rolling_back", data=agreed),
    ]
    arguments = {text: text, "to": [text] * 5, "title": text}
    calls = [
        call_row(seq=n, name=f"x.{text}", target=text, arguments=arguments, error=text, connector=connector)
        for n, connector in enumerate(("github", "crm"), 1)
    ]
    undos = [undo_row(Outcome.COMPENSATED, remains=text, detail=text, left={"title": text}, back={"title": "Old"})]
    row = session_row(agent=text, intent=text, user=text, cause=text, state=SessionState.PARTIAL)
    words = {"summaries": {call.operation: f"Do {text}" for call in calls}, "titles": {"crm": text}}
    return correction(row, calls, undos, events, record=text, **words)


def can_be_read(found: Correction) -> None:
    text, markdown = found.text(), found.markdown()
    nothing_unseen(text)
    nothing_unseen(markdown)
    assert {line for line in text.split("\n") if line and not line.startswith("  ")} <= TITLES
    assert text.count("Who has looked at it\n") == 1
    blocks = ("heading", "paragraph", "bullet_list", "list_item")
    inline = {"text", "code_inline", "text_special"}
    for token in MarkdownIt("gfm-like", {"linkify": False, "html": True}).parse(markdown):
        if token.type == "inline":
            assert {part.type for part in token.children or []} <= inline, token.content
        else:
            assert token.type.removesuffix("_open").removesuffix("_close") in blocks
    headings = [line.lstrip("# ") for line in markdown.split("\n") if line.startswith("#")]
    assert set(headings) <= TITLES
    assert found.json().isascii()
    assert json.loads(found.json())["agent"] == found.agent


@pytest.mark.parametrize("text", MISLEADING.values(), ids=MISLEADING)
def test_nothing_that_others_write_looks_like_the_trail_itself(text: str) -> None:
    can_be_read(hostile(text))


@settings(max_examples=100, deadline=None)
@given(pieces, st.sampled_from(list(Outcome)))
def test_every_trail_can_be_read(text: str, outcome: Outcome) -> None:
    can_be_read(hostile(text))
    undo = undo_row(outcome, detail=text, remains=text, left={"a": text}, back={"a": None})
    can_be_read(correction(session_row(state=SessionState.PARTIAL), [call_row(arguments={"a": 1})], [undo], []))


@pytest.mark.parametrize(
    "arguments", [[], ["--format", "text"], ["--format", "markdown"], ["--format", "json"], ["--json"]]
)
def test_the_command_tells_it_in_each_format(work: Work, ledger: Path, arguments: list[str]) -> None:
    work.rollback()
    before = work.session.ledger.events(work.session.id)
    ran = CliRunner().invoke(report, ["last", "--ledger", str(ledger), *arguments])
    assert ran.exit_code == 0, ran.output
    found = told(ledger, work.session.id)
    written = {"markdown": found.markdown(), "json": found.json()}.get((arguments or [""])[-1].strip("-"), found.text())
    assert ran.output == f"{written}\n"
    assert work.session.ledger.events(work.session.id) == before


def test_the_command_knows_no_session_that_is_not_there(ledger: Path, work: Work) -> None:
    ran = CliRunner().invoke(report, ["nothing", "--ledger", str(ledger)])
    assert isinstance(ran.exception, agentguard.AgentguardError)
    assert "nothing" in str(ran.exception)
