"""Pages: https://developers.notion.com/reference/page."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from agentguard.sandbox.notion import columns, texts
from agentguard.sandbox.notion.base import Data, invalid, missing, one_of, only, typed
from agentguard.sandbox.notion.blocks import Blocks
from agentguard.sandbox.server import Incoming, Reply, route

TITLE: Data = {"id": "title", "name": "title", "description": None, "type": "title", "title": {}}


class Pages(Blocks):
    """Pages, below other pages or as rows of a data source."""

    def columns_of(self, page: Data) -> dict[str, Data]:
        """The columns that a page has values for, by id."""
        parent = page["parent"]
        if parent["type"] != "data_source_id":
            return {"title": TITLE}
        source: Data = self.state["data_sources"][parent["data_source_id"]]
        known: dict[str, Data] = source["properties"]
        return known

    def show_page(self, page: Data) -> Data:
        kept = page["values"]
        properties = {
            config["name"]: columns.shown(kept.get(which, columns.blank(config["type"])), config, page)
            for which, config in self.columns_of(page).items()
        }
        return {**self.outside(page), "properties": properties, "url": f"https://www.notion.so/{page['id']}"}

    def place(self, parent: Any, *kinds: str) -> Data:
        """A parent as a page shows it."""
        kind = one_of(parent, "body.parent", *kinds)
        if kind == "workspace":
            return {"type": kind, "workspace": True}
        if kind == "database_id":
            database = self.find("databases", parent[kind], "body.parent.database_id")
            parent, kind = {"data_source_id": database["sources"][0]}, "data_source_id"
        if kind == "data_source_id":
            source = self.find("data_sources", parent[kind], "body.parent.data_source_id")
            return {"type": kind, kind: source["id"], "database_id": source["parent"]["database_id"]}
        page = self.find("pages", parent[kind], "body.parent.page_id")
        self.editable(page)
        return {"type": kind, kind: page["id"]}

    def set_values(self, page: Data, given: Any) -> None:
        """Write the properties that a body names by name or id."""
        known = self.columns_of(page)
        for key, value in only(given, "body.properties", *given).items():
            found = [which for which, one in known.items() if key in (one["name"], which) or unquote(which) == key]
            if not found:
                raise invalid(f"{key} is not a property that exists.")
            where = f"body.properties.{key}"
            uploads = self.state["file_uploads"]
            page["values"][found[0]] = columns.value(value, known[found[0]], where, uploads, self.new_id)

    def set_outside(self, thing: Data, body: Data) -> None:
        """Write icon, cover and lock, as far as the body has them."""
        uploads = self.state["file_uploads"]
        if "icon" in body:
            thing["icon"] = texts.icon(body["icon"], "body.icon", uploads)
        if "cover" in body:
            thing["cover"] = texts.file(body["cover"], "body.cover", uploads)
        if "is_locked" in body:
            thing["is_locked"] = typed(body["is_locked"], "body.is_locked", bool)

    @route("POST", "/v1/pages")
    def create_page(self, call: Incoming) -> Reply:
        body = self.body(
            call, "properties", "icon", "cover", "content", "children", "markdown", "template", "position", "parent"
        )
        parent = self.place(
            body.get("parent") or {"workspace": True}, "page_id", "database_id", "data_source_id", "workspace"
        )
        outside = {"in_trash": False, "is_locked": False, "icon": None, "cover": None, "public_url": None}
        page = {"object": "page", "id": self.new_id(), "parent": parent, **self.stamp(call), **outside}
        page |= {"children": [], "values": {}}
        self.set_values(page, body.get("properties", {}))
        self.set_outside(page, body)
        self.state["pages"][page["id"]] = page
        if parent["type"] == "page_id":
            above = self.state["pages"][parent["page_id"]]
            self.insert(above, [page["id"]], body.get("position"), None)
        children = body.get("children", body.get("content")) or []
        if body.get("markdown") is not None:
            if children:
                raise invalid("body failed validation: body.markdown and body.children cannot both be set.")
            children = self.parse(body["markdown"])
        self.grow(call, page, children, "body.children")
        self.effect("page created", id=page["id"])
        return Reply(200, self.show_page(page))

    @route("GET", "/v1/pages/{page_id}")
    def get_page(self, call: Incoming) -> Reply:
        return Reply(200, self.show_page(self.find("pages", call["page_id"])))

    @route("PATCH", "/v1/pages/{page_id}")
    def update_page(self, call: Incoming) -> Reply:
        body = self.body(
            call, "properties", "icon", "cover", "is_locked", "template", "erase_content", "archived", "in_trash"
        )
        page = self.find("pages", call["page_id"])
        trash = self.asked_for_trash(call, body)
        if trash is False:
            self.set_trash(call, page, False)
        if set(body) - {"in_trash", "archived"}:
            self.editable(page)
        self.set_values(page, body.get("properties", {}))
        self.set_outside(page, body)
        if body.get("erase_content"):
            self.erase(call, page)
        if trash:
            self.set_trash(call, page, True)
        self.touch(call, page, "page updated", fields=sorted(body))
        return Reply(200, self.show_page(page))

    @route("POST", "/v1/pages/{page_id}/move")
    def move_page(self, call: Incoming) -> Reply:
        body = self.body(call, required=("parent",))
        page = self.find("pages", call["page_id"])
        self.editable(page)
        parent = self.place(body["parent"], "page_id", "data_source_id")
        old, old_columns = self.parent_of(page), self.columns_of(page)
        if old is not None:
            old["children"].remove(page["id"])
        values = {
            old_columns[w]["name"]: (old_columns[w]["type"], v) for w, v in page["values"].items() if w != "title"
        }
        page["parent"] = parent
        kept = {"title": page["values"].get("title", [])}
        for which, config in self.columns_of(page).items():
            kind, value = values.get(config["name"], (None, None))
            if kind == config["type"] and kind not in ("select", "status", "multi_select"):
                kept[which] = value
        page["values"] = kept
        if parent["type"] == "page_id":
            self.state["pages"][parent["page_id"]]["children"].append(page["id"])
        self.touch(call, page, "page moved")
        return Reply(200, self.show_page(page))

    @route("GET", "/v1/pages/{page_id}/properties/{property_id}")
    def get_property(self, call: Incoming) -> Reply:
        page = self.find("pages", call["page_id"])
        config = next((c for w, c in self.columns_of(page).items() if unquote(w) == call["property_id"]), None)
        if config is None:
            raise missing("property", call["property_id"])
        kind = config["type"]
        kept = page["values"].get(config["id"], columns.blank(kind))
        item = columns.shown(kept, config, page, whole=True)
        if kind not in ("title", "rich_text", "people", "relation"):
            return Reply(200, {"object": "property_item", **item})
        entries = [
            {"object": "property_item", "id": str(at), "type": kind, kind: one} for at, one in enumerate(item[kind])
        ]
        answer = self.listed(call, entries, "property_item")
        answer.body["property_item"] = {"id": config["id"], "next_url": None, "type": kind, kind: {}}
        return answer

    # Markdown: https://developers.notion.com/reference/update-page-markdown

    def show_markdown(self, page: Data) -> Reply:
        lines = [self.line(self.node(which)) for which in page["children"]]
        told = {"markdown": "\n".join(lines), "truncated": False, "unknown_block_ids": []}
        return Reply(200, {"object": "page_markdown", "id": page["id"], **told})

    @route("GET", "/v1/pages/{page_id}/markdown")
    def get_markdown(self, call: Incoming) -> Reply:
        return self.show_markdown(self.find("pages", call["page_id"]))

    @route("PATCH", "/v1/pages/{page_id}/markdown")
    def update_markdown(self, call: Incoming) -> Reply:
        commands = ("insert_content", "replace_content", "update_content")
        body = self.body(call, "type", *commands)
        command = one_of(body, "body", *commands)
        page = self.find("pages", call["page_id"])
        self.editable(page)
        old = str(self.show_markdown(page).body["markdown"])
        where = f"body.{command}"
        if command == "insert_content":
            given = only(body[command], where, "after", "position", required=("content",))
            first = (given.get("position") or {}).get("type") == "start"
            new = "\n".join(filter(None, [given["content"], old] if first else [old, given["content"]]))
        elif command == "replace_content":
            given = only(body[command], where, "allow_deleting_content", required=("new_str",))
            new = typed(given["new_str"], f"{where}.new_str", str)
        else:
            given = only(body[command], where, "allow_deleting_content", required=("content_updates",))
            new = old
            for one in given["content_updates"]:
                only(one, where, "replace_all_matches", required=("old_str", "new_str"))
                if new.count(one["old_str"]) < 1:
                    raise invalid(f"No match found for: {one['old_str']}")
                new = new.replace(one["old_str"], one["new_str"])
        self.rewrite(call, page, new, allow=bool(given.get("allow_deleting_content")))
        self.touch(call, page, "markdown updated", command=command)
        return self.show_markdown(page)
