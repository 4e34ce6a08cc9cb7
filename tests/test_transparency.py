"""A wrapped client does and returns what the bare one does, down to types, exceptions and what Python can ask."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import github
import githubkit
import githubkit.exception
import pytest
import slack_sdk
import slack_sdk.errors
import stripe
from slack_sdk.web.async_client import AsyncWebClient

import agentguard
from tests.boxes import Box

# StripeClient has no way to close the connections of its asynchronous calls.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

Do = Callable[[Any], Any]


def bare(service: str, box: Box) -> Any:
    """A plain client for *box*."""
    if service == "PyGithub":
        auth = github.Auth.Token("token-of-the-agent")
        return github.Github(auth=auth, base_url=box.url, seconds_between_requests=None, seconds_between_writes=None)
    if service == "githubkit":
        return githubkit.GitHub("token-of-the-agent", base_url=box.url)
    if service == "stripe":
        return stripe.StripeClient("sk_test_transparent", base_addresses={"api": box.url})
    kind = AsyncWebClient if service == "slack async" else slack_sdk.WebClient
    return kind("xoxb-transparent", base_url=f"{box.url}/api/")


SERVICES = {"PyGithub": "github", "githubkit": "github", "stripe": "stripe", "slack": "slack", "slack async": "slack"}

CALLS: list[tuple[str, str, Do]] = [
    ("PyGithub", "an object", lambda c: c.get_repo("acme/hr")),
    ("PyGithub", "what a created object says", lambda c: c.get_repo("acme/hr").create_issue("Onboard", body="b")),
    (
        "PyGithub",
        "an edit of a returned object",
        lambda c: c.get_repo("acme/hr").create_issue("x").edit(state="closed"),
    ),
    ("PyGithub", "pages", lambda c: [issue.title for issue in c.get_repo("acme/hr").get_issues()]),
    ("PyGithub", "a page by its index", lambda c: c.get_repo("acme/hr").get_labels()[0]),
    ("PyGithub", "a slice", lambda c: list(c.get_repo("acme/hr").get_labels()[:2])),
    ("PyGithub", "a count", lambda c: c.get_repo("acme/hr").get_labels().totalCount),
    ("PyGithub", "a 404", lambda c: c.get_repo("acme/nothing")),
    ("PyGithub", "a 422", lambda c: c.get_repo("acme/hr").create_label("bug", "not a colour")),
    ("PyGithub", "a 404 of an edit", lambda c: c.get_repo("acme/hr", lazy=True).get_issue(99).edit(title="x")),
    ("PyGithub", "the raw way", lambda c: c.requester.requestJsonAndCheck("GET", "/repos/acme/hr")[1]),
    ("PyGithub", "wrong arguments", lambda c: c.get_repo(None)),
    ("githubkit", "a parsed object", lambda c: c.rest.repos.get("acme", "hr").parsed_data),
    ("githubkit", "a created one", lambda c: c.rest.issues.create("acme", "hr", title="Onboard").parsed_data.title),
    ("githubkit", "a 404", lambda c: c.rest.repos.get("acme", "nothing")),
    ("githubkit", "a 422", lambda c: c.rest.issues.create_label("acme", "hr", name="bug", color="not a colour")),
    (
        "githubkit",
        "pages",
        lambda c: [i.title for i in c.rest.paginate(c.rest.issues.list_for_repo, owner="acme", repo="hr")],
    ),
    ("stripe", "a created object", lambda c: c.v1.customers.create(params={"name": "Ashu", "metadata": {"a": "b"}})),
    ("stripe", "nesting", lambda c: c.v1.customers.create(params={"name": "Ashu"}).metadata),
    ("stripe", "a list", lambda c: [p.name for p in listed(c).auto_paging_iter()]),
    ("stripe", "an index", lambda c: listed(c).data[0].name),
    ("stripe", "a missing one", lambda c: c.v1.customers.retrieve("cus_nothing")),
    ("stripe", "a bad request", lambda c: c.v1.customers.create(params={"nonsense": "x"})),
    ("stripe", "a declined card", lambda c: c.v1.charges.create(params={"amount": 1, "currency": "x", "source": "y"})),
    ("stripe", "the raw way", lambda c: c.raw_request("post", "/v1/customers", name="Ashu").data["name"]),
    ("slack", "a message", lambda c: c.chat_postMessage(channel="C0GENERAL", text="hello")),
    ("slack", "pages", lambda c: [m["id"] for page in c.users_list(limit=1) for m in page["members"]]),
    ("slack", "an item", lambda c: c.auth_test()["team_id"]),
    ("slack", "an error", lambda c: c.chat_postMessage(channel="C0NOWHERE", text="hello")),
    ("slack", "an unknown method", lambda c: c.api_call("users.nonsense", http_verb="GET")),
    ("slack", "the raw way", lambda c: c.api_call("chat.postMessage", json={"channel": "C0GENERAL", "text": "x"})),
    ("slack", "wrong arguments", lambda c: c.chat_postMessage(text="no channel")),
]
ASYNC_CALLS: list[tuple[str, str, Do]] = [
    ("slack async", "a message", lambda c: c.chat_postMessage(channel="C0GENERAL", text="hello")),
    ("slack async", "an error", lambda c: c.chat_postMessage(channel="C0NOWHERE", text="hello")),
    ("slack async", "a read", lambda c: c.users_list()),
    ("githubkit", "a created one", lambda c: c.rest.issues.async_create("acme", "hr", title="Onboard")),
    ("githubkit", "a 404", lambda c: c.rest.repos.async_get("acme", "nothing")),
    ("stripe", "a created object", lambda c: c.v1.customers.create_async(params={"name": "Ashu"})),
    ("stripe", "a missing one", lambda c: c.v1.customers.retrieve_async("cus_nothing")),
]


def listed(client: Any) -> Any:
    client.v1.products.create(params={"name": "one"})
    client.v1.products.create(params={"name": "two"})
    return client.v1.products.list(params={"limit": 1})


def outcome(do: Callable[[], Any]) -> tuple[Any, ...]:
    """What a call came to, so that two of them can be compared."""
    try:
        return described(do())
    except Exception as error:  # noqa: BLE001 - whatever it is, both clients have to agree
        return failed(error)


def described(value: Any) -> tuple[Any, ...]:
    return ("returned", type(value).__module__, type(value).__qualname__, still(plain(value)))


def failed(error: BaseException) -> tuple[Any, ...]:
    return ("raised", type(error).__module__, type(error).__qualname__, still(str(error)))


def plain(value: Any) -> Any:
    """The data in what an SDK returned."""
    for attribute in ("raw_data", "data"):
        if isinstance(getattr(type(value), attribute, None), property) or attribute in vars(value_or_self(value)):
            return getattr(value, attribute)
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else str(value)


def value_or_self(value: Any) -> Any:
    return value if hasattr(value, "__dict__") else type(value)


def still(value: Any) -> str:
    """Without what changes from second to second: times, and the random ids of requests."""
    text = json.dumps(value, default=str, sort_keys=True)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?", "TIME", text)
    return re.sub(r"\b1[789]\d{8}(\.\d+)?\b|req_\w+", "TIME", text)


@pytest.fixture
def allowed(ledger: Path) -> agentguard.Session:
    """A session in which everything is agreed to: what is compared is not the asking."""
    return agentguard.session(agent="tester", intent="compare", ledger=ledger, approver=lambda _card: True)


@pytest.mark.parametrize(("service", "what", "do"), CALLS, ids=[f"{s}: {w}" for s, w, _ in CALLS])
def test_a_call_comes_to_the_same(
    service: str, what: str, do: Do, boxes: dict[str, Box], allowed: agentguard.Session
) -> None:
    box = boxes[SERVICES[service]].reset()
    expected = outcome(lambda: do(bare(service, box)))
    box.reset()
    assert outcome(lambda: do(agentguard.wrap(bare(service, box), allowed))) == expected


@pytest.mark.parametrize(("service", "what", "do"), ASYNC_CALLS, ids=[f"{s}: {w}" for s, w, _ in ASYNC_CALLS])
async def test_an_asynchronous_call_comes_to_the_same(
    service: str, what: str, do: Do, boxes: dict[str, Box], allowed: agentguard.Session
) -> None:
    async def aoutcome(client: Any) -> tuple[Any, ...]:
        try:
            return described(await do(client))
        except Exception as error:  # noqa: BLE001 - as above
            return failed(error)

    box = boxes[SERVICES[service]].reset()
    expected = await aoutcome(bare(service, box))
    box.reset()
    assert await aoutcome(agentguard.wrap(bare(service, box), allowed)) == expected


@pytest.mark.parametrize("service", SERVICES)
class TestTheProxy:
    """What Python can ask of a client, it can ask of a wrapped one."""

    def test_has_the_type_of_the_client(self, service: str, boxes: dict[str, Box], allowed: agentguard.Session) -> None:
        client = bare(service, boxes[SERVICES[service]])
        guarded = agentguard.wrap(client, allowed)
        assert isinstance(guarded, type(client))
        assert guarded is not client

    def test_lists_the_same_names(self, service: str, boxes: dict[str, Box], allowed: agentguard.Session) -> None:
        client = bare(service, boxes[SERVICES[service]])
        assert set(dir(client)) <= set(dir(agentguard.wrap(client, allowed)))

    def test_keeps_signatures_and_colours(
        self, service: str, boxes: dict[str, Box], allowed: agentguard.Session
    ) -> None:
        client = bare(service, boxes[SERVICES[service]])
        guarded = agentguard.wrap(client, allowed)
        for name, method in inspect.getmembers(type(client), inspect.isfunction):
            if name.startswith("_"):
                continue
            bound = getattr(guarded, name)
            assert inspect.signature(bound) == inspect.signature(getattr(client, name)), name
            assert inspect.iscoroutinefunction(bound) == inspect.iscoroutinefunction(method), name
            assert bound.__doc__ == method.__doc__

    def test_takes_attributes(self, service: str, boxes: dict[str, Box], allowed: agentguard.Session) -> None:
        client = bare(service, boxes[SERVICES[service]])
        guarded: Any = agentguard.wrap(client, allowed)
        guarded.note = "mine"
        assert guarded.note == "mine"
        assert not hasattr(client, "note")
        del guarded.note
        assert not hasattr(guarded, "note")

    def test_copies_are_guarded(self, service: str, boxes: dict[str, Box], allowed: agentguard.Session) -> None:
        client = bare(service, boxes[SERVICES[service]])
        duplicate = copy.copy(agentguard.wrap(client, allowed))
        assert isinstance(duplicate, type(client))
        assert duplicate._self_guard.session is allowed

    def test_pickling_is_refused_in_words(
        self, service: str, boxes: dict[str, Box], allowed: agentguard.Session
    ) -> None:
        with pytest.raises(TypeError, match="wrap it on the other side"):
            pickle.dumps(agentguard.wrap(bare(service, boxes[SERVICES[service]]), allowed))


def test_with_gives_the_guarded_client_back(boxes: dict[str, Box], allowed: agentguard.Session) -> None:
    box = boxes["github"].reset()
    with agentguard.wrap(bare("githubkit", box), allowed) as client:
        client.rest.issues.create("acme", "hr", title="in a with")
    with agentguard.wrap(bare("PyGithub", box), allowed) as client:
        client.get_repo("acme/hr").create_issue("in a with")
    assert [call.operation for call in allowed.calls] == ["github.issues.create"] * 2


async def test_async_with_gives_the_guarded_client_back(boxes: dict[str, Box], allowed: agentguard.Session) -> None:
    async with agentguard.wrap(bare("githubkit", boxes["github"].reset()), allowed) as client:
        await client.rest.issues.async_create("acme", "hr", title="in a with")
    assert [call.operation for call in allowed.calls] == ["github.issues.create"]


def test_deep_copies_are_guarded(boxes: dict[str, Box], allowed: agentguard.Session) -> None:
    duplicate = copy.deepcopy(agentguard.wrap(bare("slack", boxes["slack"].reset()), allowed))
    duplicate.chat_postMessage(channel="C0GENERAL", text="hello")
    assert [call.operation for call in allowed.calls] == ["slack.chat.postMessage"]


def test_results_are_data_that_json_takes(boxes: dict[str, Box], allowed: agentguard.Session) -> None:
    slack = agentguard.wrap(bare("slack", boxes["slack"].reset()), allowed)
    assert json.loads(json.dumps(slack.chat_postMessage(channel="C0GENERAL", text="hello").data))["ok"]
    charge = agentguard.wrap(bare("stripe", boxes["stripe"].reset()), allowed)
    assert json.loads(json.dumps(charge.v1.customers.create(params={"name": "Ashu"}).to_dict()))["name"] == "Ashu"


def test_the_sdks_own_name_of_a_call_is_on_record(boxes: dict[str, Box], allowed: agentguard.Session) -> None:
    agentguard.wrap(bare("slack", boxes["slack"].reset()), allowed).chat_postMessage(channel="C0GENERAL", text="x")
    repo = agentguard.wrap(bare("PyGithub", boxes["github"].reset()), allowed).get_repo("acme/hr")
    repo.create_issue("x").edit(title="y")
    assert [call.method for call in allowed.calls] == ["chat_postMessage", "Repository.create_issue", "Issue.edit"]


def test_an_error_of_ours_reaches_the_caller_of_an_sdk_that_wraps_exceptions(
    boxes: dict[str, Box], ledger: Path
) -> None:
    with agentguard.session(agent="a", intent="b", ledger=ledger) as session:
        client = agentguard.wrap(bare("githubkit", boxes["github"].reset()), session)
        with pytest.raises(agentguard.ApprovalRequired):
            client.rest.repos.delete("acme", "hr")


def test_the_stripe_module_is_refused_with_what_to_use(allowed: agentguard.Session) -> None:
    with pytest.raises(agentguard.UnknownClient, match="StripeClient"):
        agentguard.wrap(stripe, allowed)
