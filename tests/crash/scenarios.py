"""What agents do in the crash tests: a few calls each, through the real SDKs, and what may remain of them."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import agentguard
from agentguard.testing.crash.stage import Residue, Scenario, Stage, World, of_the_sandbox
from agentguard.testing.stand_ins import Box
from tests.crash.actor import NEEDED

GENERAL = "C0GENERAL"
PATIENCE = "CRASH_CLIENT_TIMEOUT"
"""Seconds after which clients give up that wait for an answer, in the environment; by default as their SDKs do."""


def client_of(service: str, url: str) -> Any:
    """A plain client, with the retries that its SDK has by default."""
    waits = float(os.environ[PATIENCE]) if PATIENCE in os.environ else None
    whole: dict[str, Any] = {} if waits is None else {"timeout": int(waits) or 1}
    if waits is not None:
        socket.setdefaulttimeout(waits)  # for httplib2
    if service == "notes":
        import httpx

        # Without `verify` it saves the loading of certificates, of which it uses none.
        return httpx.Client(base_url=f"{url}/v1/", verify=False, timeout=waits or 5)
    if service == "github":
        import github

        pauses: dict[str, Any] = {"seconds_between_requests": None, "seconds_between_writes": None}
        return github.Github(auth=github.Auth.Token("crash-token"), base_url=url, **pauses, **whole)
    if service == "stripe":
        import stripe

        http = None if waits is None else stripe.RequestsClient(timeout=waits)
        return stripe.StripeClient("sk_test_crash", base_addresses={"api": url}, http_client=http)
    if service == "slack":
        import slack_sdk

        return slack_sdk.WebClient("xoxb-crash", base_url=f"{url}/api/", **whole)
    if service == "hubspot":
        from hubspot import HubSpot

        from agentguard.sandbox.hubspot import TOKEN

        factory = {} if waits is None else {"api_factory": _impatient(waits)}
        return HubSpot(access_token=TOKEN, host=url, base_url=url, **factory)
    if service == "notion":
        import notion_client

        return notion_client.Client(auth="ntn_crash", base_url=url, timeout_ms=int((waits or 60) * 1000))
    if service == "gmail":
        from tests.gmail.world import service_at

        return service_at(url)
    from slack_sdk.web.async_client import AsyncWebClient

    assert service == "slack_async"
    return AsyncWebClient("xoxb-crash", base_url=f"{url}/api/", **whole)


def _impatient(waits: float) -> Callable[..., Any]:
    """HubSpot's API objects, which wait as long as each call says, and else for ever."""
    from hubspot.discovery.discovery_base import DiscoveryBase  # type: ignore[import-untyped]
    from urllib3 import PoolManager

    class Manager(PoolManager):
        def urlopen(self, method: str, url: str, redirect: bool = True, **settings: Any) -> Any:  # type: ignore[override]
            return super().urlopen(method, url, redirect=redirect, **{**settings, "timeout": waits})

    def make(package: Any, name: str, config: Any) -> Any:
        api = DiscoveryBase._default_api_factory(package, name, config)
        api.api_client.rest_client.pool_manager.__class__ = Manager
        return api

    return make


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


# HubSpot


def one_contact(clients: Mapping[str, Any]) -> Mapping[str, Any]:
    api = clients["hubspot"].crm.contacts.basic_api
    made = api.create({"properties": {"email": "bo@acme.example", "jobtitle": "as it was"}})
    return {"contact": made.id}


def records(world: World) -> None:
    contacts = world["hubspot"].crm.contacts
    contacts.basic_api.update(world.known["contact"], {"properties": {"jobtitle": "Engineer"}})
    made = contacts.basic_api.create({"properties": {"email": "ada@acme.example"}})
    contacts.basic_api.update(made.id, {"properties": {"jobtitle": "Countess"}})


def batch(world: World) -> None:
    batches = world["hubspot"].crm.contacts.batch_api
    batches.update({"inputs": [{"id": world.known["contact"], "properties": {"jobtitle": "Engineer"}}]})
    emails = [{"properties": {"email": f"{name}@acme.example"}} for name in ("ada", "eve")]
    batches.create({"inputs": emails})


# Notion


def pages(world: World) -> None:
    from tests.notion.world import HANDBOOK, title

    api = world["notion"]
    made = api.pages.create(parent={"page_id": HANDBOOK}, properties={"title": title("Plans")})
    api.pages.update(made["id"], icon={"type": "emoji", "emoji": "🗒️"})
    api.pages.update(HANDBOOK, icon={"type": "emoji", "emoji": "📕"})


# Gmail


def a_mailbox(clients: Mapping[str, Any]) -> Mapping[str, Any]:
    from tests.gmail.world import put

    return {"message": put(clients["gmail"], "INBOX", "UNREAD")}


def mails(world: World) -> None:
    from tests.gmail.world import mail

    messages = world["gmail"].users().messages()
    labels = {"addLabelIds": ["STARRED"], "removeLabelIds": ["UNREAD"]}
    messages.modify(userId="me", id=world.known["message"], body=labels).execute()
    messages.send(userId="me", body={"raw": mail("Welcome")}).execute()
    messages.trash(userId="me", id=world.known["message"]).execute()


# Plain functions

_plain: dict[str, Any] = {}


def _write(title: str) -> dict[str, Any]:
    made: dict[str, Any] = _plain["notes"].post("notes", json={"title": title}).raise_for_status().json()
    return made


def _look(title: str) -> Any:
    return next((note for note in _plain["notes"].get("notes").json() if note["title"] == title), None)


