"""reminders.*: what people asked to be reminded of; not for bot tokens, as with the real ones."""

from __future__ import annotations

from typing import Any

from agentguard.sandbox.slack.workspace import Work, dict_of, fail, method


def find(work: Work) -> dict[str, Any]:
    """The reminder that the call points at."""
    if work.is_bot:
        raise fail("not_allowed_token_type")
    found = work.state["reminders"].get(work.need("reminder", "not_found"))
    if found is None:
        raise fail("not_found")
    return dict_of(found)


@method("reminders.add")
def add(work: Work) -> dict[str, Any]:
    if work.is_bot:
        raise fail("not_allowed_token_type")
    when = work.need("time", "cannot_parse")
    if not str(when).isdigit():
        raise fail("cannot_parse")
    work.get("team_id"), work.get("recurrence")
    made = {
        "id": work.new_id("Rm"),
        "creator": work.me,
        "user": work.user()["id"],
        "text": work.need("text"),
        "recurring": False,
        "time": int(when),
        "complete_ts": 0,
    }
    work.state["reminders"][made["id"]] = made
    return {"reminder": made}


@method("reminders.complete")
def complete(work: Work) -> dict[str, Any]:
    found = find(work)
    if found["recurring"]:
        raise fail("cannot_complete_recurring")
    found["complete_ts"] = work.now()
    return {}


@method("reminders.delete")
def delete(work: Work) -> dict[str, Any]:
    del work.state["reminders"][find(work)["id"]]
    return {}


@method("reminders.info")
def info(work: Work) -> dict[str, Any]:
    return {"reminder": find(work)}


@method("reminders.list")
def list_reminders(work: Work) -> dict[str, Any]:
    if work.is_bot:
        raise fail("not_allowed_token_type")
    mine = [r for r in work.state["reminders"].values() if work.me in (r["creator"], r["user"])]
    return {"reminders": mine}
