"""A call whose answer was lost: found by its mark or by what it left, and never taken for somebody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from notion_client import Client

import agentguard
from agentguard import CallState, Outcome
from agentguard.ledger import sqlite
from tests.boxes import Box
from tests.notion.world import (
    BOARD,
    HANDBOOK,
    HOME,
    PARAGRAPH,
    TASKS,
    TASKS_SOURCE,
    TEAM,
    paragraph,
    text,
    title,
)
from tests.proving import differences

NAME = "Agentguard"


@pytest.fixture
def session(ledger: Path) -> agentguard.Session:
    return agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: True)


@pytest.fixture
def marking(box: Box, ada: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tasks have a property for marks, and it is named."""
    ada.data_sources.update(TASKS_SOURCE, properties={NAME: {"rich_text": {}}})
    monkeypatch.setenv("AGENTGUARD_NOTION_MARK", NAME)


def lose(box: Box, mode: str, verb: str = "POST") -> None:
    """Lose the next write or its answer."""
    box.fault(mode, verb=verb, path="^(?!.*/(query|search)$)")


def lost(
    box: Box, session: agentguard.Session, client: Any, do: Any, mode: str = "drop_after", verb: str = "POST"
) -> None:
    lose(box, mode, verb)
    with pytest.raises(Exception, match="disconnected"):
        do(agentguard.wrap(client, session))
    assert session.calls[-1].state is CallState.IN_DOUBT


def add_row(client: Any, **parent: str) -> Any:
    where = parent or {"data_source_id": TASKS_SOURCE}
    return client.pages.create(parent=where, properties={"Name": title("Plan")})


def rows(box: Box) -> dict[str, Any]:
    """The tasks that are not in the trash and were not there from the beginning."""
    pages = box.snapshot()["pages"]
    new = {key: one for key, one in pages.items() if one["values"].get("title", [{}])[0].get("plain_text") == "Plan"}
    return {key: one for key, one in new.items() if not one["in_trash"]}


def sent(box: Box) -> dict[str, Any]:
    body: dict[str, Any] = next(r for r in box.requests("POST") if r["path"] == "/v1/pages")["body"]
    return body


# With a mark


@pytest.mark.parametrize(
    "parent", [{"data_source_id": TASKS_SOURCE}, {"database_id": TASKS}], ids=["data source", "database"]
)
def test_a_row_whose_answer_was_lost_is_found_by_its_mark(
    parent: dict[str, str], box: Box, notion: Any, session: agentguard.Session, marking: None
) -> None:
    lost(box, session, notion, lambda client: add_row(client, **parent))
    mark = session.calls[-1].mark
    given = {"Name": title("Plan"), NAME: {"rich_text": [{"text": {"content": mark}}]}}
    assert sent(box) == {"parent": parent, "properties": given}
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.COMPENSATED]
    assert rows(box) == {}


@pytest.mark.parametrize("mode", ["drop_before", "drop_after"])
def test_of_two_equal_rows_the_lost_one_is_told_from_the_other(
    mode: str, box: Box, notion: Any, session: agentguard.Session, marking: None
) -> None:
    add_row(agentguard.wrap(notion, session))
    lost(box, session, notion, add_row, mode)
    outcomes = [one.outcome for one in session.rollback().outcomes]
    doubt = Outcome.IN_DOUBT if mode == "drop_before" else Outcome.COMPENSATED
    assert outcomes == [doubt, Outcome.COMPENSATED]
    assert rows(box) == {}


def test_a_row_that_the_same_connection_added_at_the_same_time_is_left_alone(
    box: Box, notion: Any, session: agentguard.Session, marking: None
) -> None:
    lost(box, session, notion, add_row, "drop_before")
    add_row(notion)
    before = box.snapshot()
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.IN_DOUBT]
    assert box.snapshot() == before


def test_a_row_that_queries_do_not_show_yet_stays_in_doubt(
    box: Box, notion: Any, session: agentguard.Session, marking: None
) -> None:
    lost(box, session, notion, add_row)
    (made,) = rows(box)
    box.seed(unindexed=[made])
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.IN_DOUBT]
    assert list(rows(box)) == [made]
    box.seed(unindexed=[])
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.COMPENSATED]
    assert rows(box) == {}


def test_a_value_of_the_callers_own_wins(box: Box, notion: Any, session: agentguard.Session, marking: None) -> None:
    given = {"Name": title("Plan"), NAME: {"rich_text": text("mine")}}
    agentguard.wrap(notion, session).pages.create(parent={"data_source_id": TASKS_SOURCE}, properties=given)
    assert sent(box)["properties"] == given
    assert session.rollback().ok


