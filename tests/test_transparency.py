"""A wrapped client does and returns what the bare one does, down to types, exceptions and what Python can ask."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import json
import pickle
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import github
import githubkit
import githubkit.exception
import pytest
import slack_sdk
import slack_sdk.errors
import stripe
from slack_sdk.web.async_client import AsyncWebClient

import agentguard
from agentguard import scopes
from agentguard.wire.http import path_of
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
    """Without what changes from second to second, times and the random ids of requests, and without our marks."""
    text = json.dumps(value, default=str, sort_keys=True)
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)?", "TIME", text)
    text = re.sub(r"(\\n\\n)?<!-- agentguard:ag-[0-9a-f]+ -->", "", text)  # the marks, which are said in the documents
    text = re.sub(r'"metadata": \{"event_payload": \{"mark": "ag-\w+"\}, "event_type": "agentguard"\}, ', "", text)
    return re.sub(r"\b1[789]\d{8}(\.\d+)?\b|req_\w+", "TIME", text)


@pytest.fixture(scope="module", autouse=True)
def _swept() -> Iterator[None]:
    """Let the connections that these clients leave open be found here, where they are expected."""
    yield
    gc.collect()


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
            of_the_twin = getattr(guarded.__wrapped__, name)
            if not hasattr(of_the_twin, "__wrapped__"):  # of a decorated one it says what the decorator takes
                assert inspect.getfullargspec(bound) == inspect.getfullargspec(of_the_twin), name
            assert inspect.ismethod(bound) == inspect.ismethod(of_the_twin), name
            assert (bound.__name__, bound.__module__) == (of_the_twin.__name__, of_the_twin.__module__)
            if inspect.ismethod(bound):
                assert bound.__self__ is guarded.__wrapped__
                assert getattr(guarded, name) is bound
        assert (guarded.__doc__, guarded.__module__) == (client.__doc__, client.__module__)

    def test_takes_attributes(self, service: str, boxes: dict[str, Box], allowed: agentguard.Session) -> None:
        client = bare(service, boxes[SERVICES[service]])
        guarded: Any = agentguard.wrap(client, allowed)
        guarded.note = "mine"
        assert guarded.note == "mine"
        assert not hasattr(client, "note")
        del guarded.note
        assert not hasattr(guarded, "note")
        guarded.__doc__ = "My own."
        assert guarded.__doc__ == guarded.__wrapped__.__doc__ == "My own."

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


# What the proxy keeps of a client, and what changes under it


@pytest.fixture
def slack(boxes: dict[str, Box], allowed: agentguard.Session) -> Any:
    """A guarded client, of which the methods that the tests replace were called before."""
    guarded = agentguard.wrap(bare("slack", boxes["slack"].reset()), allowed)
    guarded.users_list()
    guarded.chat_postMessage(channel="C0GENERAL", text="first")
    return guarded


def texts(box: Box) -> list[str]:
    """What the messages in the channel say, in their order."""
    client = bare("slack", box)
    return [m["text"] for m in reversed(client.conversations_history(channel="C0GENERAL")["messages"])]


def test_a_method_replaced_on_the_client_is_called_and_may_call_what_was_there_before(
    slack: Any, boxes: dict[str, Box], allowed: agentguard.Session
) -> None:
    before = slack.chat_postMessage
    slack.chat_postMessage = lambda **given: before(**{**given, "text": f"[agent] {given['text']}"})
    slack.chat_postMessage(channel="C0GENERAL", text="second")
    del slack.chat_postMessage
    slack.chat_postMessage(channel="C0GENERAL", text="third")
    before(channel="C0GENERAL", text="fourth")
    assert texts(boxes["slack"])[-4:] == ["first", "[agent] second", "third", "fourth"]
    assert [call.method for call in allowed.calls] == ["chat_postMessage"] * 4


async def test_a_coroutine_method_replaced_on_the_client_may_call_what_was_there_before(
    boxes: dict[str, Box], allowed: agentguard.Session
) -> None:
    slack = agentguard.wrap(bare("slack async", boxes["slack"].reset()), allowed)
    before = slack.chat_postMessage

    async def louder(**given: Any) -> Any:
        return await before(**{**given, "text": given["text"].upper()})

    slack.chat_postMessage = louder
    await slack.chat_postMessage(channel="C0GENERAL", text="one")
    del slack.chat_postMessage
    await slack.chat_postMessage(channel="C0GENERAL", text="two")
    assert texts(boxes["slack"])[-2:] == ["ONE", "two"]


def test_a_method_replaced_on_the_twin_is_called(slack: Any) -> None:
    users = slack.users_list
    vars(slack)["users_list"] = lambda **given: {"replaced": given}
    assert slack.users_list(limit=3) == users(limit=3) == {"replaced": {"limit": 3}}
    del vars(slack)["users_list"]
    assert slack.users_list()["ok"]


def test_a_method_replaced_on_the_class_is_called(slack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(slack_sdk.WebClient, "users_list", lambda self, **given: (self.token, given))
        assert slack.users_list(limit=3) == ("xoxb-transparent", {"limit": 3})
    assert slack.users_list()["ok"]


def test_another_client_put_under_the_proxy_is_the_one_that_is_used(
    slack: Any, boxes: dict[str, Box], allowed: agentguard.Session
) -> None:
    users = slack.users_list
    other = slack_sdk.WebClient("xoxb-other", base_url=slack.base_url)
    slack.__wrapped__ = other
    assert slack.users_list.__self__ is other
    assert users.__self__ is not other
    assert slack.token == "xoxb-other"


def test_attributes_and_properties_are_looked_up_each_time(slack: Any, boxes: dict[str, Box]) -> None:
    slack.timeout = 7
    assert slack.timeout == vars(slack)["timeout"] == 7
    vars(slack)["timeout"] = 8
    assert slack.timeout == 8


def test_a_property_that_changes_is_seen_to(boxes: dict[str, Box], allowed: agentguard.Session) -> None:
    gh = agentguard.wrap(bare("PyGithub", boxes["github"].reset()), allowed)
    assert gh.FIX_REPO_GET_GIT_REF is True
    gh.FIX_REPO_GET_GIT_REF = False
    assert gh.FIX_REPO_GET_GIT_REF is gh.requester.FIX_REPO_GET_GIT_REF is False


def test_a_property_that_raises_is_asked_once(boxes: dict[str, Box], allowed: agentguard.Session) -> None:
    class Counting(slack_sdk.WebClient):
        asked = 0

        @property
        def channel(self) -> str:
            self.asked += 1
            raise AttributeError("no channel yet")

    slack = agentguard.wrap(Counting("xoxb-transparent", base_url=f"{boxes['slack'].url}/api/"), allowed)
    with pytest.raises(AttributeError, match="no channel yet"):
        slack.channel  # noqa: B018 - to look is what is tested
    assert slack.asked == 1


def test_threads_that_look_for_the_first_time_at_once_get_the_same_method(
    boxes: dict[str, Box], allowed: agentguard.Session
) -> None:
    slack = agentguard.wrap(bare("slack", boxes["slack"].reset()), allowed)
    start, found = threading.Barrier(8), []

    def look() -> None:
        start.wait()
        found.append(slack.users_list)

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(method is found[0] for method in found)


# Errors of ours, past clients that keep them to themselves


class Careless(slack_sdk.WebClient):
    """A program's own client, which does not let errors out."""

    def quietly(self, text: str) -> Any:
        try:
            return self.chat_postMessage(channel="C0GENERAL", text=text)
        except Exception:  # noqa: BLE001 - it is what is careless
            return None

    def differently(self, text: str) -> Any:
        try:
            return self.chat_postMessage(channel="C0GENERAL", text=text)
        except Exception:  # noqa: BLE001 - likewise
            raise RuntimeError("no message") from None

    def later(self, text: str) -> Any:
        """Not a coroutine function, and returns a coroutine."""

        async def post() -> Any:
            return self.quietly(text)

        return post()


