"""One write is one request, whatever breaks and whatever the SDK would repeat: every SDK times every fault.

Each client has its own repetition of requests switched on as far as that goes, and a kept connection, which is where
HTTP libraries repeat by themselves. The bare client without repetition says what exception a fault is.
"""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from http.client import HTTPException
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

import github
import githubkit
import google_auth_httplib2
import httplib2
import httpx
import notion_client
import pytest
import requests
import stripe
from agentguard_connectors.http import Api, Route, declare
from aiohttp import ClientError
from githubkit.retry import RetryOption
from google.oauth2.credentials import Credentials
from googleapiclient.errors import HttpError
from hubspot import HubSpot
from hubspot.crm.contacts import ApiException
from notion_client.client import RetryOptions
from requests.adapters import HTTPAdapter
from slack_sdk import WebClient, WebhookClient
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry import builtin_async_handlers, builtin_handlers
from slack_sdk.http_retry.builtin_interval_calculators import FixedValueRetryIntervalCalculator
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient
from urllib3.exceptions import HTTPError
from urllib3.util.retry import Retry

import agentguard
from agentguard import CallState, Effect
from agentguard.sandbox.hubspot import TOKEN as HUBSPOT_TOKEN
from agentguard.sandbox.server import FAULTS
from tests.boxes import Box
from tests.github.clients import TOKEN as GITHUB_TOKEN
from tests.github.clients import kit, pygithub
from tests.gmail.world import TOKEN as GMAIL_TOKEN
from tests.gmail.world import service_at
from tests.notion.world import TEAM, title
from tests.slack.cases import BOT, GENERAL

PATIENCE = 0.3
"""Seconds that a client waits for a delayed answer; PyGithub counts whole ones."""
LATE = 1.5
"""Seconds by which such an answer is delayed."""
FOREVER = 10.0
TOLD = {"object": "error", "status": 429, "code": "rate_limited", "message": "Slow down."}
LIMITED = {"status": 429, "headers": {"retry-after": "0"}, "body": TOLD}
BROKEN: list[tuple[str, dict[str, Any]]] = [
    ("drop_before", {}),
    ("drop_after", {}),
    ("truncate", {}),
    ("delay_before", {"seconds": LATE}),
    ("delay_after", {"seconds": LATE}),
    ("status_before", {"status": 502}),
    ("status_after", {"status": 502}),
    ("status_before", LIMITED),
]
BROKEN_IDS = [" ".join(str(part) for part in (mode, details.get("status", "")) if part) for mode, details in BROKEN]

EAGER = Retry(3, allowed_methods=None, status_forcelist=(429, 500, 502, 503), backoff_factor=0, raise_on_status=False)


@dataclass(frozen=True)
class At:
    """Where a client goes, how long it waits for an answer, and whether it repeats requests."""

    url: str
    seconds: Any
    """A number; some SDKs say that it is a whole one."""
    repeats: bool

    @property
    def times(self) -> int:
        """How often to repeat."""
        return 3 if self.repeats else 0


Errors: TypeAlias = tuple[type[BaseException], ...]


@dataclass(frozen=True)
class Sdk:
    """One way to write with one SDK."""

    service: str
    make: Callable[[At], Any]
    act: Callable[[Any, At], Any]
    raises: Errors
    """What it raises where a request goes wrong."""
    lenient: bool = False
    """Whether a bad status is an answer like any other, and no exception."""


@pytest.fixture(scope="module", autouse=True)
def _nothing_lands_later() -> Iterator[None]:
    """Leave the stand-ins alone only when the requests that nobody waited for have taken effect."""
    yield
    time.sleep(LATE)


def stubborn(_error: Exception, count: int) -> RetryOption:
    """Repeat whatever fails."""
    return RetryOption(count < 3, timedelta(microseconds=1))


def pygithub_at(at: At) -> Any:
    often = github.GithubRetry(total=3, backoff_factor=0, secondary_rate_wait=0)
    return pygithub(
        Box("github", at.url), timeout=math.ceil(at.seconds), retry=often if at.repeats else None, lazy=True
    )


def githubkit_at(at: At) -> Any:
    return kit(Box("github", at.url), timeout=at.seconds, auto_retry=stubborn if at.repeats else False)


def stripe_at(at: At) -> Any:
    http = requests_at(at)
    client = stripe.RequestsClient(
        session=http, timeout=at.seconds, async_fallback_client=stripe.HTTPXClient(timeout=at.seconds)
    )
    return stripe.StripeClient(
        "sk_test_123", base_addresses={"api": at.url}, max_network_retries=at.times, http_client=client
    )


def handlers(at: At, kinds: Any, prefix: str = "") -> list[Any]:
    """Every retry handler that slack_sdk has, without its pauses."""
    again = {"max_retry_count": 3, "interval_calculator": FixedValueRetryIntervalCalculator(0.0)}
    broken, failing, limited = (
        getattr(kinds, f"{prefix}{name}ErrorRetryHandler") for name in ("Connection", "Server", "RateLimit")
    )
    return [broken(**again), failing(**again), limited(max_retry_count=3)] if at.repeats else []


