"""The stand-in turns away what Notion turns away, in Notion's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from notion_client import APIResponseError, Client

from tests.boxes import Box
from tests.notion.world import (
    HANDBOOK,
    HOME,
    PARAGRAPH,
    REMARK,
    ROWS,
    TABLE,
    TASKS,
    TASKS_SOURCE,
    TEAM,
    TICK,
    identifier,
    paragraph,
    text,
    title,
)

ROW = {"data_source_id": TASKS_SOURCE}
REFUSED: dict[str, Callable[[Any], Any]] = {
    "an unknown field": lambda n: n.request(f"pages/{HANDBOOK}", "PATCH", body={"titel": "x"}),
    "an unknown property": lambda n: n.pages.update(ROWS[0], properties={"Nonsense": {"number": 1}}),
    "a property of another type": lambda n: n.pages.update(ROWS[0], properties={"Priority": {"select": None}}),
    "a number that is a text": lambda n: n.pages.update(ROWS[0], properties={"Priority": {"number": "7"}}),
    "a computed property": lambda n: n.pages.update(ROWS[0], properties={"Edited": {"last_edited_time": "x"}}),
    "an option that is not there": lambda n: n.pages.update(ROWS[0], properties={"Status": {"select": {"id": "zz"}}}),
    "a column on a plain page": lambda n: n.pages.update(HANDBOOK, properties={"Priority": {"number": 1}}),
    "rich text that is a text": lambda n: n.comments.update(REMARK, rich_text="Hello"),
    "rich text without content": lambda n: n.comments.update(REMARK, rich_text=[{"text": {}}]),
    "a text that is too long": lambda n: n.comments.update(REMARK, rich_text=text("x" * 2001)),
    "two kinds of comment": lambda n: n.comments.create(parent={"page_id": HOME}, rich_text=[], markdown="x"),
    "a comment without a place": lambda n: n.comments.create(rich_text=text("x")),
    "another type of block": lambda n: n.blocks.update(TICK, paragraph={"rich_text": []}),
    "a block that is not there": lambda n: n.blocks.children.append(HOME, children=[{"banner": {}}]),
    "a block without its text": lambda n: n.blocks.children.append(HOME, children=[{"paragraph": {}}]),
    "a place that is not there": lambda n: n.blocks.children.append(HOME, children=[paragraph("x")], after=ROWS[0]),
    "two parents": lambda n: n.pages.create(parent={"page_id": HOME, **ROW}, properties={}),
    "a parent of another kind": lambda n: n.pages.move(HANDBOOK, parent={"block_id": TICK}),
    "an icon of no kind": lambda n: n.pages.update(HANDBOOK, icon={"smiley": ":)"}),
    "a file that Notion keeps": lambda n: n.pages.update(HANDBOOK, icon={"type": "file", "file": {"url": "https://x"}}),
    "the cleared icon of a database": lambda n: n.databases.update(TASKS, icon=None),
    "a database without a title column": lambda n: n.data_sources.create(parent={"database_id": TASKS}, properties={}),
    "no title column": lambda n: n.data_sources.update(TASKS_SOURCE, properties={"Name": None}),
    "another colour of an option": lambda n: n.data_sources.update(
        TASKS_SOURCE, properties={"Status": {"select": {"options": [{"name": "Open", "color": "red"}]}}}
    ),
    "two columns of one name": lambda n: n.data_sources.update(TASKS_SOURCE, properties={"Due": {"name": "Status"}}),
    "settings of another type of view": lambda n: n.views.update(TABLE, configuration={"type": "board"}),
    "told names in settings": lambda n: n.views.update(
        TABLE,
        configuration={"type": "table", "properties": [{"property_id": "due", "property_name": "Due"}]},
    ),
    "a view in two places": lambda n: n.views.create(
        database_id=TASKS, view_id=TABLE, data_source_id=TASKS_SOURCE, name="x", type="table"
    ),
    "an id that is none": lambda n: n.pages.retrieve("handbook"),
}


@pytest.mark.parametrize("ask", REFUSED.values(), ids=REFUSED)
def test_what_notion_refuses_is_refused_and_changes_nothing(box: Box, notion: Any, ask: Callable[[Any], Any]) -> None:
    before = box.snapshot()
    with pytest.raises(APIResponseError) as refused:
        ask(notion)
    assert refused.value.code == "validation_error"
    assert box.snapshot() == before


def test_what_is_in_the_trash_cannot_be_edited(box: Box, notion: Any) -> None:
    notion.blocks.delete(PARAGRAPH)
    with pytest.raises(APIResponseError, match="archived"):
        notion.blocks.update(PARAGRAPH, paragraph={"rich_text": text("x")})
    notion.pages.update(TEAM, in_trash=True)
    with pytest.raises(APIResponseError, match="archived"):
        notion.pages.update(HANDBOOK, properties={"title": title("x")})


def test_the_last_view_cannot_be_deleted(box: Box, notion: Any) -> None:
    for view in notion.views.list(database_id=TASKS)["results"][1:]:
        notion.views.delete(view["id"])
    with pytest.raises(APIResponseError, match="last view"):
        notion.views.delete(TABLE)


def test_comments_of_others_are_not_found(box: Box, ada: Any) -> None:
    with pytest.raises(APIResponseError) as refused:
        ada.comments.delete(REMARK)
    assert refused.value.code == "object_not_found"


def test_archived_is_gone_from_the_newest_version(box: Box) -> None:
    client = Client(auth="ntn_agent_token", base_url=box.url, notion_version="2026-03-11")
    with pytest.raises(APIResponseError, match="archived"):
        client.pages.update(HANDBOOK, archived=True)
    client.pages.update(HANDBOOK, in_trash=True)
    client.close()


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"notion-version": "2025-09-03"}, 401, "unauthorized"),
        ({"notion-version": "2025-09-03", "authorization": "Bearer xoxb"}, 401, "unauthorized"),
        ({"authorization": "Bearer ntn_x"}, 400, "missing_version"),
        ({"authorization": "Bearer ntn_x", "notion-version": "2019-01-01"}, 400, "missing_version"),
    ],
)
def test_token_and_version_are_needed(box: Box, headers: dict[str, str], status: int, code: str) -> None:
    answer = httpx.get(f"{box.url}/v1/users/me", headers=headers)
    assert answer.status_code == status
    assert {"object": "error", "status": status, "code": code}.items() <= answer.json().items()


def test_lists_come_in_pages(box: Box, notion: Any) -> None:
    first = notion.blocks.children.list(HOME, page_size=4)
    assert (len(first["results"]), first["has_more"]) == (4, True)
    rest = notion.blocks.children.list(HOME, page_size=4, start_cursor=first["next_cursor"])
    assert (len(rest["results"]), rest["has_more"]) == (2, False)
    assert rest["results"][0]["type"] == "child_database"


def test_a_page_shows_no_more_than_25_relations(box: Box, notion: Any) -> None:
    links = [{"id": identifier(0x9000 + at)} for at in range(30)]
    shown = notion.pages.update(ROWS[0], properties={"Blocked by": {"relation": links}})["properties"]["Blocked by"]
    assert (len(shown["relation"]), shown["has_more"]) == (25, True)
    assert len(notion.pages.properties.retrieve(ROWS[0], "rel")["results"]) == 30


def test_a_query_filters(box: Box, notion: Any) -> None:
    done = notion.data_sources.query(TASKS_SOURCE, filter={"property": "Status", "select": {"equals": "Done"}})
    assert [row["id"] for row in done["results"]] == [ROWS[1]]
    notion.pages.update(ROWS[1], in_trash=True)
    assert notion.data_sources.query(TASKS_SOURCE, in_trash=True)["results"][0]["id"] == ROWS[1]