class CarelessAsync(AsyncWebClient):
    """The same for asynchronous programs."""

    async def quietly(self, text: str) -> Any:
        try:
            return await self.chat_postMessage(channel="C0GENERAL", text=text)
        except Exception:  # noqa: BLE001 - likewise
            return None

    async def differently(self, text: str) -> Any:
        try:
            return await self.chat_postMessage(channel="C0GENERAL", text=text)
        except Exception:  # noqa: BLE001 - likewise
            raise RuntimeError("no message") from None

    async def in_a_task(self, text: str) -> Any:
        return await asyncio.create_task(self.chat_postMessage(channel="C0GENERAL", text=text))

    async def archive_quietly(self, channel: str) -> Any:
        try:
            return await self.conversations_archive(channel=channel)
        except Exception:  # noqa: BLE001 - likewise
            return None


@pytest.fixture
def over(boxes: dict[str, Box], ledger: Path) -> tuple[Any, Any]:
    """Two guarded clients of a session that is over and takes no more calls."""
    session = agentguard.session(agent="a", intent="b", ledger=ledger)
    url = f"{boxes['slack'].reset().url}/api/"
    clients = (
        session.wrap(Careless("xoxb-transparent", base_url=url)),
        session.wrap(CarelessAsync("xoxb-transparent", base_url=url)),
    )
    session.complete()
    return clients


def test_an_error_of_ours_reaches_the_caller_past_a_client_that_drops_it(over: tuple[Any, Any]) -> None:
    slack, _ = over
    for _again in range(2):
        with pytest.raises(agentguard.SessionClosed):
            slack.quietly("x")
        with pytest.raises(agentguard.SessionClosed):
            slack.differently("x")
        assert slack.users_list()["ok"]
    assert scopes.scopes == {}


async def test_an_error_of_ours_reaches_the_caller_past_an_asynchronous_client(over: tuple[Any, Any]) -> None:
    slack, asynchronous = over
    with pytest.raises(agentguard.SessionClosed):
        await asynchronous.quietly("x")
    with pytest.raises(agentguard.SessionClosed):
        await asynchronous.differently("x")
    with pytest.raises(agentguard.SessionClosed):
        await slack.later("x")
    assert (await asynchronous.users_list())["ok"]


