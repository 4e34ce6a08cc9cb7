"""The seam between agentguard and one SDK: where the gate goes, and how requests of ours use the same client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from agentguard.errors import AgentguardError
from agentguard.wire.http import Outgoing, Request, Response

Transmit = Callable[[Request], Response]
"""Sends one request, once, on the SDK's own connection. Raises what the SDK's HTTP library raises."""
AsyncTransmit = Callable[[Request], Awaitable[Response]]


def ours(error: BaseException) -> AgentguardError | None:
    """Return our own error where *error* is one that an SDK has made of it (`raise SdkError from error`)."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, AgentguardError):
        cause = cause.__cause__
    return cause


class Gate(Protocol):
    """What every request of a twin passes. Seams call it; the guard implements it."""

    def passes(self, verb: str, url: str) -> bool:
        """Whether this request certainly changes nothing and is none of ours, so that it may go as it is."""

    def send(self, request: Request, transmit: Transmit) -> Response:
        """Guard *request*; *transmit* sends it once, as changed by the guard, without any retry by the SDK."""

    async def asend(self, request: Request, transmit: AsyncTransmit) -> Response:
        """The same for an asynchronous client."""


class Seam:
    """How one SDK is guarded. One instance serves all clients; it keeps nothing of them."""

    sdk: str = ""
    """The name of its distribution, for people."""
    packages: tuple[str, ...] = ()
    """Its top-level import packages."""
    clients: tuple[str, ...] = ()
    """The client classes that it takes, as `module.Class`; subclasses count."""
    sync: bool = True
    """Whether `issue` works."""
    asynchronous: bool = False
    """Whether `aissue` works."""
    concurrent: bool = True
    """Whether threads may use one client at once. Where not, undos side by side take turns."""

    def takes(self, client: object) -> bool:
        """Whether this seam knows how to guard *client*. Imports nothing."""
        return any(f"{cls.__module__}.{cls.__qualname__}" in self.clients for cls in type(client).__mro__)

    def why_not(self, client: object) -> str | None:
        """Say why *client* is not taken although it looks as if it were; None where there is nothing to say."""
        return None

    def twin(self, client: Any, gate: Gate) -> Any:
        """Return a copy of *client*, of the same type, whose every request passes *gate*; leave *client* as it is."""
        raise NotImplementedError

    def bases(self, client: Any) -> tuple[str, ...]:
        """The URLs below which this client's service lives; the first one names the account's host."""
        raise NotImplementedError

    def secrets(self, client: Any) -> list[str]:
        """The credentials that this client holds, so that they are recognised and never written down."""
        raise NotImplementedError

    def mode(self, client: Any) -> str:
        """What parts the data that one account has, where the credential says it: Stripe's live and test mode."""
        return ""

    def issue(self, twin: Any, out: Outgoing) -> None:
        """Send *out* through the SDK (its address, authentication, proxies). The gate picks up the answer."""
        raise NotImplementedError

    async def aissue(self, twin: Any, out: Outgoing) -> None:
        """The same for an asynchronous client."""
        raise NotImplementedError

    def never_left(self, error: BaseException) -> bool:
        """Whether *error* proves that no byte of the request reached the service. When unsure: False."""
        return False
