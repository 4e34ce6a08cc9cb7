"""From a request to an operation with JSON arguments and back, for services that speak REST with JSON or form bodies.

A connector whose service does it otherwise (Slack's method names, Google's batches) subclasses `RestCodec`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from agentguard.calls import Answer, Certainty, Effect, Json, Risk
from agentguard.operations import Operation, OperationTable
from agentguard.wire.http import Headers, Outgoing, Request, Response, pairs_to_dict

HELD_HEADER = "x-agentguard-held"
BODY = "$body"
"""The argument that holds a body which is not a JSON object, or whose names collide with those in the path."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a request asks for."""

    operation: Operation
    arguments: dict[str, Json]
    known: bool = True


class RestCodec:
    """REST: verb and path name the operation, path, query and body carry its arguments."""

    def decode(self, table: OperationTable, request: Request, bases: tuple[str, ...]) -> Decoded:
        """Recognise *request*, sent to a client whose service lives under one of *bases*."""
        path = relative_path(request.url, bases)
        match = table.match(request.verb, path) if path is not None else None
        if match is None:
            name = f"{request.verb} {urlsplit(request.url).path if path is not None else without_query(request.url)}"
            unknown = Operation(name, request.verb, path or "", Effect.IRREVERSIBLE, Risk.HIGH)
            return Decoded(unknown, merge_arguments({}, request.query, self.body(request)), known=False)
        return Decoded(match.operation, merge_arguments(match.arguments, request.query, self.body(request)))

    def body(self, request: Request) -> Json:
        """Decode the body by its media type; what is neither JSON nor a form is described by size and digest."""
        if request.body is None:
            return {"$stream": True}
        if not request.body:
            return None
        if request.content_type == "application/x-www-form-urlencoded":
            try:
                return self.form(parse_qsl(request.body.decode(), keep_blank_values=True))
            except ValueError:
                return describe_bytes(request.body)
        if request.content_type.startswith("multipart/"):
            return describe_bytes(request.body)
        try:
            return json.loads(request.body)
        except ValueError:
            return describe_bytes(request.body)

    def form(self, pairs: list[tuple[str, str]]) -> dict[str, Json]:
        """Give a decoded form its shape. Flat here; Stripe nests with brackets."""
        return pairs_to_dict(pairs)

    def parts(self, request: Request, bases: tuple[str, ...]) -> list[Request] | None:
        """The requests that *request* carries where it is a batch of several calls; None where it is one call."""
        return None

    def join(self, request: Request, parts: list[Request]) -> Request:
        """The batch *request* with *parts* in place of its own, in their order."""
        raise NotImplementedError

    def separate(self, request: Request, response: Response, count: int) -> list[Response | None]:
        """The answer to each of the *count* parts of the batch *request*, in their order; None where there is none."""
        raise NotImplementedError

    def held(self, operation: Operation, arguments: dict[str, Json], name: str) -> Response:
        """An answer for a call that is held until the session completes, which the SDK takes for one of the service.

        *name* stands for the id of what was not made yet.
        """
        body = {**arguments, "id": name, "held": True}
        headers = Headers({"content-type": "application/json; charset=utf-8", HELD_HEADER: name})
        return Response(200, headers, json.dumps(body).encode())

    def compose(self, request: Request, responses: list[Response]) -> Response:
        """The answer to the batch *request* that has *responses* for its parts, in their order."""
        raise NotImplementedError

    def rewrite(self, request: Request, operation: Operation, arguments: dict[str, Json]) -> Request:
        """*request* with some of its *arguments* changed, as a handler's `forward().changing(...)` asks for."""
        body = json.loads(request.body or b"{}")
        return replace(request, body=json.dumps({**body, **arguments}).encode())

    def encode(self, operation: Operation, arguments: dict[str, Json]) -> Outgoing:
        """Prepare a request of ours. Raises ValueError where an argument of the path is missing."""
        path, rest = operation.fill(arguments)
        if BODY in rest:
            body: Json = rest.pop(BODY)
            return Outgoing(operation.verb, path, rest, body)
        if operation.verb in ("GET", "HEAD"):
            return Outgoing(operation.verb, path, rest)
        query = {name: rest[name] for name in operation.query if name in rest}
        return Outgoing(operation.verb, path, query, body_of(operation, arguments) or None)

    def answer(self, operation: Operation, response: Response) -> Answer:
        """Say what *response* proves.

        2xx: it happened. 3xx: not here; an SDK that follows passes the gate again. 4xx: refused. 5xx: unknown, as the
        request may have been passed on before something broke.
        """
        value = response.json()
        if response.status < 300:
            return Answer(response.status, value, Certainty.HAPPENED)
        certainty = Certainty.REFUSED if response.status < 500 and response.status != 408 else Certainty.UNKNOWN
        missing = response.status in (404, 410)
        return Answer(response.status, value, certainty, missing, self.error(response, value), retry_after(response))

    def error(self, response: Response, value: Json) -> str:
        """The service's own words for what went wrong, in one line."""
        message: Any = value.get("message") or value.get("error") if isinstance(value, dict) else value
        if isinstance(message, dict):
            message = message.get("message") or message.get("code") or json.dumps(message)
        return f"HTTP {response.status}: {' '.join(str(message or '').split())[:300]}".rstrip(": ")


def retry_after(response: Response) -> float | None:
    """Seconds after which the service wants to be asked again (RFC 9110, section 10.2.3); None where it says nothing.

    Only a number of seconds counts: none of the services known here sends a date.
    """
    try:
        return max(float(response.headers.get("retry-after", "")), 0.0)
    except ValueError:
        return None


def relative_path(url: str, bases: tuple[str, ...]) -> str | None:
    """The path of *url* below the base that it lives under; None where it leaves them all."""
    split = urlsplit(url)
    for base in bases:
        known = urlsplit(base)
        if (split.scheme, split.netloc) == (known.scheme, known.netloc):
            prefix = known.path.rstrip("/")
            if split.path == prefix or split.path.startswith(prefix + "/"):
                return split.path[len(prefix) :]
    return None


def without_query(url: str) -> str:
    """The URL up to its query, without user and password."""
    split = urlsplit(url)
    return f"{split.scheme}://{split.hostname or ''}{f':{split.port}' if split.port else ''}{split.path}"


def describe_bytes(body: bytes) -> Json:
    """Stand for bytes that are not JSON: their size and SHA-256 digest."""
    return {"$bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def merge_arguments(path: dict[str, str], query: dict[str, Json], body: Json) -> dict[str, Json]:
    """One flat dict of arguments; a body that cannot be merged in without loss stays whole under `$body`."""
    arguments: dict[str, Json] = {**query, **path}
    if isinstance(body, dict) and not (body.keys() & arguments.keys()):
        return {**arguments, **body}
    return arguments if body is None else {**arguments, BODY: body}


def body_of(operation: Operation, arguments: dict[str, Json]) -> Json:
    """What of *arguments* travels in the body of a write: what it says, without where to."""
    if BODY in arguments:
        return arguments[BODY]
    elsewhere = {*operation.parameters, *operation.query}
    return {name: value for name, value in arguments.items() if name not in elsewhere}
