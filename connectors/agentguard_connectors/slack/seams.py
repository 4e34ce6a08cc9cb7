"""Where the gate goes under slack_sdk: instance-level overrides on a copy of the client.

The copy is of the client's own class, so that everything above the overridden method (chat_*, api_call, the steps of
files_upload_v2, ChatStream, pages of a SlackResponse) stays the SDK's. Four things are easily lost:

* The SDK's retry handlers repeat writes (one dropped connection, two messages). What is guarded goes through a second
  copy without handlers; what certainly reads keeps them.
* `_upload_file` sends the bytes of a file to an address outside the API and does not pass the usual method.
* A token given for one call (`token=...`) acts as somebody else, where an undo with the client's own token would miss.
  Such writes are refused.
* `api_call` joins its argument to the base URL, and an absolute URL replaces it. Only a plain method name below the
  base can be a read.
"""

from __future__ import annotations

import copy
import json
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.request import Request as NativeRequest

from agentguard.calls import Json
from agentguard.errors import AgentguardError, UsageError
from agentguard.wire import aiohttp as wire_aiohttp
from agentguard.wire import urllib as wire_urllib
from agentguard.wire.codec import relative_path
from agentguard.wire.http import Headers, Outgoing, Request, Response
from agentguard.wire.seam import Gate, Seam

OTHER_CLIENTS = {
    "LegacyWebClient": "it is kept by Slack for old programs only. Wrap slack_sdk.WebClient or AsyncWebClient",
    "SCIMClient": "no operation of SCIM is known here",
    "AsyncSCIMClient": "no operation of SCIM is known here",
    "AuditLogsClient": "it only reads, so that there is nothing to take back",
    "AsyncAuditLogsClient": "it only reads, so that there is nothing to take back",
}
"""Clients of slack_sdk that are not guarded, and why."""


class WebClientSeam(Seam):
    """`slack_sdk.WebClient`, which is built on urllib."""

    sdk = "slack-sdk"
    packages = ("slack_sdk",)
    clients = ("slack_sdk.web.client.WebClient",)

    def why_not(self, client: object) -> str | None:
        """Name what can be wrapped in place of slack_sdk's other clients."""
        name = type(client).__name__
        if type(client).__module__.partition(".")[0] != "slack_sdk" or name not in OTHER_CLIENTS:
            return None
        return f"slack_sdk's {name} cannot be guarded: {OTHER_CLIENTS[name]}."

    def twin(self, client: Any, gate: Gate) -> Any:
        """Return a copy of *client* whose every request passes *gate*."""
        twin = _copy(client)

        def perform(*, url: str, args: dict[str, Any]) -> dict[str, Any]:
            if _plain_method(twin, url) and gate.passes("POST", url):
                passed: dict[str, Any] = type(twin)._perform_urllib_http_request(twin, url=url, args=args)
                return passed
            _check_token(twin, url, args)
            return _perform_once(twin, gate, url, args)

        def upload(*, url: str, data: bytes, **settings: Any) -> Any:
            native = NativeRequest(url, data=data, method="POST")  # noqa: S310 - the address that Slack gave out
            return _upload_once(twin, gate, native, settings)

        twin._perform_urllib_http_request = perform
        twin._upload_file = upload
        return twin

    def bases(self, client: Any) -> tuple[str, ...]:
        """The address of the Web API."""
        return (client.base_url,)

    def secrets(self, client: Any) -> list[str]:
        """The token, and what the client sends in an Authorization header of its own."""
        return _secrets(client)

    def issue(self, twin: Any, out: Outgoing) -> None:
        """Call the method as a form: every method takes one, and only some take JSON."""
        twin.api_call(out.path.lstrip("/"), data=form(out.body), headers=dict(out.headers) or None)

    def never_left(self, error: BaseException) -> bool:
        """Whether no connection came about."""
        return wire_urllib.never_left(error) or _is_untrusted(error)


