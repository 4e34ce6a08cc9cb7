"""The batch endpoint: each part is a call of its own. See https://developers.google.com/workspace/gmail/api/guides/batch."""

from __future__ import annotations

import json
import re
from email.parser import BytesHeaderParser
from urllib.parse import parse_qsl, urlsplit

from agentguard.sandbox.gmail.shapes import problem
from agentguard.sandbox.server import Incoming, Reply, Service, decode, route

MOST = 100
ANSWERS = "batch_of_answers"


class Batches(Service):
    """Several calls in one request, each with its own success."""

    first: int | None = None
    """How many calls of the batch that is being answered are done, where it is not all."""

    def part_of(self, call: Incoming, first: int) -> Reply:
        """The other calls are answered as when there are too many at once."""
        self.first = first
        try:
            return self.handle(call)
        finally:
            self.first = None

    @route("POST", "/batch")
    def batch_of_all(self, call: Incoming) -> Reply:
        return self.batch(call)

    @route("POST", "/batch/gmail/v1")
    def batch(self, call: Incoming) -> Reply:
        found = re.search(r'boundary="?([^";]+)"?', call.headers.get("content-type", ""))
        if found is None:
            raise problem(400, "Failed to parse batch request, error: missing boundary", "badRequest")
        mark = rb"(?:\A|\r?\n)--" + re.escape(found[1].encode()) + rb"(?:--)?[ \t]*(?:\r?\n|\Z)"
        parts = re.split(mark, call.raw)[1:-1]
        if len(parts) > MOST:
            raise problem(400, f"The batch request exceeds the limit of {MOST} calls", "badRequest")
        done = len(parts) if self.first is None else self.first
        answers = b"".join(self.answer(part, call, at < done) for at, part in enumerate(parts))
        body = answers + f"--{ANSWERS}--\r\n".encode()
        return Reply(200, body, {"content-type": f"multipart/mixed; boundary={ANSWERS}"})

    def answer(self, part: bytes, whole: Incoming, does: bool) -> bytes:
        """Take one part, or turn it away, and answer it."""
        head, _, content = part.partition(b"\n\n") if b"\r\n\r\n" not in part else part.partition(b"\r\n\r\n")
        name = " ".join(str(BytesHeaderParser().parsebytes(head)["Content-ID"] or "").split())
        line, _, rest = content.lstrip(b"\r\n").partition(b"\n")
        verb, target = line.decode().split()[:2]
        inner, _, body = rest.partition(b"\n\n") if b"\r\n\r\n" not in rest else rest.partition(b"\r\n\r\n")
        headers = {**whole.headers, **{k.lower(): str(v) for k, v in BytesHeaderParser().parsebytes(inner).items()}}
        split = urlsplit(target)
        body = body.strip(b"\r\n")
        call = Incoming(
            verb, split.path, dict(parse_qsl(split.query)), headers, decode(body, headers), body, target=target
        )
        reply = self.handle(call) if does else self.too_many(1)
        said = json.dumps(reply.body).encode() if reply.body is not None else b""
        content_id = f"Content-ID: {name.replace('<', '<response-', 1)}\r\n" if name else ""
        return (
            f"--{ANSWERS}\r\nContent-Type: application/http\r\n{content_id}\r\n"
            f"HTTP/1.1 {reply.status} {'OK' if reply.status < 300 else 'Error'}\r\n"
            f"Content-Type: application/json; charset=UTF-8\r\nContent-Length: {len(said)}\r\n\r\n"
        ).encode() + (said + b"\r\n")
