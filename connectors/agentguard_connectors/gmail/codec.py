"""From Gmail's requests to operations and back: uploads, batches, and mail that a person can read.

A message comes as JSON with the mail in `raw`, as the mail itself, or as both in a multipart/related body; all of them
become the same arguments (https://developers.google.com/workspace/gmail/api/guides/uploads). Beside `raw` the arguments
have `mail`, what a person wants to see of it; it is never sent. A batch is a multipart/mixed body with one request in
each part (https://developers.google.com/workspace/gmail/api/guides/batch).
"""

from __future__ import annotations

import json
import logging
import re
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from http import HTTPStatus
from urllib.parse import parse_qsl, urlencode, urlsplit

from agentguard.calls import Answer, Json
from agentguard.errors import UsageError
from agentguard.operations import Operation, OperationTable
from agentguard.wire.codec import Decoded, RestCodec, describe_bytes, merge_arguments
from agentguard.wire.http import SAFE_VERBS, Headers, Outgoing, Request, Response
from agentguard_connectors.gmail.mail import summary, to_bytes, to_raw

log = logging.getLogger("agentguard")

REMAKES = "$remakes"
"""The argument of an undo that makes something again: what of its answer takes the place of which old id."""
REMAKES_HEADER = "x-agentguard-remakes"
"""How it gets to the seam; it is never sent."""

A_MOMENT = 1.0
"""Seconds to wait where Google says that there were too many requests, and not until when."""

ASIDE = frozenset(
    [
        "$.xgafv",
        "access_token",
        "alt",
        "callback",
        "fields",
        "key",
        "oauth_token",
        "prettyPrint",
        "quotaUser",
        "uploadType",
        "upload_protocol",
    ]
)
"""Arguments that every Google API takes and that say nothing about the call."""


