"""Where the gate goes under the stripe package: a twin of `StripeClient` with an HTTP client that passes the gate.

Everything a client offers (services of v1 and v2, the old aliases, OAuth, raw_request, objects that calls return and
what they are saved with) goes through a requestor and its HTTP client, so the twin has copies of these two. Three
things are easily lost:

* The SDK invents an `Idempotency-Key` for each call that has none. The requestor marks those, so that the guard's
  stable key can take their place while a key of the caller's own is kept.
* The SDK repeats a request up to `max_network_retries` times. A write that passes the gate is sent once; a read goes
  to the original HTTP client with everything it had.
* A key given for one call (`options={"api_key": ...}`) addresses another account, where an undo with the client's
  key would miss. Such writes are refused.
"""

from __future__ import annotations

import copy
import functools
import io
import socket
import ssl
from typing import Any
from urllib.parse import urlencode, urlsplit

from agentguard.errors import UnknownClient, UsageError
from agentguard.scopes import telling
from agentguard.wire.http import Headers, Outgoing, Request, Response
from agentguard.wire.seam import Gate, Seam
from agentguard_connectors.stripe.forms import flatten
from agentguard_connectors.stripe.marks import with_mark

SESSION_KEYED = ("/v2/billing/meter_event_stream",)
"""Paths whose calls carry a short-lived token in place of the account's key."""


class StripeClientSeam(Seam):
    """`stripe.StripeClient`, for synchronous and asynchronous calls alike."""

    sdk = "stripe"
    packages = ("stripe",)
    clients = ("stripe._stripe_client.StripeClient",)
    sync = True
    asynchronous = True

    def twin(self, client: Any, gate: Gate) -> Any:
        """Return a copy of *client* whose every request passes *gate*."""
        inner = client._requestor._get_http_client()
        return _twin(client, _gated_client(inner, gate, str(client._requestor.api_key)))

    def bases(self, client: Any) -> tuple[str, ...]:
        """The addresses of the API, of Connect, of file uploads and of meter events."""
        addresses = client._requestor.base_addresses
        ordered = [addresses.get(name) for name in ("api", "connect", "files", "meter_events")]
        return tuple(dict.fromkeys(address for address in ordered if address))

    def secrets(self, client: Any) -> list[str]:
        """The API key."""
        return [client._requestor.api_key] if client._requestor.api_key else []

    def mode(self, client: Any) -> str:
        """`live` or `test`: an account has both, and a key of the one sees nothing of the other."""
        kinds = str(client._requestor.api_key or "").split("_")
        return next((kind for kind in kinds if kind in ("live", "test")), "")

    def issue(self, twin: Any, out: Outgoing) -> None:
        """Send *out* with the twin's key and address."""
        url, arguments, options, mode = _prepared(out)
        twin._requestor.request_raw(
            out.verb.lower(), url, params=arguments, options=options, base_address="api", api_mode=mode
        )

    async def aissue(self, twin: Any, out: Outgoing) -> None:
        """The same in an event loop."""
        url, arguments, options, mode = _prepared(out)
        await twin._requestor.request_raw_async(
            out.verb.lower(), url, params=arguments, options=options, base_address="api", api_mode=mode
        )

    def never_left(self, error: BaseException) -> bool:
        """Whether no connection came about: no such name, no route, refused, timed out meanwhile, or no TLS."""
        return any(_is_no_connection(cause) for cause in _causes(error))


class StripeModuleSeam(Seam):
    """The module `stripe` with its global key, which cannot be guarded without changing it for the whole process."""

    sdk = "stripe"
    packages = ("stripe",)

    def takes(self, client: object) -> bool:
        """Whether *client* is the module itself."""
        return type(client).__name__ == "module" and getattr(client, "__name__", "") == "stripe"

    def twin(self, client: Any, gate: Gate) -> Any:
        """Refuse, and name what can be wrapped."""
        raise UnknownClient(
            "the module stripe is one client for the whole process, so that guarding it would guard (and leave "
            "unguarded) other people's calls. Nothing was wrapped. Wrap stripe.StripeClient(stripe.api_key) instead "
            "and call wrapped.v1.customers.create(...) where the program calls stripe.Customer.create(...)."
        )


def _twin(client: Any, http_client: Any) -> Any:
    """Build the copy of *client* around *http_client*; used again for each `with_stripe_context`."""
    twin = copy.copy(client)
    requestor = _marking_requestor()(options=copy.copy(client._requestor._options), client=http_client)
    twin._requestor = requestor
    twin.oauth = type(client.oauth)(requestor, client._options)
    twin.v1 = type(client.v1)(requestor)
    twin.v2 = type(client.v2)(requestor)
    make_context = type(client).with_stripe_context

    @functools.wraps(client.with_stripe_context)
    def with_stripe_context(stripe_context: Any) -> Any:
        # The SDK's own method builds its requestor itself, and with it unmarked keys.
        return _twin(make_context(twin, stripe_context), http_client)

    twin.with_stripe_context = with_stripe_context
    return twin


class InventedKey(str):
    """An `Idempotency-Key` that the SDK made up for one call."""

    __slots__ = ()


