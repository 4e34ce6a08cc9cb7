"""The mailbox itself: messages, threads, search, and how Gmail shows a message."""

from __future__ import annotations

import re
import time
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import formatdate, getaddresses, parsedate_to_datetime
from typing import Any

from agentguard.sandbox.gmail.shapes import decoded, encoded, missing, problem
from agentguard.sandbox.server import Incoming, Service

BY_GMAIL_ONLY = ("SENT", "DRAFT", "CHAT")


class Mailbox(Service):
    """What the parts of the API share."""

    def number(self) -> int:
        self.state["next"] += 1
        return int(self.state["next"])

    def new_id(self) -> str:
        return f"{0x18C0FFEE00000000 + self.number():016x}"

    def changed(self, **entry: Any) -> str:
        """Put a change into the history; return its id."""
        self.state["history"] += 1
        name = str(self.state["history"])
        self.state["log"].append({"id": name, **entry})
        return name

    def message(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] | None = self.state["messages"].get(name)
        if found is None:
            raise missing()
        return found

    def put(self, raw: str, labels: list[str], thread: str | None, *, date: str = "received") -> dict[str, Any]:
        """Put a mail into the mailbox."""
        name = self.new_id()
        mail = parsed(raw)
        if not mail["Message-ID"]:
            raw = with_header(raw, "Message-ID", f"<CA+{name}@mail.gmail.com>")
            mail = parsed(raw)
        milliseconds = int(time.time() * 1000)
        if date == "dateHeader" and mail["Date"]:
            milliseconds = int(parsedate_to_datetime(str(mail["Date"])).timestamp() * 1000)
        made = {
            "id": name,
            "threadId": self.thread_for(mail, thread) or name,
            "labelIds": list(dict.fromkeys(labels)),
            "snippet": snippet(mail),
            "internalDate": str(milliseconds),
            "sizeEstimate": len(decoded(raw)),
            "raw": raw,
            "historyId": "",
        }
        self.state["messages"][name] = made
        brief = {"id": name, "threadId": made["threadId"], "labelIds": made["labelIds"]}
        made["historyId"] = self.changed(messages=[brief], messagesAdded=[{"message": brief}])
        return made

    def thread_for(self, mail: EmailMessage, wanted: str | None) -> str | None:
        """The thread that a mail joins: the wanted one, or that of a mail it refers to; the subject has to fit."""
        if wanted is not None and not self.in_thread(wanted):
            raise missing()
        referred = f"{mail['References'] or ''} {mail['In-Reply-To'] or ''}"
        for message in self.state["messages"].values():
            other = parsed(message["raw"])
            refers = str(other["Message-ID"]) in referred and subject(other) == subject(mail)
            if refers and wanted in (None, message["threadId"]):
                return str(message["threadId"])
        if wanted is not None and any(
            subject(parsed(m["raw"])) == subject(mail) and "DRAFT" in m["labelIds"] for m in self.in_thread(wanted)
        ):
            return wanted
        return None

    def in_thread(self, thread: str) -> list[dict[str, Any]]:
        return [message for message in self.state["messages"].values() if message["threadId"] == thread]

    def drop(self, name: str) -> None:
        """Delete a message for good."""
        message = self.state["messages"].pop(name)
        brief = {"id": name, "threadId": message["threadId"]}
        self.changed(messages=[brief], messagesDeleted=[{"message": brief}])

    def relabel(self, message: dict[str, Any], add: list[str], remove: list[str]) -> None:
        # A message is in the inbox, the spam or the trash, not in two of them.
        elsewhere = {"INBOX", "SPAM", "TRASH"} - set(add) if {"SPAM", "TRASH"} & set(add) else set()
        kept = [label for label in message["labelIds"] if label not in remove and label not in elsewhere]
        message["labelIds"] = kept + [label for label in dict.fromkeys(add) if label not in kept]
        message["historyId"] = self.changed(messages=[{"id": message["id"], "threadId": message["threadId"]}])

    def checked_labels(self, body: dict[str, Any]) -> tuple[list[str], list[str]]:
        """The labels to add and to remove; unknown ones and those that Gmail alone gives are refused."""
        add, remove = body.get("addLabelIds") or [], body.get("removeLabelIds") or []
        if not add and not remove:
            raise problem(400, "No label add or removes specified")
        for label in (*add, *remove):
            if label not in self.state["labels"] or label in BY_GMAIL_ONLY:
                raise problem(400, f"Invalid label: {label}")
        if set(add) & set(remove):
            raise problem(400, "Cannot both add and remove the same label")
        return add, remove

    # Showing and finding

    def show(self, message: dict[str, Any], call: Incoming) -> dict[str, Any]:
        """A message in the format that was asked for."""
        kind = str(call.query.get("format", "full")).lower()
        shown = {name: value for name, value in message.items() if name != "raw"}
        if not shown["labelIds"]:
            del shown["labelIds"]
        if kind == "raw":
            return {**shown, "raw": message["raw"]}
        if kind == "minimal":
            return shown
        mail = parsed(message["raw"])
        wanted = [name.lower() for name in call.query.get("metadataHeaders", [])] if kind == "metadata" else []
        headers = [{"name": n, "value": str(v)} for n, v in mail.items() if not wanted or n.lower() in wanted]
        if kind == "metadata":
            return {**shown, "payload": {"mimeType": mail.get_content_type(), "headers": headers}}
        if kind != "full":
            raise problem(400, f"Invalid value at 'format' (TYPE_ENUM), \"{kind}\"", "badRequest")
        return {**shown, "payload": {**part_of(mail, ""), "headers": headers}}

    def search(self, call: Incoming) -> list[dict[str, Any]]:
        """The messages that a list asks for, newest first."""
        q = str(call.query.get("q", ""))
        if self.state["search_lags"] and (q or self.state["search_lags"] == "all"):
            return []
        labels = call.query.get("labelIds", [])
        everywhere = call.query.get("includeSpamTrash") == "true" or "in:trash" in q or "in:anywhere" in q
        found = [
            message
            for message in self.state["messages"].values()
            if (everywhere or not {"TRASH", "SPAM"} & set(message["labelIds"]) or {"TRASH", "SPAM"} & set(labels))
            and all(label in message["labelIds"] for label in labels)
            and all(self.fits(message, term) for term in re.findall(r'\w+:"[^"]*"|\S+', q))
        ]
        return sorted(found, key=lambda message: int(message["internalDate"]), reverse=True)

    def fits(self, message: dict[str, Any], term: str) -> bool:
        """Whether a message fits one term of a search."""
        operator, colon, value = term.partition(":")
        value = value.strip('"')
        mail = parsed(message["raw"])
        if operator == "rfc822msgid":
            return str(mail["Message-ID"]).strip("<>") == value.strip("<>")
        if operator == "in":
            place = {"sent": "SENT", "drafts": "DRAFT", "inbox": "INBOX", "trash": "TRASH"}.get(value)
            return place is None or place in message["labelIds"]
        if operator == "is":
            return value.upper() in message["labelIds"]
        if operator == "after":
            return int(message["internalDate"]) >= int(value) * 1000
        if operator in ("subject", "from", "to"):
            return value.lower() in str(mail[operator] or "").lower()
        return not colon and term.lower() in message["snippet"].lower()

    def page(self, things: list[Any], call: Incoming, name: str, default: int = 100) -> dict[str, Any]:
        """One page of a list."""
        size = min(int(call.query.get("maxResults", default)), 500)
        start = int(call.query.get("pageToken") or 0)
        shown: dict[str, Any] = {"resultSizeEstimate": len(things)}
        if things[start : start + size]:
            shown[name] = things[start : start + size]
        if start + size < len(things):
            shown["nextPageToken"] = str(start + size)
        return shown


