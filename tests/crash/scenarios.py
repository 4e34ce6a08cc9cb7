"""What agents do in the crash tests: a few calls each, through the real SDKs, and what may remain of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import agentguard
from tests.core.notes import notes
from tests.crash.oracle import Residue

GENERAL = "C0GENERAL"


@dataclass
class World:
    """What a scenario works with: guarded clients by service, the session, and what was prepared."""

    session: agentguard.Session
    clients: Mapping[str, Any]
    known: Mapping[str, Any]

    def __getitem__(self, service: str) -> Any:
        return self.clients[service]


@dataclass(frozen=True)
class Scenario:
    """One piece of work, as data."""

    name: str
    services: tuple[str, ...]
    act: Callable[[World], object]
    residue: Residue = field(default_factory=dict)
    """What an undo that is reported as fine may leave behind in the snapshots, by `service.path`."""
    prepare: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda _clients: {}
    """Runs before, with the plain clients."""
    quick: bool = False
    """Whether `make test` runs it; `make crash` runs all."""
    takes_back: bool = False
    """Whether *act* itself rolls something back."""
    conflicts: str = ""
    """Why something is in conflict although nobody else was there."""
    drift: Mapping[str, Any] = field(default_factory=dict)
    """What somebody else changes before the rollback: seeds by service."""


def client_of(service: str, url: str) -> Any:
    """A plain client, with the retries that its SDK has by default."""
    if service == "notes":
        import httpx

        return httpx.Client(
            base_url=f"{url}/v1/", verify=False
        )  # saves the loading of certificates, of which it uses none
    if service == "github":
        import github

        pauses: dict[str, Any] = {"seconds_between_requests": None, "seconds_between_writes": None}
        return github.Github(auth=github.Auth.Token("crash-token"), base_url=url, **pauses)
    if service == "stripe":
        import stripe

        return stripe.StripeClient("sk_test_crash", base_addresses={"api": url})
    if service == "slack":
        import slack_sdk

        return slack_sdk.WebClient("xoxb-crash", base_url=f"{url}/api/")
    from slack_sdk.web.async_client import AsyncWebClient

    assert service == "slack_async"
    return AsyncWebClient("xoxb-crash", base_url=f"{url}/api/")


def connector_of(service: str) -> Any:
    """The connector of a service: its name, or the tests' own."""
    return notes if service == "notes" else service.removesuffix("_async")


def box_of(service: str) -> str:
    """The stand-in that a client goes to."""
    return service.removesuffix("_async")


# Notes


def write_edit_delete(world: World) -> None:
    api = world["notes"]
    made = api.post("notes", json={"title": "agenda", "body": "first"}).json()
    api.patch(f"notes/{made['id']}", json={"body": "second"})
    api.patch("notes/1", json={"body": "changed"})
    api.delete("notes/2")


def two_notes(clients: Mapping[str, Any]) -> Mapping[str, Any]:
    for title in ("one", "two"):
        clients["notes"].post("notes", json={"title": title, "body": "as it was"})
    return {}


def edit_edit_delete(world: World) -> None:
    api = world["notes"]
    for body in ("second", "third"):
        api.patch("notes/1", json={"body": body})
    api.delete("notes/1")


def made_and_deleted(world: World) -> None:
    api = world["notes"]
    made = api.post("notes", json={"title": "short-lived"}).json()
    api.patch(f"notes/{made['id']}", json={"body": "x"})
    api.delete(f"notes/{made['id']}")


def purge_in_the_middle(world: World) -> None:
    api = world["notes"]
    api.patch("notes/1", json={"body": "changed"})
    api.post("purge")
    api.post("notes", json={"title": "after"})


def with_a_savepoint(world: World) -> None:
    api = world["notes"]
    api.post("notes", json={"title": "kept"})
    world.session.savepoint("half way")
    api.patch("notes/1", json={"body": "changed"})
    api.post("notes", json={"title": "tried"})
    world.session.rollback(to="half way")
    api.patch("notes/2", json={"body": "changed instead"})


# GitHub


def issues(world: World) -> None:
    repo = world["github"].get_repo("acme/hr")
    issue = repo.create_issue("Onboard", "Today")
    issue.add_to_labels("bug")
    issue.create_comment("Hello")
    repo.get_issue(1).edit(title="Renamed")


def files(world: World) -> None:
    repo = world["github"].get_repo("acme/hr")
    made = repo.create_file("people/ada.md", "Add Ada", "# Ada\n")
    repo.update_file("people/ada.md", "Change Ada", "# Ada L.\n", made["content"].sha)
    repo.create_label("crash", "abcdef")
    repo.create_variable("PLACE", "Bonn")


# Stripe


def customers(world: World) -> None:
    api = world["stripe"].v1
    made = api.customers.create(params={"name": "Ada"})
    api.customers.update(made.id, params={"name": "Ada L.", "metadata": {"plan": "b"}})
    api.customers.update(world.known["customer"], params={"name": "Bo B."})
    product = api.products.create(params={"name": "Seat"})
    api.products.update(product.id, params={"name": "Chair"})


def one_customer(clients: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"customer": clients["stripe"].v1.customers.create(params={"name": "Bo"}).id}


def repeated_under_its_key(world: World) -> None:
    import stripe

    for _attempt in range(2):
        with suppress(stripe.APIConnectionError):
            world["stripe"].v1.customers.create(params={"name": "Ada"}, options={"idempotency_key": "ada-once"})
    world["stripe"].v1.coupons.create(params={"id": "SPRING", "percent_off": 10, "duration": "once"})


# Slack


