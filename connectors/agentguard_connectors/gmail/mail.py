"""Mail as the Gmail API carries it: base64url of RFC 5322 text, what a person wants to see of it, and the correction.

The text of the correction is fixed, so that whoever approves an agent's mail knows beforehand what an undo would send.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import uuid
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from typing import Any

from agentguard.calls import Json

MARK = "X-Agentguard-Id"
"""A second header with our id: Gmail may replace the Message-ID of what is sent through its API, and keeps this one."""

CORRECTION = """\
Correction: please disregard the message below.

It was sent by an automated assistant whose work has since been taken back. What it says is no longer meant.

{headers}
"""

SHOWN_TEXT = 2000
"""How many characters of a mail's text are shown to whoever approves it."""


def to_bytes(raw: Json) -> bytes | None:
    """Decode the `raw` of a message; None where it is none or was too large to be kept."""
    if not isinstance(raw, str) or not raw:
        return None
    text = raw.translate(str.maketrans("+/", "-_")).rstrip("=")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return None


def to_raw(mail: bytes) -> str:
    """Encode a mail as the `raw` of a message."""
    return base64.urlsafe_b64encode(mail).decode()


def parse(mail: bytes) -> EmailMessage:
    """Parse a mail; what breaks the rules is kept as far as it can be."""
    parsed: Any = message_from_bytes(mail, policy=policy.default)
    return parsed  # type: ignore[no-any-return]  # the policy decides the class


def summary(raw: Json) -> dict[str, Json]:
    """Show a mail as a person wants to see it before it is sent."""
    mail = to_bytes(raw)
    if mail is None:
        return {}
    parsed = parse(mail)
    shown: dict[str, Json] = {}
    for name in ("From", "To", "Cc", "Bcc", "Subject", "Message-ID"):
        value = header(parsed, name)
        if value:
            shown[name.lower().replace("-", "_")] = value
    text = text_of(parsed)
    if text:
        shown["text"] = text[:SHOWN_TEXT]
    files = [name for name, _size, _digest in attachments(parsed)]
    if files:
        shown["attachments"] = files
    return shown


def content(raw: Json) -> dict[str, Json]:
    """Show what a mail says, without what Gmail writes into it (sender, date, ids): to compare drafts."""
    mail = to_bytes(raw)
    if mail is None:
        return {}
    parsed = parse(mail)
    shown: dict[str, Json] = {
        name: header(parsed, name) for name in ("To", "Cc", "Bcc", "Subject", "In-Reply-To", "References")
    }
    bodies = [part for part in parsed.walk() if part.get_content_maintype() == "text" and not part.get_filename()]
    shown["texts"] = [[part.get_content_type(), _text(part)] for part in bodies]
    shown["attachments"] = [list(item) for item in attachments(parsed)]
    return shown


def header(parsed: Message, name: str) -> str:
    """One header in one line; empty where there is none or where it cannot be read."""
    try:
        value = parsed.get(name)
    except (ValueError, IndexError, TypeError):  # what the email package raises for some malformed headers
        return ""
    return " ".join(str(value).split()) if value is not None else ""


def text_of(parsed: EmailMessage) -> str:
    """The text of a mail, or its HTML where it has no other."""
    texts = [part for part in parsed.walk() if part.get_content_maintype() == "text" and not part.get_filename()]
    plain = [part for part in texts if part.get_content_subtype() == "plain"] or texts
    return _text(plain[0]) if plain else ""


def _text(part: Message) -> str:
    payload: Any = part.get_payload(decode=True) or b""
    try:
        decoded = payload.decode(part.get_content_charset() or "utf-8", "replace")
    except LookupError:  # a charset that nobody knows
        decoded = payload.decode("utf-8", "replace")
    return "\n".join(line.rstrip() for line in decoded.strip().splitlines())


def attachments(parsed: EmailMessage) -> list[tuple[str, int, str]]:
    """Name, size and SHA-256 of each attachment."""
    found = []
    for part in parsed.walk():
        if part.get_filename():
            data: Any = part.get_payload(decode=True) or b""
            found.append((str(part.get_filename()), len(data), hashlib.sha256(data).hexdigest()))
    return found


def message_id(mark: str) -> str:
    """The Message-ID of a mail with this mark, in the form of Gmail's own, which it is the least likely to replace."""
    return f"<agentguard.{mark}@mail.gmail.com>"


def correction_id(of: str) -> str:
    """The Message-ID of the correction of the mail *of*: it follows from that, so that there is only one correction."""
    unique = hashlib.sha256(f"correction {of}".encode()).hexdigest()[:32] if of else uuid.uuid4().hex
    return message_id(unique)


def is_ours(name: Json) -> bool:
    """Whether a Message-ID was made by `message_id`."""
    return str(name).startswith("<agentguard.")


def marked(mail: bytes, mark: str) -> bytes | None:
    """*mail* with a Message-ID of ours; None where it has one of its own."""
    head = re.split(rb"\r?\n\r?\n", mail, maxsplit=1)[0]
    if re.search(rb"^message-id[ \t]*:", head, re.IGNORECASE | re.MULTILINE):
        return None
    end = "\r\n" if b"\r\n" in head or b"\n" not in head else "\n"
    name = message_id(mark)
    return f"Message-ID: {name}{end}{MARK}: {name}{end}".encode() + mail


def headers_of(message: Json) -> dict[str, str]:
    """The headers of a message that was read with its metadata, by lower-case name."""
    listed = (message.get("payload") or {}).get("headers") or []
    return {str(item["name"]).lower(): " ".join(str(item["value"]).split()) for item in listed}


def correction(sent: dict[str, str]) -> str:
    """The raw of a mail that takes back the one with the headers *sent*: to the same people, in the same thread.

    Gmail puts a mail into a thread only if its subject is that of the thread, but for "Re:"
    (https://developers.google.com/workspace/gmail/api/guides/threads). So the word "Correction" opens the text.
    """
    answer = EmailMessage(policy=policy.SMTP)
    for name in ("From", "To", "Cc", "Bcc"):
        if sent.get(name.lower()):
            answer[name] = sent[name.lower()]
    subject = sent.get("subject", "")
    answer["Subject"] = subject if re.match(r"re\s*:", subject, re.IGNORECASE) else f"Re: {subject}".strip()
    answer["Message-ID"] = correction_id(sent.get("message-id", ""))
    if sent.get("message-id"):
        answer["In-Reply-To"] = sent["message-id"]
        answer["References"] = " ".join(filter(None, (sent.get("references"), sent["message-id"])))
    told = [f"{name}: {sent[name.lower()]}" for name in ("Subject", "Date", "To") if sent.get(name.lower())]
    answer.set_content(CORRECTION.format(headers="\n".join(f"> {line}" for line in told)))
    return to_raw(answer.as_bytes())