def _marking_requestor() -> Any:
    """The SDK's requestor, which marks the idempotency keys that it invents. A class made once."""
    global _requestor_class
    if _requestor_class is None:
        from stripe._api_requestor import _APIRequestor

        class MarkingRequestor(_APIRequestor):
            request = telling(_APIRequestor.request)
            request_async = telling(_APIRequestor.request_async)
            request_stream = telling(_APIRequestor.request_stream)
            request_stream_async = telling(_APIRequestor.request_stream_async)

            def _new_requestor_with_options(self, options: Any) -> Any:
                plain = super()._new_requestor_with_options(options)
                return MarkingRequestor(options=plain._options, client=self._client)

            def request_headers(self, method: Any, api_mode: Any, options: Any) -> Any:
                headers = super().request_headers(method, api_mode, options)
                if not options.get("idempotency_key") and "Idempotency-Key" in headers:
                    headers["Idempotency-Key"] = InventedKey(headers["Idempotency-Key"])
                return headers

        _requestor_class = MarkingRequestor
    return _requestor_class


_requestor_class: Any = None
_gated_class: Any = None


def _gated_client(inner: Any, gate: Gate, key: str) -> Any:
    """An HTTP client that asks *gate* and sends with *inner*."""
    return _gated_client_class()(inner, gate, key)


def _gated_client_class() -> Any:
    """The SDK's HTTP client with a gate. A class made once, as the SDK is imported late."""
    global _gated_class
    if _gated_class is not None:
        return _gated_class
    from stripe._http_client import HTTPClient

    class GatedClient(HTTPClient):
        name = "agentguard"

        def __init__(self, inner: Any, gate: Gate, key: str) -> None:
            super().__init__()
            self.__dict__["name"] = inner.name  # declared for the class, and different for each of ours
            self._inner = inner
            self._gate = gate
            self._key = key
            self._once = without_retries(inner)

        def request_with_retries(
            self,
            method: str,
            url: str,
            headers: Any,
            post_data: Any = None,
            max_network_retries: Any = None,
            **usage: Any,
        ) -> Any:
            if self._gate.passes(method.upper(), url):
                return self._inner.request_with_retries(method, url, headers, post_data, max_network_retries, **usage)
            request = neutral(method, url, headers, post_data, self._key)

            def transmit(allowed: Request) -> Response:
                return answered(self._once.request_with_retries(*arguments(method, allowed, post_data), 0, **usage))

            return native(self._gate.send(request, transmit))

        def request_stream_with_retries(
            self,
            method: str,
            url: str,
            headers: Any,
            post_data: Any = None,
            max_network_retries: Any = None,
            **usage: Any,
        ) -> Any:
            if self._gate.passes(method.upper(), url):
                return self._inner.request_stream_with_retries(
                    method, url, headers, post_data, max_network_retries, **usage
                )
            body, status, fields = self.request_with_retries(method, url, headers, post_data, 0, **usage)
            return io.BytesIO(body.encode() if isinstance(body, str) else body), status, fields

        def request(self, method: str, url: str, headers: Any, post_data: Any = None, **usage: Any) -> Any:
            return self.request_with_retries(method, url, headers, post_data, 0, **usage)

        def request_stream(self, method: str, url: str, headers: Any, post_data: Any = None, **usage: Any) -> Any:
            return self.request_stream_with_retries(method, url, headers, post_data, 0, **usage)

        async def request_with_retries_async(
            self,
            method: str,
            url: str,
            headers: Any,
            post_data: Any = None,
            max_network_retries: Any = None,
            **usage: Any,
        ) -> Any:
            if self._gate.passes(method.upper(), url):
                return await self._inner.request_with_retries_async(
                    method, url, headers, post_data, max_network_retries, **usage
                )
            request = neutral(method, url, headers, post_data, self._key)

            async def transmit(allowed: Request) -> Response:
                sent = arguments(method, allowed, post_data)
                return answered(await self._once.request_with_retries_async(*sent, 0, **usage))

            return native(await self._gate.asend(request, transmit))

        async def request_stream_with_retries_async(
            self,
            method: str,
            url: str,
            headers: Any,
            post_data: Any = None,
            max_network_retries: Any = None,
            **usage: Any,
        ) -> Any:
            if self._gate.passes(method.upper(), url):
                return await self._inner.request_stream_with_retries_async(
                    method, url, headers, post_data, max_network_retries, **usage
                )
            body, status, fields = await self.request_with_retries_async(method, url, headers, post_data, 0, **usage)
            return _chunks(body.encode() if isinstance(body, str) else body), status, fields

        async def request_async(self, method: str, url: str, headers: Any, post_data: Any = None, **usage: Any) -> Any:
            return await self.request_with_retries_async(method, url, headers, post_data, 0, **usage)

        async def request_stream_async(
            self, method: str, url: str, headers: Any, post_data: Any = None, **usage: Any
        ) -> Any:
            return await self.request_stream_with_retries_async(method, url, headers, post_data, 0, **usage)

        def sleep_async(self, secs: float) -> Any:
            return self._inner.sleep_async(secs)

        def close(self) -> None:
            self._inner.close()

        async def close_async(self) -> None:
            await self._inner.close_async()

    _gated_class = GatedClient
    return GatedClient


