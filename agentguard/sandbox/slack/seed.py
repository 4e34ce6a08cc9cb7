"""The workspace to begin with: a bot, an administrator, three colleagues, and a few channels."""

from __future__ import annotations

from typing import Any

BOT = "U0BOT"
ADMIN = "U0ADMIN"
CREATED = 1_750_000_000


def user(identifier: str, name: str, *, bot: bool = False, admin: bool = False) -> dict[str, Any]:
    """A user as `users.info` shows it."""
    profile = {
        "real_name": name.title(),
        "display_name": name,
        "title": "",
        "phone": "",
        "status_text": "",
        "status_emoji": "",
        "status_expiration": 0,
        "email": f"{name}@example.com",
        "fields": {},
    }
    flags = {"is_bot": bot, "is_admin": admin, "deleted": False, "presence": "active"}
    return {"id": identifier, "team_id": "T0ACME", "name": name, **flags, "profile": profile}


def channel(identifier: str, name: str, members: list[str], **kind: bool) -> dict[str, Any]:
    """A conversation as the stand-in keeps it; the methods show parts of it."""
    return {
        "id": identifier,
        "name": name,
        "is_channel": not kind.get("im") and not kind.get("private"),
        "is_private": kind.get("private", False),
        "is_im": kind.get("im", False),
        "is_mpim": kind.get("mpim", False),
        "is_general": name == "general",
        "is_archived": False,
        "created": CREATED,
        "creator": ADMIN,
        "topic": {"value": "", "creator": "", "last_set": 0},
        "purpose": {"value": "", "creator": "", "last_set": 0},
        "members": members,
        "messages": {},
        "pins": [],
        "bookmarks": {},
        "last_read": {},
        "open_for": [],
    }


def message(ts: str, who: str, text: str, **more: Any) -> dict[str, Any]:
    """A message that was there before."""
    return {"type": "message", "user": who, "text": text, "ts": ts, "team": "T0ACME", **more}


def workspace() -> dict[str, Any]:
    """A new workspace."""
    users = [
        user(BOT, "deploybot", bot=True),
        user(ADMIN, "admin", admin=True),
        *(user(f"U0{name.upper()}", name) for name in ("ada", "grace", "linus")),
    ]
    general = channel("C0GENERAL", "general", [BOT, ADMIN, "U0ADA", "U0GRACE"])
    general["topic"] = {"value": "Company-wide", "creator": ADMIN, "last_set": CREATED}
    general["messages"] = {
        "1750000100.000100": message("1750000100.000100", "U0ADA", "Welcome everybody"),
        "1750000200.000200": message("1750000200.000200", "U0GRACE", "Lunch at noon?"),
    }
    channels = [
        general,
        channel("C0RANDOM", "random", [BOT, ADMIN, "U0ADA"]),
        channel("C0OPEN", "open", [ADMIN, "U0GRACE"]),
        channel("C0SECRET", "secret", [BOT, ADMIN], private=True),
    ]
    return {
        "team": {"id": "T0ACME", "name": "Acme", "domain": "acme"},
        "users": {u["id"]: u for u in users},
        "channels": {c["id"]: c for c in channels},
        "files": {},
        "usergroups": {},
        "reminders": {},
        "scheduled": {},
        "stars": {},
        "dnd": {},
        "uploads": {},
        "answers": {},
        "ignored_arguments": [],
        "counter": 0,
        "last_ts": 0.0,
        "last_now": 0,
    }
