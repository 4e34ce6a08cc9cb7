"""Where the gate goes in PyGithub and in githubkit.

PyGithub keeps a `Requester` for each client and hands it to every object that it returns; the requester makes
connections from three classes. New requesters are made of the old one's arguments (`withLazy`, `withAuth`,
`get_github_for_installation`), so the gate travels with the one argument that the new requester calls back: `auth`.

githubkit makes a new httpx client for each request, or one for each `with`; the twin puts the gate under each of them.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

from agentguard.scopes import telling
from agentguard.wire.http import SAFE_VERBS, Outgoing
from agentguard.wire.seam import Gate, Seam, ours

SECRET_NAMES = ("token", "password", "secret", "private_key", "jwt", "code")


class PyGithubSeam(Seam):
    """PyGithub: `github.Github`."""

    sdk = "PyGithub"
    packages = ("github",)
    clients = ("github.MainClass.Github",)

    def twin(self, client: Any, gate: Gate) -> Any:
        """Copy the client with a requester whose every connection passes *gate*."""
        requester = client.requester
        arguments = {**requester.kwargs, "auth": _gating_auth(requester.auth, gate)}
        twin = copy.copy(client)
        twin._Github__requester = _gated_requester(type(requester)(**arguments), gate)
        twin._Github__requester.FIX_REPO_GET_GIT_REF = requester.FIX_REPO_GET_GIT_REF
        return twin

    def bases(self, client: Any) -> tuple[str, ...]:
        """The API's address, and where uploads and GraphQL live beside it."""
        return bases_of(str(client.requester.base_url))

    def secrets(self, client: Any) -> list[str]:
        """What the client's authentication holds."""
        return list(_secrets_of(client.requester.auth))

    def issue(self, twin: Any, out: Outgoing) -> None:
        """Send through the requester, which adds address and authentication."""
        twin.requester.requestJson(
            out.verb, out.path, parameters=dict(out.query), headers=dict(out.headers), input=out.body
        )

    def never_left(self, error: BaseException) -> bool:
        """Whether no connection came about."""
        from agentguard.wire.requests import never_left

        return any(never_left(link) for link in _chain(error)) or _is_untrusted(error)


class GithubkitSeam(Seam):
    """githubkit: `githubkit.GitHub`, synchronous and asynchronous."""

    sdk = "githubkit"
    packages = ("githubkit",)
    clients = ("githubkit.github.GitHub",)
    asynchronous = True

    def twin(self, client: Any, gate: Gate) -> Any:
        """Copy the client so that each httpx client it makes is gated."""
        twin = copy.copy(client)
        for bound_to_the_original in ("rest", "graphql"):
            vars(twin).pop(bound_to_the_original, None)
        twin.__class__ = _gated_githubkit(type(client), self, gate)
        changes: dict[str, Any] = {"throttler": _throttle_once(client.config.throttler)}
        if client.config.auto_retry is not None:
            changes["auto_retry"] = _retry_reads_only(client.config.auto_retry)
        twin.config = dataclasses.replace(client.config, **changes)
        # The clients of a `with` live in context variables of the instance, which a copy would share.
        twin._GitHubCore__sync_client = ContextVar("sync_client", default=None)
        twin._GitHubCore__async_client = ContextVar("async_client", default=None)
        return twin

    def bases(self, client: Any) -> tuple[str, ...]:
        """The API's address, and where uploads and GraphQL live beside it."""
        return bases_of(str(client.config.base_url))

    def secrets(self, client: Any) -> list[str]:
        """What the client's authentication holds."""
        return list(_secrets_of(client.auth))

    def issue(self, twin: Any, out: Outgoing) -> None:
        """Send through the client, which adds address and authentication."""
        twin.request(out.verb, out.path, params=out.query or None, json=out.body, headers=out.headers or None)

    async def aissue(self, twin: Any, out: Outgoing) -> None:
        """The same for asynchronous use."""
        await twin.arequest(out.verb, out.path, params=out.query or None, json=out.body, headers=out.headers or None)

    def never_left(self, error: BaseException) -> bool:
        """Whether no connection came about."""
        from agentguard.wire.httpx import never_left

        return any(never_left(link) for link in _chain(error)) or _is_untrusted(error)