def _remove(note: int) -> None:
    _plain["notes"].delete(f"notes/{note}").raise_for_status()


write = agentguard.action(
    "crash.write", undo=_remove, undo_arguments=lambda result, **_given: {"note": result["id"]}, look=_look
)(_write)


def functions(world: World) -> None:
    for title in ("first", "second"):
        write(title=title)
    world["notes"].patch("notes/1", json={"body": "changed"})


def plain_notes(clients: Mapping[str, Any]) -> Mapping[str, Any]:
    return two_notes(clients)


# Started again


def started_again(world: World) -> None:
    """The same work, whether it is done for the first time or not."""
    api = world["notes"]
    made = api.post("notes", json={"title": "agenda", "body": "first"}).json()
    world.session.checkpoint("made", {"id": made["id"]})
    api.patch(f"notes/{made['id']}", json={"body": "second"})
    for body in ("equal", "other", "equal"):
        api.patch("notes/1", json={"body": body})
    with world.session.once("bill"):
        api.patch("notes/1", json={"body": "billed"})
    api.delete("notes/2")


# Gated


def gated(world: World) -> None:
    """One call is refused, one is held until the end, one is read back, one asks."""
    api = world["notes"]
    with suppress(agentguard.Refused):
        api.post("notes", json={"title": "no"})
    api.post("notes", json={"title": "held"})
    api.patch("notes/1", json={"body": "changed"})
    api.delete("notes/2")


def a_policy() -> Mapping[str, Any]:
    from agentguard.policy import Condition, Policy, Rule, Verdict

    def titled(title: str) -> Condition:
        return Condition(argument="title", equals=title)

    rules = [
        Rule(operations="notes.notes.create", when=titled("no"), then=Verdict.REFUSE),
        Rule(operations="notes.notes.create", when=titled("held"), then=Verdict.HOLD),
        Rule(operations="notes.notes.update", verify=True),
        Rule(operations="notes.notes.delete", then=Verdict.ASK),
    ]
    return {"policy": Policy(rules=rules)}


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
CORRECTED = "a mail that was moved while it was looked for has other labels"
PURGED = "what was purged cannot be taken back, and what was done to it before neither"
NEW_ID = "what was deleted comes back under a new id, and what was done to it before knows the old one"
CONTACTS: Residue = {
    r"hubspot\..*(updated|modified|last|archived|next|counter|ids?|merged|history|log|now|clock).*": _any,
    r"hubspot\.(\w+\.)*contacts\.\d+": lambda contact: contact is None or contact.get("archived", True),
}
PAGES: Residue = {
    r"notion\.(\w+\.)*[\w-]+\.(last_edited_time|last_edited_by)": _any,
    r"notion\.(pages|blocks)\.[\w-]+": lambda made: made.get("in_trash", made.get("archived")),
    r"notion\.(clock|next|counter|events).*": _any,
}
MAILS: Residue = {
    r"gmail\.(history|history_id|historyId|next|clock|profile|counter).*": _any,
    r"gmail\.(\w+\.)*messages\..*(historyId|history_id)": _any,
    r"gmail\.(\w+\.)*(messages|threads)\.\w+": _any,
    r"gmail\.delivered": _any,
}
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
        Scenario("records", ("hubspot",), records, CONTACTS, one_contact),
        Scenario("batch", ("hubspot",), batch, CONTACTS, one_contact),
        Scenario("pages", ("notion",), pages, PAGES),
        Scenario("mails", ("gmail",), mails, MAILS, a_mailbox, conflicts=CORRECTED),
        Scenario("functions", ("notes",), functions, NEXT, plain_notes),
        Scenario("gated", ("notes",), gated, NEW_NOTE, two_notes, settings=a_policy, quick=True),
        Scenario("started_again", ("notes",), started_again, NEW_NOTE, two_notes, restarts=True, quick=True),
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


@contextmanager
def stand_ins(folder: Path) -> Iterator[Mapping[str, tuple[Box, Path]]]:
    """The services of the sandbox, and the notes."""
    log = folder / "notes.jsonl"
    log.touch()
    command = [sys.executable, "-m", "tests.core.notes", str(log)]
    with ExitStack() as stack:
        names = ("github", "stripe", "slack", "gmail", "hubspot", "notion")
        running = stack.enter_context(of_the_sandbox(folder, *names))
        process = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        stack.callback(process.communicate)
        assert process.stdout is not None
        yield {**running, "notes": (Box("notes", process.stdout.readline().strip()), log)}


def ready() -> None:
    """Import what every run needs."""
    from importlib import import_module

    sdks = "github httpx slack_sdk slack_sdk.web.async_client stripe hubspot notion_client tests.gmail.world"
    for name in (*sdks.split(), *NEEDED.split()):
        import_module(name)
    for name in ("github", "stripe", "slack", "gmail", "hubspot", "notion"):
        STAGE.connector(name)


def _mistakes() -> Mapping[str, Callable[[], None]]:
    from tests.crash.mutants import MUTANTS

    return MUTANTS


STAGE = Stage(
    scenarios=SCENARIOS,
    client=client_of,
    stand_ins=stand_ins,
    connectors={"notes": "tests.core.notes:notes"},
    prefixes={"notes": "/v1", "slack": "/api"},
    any_verb=frozenset({"slack"}),
    actions={"crash.write": ("notes", "notes.create"), "crash.write.undo": ("notes", "notes.delete")},
    plain=_plain.update,
    mistakes=_mistakes(),
    ready=ready,
)
