"""Deleting for good: what is deleted is read first, whole, and put into the mailbox again under a new id.

https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages/insert: an inserted message takes its
date from its Date header, is not sent, and joins a thread if its headers say so and the thread is there.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from agentguard.calls import Effect, Finder, Handler, Json, Read, Risk, Undo, forward, read, unchanged, undo
from agentguard_connectors.gmail.codec import REMAKES
from agentguard_connectors.gmail.service import Unproven, gmail

REMAINS = "the message has a new id and the date of its Date header; its place in a thread is worked out anew"
DRAFT_REMAINS = "the draft has a new id"
NOT_INSERTED = ("DRAFT", "CHAT")
"""Labels that Gmail gives by itself (https://developers.google.com/workspace/gmail/api/guides/labels)."""


def whole(user: str, message: str) -> Read:
    """Read a message with every byte of it."""
    return read("users.messages.get", userId=user, id=message, format="raw")


def again(user: str, message: Json, thread: str | None) -> Undo:
    """Put *message*, as it was read, into the mailbox again; into *thread* if that will still be there."""
    if "DRAFT" in (message.get("labelIds") or ()):
        content = {"raw": message["raw"], **({"threadId": thread} if thread else {})}
        return undo("users.drafts.create", userId=user, message=content).leaving(DRAFT_REMAINS)
    old = {REMAKES: {"id": message["id"], "threadId": message["threadId"]}}
    labels = [label for label in message.get("labelIds") or () if label not in NOT_INSERTED]
    return undo(
        "users.messages.insert",
        userId=user,
        internalDateSource="dateHeader",
        raw=message["raw"],
        labelIds=labels,
        **({"threadId": thread} if thread else {}),
        **old,
    ).leaving(REMAINS)


def surviving_thread(user: str, message: Json, going: set[str]) -> Generator[Read, Any, str | None]:
    """The thread of *message*, if messages are in it that are not *going* too."""
    thread = yield read("users.threads.get", userId=user, id=message["threadId"], format="minimal").or_none()
    others = {other["id"] for other in (thread or {}).get("messages") or ()} - going
    return message["threadId"] if others else None


@gmail.guards("users.messages.delete", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=REMAINS)
def delete(userId: str, id: str) -> Handler:  # noqa: A002, N803 - Gmail's names
    """Delete a message for good; it is inserted again with its content, labels and date, under a new id."""
    message = yield whole(userId, id)
    thread = yield from surviving_thread(userId, message, {id})
    yield again(userId, message, thread)
    yield forward()


@gmail.guards("users.messages.batchDelete", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=REMAINS)
def batch_delete(userId: str, ids: Json) -> Handler:  # noqa: N803 - Gmail's names
    """Delete many messages for good; each is inserted again with its content, labels and date, under a new id."""
    for message_id in ids or ():
        message = yield whole(userId, message_id).or_none()
        if message is None:
            yield unchanged(f"{message_id} was not there before")
        else:
            thread = yield from surviving_thread(userId, message, set(ids))
            yield again(userId, message, thread)
    yield forward()


@gmail.guards("users.threads.delete", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=REMAINS)
def delete_thread(userId: str, id: str) -> Handler:  # noqa: A002, N803 - Gmail's names
    """Delete a thread for good; each of its messages is inserted again, under a new id, the oldest first."""
    thread = yield read("users.threads.get", userId=userId, id=id, format="minimal")
    for message in reversed(thread.get("messages") or []):
        full = yield whole(userId, message["id"])
        yield again(userId, full, None)
    yield forward()


@gmail.finds("users.messages.delete", authoritative=True)
def find_deleted(userId: str, id: str) -> Finder:  # noqa: A002, N803 - Gmail's names
    """The message is gone, or it was not deleted."""
    left = yield read("users.messages.get", userId=userId, id=id, format="minimal").or_none()
    return {} if left is None else None


@gmail.finds("users.messages.batchDelete", authoritative=True)
def find_batch_deleted(userId: str, ids: Json, snapshots: Json) -> Finder:  # noqa: N803 - Gmail's names
    """All of the messages that there were are gone, or all are there. Raises Unproven where it is some of them."""
    named = set(ids or ())
    before = {held["id"] for held in snapshots if isinstance(held, dict) and "threadId" in held and held["id"] in named}
    if not before and any(held is not None for held in snapshots):
        raise Unproven("which messages there were before is not on record")
    left = 0
    for message in sorted(before):
        held = yield read("users.messages.get", userId=userId, id=message, format="minimal").or_none()
        left += held is not None
    if 0 < left < len(before):
        raise Unproven(f"{left} of the {len(before)} messages are there, and the others are gone")
    return None if left else {}


@gmail.finds("users.threads.delete", authoritative=True)
def find_deleted_thread(userId: str, id: str) -> Finder:  # noqa: A002, N803 - Gmail's names
    """The thread is gone, or it was not deleted."""
    left = yield read("users.threads.get", userId=userId, id=id, format="minimal").or_none()
    return {} if left is None else None