def bases_of(base_url: str) -> tuple[str, ...]:
    """Every address that belongs to the API at *base_url*, the most specific first.

    https://docs.github.com/enterprise-server/rest/overview/resources-in-the-rest-api: `/api/v3`, with uploads below
    `/api/uploads` and GraphQL at `/api/graphql`. On github.com uploads have a host of their own.
    """
    split = urlsplit(base_url.rstrip("/"))
    root = f"{split.scheme}://{split.netloc}"
    if split.path == "/api/v3":
        return (f"{root}/api/v3", f"{root}/api/uploads", f"{root}/api", root)
    if split.hostname == "api.github.com":
        return (base_url.rstrip("/"), "https://uploads.github.com", "https://github.com")
    if (split.hostname or "").startswith("api."):
        return (base_url.rstrip("/"), f"{split.scheme}://uploads.{split.netloc.removeprefix('api.')}")
    return (base_url.rstrip("/"),)


def _gated_requester(requester: Any, gate: Gate) -> Any:
    """Put *gate* under every connection that *requester* will make, and under those of the requesters made from it."""
    if getattr(requester, "agentguard_gate", None) is gate:
        return requester
    kinds = ("connectionClass", "httpConnectionClass", "httpsConnectionClass")
    for name in (f"_Requester__{kind}" for kind in kinds):
        setattr(requester, name, _gated_connection(getattr(requester, name), gate))
    kind = type(requester)

    class Requester(kind):  # type: ignore[valid-type, misc] # the class is known only when the SDK is
        agentguard_gate = gate
        requestJsonAndCheck = telling(kind.requestJsonAndCheck)  # noqa: N815 - named by PyGithub
        requestMultipartAndCheck = telling(kind.requestMultipartAndCheck)  # noqa: N815 - named by PyGithub
        requestBlobAndCheck = telling(kind.requestBlobAndCheck)  # noqa: N815 - named by PyGithub
        requestMemoryBlobAndCheck = telling(kind.requestMemoryBlobAndCheck)  # noqa: N815 - named by PyGithub

        def withAuth(self, auth: Any) -> Any:  # noqa: N802 - named by PyGithub
            return _gated_requester(super().withAuth(_gating_auth(auth, gate)), gate)

        def withLazy(self, lazy: Any) -> Any:  # noqa: N802 - named by PyGithub
            return _gated_requester(super().withLazy(lazy), gate)

        def withApiVersion(self, api_version: Any) -> Any:  # noqa: N802 - named by PyGithub
            return _gated_requester(super().withApiVersion(api_version), gate)

    requester.__class__ = Requester
    return requester


def _gated_connection(kind: type[Any], gate: Gate) -> type[Any]:
    from agentguard.wire.requests import gate_in_place

    class Connection(kind):  # type: ignore[misc] # the class is known only when the SDK is
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            gate_in_place(self.session, gate)

    return Connection


def _gating_auth(auth: Any, gate: Gate) -> Any:
    """Copy *auth* so that any requester which is made with it is gated."""
    from github.Requester import WithRequester

    if auth is None or getattr(auth, "agentguard_gate", None) is gate:
        return auth
    kind = type(auth)
    parents = (kind,) if issubclass(kind, WithRequester) else (kind, WithRequester)

    def with_requester(self: Any, requester: Any) -> Any:
        _gated_requester(requester, gate)
        return super(gated, self).withRequester(requester)

    body = {"agentguard_gate": gate, "withRequester": with_requester, "__module__": kind.__module__}
    gated: Any = type(kind.__name__, parents, body)
    twin = copy.copy(auth)
    twin.__class__ = gated
    return twin


