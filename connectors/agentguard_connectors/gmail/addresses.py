"""Addresses that a mailbox sends as, forwards to, or is shared with."""

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
    forward,
    no_undo,
    read,
    unchanged,
    undo,
)
from agentguard_connectors.gmail.service import gmail

SEND_AS = ("displayName", "replyToAddress", "signature", "treatAsAlias", "isDefault")
VERIFYING = "an address outside of the domain was sent a mail that asks to verify it"
SHARED = "the delegate could read and send mail meanwhile"
REVERIFYING = "the address may have to be verified again"


@gmail.view
def send_as(thing: Json) -> Json:
    """Show an address to send as; Gmail leaves out what is false or empty."""
    shown = {name: thing.get(name, "") for name in SEND_AS[:3]}
    return {**shown, **{name: thing.get(name, False) for name in SEND_AS[3:]}}


@gmail.view
def address(thing: Json) -> Json:
    """Show that an address is there."""
    return {"email": thing.get("forwardingEmail") or thing.get("delegateEmail") or thing.get("sendAsEmail")}


def _making(
    kind: str, user: str, parameter: str, email: str, remains: str
) -> Generator[Read | Undo | NoUndo, Any, None]:
    """Register that an address is deleted which is about to be added."""
    look = read(f"users.settings.{kind}.get", userId=user, **{parameter: email}).through("address")
    before = yield look.or_none()
    if before is None:
        way_back = undo(f"users.settings.{kind}.delete", userId=user, **{parameter: email})
        yield way_back.on(look, left={"email": email}, back=ABSENT).leaving(remains)
    else:
        yield unchanged()


def _finding(kind: str, parameter: str) -> Any:
    """A finder for an address that was to be added. One that was there before, Gmail has refused to add again."""

    def finder(call: Call, userId: str, snapshots: Json) -> Finder:  # noqa: N803 - Gmail's name for it
        if not snapshots or snapshots[0] is not None:
            return None
        email = call.arguments[parameter]
        return (yield read(f"users.settings.{kind}.get", userId=userId, **{parameter: email}).or_none())

    return finder


gmail.finds("users.settings.forwardingAddresses.create", authoritative=True)(
    _finding("forwardingAddresses", "forwardingEmail")
)
gmail.finds("users.settings.sendAs.create", authoritative=True)(_finding("sendAs", "sendAsEmail"))
# A new delegate is there after up to a minute (https://developers.google.com/workspace/gmail/api/guides/delegate_settings).
gmail.finds("users.settings.delegates.create")(_finding("delegates", "delegateEmail"))


def _added_again(kind: str, user: str, parameter: str, email: str, fields: dict[str, Json], remains: str) -> Undo:
    """Add an address that was deleted."""
    look = read(f"users.settings.{kind}.get", userId=user, **{parameter: email}).through("address")
    way_back = undo(f"users.settings.{kind}.create", userId=user, **{parameter: email}, **fields)
    return way_back.on(look, left=ABSENT, back={"email": email}).leaving(remains)


@gmail.guards("users.settings.forwardingAddresses.create", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=VERIFYING)
def create_forwarding(userId: str, forwardingEmail: str) -> Handler:  # noqa: N803 - Gmail's names
    """Add an address that mail can be forwarded to; it is deleted again."""
    yield from _making("forwardingAddresses", userId, "forwardingEmail", forwardingEmail, VERIFYING)
    yield forward()


@gmail.guards("users.settings.forwardingAddresses.delete", effect=Effect.COMPENSABLE, remains=REVERIFYING)
def delete_forwarding(userId: str, forwardingEmail: str) -> Handler:  # noqa: N803 - Gmail's names
    """Delete an address that mail can be forwarded to; it is added again."""
    yield read("users.settings.forwardingAddresses.get", userId=userId, forwardingEmail=forwardingEmail)
    yield _added_again("forwardingAddresses", userId, "forwardingEmail", forwardingEmail, {}, REVERIFYING)
    yield forward()


@gmail.guards("users.settings.delegates.create", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=SHARED)
def create_delegate(userId: str, delegateEmail: str) -> Handler:  # noqa: N803 - Gmail's names
    """Let somebody else use the mailbox; they may no longer."""
    yield from _making("delegates", userId, "delegateEmail", delegateEmail, SHARED)
    yield forward()