def test_the_error_of_one_thread_is_not_that_of_another(over: tuple[Any, Any]) -> None:
    slack, _ = over
    start, came_to = threading.Barrier(6), []

    def work(write: bool) -> None:
        start.wait()
        for _ in range(15):
            try:
                came_to.append((write, "returned", slack.quietly("x") if write else slack.users_list()["ok"]))
            except agentguard.SessionClosed:
                came_to.append((write, "raised", None))

    threads = [threading.Thread(target=work, args=(n % 2 == 0,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(came_to) == {(True, "raised", None), (False, "returned", True)}
    assert len(came_to) == 6 * 15
    assert scopes.scopes == {}


async def test_what_is_known_of_a_lost_answer_stands_on_the_exception_of_the_sdk(
    boxes: dict[str, Box], allowed: agentguard.Session
) -> None:
    box = boxes["slack"].reset()
    slack, asynchronous = (agentguard.wrap(bare(kind, box), allowed) for kind in ("slack", "slack async"))
    box.fault("status_after", path="/api/chat.postMessage", times=2, status=503)
    with pytest.raises(slack_sdk.errors.SlackApiError) as lost:
        slack.chat_postMessage(channel="C0GENERAL", text="one")
    with pytest.raises(slack_sdk.errors.SlackApiError) as lost_too:
        await asynchronous.chat_postMessage(channel="C0GENERAL", text="two")
    for raised, number in ((lost, 1), (lost_too, 2)):
        assert f"call {number} of session {allowed.id}" in "".join(raised.value.__notes__)
    with pytest.raises(slack_sdk.errors.SlackApiError) as read:
        slack.users_info(user="U0NOBODY")
    assert not hasattr(read.value, "__notes__")
    assert scopes.scopes == {}


async def test_a_call_that_goes_on_in_another_task_keeps_its_name(
    boxes: dict[str, Box], allowed: agentguard.Session
) -> None:
    slack = allowed.wrap(CarelessAsync("xoxb-transparent", base_url=f"{boxes['slack'].reset().url}/api/"))
    assert (await slack.in_a_task("x"))["ok"]
    assert [call.method for call in allowed.calls] == ["in_a_task"]


async def test_a_call_inside_of_a_call_has_its_own_name(boxes: dict[str, Box], ledger: Path) -> None:
    """The approver posts with one client while a call of another is under way."""
    url = f"{boxes['slack'].reset().url}/api/"
    inner = agentguard.session(agent="asker", intent="ask in a channel", ledger=ledger)
    asking = inner.wrap(slack_sdk.WebClient("xoxb-asker", base_url=url))

    def ask(card: agentguard.Card) -> bool:
        asking.chat_postMessage(channel="C0GENERAL", text=card.operation)
        asking.users_list()
        return True

    outer = agentguard.session(agent="worker", intent="tidy up", ledger=ledger, approver=ask)
    outer.wrap(slack_sdk.WebClient("xoxb-worker", base_url=url)).conversations_archive(channel="C0RANDOM")
    await outer.wrap(AsyncWebClient("xoxb-worker", base_url=url)).conversations_archive(channel="C0SECRET")
    assert [call.method for call in outer.calls] == ["conversations_archive"] * 2
    assert [call.method for call in inner.calls] == ["chat_postMessage"] * 2


async def test_a_call_inside_of_a_call_takes_no_error_from_it(boxes: dict[str, Box], ledger: Path) -> None:
    """The approver looks something up with a synchronous client while an asynchronous call is under way."""
    url = f"{boxes['slack'].reset().url}/api/"

    def ask(card: agentguard.Card) -> bool:
        assert asking.users_list()["ok"]
        return False

    session = agentguard.session(agent="worker", intent="tidy up", ledger=ledger, approver=ask)
    asking = session.wrap(slack_sdk.WebClient("xoxb-asker", base_url=url))
    with pytest.raises(agentguard.ApprovalDenied):
        await session.wrap(CarelessAsync("xoxb-worker", base_url=url)).archive_quietly("C0SECRET")


@pytest.mark.parametrize(
    "url",
    [
        "https://api.github.com/repos/acme/hr?x=/y#/z",
        "https://api.github.com",
        "https://api.github.com?x=/y",
        "https://api.github.com#/z",
        "https://user:pass@api.github.com:8443/a//b/;c=1/",
        "http://127.0.0.1:8080/a%2Fb?c",
        "http://[::1]:8080/a?b=[c]",
        "HTTPS://API.GITHUB.COM/a",
        "https://api.github.com/a\tb\nc",
        " https://api.github.com/a",
        "https://bücher.example/ü?ß",
        "mailto:a@b.example",
        "/a/b?c",
        "a/b",
        "",
    ],
)
def test_the_path_that_decides_on_a_read_is_the_one_that_python_sees(url: str) -> None:
    assert path_of(url) == urlsplit(url).path
