"""The mailbox's settings: vacation reply, IMAP, POP, language and automatic forwarding.

Each is written as a whole, and what is not given falls back to a default. So the whole is written back, and only while
it is still as the call left it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentguard.calls import Call, Effect, Handler, Json, Risk, forward, read, unchanged, undo
from agentguard_connectors.gmail.service import gmail


def view_of(name: str, defaults: dict[str, Json]) -> Callable[[Json], Json]:
    """Register a view that shows all fields of a setting: Gmail leaves out what has its default value."""

    def view(setting: Json) -> Json:
        return {field: setting.get(field, default) for field, default in defaults.items()}

    view.__name__ = name
    return gmail.view(view)


def written_whole(
    operation: str,
    summary: str,
    *,
    by: str,
    defaults: dict[str, Json],
    effect: Effect = Effect.REVERSIBLE,
    risk: Risk = Risk.LOW,
    switch: str = "",
    remains: str = "",
) -> None:
    """Register the update of a setting. *remains* holds for a call that changes it and leaves *switch* on."""
    view = view_of(by.rpartition(".")[2].removeprefix("get").lower(), defaults)

    def handler(call: Call) -> Handler:
        user = call.arguments["userId"]
        look = read(by, userId=user).through(view.__name__)
        before = yield look
        given = view(call.arguments)
        # Gmail takes no value that means "not given" (an enum's Unspecified); what is left out has its default.
        old = {name: value for name, value in before.items() if value != defaults[name] or isinstance(value, bool)}
        works = bool(switch and given[switch])
        if given != before:
            way_back = undo(operation, userId=user, **old).on(look, left=given, back=before, same_shape=True)
            yield way_back.leaving(remains if works else "")
        else:
            yield unchanged()
        yield forward()

    handler.__doc__ = summary
    handler.__qualname__ = f"{gmail.name}.written_whole({operation!r})"
    gmail.guards(operation, effect=effect, risk=risk, remains=remains)(handler)


VACATION: dict[str, Any] = {
    "enableAutoReply": False,
    "responseSubject": "",
    "responseBodyPlainText": "",
    "responseBodyHtml": "",
    "restrictToContacts": False,
    "restrictToDomain": False,
    "startTime": None,
    "endTime": None,
}

written_whole(
    "users.settings.updateVacation",
    "Set the vacation reply; the old setting comes back. Replies that went out meanwhile stay.",
    by="users.settings.getVacation",
    defaults=VACATION,
    effect=Effect.COMPENSABLE,
    risk=Risk.MEDIUM,
    switch="enableAutoReply",
    remains="whoever wrote meanwhile had the automatic reply",
)

written_whole(
    "users.settings.updateImap",
    "Set how mail programs read the mailbox over IMAP; the old setting comes back.",
    by="users.settings.getImap",
    defaults={
        "enabled": False,
        "autoExpunge": False,
        "expungeBehavior": "expungeBehaviorUnspecified",
        "maxFolderSize": 0,
    },
)

written_whole(
    "users.settings.updatePop",
    "Set how mail programs fetch mail over POP; the old setting comes back.",
    by="users.settings.getPop",
    defaults={"accessWindow": "accessWindowUnspecified", "disposition": "dispositionUnspecified"},
)

written_whole(
    "users.settings.updateLanguage",
    "Set the language of Gmail's pages; the old one comes back.",
    by="users.settings.getLanguage",
    defaults={"displayLanguage": ""},
)

written_whole(
    "users.settings.updateAutoForwarding",
    "Set whether all mail is forwarded to an address; the old setting comes back. Mail forwarded meanwhile is out.",
    by="users.settings.getAutoForwarding",
    defaults={"enabled": False, "emailAddress": "", "disposition": "dispositionUnspecified"},
    effect=Effect.COMPENSABLE,
    risk=Risk.HIGH,
    switch="enabled",
    remains="mail that arrived meanwhile was forwarded",
)
