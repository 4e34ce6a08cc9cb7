"""Where the gate goes under hubspot-api-client: its hook for making API objects, and `api_request`.

Every hop (`client.crm.contacts.basic_api`) makes a new API object with a new urllib3 pool manager, through the function
that the client's configuration names as `api_factory`. The twin has one that makes the object as the client would and
puts the gate under a copy of its pool manager. `api_request` goes past all of this and uses requests.

`async_req=True` runs the same code in a thread of the SDK. The thread is given the context variables of the caller, so
that a session's `because(...)` holds for it. What marks our own requests is never among them: those are not sent so.
"""

from __future__ import annotations

import contextvars
import copy
from typing import Any

from agentguard.errors import UsageError
from agentguard.scopes import telling
from agentguard.wire.http import SAFE_VERBS, Outgoing, Request, Response
from agentguard.wire.seam import AsyncTransmit, Gate, Seam, Transmit

DEFAULT_HOST = "https://api.hubapi.com"


class HubSpotSeam(Seam):
    """`hubspot.HubSpot` and its parent, `hubspot.Client`."""

    sdk = "hubspot-api-client"
    packages = ("hubspot",)
    clients = ("hubspot.client.Client",)

    def why_not(self, client: object) -> str | None:
        """Point at the client where a part of it was passed."""
        if type(client).__module__.startswith("hubspot."):
            return "this is a part of a HubSpot client. Wrap the client itself, hubspot.HubSpot(...)."
        return None

    def twin(self, client: Any, gate: Gate) -> Any:
        """Return a copy of *client* whose every request passes *gate*."""
        twin = copy.copy(client)
        own = OwnToken(twin, gate)
        twin.config = {**client.config, "api_factory": _factory(client.config.get("api_factory"), own)}

        def api_request(options: Any) -> Any:
            return _api_request(twin.config, options, own)

        twin.api_request = api_request
        return twin

    def bases(self, client: Any) -> tuple[str, ...]:
        """Where the API objects send to, and where `api_request` does."""
        hosts = (client.config.get("host"), client.config.get("base_url"), DEFAULT_HOST)
        first = hosts[0] or DEFAULT_HOST
        return tuple(dict.fromkeys(str(host).rstrip("/") for host in (first, *hosts) if host))

    def secrets(self, client: Any) -> list[str]:
        """The access token and the developer's key."""
        return [str(client.config[name]) for name in ("access_token", "api_key") if client.config.get(name)]

    def issue(self, twin: Any, out: Outgoing) -> None:
        """Send *out* with the API object that serves every type of record; it adds host, token and proxy."""
        twin.crm.objects.basic_api.api_client.call_api(
            out.path,
            out.verb,
            {},
            pairs(out.query),
            {"Accept": "application/json", "Content-Type": "application/json", **out.headers},
            body=out.body,
            response_types_map={},
            auth_settings=["oauth2"],
            _return_http_data_only=True,
        )

    def never_left(self, error: BaseException) -> bool:
        """Whether no connection came about."""
        from agentguard.wire import requests, urllib3

        return urllib3.never_left(error) or requests.never_left(error)


class OwnToken:
    """The gate, which stops writes that are given another token: an undo with the client's own would miss."""

    def __init__(self, twin: Any, gate: Gate) -> None:
        self._twin = twin
        self._gate = gate

    def passes(self, verb: str, url: str) -> bool:
        """Whether this request certainly changes nothing and is none of ours."""
        return self._gate.passes(verb, url)

    def send(self, request: Request, transmit: Transmit) -> Response:
        """Guard *request*, unless it acts as somebody else."""
        token = self._twin.config.get("access_token")
        given = request.headers.get("authorization")
        if request.verb not in SAFE_VERBS and given is not None and given != f"Bearer {token}":
            raise UsageError(
                "this call was given a token of its own, and could only be undone with that token. Nothing was sent. "
                "Wrap a client made with that token."
            )
        return self._gate.send(request, transmit)

    async def asend(self, request: Request, transmit: AsyncTransmit) -> Response:
        """HubSpot's SDK has no asynchronous client."""
        return await self._gate.asend(request, transmit)


def pairs(query: dict[str, Any]) -> list[tuple[str, Any]]:
    """A query as the SDK takes it; a list becomes a name that repeats, and booleans are written as JSON does."""
    return [
        (name, str(single).lower() if isinstance(single, bool) else single)
        for name, value in query.items()
        for single in (value if isinstance(value, list) else [value])
    ]


def _factory(own_factory: Any, gate: Gate) -> Any:
    """Make API objects as *own_factory* or the SDK does, with *gate* under each of them."""

    def api_factory(package: Any, api_name: str, config: Any) -> Any:
        from hubspot.discovery.discovery_base import DiscoveryBase  # type: ignore[import-untyped]  # HubSpot ships no types

        make = own_factory or DiscoveryBase._default_api_factory
        return gated_api(make(package, api_name, config), gate)

    return api_factory


def gated_api(api: Any, gate: Gate) -> Any:
    """A copy of the API object *api* that sends through *gate*; what the client's own factory keeps is untouched."""
    from agentguard.wire.urllib3 import gated_manager

    twin = copy.copy(api)
    client = twin.api_client = copy.copy(api.api_client)
    client.__dict__.pop("_pool", None)  # the threads of the original are its own
    client.call_api = _in_context(client)
    client.rest_client = copy.copy(client.rest_client)
    client.rest_client.pool_manager = gated_manager(client.rest_client.pool_manager, gate)
    return twin


def _in_context(client: Any) -> Any:
    """The `call_api` of an API client, which runs in the caller's context in a thread, too.

    The SDK reads an answer by its status and knows 201 for most creations. What a resumed session is given for a call
    whose answer was lost, and was looked up, comes with 200.
    """

    def call_api(*arguments: Any, async_req: Any = None, **settings: Any) -> Any:
        call = telling(type(client).call_api)
        known = settings.get("response_types_map")
        if known and 201 in known:
            settings["response_types_map"] = {200: known[201], **known}
        if not async_req:
            return call(client, *arguments, **settings)
        run = contextvars.copy_context().run
        return client.pool.apply_async(run, (call, client, *arguments), settings)

    return call_api


def _api_request(config: Any, options: Any, gate: Gate) -> Any:
    """What `Client.api_request` does, with a requests session behind *gate*."""
    import requests
    from hubspot.utils.requests.http_request_builder import (  # type: ignore[import-untyped]  # HubSpot ships no types
        Request as Builder,
    )

    from agentguard.wire.requests import gate_in_place

    request = Builder(config, options)
    verb = request.get_method().lower()
    with gate_in_place(requests.Session(), gate) as session:
        send = getattr(session, verb if verb in VERBS else "get")  # the SDK falls back to GET
        return send(request.get_url(), **request.get_options_for_sending())


VERBS = frozenset({"get", "options", "head", "post", "put", "patch", "delete"})
