"""What every part of the Notion stand-in needs: who asks, what a body may hold, ids, times, lists, refusals.

Tokens that begin with `ntn_` or `secret_` belong to the connection's bot; `ntn_colleague` is a person. Ids in the
state's `unshared` are not found, as on Notion, which does not tell what is missing from what was not shared. Those in
its `unindexed` are not shown by queries and searches yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from agentguard.sandbox.notion.seed import ADA, BOT, identifier, workspace
from agentguard.sandbox.server import Incoming, Refuse, Reply, Service

Data = dict[str, Any]
VERSIONS = ("2022-06-28", "2025-09-03", "2026-03-11")
BOOK_KEEPING = ("last_edited_time", "last_edited_by")
HIDDEN = ("counter", "unshared", "unindexed")
KINDS = ("pages", "blocks", "databases", "data_sources")


def error(status: int, code: str, message: str) -> Refuse:
    """The vendor's error: https://developers.notion.com/reference/status-codes."""
    return Refuse(status, {"object": "error", "status": status, "code": code, "message": message})


def invalid(message: str) -> Refuse:
    return error(400, "validation_error", message)


def missing(what: str, which: str) -> Refuse:
    told = f"Could not find {what} with ID: {which}. Make sure the relevant pages and databases are shared with it."
    return error(404, "object_not_found", told)


def only(value: Any, where: str, *allowed: str, required: tuple[str, ...] = ()) -> Data:
    """*value*, if it is an object that holds nothing but *allowed* fields and all *required* ones."""
    if not isinstance(value, dict):
        raise invalid(f"body failed validation: {where} should be an object, instead was `{value!r}`.")
    for name in value:
        if name not in allowed and name not in required:
            raise invalid(f"body failed validation: {where}.{name} should be not present, instead was set.")
    for name in required:
        if name not in value:
            raise invalid(f"body failed validation: {where}.{name} should be defined, instead was `undefined`.")
    return value


def one_of(value: Any, where: str, *allowed: str) -> str:
    """The one of the *allowed* fields that *value* has, `type` aside."""
    only(value, where, "type", *allowed)
    names = [name for name in value if name != "type"]
    if len(names) != 1 or value.get("type", names[0]) != names[0]:
        told = " or ".join(f"{where}.{name}" for name in allowed)
        raise invalid(f"body failed validation: exactly one of {told} should be defined.")
    return str(names[0])


def typed(value: Any, where: str, *kinds: type) -> Any:
    """*value*, if it is of one of these types; true and false are no numbers."""
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise invalid(f"body failed validation: {where} should be {names}, instead was `{value!r}`.")
    return value


