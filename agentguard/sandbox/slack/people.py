"""auth.test, users.*, usergroups.*, dnd.*: people and the groups that they are mentioned by."""

from __future__ import annotations

from typing import Any

from agentguard.sandbox.slack.workspace import Work, dict_of, fail, method


@method("auth.test")
def who_am_i(work: Work) -> dict[str, Any]:
    mine = {"user_id": work.me, "user": work.state["users"][work.me]["name"], "team_id": "T0ACME", "team": "Acme"}
    return {**mine, "url": "https://acme.slack.com/", **({"bot_id": "B0BOT"} if work.is_bot else {})}


@method("team.info")
def team(work: Work) -> dict[str, Any]:
    return {"team": work.state["team"]}


@method("users.list")
def list_users(work: Work) -> dict[str, Any]:
    page, meta = work.page(list(work.state["users"].values()))
    return {"members": page, **meta}


@method("users.info")
def user_info(work: Work) -> dict[str, Any]:
    return {"user": work.user()}


@method("users.lookupByEmail")
def by_email(work: Work) -> dict[str, Any]:
    for user in work.state["users"].values():
        if user["profile"]["email"] == work.need("email"):
            return {"user": user}
    raise fail("users_not_found")


@method("users.profile.get")
def get_profile(work: Work) -> dict[str, Any]:
    work.get("include_labels")
    return {"profile": work.user()["profile"]}


@method("users.profile.set")
def set_profile(work: Work) -> dict[str, Any]:
    if work.is_bot:
        raise fail("not_allowed_token_type")
    profile = work.user()["profile"]
    changes = work.get("profile") or {work.need("name"): work.get("value")}
    if not isinstance(changes, dict):
        raise fail("invalid_profile")
    unknown = changes.keys() - profile.keys()
    if unknown:
        raise fail("reserved_name" if "name" in unknown else "profile_set_failed")
    fields = changes.pop("fields", None)
    profile.update(changes)
    if "status_text" in changes and not profile["status_text"] and not changes.get("status_emoji"):
        profile |= {"status_emoji": "", "status_expiration": 0}
    for identifier, value in (fields or {}).items():
        if value.get("value"):
            profile["fields"][identifier] = {"value": value["value"], "alt": value.get("alt", "")}
        else:
            profile["fields"].pop(identifier, None)
    return {"username": work.user()["name"], "profile": profile}


@method("users.getPresence")
def get_presence(work: Work) -> dict[str, Any]:
    presence = work.user()["presence"]
    mine = {"manual_away": presence == "away"} if work.user()["id"] == work.me else {}
    return {"presence": presence, **mine}


@method("users.setPresence")
def set_presence(work: Work) -> dict[str, Any]:
    presence = work.need("presence", "invalid_presence")
    if presence not in ("auto", "away"):
        raise fail("invalid_presence")
    work.state["users"][work.me]["presence"] = "active" if presence == "auto" else "away"
    return {}


def groups_of(work: Work) -> dict[str, Any]:
    """The user groups; bots may not change them unless they were given the scope, as this one was."""
    return dict_of(work.state["usergroups"])


def group(work: Work) -> dict[str, Any]:
    """The user group that the call points at."""
    found = groups_of(work).get(work.need("usergroup", "no_such_subteam"))
    if found is None:
        raise fail("no_such_subteam")
    return dict_of(found)


def show_group(work: Work, found: dict[str, Any]) -> dict[str, Any]:
    """A user group with or without its members."""
    if work.flag("include_users"):
        return found
    return {name: value for name, value in found.items() if name != "users"}


def changed(work: Work, found: dict[str, Any]) -> dict[str, Any]:
    """Note that the caller changed *found*."""
    found |= {"date_update": work.now(), "updated_by": work.me}
    work.get("include_count")
    return {"usergroup": show_group(work, found)}


@method("usergroups.create")
def create_group(work: Work) -> dict[str, Any]:
    name = work.need("name", "missing_argument")
    handle = work.get("handle") or name.lower().replace(" ", "-")
    if any(g["name"] == name for g in groups_of(work).values()):
        raise fail("name_already_exists")
    if any(g["handle"] == handle for g in groups_of(work).values()):
        raise fail("handle_already_exists")
    made = {
        "id": work.new_id("S"),
        "team_id": "T0ACME",
        "is_usergroup": True,
        "name": name,
        "handle": handle,
        "description": work.get("description") or "",
        "date_create": work.now(),
        "date_delete": 0,
        "created_by": work.me,
        "prefs": {"channels": work.names("channels"), "groups": []},
        "users": [],
        "user_count": 0,
    }
    groups_of(work)[made["id"]] = made
    return changed(work, made)


@method("usergroups.update")
def update_group(work: Work) -> dict[str, Any]:
    found = group(work)
    for name in ("name", "handle", "description"):
        if work.get(name) is not None:
            found[name] = work.get(name)
    if work.get("channels") is not None:
        found["prefs"] = {"channels": work.names("channels"), "groups": []}
    return changed(work, found)


@method("usergroups.disable")
def disable_group(work: Work) -> dict[str, Any]:
    found = group(work)
    found["date_delete"] = found["date_delete"] or work.now()
    return changed(work, found)


@method("usergroups.enable")
def enable_group(work: Work) -> dict[str, Any]:
    found = group(work)
    found["date_delete"] = 0
    return changed(work, found)


@method("usergroups.list")
def list_groups(work: Work) -> dict[str, Any]:
    all_of_them = work.flag("include_disabled")
    shown = [show_group(work, g) for g in groups_of(work).values() if all_of_them or not g["date_delete"]]
    work.get("include_count")
    return {"usergroups": shown}


@method("usergroups.users.list")
def group_users(work: Work) -> dict[str, Any]:
    found = group(work)
    if found["date_delete"] and not work.flag("include_disabled"):
        raise fail("no_such_subteam")
    return {"users": found["users"]}


@method("usergroups.users.update")
def set_group_users(work: Work) -> dict[str, Any]:
    found = group(work)
    users = work.names("users")
    if not users:
        raise fail("no_users_provided")
    if any(user not in work.state["users"] for user in users):
        raise fail("invalid_users")
    found |= {"users": users, "user_count": len(users)}
    return changed(work, found)


@method("dnd.setSnooze")
def snooze(work: Work) -> dict[str, Any]:
    minutes = int(work.need("num_minutes", "missing_duration"))
    if work.is_bot:
        raise fail("not_allowed_token_type")
    end = work.now() + minutes * 60
    work.state["dnd"][work.me] = {"snooze_enabled": True, "snooze_endtime": end}
    return {"snooze_enabled": True, "snooze_endtime": end, "snooze_remaining": minutes * 60}


@method("dnd.endSnooze")
def end_snooze(work: Work) -> dict[str, Any]:
    if work.is_bot:
        raise fail("not_allowed_token_type")
    if work.state["dnd"].pop(work.me, None) is None:
        raise fail("snooze_not_active")
    return {"dnd_enabled": False, "next_dnd_start_ts": 1, "next_dnd_end_ts": 1, "snooze_enabled": False}


@method("dnd.info")
def dnd(work: Work) -> dict[str, Any]:
    quiet = work.state["dnd"].get(work.user()["id"], {"snooze_enabled": False})
    left = {"snooze_remaining": quiet["snooze_endtime"] - work.now()} if quiet["snooze_enabled"] else {}
    return {"dnd_enabled": False, "next_dnd_start_ts": 1, "next_dnd_end_ts": 1, **quiet, **left}