@pytest.mark.parametrize("where", ["no such column", "another type", "a page"])
def test_what_has_no_property_for_it_goes_without_a_mark(
    where: str, box: Box, notion: Any, ada: Any, session: agentguard.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENTGUARD_NOTION_MARK", NAME)
    if where == "another type":
        ada.data_sources.update(TASKS_SOURCE, properties={NAME: {"number": {}}})
    parent = {"page_id": TEAM} if where == "a page" else {"data_source_id": TASKS_SOURCE}
    given = {"title": title("Plan")} if where == "a page" else {"Name": title("Plan")}
    agentguard.wrap(notion, session).pages.create(parent=parent, properties=given)
    assert sent(box) == {"parent": parent, "properties": given}
    assert session.rollback().ok


def test_the_property_can_stand_in_the_configuration(
    box: Box, notion: Any, ada: Any, session: agentguard.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada.data_sources.update(TASKS_SOURCE, properties={NAME: {"rich_text": {}}})
    (tmp_path / "agentguard.toml").write_text(f'[marks]\nnotion = "{NAME}"\n')
    monkeypatch.chdir(tmp_path)
    add_row(agentguard.wrap(notion, session))
    assert NAME in sent(box)["properties"]


async def test_the_asynchronous_client_marks_as_well(
    box: Box, anotion: Any, session: agentguard.Session, marking: None
) -> None:
    box.fault("drop_after", path="/v1/pages$")
    with pytest.raises(Exception, match="disconnected"):
        await add_row(agentguard.wrap(anotion, session))
    assert [one.outcome for one in (await session.arollback()).outcomes] == [Outcome.COMPENSATED]
    assert rows(box) == {}


def test_a_resumed_agent_gets_the_row_that_it_made(
    box: Box, notion: Any, ledger: Path, marking: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite.leases, "is_gone", lambda owner: True)

    def begin() -> Any:
        session = agentguard.session(agent="a", intent="i", id="s1", ledger=ledger, on_crash="resume")
        return agentguard.wrap(notion, session)

    box.fault("drop_after", path="/v1/pages$")
    with pytest.raises(Exception, match="disconnected"):
        add_row(begin())
    (made,) = rows(box)
    again = add_row(begin())
    assert (again["object"], again["id"]) == ("page", made)
    assert list(rows(box)) == [made]


AGENT = """
import os
import agentguard
from notion_client import Client

client = Client(auth=os.environ["NOTION_TOKEN"], base_url=os.environ["NOTION_API_URL"])
with agentguard.session(agent="a", intent="i", ledger="ledger.db") as session:
    try:
        agentguard.wrap(client, session).pages.create(
            parent={"data_source_id": os.environ["TASKS"]},
            properties={"Name": {"title": [{"text": {"content": "Plan"}}]}},
        )
    except Exception:
        os._exit(9)
"""


def test_another_process_finds_it_without_the_setting(box: Box, marking: None, tmp_path: Path) -> None:
    own = {"NOTION_API_URL": box.url, "NOTION_TOKEN": "ntn_agent_token", "AGENTGUARD_LEDGER": "ledger.db"}
    environment = {**os.environ, **own, "TASKS": TASKS_SOURCE}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )

    lose(box, "drop_after")
    died = run("-c", AGENT)
    assert died.returncode == 9, died.stderr
    assert len(rows(box)) == 1
    del environment["AGENTGUARD_NOTION_MARK"]
    rolled_back = run("-m", "agentguard", "rollback", "last", "--yes")
    assert rolled_back.returncode == 0, rolled_back.stdout + rolled_back.stderr
    assert rows(box) == {}


# Without a mark


LOST: dict[str, Any] = {
    "row": add_row,
    "row, by its database": lambda n: add_row(n, database_id=TASKS),
    "page": lambda n: n.pages.create(parent={"page_id": TEAM}, properties={"title": title("Plan")}),
    "page at the top": lambda n: n.pages.create(parent={"workspace": True}, properties={"title": title("Plan")}),
    "database": lambda n: n.databases.create(parent={"page_id": TEAM}, title=text("Plan")),
    "database at the top": lambda n: n.databases.create(parent={"workspace": True}, title=text("Plan")),
    "data source": lambda n: n.data_sources.create(
        parent={"database_id": TASKS}, title=text("Plan"), properties={"Name": {"title": {}}}
    ),
    "view": lambda n: n.views.create(database_id=TASKS, data_source_id=TASKS_SOURCE, name="Plan", type="list"),
    "view of a linked database": lambda n: n.views.create(
        create_database={"parent": {"page_id": TEAM}}, data_source_id=TASKS_SOURCE, name="Plan", type="list"
    ),
    "blocks": lambda n: n.blocks.children.append(HOME, children=[paragraph("One"), {"divider": {}}], after=PARAGRAPH),
    "comment": lambda n: n.comments.create(parent={"page_id": HANDBOOK}, rich_text=text("Looks good")),
    "deleted view": lambda n: n.views.delete(BOARD),
    "content": lambda n: n.pages.update_markdown(HANDBOOK, type="insert_content", insert_content={"content": "Hello"}),
    "new content": lambda n: n.pages.update_markdown(
        HANDBOOK, type="replace_content", replace_content={"new_str": "# Hello"}
    ),
}
VERBS = {"blocks": "PATCH", "content": "PATCH", "new content": "PATCH", "deleted view": "DELETE"}
"""How these are sent; the others are POST."""


def alive(state: dict[str, Any]) -> dict[str, Any]:
    """What is not in the trash, without ids that are new and without what stands in what."""
    kinds = ("pages", "blocks", "databases", "data_sources", "comments")
    shown = {
        kind: {
            key: {n: v for n, v in one.items() if n not in ("children", "sources")} for key, one in state[kind].items()
        }
        for kind in kinds
    }
    gone = {key for kind in kinds for key, one in state[kind].items() if one.get("in_trash")}

    def inside(one: dict[str, Any]) -> bool:
        return not gone & {str(value) for value in (one.get("parent") or {}).values()}

    left = {k: {i: o for i, o in some.items() if i not in gone and inside(o)} for k, some in shown.items()}
    views = [one for one in state["views"].values() if inside(one)]
    return {**left, "views": sorted((one["name"], one["type"], one["data_source_id"]) for one in views)}


@pytest.mark.parametrize("name", LOST)
def test_a_lost_call_is_found_where_it_left_something(
    name: str, box: Box, notion: Any, session: agentguard.Session
) -> None:
    before = alive(box.snapshot())
    lost(box, session, notion, LOST[name], verb=VERBS.get(name, "POST"))
    assert alive(box.snapshot()) != before
    report = session.rollback()
    assert report.ok, str(report)
    changed = differences(before, alive(box.snapshot()))
    assert [path for path in changed if not path.endswith("last_edited_by.id")] == []


@pytest.mark.parametrize("name", LOST)
def test_a_lost_call_that_did_nothing_is_never_said_to_be_taken_back(
    name: str, box: Box, notion: Any, session: agentguard.Session
) -> None:
    before = box.snapshot()
    lost(box, session, notion, LOST[name], "drop_before", VERBS.get(name, "POST"))
    report = session.rollback()
    assert all(one.outcome in (Outcome.IN_DOUBT, Outcome.ALREADY_UNDONE) for one in report.outcomes), str(report)
    assert box.snapshot() == before


CREATING = [name for name in LOST if name not in ("deleted view", "content", "new content")]


@pytest.mark.parametrize("name", CREATING)
def test_two_things_that_say_the_same_are_no_evidence(
    name: str, box: Box, notion: Any, session: agentguard.Session
) -> None:
    lost(box, session, notion, LOST[name], verb=VERBS.get(name, "POST"))
    LOST[name](notion)
    before = box.snapshot()
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.IN_DOUBT]
    assert box.snapshot() == before


