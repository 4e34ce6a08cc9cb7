"""usergroups.*, users.*, dnd.*, reminders.*: people, and the groups that they are mentioned by."""

from __future__ import annotations

import math
from collections.abc import Generator
from datetime import datetime
from typing import Any

from agentguard.calls import (
    ABSENT,
    Call,
    Effect,
    Finder,
    Handler,
    Json,
    Risk,
    Step,
    forward,
    no_undo,
    read,
    unchanged,
    undo,
)
from agentguard_connectors.slack.service import slack
from agentguard_connectors.slack.views import joined

STAYS = "the group stays, disabled, and its name and handle stay taken"
UNSEEN = "it was not among the user groups"
LATER = "the snooze ends later, by the time that passed in between"
GROUPS = read("usergroups.list", include_disabled=True, include_users=True).through("usergroups")


@slack.guards("usergroups.create", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains=STAYS)
def create_group() -> Handler:
    """Create a user group; it is disabled, because none can be deleted."""
    made = yield forward()
    group = made["usergroup"]["id"]
    way_back = undo("usergroups.disable", usergroup=group)
    back = {f"{group}.enabled": False}
    yield way_back.on(GROUPS, left={f"{group}.enabled": True}, back=back).leaving(STAYS)


@slack.finds("usergroups.create")
def find_group(name: str, since: str) -> Finder:
    """A group's name is unique; it must have been created by this client since the intent."""
    me = yield read("auth.test")
    page = yield read("usergroups.list", include_disabled=True, include_users=True)
    mine = [one for one in page["usergroups"] if one.get("created_by") == me["user_id"] and one["name"] == name]
    oldest = int(datetime.fromisoformat(since).timestamp())
    return next(({"ok": True, "usergroup": one} for one in mine if one["date_create"] >= oldest), None)


