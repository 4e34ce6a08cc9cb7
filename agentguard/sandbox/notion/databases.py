"""Databases and data sources: https://developers.notion.com/reference/database."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from agentguard.sandbox.notion import columns, texts
from agentguard.sandbox.notion.base import Data, invalid, one_of, only, typed
from agentguard.sandbox.notion.pages import Pages
from agentguard.sandbox.server import Incoming, Reply, route

CONDITIONS = ("equals", "does_not_equal", "contains", "is_empty", "is_not_empty", "on_or_after", "on_or_before")


class Databases(Pages):
    """Databases, which are containers, and data sources, which have the columns and rows."""

    def show_database(self, database: Data) -> Data:
        sources = [self.state["data_sources"][which] for which in database["sources"]]
        listed = [{"id": one["id"], "name": texts.plain(one["title"])} for one in sources if not one["in_trash"]]
        shown = {name: value for name, value in self.outside(database).items() if name != "sources"}
        return {**shown, "data_sources": listed, "url": f"https://www.notion.so/{database['id']}"}

    def show_source(self, source: Data) -> Data:
        database = self.state["databases"][source["parent"]["database_id"]]
        schema = {one["name"]: one for one in source["properties"].values()}
        return {**self.outside(source), "properties": schema, "database_parent": database["parent"]}

    def new_source(self, call: Incoming, database: Data, properties: Any, title: list[Data]) -> Data:
        outside = {"object": "data_source", "id": self.new_id(), "title": title, "description": [], **self.stamp(call)}
        flags = {"in_trash": False, "icon": None, "cover": None, "is_inline": database["is_inline"], "public_url": None}
        parent = {"type": "database_id", "database_id": database["id"]}
        source: Data = {**outside, **flags, "parent": parent, "properties": {}}
        given = {"Name": {"title": {}}} if properties is None else typed(properties, "body.properties", dict)
        for name, config in given.items():
            made = columns.column(config, name, f"body.properties.{name}", self.new_id)
            source["properties"][made["id"]] = made
        if "title" not in source["properties"]:
            raise invalid("Title is not provided")
        self.state["data_sources"][source["id"]] = source
        database["sources"].append(source["id"])
        return source

    @route("POST", "/v1/databases")
    def create_database(self, call: Incoming) -> Reply:
        body = self.body(
            call, "title", "description", "is_inline", "initial_data_source", "icon", "cover", required=("parent",)
        )
        parent = self.place(body["parent"], "page_id", "workspace")
        words = {n: texts.rich_text(body.get(n, []), f"body.{n}") for n in ("title", "description")}
        flags = {"in_trash": False, "is_locked": False, "icon": None, "cover": None, "public_url": None}
        database: Data = {
            "object": "database",
            "id": self.new_id(),
            "parent": parent,
            **words,
            **self.stamp(call),
            **flags,
        }
        database |= {"is_inline": body.get("is_inline", False), "sources": [], "children": []}
        self.set_outside(database, body)
        first = only(body.get("initial_data_source", {}), "body.initial_data_source", "properties")
        self.state["databases"][database["id"]] = database
        source = self.new_source(call, database, first.get("properties"), words["title"])
        view = self.new_view(call, source, database["id"], {"name": "Table", "type": "table"})
        if parent["type"] == "page_id":
            self.state["pages"][parent["page_id"]]["children"].append(database["id"])
        self.effect("database created", id=database["id"], view=view["id"])
        return Reply(200, self.show_database(database))

    def new_view(self, call: Incoming, source: Data, database_id: str, given: Data) -> Data:
        """A view of a data source in a database; every database begins with one."""
        parent = {"type": "database_id", "database_id": database_id}
        view = {"object": "view", "id": self.new_id(), "parent": parent, "data_source_id": source["id"]}
        view |= {"filter": None, "sorts": None, "quick_filters": None, **self.stamp(call), **given}
        view.setdefault("configuration", {"type": given["type"]})
        self.state["views"][view["id"]] = view
        return view

    @route("GET", "/v1/databases/{database_id}")
    def get_database(self, call: Incoming) -> Reply:
        return Reply(200, self.show_database(self.find("databases", call["database_id"])))

    @route("PATCH", "/v1/databases/{database_id}")
    def update_database(self, call: Incoming) -> Reply:
        names = ("parent", "title", "description", "is_inline", "icon", "cover", "in_trash", "archived", "is_locked")
        body = self.body(call, *names)
        database = self.find("databases", call["database_id"])
        for name in ("icon", "cover"):
            if name in body and body[name] is None:
                raise invalid(f"body failed validation: body.{name} should be an object, instead was `null`.")
        trash = self.asked_for_trash(call, body)
        if trash is False:
            self.set_trash(call, database, False)
        if set(body) - {"in_trash", "archived"}:
            self.editable(database)
        for name in ("title", "description"):
            if name in body:
                database[name] = texts.rich_text(body[name], f"body.{name}")
        if "is_inline" in body:
            database["is_inline"] = typed(body["is_inline"], "body.is_inline", bool)
        self.set_outside(database, body)
        if "parent" in body:
            old = self.parent_of(database)
            database["parent"] = self.place(body["parent"], "page_id", "workspace")
            new = self.parent_of(database)
            if old is not None:
                old["children"].remove(database["id"])
            if new is not None:
                new["children"].append(database["id"])
        if trash:
            self.set_trash(call, database, True)
        self.touch(call, database, "database updated", fields=sorted(body))
        return Reply(200, self.show_database(database))

    @route("POST", "/v1/data_sources")
    def create_source(self, call: Incoming) -> Reply:
        body = self.body(call, "title", "icon", required=("parent", "properties"))
        one_of(body["parent"], "body.parent", "database_id")
        database = self.find("databases", body["parent"]["database_id"], "body.parent.database_id")
        self.editable(database)
        title = texts.rich_text(body.get("title", []), "body.title")
        source = self.new_source(call, database, body["properties"], title)
        source["icon"] = texts.icon(body.get("icon"), "body.icon", self.state["file_uploads"])
        self.effect("data source created", id=source["id"])
        return Reply(200, self.show_source(source))

    @route("GET", "/v1/data_sources/{data_source_id}")
    def get_source(self, call: Incoming) -> Reply:
        return Reply(200, self.show_source(self.find("data_sources", call["data_source_id"])))

    @route("PATCH", "/v1/data_sources/{data_source_id}")
    def update_source(self, call: Incoming) -> Reply:
        body = self.body(call, "title", "icon", "properties", "in_trash", "archived", "parent")
        source = self.find("data_sources", call["data_source_id"])
        trash = self.asked_for_trash(call, body)
        if trash is not None:
            source["in_trash"] = typed(trash, "body.in_trash", bool)
        if "title" in body:
            source["title"] = texts.rich_text(body["title"], "body.title")
        if "icon" in body:
            source["icon"] = texts.icon(body["icon"], "body.icon", self.state["file_uploads"])
        if "parent" in body:
            one_of(body["parent"], "body.parent", "database_id")
            new = self.find("databases", body["parent"]["database_id"], "body.parent.database_id")
            self.state["databases"][source["parent"]["database_id"]]["sources"].remove(source["id"])
            new["sources"].append(source["id"])
            source["parent"] = {"type": "database_id", "database_id": new["id"]}
        for key, config in typed(body.get("properties", {}), "body.properties", dict).items():
            self.change_column(source, key, config)
        self.touch(call, source, "data source updated", fields=sorted(body))
        return Reply(200, self.show_source(source))

    def change_column(self, source: Data, key: str, config: Any) -> None:
        """https://developers.notion.com/reference/update-data-source-properties."""
        known = source["properties"]
        where = f"body.properties.{key}"
        which = next((w for w, one in known.items() if key in (one["name"], w) or unquote(w) == key), None)
        if config is None:
            if which is None:
                raise invalid(f"{key} is not a property that exists.")
            if which == "title":
                raise invalid("The title property cannot be removed.")
            del known[which]
            for page in self.rows(source):
                page["values"].pop(which, None)
            return
        if which is None:
            made = columns.column(config, config.get("name", key), where, self.new_id)
            known[made["id"]] = made
            return
        old = known[which]
        name = typed(config.get("name", old["name"]), f"{where}.name", str)
        if any(one["name"] == name for w, one in known.items() if w != which):
            raise invalid(f"There is a property called {name} already.")
        if set(config) <= {"name"}:
            old["name"] = name
            return
        new = columns.column(config, name, where, self.new_id, old)
        if new["type"] != old["type"]:
            for page in self.rows(source):
                page["values"].pop(which, None)
        known[which] = new
        if "options" in columns.SETTINGS[new["type"]]:
            left = {one["id"] for one in new[new["type"]]["options"]}
            for page in self.rows(source):
                kept = page["values"].get(which)
                if isinstance(kept, list):
                    page["values"][which] = [one for one in kept if one in left]
                elif kept is not None and kept not in left:
                    page["values"][which] = None

    def rows(self, source: Data) -> list[Data]:
        return [page for page in self.state["pages"].values() if page["parent"].get("data_source_id") == source["id"]]

    @route("POST", "/v1/data_sources/{data_source_id}/query")
    def query_source(self, call: Incoming) -> Reply:
        names = ("sorts", "filter", "start_cursor", "page_size", "archived", "in_trash", "result_type")
        body = self.body(call, *names)
        source = self.find("data_sources", call["data_source_id"])
        trash = bool(self.asked_for_trash(call, body))
        rows = [self.show_page(page) for page in self.indexed(self.rows(source)) if self.trashed(page) == trash]
        if body.get("filter") is not None:
            rows = [row for row in rows if matches(row, body["filter"])]
        return self.listed(call, rows, "page_or_data_source")

    @route("GET", "/v1/data_sources/{data_source_id}/templates")
    def list_templates(self, call: Incoming) -> Reply:
        self.find("data_sources", call["data_source_id"])
        return Reply(200, {"templates": [], "has_more": False, "next_cursor": None})