class Base(Service):
    """The frame that the topics build on."""

    name = "notion"

    def fresh(self) -> Data:
        return workspace()

    def visible(self) -> Data:
        """The state without times, and without the properties that nobody has filled in."""
        shown = {name: _without_times(part) for name, part in self.state.items() if name not in HIDDEN}
        for page in shown["pages"].values():
            page["values"] = {which: value for which, value in page["values"].items() if value not in (None, False, [])}
        return shown

    def not_found(self, call: Incoming) -> Reply:
        body = {"object": "error", "status": 400, "code": "invalid_request_url", "message": "Invalid request URL."}
        return Reply(400, body)

    def before(self, call: Incoming) -> None:
        token = call.headers.get("authorization", "")
        if call.path.startswith("/v1/oauth/"):
            if not token.startswith("Basic "):
                raise error(401, "unauthorized", "Client authentication failed.")
        elif not token.removeprefix("Bearer ").startswith(("ntn_", "secret_")):
            raise error(401, "unauthorized", "API token is invalid.")
        version = call.headers.get("notion-version")
        if version not in VERSIONS:
            told = f"Notion-Version header should be one of {', '.join(VERSIONS)}, instead was `{version}`."
            raise error(400, "missing_version", told)

    def too_many(self, seconds: int) -> Reply:
        """https://developers.notion.com/reference/request-limits."""
        refused = error(429, "rate_limited", "You have been rate limited. Please try again in a few minutes.")
        return Reply(429, refused.reply.body, {"retry-after": str(seconds)})

    def body(self, call: Incoming, *allowed: str, required: tuple[str, ...] = ()) -> Data:
        """The body, if it holds nothing but *allowed* fields and all *required* ones."""
        if call.raw and call.body is None:
            raise error(400, "invalid_json", "Error parsing JSON body.")
        return only(call.body or {}, "body", *allowed, required=required)

    # Who and when

    def me(self, call: Incoming) -> str:
        return ADA if call.headers.get("authorization", "").endswith("ntn_colleague") else BOT

    def now(self) -> str:
        """The time by the minute, as Notion rounds it."""
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:00.000Z")

    def stamp(self, call: Incoming) -> Data:
        """What every new thing has."""
        who, when = {"object": "user", "id": self.me(call)}, self.now()
        return {"created_time": when, "last_edited_time": when, "created_by": who, "last_edited_by": dict(who)}

    def touch(self, call: Incoming, thing: Data, kind: str, **details: Any) -> None:
        """Put on record that something was changed."""
        thing["last_edited_time"] = self.now()
        thing["last_edited_by"] = {"object": "user", "id": self.me(call)}
        self.effect(kind, id=thing["id"], **details)

    def new_id(self) -> str:
        self.state["counter"] += 1
        return identifier(self.state["counter"])

    # Finding things

    def find(self, kind: str, which: Any, where: str = "path") -> Data:
        """The thing of that id, with dashes or without."""
        try:
            known = str(UUID(str(which)))
        except ValueError:
            raise invalid(f"{where} failed validation: the id should be a valid uuid, instead was `{which}`.") from None
        found: Data | None = self.state[kind].get(known)
        if found is None or known in self.state["unshared"]:
            raise missing(kind.rstrip("s"), known)
        return found

    def node(self, which: Any, where: str = "path") -> Data:
        """The page, block or database of that id."""
        for kind in ("pages", "databases"):
            if str(which).replace("-", "") in {known.replace("-", "") for known in self.state[kind]}:
                return self.find(kind, which, where)
        return self.find("blocks", which, where)

    def parent_of(self, thing: Data) -> Data | None:
        """The page or block in whose children this is; None for a row and for the top of the workspace."""
        parent = thing["parent"]
        if parent["type"] in ("page_id", "block_id"):
            known: Data = self.state["pages" if parent["type"] == "page_id" else "blocks"][parent[parent["type"]]]
            return known
        return None

    def trashed(self, thing: Data) -> bool:
        """Whether this or what it is inside of is in the trash."""
        above = self.parent_of(thing)
        return bool(thing["in_trash"] or (above is not None and self.trashed(above)))

    def editable(self, thing: Data) -> None:
        if self.trashed(thing):
            raise invalid("Can't edit block that is archived. You must unarchive the block before editing.")

    def set_trash(self, call: Incoming, thing: Data, asked: Any) -> None:
        """Put something into the trash or take it out; what comes out stands last among its siblings."""
        typed(asked, "body.in_trash", bool)
        if asked == thing["in_trash"]:
            return
        above = self.parent_of(thing)
        if above is not None and asked:
            above["children"].remove(thing["id"])
        elif above is not None:
            self.editable(above)
            above["children"].append(thing["id"])
        thing["in_trash"] = asked
        self.touch(call, thing, "trashed" if asked else "restored")

    def asked_for_trash(self, call: Incoming, body: Data) -> Any:
        """What a call says about the trash. `archived` was removed from the API with version 2026-03-11."""
        if "archived" in body and call.headers["notion-version"] >= "2026-03-11":
            raise invalid("body failed validation: body.archived should be not present, instead was set.")
        return body.get("in_trash", body.get("archived"))

    # Answering

    def outside(self, thing: Data) -> Data:
        """What every object shows of itself."""
        hidden = ("children", "values", "content")
        shown = {name: value for name, value in thing.items() if name not in hidden}
        if "in_trash" in thing:
            shown["in_trash"] = shown["archived"] = self.trashed(thing)
        return shown

    def indexed(self, things: Iterable[Data]) -> list[Data]:
        """Those of *things* that queries and searches show already."""
        return [one for one in things if one["id"] not in self.state.get("unindexed", ())]

    def listed(self, call: Incoming, items: list[Data], kind: str) -> Reply:
        """One page of a list; the cursor is the id of the first item of the next one."""
        asked = {**call.query, **(call.body if isinstance(call.body, dict) else {})}
        size = int(asked.get("page_size", 100))
        if not 1 <= size <= 100:
            raise invalid("body failed validation: page_size should be ≤ `100`.")
        ids = [item["id"] for item in items]
        cursor = asked.get("start_cursor")
        if cursor is not None and cursor not in ids:
            raise invalid("The start_cursor provided is invalid.")
        start = ids.index(cursor) if cursor else 0
        rest = items[start + size :]
        after = {"next_cursor": rest[0]["id"] if rest else None, "has_more": bool(rest)}
        return Reply(200, {"object": "list", "results": items[start : start + size], **after, "type": kind, kind: {}})


def _without_times(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    return {
        name: {n: v for n, v in thing.items() if n not in BOOK_KEEPING} if isinstance(thing, dict) else thing
        for name, thing in part.items()
    }
