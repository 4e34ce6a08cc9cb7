"""Where the gate goes under notion-client: under the httpx client, in a twin of a class made from the client's own.

The class is needed for two things that the SDK does behind its methods: `with client:` opens a new httpx client, and
assigning to `client.client` puts one in. Both are gated as they come in. Every endpoint keeps its client as `parent`,
so the endpoints are copied, the nested ones too.

The SDK repeats a request after 429, and DELETE after 500 and 503. What certainly reads is still repeated; a write is
not, because it would be sent twice where only one is on record.
"""

from __future__ import annotations

import asyncio
import copy
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from agentguard.errors import UsageError
from agentguard.scopes import telling
from agentguard.wire.codec import relative_path
from agentguard.wire.http import SAFE_VERBS, Outgoing, Request, Response
from agentguard.wire.seam import AsyncTransmit, Gate, Seam, Transmit


class ClientSeam(Seam):
    """`notion_client.Client`."""

    sdk = "notion-client"
    packages = ("notion_client",)
    clients = ("notion_client.client.Client",)

    def twin(self, client: Any, gate: Gate) -> Any:
        """Return a copy of *client* whose every request passes *gate*."""
        from agentguard.wire import httpx as wire_httpx

        twin = copy.copy(client)
        kind: Any = type(client)
        twin.__class__ = _gated(kind, asynchronous=self.asynchronous)
        twin._agentguard_gate = OwnAddress(gate, client, self.bases(client))
        twin._clients = [wire_httpx.twin_client(inner, twin._agentguard_gate) for inner in client._clients]
        _adopt(twin, client, twin)
        return twin

    def bases(self, client: Any) -> tuple[str, ...]:
        """The address of the API, to which the SDK adds `/v1/`."""
        return (str(client.options.base_url).rstrip("/"),)

    def secrets(self, client: Any) -> list[str]:
        """The token, and what the httpx client sends in an Authorization header of its own."""
        sent = client.client.headers.get("authorization", "")
        return [secret for secret in (client.options.auth or "", sent.removeprefix("Bearer ")) if secret]

    def issue(self, twin: Any, out: Outgoing) -> None:
        """Send *out* through the SDK's own `request`, which adds the token and the version."""
        twin.request(**_arguments(out))

    def never_left(self, error: BaseException) -> bool:
        """Whether no connection came about."""
        from agentguard.wire import httpx as wire_httpx

        return wire_httpx.never_left(error)


class AsyncClientSeam(ClientSeam):
    """`notion_client.AsyncClient`."""

    clients = ("notion_client.client.AsyncClient",)
    sync = False
    asynchronous = True

    async def aissue(self, twin: Any, out: Outgoing) -> None:
        """The same for the asynchronous client, on connections of its own where another event loop runs by now.

        A session may be rolled back when the loop in which its calls were made is over; httpx cannot use the
        connections of that one.
        """
        if twin._agentguard_gate.at_home():
            await twin.request(**_arguments(out))
            return
        pools: list[Any] = []
        elsewhere = copy.copy(twin)
        elsewhere._clients = [_unconnected(twin.client, pools)]
        try:
            await elsewhere.request(**_arguments(out))
        finally:
            for pool in pools:
                await pool.aclose()