def messages(world: World) -> None:
    api, there = world["slack"], world.known["ts"]
    ts = api.chat_postMessage(channel=GENERAL, text="Hello")["ts"]
    api.reactions_add(channel=GENERAL, timestamp=ts, name="eyes")
    api.chat_update(channel=GENERAL, ts=there, text="changed")
    api.pins_add(channel=GENERAL, timestamp=there)


def own_message(world: World) -> None:
    api = world["slack"]
    ts = api.chat_postMessage(channel=GENERAL, text="Hello")["ts"]
    api.chat_update(channel=GENERAL, ts=ts, text="Hello all")


def channels(world: World) -> None:
    api = world["slack"]
    api.conversations_setTopic(channel=GENERAL, topic="Crash")
    made = api.conversations_create(name="plans")["channel"]["id"]
    api.conversations_setPurpose(channel=made, purpose="Plans")
    api.chat_delete(channel=GENERAL, ts=world.known["ts"])


def one_message(clients: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"ts": clients["slack"].chat_postMessage(channel=GENERAL, text="as it was")["ts"]}


def gathered(world: World) -> None:
    async def work() -> None:
        api = world["slack_async"]
        ts = (await api.chat_postMessage(channel=GENERAL, text="Hello"))["ts"]
        await api.chat_update(channel=GENERAL, ts=ts, text="Hello all")
        await api.reactions_add(channel=GENERAL, timestamp=ts, name="eyes")

    asyncio.run(work())


# Several


def across(world: World) -> None:
    issue = world["github"].get_repo("acme/hr").create_issue("Onboard Ada", "Today")
    ts = world["slack"].chat_postMessage(channel=GENERAL, text=f"See #{issue.number}")["ts"]
    customer = world["stripe"].v1.customers.create(params={"name": "Ada"})
    world["notes"].post("notes", json={"title": f"{issue.number} {customer.id}"})
    issue.create_comment(f"billed as {customer.id}")
    world["slack"].chat_update(channel=GENERAL, ts=ts, text="Done")


def in_threads(world: World) -> None:
    def write_notes() -> None:
        for n in range(2):
            made = world["notes"].post("notes", json={"title": f"note {n}"}).json()
            world["notes"].patch(f"notes/{made['id']}", json={"body": "more"})

    def write_messages() -> None:
        for n in range(2):
            world["slack"].chat_postMessage(channel=GENERAL, text=f"message {n}")

    threads = [threading.Thread(target=work) for work in (write_notes, write_messages)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _any(value: Any) -> bool:
    return True


ISSUES: Residue = {
    r"github\.(repos\.acme/hr\.)?(events|updated_at|last_id)": _any,
    r"github\.repos\.acme/hr\.issues\.2": lambda issue: issue["state"] == "closed",
}
FILES: Residue = {r"github\.repos\.acme/hr\.(refs\.refs/heads/main|commits|trees|blobs|objects|pushed_at).*": _any}
CUSTOMERS: Residue = {
    r"stripe\.customers\.cus_\d+": lambda customer: customer["deleted"],
    r"stripe\.products\.prod_\d+": lambda product: not product["active"],
    r"stripe\.events.*": _any,
}
EDITED: Residue = {
    r"slack\.channels\.\w+\.messages\.[\d.]+\.edited": _any,
    r"slack\.channels\.\w+\.(topic|purpose)\.(creator|last_set)": _any,
    r"slack\.channels\.\w+\.messages\.[\d.]+": lambda message: bool(message) and "subtype" in message,
}
REPOSTED: Residue = {
    **EDITED,
    r"slack\.channels\.C0GENERAL\.messages\.[\d.]+": lambda message: message is None or message["text"] == "as it was",
    r"slack\.channels\.C\d{8}": lambda channel: channel["is_archived"],
}
PURGED = "what was purged cannot be taken back, and what was done to it before neither"
NEW_ID = "what was deleted comes back under a new id, and what was done to it before knows the old one"
NEXT: Residue = {r"notes\.next": _any}
NEW_NOTE: Residue = {**NEXT, r"notes\.notes\.\d+": lambda note: note is None or note["body"] == "as it was"}

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("notes", ("notes",), write_edit_delete, NEW_NOTE, two_notes, quick=True),
        Scenario("edit_edit_delete", ("notes",), edit_edit_delete, NEW_NOTE, two_notes, conflicts=NEW_ID),
        Scenario("made_and_deleted", ("notes",), made_and_deleted, NEXT),
        Scenario("irreversible", ("notes",), purge_in_the_middle, NEXT, two_notes, conflicts=PURGED),
        Scenario("savepoint", ("notes",), with_a_savepoint, NEXT, two_notes, takes_back=True),
        Scenario("issues", ("github",), issues, ISSUES, quick=True),
        Scenario("files", ("github",), files, {**ISSUES, **FILES}),
        Scenario("customers", ("stripe",), customers, CUSTOMERS, one_customer),
        Scenario("keyed", ("stripe",), repeated_under_its_key, CUSTOMERS, quick=True),
        Scenario("messages", ("slack",), messages, EDITED, one_message, quick=True),
        Scenario("own_message", ("slack",), own_message, EDITED),
        Scenario("channels", ("slack",), channels, REPOSTED, one_message),
        Scenario("slack_async", ("slack_async",), gathered, EDITED),
        Scenario(
            "across",
            ("github", "slack", "stripe", "notes"),
            across,
            {**ISSUES, **CUSTOMERS, **NEXT, **EDITED},
        ),
        Scenario("threads", ("notes", "slack"), in_threads, {**NEXT, **EDITED}),
        Scenario(
            "drift",
            ("notes",),
            write_edit_delete,
            NEW_NOTE,
            two_notes,
            drift={"notes": {"notes": {"1": {"id": 1, "title": "one", "body": "somebody else's"}}}},
        ),
    )
}
