"""A Gmail service at the stand-in, and what tests put into its mailbox."""

from __future__ import annotations

import base64
import json
from email.message import EmailMessage
from functools import cache
from typing import Any

from google.oauth2.credentials import Credentials
from googleapiclient.discovery import build_from_document
from googleapiclient.discovery_cache import get_static_doc

TOKEN = "ya29.a0AfTokenOfTheStandIn0123456789"
SENDER = "agent@example.com"


@cache
def document() -> str:
    text: str = get_static_doc("gmail", "v1")
    return text


def service_at(url: str, *, credentials: Any = None, **options: Any) -> Any:
    """The service as it is built for Google, its root at *url*: `api_endpoint` would leave batches at Google."""
    held = credentials or Credentials(token=TOKEN)
    found = {**json.loads(document()), "rootUrl": f"{url}/"}
    if "http" in options:
        return build_from_document(found, **options)
    return build_from_document(found, credentials=held, **options)


def mail(subject: str = "Hello", text: str = "Hi there", to: str = "new.hire@example.org", **headers: str) -> str:
    """A mail as `raw`."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = SENDER, to, subject
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(text)
    return base64.urlsafe_b64encode(made.as_bytes()).decode()


def bytes_of(raw: str) -> bytes:
    return base64.urlsafe_b64decode(raw)


def put(service: Any, *labels: str, subject: str = "Hello", **more: Any) -> str:
    """Put a message into the mailbox; return its id."""
    raw = mail(subject, Date="Thu, 05 Nov 2026 10:00:00 +0000", **more.pop("headers", {}))
    body = {"raw": raw, "labelIds": list(labels), **more}
    made = service.users().messages().insert(userId="me", internalDateSource="dateHeader", body=body).execute()
    name: str = made["id"]
    return name


def put_thread(service: Any, *labels: tuple[str, ...]) -> tuple[str, list[str]]:
    """Put a thread into the mailbox, one message for each group of labels; return its id and theirs."""
    first = "<first@example.com>"
    names = [put(service, *labels[0], headers={"Message_ID": first})]
    names += [put(service, *more, subject="Re: Hello", headers={"In_Reply_To": first}) for more in labels[1:]]
    return names[0], names


def label(service: Any, name: str, **fields: Any) -> str:
    made = service.users().labels().create(userId="me", body={"name": name, **fields}).execute()
    found: str = made["id"]
    return found


def draft(service: Any, subject: str = "Plan", **more: Any) -> str:
    body = {"message": {"raw": mail(subject, **more)}}
    made: str = service.users().drafts().create(userId="me", body=body).execute()["id"]
    return made
