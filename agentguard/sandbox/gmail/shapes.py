"""What requests may hold, by the discovery document of gmail v1, and the shape of Google's errors."""

from __future__ import annotations

import base64
import binascii
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from agentguard.sandbox.server import Incoming, Refuse

TEXT, FLAG, NUMBER, TEXTS = "text", "flag", "number", "texts"
"""Kinds of fields; a dict is a nested message."""

MESSAGE: dict[str, Any] = {
    "id": TEXT,
    "threadId": TEXT,
    "labelIds": TEXTS,
    "snippet": TEXT,
    "historyId": TEXT,
    "internalDate": TEXT,
    "payload": {},
    "sizeEstimate": NUMBER,
    "raw": TEXT,
}
DRAFT = {"id": TEXT, "message": MESSAGE}
MODIFY = {"addLabelIds": TEXTS, "removeLabelIds": TEXTS}
BATCH_MODIFY = {"ids": TEXTS, **MODIFY}
BATCH_DELETE = {"ids": TEXTS}
LABEL = {
    "id": TEXT,
    "name": TEXT,
    "messageListVisibility": TEXT,
    "labelListVisibility": TEXT,
    "type": TEXT,
    "messagesTotal": NUMBER,
    "messagesUnread": NUMBER,
    "threadsTotal": NUMBER,
    "threadsUnread": NUMBER,
    "color": {"textColor": TEXT, "backgroundColor": TEXT},
}
VACATION = {
    "enableAutoReply": FLAG,
    "responseSubject": TEXT,
    "responseBodyPlainText": TEXT,
    "responseBodyHtml": TEXT,
    "restrictToContacts": FLAG,
    "restrictToDomain": FLAG,
    "startTime": TEXT,
    "endTime": TEXT,
}
IMAP = {"enabled": FLAG, "autoExpunge": FLAG, "expungeBehavior": TEXT, "maxFolderSize": NUMBER}
POP = {"accessWindow": TEXT, "disposition": TEXT}
LANGUAGE = {"displayLanguage": TEXT}
AUTO_FORWARDING = {"enabled": FLAG, "emailAddress": TEXT, "disposition": TEXT}
FORWARDING = {"forwardingEmail": TEXT, "verificationStatus": TEXT}
DELEGATE = {"delegateEmail": TEXT, "verificationStatus": TEXT}
SEND_AS = {
    "sendAsEmail": TEXT,
    "displayName": TEXT,
    "replyToAddress": TEXT,
    "signature": TEXT,
    "isPrimary": FLAG,
    "isDefault": FLAG,
    "treatAsAlias": FLAG,
    "verificationStatus": TEXT,
    "smtpMsa": {"host": TEXT, "port": NUMBER, "username": TEXT, "password": TEXT, "securityMode": TEXT},
}
FILTER = {
    "id": TEXT,
    "criteria": {
        "from": TEXT,
        "to": TEXT,
        "subject": TEXT,
        "query": TEXT,
        "negatedQuery": TEXT,
        "hasAttachment": FLAG,
        "excludeChats": FLAG,
        "size": NUMBER,
        "sizeComparison": TEXT,
    },
    "action": {"addLabelIds": TEXTS, "removeLabelIds": TEXTS, "forward": TEXT},
}

QUERY = frozenset(
    {
        *("$.xgafv", "access_token", "alt", "callback", "fields", "key", "oauth_token", "prettyPrint", "quotaUser"),
        *("uploadType", "upload_protocol", "format", "metadataHeaders", "includeSpamTrash", "labelIds", "maxResults"),
        *("pageToken", "q", "deleted", "internalDateSource", "neverMarkSpam", "processForCalendar", "historyTypes"),
        *("labelId", "startHistoryId"),
    }
)
REPEATED = ("metadataHeaders", "labelIds", "historyTypes")


def problem(status: int, message: str, reason: str = "invalidArgument", name: str = "INVALID_ARGUMENT") -> Refuse:
    """An error as Google's APIs write it (https://cloud.google.com/apis/design/errors)."""
    detail = {"message": message, "domain": "global", "reason": reason}
    return Refuse(status, {"error": {"code": status, "message": message, "errors": [detail], "status": name}})


def missing() -> Refuse:
    """There is no such thing."""
    return problem(404, "Requested entity was not found.", "notFound", "NOT_FOUND")


def query_of(call: Incoming) -> dict[str, Any]:
    """The query with lists for those names that may repeat."""
    pairs = parse_qsl(urlsplit(call.target or call.path).query, keep_blank_values=True)
    query: dict[str, Any] = dict(pairs)
    for name in REPEATED:
        if name in query:
            query[name] = [value for given, value in pairs if given == name]
    return query


def check_query(query: dict[str, Any]) -> None:
    """Refuse parameters that no method of the API has."""
    for name in query:
        if name not in QUERY:
            raise problem(
                400, f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter.', "badRequest"
            )


def checked(body: Any, shape: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Return *body* if it is of *shape*; refuse it with Google's words otherwise. Nulls are not there."""
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise problem(400, "Invalid JSON payload received.", "parseError")
    result: dict[str, Any] = {}
    for name, value in body.items():
        where = f"{path}.{name}".strip(".")
        if name not in shape:
            at = f" at '{path}'" if path else ""
            raise problem(
                400, f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.', "badRequest"
            )
        if value is None:
            result[name] = None
            continue
        result[name] = _value(value, shape[name], where)
    return result


def _value(value: Any, kind: Any, where: str) -> Any:
    if isinstance(kind, dict):
        return checked(value, kind, where) if kind else value
    right = {
        TEXT: isinstance(value, str),
        FLAG: isinstance(value, bool),
        NUMBER: isinstance(value, int) and not isinstance(value, bool),
        TEXTS: isinstance(value, list) and all(isinstance(item, str) for item in value),
    }[kind]
    if not right:
        raise problem(400, f"Invalid value at '{where}' (TYPE_{kind.upper()}), {value!r}", "badRequest")
    return value


def decoded(raw: str) -> bytes:
    """Decode base64url; refuse what is none."""
    try:
        text = raw.translate(str.maketrans("+/", "-_")).rstrip("=")
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise problem(
            400, "Invalid value at 'message.raw' (TYPE_BYTES), Base64 decoding failed", "badRequest"
        ) from None


def encoded(mail: bytes) -> str:
    """Encode as base64url."""
    return base64.urlsafe_b64encode(mail).decode()