def slack_at(at: At, kind: Any, kinds: Any, prefix: str = "") -> Any:
    api = f"{at.url}/api/"
    return kind(BOT, base_url=api, timeout=at.seconds, retry_handlers=handlers(at, kinds, prefix))


def webhook_at(at: At, kind: Any, kinds: Any, prefix: str = "") -> Any:
    address = f"{at.url}/services/T0ACME/B0BOT/treated-as-a-secret"
    return kind(address, timeout=at.seconds, retry_handlers=handlers(at, kinds, prefix))


def gmail_at(at: At) -> Any:
    http = httplib2.Http(timeout=at.seconds)
    return service_at(at.url, http=google_auth_httplib2.AuthorizedHttp(Credentials(token=GMAIL_TOKEN), http))


def gmail_act(service: Any, at: At) -> None:
    request = service.users().labels().create(userId="me", body={"name": next(NAMES)})
    request._sleep = lambda _seconds: None
    request.execute(num_retries=at.times)


def hubspot_at(at: At) -> Any:
    return HubSpot(access_token=HUBSPOT_TOKEN, host=at.url, retry=EAGER if at.repeats else Retry(0, read=False))


def notion_at(at: At, kind: Any) -> Any:
    retry = RetryOptions(3, 1, 1) if at.repeats else False
    return kind(auth="ntn_agent_token", base_url=at.url, timeout_ms=int(at.seconds * 1000), retry=retry)


def httpx_at(at: At, kind: Any, transport: Any) -> Any:
    return kind(base_url=at.url, timeout=at.seconds, headers=AUTHORIZED, transport=transport(retries=at.times))


def requests_at(at: At) -> requests.Session:
    client = requests.Session()
    client.headers.update(AUTHORIZED)
    if at.repeats:
        client.mount("http://", HTTPAdapter(max_retries=EAGER))
    return client


def names() -> Iterator[str]:
    """Names that no two things have."""
    return (f"thing-{number}" for number in count(1))


NAMES = names()
ISSUES = "/repos/acme/hr/issues"
AUTHORIZED = {"authorization": f"Bearer {GITHUB_TOKEN}"}
NOTION_PAGE = {"parent": {"page_id": TEAM}, "properties": {"title": title("New")}}
KIT = (githubkit.exception.GitHubException,)
STRIPE = (stripe.StripeError,)
NOTION = (notion_client.errors.NotionClientErrorBase, httpx.HTTPError)
HTTPX = (httpx.HTTPError,)

SDKS = {
    "PyGithub": Sdk(
        "github",
        pygithub_at,
        lambda c, _at: c.get_repo("acme/hr").create_issue("New"),
        (github.GithubException, requests.RequestException),
    ),
    "githubkit": Sdk("github", githubkit_at, lambda c, _at: c.rest.issues.create("acme", "hr", title="New"), KIT),
    "githubkit async": Sdk(
        "github", githubkit_at, lambda c, _at: c.rest.issues.async_create("acme", "hr", title="New"), KIT
    ),
    "stripe": Sdk("stripe", stripe_at, lambda c, _at: c.v1.customers.create({"name": "New"}), STRIPE),
    "stripe async": Sdk("stripe", stripe_at, lambda c, _at: c.v1.customers.create_async({"name": "New"}), STRIPE),
    "stripe raw_request": Sdk(
        "stripe", stripe_at, lambda c, _at: c.raw_request("post", "/v1/customers", name="New"), STRIPE
    ),
    "slack": Sdk(
        "slack",
        lambda at: slack_at(at, WebClient, builtin_handlers),
        lambda c, _at: c.chat_postMessage(channel=GENERAL, text="New"),
        (SlackApiError, OSError, HTTPException),
    ),
    "slack async": Sdk(
        "slack",
        lambda at: slack_at(at, AsyncWebClient, builtin_async_handlers, "Async"),
        lambda c, _at: c.chat_postMessage(channel=GENERAL, text="New"),
        (SlackApiError, ClientError, TimeoutError),
    ),
    "slack webhook": Sdk(
        "slack",
        lambda at: webhook_at(at, WebhookClient, builtin_handlers),
        lambda c, _at: c.send(text="New"),
        (OSError, HTTPException),
        lenient=True,
    ),
    "slack webhook async": Sdk(
        "slack",
        lambda at: webhook_at(at, AsyncWebhookClient, builtin_async_handlers, "Async"),
        lambda c, _at: c.send(text="New"),
        (ClientError, TimeoutError),
        lenient=True,
    ),
    "google-api-python-client": Sdk("gmail", gmail_at, gmail_act, (HttpError, OSError, HTTPException)),
    "hubspot": Sdk(
        "hubspot",
        hubspot_at,
        lambda c, at: c.crm.contacts.basic_api.create(
            {"properties": {"email": f"{next(NAMES)}@example.com"}}, _request_timeout=at.seconds
        ),
        (ApiException, HTTPError),
    ),
    "notion": Sdk(
        "notion",
        lambda at: notion_at(at, notion_client.Client),
        lambda c, _at: c.pages.create(**NOTION_PAGE),
        NOTION,
    ),
    "notion async": Sdk(
        "notion",
        lambda at: notion_at(at, notion_client.AsyncClient),
        lambda c, _at: c.pages.create(**NOTION_PAGE),
        NOTION,
    ),
    "httpx": Sdk(
        "github",
        lambda at: httpx_at(at, httpx.Client, httpx.HTTPTransport),
        lambda c, _at: c.post(ISSUES, json={"title": "New"}),
        HTTPX,
        lenient=True,
    ),
    "httpx async": Sdk(
        "github",
        lambda at: httpx_at(at, httpx.AsyncClient, httpx.AsyncHTTPTransport),
        lambda c, _at: c.post(ISSUES, json={"title": "New"}),
        HTTPX,
        lenient=True,
    ),
    "requests": Sdk(
        "github",
        requests_at,
        lambda c, at: c.post(f"{at.url}{ISSUES}", json={"title": "New"}, timeout=at.seconds),
        (requests.RequestException,),
        lenient=True,
    ),
}
PLAIN = ("httpx", "httpx async", "requests")
BARE: dict[tuple[str, str, int | None], type[BaseException] | type[None]] = {}
"""What the bare client raised, by SDK and fault."""


