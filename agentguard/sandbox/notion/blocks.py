"""Blocks and their children: https://developers.notion.com/reference/block."""

from __future__ import annotations

from typing import Any

from agentguard.sandbox.notion import texts
from agentguard.sandbox.notion.base import Base, Data, invalid, one_of, only, typed
from agentguard.sandbox.server import Incoming, Reply, route

TEXTUAL = ("rich_text", "color", "children")
CONTENT: dict[str, tuple[str, ...]] = {
    "paragraph": (*TEXTUAL, "icon"),
    **{f"heading_{level}": (*TEXTUAL, "is_toggleable") for level in (1, 2, 3, 4)},
    "bulleted_list_item": TEXTUAL,
    "numbered_list_item": TEXTUAL,
    "quote": TEXTUAL,
    "toggle": TEXTUAL,
    "template": ("rich_text", "children"),
    "to_do": (*TEXTUAL, "checked"),
    "callout": (*TEXTUAL, "icon"),
    "code": ("rich_text", "caption", "language"),
    "equation": ("expression",),
    "embed": ("url", "caption"),
    "bookmark": ("url", "caption"),
    "image": ("type", "external", "file_upload", "caption"),
    "video": ("type", "external", "file_upload", "caption"),
    "pdf": ("type", "external", "file_upload", "caption"),
    "audio": ("type", "external", "file_upload", "caption"),
    "file": ("type", "external", "file_upload", "caption", "name"),
    "divider": (),
    "breadcrumb": (),
    "tab": (),
    "table_of_contents": ("color",),
    "link_to_page": ("type", "page_id", "database_id", "comment_id"),
    "synced_block": ("synced_from", "children"),
    "table": ("table_width", "has_column_header", "has_row_header", "children"),
    "table_row": ("cells",),
    "column_list": ("children",),
    "column": ("width_ratio", "children"),
}
"""https://developers.notion.com/reference/block#block-type-objects"""
MEDIA = ("image", "video", "pdf", "audio", "file")
PREFIXES = {"heading_1": "# ", "heading_2": "## ", "heading_3": "### ", "bulleted_list_item": "- ", "quote": "> "}


