"""The gate for urllib3: a pool manager that lets reads pass as they are and hands every write to the guard.

urllib3 repeats requests by itself: PUT and DELETE after a lost answer, and whatever is answered with 429 or 503 and a
Retry-After header. It also follows redirects, and sends a POST again to where one of status 307 points. A write does
neither here: it goes out once. Reads keep what the program asked for.
"""

from __future__ import annotations

import copy
import io
from functools import cache
from typing import Any

from urllib3 import HTTPHeaderDict, HTTPResponse, PoolManager, Retry
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, ProxyError

from agentguard.wire.http import Headers, Request, Response
from agentguard.wire.seam import Gate

ONCE = Retry(0, read=False)
"""No repetition, and the errors that urllib3 raises by default: what a reset connection raised, as it is."""


def gated_manager(manager: PoolManager, gate: Gate) -> PoolManager:
    """Return a copy of *manager* that shares its connections and whose every request passes *gate*."""
    if getattr(manager, "agentguard_gate", None) is gate:
        return manager
    twin: Any = copy.copy(manager)
    twin.__class__ = _gated_kind(twin.__class__)
    twin.agentguard_gate = gate
    return twin  # type: ignore[no-any-return]  # of the class of the manager that was given, with a gate


@cache
def _gated_kind(kind: Any) -> Any:
    """The class *kind* with a gate. Made once: SDKs make a manager for each object of theirs."""

    class Gated(kind):  # type: ignore[misc] # the class of a manager that an SDK has made
        agentguard_gate: Gate

        def urlopen(self, method: str, url: str, redirect: bool = True, **settings: Any) -> Any:
            gate = self.agentguard_gate
            if gate.passes(method, url):
                return super().urlopen(method, url, redirect=redirect, **settings)
            given = settings.get("headers")
            headers = self.headers if given is None else given
            send = super().urlopen

            def transmit(changed: Request) -> Response:
                once = {
                    **settings,
                    "headers": _spelled(headers, changed.headers),
                    "body": changed.body or settings.get("body"),
                    "retries": ONCE,
                    "preload_content": True,
                }
                answer = send(changed.verb, changed.url, redirect=False, **once)
                return Response(answer.status, Headers(answer.headers), answer.data, answer)

            neutral = Request(method, url, Headers(headers), read_body(settings.get("body")))
            return _native(gate.send(neutral, transmit), bool(settings.get("preload_content", True)))

    Gated.__name__, Gated.__qualname__, Gated.__module__ = kind.__name__, kind.__qualname__, kind.__module__
    return Gated


def never_left(error: BaseException) -> bool:
    """Whether *error* came before a connection stood: refused, timed out while connecting, or no such name."""
    cause: object = error.reason if isinstance(error, MaxRetryError) else error
    cause = cause.original_error if isinstance(cause, ProxyError) else cause
    return isinstance(cause, NewConnectionError | ConnectTimeoutError)


def read_body(body: Any) -> bytes | None:
    """A body as bytes; None for a stream, which can be read once and is the service's."""
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    return bytes(body) if isinstance(body, bytes | bytearray) else None


def _spelled(original: Any, changed: Headers) -> HTTPHeaderDict:
    """The original header fields in their own spelling, with what the guard changed."""
    native = HTTPHeaderDict({name: value for name, value in (original or {}).items() if str(name).lower() in changed})
    known = Headers(native)
    for name, value in changed.items():
        if known.get(name) != value:
            native[name] = value
    return native


def _native(response: Response, preloaded: bool) -> HTTPResponse:
    """What the SDK goes on with: urllib3's own object, or one made anew where it wants to read the body itself."""
    if isinstance(response.native, HTTPResponse) and preloaded:
        return response.native
    headers = {k: v for k, v in response.headers.items() if k not in ("content-encoding", "transfer-encoding")}
    return HTTPResponse(
        io.BytesIO(response.body), headers=headers, status=response.status, preload_content=preloaded, version=11
    )
