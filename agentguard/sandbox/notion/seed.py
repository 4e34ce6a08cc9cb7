"""The workspace to begin with: two people and a bot, a page with a few blocks, and a database with three rows."""

from __future__ import annotations

from typing import Any

Data = dict[str, Any]
CREATED = "2025-06-15T15:06:00.000Z"


def identifier(number: int) -> str:
    """An id that can be told from others at a glance."""
    return f"{number:08x}-a9e4-4a9e-8a9e-{number:012x}"


ADA, GRACE, BOT = identifier(1), identifier(2), identifier(3)
HOME, TEAM, HANDBOOK = identifier(16), identifier(17), identifier(18)
TASKS, TASKS_SOURCE, TABLE, BOARD = identifier(32), identifier(33), identifier(34), identifier(35)
ROWS = [identifier(number) for number in (48, 49, 50)]
HEADING, PARAGRAPH, TICK, TOGGLE, INSIDE = (identifier(number) for number in range(64, 69))
REMARK, THREAD = identifier(80), identifier(81)


def text(words: str) -> list[Data]:
    plain = {"bold": False, "italic": False, "strikethrough": False, "underline": False, "code": False}
    annotations = {**plain, "color": "default"}
    content = {"content": words, "link": None}
    piece = {"type": "text", "text": content, "annotations": annotations, "plain_text": words, "href": None}
    return [piece] if words else []


def times(who: str = ADA) -> Data:
    by = {"object": "user", "id": who}
    return {"created_time": CREATED, "last_edited_time": CREATED, "created_by": by, "last_edited_by": dict(by)}


def page(which: str, parent: Data, title: str, children: list[str], **values: Any) -> Data:
    """A page as it is kept; `values` has its properties by the ids of their columns."""
    outside = {"in_trash": False, "is_locked": False, "icon": None, "cover": None, "public_url": None}
    inside = {"children": children, "values": {"title": text(title), **values}}
    return {"object": "page", "id": which, "parent": parent, **times(), **outside, **inside}


def block(which: str, parent: Data, kind: str, content: Data, children: list[str] | None = None) -> Data:
    inside = {"in_trash": False, "type": kind, "content": content, "children": children or []}
    return {"object": "block", "id": which, "parent": parent, **times(), **inside}


def user(which: str, name: str, kind: str) -> Data:
    more: Data = {"person": {"email": f"{name.lower()}@example.com"}} if kind == "person" else {"bot": {"owner": {}}}
    return {"object": "user", "id": which, "name": name, "avatar_url": None, "type": kind, **more}


def column(which: str, name: str, kind: str, **inside: Any) -> Data:
    return {"id": which, "name": name, "description": None, "type": kind, kind: inside}


def options(*names: str) -> list[Data]:
    return [{"id": f"o{name[0].lower()}", "name": name, "color": "gray", "description": None} for name in names]


def saved_view(which: str, name: str, kind: str, **more: Any) -> Data:
    outside = {"object": "view", "id": which, "parent": {"type": "database_id", "database_id": TASKS}}
    settings = {"filter": None, "sorts": None, "quick_filters": None, "configuration": {"type": kind}}
    return {**outside, "data_source_id": TASKS_SOURCE, "name": name, "type": kind, **times(), **settings, **more}


def workspace() -> Data:
    """A new workspace."""
    home = {"type": "page_id", "page_id": HOME}
    row = {"type": "data_source_id", "data_source_id": TASKS_SOURCE, "database_id": TASKS}
    pages = [
        page(
            HOME,
            {"type": "workspace", "workspace": True},
            "Onboarding",
            [HEADING, PARAGRAPH, TEAM, TICK, TASKS, TOGGLE],
        ),
        page(TEAM, home, "Team", [HANDBOOK]),
        page(HANDBOOK, {"type": "page_id", "page_id": TEAM}, "Handbook", []),
        page(
            ROWS[0],
            row,
            "Order a laptop",
            [],
            stat="oo",
            p1=2,
            tags=["oh"],
            due={"start": "2026-01-05", "end": None, "time_zone": None},
        ),
        page(ROWS[1], row, "Book a desk", [], stat="od", p1=1, tags=[]),
        page(ROWS[2], row, "Say hello", [], stat=None, p1=None, tags=[]),
    ]
    blocks = [
        block(HEADING, home, "heading_1", {"rich_text": text("Welcome"), "color": "default", "is_toggleable": False}),
        block(PARAGRAPH, home, "paragraph", {"rich_text": text("We are glad to see you."), "color": "default"}),
        block(TICK, home, "to_do", {"rich_text": text("Read the handbook"), "color": "default", "checked": False}),
        block(TOGGLE, home, "toggle", {"rich_text": text("More"), "color": "default"}, [INSIDE]),
        block(
            INSIDE,
            {"type": "block_id", "block_id": TOGGLE},
            "paragraph",
            {"rich_text": text("Ask Grace."), "color": "default"},
        ),
    ]  # fmt: skip - one block a line
    columns = [
        column("title", "Name", "title"),
        column("stat", "Status", "select", options=options("Open", "Done")),
        column("p1", "Priority", "number", format="number"),
        column("tags", "Tags", "multi_select", options=options("Hardware", "Office")),
        column("due", "Due", "date"),
        column("own", "Owner", "people"),
        column(
            "rel", "Blocked by", "relation", data_source_id=TASKS_SOURCE, type="single_property", single_property={}
        ),
        column("edit", "Edited", "last_edited_time"),
    ]
    outside = {"in_trash": False, "icon": None, "cover": None, "is_inline": False, "public_url": None}
    tasks = {"object": "database", "id": TASKS, "parent": home, "title": text("Tasks"), "description": [], **times()}
    source = {"object": "data_source", "id": TASKS_SOURCE, "title": text("Tasks"), "description": [], **times()}
    inside = {
        "parent": {"type": "database_id", "database_id": TASKS},
        "properties": {one["id"]: one for one in columns},
    }
    settings = {"type": "table", "properties": [{"property_id": "stat", "property_name": "Status", "visible": True}]}
    remark = {"object": "comment", "id": REMARK, "parent": home, "discussion_id": THREAD, **times(BOT)}
    shown_as = {"display_name": {"type": "integration", "resolved_name": "Agent"}, "attachments": []}
    return {
        "users": {
            one["id"]: one
            for one in (user(ADA, "Ada", "person"), user(GRACE, "Grace", "person"), user(BOT, "Agent", "bot"))
        },
        "pages": {one["id"]: one for one in pages},
        "blocks": {one["id"]: one for one in blocks},
        "databases": {TASKS: {**tasks, **outside, "is_locked": False, "sources": [TASKS_SOURCE], "children": []}},
        "data_sources": {TASKS_SOURCE: {**source, **outside, **inside}},
        "views": {
            TABLE: saved_view(TABLE, "All", "table", configuration=settings),
            BOARD: saved_view(BOARD, "Board", "board", quick_filters={"stat": {"select": {"equals": "Open"}}}),
        },
        "comments": {REMARK: {**remark, **shown_as, "rich_text": text("Is this still right?")}},
        "view_queries": {},
        "file_uploads": {},
        "unshared": [],
        "counter": 4096,
    }