@gmail.guards("users.settings.delegates.delete", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def delete_delegate(userId: str, delegateEmail: str) -> Handler:  # noqa: N803 - Gmail's names
    """Let somebody no longer use the mailbox; they may again."""
    old = yield read("users.settings.delegates.get", userId=userId, delegateEmail=delegateEmail)
    # Gmail adds a delegate as accepted, without asking: one that had not accepted yet would have more than before.
    pending = old.get("verificationStatus") != "accepted"
    remains = "the delegate counts as accepted now, and had not accepted before" if pending else ""
    yield _added_again("delegates", userId, "delegateEmail", delegateEmail, {}, remains)
    yield forward()


@gmail.guards("users.settings.sendAs.create", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains=VERIFYING)
def create_send_as(userId: str, sendAsEmail: str, isDefault: bool) -> Handler:  # noqa: N803 - Gmail's names
    """Add an address to send as; it is deleted again."""
    yield from _making("sendAs", userId, "sendAsEmail", sendAsEmail, VERIFYING)
    if isDefault:
        yield from _default_again(userId)  # registered last, so that it is done first: a default cannot be deleted
    yield forward()


@gmail.guards("users.settings.sendAs.delete", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains=REVERIFYING)
def delete_send_as(userId: str, sendAsEmail: str) -> Handler:  # noqa: N803 - Gmail's names
    """Delete an address to send as; it is added again, without the password of its own mail server."""
    old = yield read("users.settings.sendAs.get", userId=userId, sendAsEmail=sendAsEmail)
    fields = {name: value for name, value in send_as(old).items() if value}
    server = "; its mail server and password have to be entered again" if old.get("smtpMsa") else ""
    yield _added_again("sendAs", userId, "sendAsEmail", sendAsEmail, fields, f"{REVERIFYING}{server}")
    yield forward()


def _default_again(user: str) -> Generator[Read | Undo, Any, None]:
    """Make the address that is the default one now the default again: only one can be."""
    page = yield read("users.settings.sendAs.list", userId=user)
    for item in page.get("sendAs") or ():
        if item.get("isDefault"):
            look = read("users.settings.sendAs.get", userId=user, sendAsEmail=item["sendAsEmail"]).through("send_as")
            way_back = undo("users.settings.sendAs.patch", userId=user, sendAsEmail=item["sendAsEmail"], isDefault=True)
            yield way_back.on(look, left={"isDefault": False}, back={"isDefault": True})


def _changing(user: str, email: str, call: Call, given: dict[str, Json]) -> Generator[Read | Undo | NoUndo, Any, None]:
    look = read("users.settings.sendAs.get", userId=user, sendAsEmail=email).through("send_as")
    before = yield look
    default = given.pop("isDefault", False) and not before["isDefault"]
    if default:
        yield from _default_again(user)
    changed = {name: value for name, value in given.items() if before[name] != value}
    if changed:
        old = {name: before[name] for name in changed}
        way_back = undo("users.settings.sendAs.patch", userId=user, sendAsEmail=email, **old)
        yield way_back.on(look, left=changed, back=old, same_shape=True)
    elif not default:
        yield unchanged()
    if call.arguments.get("smtpMsa"):
        yield no_undo("the mail server of the address is not put back, as its password cannot be read")


@gmail.guards("users.settings.sendAs.patch", effect=Effect.REVERSIBLE)
def patch_send_as(call: Call, userId: str, sendAsEmail: str) -> Handler:  # noqa: N803 - Gmail's names
    """Change some fields of an address to send as; the old values come back. A mail server's password does not."""
    given = {name: call.arguments[name] for name in SEND_AS if name in call.arguments}
    yield from _changing(userId, sendAsEmail, call, given)
    yield forward()


@gmail.guards("users.settings.sendAs.update", effect=Effect.REVERSIBLE)
def update_send_as(call: Call, userId: str, sendAsEmail: str) -> Handler:  # noqa: N803 - Gmail's names
    """Write an address to send as anew; the old values of what changed come back."""
    given = send_as(call.arguments)
    yield from _changing(userId, sendAsEmail, call, given)
    yield forward()
