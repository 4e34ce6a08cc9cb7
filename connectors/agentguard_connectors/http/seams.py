"""Where the gate goes under plain HTTP clients: httpx, synchronous and asynchronous, and requests."""

from __future__ import annotations

from typing import Any

from agentguard.wire.http import Outgoing
from agentguard.wire.seam import Gate, Seam

CREDENTIALS = ("authorization", "cookie", "proxy-authorization")


class HttpxSeam(Seam):
    """`httpx.Client`. *base* is where the API lives; by default the client's own base URL."""

    sdk = "httpx"
    packages = ("httpx",)
    clients: tuple[str, ...] = ("httpx.Client",)

    def __init__(self, base: str = "") -> None:
        self.base = base.rstrip("/")

    def twin(self, client: Any, gate: Gate) -> Any:
        """Copy the client with *gate* under each of its transports."""
        from agentguard.wire.httpx import twin_client

        return twin_client(client, gate)

    def bases(self, client: Any) -> tuple[str, ...]:
        """Where the API lives."""
        return (self.base or str(client.base_url).rstrip("/"),)

    def secrets(self, client: Any) -> list[str]:
        """The credentials among the client's default headers and cookies."""
        held = [value for name, value in client.headers.items() if name.lower() in CREDENTIALS]
        return [part for value in (*held, *client.cookies.values()) for part in value.split() if len(part) > 6]

    def issue(self, twin: Any, out: Outgoing) -> None:
        """Send through the client."""
        twin.request(out.verb, self.base + out.path, params=out.query or None, json=out.body, headers=out.headers)

    def never_left(self, error: BaseException) -> bool:
        """Whether no connection came about."""
        from agentguard.wire.httpx import never_left

        return never_left(error)


class AsyncHttpxSeam(HttpxSeam):
    """`httpx.AsyncClient`."""

    clients = ("httpx.AsyncClient",)
    sync = False
    asynchronous = True

    async def aissue(self, twin: Any, out: Outgoing) -> None:
        """Send through the client."""
        url = self.base + out.path
        await twin.request(out.verb, url, params=out.query or None, json=out.body, headers=out.headers)


class RequestsSeam(HttpxSeam):
    """`requests.Session`, which has no base URL of its own."""

    sdk = "requests"
    packages = ("requests",)
    clients = ("requests.sessions.Session",)

    def twin(self, client: Any, gate: Gate) -> Any:
        """Copy the session with *gate* under each of its adapters."""
        from agentguard.wire.requests import twin_session

        return twin_session(client, gate)

    def bases(self, client: Any) -> tuple[str, ...]:
        """Where the API lives; unknown without a declaration."""
        return (self.base,)

    def secrets(self, client: Any) -> list[str]:
        """The credentials that the session sends."""
        auth = list(client.auth) if isinstance(client.auth, tuple) else []
        return [*super().secrets(client), *auth[1:]]

    def never_left(self, error: BaseException) -> bool:
        """Whether no connection came about."""
        from agentguard.wire.requests import never_left

        return never_left(error)
