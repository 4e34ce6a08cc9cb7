"""Sending: nothing takes a mail back, so a correction follows it to the same people, and the mail is starred.

A mail is sent with a Message-ID of ours where the caller gave none, so that it can be looked for when the answer was
lost. Gmail may replace that id; then a second header with the same value is looked for among what was sent since.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime
from email.utils import getaddresses
from typing import Any

from agentguard.calls import (
    ABSENT,
    Call,
    Effect,
    Finder,
    Forward,
    Handler,
    Json,
    Read,
    Risk,
    Undo,
    forward,
    read,
    undo,
)
from agentguard_connectors.gmail.mail import (
    MARK,
    correction,
    headers_of,
    is_ours,
    marked,
    message_id,
    summary,
    to_bytes,
    to_raw,
)
from agentguard_connectors.gmail.service import gmail

HEADERS = ["From", "To", "Cc", "Bcc", "Subject", "Date", "Message-ID", "References", MARK]
REMAINS = "the mail was delivered and stays; a correction was sent to the same people in its thread"
UNTHREADED = (
    "the mail was delivered and stays; a correction was sent to the same people, perhaps in a thread of its own"
)
MANY = 10
"""From how many people on a mail somebody is asked first."""
FLAGGED = "the mail is starred, to be found again"


def graver(call: Call) -> Risk:
    """Ask before a mail to many people, and before a filter that forwards mail out of the mailbox."""
    if call.operation in ("users.messages.send", "users.drafts.send"):
        mail = call.arguments.get("mail") or {}
        people = getaddresses([mail[name] for name in ("to", "cc", "bcc") if name in mail])
        return Risk.HIGH if len(people) >= MANY else Risk.LOW
    action = call.arguments.get("action") if call.operation == "users.settings.filters.create" else None
    return Risk.HIGH if isinstance(action, dict) and action.get("forward") else Risk.LOW


gmail.graver = graver


@gmail.view
def labels(message: Json) -> Json:
    """Show which labels a message has."""
    return dict.fromkeys(message.get("labelIds") or (), True)


def with_id(raw: Json, mark: str | None) -> tuple[Json, Json]:
    """A raw with a Message-ID of ours, and its summary; as it is where it has one."""
    mail = to_bytes(raw)
    changed = marked(mail, mark) if mail and mark else None
    if changed is None:
        return raw, None
    new = to_raw(changed)
    return new, summary(new)


def sending(raw: Json, mark: str | None) -> Forward:
    """Let a mail go, with a Message-ID of ours."""
    new, mail = with_id(raw, mark)
    return forward() if mail is None else forward().changing(raw=new, mail=mail)


def correcting(user: str, sent: Json, mail: dict[str, Json] | None) -> Generator[Read | Undo, Any, None]:
    """Register the correction of the message *sent*, and the star on it.

    The headers are read from what Gmail made of it. A client that may only send (`gmail.send`) may not read them: then
    the correction is made of what was asked for, and nothing is starred.
    """
    seen = read("users.messages.get", userId=user, id=sent["id"], format="metadata", metadataHeaders=HEADERS)
    message = yield seen.if_allowed()
    given = {name.replace("_", "-"): value for name, value in (mail or {}).items() if isinstance(value, str)}
    if message is None:
        way_back = undo("users.messages.send", userId=user, raw=correction(given), threadId=sent["threadId"])
        yield way_back.leaving(UNTHREADED)
        return
    look = read("users.messages.get", userId=user, id=sent["id"], format="minimal").through("labels")
    flag = undo("users.messages.modify", userId=user, id=sent["id"], addLabelIds=["STARRED"])
    yield flag.on(look, left={"STARRED": ABSENT}, back={"STARRED": True}).leaving(FLAGGED)
    raw = correction({**given, **headers_of(message)})
    yield undo("users.messages.send", userId=user, raw=raw, threadId=sent["threadId"]).leaving(REMAINS)


@gmail.guards("users.messages.send", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains=REMAINS)
def send(userId: str, raw: str, mail: dict[str, Json], mark: str | None) -> Handler:  # noqa: N803 - Gmail's name for it
    """Send a mail; a correction follows in its thread, to the same people, and the mail is starred."""
    new, marked_mail = with_id(raw, mark)
    sent = yield forward().changing(raw=new, mail=marked_mail) if marked_mail else forward()
    yield from correcting(userId, sent, marked_mail or mail)


@gmail.finds("users.messages.send")
def find_sent(userId: str, mail: dict[str, Json], since: str, mark: str | None) -> Finder:  # noqa: N803 - as above
    """Look for the mail by its Message-ID, then by our mark among what was sent since."""
    return (yield from by_message_id(userId, mail, since, mark, "SENT"))


def by_message_id(user: str, mail: dict[str, Json] | None, since: str, mark: str | None, label: str) -> Finder:
    """Find the message with the Message-ID of *mail* and *label* (or any, where it is empty); None if nothing shows it.

    Gmail's search lags. What it does not show is looked for among the newest messages, by the Message-ID and by our
    own header. An id that the caller chose may be on several messages: none of them is taken then.
    """
    wanted = (mail or {}).get("message_id") or (message_id(mark) if mark else None)
    if not wanted:
        return None
    # A minute earlier, as Google's clock and ours need not agree.
    after = (int(datetime.fromisoformat(since).timestamp()) - 60) * 1000
    found: dict[str, Json] = {}
    query = f"rfc822msgid:{str(wanted).strip('<>')}"
    page = yield read("users.messages.list", userId=user, q=query, includeSpamTrash=True, maxResults=5)
    for listed in page.get("messages") or []:
        message = yield read("users.messages.get", userId=user, id=listed["id"], format="minimal")
        recent = is_ours(wanted) or int(message["internalDate"]) >= after
        if recent and (not label or label in message.get("labelIds", [])):
            found[message["id"]] = message
    if not found:
        found = yield from _among_the_newest(user, str(wanted), after, label)
    if len(found) != 1:
        return None
    (one,) = found.values()
    return {"id": one["id"], "threadId": one["threadId"], "labelIds": one.get("labelIds", [])}


def _among_the_newest(user: str, wanted: str, after: int, label: str) -> Generator[Read, Any, dict[str, Json]]:
    where: dict[str, Json] = {"labelIds": [label]} if label else {}
    page = yield read("users.messages.list", userId=user, includeSpamTrash=True, maxResults=25, **where)
    found = {}
    for listed in page.get("messages") or []:
        shown = ["Message-ID", MARK]
        seen = read("users.messages.get", userId=user, id=listed["id"], format="metadata", metadataHeaders=shown)
        message = yield seen.or_none()
        headers = headers_of(message or {})
        if wanted in (headers.get("message-id"), headers.get(MARK.lower())) and (
            is_ours(wanted) or int(message["internalDate"]) >= after
        ):
            found[message["id"]] = message
    return found
