"""The gate for requests: an adapter that lets reads pass as they are and hands every write to the guard.

urllib3 repeats requests inside the adapter. Reads keep the retries that the program asked for; a write goes through a
copy of the adapter that never repeats, because the adapter itself is shared by threads and by reads.
"""

from __future__ import annotations

import copy
import io
from typing import Any

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPResponse, Retry
from urllib3.exceptions import MaxRetryError, NewConnectionError

from agentguard.wire.http import Headers, Request, Response
from agentguard.wire.seam import Gate


class GatedAdapter(BaseAdapter):
    """An adapter behind a gate."""

    def __init__(self, inner: BaseAdapter, gate: Gate) -> None:
        super().__init__()
        self.inner = inner
        self.gate = gate
        # Not `copy`: adapters pickle a few of their settings only. This one shares the connections as well.
        self.once = object.__new__(type(inner))
        self.once.__dict__.update(inner.__dict__)
        if hasattr(self.once, "max_retries"):
            self.once.max_retries = Retry(0, read=False)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        """Let a read pass with its body unread; let the guard decide on everything else."""
        verb, url = str(request.method), str(request.url)
        if self.gate.passes(verb, url):
            return self.inner.send(request, *args, **kwargs)
        neutral = Request(verb, url, Headers(request.headers), read_body(request.body))

        def transmit(changed: Request) -> Response:
            answer = self.once.send(_native_request(request, changed), *args, **kwargs)
            return Response(answer.status_code, Headers(answer.headers), answer.content or b"", answer)

        return _native_response(request, self.gate.send(neutral, transmit))

    def close(self) -> None:
        """Close the adapter inside, and with it the connections of both."""
        self.inner.close()


def twin_session(session: requests.Session, gate: Gate) -> requests.Session:
    """Return a copy of *session* that shares its cookies and settings and whose every request passes *gate*."""
    twin = copy.copy(session)
    twin.cookies = session.cookies
    twin.adapters = copy.copy(session.adapters)
    return gate_in_place(twin, gate)


def gate_in_place(session: requests.Session, gate: Gate) -> requests.Session:
    """Put *gate* under a session that nobody else uses yet, such as one that an SDK has just made."""
    for prefix, inner in list(session.adapters.items()):
        session.adapters[prefix] = GatedAdapter(inner, gate)
    return session


def never_left(error: BaseException) -> bool:
    """Whether *error* came before a connection stood: refused, or no such name."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return True
    cause = error.args[0] if isinstance(error, requests.exceptions.ConnectionError) and error.args else None
    return isinstance(cause, MaxRetryError) and isinstance(cause.reason, NewConnectionError)


def read_body(body: Any) -> bytes:
    """Read a body of any kind that requests takes: bytes, text, a file or an iterable of bytes."""
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    if hasattr(body, "read"):
        content = body.read()
        return content.encode() if isinstance(content, str) else bytes(content)
    return b"".join(part.encode() if isinstance(part, str) else part for part in body)


def _native_request(original: requests.PreparedRequest, changed: Request) -> requests.PreparedRequest:
    """The original with what the guard changed, in the spelling and order of the original's header fields."""
    native = original.copy()
    native.method = changed.verb
    native.url = changed.url
    headers: CaseInsensitiveDict[str | bytes] = CaseInsensitiveDict(
        {name: value for name, value in (original.headers or {}).items() if name.lower() in changed.headers}
    )
    known = Headers(headers)
    for name, value in changed.headers.items():
        if known.get(name) != value:
            headers[name] = value
    if changed.body is not None and (changed.body or original.body is not None):
        native.body = changed.body
        headers.pop("Transfer-Encoding", None)
        headers["Content-Length"] = str(len(changed.body))
    insides: Any = native  # requests takes bytes in header fields; its types do not say so
    insides.headers = headers
    return native


def _native_response(request: requests.PreparedRequest, response: Response) -> requests.Response:
    """What the SDK goes on with: its own object, or one made of a recorded answer."""
    if isinstance(response.native, requests.Response):
        return response.native
    native = requests.Response()
    native.status_code = response.status
    native.headers = CaseInsensitiveDict(
        {k: v for k, v in response.headers.items() if k not in ("content-encoding", "transfer-encoding")}
    )
    native.request = request
    native.url = str(request.url)
    native.encoding = requests.utils.get_encoding_from_headers(native.headers)
    native.raw = HTTPResponse(io.BytesIO(response.body), status=response.status, preload_content=False)
    return native
