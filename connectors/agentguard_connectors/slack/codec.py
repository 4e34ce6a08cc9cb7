"""From a request to a Slack API method with JSON arguments, and what Slack's answers prove.

The method's name is the last part of the URL whatever the verb. Arguments come as JSON, as a form, as multipart or in
the query, and structure in a form field is JSON again. An answer is HTTP 200 almost always; `ok` says whether it worked
(https://docs.slack.dev/apis/web-api/#responses).
"""

from __future__ import annotations

import json
from dataclasses import replace
from email import message_from_bytes, policy
from urllib.parse import urlencode, urlsplit

from agentguard.calls import Answer, Certainty, Effect, Json, Risk
from agentguard.operations import Operation, OperationTable
from agentguard.wire.codec import (
    Decoded,
    RestCodec,
    describe_bytes,
    merge_arguments,
    relative_path,
    retry_after,
    without_query,
)
from agentguard.wire.http import Outgoing, Request, Response

UPLOAD = "files.upload.bytes"
"""Our name for sending bytes to the address that files.getUploadURLExternal gives out; it has no method name."""
WEBHOOK = "incoming-webhook"
"""Our name for posting to an incoming webhook or a response_url; Slack calls the scope so."""

PERHAPS_APPLIED = frozenset(
    {"fatal_error", "internal_error", "request_timeout", "service_unavailable", "team_added_to_org", "timeout"}
)
"""Errors after which part of the operation may have taken effect, as Slack words it, or which do not say."""

TOO_MANY = frozenset({"rate_limited", "ratelimited"})
"""Errors that ask to come again; without `Retry-After`, in a second (https://docs.slack.dev/apis/web-api/rate-limits)."""

GONE = frozenset(
    {
        "bookmark_not_found",
        "channel_not_found",
        "file_deleted",
        "file_not_found",
        "message_not_found",
        "no_such_subteam",
        "not_found",
        "subteam_not_found",
        "thread_not_found",
        "user_not_found",
    }
)
"""Errors that say that the thing itself is not there, or that we may not see it."""

STRUCTURED = frozenset(
    {
        "attachments",
        "blocks",
        "chunks",
        "dialog",
        "files",
        "manifest",
        "metadata",
        "prefs",
        "profile",
        "unfurls",
        "user_auth_blocks",
        "view",
    }
)
"""Arguments whose text is JSON. Never `text`: a message may well read `{}`."""


class SlackCodec(RestCodec):
    """Method names, arguments in four encodings, and errors inside of HTTP 200."""

    def decode(self, table: OperationTable, request: Request, bases: tuple[str, ...]) -> Decoded:
        """Recognise the method; an address that is no API method is an upload, a webhook, or unknown."""
        operation = self._operation(table, request, bases)
        known = operation is not None
        if operation is None:
            name = f"{request.verb} {without_query(request.url)}"
            operation = Operation(name, request.verb, urlsplit(request.url).path, Effect.IRREVERSIBLE, Risk.HIGH)
        arguments = merge_arguments({}, request.query, self.body(request))
        arguments.pop("token", None)
        shaped = {name: structure(value) if name in STRUCTURED else value for name, value in arguments.items()}
        return Decoded(operation, shaped, known)

    def _operation(self, table: OperationTable, request: Request, bases: tuple[str, ...]) -> Operation | None:
        if request.url in bases:
            return table.by_name[WEBHOOK]
        path = relative_path(request.url, bases)
        if path is not None and path.count("/") == 1:
            return table.by_name.get(path[1:])
        return table.by_name[UPLOAD] if is_upload(request.url, bases) else None

    def body(self, request: Request) -> Json:
        """Decode the body; of a file only size and digest are kept."""
        if request.body and request.content_type.startswith("multipart/"):
            return multipart(request)
        return super().body(request)

    def encode(self, operation: Operation, arguments: dict[str, Json]) -> Outgoing:
        """A request of ours: everything travels in the body."""
        return Outgoing("POST", operation.path, body=arguments)

    def rewrite(self, request: Request, operation: Operation, arguments: dict[str, Json]) -> Request:
        """*request* with *arguments* added, in the encoding that it has; beside a body of files, in the query."""
        if request.content_type == "application/json":
            return super().rewrite(request, operation, arguments)
        fields = urlencode({name: v if isinstance(v, str) else json.dumps(v) for name, v in arguments.items()})
        if request.body is not None and request.content_type == "application/x-www-form-urlencoded":
            return replace(request, body=b"&".join(filter(None, (request.body, fields.encode()))))
        split = urlsplit(request.url)
        return replace(request, url=split._replace(query="&".join(filter(None, (split.query, fields)))).geturl())

    def answer(self, operation: Operation, response: Response) -> Answer:
        """Say what *response* proves."""
        answer = super().answer(operation, response)
        if response.status >= 400 or operation.name in (UPLOAD, WEBHOOK):
            return answer
        value = answer.value
        if not isinstance(value, dict) or "ok" not in value:
            return Answer(response.status, value, Certainty.UNKNOWN, error="the answer is not one of Slack's Web API")
        if value["ok"]:
            return answer
        error = str(value.get("error"))
        certainty = Certainty.UNKNOWN if error in PERHAPS_APPLIED else Certainty.REFUSED
        needed = f" (needs the scope {value['needed']})" if value.get("needed") else ""
        waits = retry_after(response)
        if waits is None and error in TOO_MANY:
            waits = 1.0
        return Answer(response.status, value, certainty, error in GONE, error + needed, waits)


def structure(value: Json) -> Json:
    """What a field holds that Slack takes as JSON text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def is_upload(url: str, bases: tuple[str, ...]) -> bool:
    """Whether *url* is one of those that take a file's bytes: at Slack, or at the host of a stand-in."""
    split = urlsplit(url)
    host = split.hostname or ""
    ours = host.endswith((".slack.com", ".slack-gov.com")) or split.netloc in [urlsplit(b).netloc for b in bases]
    return ours and split.path.startswith("/upload/v1/")


def multipart(request: Request) -> Json:
    """The fields of a multipart body, files described by size and digest."""
    head = f"content-type: {request.headers['content-type']}\r\n\r\n".encode()
    message = message_from_bytes(head + (request.body or b"").lstrip(b"\r\n"), policy=policy.HTTP)
    fields: dict[str, Json] = {}
    for part in message.iter_parts():
        content = part.get_payload(decode=True)
        name = str(part.get_param("name", header="content-disposition"))
        if isinstance(content, bytes):
            fields[name] = describe_bytes(content) if part.get_filename() else content.decode("utf-8", "replace")
    return fields or describe_bytes(request.body or b"")