def _gated_githubkit(kind: type[Any], seam: GithubkitSeam, gate: Gate) -> type[Any]:
    from agentguard.wire.httpx import gate_in_place

    class GitHub(kind):  # type: ignore[misc] # the class is known only when the SDK is
        request = telling(kind.request)
        arequest = telling(kind.arequest)

        def _create_sync_client(self) -> Any:
            return gate_in_place(super()._create_sync_client(), gate)

        async def _create_async_client(self) -> Any:
            return gate_in_place(await super()._create_async_client(), gate)

        def _request(self, *args: Any, **kwargs: Any) -> Any:
            try:
                return super()._request(*args, **kwargs)
            except Exception as error:
                cause = ours(error)  # githubkit makes a RequestError of everything that its transport raises
                if cause is None:
                    raise
                raise cause from None

        async def _arequest(self, *args: Any, **kwargs: Any) -> Any:
            try:
                return await super()._arequest(*args, **kwargs)
            except Exception as error:
                cause = ours(error)
                if cause is None:
                    raise
                raise cause from None

        @functools.wraps(kind.with_auth)
        def with_auth(self, auth: Any) -> Any:
            return seam.twin(super().with_auth(auth), gate)

    GitHub.__name__, GitHub.__qualname__, GitHub.__module__ = kind.__name__, kind.__qualname__, kind.__module__
    return GitHub


def _retry_reads_only(decide: Any) -> Any:
    """The client's own decision about repeating a request, asked only for reads."""

    def decision(error: Any, retry_count: int) -> Any:
        from githubkit.retry import RetryOption

        try:
            verb = error.request.method
        except (AttributeError, RuntimeError):  # an error without a request, in githubkit and in httpx
            return RetryOption(False)
        return decide(error, retry_count) if verb in SAFE_VERBS else RetryOption(False)

    return decision


_throttled: ContextVar[bool] = ContextVar("agentguard_github_throttled", default=False)


def _throttle_once(inner: Any) -> Any:
    """The client's own limit on concurrent requests, which a read of ours inside a write does not count towards.

    The write waits for that read with its place taken: a limit of one would stop both for ever.
    """
    from githubkit.throttling import BaseThrottler

    class Throttler(BaseThrottler):
        @contextmanager
        def acquire(self, request: Any) -> Iterator[None]:
            if _throttled.get():
                yield
                return
            with inner.acquire(request):
                token = _throttled.set(True)
                try:
                    yield
                finally:
                    _throttled.reset(token)

        @asynccontextmanager
        async def async_acquire(self, request: Any) -> AsyncIterator[None]:
            if _throttled.get():
                yield
                return
            async with inner.async_acquire(request):
                token = _throttled.set(True)
                try:
                    yield
                finally:
                    _throttled.reset(token)

    return Throttler()


def _secrets_of(auth: Any, depth: int = 0) -> Iterator[str]:
    """Every text in *auth*, and in the strategies inside it, that stands under a secret's name."""
    for name, value in (vars(auth) if hasattr(auth, "__dict__") else {}).items():
        if isinstance(value, str) and any(word in name.lower() for word in SECRET_NAMES) and len(value) > 3:
            yield value
        elif depth < 2 and type(value).__module__.split(".")[0] in ("github", "githubkit"):
            yield from _secrets_of(value, depth + 1)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and those that it was made of: SDKs wrap what their transport raises."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__


def _is_untrusted(error: BaseException) -> bool:
    """Whether the service's certificate was not accepted, which is before anything is sent."""
    waiting, seen = [error], set[int]()
    while waiting:
        link = waiting.pop()
        if isinstance(link, ssl.SSLCertVerificationError):
            return True
        if id(link) in seen:
            continue
        seen.add(id(link))
        inside = (link.__cause__, link.__context__, getattr(link, "reason", None), *link.args)
        waiting += [one for one in inside if isinstance(one, BaseException)]
    return False