@slack.guards("usergroups.update", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def update_group(call: Call, usergroup: str) -> Handler:
    """Change a user group; its old name, handle, description and channels come back."""
    before = yield GROUPS
    names = ("name", "handle", "description", "channels")
    given = {name: call.arguments[name] for name in names if call.arguments.get(name) is not None}
    if "channels" in given:
        given["channels"] = joined(given["channels"])
    lost = yield from _unseen(call, *names)
    if f"{usergroup}.name" not in before:
        yield no_undo(UNSEEN)
    elif given:
        old = {name: before[f"{usergroup}.{name}"] for name in given}
        left, back = ({f"{usergroup}.{name}": value for name, value in side.items()} for side in (given, old))
        yield undo("usergroups.update", usergroup=usergroup, **old).on(GROUPS, left=left, back=back, same_shape=True)
    elif not lost:
        yield unchanged("the call gave nothing to change")
    yield forward()


def _unseen(call: Call, *seen: str) -> Generator[Step, Any, str]:
    """Say of arguments that change a group, and that no list of groups shows, that they are not put back."""
    steering = ("usergroup", "include_count", "team_id", *seen)
    lost = ", ".join(sorted(name for name in call.arguments if name not in steering))
    if lost:
        yield no_undo(f"{lost} cannot be put back")
    return lost


@slack.guards("usergroups.users.update", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def set_group_users(call: Call, usergroup: str, users: Json) -> Handler:
    """Replace the members of a user group; the former ones come back, if there were any."""
    before = yield GROUPS
    yield from _unseen(call, "users")
    key = f"{usergroup}.users"
    if key not in before:
        yield no_undo(UNSEEN)
    elif before[key]:
        way_back = undo("usergroups.users.update", usergroup=usergroup, users=before[key])
        yield way_back.on(GROUPS, left={key: joined(users)}, back={key: before[key]}, same_shape=True)
    else:
        yield no_undo("the group was empty before, and Slack does not let a group be emptied")
    yield forward()


@slack.guards("usergroups.enable", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def enable_group(usergroup: str) -> Handler:
    """Enable a user group; it is disabled again."""
    yield from _switch("usergroups.disable", usergroup, on=True)


@slack.guards("usergroups.disable", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def disable_group(usergroup: str) -> Handler:
    """Disable a user group; it is enabled again."""
    yield from _switch("usergroups.enable", usergroup, on=False)


def _switch(inverse: str, usergroup: str, *, on: bool) -> Handler:
    # Slack documents no error for a group that is switched so already.
    key = f"{usergroup}.enabled"
    before = yield GROUPS
    if key not in before:
        yield no_undo(UNSEEN)
    elif before[key] is on:
        yield unchanged()
    else:
        yield undo(inverse, usergroup=usergroup).on(GROUPS, left={key: on}, back={key: not on})
    yield forward()


TOGETHER = (
    ("status_text", "status_emoji", "status_expiration"),
    ("first_name", "last_name", "real_name"),
)
"""Fields of a profile of which Slack changes several when one is set: an emptied status loses its emoji."""


@slack.guards("users.profile.set", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def set_profile(profile: Json, name: str, value: Json, user: str) -> Handler:
    """Change a profile or a status; the old values come back."""
    whose = {"user": user} if user else {}
    look = read("users.profile.get", **whose).through("profile")
    before = yield look
    new = flat({name: value} if name else profile)
    along = [key for group in TOGETHER if new.keys() & set(group) for key in group if key in before]
    touched = dict.fromkeys([*new, *along])
    old = {key: "" if before.get(key) is None else before[key] for key in touched}
    written = {key: old[key] for key in old if key != "real_name" or not {"first_name", "last_name"} & old.keys()}
    way_back = undo("users.profile.set", **whose, profile=nested(written))
    back = {key: ABSENT if key.startswith("fields.") and not value else value for key, value in old.items()}
    remains = "Slack has mailed about the change of address" if "email" in new else ""
    yield way_back.on(look, left=new, back=back, same_shape=True).leaving(remains)
    yield forward()


def flat(profile: Json) -> dict[str, Json]:
    """The fields of a profile, those that the workspace defined as `fields.ID`."""
    custom = {f"fields.{key}": one.get("value", "") for key, one in (profile.get("fields") or {}).items()}
    return {**{key: value for key, value in profile.items() if key != "fields"}, **custom}


def nested(fields: dict[str, Json]) -> dict[str, Json]:
    """A profile as the call takes it."""
    own = {key: value for key, value in fields.items() if not key.startswith("fields.")}
    custom = {key.removeprefix("fields."): {"value": fields[key]} for key in fields if key.startswith("fields.")}
    return {**own, **({"fields": custom} if custom else {})}


@slack.guards("users.setPresence", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def set_presence(presence: str) -> Handler:
    """Set oneself away or not; it is set back."""
    look = read("users.getPresence").through("presence")
    before = yield look
    if before:
        way_back = undo("users.setPresence", presence="away" if before["manual_away"] else "auto")
        yield way_back.on(look, left={"manual_away": presence == "away"}, back=before)
    else:
        yield no_undo("Slack does not show this client how its presence was set before")
    yield forward()


@slack.guards("dnd.setSnooze", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains=LATER)
def snooze() -> Handler:
    """Silence notifications for a while; the snooze is ended, or the former one begun again."""
    before = yield read("dnd.info")
    if before.get("snooze_enabled"):
        yield undo("dnd.setSnooze", num_minutes=_minutes(before)).leaving(LATER)
    else:
        look = read("dnd.info").through("snooze")
        yield undo("dnd.endSnooze").on(look, left={"snooze_enabled": True}, back={"snooze_enabled": False})
    yield forward()


@slack.guards("dnd.endSnooze", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains=LATER)
def end_snooze() -> Handler:
    """Let notifications through again; the snooze is begun again for the time that was left."""
    before = yield read("dnd.info")
    if before.get("snooze_enabled"):
        look = read("dnd.info").through("snooze")
        way_back = undo("dnd.setSnooze", num_minutes=_minutes(before)).leaving(LATER)
        yield way_back.on(look, left={"snooze_enabled": False}, back={"snooze_enabled": True})
    else:
        yield unchanged("nothing was snoozed")
    yield forward()


def _minutes(before: Json) -> int:
    left = float(before.get("snooze_remaining", 60))
    return max(1, math.ceil(left / 60))


@slack.guards("reminders.add", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def add_reminder() -> Handler:
    """Set a reminder; it is deleted again."""
    made = yield forward()
    reminder = made["reminder"]
    look = read("reminders.info", reminder=reminder["id"]).through("reminder")
    yield undo("reminders.delete", reminder=reminder["id"]).on(look, left={"text": reminder["text"]}, back=ABSENT)


slack.irreversible("reminders.complete", "What is ticked off cannot be opened again.", risk=Risk.LOW)


@slack.guards("reminders.delete", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains="a new id")
def delete_reminder(reminder: str) -> Handler:
    """Delete a reminder; it is set again, as a new one, unless its time has passed."""
    old = (yield read("reminders.info", reminder=reminder))["reminder"]
    again = {name: old[name] for name in ("text", "time", "user") if old.get(name)}
    yield undo("reminders.add", **again).leaving("it has a new id")
    yield forward()