async def _chunks(body: bytes) -> Any:
    yield body


def neutral(method: str, url: str, headers: Any, post_data: Any, key: str) -> Request:
    """The request as the gate sees it, without a key that the SDK invented."""
    given = Headers({name: value for name, value in headers.items() if not isinstance(value, InventedKey)})
    if given.get("authorization") != f"Bearer {key}" and urlsplit(url).path not in SESSION_KEYED:
        raise UsageError(
            "this call was given an API key of its own, and could only be undone with that key. Nothing was sent. "
            "Wrap a StripeClient made with that key, or use options={'stripe_account': ...} for a connected account."
        )
    body = post_data.encode() if isinstance(post_data, str) else post_data
    return Request(method.upper(), url, given, b"" if body is None else body)


def arguments(method: str, request: Request, post_data: Any) -> tuple[str, str, dict[str, str], Any]:
    """What the SDK's HTTP client is called with for *request*; the body goes as the SDK made it, but for a mark."""
    sent = with_mark(request)
    given = post_data.encode() if isinstance(post_data, str) else post_data
    changed = isinstance(post_data, str | None) and sent.body and sent.body != given
    return method, sent.url, dict(sent.headers), sent.body.decode() if changed and sent.body else post_data


def answered(native_answer: Any) -> Response:
    """The answer as the gate sees it."""
    body, status, fields = native_answer
    return Response(status, Headers(fields), body.encode() if isinstance(body, str) else body, native_answer)


def native(response: Response) -> Any:
    """What the SDK goes on with; built anew for an answer that comes from the ledger."""
    if response.native is not None:
        return response.native
    from requests.structures import CaseInsensitiveDict

    return response.body, response.status, CaseInsensitiveDict(response.headers)


def without_retries(inner: Any) -> Any:
    """*inner*, or a copy of it whose own session does not repeat requests, where a program mounted one that does."""
    session: Any = vars(inner).get("_session")  # elsewhere a property that opens a session when it is asked
    adapters = getattr(session, "adapters", None)
    if not adapters or not any(getattr(adapter.max_retries, "total", 0) for adapter in adapters.values()):
        return inner
    from urllib3.util.retry import Retry

    calm = copy.copy(session)
    calm.adapters = type(adapters)()
    for prefix, adapter in adapters.items():
        once = copy.copy(adapter)
        once.__dict__.update(adapter.__dict__)
        once.max_retries = Retry(0, read=False)
        calm.adapters[prefix] = once
    client = copy.copy(inner)
    client._session = calm
    client._thread_local = type(inner._thread_local)()
    return client


def _prepared(out: Outgoing) -> tuple[str, dict[str, Any], dict[str, Any], Any]:
    """URL, parameters, options and API version for *out*. The SDK drops None, so that nothing is cleared by it."""
    from stripe._util import get_api_mode

    headers = dict(out.headers)
    known = {
        "idempotency_key": _take(headers, "idempotency-key"),
        "stripe_account": _take(headers, "stripe-account"),
        "stripe_context": _take(headers, "stripe-context"),
    }
    options: dict[str, Any] = {name: value for name, value in known.items() if value is not None}
    if headers:
        options["headers"] = headers
    body = out.body or {}
    if out.verb in ("GET", "DELETE"):
        return out.path, {**out.query, **body}, options, get_api_mode(out.path)
    query = f"?{urlencode(flatten(out.query))}" if out.query else ""
    return out.path + query, body, options, get_api_mode(out.path)


def _take(headers: dict[str, str], name: str) -> str | None:
    for given in list(headers):
        if given.lower() == name:
            return headers.pop(given)
    return None


def _causes(error: BaseException) -> list[BaseException]:
    """*error* and what it was raised from or wraps.

    Not its context: a program that calls from within an `except` block puts an unrelated error there.
    """
    found: list[BaseException] = []
    waiting: list[Any] = [error]
    while waiting:
        current = waiting.pop()
        if isinstance(current, BaseException) and current not in found:
            found.append(current)
            inner = [getattr(current, name, None) for name in ("reason", "original_error")]
            waiting += [current.__cause__, *inner, *current.args]
    return found


NO_CONNECTION = {
    "urllib3": {"ConnectTimeoutError", "NewConnectionError"},
    "httpx": {"ConnectError", "ConnectTimeout"},
}
"""Exceptions that these libraries raise only while a connection is being made."""


def _is_no_connection(error: BaseException) -> bool:
    if isinstance(error, socket.gaierror | ConnectionRefusedError):
        return True
    if isinstance(error, ssl.SSLError) and _in_handshake(error):
        return True
    return any(
        kind.__name__ in NO_CONNECTION.get(kind.__module__.partition(".")[0], ()) for kind in type(error).__mro__
    )


def _in_handshake(error: BaseException) -> bool:
    """Whether *error* was raised while TLS was being agreed on: nothing of a request goes before that."""
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_name == "do_handshake":
            return True
        traceback = traceback.tb_next
    return False