class GmailCodec(RestCodec):
    """Gmail's REST with its uploads and batches."""

    def decode(self, table: OperationTable, request: Request, bases: tuple[str, ...]) -> Decoded:
        """Recognise a request, an upload as the operation that it is an upload of."""
        split = urlsplit(request.url)
        path = re.sub(r"^(?:/resumable)?/upload(?=/gmail/)", "", split.path)
        plain = replace(request, url=split._replace(path=path, query="").geturl())
        decoded = super().decode(table, replace(plain, body=b""), bases)
        query = {name: value for name, value in request.query.items() if name not in ASIDE}
        body = self.message(request, decoded.operation)
        if isinstance(body, dict):
            body = {k: v for k, v in body.items() if k not in decoded.arguments}
        arguments = merge_arguments(decoded.arguments, query, body)
        mail = summary(raw_of(arguments))
        return Decoded(decoded.operation, {**arguments, "mail": mail} if mail else arguments, decoded.known)

    def message(self, request: Request, operation: Operation) -> Json:
        """Decode the body; an uploaded mail as the `raw` of a message."""
        if request.content_type == "multipart/related" and request.body:
            parts = sections(request.body, boundary_of(request))
            if len(parts) == 2:
                return with_raw(json.loads(parts[0][1] or b"{}"), operation, to_raw(parts[1][1]))
            return describe_bytes(request.body)
        if request.content_type.startswith("message/") and request.body:
            return with_raw({}, operation, to_raw(request.body))
        return self.body(request)

    def encode(self, operation: Operation, arguments: dict[str, Json]) -> Outgoing:
        """Prepare a request of ours."""
        sent = {name: value for name, value in arguments.items() if name not in ("mail", REMAKES)}
        out = super().encode(operation, sent)
        if REMAKES not in arguments:
            return out
        return replace(out, headers={**out.headers, REMAKES_HEADER: json.dumps(arguments[REMAKES])})

    def rewrite(self, request: Request, operation: Operation, arguments: dict[str, Json]) -> Request:
        """Write changed arguments into a request of any of the three forms."""
        given = {name: value for name, value in arguments.items() if name != "mail"}
        mail = to_bytes(raw_of(given)) or b""
        if request.content_type.startswith("message/"):
            return replace(request, body=mail)
        if request.content_type == "multipart/related":
            boundary = boundary_of(request)
            (head, metadata), (media_head, _media) = sections(request.body or b"", boundary)
            return replace(request, body=multipart(boundary, [(head, metadata), (media_head, mail)]))
        return super().rewrite(request, operation, given)

    # Batches

    def parts(self, request: Request, bases: tuple[str, ...]) -> list[Request] | None:
        """Take a batch apart. Raises UsageError where it would go to another host than the service's."""
        if request.content_type != "multipart/mixed" or request.verb != "POST":
            return None
        hosts = {urlsplit(base).netloc for base in bases}
        host = urlsplit(request.url).netloc
        if host not in hosts:
            raise UsageError(
                f"this batch would go to {host}, and the client's service is at {urlsplit(bases[0]).netloc}. Nothing "
                "was sent. Set rootUrl in the discovery document (an api_endpoint does not move batches)."
            )
        # An answer that was cut down may lack the id that an undo needs.
        return [
            replace(part, url=without(part.url, "fields")) if part.verb not in SAFE_VERBS else part
            for _name, part in members(request, bases[0])
        ]

    def join(self, request: Request, parts: list[Request]) -> Request:
        """Put a batch together again, if any of its parts was changed or is left out.

        Where some are left out, which of them are there can be told no more: they are numbered.
        """
        base = parts[0].url.removesuffix(target(parts[0]))
        old = members(request, base)
        if [part for _name, part in old] == parts:
            return request
        names = [name for name, _part in old] if len(old) == len(parts) else numbered(len(parts))
        content = []
        for name, part in zip(names, parts, strict=True):
            head = Headers({"content-type": "application/http", "content-transfer-encoding": "binary"})
            if name:
                head["content-id"] = name
            lines = [f"{part.verb} {target(part)} HTTP/1.1"]
            length = str(len(part.body or b""))
            lines += [f"{k}: {v}" for k, v in {**part.headers, "content-length": length}.items()]
            content.append((head, "\r\n".join(lines).encode() + b"\r\n\r\n" + (part.body or b"")))
        return replace(request, body=multipart(boundary_of(request), content))

    def separate(self, request: Request, response: Response, count: int) -> list[Response | None]:
        """Find the answer to each part: by its Content-ID, `response-` in front, or else by its place."""
        if response.status >= 300:
            return [response] * count
        try:
            names = [name for name, _part in members(request, "")]
            if len(names) != count:
                names = numbered(count)
            answers = [
                (head.get("content-id", ""), answer_in(content))
                for head, content in sections(response.body, boundary_of(response))
            ]
        except Exception:
            log.exception("agentguard: the answer to a batch could not be read; its calls are in doubt")
            return [None] * count
        by_name = {name.replace("<response-", "<", 1): answer for name, answer in answers}
        if all(name and name in by_name for name in names):
            return [by_name[name] for name in names]
        if len(answers) == count and not any(names):
            return [answer for _name, answer in answers]
        return [by_name.get(name) for name in names]

    def compose(self, request: Request, responses: list[Response]) -> Response:
        """The answer that Google would give to the batch *request*, with *responses* for its parts."""
        content = []
        for (name, _part), response in zip(members(request, ""), responses, strict=True):
            head = Headers({"content-type": "application/http"})
            if name:
                head["content-id"] = name.replace("<", "<response-", 1)
            # The SDK looks for the end of the headers, so that there has to be one at least.
            fields = {**response.headers, "content-length": str(len(response.body))}
            lines = [f"HTTP/1.1 {response.status} {phrase(response.status)}"]
            lines += [f"{k}: {v}" for k, v in fields.items()]
            content.append((head, "\r\n".join(lines).encode() + b"\r\n\r\n" + response.body))
        boundary = f"batch_{uuid.uuid4().hex}"
        headers = Headers({"content-type": f"multipart/mixed; boundary={boundary}"})
        return Response(200, headers, multipart(boundary, content))

    def answer(self, operation: Operation, response: Response) -> Answer:
        """Say what *response* proves, and when Google wants to be asked again.

        Too many requests are answered with 429, or with 403 and a reason; until when, the message may say
        (https://developers.google.com/workspace/gmail/api/guides/handle-errors). Nothing was done then.
        """
        answer = super().answer(operation, response)
        if answer.retry_after is not None or response.status not in (403, 429):
            return answer
        wait = until_told(answer.error or "")
        if wait is None and response.status == 403 and too_many(answer.value):
            wait = A_MOMENT
        return replace(answer, retry_after=wait)


def numbered(count: int) -> list[str]:
    """Content-IDs for the parts of a batch of which some are left out."""
    return [f"<agentguard-{n}>" for n in range(1, count + 1)]


def phrase(status: int) -> str:
    """The words beside a status in an answer."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def too_many(value: Json) -> bool:
    """Whether a refusal is one for a rate limit, and not for a day's quota or a missing right."""
    error = value.get("error") if isinstance(value, dict) else None
    listed = error.get("errors") if isinstance(error, dict) else None
    reasons = {item.get("reason") for item in listed or () if isinstance(item, dict)}
    return bool(reasons & {"rateLimitExceeded", "userRateLimitExceeded"})


