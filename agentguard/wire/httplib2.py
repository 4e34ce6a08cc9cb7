"""The gate for httplib2: an `Http` in front of another that lets reads pass and hands every write to the guard.

httplib2 sends a request again, whatever its verb, when a kept connection breaks before an answer
(`Http._conn_request`). A write therefore goes over a connection of its own that gives up instead. Such a connection
also knows whether it broke before a byte of the request was out.
"""

from __future__ import annotations

from collections.abc import Callable
from http.client import HTTPConnection, HTTPResponse
from typing import Any

import httplib2
import wrapt
from httplib2.iri2uri import iri2uri

from agentguard.wire.http import SAFE_VERBS, Headers, Request, Response
from agentguard.wire.seam import Gate

OVERRIDE = "x-http-method-override"
"""The header by which a POST means another verb; the SDK sends long GETs so."""


class GatedHttp(wrapt.ObjectProxy[Any]):
    """An `httplib2.Http`, or what stands in for one, behind a gate. Everything but `request` is the inner one's."""

    def __init__(self, inner: Any, gate: Gate) -> None:
        super().__init__(inner)
        self._self_gate = gate

    def request(
        self,
        uri: str,
        method: str = "GET",
        body: Any = None,
        headers: Any = None,
        redirections: int = httplib2.DEFAULT_MAX_REDIRECTS,
        connection_type: Any = None,
        **kwargs: Any,
    ) -> tuple[httplib2.Response, bytes]:
        """Let a read pass with its body unread; let the guard decide on everything else."""
        gate: Gate = self._self_gate
        verb = meant(method, headers)
        if gate.passes(verb, uri):
            inner: tuple[httplib2.Response, bytes] = self.__wrapped__.request(
                uri, method, body, headers, redirections, connection_type, **kwargs
            )
            return inner
        given = read_body(body)
        neutral = Request(verb, uri, Headers(headers or {}), given)

        send = send_as_usual if verb in SAFE_VERBS and method == verb else send_once

        def transmit(changed: Request) -> Response:
            same = changed.body == given and changed.headers == neutral.headers
            answer = send(
                self.__wrapped__,
                changed.url,
                method,
                (body and given) if same else changed.body,
                headers if same else sized(changed, body),
                redirections,
                connection_type,
                **kwargs,
            )
            return self.seen(answer)

        return native(gate.send(neutral, transmit))

    def seen(self, answer: Response) -> Response:
        """For subclasses: *answer* as the guard is to see it. The SDK goes on with its own."""
        return answer

    def __copy__(self) -> GatedHttp:
        return type(self)(self.__wrapped__, self._self_gate)

    def __deepcopy__(self, memo: dict[int, Any]) -> GatedHttp:
        return type(self)(self.__wrapped__, self._self_gate)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("a guarded client belongs to a session of this process and cannot be pickled")


def meant(method: str, headers: Any) -> str:
    """The verb that is meant. Asked for every read, so that the other header fields are left alone."""
    if headers and any(len(name) == len(OVERRIDE) and str(name).lower() == OVERRIDE for name in headers):
        method = Headers(headers)[OVERRIDE]
    return method.upper()


def read_body(body: Any) -> bytes:
    """Read a body of any kind that http.client takes: bytes, text, a file or an iterable of bytes."""
    if body is None or isinstance(body, str):
        return (body or "").encode()
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    if hasattr(body, "read"):
        return read_body(body.read())
    return b"".join(bytes(part) for part in body)


def sized(changed: Request, body: Any) -> dict[str, str]:
    """The headers of *changed* with the length of its body, where there is one."""
    headers = dict(changed.headers)
    if changed.body or body is not None:
        headers["content-length"] = str(len(changed.body or b""))
    return headers


def send_as_usual(http: Any, *args: Any, **kwargs: Any) -> Response:
    """Send one request as *http* does it: over a kept connection, and again if that is broken."""
    answer, content = http.request(*args, **kwargs)
    return Response(answer.status, Headers(answer), content or b"", (answer, content))


def send_once(
    http: Any, uri: str, method: str, body: Any, headers: Any, redirections: int, connection_type: Any, **kwargs: Any
) -> Response:
    """Send one request over a new connection of *http*, once."""
    connections = getattr(http, "connections", None)
    if isinstance(connections, dict):
        key = _key(uri)
        kept = connections.pop(key, None)
        try:
            kind = _once(
                connection_type or httplib2.SCHEME_TO_CONNECTION["https" if key.startswith("https:") else "http"]
            )
            return send_as_usual(http, uri, method, body, headers, redirections, kind, **kwargs)
        finally:
            used = connections.pop(key, None)
            if used is not None:
                used.close()
            if kept is not None:
                connections[key] = kept
    return send_as_usual(http, uri, method, body, headers, redirections, connection_type, **kwargs)


def native(response: Response) -> tuple[httplib2.Response, bytes]:
    """What the SDK goes on with: its own objects, or those made of a recorded answer."""
    if isinstance(response.native, tuple):
        answer, content = response.native
        return answer, content
    return httplib2.Response({**response.headers, "status": str(response.status)}), response.body


def never_left(error: BaseException) -> bool:
    """Whether *error* came before a connection stood: refused, no such name, no route, no TLS."""
    return isinstance(error, httplib2.ServerNotFoundError) or getattr(error, "agentguard_unsent", False)


def _key(uri: str) -> str:
    """The name under which httplib2 keeps the connection for *uri*."""
    scheme, authority, _request_uri, _whole = httplib2.urlnorm(iri2uri(uri))
    return f"{scheme}:{authority}"


def _once(kind: type[HTTPConnection]) -> Callable[..., HTTPConnection]:
    """A connection class like *kind* that does not begin again after a request has begun."""

    class Once(kind):  # type: ignore[valid-type, misc] # the class is the caller's choice
        lost: BaseException | None = None

        def connect(self) -> None:
            if self.lost is not None:
                raise self.lost
            try:
                super().connect()
            except Exception as error:
                error.agentguard_unsent = True  # type: ignore[attr-defined]  # a note of ours on any exception
                raise

        def request(self, *args: Any, **kwargs: Any) -> None:
            if self.lost is not None:
                raise self.lost
            if self.sock is None:
                self.connect()
            try:
                super().request(*args, **kwargs)
            except BaseException as error:
                self.lost = error
                raise

        def getresponse(self) -> HTTPResponse:
            try:
                response: HTTPResponse = super().getresponse()
            except BaseException as error:
                self.lost = error
                raise
            return response

    return Once