class AsyncWebClientSeam(Seam):
    """`slack_sdk.web.async_client.AsyncWebClient`, which is built on aiohttp."""

    sdk = "slack-sdk"
    packages = ("slack_sdk",)
    clients = ("slack_sdk.web.async_client.AsyncWebClient",)
    sync = False
    asynchronous = True

    def twin(self, client: Any, gate: Gate) -> Any:
        """Return a copy of *client* whose every request passes *gate*."""
        twin = _copy(client)

        async def request(*, http_verb: str, api_url: str, req_args: dict[str, Any]) -> dict[str, Any]:
            kind = type(twin)
            if _plain_method(twin, api_url) and gate.passes(http_verb, api_url):
                passed: dict[str, Any] = await kind._request(
                    twin, http_verb=http_verb, api_url=api_url, req_args=req_args
                )
                return passed
            _check_token(twin, api_url, req_args)
            once = _without_retries(twin)
            neutral = wire_aiohttp.neutral_request("POST", api_url, req_args)

            async def transmit(changed: Request) -> Response:
                if not wire_aiohttp.usable_here(once.session):
                    once.session = None
                arguments = {**req_args, "headers": _spelled(req_args.get("headers"), changed.headers)}
                if changed.body != neutral.body:
                    arguments |= {"json": None, "data": changed.body}
                if changed.url != neutral.url:
                    arguments["params"] = None
                # Always POST: Slack takes it for every method, and aiohttp may repeat a GET by itself.
                url = api_url if changed.url == neutral.url else changed.url
                answer = await kind._request(once, http_verb="POST", api_url=url, req_args=arguments)
                return _neutral(answer)

            return _async_answer(await gate.asend(neutral, transmit))

        async def upload(*, url: str, data: bytes, **settings: Any) -> Any:
            kind = type(twin)
            once = _without_retries(twin)

            async def transmit(changed: Request) -> Response:
                if not wire_aiohttp.usable_here(once.session):
                    once.session = None
                sent = await kind._upload_file(once, url=changed.url, data=data, **settings)
                return Response(sent.status, Headers(), str(sent.body or "").encode(), sent)

            response = await gate.asend(wire_aiohttp.neutral_request("POST", url, {"data": data}), transmit)
            return response.native or _upload_result(response)

        twin._request = request
        twin._upload_file = upload
        return twin

    def bases(self, client: Any) -> tuple[str, ...]:
        """The address of the Web API."""
        return (client.base_url,)

    def secrets(self, client: Any) -> list[str]:
        """The token, and what the client sends in an Authorization header of its own."""
        return _secrets(client)

    async def aissue(self, twin: Any, out: Outgoing) -> None:
        """Call the method as a form: every method takes one, and only some take JSON."""
        await twin.api_call(out.path.lstrip("/"), data=form(out.body), headers=dict(out.headers) or None)

    def never_left(self, error: BaseException) -> bool:
        """Whether no connection came about."""
        return wire_aiohttp.never_left(error)


class WebhookSeam(Seam):
    """`slack_sdk.WebhookClient`: one address that posts and offers no way back."""

    sdk = "slack-sdk"
    packages = ("slack_sdk",)
    clients = ("slack_sdk.webhook.client.WebhookClient",)

    def twin(self, client: Any, gate: Gate) -> Any:
        """Return a copy of *client* whose every message passes *gate*."""
        twin = _copy(client)

        def perform(*, body: dict[str, Any], headers: dict[str, str]) -> Any:
            once = _without_retries(twin)

            def transmit(changed: Request) -> Response:
                sent = type(twin)._perform_http_request(once, body=body, headers=_spelled(headers, changed.headers))
                return _webhook_answer(sent)

            response = gate.send(_webhook_request(twin, body, headers), transmit)
            return response.native or _webhook_result(twin.url, response)

        twin._perform_http_request = perform
        return twin

    def bases(self, client: Any) -> tuple[str, ...]:
        """The host, and then the address itself, which is a secret."""
        return _webhook_bases(client.url)

    def secrets(self, client: Any) -> list[str]:
        """The address, which is all that a sender needs."""
        return _webhook_secrets(client.url)

    def never_left(self, error: BaseException) -> bool:
        """Whether no connection came about."""
        return wire_urllib.never_left(error) or _is_untrusted(error)