async def outcome(sdk: Sdk, at: At, client: Any, arm: Callable[[], None]) -> BaseException | None:
    """Write once well and once with the fault; return what the second write raised."""
    await finished(sdk.act(client, at))
    arm()
    try:
        await finished(sdk.act(client, at))
    except sdk.raises as error:
        return error
    finally:
        await close(client)
    return None


async def finished(result: Any) -> Any:
    """What an SDK returns, awaited where it has to be."""
    return await result if inspect.isawaitable(result) else result


async def close(client: Any) -> None:
    """Let go of a client's connections."""
    if isinstance(client, stripe.StripeClient):
        http: Any = client._requestor._client
        http.close()
        await http.close_async()
    for name in ("aclose", "close"):
        if hasattr(client, name):
            await finished(getattr(client, name)())
            return


def notes_of(error: BaseException) -> list[str]:
    """The notes on an exception and on those that it was made of."""
    found: list[str] = []
    one: BaseException | None = error
    while one is not None:
        found += getattr(one, "__notes__", [])
        one = one.__cause__ or one.__context__
    return found


def test_every_fault_of_the_stand_ins_is_tried() -> None:
    assert {mode for mode, _details in BROKEN} == set(FAULTS)


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # stripe's own call of httpx
@pytest.mark.parametrize("name", SDKS)
async def test_a_bare_client_repeats_a_write_where_it_knows_how_to(boxes: dict[str, Box], name: str) -> None:
    sdk, sent = SDKS[name], []
    faults: list[tuple[str, dict[str, Any]]] = [("drop_after", {}), ("status_before", LIMITED)]
    for mode, details in faults:
        box = boxes[sdk.service].reset()
        at = At(box.url, FOREVER, repeats=True)
        await outcome(sdk, at, sdk.make(at), partial(box.fault, mode, times=9, **details))
        sent.append(len(box.requests("POST")) - 1)
    assert (max(sent) > 1) == (name not in ("httpx", "httpx async"))


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # likewise
@pytest.mark.parametrize(("mode", "details"), BROKEN, ids=BROKEN_IDS)
@pytest.mark.parametrize("name", SDKS)
async def test_a_write_is_one_request_whatever_breaks(
    boxes: dict[str, Box], ledger: Path, name: str, mode: str, details: dict[str, Any]
) -> None:
    sdk, box = SDKS[name], boxes[SDKS[name].service].reset()
    seconds = PATIENCE if mode.startswith("delay") else FOREVER
    declared = declare(Api("issues", (Route(f"POST {ISSUES}", effect=Effect.IRREVERSIBLE),), base=box.url))
    session = agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: True)

    arm = partial(box.fault, mode, times=9, **details)
    eager = At(box.url, seconds, repeats=True)
    guarded = agentguard.wrap(sdk.make(eager), session, declared if name in PLAIN else None)
    raised = await outcome(sdk, eager, guarded, arm)
    assert len(box.requests("POST")) == 2, "one for the write that went well, and one for the other"
    refused = details.get("status") == 429
    expected = CallState.NOT_APPLIED if refused else CallState.IN_DOUBT
    assert [call.state for call in session.calls] == [CallState.COMMITTED, expected]

    kind = (name, mode.partition("_")[0], details.get("status"))  # the same before and after the effect
    if kind not in BARE:
        box.reset()
        modest = At(box.url, seconds, repeats=False)
        BARE[kind] = type(await outcome(sdk, modest, sdk.make(modest), arm))
    assert type(raised) is BARE[kind]
    answered = "status" in details
    assert (raised is None) == (answered and sdk.lenient)
    if raised is not None:
        told = "has done nothing (call 2" if refused else "is not known whether"
        assert [told in note for note in notes_of(raised)] == [True]
