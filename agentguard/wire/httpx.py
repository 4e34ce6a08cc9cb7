"""The gate for httpx: transports that let reads pass as they are and hand every write to the guard.

A client keeps one transport and one more for each mounted pattern (proxies among them); each of them is wrapped. The
gate sits outside caches and inside authentication and redirects, so that what it sees is what would be sent.
"""

from __future__ import annotations

import copy
from typing import Any, TypeVar

import httpx

from agentguard.wire.http import Headers, Request, Response
from agentguard.wire.seam import Gate

ClientT = TypeVar("ClientT", httpx.Client, httpx.AsyncClient)


class GatedTransport(httpx.BaseTransport):
    """A synchronous transport behind a gate."""

    def __init__(self, inner: httpx.BaseTransport, gate: Gate) -> None:
        self.inner = inner
        self.gate = gate

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Let a read pass with its body unread; let the guard decide on everything else."""
        if self.gate.passes(request.method, str(request.url)):
            return self.inner.handle_request(request)
        request.read()
        neutral = _neutral_request(request)

        def transmit(changed: Request) -> Response:
            outgoing = request if changed is neutral else _native_request(request, changed)
            answer = self.inner.handle_request(outgoing)
            if answer.is_closed:
                return _read_already(answer)
            try:
                raw = b"".join(answer.iter_raw())
            finally:
                answer.close()
            return _neutral_response(answer, raw)

        return _native_response(self.gate.send(neutral, transmit))

    def close(self) -> None:
        """Close the transport inside."""
        self.inner.close()


class AsyncGatedTransport(httpx.AsyncBaseTransport):
    """An asynchronous transport behind a gate."""

    def __init__(self, inner: httpx.AsyncBaseTransport, gate: Gate) -> None:
        self.inner = inner
        self.gate = gate

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Let a read pass with its body unread; let the guard decide on everything else."""
        if self.gate.passes(request.method, str(request.url)):
            return await self.inner.handle_async_request(request)
        await request.aread()
        neutral = _neutral_request(request)

        async def transmit(changed: Request) -> Response:
            outgoing = request if changed is neutral else _native_request(request, changed)
            answer = await self.inner.handle_async_request(outgoing)
            if answer.is_closed:
                return _read_already(answer)
            try:
                raw = b"".join([part async for part in answer.aiter_raw()])
            finally:
                await answer.aclose()
            return _neutral_response(answer, raw)

        return _native_response(await self.gate.asend(neutral, transmit))

    async def aclose(self) -> None:
        """Close the transport inside."""
        await self.inner.aclose()


def twin_client(client: ClientT, gate: Gate) -> ClientT:
    """Return a copy of *client* that shares its connections and whose every request passes *gate*."""
    twin = copy.copy(client)
    twin._mounts = dict(client._mounts)
    return gate_in_place(twin, gate)


def gate_in_place(client: ClientT, gate: Gate) -> ClientT:
    """Put *gate* under a client that nobody else uses yet, such as one that an SDK has just made."""
    # httpx has no public way to reach the transports of a finished client.
    insides: Any = client
    wrapper = AsyncGatedTransport if isinstance(client, httpx.AsyncClient) else GatedTransport
    insides._transport = wrapper(insides._transport, gate)
    insides._mounts = {key: inner and wrapper(inner, gate) for key, inner in insides._mounts.items()}
    return client


def never_left(error: BaseException) -> bool:
    """Whether *error* came before a connection stood: refused, or no such name."""
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.UnsupportedProtocol)


def _neutral_request(request: httpx.Request) -> Request:
    return Request(request.method, str(request.url), Headers(request.headers), request.content)


def _native_request(original: httpx.Request, changed: Request) -> httpx.Request:
    """The original with what the guard changed, in the spelling and order of the original's header fields."""
    headers = original.headers.copy()
    for name in list(headers):
        if name.lower() not in changed.headers:
            del headers[name]
    for name, value in changed.headers.items():
        if headers.get(name) != value:
            headers[name] = value
    body = original.content if changed.body is None else changed.body
    if body or "content-length" in headers:
        headers.pop("transfer-encoding", None)
        headers["content-length"] = str(len(body))
    return httpx.Request(changed.verb, changed.url, headers=headers, content=body, extensions=original.extensions)


def _neutral_response(answer: httpx.Response, raw: bytes) -> Response:
    # A second response, as the first body may be compressed and the SDK shall decode its own copy.
    decoded = httpx.Response(answer.status_code, headers=answer.headers, content=raw).content
    native = httpx.Response(
        answer.status_code, headers=answer.headers, stream=httpx.ByteStream(raw), extensions=answer.extensions
    )
    return Response(answer.status_code, Headers(answer.headers), decoded, native)


def _read_already(answer: httpx.Response) -> Response:
    """An answer that its transport made with the whole body, as caches and test transports do."""
    return Response(answer.status_code, Headers(answer.headers), answer.content, answer)


def _native_response(response: Response) -> httpx.Response:
    """What the SDK goes on with: its own object, or one made of a recorded answer."""
    if isinstance(response.native, httpx.Response):
        return response.native
    headers = {k: v for k, v in response.headers.items() if k not in ("content-encoding", "transfer-encoding")}
    headers["content-length"] = str(len(response.body))
    return httpx.Response(response.status, headers=headers, stream=httpx.ByteStream(response.body))
