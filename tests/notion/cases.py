"""Every undo to be proved: what is done, how it comes out, and what may differ afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agentguard import Outcome
from tests.notion.world import (
    BOARD,
    GRACE,
    HANDBOOK,
    HEADING,
    HOME,
    INSIDE,
    PARAGRAPH,
    REMARK,
    ROWS,
    TABLE,
    TASKS,
    TASKS_SOURCE,
    TEAM,
    THREAD,
    TICK,
    TOGGLE,
    identifier,
    paragraph,
    text,
    title,
)

COMPENSATED = Outcome.COMPENSATED
TRASHED_PAGE = (r"pages\.00001001-.*",)
NEW_BLOCKS = (r"blocks\.0000100.-.*",)
ORDER = (rf"pages\.{HOME}\.children\.\d",)


@dataclass(frozen=True)
class Proof:
    """One call to be made and taken back. `do` serves both clients: it returns what the method returned."""

    name: str
    operation: str
    do: Callable[[Any], Any]
    outcome: Outcome = Outcome.RESTORED
    residue: tuple[str, ...] = ()
    prepare: Callable[[Any], Any] | None = None
    asynchronous: bool = False
    more: dict[str, Any] = field(default_factory=dict)


def row(**properties: Any) -> Callable[[Any], Any]:
    """Update the first row."""
    return lambda n: n.pages.update(ROWS[0], properties=properties)


def trash_row(n: Any) -> Any:
    return n.pages.update(ROWS[1], in_trash=True)


def second_source(n: Any) -> Any:
    """A data source that shares the column `Priority` with the first one."""
    properties = {"Task": {"title": {}}, "Priority": {"number": {}}}
    return n.data_sources.create(parent={"type": "database_id", "database_id": TASKS}, properties=properties)


def many_relations(n: Any) -> Any:
    links = [{"id": identifier(0x9000 + at)} for at in range(40)]
    return n.pages.update(ROWS[0], properties={"Blocked by": {"relation": links}})


def image(n: Any) -> Any:
    return n.blocks.children.append(TEAM, children=[{"image": {"external": {"url": "https://x.example/old.png"}}}])


FIRST_NEW = identifier(4097)
LOCAL = {"type": "data_source_id", "data_source_id": TASKS_SOURCE}

PAGES = [
    Proof(
        "a new page goes to the trash",
        "notion.pages.create",
        lambda n: n.pages.create(
            parent={"page_id": TEAM}, properties={"title": title("Plan")}, children=[paragraph("First")]
        ),
        COMPENSATED,
        (*TRASHED_PAGE, r"blocks\.00001002-.*"),
        asynchronous=True,
    ),
    Proof(
        "a new row goes to the trash",
        "notion.pages.create",
        lambda n: n.pages.create(
            parent=LOCAL,
            properties={"Name": title("Get a badge"), "Status": {"select": {"name": "Open"}}},
            icon={"emoji": "🪪"},
        ),
        COMPENSATED,
        TRASHED_PAGE,
    ),
    Proof("a title comes back", "notion.pages.update", row(Name=title("Order two laptops")), asynchronous=True),
    Proof("a property named by its id comes back", "notion.pages.update", row(stat={"select": {"name": "Done"}})),
    Proof(
        "every kind of value comes back",
        "notion.pages.update",
        row(
            Status={"select": {"name": "Done"}},
            Priority={"number": 7},
            Tags={"multi_select": [{"name": "Office"}, {"name": "Hardware"}]},
            Due={"date": {"start": "2026-02-01", "end": "2026-02-02"}},
            Owner={"people": [{"id": GRACE}]},
            **{"Blocked by": {"relation": [{"id": ROWS[1].replace("-", "")}]}},
        ),
    ),
    Proof(
        "cleared values come back",
        "notion.pages.update",
        row(Status={"select": None}, Priority={"number": None}, Tags={"multi_select": []}, Due={"date": None}),
        asynchronous=True,
    ),
    Proof(
        "a relation with more entries than a page shows comes back whole",
        "notion.pages.update",
        row(**{"Blocked by": {"relation": []}}),
        prepare=many_relations,
    ),
    Proof(
        "icon, cover and lock come back",
        "notion.pages.update",
        lambda n: n.pages.update(
            HANDBOOK,
            icon={"emoji": "📕"},
            cover={"type": "external", "external": {"url": "https://x.example/c.png"}},
            is_locked=True,
        ),
        prepare=lambda n: n.pages.update(HANDBOOK, icon={"emoji": "📗"}),
    ),
    Proof("a trashed row comes back", "notion.pages.update", trash_row, asynchronous=True),
    Proof(
        "a trashed page that stood last comes back to its place",
        "notion.pages.update",
        lambda n: n.pages.update(HANDBOOK, archived=True),
    ),
    Proof(
        "a trashed page among others comes back, perhaps elsewhere",
        "notion.pages.update",
        lambda n: n.pages.update(TEAM, in_trash=True),
        COMPENSATED,
        ORDER,
    ),
    Proof(
        "a restored row goes to the trash again",
        "notion.pages.update",
        lambda n: n.pages.update(ROWS[1], in_trash=False, properties={"Priority": {"number": 9}}),
        prepare=trash_row,
    ),
    Proof(
        "a row is edited and trashed in one call",
        "notion.pages.update",
        lambda n: n.pages.update(ROWS[1], in_trash=True, properties={"Priority": {"number": 9}}),
    ),
    Proof(
        "a row that became a page comes back with its values",
        "notion.pages.move",
        lambda n: n.pages.move(ROWS[0], parent={"type": "page_id", "page_id": TEAM}),
        asynchronous=True,
    ),
    Proof(
        "a row that went to another data source comes back with its values",
        "notion.pages.move",
        lambda n: n.pages.move(ROWS[0], parent={"data_source_id": FIRST_NEW}),
        prepare=second_source,
    ),
    Proof(
        "an only child comes back to its parent",
        "notion.pages.move",
        lambda n: n.pages.move(HANDBOOK, parent={"page_id": HOME}),
    ),
    Proof(
        "a page among others comes back, perhaps elsewhere",
        "notion.pages.move",
        lambda n: n.pages.move(TEAM, parent={"data_source_id": TASKS_SOURCE}),
        COMPENSATED,
        ORDER,
    ),
    Proof(
        "replaced content is written back in new blocks",
        "notion.pages.update_markdown",
        lambda n: n.pages.update_markdown(
            HANDBOOK, type="replace_content", replace_content={"new_str": "# Rules\n- [x] Be kind"}
        ),
        COMPENSATED,
        (*NEW_BLOCKS, rf"pages\.{HANDBOOK}\.children\.0", rf"blocks\.{FIRST_NEW}\.in_trash"),
        prepare=lambda n: n.blocks.children.append(HANDBOOK, children=[paragraph("Old words")]),
        asynchronous=True,
    ),
    Proof(
        "inserted content is taken out",
        "notion.pages.update_markdown",
        lambda n: n.pages.update_markdown(TEAM, type="insert_content", insert_content={"content": "A new line"}),
        COMPENSATED,
        NEW_BLOCKS,
    ),
]

BLOCKS = [
    Proof(
        "added blocks go to the trash",
        "notion.blocks.children.append",
        lambda n: n.blocks.children.append(HOME, children=[paragraph("One"), {"divider": {}}]),
        COMPENSATED,
        NEW_BLOCKS,
        asynchronous=True,
    ),
    Proof(
        "blocks added in between go to the trash with what is inside of them",
        "notion.blocks.children.append",
        lambda n: n.blocks.children.append(
            HOME,
            children=[{"toggle": {"rich_text": text("Why"), "children": [paragraph("Because")]}}],
            position={"type": "after_block", "after_block": {"id": HEADING}},
        ),
        COMPENSATED,
        NEW_BLOCKS,
    ),
    Proof(
        "the text of a block comes back",
        "notion.blocks.update",
        lambda n: n.blocks.update(PARAGRAPH, paragraph={"rich_text": text("Changed"), "color": "red"}),
        asynchronous=True,
    ),
    Proof("a tick comes off again", "notion.blocks.update", lambda n: n.blocks.update(TICK, to_do={"checked": True})),
    Proof(
        "another picture makes place for the old one",
        "notion.blocks.update",
        lambda n: n.blocks.update(FIRST_NEW, image={"external": {"url": "https://x.example/new.png"}}),
        prepare=image,
    ),
    Proof(
        "a block trashed by an update comes back",
        "notion.blocks.update",
        lambda n: n.blocks.update(INSIDE, in_trash=True),
    ),
    Proof(
        "a restored block goes to the trash again",
        "notion.blocks.update",
        lambda n: n.blocks.update(TOGGLE, in_trash=False),
        prepare=lambda n: n.blocks.delete(TOGGLE),
    ),
    Proof(
        "a deleted block that stood last comes back to its place with its children",
        "notion.blocks.delete",
        lambda n: n.blocks.delete(TOGGLE),
        asynchronous=True,
    ),
    Proof(
        "a deleted block among others comes back, perhaps elsewhere",
        "notion.blocks.delete",
        lambda n: n.blocks.delete(PARAGRAPH.replace("-", "")),
        COMPENSATED,
        ORDER,
    ),
    Proof("a page deleted as a block comes back", "notion.blocks.delete", lambda n: n.blocks.delete(HANDBOOK)),
    Proof("a row deleted as a block comes back", "notion.blocks.delete", lambda n: n.blocks.delete(ROWS[2])),
    Proof(
        "a database deleted as a block comes back, perhaps elsewhere",
        "notion.blocks.delete",
        lambda n: n.blocks.delete(TASKS),
        COMPENSATED,
        ORDER,
    ),
]


def database(**fields: Any) -> Callable[[Any], Any]:
    """Update the database."""
    return lambda n: n.databases.update(TASKS, **fields)


def source(**fields: Any) -> Callable[[Any], Any]:
    """Update the data source."""
    return lambda n: n.data_sources.update(TASKS_SOURCE, **fields)


def schema(**properties: Any) -> Callable[[Any], Any]:
    """Update columns."""
    return source(properties=properties)


OPEN_DONE = [{"name": "Open"}, {"name": "Done"}]
SOURCE = rf"data_sources\.{TASKS_SOURCE}\.properties"
NEW_DATABASE = (r"databases\.00001001-.*", r"data_sources\.00001002-.*", r"views\.0000100.-.*")

DATABASES = [
    Proof(
        "a new database goes to the trash",
        "notion.databases.create",
        lambda n: n.databases.create(
            parent={"type": "page_id", "page_id": TEAM},
            title=text("Assets"),
            initial_data_source={"properties": {"Name": {"title": {}}}},
        ),
        COMPENSATED,
        NEW_DATABASE,
        asynchronous=True,
    ),
    Proof(
        "title, description and flags of a database come back",
        "notion.databases.update",
        database(title=text("To do"), description=text("All of it"), is_inline=True, is_locked=True),
        asynchronous=True,
    ),
    Proof(
        "the icon of a database comes back",
        "notion.databases.update",
        database(icon={"emoji": "✅"}, cover={"external": {"url": "https://x.example/b.png"}}),
        prepare=database(icon={"emoji": "📋"}, cover={"external": {"url": "https://x.example/a.png"}}),
    ),
    Proof(
        "a moved database comes back, perhaps elsewhere",
        "notion.databases.update",
        database(parent={"type": "page_id", "page_id": TEAM}),
        COMPENSATED,
        ORDER,
    ),
    Proof(
        "a trashed database comes back, perhaps elsewhere",
        "notion.databases.update",
        database(in_trash=True),
        COMPENSATED,
        ORDER,
    ),
    Proof(
        "a new data source goes to the trash",
        "notion.data_sources.create",
        lambda n: n.data_sources.create(
            parent={"database_id": TASKS}, properties={"Name": {"title": {}}}, title=text("More")
        ),
        COMPENSATED,
        (r"data_sources\.00001001-.*", rf"databases\.{TASKS}\.sources.*"),
    ),
    Proof("the title of a data source comes back", "notion.data_sources.update", source(title=text("Chores"))),
    Proof("a trashed data source comes back", "notion.data_sources.update", source(in_trash=True)),
    Proof(
        "a renamed column gets its name back, and its values stay",
        "notion.data_sources.update",
        schema(Status={"name": "State"}),
        asynchronous=True,
    ),
    Proof(
        "a format comes back",
        "notion.data_sources.update",
        schema(Priority={"number": {"format": "percent"}}),
    ),
    Proof(
        "a new option goes again",
        "notion.data_sources.update",
        schema(Status={"select": {"options": [*OPEN_DONE, {"name": "Stuck", "color": "red"}]}}),
    ),
    Proof(
        "an option that was left out comes back, without the rows that had it",
        "notion.data_sources.update",
        schema(Status={"select": {"options": [{"name": "Open"}]}}),
        COMPENSATED,
        (rf"pages\.{ROWS[1]}\.values\.stat",),
    ),
    Proof(
        "a new column goes again",
        "notion.data_sources.update",
        schema(Cost={"number": {"format": "euro"}}),
        COMPENSATED,
    ),
    Proof(
        "a column gets its type back, without the values",
        "notion.data_sources.update",
        schema(Priority={"rich_text": {}}),
        COMPENSATED,
        (r"pages\..*\.values\.p1",),
    ),
    Proof(
        "a removed column is made again, empty",
        "notion.data_sources.update+drop",
        schema(Due=None, Status={"name": "State"}),
        COMPENSATED,
        (rf"{SOURCE}\.due", rf"{SOURCE}\.[0-9a-f%A]+", r"pages\..*\.values\.due"),
        asynchronous=True,
    ),
]

BESIDE = [
    Proof(
        "a comment is deleted",
        "notion.comments.create",
        lambda n: n.comments.create(parent={"page_id": HANDBOOK}, rich_text=text("Looks good")),
        COMPENSATED,
        asynchronous=True,
    ),
    Proof(
        "a reply is deleted, and the discussion stays",
        "notion.comments.create",
        lambda n: n.comments.create(discussion_id=THREAD, rich_text=text("It is")),
        COMPENSATED,
    ),
    Proof(
        "the text of a comment comes back",
        "notion.comments.update",
        lambda n: n.comments.update(REMARK, rich_text=text("Never mind")),
        asynchronous=True,
    ),
    Proof(
        "a deleted comment is said again",
        "notion.comments.delete",
        lambda n: n.comments.delete(REMARK),
        COMPENSATED,
        (r"comments\..*",),
    ),
    Proof(
        "a new view is deleted",
        "notion.views.create",
        lambda n: n.views.create(database_id=TASKS, data_source_id=TASKS_SOURCE, name="Mine", type="list"),
        asynchronous=True,
    ),
    Proof(
        "a linked database that was made for a view goes to the trash",
        "notion.views.create",
        lambda n: n.views.create(
            create_database={"parent": {"type": "page_id", "page_id": TEAM}},
            data_source_id=TASKS_SOURCE,
            name="Here",
            type="table",
        ),
        COMPENSATED,
        (r"databases\.00001001-.*", r"views\.00001002-.*"),
    ),
    Proof(
        "name, filter and sorts of a view come back",
        "notion.views.update",
        lambda n: n.views.update(
            TABLE,
            name="Most",
            filter={"property": "Status", "select": {"equals": "Open"}},
            sorts=[{"property": "Due", "direction": "ascending"}],
        ),
        asynchronous=True,
    ),
    Proof(
        "quick filters come back, by name or by id",
        "notion.views.update",
        lambda n: n.views.update(BOARD, quick_filters={"Status": None, "p1": {"number": {"equals": 1}}}),
    ),
    Proof(
        "all quick filters come back",
        "notion.views.update",
        lambda n: n.views.update(BOARD, quick_filters=None),
    ),
    Proof(
        "the settings of a view come back",
        "notion.views.update",
        lambda n: n.views.update(
            TABLE, configuration={"type": "table", "wrap_cells": True, "properties": [{"property_id": "due"}]}
        ),
    ),
    Proof(
        "a deleted view is made again",
        "notion.views.delete",
        lambda n: n.views.delete(BOARD),
        COMPENSATED,
        (r"views\..*",),
    ),
    Proof(
        "cached results are dropped",
        "notion.views.queries.create",
        lambda n: n.views.queries.create(TABLE),
        asynchronous=True,
    ),
]

ALL = [*PAGES, *BLOCKS, *DATABASES, *BESIDE]