def parsed(raw: str) -> EmailMessage:
    """The mail in *raw*."""
    mail: Any = message_from_bytes(decoded(raw), policy=policy.default)
    return mail  # type: ignore[no-any-return]  # the policy decides the class


def with_header(raw: str, name: str, value: str) -> str:
    """*raw* with a header put in front, in place of one of the same name."""
    mail = decoded(raw)
    head, gap, body = re.split(rb"(\r?\n\r?\n|\Z)", mail, maxsplit=1)
    kept = re.sub(rb"(?im)^" + re.escape(name.encode()) + rb":.*(?:\r?\n[ \t].*)*(?:\r?\n|\Z)", b"", head)
    return encoded(f"{name}: {value}\r\n".encode() + kept + gap + body)


def subject(mail: EmailMessage) -> str:
    """The subject without "Re:" and the like."""
    return re.sub(r"^(?:(?:re|fwd?)\s*:\s*)+", "", str(mail["Subject"] or ""), flags=re.IGNORECASE).strip()


def recipients(mail: EmailMessage) -> list[str]:
    """Everybody that a mail goes to."""
    values = [str(value) for name in ("To", "Cc", "Bcc") for value in mail.get_all(name, [])]
    return [address for _name, address in getaddresses(values) if address]


def snippet(mail: EmailMessage) -> str:
    """The beginning of a mail's text."""
    part = mail.get_body(("plain", "html"))
    text = part.get_payload(decode=True) if part is not None else b""
    return " ".join(text.decode("utf-8", "replace").split())[:200] if isinstance(text, bytes) else ""


def part_of(part: EmailMessage, place: str) -> dict[str, Any]:
    """A part of a mail as `format=full` shows it."""
    shown: dict[str, Any] = {
        "partId": place,
        "mimeType": part.get_content_type(),
        "filename": part.get_filename() or "",
        "headers": [{"name": name, "value": str(value)} for name, value in part.items()],
    }
    if part.is_multipart():
        inner: list[Any] = list(part.iter_parts())
        return {
            **shown,
            "body": {"size": 0},
            "parts": [part_of(p, f"{place}.{n}".strip(".")) for n, p in enumerate(inner)],
        }
    content: Any = part.get_payload(decode=True) or b""
    return {**shown, "body": {"size": len(content), "data": encoded(content)}}


def dated(raw: str, sender: str) -> str:
    """*raw* with the sender and the date that a mail gets when it is sent."""
    mail = parsed(raw)
    if not mail["Date"]:
        raw = with_header(raw, "Date", formatdate(usegmt=True))
    return raw if mail["From"] else with_header(raw, "From", sender)