class Blocks(Base):
    """The tree of blocks, in which pages and databases stand too."""

    def show_block(self, node: Data) -> Data:
        """A node of the tree, seen as a block."""
        outside = self.outside(node)
        names = (
            "id",
            "parent",
            "created_time",
            "last_edited_time",
            "created_by",
            "last_edited_by",
            "in_trash",
            "archived",
        )
        shown = {"object": "block", **{n: outside[n] for n in names if n in outside}}
        shown["has_children"] = bool(node["children"])
        if node["object"] == "page":
            return {
                **shown,
                "type": "child_page",
                "child_page": {"title": texts.plain(node["values"].get("title", []))},
            }
        if node["object"] == "database":
            return {**shown, "type": "child_database", "child_database": {"title": texts.plain(node["title"])}}
        return {**shown, "type": node["type"], node["type"]: node["content"]}

    def content(self, kind: str, given: Any, where: str) -> Data:
        """What a block holds, as it is kept; only the fields that *given* has."""
        only(given, where, *CONTENT[kind])
        kept: Data = {}
        for name, value in given.items():
            at = f"{where}.{name}"
            if name in ("rich_text", "caption"):
                kept[name] = texts.rich_text(value, at)
            elif name == "cells":
                kept[name] = [texts.rich_text(cell, at) for cell in typed(value, at, list)]
            elif name == "icon":
                kept[name] = texts.icon(value, at, self.state["file_uploads"])
            elif name in ("checked", "is_toggleable", "has_column_header", "has_row_header"):
                kept[name] = typed(value, at, bool)
            elif name not in ("children", "type", "external", "file_upload", "page_id", "database_id", "comment_id"):
                kept[name] = value
        source = {name: given[name] for name in ("external", "file_upload") if name in given}
        if kind in MEDIA and source:
            kept |= texts.file(source, where, self.state["file_uploads"]) or {}
        if kind == "link_to_page":
            target = one_of(given, where, "page_id", "database_id", "comment_id")
            kept |= {"type": target, target: texts.uuid(given[target], where)}
        return kept

    def defaults(self, kind: str) -> Data:
        """What Notion fills in."""
        known = CONTENT[kind]
        values: Data = {"rich_text": [], "color": "default", "caption": [], "checked": False, "is_toggleable": False}
        values |= {"has_column_header": False, "has_row_header": False, "language": "plain text"}
        filled = {name: value for name, value in values.items() if name in known}
        return filled | ({"icon": None} if kind == "callout" else {})

    def grow(self, call: Incoming, parent: Data, children: Any, where: str, depth: int = 0) -> list[str]:
        """Make blocks below *parent*, last among its children, and return their ids."""
        if len(typed(children, where, list)) > 100:
            raise invalid(f"body failed validation: {where}.length should be ≤ `100`.")
        if children and depth > 2:
            raise invalid(f"body failed validation: {where} is nested too deeply.")
        made = []
        for at, given in enumerate(children):
            here = f"{where}[{at}]"
            kind = one_of(
                {n: v for n, v in only(given, here, "object", "type", *CONTENT).items() if n != "object"},
                here,
                *CONTENT,
            )
            if "rich_text" in CONTENT[kind] and "rich_text" not in given[kind]:
                raise invalid(f"body failed validation: {here}.{kind}.rich_text should be defined.")
            content = {**self.defaults(kind), **self.content(kind, given[kind], f"{here}.{kind}")}
            key = f"{parent['object']}_id"
            outside = {"object": "block", "id": self.new_id(), "parent": {"type": key, key: parent["id"]}}
            block = {**outside, **self.stamp(call), "in_trash": False, "type": kind, "content": content, "children": []}
            self.state["blocks"][block["id"]] = block
            parent["children"].append(block["id"])
            self.grow(call, block, given[kind].get("children") or [], f"{here}.{kind}.children", depth + 1)
            made.append(block["id"])
        return made

    def insert(self, parent: Data, ids: list[str], position: Any, after: Any) -> None:
        """Put *ids* where they belong among the children of *parent*: at the end, unless something else is said."""
        place = len(parent["children"])
        if position is not None:
            kind = typed(position, "body.position", dict).get("type")
            if kind == "after_block":
                after = only(position["after_block"], "body.position.after_block", required=("id",))["id"]
            elif kind in ("start", "page_start"):
                place = 0
            elif kind not in ("end", "page_end"):
                raise invalid("body failed validation: body.position.type should be `after_block`, `start` or `end`.")
        if after is not None:
            which = texts.uuid(after, "body.after")
            if which not in parent["children"]:
                raise invalid(f"body failed validation: {which} is not a child of the parent block.")
            place = parent["children"].index(which) + 1
        parent["children"][place:place] = ids

    @route("GET", "/v1/blocks/{block_id}")
    def get_block(self, call: Incoming) -> Reply:
        return Reply(200, self.show_block(self.node(call["block_id"])))

    @route("GET", "/v1/blocks/{block_id}/children")
    def get_children(self, call: Incoming) -> Reply:
        ids = self.node(call["block_id"])["children"]
        return self.listed(call, [self.show_block(self.node(which)) for which in ids], "block")

    def edited(self, call: Incoming, node: Data) -> None:
        """Note on a page who edited its content."""
        while node["object"] == "block" and node["parent"].get("type") in ("block_id", "page_id"):
            node = self.node(node["parent"][node["parent"]["type"]])
        if node["object"] == "page":
            node["last_edited_time"], node["last_edited_by"] = self.now(), {"object": "user", "id": self.me(call)}

    @route("PATCH", "/v1/blocks/{block_id}/children")
    def append_children(self, call: Incoming) -> Reply:
        body = self.body(call, "after", "position", required=("children",))
        parent = self.node(call["block_id"])
        self.editable(parent)
        made = self.grow(call, parent, body["children"], "body.children")
        if made:
            del parent["children"][-len(made) :]
        self.insert(parent, made, body.get("position"), body.get("after"))
        self.edited(call, parent)
        self.effect("blocks appended", ids=made)
        return self.listed(call, [self.show_block(self.node(which)) for which in made], "block")

    @route("PATCH", "/v1/blocks/{block_id}")
    def update_block(self, call: Incoming) -> Reply:
        body = self.body(call, "type", "archived", "in_trash", *CONTENT)
        block = self.find("blocks", call["block_id"])
        trash = self.asked_for_trash(call, body)
        if trash is False:
            self.set_trash(call, block, False)
        kinds = [name for name in body if name in CONTENT]
        if kinds:
            self.editable(block)
            if kinds != [block["type"]] or body.get("type", block["type"]) != block["type"]:
                raise invalid(f"Block type cannot be changed: it is {block['type']}.")
            new = self.content(block["type"], body[kinds[0]], f"body.{kinds[0]}")
            if "type" in new:
                for name in ("external", "file", "page_id", "database_id", "comment_id"):
                    block["content"].pop(name, None)
            block["content"].update(new)
        if trash:
            self.set_trash(call, block, True)
        self.touch(call, block, "block updated", fields=sorted(body))
        return Reply(200, self.show_block(block))

    @route("DELETE", "/v1/blocks/{block_id}")
    def delete_block(self, call: Incoming) -> Reply:
        node = self.node(call["block_id"])
        self.editable(node)
        self.set_trash(call, node, True)
        return Reply(200, self.show_block(node))

    # Markdown, as far as a stand-in needs it

    def line(self, node: Data) -> str:
        """A block as a line."""
        if node["object"] != "block":
            return f'<{node["object"]} id="{node["id"]}"/>'
        kind, content = node["type"], node["content"]
        words = texts.plain(content.get("rich_text", []))
        if kind == "to_do":
            return f"- [{'x' if content['checked'] else ' '}] {words}"
        return "---" if kind == "divider" else PREFIXES.get(kind, "") + words

    def parse(self, markdown: str) -> list[Data]:
        """Lines as blocks."""
        blocks: list[Data] = []
        for line in typed(markdown, "markdown", str).split("\n"):
            kind, words, more = "paragraph", line, {}
            if line.startswith(("- [ ] ", "- [x] ")):
                kind, words, more = "to_do", line[6:], {"checked": line[3] == "x"}
            elif line == "---":
                blocks.append({"divider": {}})
                continue
            else:
                for name, prefix in PREFIXES.items():
                    if line.startswith(prefix):
                        kind, words = name, line[len(prefix) :]
            content = [{"text": {"content": words}}] if words else []
            blocks.append({kind: {"rich_text": content, **more}})
        return blocks

    def erase(self, call: Incoming, page: Data) -> None:
        """Put all the content of a page into the trash."""
        for which in list(page["children"]):
            self.set_trash(call, self.node(which), True)

    def rewrite(self, call: Incoming, page: Data, markdown: str, *, allow: bool) -> None:
        """Replace the content of a page. Child pages stay; everything else is made anew."""
        old = [(self.line(self.node(which)), which) for which in page["children"]]
        lines = markdown.split("\n") if markdown else []
        inside = {line: which for line, which in old if which not in self.state["blocks"]}
        if not allow and any(line not in lines for line in inside):
            raise invalid("This would delete child pages or databases; set allow_deleting_content.")
        for line, which in old:
            if line not in inside or line not in lines:
                self.set_trash(call, self.node(which), True)
        order: list[str] = []
        for line in lines:
            order += [inside[line]] if line in inside else self.grow(call, page, self.parse(line), "markdown")
        page["children"] = order
