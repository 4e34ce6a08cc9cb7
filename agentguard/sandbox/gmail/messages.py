"""users.messages and the uploads of all methods that take a mail."""

from __future__ import annotations

import json
import re
from typing import Any

from agentguard.sandbox.gmail.mailbox import Mailbox, dated, parsed, recipients, with_header
from agentguard.sandbox.gmail.shapes import (
    BATCH_DELETE,
    BATCH_MODIFY,
    DRAFT,
    MESSAGE,
    MODIFY,
    checked,
    decoded,
    encoded,
    missing,
    problem,
)
from agentguard.sandbox.server import Incoming, Reply, route

USER = "/gmail/v1/users/{user}"


class Messages(Mailbox):
    """Messages: sent, put in, labelled, thrown away."""

    def send_mail(self, raw: str, thread: str | None) -> dict[str, Any]:
        """Send a mail: it is delivered, and a copy is kept."""
        if not raw:
            raise problem(400, "'raw' RFC822 payload message string or uploading message via /upload/* URL required")
        mail = parsed(raw)
        everybody = recipients(mail)
        if not everybody:
            raise problem(400, "Recipient address required")
        if not self.state["keeps_message_id"]:
            raw = with_header(raw, "Message-ID", f"<CA+{self.number():08x}@mail.gmail.com>")
        labels = ["SENT", *(["INBOX", "UNREAD"] if self.state["email"] in everybody else [])]
        sent = self.put(dated(raw, self.state["email"]), labels, thread)
        self.state["delivered"].append({"to": everybody, "message": sent["id"]})
        self.effect("mail sent", id=sent["id"], to=everybody)
        return sent

    @route("POST", USER + "/messages/send")
    def send(self, call: Incoming) -> Reply:
        body = checked(call.body, MESSAGE)
        return Reply(200, brief(self.send_mail(body.get("raw") or "", body.get("threadId"))))

    @route("POST", USER + "/messages/import")
    def import_message(self, call: Incoming) -> Reply:
        return self.insert_message(call)

    @route("POST", USER + "/messages/batchModify")
    def batch_modify(self, call: Incoming) -> Reply:
        body = checked(call.body, BATCH_MODIFY)
        add, remove = self.checked_labels(body)
        if not body.get("ids") or len(body["ids"]) > 1000:
            raise problem(400, "No message ids specified" if not body.get("ids") else "Too many message ids")
        for name in body["ids"]:
            if name in self.state["messages"]:
                self.relabel(self.state["messages"][name], add, remove)
        self.effect("messages modified", ids=body["ids"])
        return Reply(204)

    @route("POST", USER + "/messages/batchDelete")
    def batch_delete(self, call: Incoming) -> Reply:
        body = checked(call.body, BATCH_DELETE)
        if not body.get("ids"):
            raise problem(400, "No message ids specified")
        for name in body["ids"]:
            if name in self.state["messages"]:
                self.drop_message(name)
        self.effect("messages deleted", ids=body["ids"])
        return Reply(204)

    @route("POST", USER + "/messages")
    def insert_message(self, call: Incoming) -> Reply:
        body = checked(call.body, MESSAGE)
        if not body.get("raw"):
            raise problem(400, "'raw' RFC822 payload message string or uploading message via /upload/* URL required")
        labels = body.get("labelIds") or []
        for label in labels:
            if label not in self.state["labels"] or label in ("DRAFT", "CHAT"):
                raise problem(400, f"Invalid label: {label}")
        date = str(call.query.get("internalDateSource", "receivedTime"))
        if date not in ("receivedTime", "dateHeader"):
            raise problem(400, f"Invalid value at 'internal_date_source' (TYPE_ENUM), \"{date}\"", "badRequest")
        made = self.put(body["raw"], labels, body.get("threadId"), date=date)
        self.effect("message inserted", id=made["id"])
        return Reply(200, brief(made))

    @route("GET", USER + "/messages")
    def list_messages(self, call: Incoming) -> Reply:
        found = [{"id": message["id"], "threadId": message["threadId"]} for message in self.search(call)]
        return Reply(200, self.page(found, call, "messages"))

    @route("GET", USER + "/messages/{id}")
    def get_message(self, call: Incoming) -> Reply:
        return Reply(200, self.show(self.message(call["id"]), call))

    @route("POST", USER + "/messages/{id}/modify")
    def modify(self, call: Incoming) -> Reply:
        message = self.message(call["id"])
        self.relabel(message, *self.checked_labels(checked(call.body, MODIFY)))
        self.effect("message modified", id=message["id"])
        return Reply(200, brief(message))

    @route("POST", USER + "/messages/{id}/trash")
    def trash(self, call: Incoming) -> Reply:
        message = self.message(call["id"])
        self.relabel(message, ["TRASH"], [])
        self.effect("message trashed", id=message["id"])
        return Reply(200, brief(message))

    @route("POST", USER + "/messages/{id}/untrash")
    def untrash(self, call: Incoming) -> Reply:
        message = self.message(call["id"])
        self.relabel(message, [], ["TRASH"])
        self.effect("message untrashed", id=message["id"])
        return Reply(200, brief(message))

    @route("DELETE", USER + "/messages/{id}")
    def delete_message(self, call: Incoming) -> Reply:
        self.message(call["id"])
        self.drop_message(call["id"])
        self.effect("message deleted", id=call["id"])
        return Reply(204)

    def drop_message(self, name: str) -> None:
        """Delete a message, and the draft that it is in."""
        self.drop(name)
        for draft in [d for d, held in self.state["drafts"].items() if held["message"] == name]:
            del self.state["drafts"][draft]

    @route("GET", USER + "/messages/{message}/attachments/{id}")
    def attachment(self, call: Incoming) -> Reply:
        raise missing()

    @route("POST", "/upload" + USER + "/{+method}")
    def upload(self, call: Incoming) -> Reply:
        return self.uploaded(call)

    @route("PUT", "/upload" + USER + "/{+method}")
    def upload_over(self, call: Incoming) -> Reply:
        return self.uploaded(call)

    def uploaded(self, call: Incoming) -> Reply:
        """Make the JSON call of an upload, and answer that."""
        kind, content_type = call.query.get("uploadType"), call.headers.get("content-type", "")
        metadata: Any = {}
        if kind == "media":
            mail = call.raw
        elif kind == "multipart" and (found := re.search(r'boundary="?([^";]+)"?', content_type)):
            first, second = split_parts(call.raw, found[1])
            metadata, mail = json.loads(first or b"{}"), second
        else:
            raise problem(400, f"Upload type {kind} is not supported here")
        draft = call["method"].startswith("drafts")
        if draft:
            call.body = checked(metadata, DRAFT)
            call.body["message"] = {**(call.body.get("message") or {}), "raw": encoded(mail)}
        else:
            call.body = {**checked(metadata, MESSAGE), "raw": encoded(mail)}
        call.path = call.path.removeprefix("/upload")
        return self.handle(call)


def brief(message: dict[str, Any]) -> dict[str, Any]:
    """A message as those methods answer that change it."""
    return {name: message[name] for name in ("id", "threadId", "labelIds")}


def split_parts(body: bytes, boundary: str) -> tuple[bytes, bytes]:
    """The contents of the two parts of a multipart/related body."""
    chunks = re.split(rb"(?:\A|\r?\n)--" + re.escape(boundary.encode()) + rb"(?:--)?[ \t]*(?:\r?\n|\Z)", body)[1:-1]
    if len(chunks) != 2:
        raise problem(400, "Missing end boundary in multipart body.")
    first, second = (re.split(rb"\r?\n\r?\n", chunk, maxsplit=1)[1] for chunk in chunks)
    return first, second


__all__ = ["USER", "Messages", "brief", "decoded"]
