"""Threads: the labels and the trash of all messages in them at once; undone message by message."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from agentguard.calls import Effect, Handler, Json, NoUndo, Read, Undo, forward, read, unchanged, undo
from agentguard_connectors.gmail.messages import label_patterns, moved, relabelled
from agentguard_connectors.gmail.service import gmail


@gmail.view
def thread_labels(thread: Json) -> Json:
    """Show which labels each message of a thread has."""
    messages = thread.get("messages") or ()
    return {message["id"]: dict.fromkeys(message.get("labelIds") or (), True) for message in messages}


def _changing(user: str, thread: str, add: Json, remove: Json) -> Generator[Read | Undo | NoUndo, Any, None]:
    """Register what changes the labels back: one undo for all messages that change in the same way.

    A message that joins the thread later is left alone.
    """
    look = read("users.threads.get", userId=user, id=thread, format="minimal").through("thread_labels")
    before = yield look
    groups: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for message, labels in before.items():
        added, removed = relabelled(labels, add, remove)
        if added or removed:
            lost = moved(labels, added, removed)
            groups.setdefault((tuple(added), tuple(removed), tuple(lost)), []).append(message)
    if not groups:
        yield unchanged()
    for (added_to, removed_from, lost_by), messages in groups.items():
        left, back = label_patterns(list(added_to), list(removed_from), list(lost_by))
        changes = {"addLabelIds": [*removed_from, *lost_by], "removeLabelIds": list(added_to)}
        way_back = undo(
            "users.messages.batchModify", userId=user, ids=messages, **{k: v for k, v in changes.items() if v}
        )
        yield way_back.on(look, left=dict.fromkeys(messages, left), back=dict.fromkeys(messages, back))


@gmail.guards("users.threads.modify", effect=Effect.REVERSIBLE)
def modify(userId: str, id: str, addLabelIds: Json, removeLabelIds: Json) -> Handler:  # noqa: A002, N803 - Gmail's
    """Change the labels of a thread; for each of its messages, those that really changed are changed back."""
    yield from _changing(userId, id, addLabelIds, removeLabelIds)
    yield forward()


@gmail.guards("users.threads.trash", effect=Effect.REVERSIBLE)
def trash(userId: str, id: str) -> Handler:  # noqa: A002, N803 - Gmail's names
    """Move a thread to the trash; those messages that were not there before come out, back to where they were."""
    look = read("users.threads.get", userId=userId, id=id, format="minimal").through("thread_labels")
    before = yield look
    trashed = {message: labels for message, labels in before.items() if "TRASH" not in labels}
    if not trashed:
        yield unchanged()
    places: dict[tuple[str, ...], list[str]] = {}
    for message, labels in trashed.items():
        places.setdefault(tuple(moved(labels, ["TRASH"], [])), []).append(message)
    for place, messages in sorted(places.items()):
        _left, back = label_patterns(["TRASH"], [], list(place))
        changes = {"removeLabelIds": ["TRASH"], **({"addLabelIds": list(place)} if place else {})}
        way_back = undo("users.messages.batchModify", userId=userId, ids=messages, **changes)
        left = {message: {"TRASH": True} for message in messages}
        yield way_back.on(look, left=left, back=dict.fromkeys(messages, back))
    yield forward()


@gmail.guards("users.threads.untrash", effect=Effect.REVERSIBLE)
def untrash(userId: str, id: str) -> Handler:  # noqa: A002, N803 - Gmail's names
    """Take a thread out of the trash; those of its messages that were there go back."""
    yield from _changing(userId, id, [], ["TRASH"])
    yield forward()