class AsyncWebhookSeam(WebhookSeam):
    """`slack_sdk.webhook.async_client.AsyncWebhookClient`."""

    clients = ("slack_sdk.webhook.async_client.AsyncWebhookClient",)
    sync = False
    asynchronous = True

    def twin(self, client: Any, gate: Gate) -> Any:
        """Return a copy of *client* whose every message passes *gate*."""
        twin = _copy(client)

        async def perform(*, body: dict[str, Any], headers: dict[str, str]) -> Any:
            once = _without_retries(twin)

            async def transmit(changed: Request) -> Response:
                fields = _spelled(headers, changed.headers)
                sent = await type(twin)._perform_http_request(once, body=body, headers=fields)
                return _webhook_answer(sent)

            response = await gate.asend(_webhook_request(twin, body, headers), transmit)
            return response.native or _webhook_result(twin.url, response)

        twin._perform_http_request = perform
        return twin

    def never_left(self, error: BaseException) -> bool:
        """Whether no connection came about."""
        return wire_aiohttp.never_left(error)


def form(arguments: Json) -> dict[str, str]:
    """*arguments* as form fields: structure as JSON, None left out, an empty text kept (it clears a topic)."""
    fields = {}
    for name, value in (arguments or {}).items():
        if isinstance(value, str):
            fields[name] = value
        elif value is not None:
            fields[name] = json.dumps(value)
    return fields


def _is_untrusted(error: BaseException) -> bool:
    """Whether Slack's certificate was not accepted, which is before anything is sent. aiohttp says so by itself."""
    return isinstance(getattr(error, "reason", None), ssl.SSLCertVerificationError)


# The twin


def _copy(client: Any) -> Any:
    """A copy of *client* with its own settings, so that changing one leaves the other alone."""
    twin = copy.copy(client)
    for name in ("headers", "default_headers", "default_params", "retry_handlers"):
        if name in vars(twin):
            setattr(twin, name, copy.copy(getattr(twin, name)))
    return twin


def _without_retries(twin: Any) -> Any:
    """A copy of *twin*, as it is set at this moment, that sends once."""
    once = copy.copy(twin)
    once.retry_handlers = []
    return once


def _plain_method(twin: Any, url: str) -> bool:
    """Whether *url* is a method name directly below the client's base."""
    path = relative_path(url, (twin.base_url,))
    return path is not None and path.count("/") == 1


def _secrets(client: Any) -> list[str]:
    own = [
        value.partition(" ")[2] or value for name, value in client.headers.items() if name.lower() == "authorization"
    ]
    return [secret for secret in (client.token, *own) if secret]


OTHER_TOKENS = ("apps.", "auth.", "oauth.", "openid.", "tooling.")
"""Families of methods that take a token of another kind by design, or act on the token itself."""


def _check_token(twin: Any, url: str, arguments: Mapping[str, Any]) -> None:
    """Refuse a write that acts as somebody else than the client."""
    if url.rpartition("/")[2].startswith(OTHER_TOKENS):
        return
    sent = [Headers(arguments.get("headers")).get("authorization", "").removeprefix("Bearer ")]
    parts = (arguments.get(name) for name in ("params", "data", "json"))
    sent.extend(part.get("token") or "" for part in parts if isinstance(part, Mapping))
    known = {"", *_secrets(twin)}
    # Basic authentication is the app's own (oauth.v2.access) and acts for nobody yet.
    if any(token not in known and not token.startswith("Basic ") for token in sent):
        raise UsageError(
            "this call was given a token of its own, and its undo would be made with the client's token. Nothing was "
            "sent. Wrap a client that has this token: agentguard.wrap(WebClient(token=...), session)."
        )


