"""Labels and filters. See https://developers.google.com/workspace/gmail/api/guides/labels for what labels there are."""

from __future__ import annotations

import json
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
    forward,
    no_undo,
    read,
    unchanged,
    undo,
)
from agentguard_connectors.gmail.codec import REMAKES
from agentguard_connectors.gmail.seams import NAMED
from agentguard_connectors.gmail.service import Unproven, gmail

FIELDS = ("name", "labelListVisibility", "messageListVisibility", "color")
NEW_ID = "the label has a new id, which filters and programs that used the old one do not know"
FILTERED = "mail that arrived meanwhile went through the filter"
PAGES, PAGE = 20, 500
"""How many pages of how many messages are noted down before a label is deleted."""


@gmail.view
def label(thing: Json) -> Json:
    """Show a label's own fields, and how many messages have it; what Gmail leaves out is None."""
    color = thing.get("color")
    return {
        **{name: thing.get(name) for name in FIELDS},
        "color": {k: color.get(k) for k in ("backgroundColor", "textColor")} if color else None,
        "messagesTotal": thing.get("messagesTotal", 0),
    }


@gmail.view
def label_names(page: Json) -> Json:
    """Show the names of the labels that there are."""
    return {item["name"]: True for item in page.get("labels") or ()}


@gmail.view
def label_ids(page: Json) -> Json:
    """Show which labels there are, by their ids."""
    return {item["id"]: item["name"] for item in page.get("labels") or ()}


@gmail.guards("users.labels.create", effect=Effect.REVERSIBLE)
def create(userId: str) -> Handler:  # noqa: N803 - Gmail's name for it
    """Make a label; it is deleted again while it is as it was made and no message has it."""
    yield read("users.labels.list", userId=userId).through("label_ids")  # by which a lost call is told from others
    made = yield forward()
    look = read("users.labels.get", userId=userId, id=made["id"]).through("label")
    left = {**label(made), "messagesTotal": 0}
    yield undo("users.labels.delete", userId=userId, id=made["id"]).on(look, left=left, back=ABSENT)


@gmail.finds("users.labels.create", authoritative=True)
def find_created(call: Call, userId: str, name: str, snapshots: Json) -> Finder:  # noqa: N803 - Gmail's name for it
    """A label of that name which was not there before; a mailbox has no two of one name, in whatever letters."""
    before = snapshots[0] if snapshots else None
    if not isinstance(before, dict):
        raise Unproven("which labels there were before is not on record")
    page = yield read("users.labels.list", userId=userId)
    same = [item for item in page.get("labels") or () if item["name"].casefold() == str(name).casefold()]
    if not same or same[0]["id"] in before:
        return None
    made = yield read("users.labels.get", userId=userId, id=same[0]["id"])
    seen, asked = label(made), {field: call.arguments[field] for field in FIELDS if field in call.arguments}
    if any(seen[field] != value for field, value in asked.items()):
        raise Unproven(f"there is a label {name!r} that was not there before, and it is not as this call asks for")
    return made if "color" in asked else {field: value for field, value in made.items() if field != "color"}


def _changing(user: str, name: str, given: dict[str, Json]) -> Generator[Read | Undo | NoUndo, Any, None]:
    look = read("users.labels.get", userId=user, id=name).through("label")
    before = yield look
    changed = {field: value for field, value in given.items() if before[field] != value}
    if changed:
        old = {field: before[field] for field in changed}
        way_back = undo("users.labels.patch", userId=user, id=name, **old)
        yield way_back.on(look, left=changed, back=old, same_shape=True)
    else:
        yield unchanged()


@gmail.guards("users.labels.patch", effect=Effect.REVERSIBLE)
def patch(call: Call, userId: str, id: str) -> Handler:  # noqa: A002, N803 - Gmail's names
    """Change some fields of a label; the old values of those come back."""
    given = {field: call.arguments[field] for field in FIELDS if field in call.arguments}
    yield from _changing(userId, id, given)
    yield forward()


@gmail.guards("users.labels.update", effect=Effect.REVERSIBLE)
def update(call: Call, userId: str, id: str) -> Handler:  # noqa: A002, N803 - Gmail's names
    """Write a label anew; the old values of what changed come back."""
    look = read("users.labels.get", userId=userId, id=id).through("label")
    before = yield look
    given = {field: call.arguments[field] for field in FIELDS if field in call.arguments}
    changed = {field: value for field, value in given.items() if before[field] != value}
    if changed:
        old = {field: before[field] for field in changed}
        way_back = undo("users.labels.patch", userId=userId, id=id, **old)
        yield way_back.on(look, left=changed, back=old, same_shape=True)
    # What is not given falls back to a default of Gmail's: whether it changed is known from the answer.
    after = label((yield forward()))
    fallen = {field: after[field] for field in FIELDS if field not in given and after[field] != before[field]}
    if fallen:
        old = {field: before[field] for field in fallen}
        yield undo("users.labels.patch", userId=userId, id=id, **old).on(look, left=fallen, back=old)
    elif not changed:
        yield unchanged()