def until_told(message: str) -> float | None:
    """Seconds until the moment that a message names ("Retry after 2026-01-01T00:00:00.000Z")."""
    found = re.search(r"retry after (\d{4}-\d\d-\d\dT[\d:.]+Z)", message, re.IGNORECASE)
    if found is None:
        return None
    try:
        then = datetime.fromisoformat(found[1])
    except ValueError:
        return None
    return max((then - datetime.now(UTC)).total_seconds(), 0.0)


def query_of(uri: str) -> dict[str, str]:
    """The query of a URL, the last of each name."""
    return dict(parse_qsl(urlsplit(uri).query, keep_blank_values=True))


def without(uri: str, *names: str, **added: str) -> str:
    """*uri* without these arguments in its query, and with those."""
    split = urlsplit(uri)
    given = parse_qsl(split.query, keep_blank_values=True)
    if not added and not any(name in names for name, _value in given):
        return uri
    kept = [(name, value) for name, value in given if name not in names]
    return split._replace(query=urlencode([*kept, *added.items()])).geturl()


def raw_of(arguments: dict[str, Json]) -> Json:
    """The mail in the arguments of a call, where it carries one."""
    message = arguments.get("message")
    return message.get("raw") if isinstance(message, dict) else arguments.get("raw")


def with_raw(body: Json, operation: Operation, raw: str) -> Json:
    """The body of a call of *operation* with a mail in it: a draft has it one level down."""
    if ".drafts." not in operation.name:
        return {**body, "raw": raw}
    return {**body, "message": {**(body.get("message") or {}), "raw": raw}}


def members(request: Request, base: str) -> list[tuple[str, Request]]:
    """The requests of a batch, each with its Content-ID."""
    found = []
    for head, content in sections(request.body or b"", boundary_of(request)):
        line, _, rest = content.lstrip(b"\r\n").partition(b"\n")
        verb, path = line.decode().split()[:2]
        fields, body = head_and_body(rest)
        verb = fields.get("x-http-method-override", verb).upper()
        url = path if "://" in path else base + path
        found.append((head.get("content-id", ""), Request(verb, url, fields, body.strip(b"\r\n"))))
    return found


def target(part: Request) -> str:
    """Path and query of a part's URL."""
    return urlsplit(part.url)._replace(scheme="", netloc="").geturl()


def answer_in(content: bytes) -> Response:
    """The HTTP answer in one part of a batch's answer."""
    line, _, rest = content.lstrip(b"\r\n").partition(b"\n")
    head, body = head_and_body(rest)
    return Response(int(line.split()[1]), head, body.strip(b"\r\n"))


def boundary_of(thing: Request | Response) -> str:
    """The boundary between the parts of a multipart body."""
    found = re.search(r'boundary="?([^";]+)"?', thing.headers.get("content-type", ""))
    if found is None:
        raise UsageError("a multipart body without a boundary cannot be read. Nothing was sent.")
    return found[1].strip()


def sections(body: bytes, boundary: str) -> list[tuple[Headers, bytes]]:
    """The parts of a multipart body, byte for byte: headers and content."""
    mark = rb"(?:\A|\r?\n)--" + re.escape(boundary.encode()) + rb"(?:--)?[ \t]*(?=\r?\n|\Z)"
    return [head_and_body(re.sub(rb"\A\r?\n", b"", chunk)) for chunk in re.split(mark, body)[1:-1]]


def head_and_body(chunk: bytes) -> tuple[Headers, bytes]:
    """Split headers from content; header fields are unfolded."""
    if chunk.startswith((b"\r\n", b"\n")):
        return Headers(), re.sub(rb"\A\r?\n", b"", chunk)
    head, _, body = _partition(chunk)
    fields = BytesHeaderParser().parsebytes(head).items()
    return Headers({name: " ".join(str(value).split()) for name, value in fields}), body


def _partition(chunk: bytes) -> tuple[bytes, bytes, bytes]:
    found = re.search(rb"\r?\n\r?\n", chunk)
    return (chunk, b"", b"") if found is None else (chunk[: found.start()], found[0], chunk[found.end() :])


def related(parts: list[tuple[Headers, bytes]]) -> tuple[str, bytes]:
    """Media type and content of an upload; nobody can know its boundary and write it into a mail."""
    boundary = f"agentguard-{uuid.uuid4().hex}"
    return f'multipart/related; boundary="{boundary}"', multipart(boundary, parts)


def multipart(boundary: str, parts: list[tuple[Headers, bytes]]) -> bytes:
    """A multipart body."""
    lines = []
    for head, content in parts:
        fields = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        lines.append(f"--{boundary}\r\n{fields}\r\n".encode() + content + b"\r\n")
    return b"".join(lines) + f"--{boundary}--\r\n".encode()