class OwnAddress:
    """The gate, as this SDK needs it: POST reads at the API's own address only, and writes with the client's token."""

    def __init__(self, gate: Gate, client: Any, bases: tuple[str, ...]) -> None:
        self.gate = gate
        self.client = client
        self.bases = bases
        self.loop: asyncio.AbstractEventLoop | None = None

    def at_home(self) -> bool:
        """Whether the event loop that runs is the one that the client is used in; the first one that is seen."""
        self.loop = self.loop or asyncio.get_running_loop()
        return self.loop is asyncio.get_running_loop()

    def passes(self, verb: str, url: str) -> bool:
        """Whether this request certainly changes nothing and is none of ours."""
        known = (relative_path(url, self.bases) or "").startswith("/v1/")
        return (verb in SAFE_VERBS or known) and self.gate.passes(verb, url)

    def send(self, request: Request, transmit: Transmit) -> Response:
        """Guard *request*."""
        self._check_token(request)
        return self.gate.send(request, transmit)

    async def asend(self, request: Request, transmit: AsyncTransmit) -> Response:
        """Guard *request* of an asynchronous client."""
        self.at_home()
        self._check_token(request)
        return await self.gate.asend(request, transmit)

    def _check_token(self, request: Request) -> None:
        """Refuse a write that acts as somebody else than the client.

        Basic authentication is the app's own (`oauth.token`) and acts for nobody yet.
        """
        inner = self.client.client
        sent = request.headers.get("authorization", "")
        if sent.startswith("Basic ") or request.verb in SAFE_VERBS or inner.auth is not None:
            return
        if sent != inner.headers.get("authorization", ""):
            raise UsageError(
                "this call was given a token of its own, and its undo would be made with the client's token. Nothing "
                "was sent. Wrap a client that has this token: agentguard.wrap(Client(auth=...), session)."
            )


@cache
def _gated(kind: Any, *, asynchronous: bool) -> Any:
    """A subclass of the client's class whose httpx clients all pass the gate, and which repeats no write."""
    from agentguard.wire import httpx as wire_httpx

    class Gated(kind):  # type: ignore[misc]  # the SDK is imported late, so its class is not known here
        request = telling(kind.request)

        @property
        def client(self) -> Any:
            return kind.client.fget(self)

        @client.setter
        def client(self, client: Any) -> None:
            kind.client.fset(self, wire_httpx.twin_client(client, self._agentguard_gate))

    def patience(self: Any, method: str, path: str) -> Any:
        url = str(self.client.base_url.join(path))
        if method.upper() in SAFE_VERBS or self._agentguard_gate.passes(method, url):
            return self
        once = copy.copy(self)
        once._max_retries = 0
        return once

    def execute(self: Any, method: str, path: str, *rest: Any) -> Any:
        return kind._execute_with_retry(patience(self, method, path), method, path, *rest)

    async def aexecute(self: Any, method: str, path: str, *rest: Any) -> Any:
        return await kind._execute_with_retry(patience(self, method, path), method, path, *rest)

    Gated._execute_with_retry = aexecute if asynchronous else execute
    Gated.__name__, Gated.__qualname__, Gated.__module__ = kind.__name__, kind.__qualname__, kind.__module__
    Gated.__doc__ = kind.__doc__
    return Gated


def _adopt(copied: Any, original: Any, twin: Any) -> None:
    """Replace every endpoint of *original* in its copy by one whose `parent` is *twin*, and theirs in turn."""
    for name, value in list(vars(original).items()):
        if name != "parent" and hasattr(value, "parent") and type(value).__module__.startswith("notion_client"):
            endpoint = copy.copy(value)
            endpoint.parent = twin
            _adopt(endpoint, value, twin)
            setattr(copied, name, endpoint)


def _unconnected(client: Any, pools: list[Any]) -> Any:
    """A copy of a gated httpx client with the same settings and no connections; its new pools go to *pools*."""

    def fresh(gated: Any) -> Any:
        # httpx has no public way to copy a transport with its settings.
        if gated is None or not hasattr(gated.inner, "_pool"):
            return gated
        wrapper = copy.copy(gated)
        wrapper.inner = copy.copy(gated.inner)
        pool = wrapper.inner._pool = copy.copy(gated.inner._pool)
        pool._connections, pool._requests = [], []
        pools.append(pool)
        return wrapper

    copied = copy.copy(client)
    copied._transport = fresh(client._transport)
    copied._mounts = {key: fresh(transport) for key, transport in client._mounts.items()}
    return copied


def _arguments(out: Outgoing) -> dict[str, Any]:
    path = urlsplit(out.path).path.removeprefix("/v1/").lstrip("/")
    return {"path": path, "method": out.verb, "query": out.query or None, "body": out.body}