@pytest.mark.parametrize("name", CREATING)
def test_what_a_person_made_at_the_same_time_is_not_taken_for_ours(
    name: str, box: Box, notion: Any, ada: Any, session: agentguard.Session
) -> None:
    lost(box, session, notion, LOST[name], "drop_before", VERBS.get(name, "POST"))
    LOST[name](ada)
    before = box.snapshot()
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.IN_DOUBT]
    assert box.snapshot() == before


@pytest.mark.parametrize("name", ["deleted view", "content", "new content"])
def test_what_is_still_as_it_was_certainly_did_not_happen(
    name: str, box: Box, notion: Any, session: agentguard.Session
) -> None:
    lost(box, session, notion, LOST[name], "drop_before", VERBS.get(name, "POST"))
    assert session.rollback().ok
    assert session.calls[-1].state is CallState.NOT_APPLIED


def test_a_comment_that_cannot_be_seen_may_be_resolved(box: Box, notion: Any, session: agentguard.Session) -> None:
    ours = notion.comments.create(parent={"page_id": HANDBOOK}, rich_text=text("Looks good"))["id"]
    lost(box, session, notion, lambda client: client.comments.delete(ours), verb="DELETE")
    (result,) = session.rollback().outcomes
    assert result.outcome is Outcome.IN_DOUBT
    assert "resolved" in result.detail


