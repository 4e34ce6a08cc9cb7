"""Comments: https://developers.notion.com/reference/comment-object. A connection edits and deletes only its own."""

from __future__ import annotations

from agentguard.calls import ABSENT, Call, Effect, Finder, Handler, Json, Read, Risk, forward, no_undo, read, undo
from agentguard_connectors.notion import shapes, views
from agentguard_connectors.notion.blocks import beyond, joined, ours
from agentguard_connectors.notion.codec import INSIDE
from agentguard_connectors.notion.pages import as_shown
from agentguard_connectors.notion.service import NOTIFIED, notion


def above(parent: dict[str, Json]) -> str:
    """The page or block that is commented on."""
    return str(parent[parent["type"]])


def list_on(identifier: str) -> Read:
    """Read the open discussions on a page or block."""
    return read("comments.list", block_id=identifier, page_size=100)


@notion.guards("comments.create", effect=Effect.COMPENSABLE, remains=NOTIFIED)
def create(discussion_id: str | None) -> Handler:
    """Comment on a page, a block or in a discussion; the comment is deleted, unless somebody has replied to it.

    With the first comment of a discussion its replies are deleted too, so that the whole discussion is looked at.
    """
    made = yield forward()
    delete = undo("comments.delete", comment_id=made["id"])
    seen = views.comment(made)
    parent = seen["parent"]
    if discussion_id is None and parent and "discussion_id" in seen:
        thread = seen["discussion_id"]
        look = list_on(above(parent)).through("threads")
        yield delete.on(
            look, left={thread: [made["id"]], "more": ABSENT}, back={thread: ABSENT, "more": ABSENT}
        ).leaving(NOTIFIED)
    else:
        inside = {INSIDE: above(parent)} if parent else {}
        look = read("comments.retrieve", comment_id=made["id"], **inside).through("comment")
        left = {"rich_text": seen["rich_text"]} if "rich_text" in made else {}
        yield delete.on(look, left=left, back=ABSENT).leaving(NOTIFIED)


@notion.finds("comments.create")
def find_created(
    parent: dict[str, Json] | None, discussion_id: str | None, rich_text: list[Json] | None, since: str
) -> Finder:
    """Look for the one new comment of ours that says the same; a discussion alone does not say where it is."""
    where = shapes.parent(parent)
    if where is None or not rich_text:
        return None
    me = yield read("users.me")
    answer = yield list_on(above(where))
    wanted = shapes.text(rich_text)
    found = [one for one in answer["results"] if ours(one, me, since) and shapes.text(one["rich_text"]) == wanted]
    return found[0] if len(found) == 1 and not answer["has_more"] else None


@notion.guards("comments.update", effect=Effect.REVERSIBLE)
def update(call: Call, comment_id: str, rich_text: list[Json] | None) -> Handler:
    """Edit a comment; the old text comes back."""
    look = read("comments.retrieve", comment_id=comment_id).through("comment")
    before = yield look
    old = {"rich_text": before["rich_text"]}
    why = shapes.unwritable(old)
    for what in beyond(call, "comment_id", "rich_text", "markdown"):
        yield no_undo(what)
    if why:
        yield no_undo(f"the comment had {why}, which the API cannot write")
    else:
        way_back = undo("comments.update", comment_id=comment_id, **old)
        yield way_back.on(look, left={"rich_text": as_shown(shapes.text, rich_text)}, back=old, same_shape=True)
    yield forward()


@notion.guards("comments.delete", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains="the comment is a new one")
def delete(comment_id: str) -> Handler:
    """Delete a comment; the same is said again, in the same discussion if there is more of it."""
    before = yield read("comments.retrieve", comment_id=comment_id).through("comment")
    parent = before["parent"]
    found = yield list_on(above(parent)).through("threads").or_none()
    thread = (found or {}).get(before["discussion_id"], [])
    first = thread[:1] == [shapes.plain_id(comment_id)]
    remains = ["the comment has a new id and time", NOTIFIED]
    if first and len(thread) > 1:
        remains.append("the replies to it are gone")
    if before["attachments"]:
        remains.append("what was attached to it is gone")
    if before["display_name"] not in (None, "integration"):
        remains.append("the name that it was shown under is the connection's")
    where = {"parent": parent} if first or not thread else {"discussion_id": before["discussion_id"]}
    again = undo("comments.create", rich_text=before["rich_text"], **where)
    yield again.leaving(joined(*remains))
    yield forward()