# urllib


def _perform_once(twin: Any, gate: Gate, url: str, args: dict[str, Any]) -> dict[str, Any]:
    """Let the SDK encode the request, and take it through the gate where the SDK would open it."""
    once = _without_retries(twin)
    stopped: list[AgentguardError] = []

    def send(native: NativeRequest) -> Response:
        answer = type(twin)._perform_urllib_http_request_internal(once, native.full_url, native)
        body = answer["body"] if isinstance(answer["body"], bytes) else answer["body"].encode()
        return Response(answer["status"], Headers(dict(answer["headers"])), body, answer)

    def internal(_url: str, native: NativeRequest) -> dict[str, Any]:
        try:
            answer = wire_urllib.send_through(gate, native, send)
        except AgentguardError as error:
            # Passed around the SDK, which would log it as a failure of the network.
            stopped.append(error)
            return {"status": 0, "headers": {}, "body": ""}
        if answer.native is not None:
            known: dict[str, Any] = answer.native
            return known
        return {"status": answer.status, "headers": wire_urllib.native_headers(answer), "body": answer.body.decode()}

    once._perform_urllib_http_request_internal = internal
    answer: dict[str, Any] = type(twin)._perform_urllib_http_request(once, url=url, args=args)
    if stopped:
        raise stopped[0]
    return answer


def _upload_once(twin: Any, gate: Gate, native: NativeRequest, settings: dict[str, Any]) -> Any:
    """Send the bytes of a file to the address that Slack gave out for them."""

    def send(changed: NativeRequest) -> Response:
        sent = type(twin)._upload_file(twin, url=changed.full_url, data=changed.data, **settings)
        return Response(sent.status, Headers(), str(sent.body or "").encode(), sent)

    answer = wire_urllib.send_through(gate, native, send)
    return answer.native or _upload_result(answer)


def _upload_result(answer: Response) -> Any:
    from slack_sdk.web.file_upload_v2_result import FileUploadV2Result

    return FileUploadV2Result(status=answer.status, body=answer.body.decode())


# aiohttp


def _spelled(original: Mapping[str, str] | None, changed: Headers) -> dict[str, str]:
    """The original header fields in their own spelling, with what the guard changed or added."""
    kept = dict(original or {})
    names = {name.lower(): name for name in kept}
    for name, value in changed.items():
        if name in names or name != "content-type":
            kept[names.get(name, name)] = value
    return kept


def _neutral(answer: Mapping[str, Any]) -> Response:
    """The answer of the SDK's `_request`, which has parsed the body already."""
    data = answer["data"]
    body = data if isinstance(data, bytes) else data.encode() if isinstance(data, str) else json.dumps(data).encode()
    return Response(answer["status_code"], Headers(answer["headers"]), body, answer)


def _async_answer(response: Response) -> dict[str, Any]:
    if response.native is not None:
        known: dict[str, Any] = response.native
        return known
    return {"data": response.json(), "headers": response.headers, "status_code": response.status}


# Webhooks


def _webhook_request(twin: Any, body: Json, headers: Mapping[str, str]) -> Request:
    fields = Headers({**headers, "content-type": "application/json"})
    return Request("POST", twin.url, fields, json.dumps(body).encode())


def _webhook_answer(sent: Any) -> Response:
    return Response(sent.status_code, Headers(dict(sent.headers)), (sent.body or "").encode(), sent)


def _webhook_result(url: str, response: Response) -> Any:
    from slack_sdk.webhook import WebhookResponse

    return WebhookResponse(
        url=url, status_code=response.status, body=response.body.decode(), headers=dict(response.headers)
    )


def _webhook_bases(url: str) -> tuple[str, ...]:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}/", url


def _webhook_secrets(url: str) -> list[str]:
    return [url.partition("://")[2].partition("/")[2]]