def test_content_that_somebody_else_wrote_since_proves_nothing(
    box: Box, notion: Any, ada: Any, session: agentguard.Session
) -> None:
    lost(box, session, notion, LOST["content"], "drop_before", "PATCH")
    ada.pages.update_markdown(HANDBOOK, type="insert_content", insert_content={"content": "Mine"})
    before = box.snapshot()
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.IN_DOUBT]
    assert box.snapshot() == before


# What an answer proves


@pytest.mark.parametrize(
    ("status", "headers", "state"),
    [
        (409, {}, CallState.NOT_APPLIED),
        (429, {"retry-after": "7"}, CallState.NOT_APPLIED),
        (500, {}, CallState.IN_DOUBT),
        (503, {}, CallState.IN_DOUBT),
        (504, {}, CallState.IN_DOUBT),
        (529, {"retry-after": "7"}, CallState.IN_DOUBT),
    ],
)
def test_what_a_refusal_proves(
    status: int, headers: dict[str, str], state: CallState, box: Box, notion: Any, session: agentguard.Session
) -> None:
    body = {"object": "error", "status": status, "code": "conflict_error", "message": "no"}
    box.fault("status_before", path="/v1/pages$", status=status, body=body, headers=headers, times=5)
    with pytest.raises(Exception, match="no"):
        add_row(agentguard.wrap(notion, session))
    assert [call.state for call in session.calls] == [state]
    assert len([r for r in box.requests("POST") if r["path"] == "/v1/pages"]) == 1


def test_an_answer_that_broke_off_is_in_doubt(box: Box, notion: Any, session: agentguard.Session) -> None:
    box.fault("truncate", path="/v1/pages$")
    with pytest.raises(Exception, match="peer closed"):
        add_row(agentguard.wrap(notion, session))
    assert [call.state for call in session.calls] == [CallState.IN_DOUBT]
    assert [one.outcome for one in session.rollback().outcomes] == [Outcome.COMPENSATED]


@pytest.mark.parametrize("host", ["http://127.0.0.1:1", "https://nowhere.invalid"], ids=["refused", "no such name"])
def test_a_call_that_reached_nobody_certainly_did_nothing(host: str, session: agentguard.Session) -> None:
    client = Client(auth="ntn_none", base_url=host)
    with pytest.raises(Exception, match=r"refused|Name|name"):
        add_row(agentguard.wrap(client, session))
    client.close()
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED]


def only(found: list[Any], name: str) -> str:
    (identifier,) = (one["id"] for one in found if name in str(one))
    return str(identifier)


CHANGED: dict[str, Any] = {
    "row": lambda n, new: n.pages.update(
        only(new["pages"], "Plan"), properties={"Status": {"select": {"name": "Done"}}}
    ),
    "page": lambda n, new: n.pages.update(only(new["pages"], "Plan"), icon={"type": "emoji", "emoji": "🎉"}),
    "database": lambda n, new: n.databases.update(only(new["databases"], "Plan"), description=text("Theirs")),
    "data source": lambda n, new: n.data_sources.update(
        only(new["data_sources"], "Plan"), icon={"type": "emoji", "emoji": "🎉"}
    ),
    "view": lambda n, new: n.views.update(
        only(new["views"], "Plan"), sorts=[{"property": "Name", "direction": "ascending"}]
    ),
    "blocks": lambda n, new: n.blocks.update(only(new["blocks"], "One"), paragraph={"color": "red"}),
    "comment": lambda n, new: n.comments.create(
        discussion_id=next(one for one in new["comments"] if "Looks good" in str(one))["discussion_id"],
        rich_text=text("Theirs"),
    ),
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_somebody_wrote_into_what_a_lost_call_made_is_kept(
    name: str, box: Box, notion: Any, ada: Any, session: agentguard.Session
) -> None:
    old = box.snapshot()
    lost(box, session, notion, LOST[name], verb=VERBS.get(name, "POST"))
    kinds = ("pages", "databases", "data_sources", "views", "blocks", "comments")
    state = box.snapshot()
    CHANGED[name](ada, {k: [one for key, one in state[k].items() if key not in old[k]] for k in kinds})
    before = box.snapshot()
    report = session.rollback()
    assert [one.outcome for one in report.outcomes] == [Outcome.CONFLICT], str(report)
    after = box.snapshot()
    if name == "blocks":  # the other one of the call, into which nobody wrote, is taken back
        (divider,) = (
            key for key in after["blocks"].keys() - old["blocks"] if after["blocks"][key]["type"] == "divider"
        )
        assert after["blocks"].pop(divider)["in_trash"]
        del before["blocks"][divider]
        before["pages"][HOME]["children"].remove(divider)
    assert differences(before, after) == []
