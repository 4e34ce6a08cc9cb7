"""Drafts. A draft keeps its id when it is changed; the message in it is another one each time.

https://developers.google.com/workspace/gmail/api/guides/drafts
"""

from __future__ import annotations

from agentguard.calls import ABSENT, Effect, Finder, Handler, Json, Read, Risk, forward, read, undo
from agentguard_connectors.gmail.codec import REMAKES
from agentguard_connectors.gmail.mail import content, summary, to_raw
from agentguard_connectors.gmail.removing import DRAFT_REMAINS
from agentguard_connectors.gmail.sending import REMAINS, by_message_id, correcting, with_id
from agentguard_connectors.gmail.service import Unproven, gmail

NEW_MESSAGE = "the message inside the draft has a new id, as after every change of a draft"


EMPTY = content(to_raw(b"\r\n"))
"""What a draft says that was given no mail, or one that cannot be read: nothing, and not whatever it may be."""


@gmail.view
def draft(thing: Json) -> Json:
    """Show what a draft says; the message in it has another id after every change, and is not compared."""
    return {"mail": content((thing.get("message") or {}).get("raw"))}


def looking_at(user: str, name: str) -> Read:
    """Read a draft, whole."""
    return read("users.drafts.get", userId=user, id=name, format="raw")


@gmail.guards("users.drafts.create", effect=Effect.REVERSIBLE)
def create(userId: str, message: Json, mark: str | None) -> Handler:  # noqa: N803 - Gmail's name for it
    """Make a draft; it is deleted again while nobody has changed it."""
    given = message if isinstance(message, dict) else {}
    raw, mail = with_id(given.get("raw"), mark)
    made = yield forward() if mail is None else forward().changing(message={**given, "raw": raw}, mail=mail)
    look = looking_at(userId, made["id"]).through("draft")
    # A pattern without a field would hold for whatever somebody else makes of the draft.
    left = {"mail": content(raw)} if content(raw) else (yield look)
    way_back = undo("users.drafts.delete", userId=userId, id=made["id"])
    yield way_back.on(look, left=left, back=ABSENT)


@gmail.finds("users.drafts.create")
def find_created(userId: str, mail: dict[str, Json], since: str, mark: str | None) -> Finder:  # noqa: N803 - Gmail's name for it
    """Look for the message by its Message-ID, then for the draft that it is in."""
    found = yield from by_message_id(userId, mail, since, mark, "DRAFT")
    if found is None:
        return None
    page = yield read("users.drafts.list", userId=userId, maxResults=500)
    return next((item for item in page.get("drafts") or [] if item["message"]["id"] == found["id"]), None)


@gmail.guards("users.drafts.update", effect=Effect.COMPENSABLE, remains=NEW_MESSAGE)
def update(userId: str, id: str, message: Json) -> Handler:  # noqa: A002, N803 - Gmail's names
    """Replace what a draft says; the old content comes back."""
    old = yield looking_at(userId, id)
    kept = {name: old["message"][name] for name in ("raw", "threadId") if name in old["message"]}
    before, after = content(kept.get("raw")), content((message or {}).get("raw")) or EMPTY
    look = looking_at(userId, id).through("draft")
    way_back = undo("users.drafts.update", userId=userId, id=id, message=kept)
    yield way_back.on(look, left={"mail": after}, back={"mail": before}).leaving(NEW_MESSAGE)
    yield forward()


@gmail.guards("users.drafts.delete", effect=Effect.COMPENSABLE, remains=DRAFT_REMAINS)
def delete(userId: str, id: str) -> Handler:  # noqa: A002, N803 - Gmail's names
    """Delete a draft for good; one with the same content is made."""
    old = yield looking_at(userId, id)
    kept = {"raw": old["message"]["raw"]}
    thread = old["message"].get("threadId")
    if thread and thread != old["message"]["id"]:  # else the draft is the thread's first message
        kept["threadId"] = thread
    way_back = undo("users.drafts.create", userId=userId, message=kept, **{REMAKES: {"id": id}})
    yield way_back.leaving(DRAFT_REMAINS)
    yield forward()


@gmail.finds("users.drafts.delete", authoritative=True)
def find_deleted(userId: str, id: str) -> Finder:  # noqa: A002, N803 - Gmail's names
    """The draft is gone, or it was not deleted."""
    left = yield read("users.drafts.get", userId=userId, id=id, format="minimal").or_none()
    return {} if left is None else None


@gmail.guards("users.drafts.send", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains=REMAINS)
def send(userId: str, id: str, mail: dict[str, Json]) -> Handler:  # noqa: A002, N803 - Gmail's names
    """Send a draft; a correction follows in its thread, to the same people, and the mail is starred."""
    if id and not mail:
        # On record with the call, for whoever approves it, and to look for it by its Message-ID.
        held = yield looking_at(userId, id).or_none()
        mail = summary(held["message"].get("raw")) if held else {}
    sent = yield forward().changing(mail=mail) if mail else forward()
    yield from correcting(userId, sent, mail)


@gmail.finds("users.drafts.send", authoritative=True, exact=True)
def find_sent(userId: str, id: str, mail: dict[str, Json], since: str, mark: str | None) -> Finder:  # noqa: A002, N803 - Gmail's names
    """A draft that is still there was not sent; else look for the mail. Raises Unproven where neither shows."""
    if id and (yield read("users.drafts.get", userId=userId, id=id, format="minimal").or_none()) is not None:
        return None
    found = yield from by_message_id(userId, mail, since, mark, "SENT")
    if found is None:
        gone = "the draft is gone, and the mail is not to be found: " if id else "the mail is not to be found: "
        raise Unproven(f"{gone}Gmail's search may not show it yet")
    return found