def matches(row: Data, condition: Any) -> bool:
    """Whether a row passes a filter: https://developers.notion.com/reference/filter-data-source-entries."""
    typed(condition, "body.filter", dict)
    for name, together in (("and", all), ("or", any)):
        if name in condition:
            return bool(together(matches(row, one) for one in condition[name]))
    if "timestamp" in condition:
        when = condition["timestamp"]
        if when not in ("created_time", "last_edited_time"):
            raise invalid(
                "body failed validation: body.filter.timestamp should be `created_time` or `last_edited_time`."
            )
        return _passes(row[when][:19], {n: v[:19] for n, v in condition[when].items()})
    shown = row["properties"].get(condition.get("property"))
    if shown is None:
        raise invalid(f"Could not find property with name or id: {condition.get('property')}")
    kind = shown["type"]
    if kind not in condition:
        raise invalid(f"body failed validation: body.filter.{kind} should be defined, instead was `undefined`.")
    value = shown[kind]
    if kind in ("title", "rich_text"):
        value = texts.plain(value)
    elif isinstance(value, dict):
        value = value.get("name", value.get("start"))
    elif isinstance(value, list):
        value = [one.get("name", one.get("id")) for one in value]
    return _passes(value, condition[kind])


def _passes(value: Any, tests: Data) -> bool:
    only(tests, "body.filter", *CONDITIONS)
    known: dict[str, Callable[[Any], bool]] = {
        "equals": lambda asked: value == asked,
        "does_not_equal": lambda asked: value != asked,
        "contains": lambda asked: asked in (value or ""),
        "is_empty": lambda _asked: value in (None, "", []),
        "is_not_empty": lambda _asked: value not in (None, "", []),
        "on_or_after": lambda asked: value is not None and value >= asked,
        "on_or_before": lambda asked: value is not None and value <= asked,
    }
    return all(known[name](asked) for name, asked in tests.items())