@gmail.finds("users.labels.update", authoritative=True)
def find_updated(call: Call, userId: str, id: str, snapshots: Json) -> Finder:  # noqa: A002, N803 - Gmail's names
    """The label shows what the call gives, or is as it was. What fell back to a default is known from it as well."""
    before = snapshots[0] if snapshots else None
    if not isinstance(before, dict):
        raise Unproven("what the label was before is not on record")
    now = yield read("users.labels.get", userId=userId, id=id)
    seen = label(now)
    if all(seen[field] == before.get(field) for field in FIELDS):
        return None
    given = {field: call.arguments[field] for field in FIELDS if field in call.arguments}
    if all(before.get(field) == value for field, value in given.items()) or any(
        seen[field] != value for field, value in given.items()
    ):
        raise Unproven("the label is not as it was before the call, and nothing shows that it was this call")
    return now


@gmail.guards("users.labels.delete", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains=NEW_ID)
def delete(userId: str, id: str) -> Handler:  # noqa: A002, N803 - Gmail's names
    """Delete a label for good; one of the same name is made, and the messages that had the old one get it."""
    old = label((yield read("users.labels.get", userId=userId, id=id)))
    messages: list[str] = []
    token: dict[str, Json] = {}
    for _page in range(PAGES):
        page = yield read(
            "users.messages.list", userId=userId, labelIds=[id], includeSpamTrash=True, maxResults=PAGE, **token
        )
        messages += [message["id"] for message in page.get("messages") or ()]
        if not page.get("nextPageToken"):
            break
        token = {"pageToken": page["nextPageToken"]}
    else:
        yield no_undo(f"more than {len(messages)} messages had the label: the others do not get it again")
    # The last one registered is the first to be run: the label has to be there before messages can get it.
    for start in range(0, len(messages), 1000):
        some = messages[start : start + 1000]
        putting = undo("users.messages.batchModify", userId=userId, ids=some, addLabelIds=[NAMED + old["name"]])
        yield putting.leaving(NEW_ID)
    fields = {name: old[name] for name in FIELDS if old[name] is not None}
    look = read("users.labels.list", userId=userId).through("label_names")
    way_back = undo("users.labels.create", userId=userId, **fields, **{REMAKES: {"id": id}})
    yield way_back.on(look, left={old["name"]: ABSENT}, back={old["name"]: True}).leaving(NEW_ID)
    yield forward()


@gmail.finds("users.labels.delete", authoritative=True)
def find_deleted(userId: str, id: str) -> Finder:  # noqa: A002, N803 - Gmail's names
    """The label is gone, or it was not deleted."""
    held = yield read("users.labels.get", userId=userId, id=id).or_none()
    return {} if held is None else None


@gmail.view
def filter_rule(thing: Json) -> Json:
    """Show what a filter looks for and does."""
    return {"criteria": thing.get("criteria") or {}, "action": thing.get("action") or {}}


@gmail.view
def filter_rules(page: Json) -> Json:
    """Show which rules there are, without their ids."""
    return {_rule(item): True for item in page.get("filter") or ()}


@gmail.view
def filter_ids(page: Json) -> Json:
    """Show which filters there are, by their ids."""
    return {item["id"]: _rule(item) for item in page.get("filter") or ()}


def _rule(thing: Json) -> str:
    return json.dumps(filter_rule(thing), sort_keys=True)


@gmail.guards("users.settings.filters.create", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains=FILTERED)
def create_filter(userId: str) -> Handler:  # noqa: N803 - Gmail's name for it
    """Make a filter; it is deleted again. What it did to mail that arrived meanwhile stays."""
    yield read("users.settings.filters.list", userId=userId).through("filter_ids")  # as for a label
    made = yield forward()
    look = read("users.settings.filters.get", userId=userId, id=made["id"]).through("filter_rule")
    way_back = undo("users.settings.filters.delete", userId=userId, id=made["id"])
    yield way_back.on(look, left=filter_rule(made), back=ABSENT).leaving(FILTERED)


@gmail.finds("users.settings.filters.create", authoritative=True)
def find_filter(call: Call, userId: str, snapshots: Json) -> Finder:  # noqa: N803 - Gmail's name for it
    """A filter with that rule which was not there before; a mailbox has no two with one rule."""
    before = snapshots[0] if snapshots else None
    if not isinstance(before, dict):
        raise Unproven("which filters there were before is not on record")
    page = yield read("users.settings.filters.list", userId=userId)
    made = [item for item in page.get("filter") or () if item["id"] not in before]
    same = [item for item in made if _rule(item) == _rule(call.arguments)]
    if made and len(same) != 1:
        raise Unproven("there are filters that were not there before, and none of them is just as this call asks for")
    return same[0] if same else None


@gmail.guards("users.settings.filters.delete", effect=Effect.COMPENSABLE, remains="the filter has a new id")
def delete_filter(userId: str, id: str) -> Handler:  # noqa: A002, N803 - Gmail's names
    """Delete a filter; one with the same rule is made, under a new id."""
    old = filter_rule((yield read("users.settings.filters.get", userId=userId, id=id)))
    way_back = undo("users.settings.filters.create", userId=userId, **old, **{REMAKES: {"id": id}})
    look = read("users.settings.filters.list", userId=userId).through("filter_rules")
    step = way_back.on(look, left={_rule(old): ABSENT}, back={_rule(old): True})
    yield step.leaving("the filter has a new id; mail that arrived meanwhile was not filtered")
    yield forward()
