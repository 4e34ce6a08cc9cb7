"""Messages in the mailbox: their labels, the trash, and messages that were put there without being sent."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from agentguard.calls import (
    ABSENT,
    Call,
    Effect,
    Finder,
    Handler,
    Json,
    NoUndo,
    Read,
    Risk,
    Undo,
    no_undo,
    read,
    unchanged,
    undo,
)
from agentguard.calls import forward as go
from agentguard_connectors.gmail.sending import by_message_id, sending
from agentguard_connectors.gmail.service import gmail

PLACES = ("INBOX", "SPAM", "TRASH")
IN_TRASH = "the message is in the trash, where Gmail keeps it for 30 days"


def looking_at(user: str, message: str) -> Read:
    """Read which labels a message has."""
    return read("users.messages.get", userId=user, id=message, format="minimal").through("labels")


def relabelled(before: Json, add: Json, remove: Json) -> tuple[list[str], list[str]]:
    """The labels that a change really adds to and takes from what has the labels *before*."""
    added = [label for label in dict.fromkeys(add or ()) if label not in before]
    removed = [label for label in dict.fromkeys(remove or ()) if label in before]
    return added, removed


def moved(before: Json, added: list[str], removed: list[str]) -> list[str]:
    """The place that a message may lose, unasked, to the one that it is *added* to: it is in one of them at a time."""
    return [p for p in PLACES if p in before and p not in removed] if set(PLACES) & set(added) else []


def label_patterns(added: list[str], removed: list[str], lost: list[str]) -> tuple[Json, Json]:
    """What `labels` shows after a change, and before it."""
    left = {label: there for labels, there in ((added, True), (removed, ABSENT)) for label in labels}
    back = {label: there for labels, there in ((added, ABSENT), (removed, True), (lost, True)) for label in labels}
    return left, back


def beside_labels(call: Call) -> Generator[NoUndo, Any, None]:
    """Say so where a call changes classification labels, which are an administrator's and are not put back."""
    if any(name.startswith(("addClassification", "removeClassification")) for name in call.arguments):
        yield no_undo("classification labels are not put back")


def label_undo(
    user: str, message: str, before: Json, added: list[str], removed: list[str], *, answered: bool = False
) -> Undo:
    """Take labels off again and put others back. *answered*: the call's answer is the message."""
    lost = moved(before, added, removed)
    changes = {"addLabelIds": [*removed, *lost], "removeLabelIds": added}
    left, back = label_patterns(added, removed, lost)
    way_back = undo("users.messages.modify", userId=user, id=message, **{k: v for k, v in changes.items() if v})
    return way_back.on(looking_at(user, message), left=left, back=back, same_shape=answered)


@gmail.guards("users.messages.modify", effect=Effect.REVERSIBLE)
def modify(call: Call, userId: str, id: str, addLabelIds: Json, removeLabelIds: Json) -> Handler:  # noqa: A002, N803 - Gmail's
    """Change the labels of a message; those that really changed are changed back."""
    before = yield looking_at(userId, id)
    added, removed = relabelled(before, addLabelIds, removeLabelIds)
    yield label_undo(userId, id, before, added, removed, answered=True) if added or removed else unchanged()
    yield from beside_labels(call)
    yield go()


@gmail.guards("users.messages.batchModify", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def batch_modify(call: Call, userId: str, ids: Json, addLabelIds: Json, removeLabelIds: Json) -> Handler:  # noqa: N803 - Gmail's
    """Change the labels of many messages; for each, those that really changed are changed back."""
    any_changed = False
    for message in ids or ():
        before = yield looking_at(userId, message).or_none()
        added, removed = relabelled(before, addLabelIds, removeLabelIds) if before is not None else ([], [])
        if added or removed:
            any_changed = True
            yield label_undo(userId, message, before, added, removed)
    if not any_changed:
        yield unchanged()
    yield from beside_labels(call)
    yield go()


@gmail.guards("users.messages.trash", effect=Effect.REVERSIBLE)
def trash(userId: str, id: str) -> Handler:  # noqa: A002, N803 - Gmail's names
    """Move a message to the trash; it comes out again, and back to where it was: the inbox, the spam or neither."""
    before = yield looking_at(userId, id)
    if "TRASH" not in before:
        # `untrash` alone does not say that the message is in the inbox again, or among the spam.
        place = moved(before, ["TRASH"], [])
        back = {"TRASH": ABSENT, **dict.fromkeys(place, True)}
        changes = {"removeLabelIds": ["TRASH"], **({"addLabelIds": place} if place else {})}
        way_back = undo("users.messages.modify", userId=userId, id=id, **changes)
        yield way_back.on(looking_at(userId, id), left={"TRASH": True}, back=back, same_shape=True)
    else:
        yield unchanged()
    yield go()


@gmail.guards("users.messages.untrash", effect=Effect.REVERSIBLE)
def untrash(userId: str, id: str) -> Handler:  # noqa: A002, N803 - Gmail's names
    """Take a message out of the trash; it goes back there."""
    before = yield looking_at(userId, id)
    if "TRASH" in before:
        way_back = undo("users.messages.trash", userId=userId, id=id)
        look = looking_at(userId, id)
        yield way_back.on(look, left={"TRASH": ABSENT}, back={"TRASH": True}, same_shape=True)
    else:
        yield unchanged()
    yield go()


def _put_in(user: str, raw: Json, mark: str | None) -> Handler:
    made = yield sending(raw, mark)
    look = looking_at(user, made["id"])
    way_back = undo("users.messages.trash", userId=user, id=made["id"])
    yield way_back.on(look, left={"TRASH": ABSENT}, back={"TRASH": True}).leaving(IN_TRASH)


@gmail.guards("users.messages.insert", effect=Effect.COMPENSABLE, remains=IN_TRASH)
def insert(userId: str, raw: str, mark: str | None) -> Handler:  # noqa: N803 - Gmail's name
    """Put a message into the mailbox; it is moved to the trash, as deleting it for good could not be undone."""
    yield from _put_in(userId, raw, mark)


@gmail.guards("users.messages.import", effect=Effect.COMPENSABLE, remains=IN_TRASH)
def import_(userId: str, raw: str, mark: str | None) -> Handler:  # noqa: N803 - Gmail's name
    """Import a message as if it had arrived; it is moved to the trash."""
    yield from _put_in(userId, raw, mark)


def _find_put_in(userId: str, mail: dict[str, Json], since: str, mark: str | None) -> Finder:  # noqa: N803 - Gmail's name
    return (yield from by_message_id(userId, mail, since, mark, ""))


gmail.finds("users.messages.insert")(_find_put_in)
gmail.finds("users.messages.import")(_find_put_in)
