"""Somebody else edited it.

An agent renames an issue, moves a contact and retitles a page; before that is taken back, colleagues correct two of the
three by hand. The rollback restores the third and leaves their work alone: it shows both versions and asks. A person
keeps what one colleague wrote, and overwrites what the other did.
"""

from __future__ import annotations

from typing import Any

from _stand_ins import Stage, check, github_client, stand_ins
from hubspot import HubSpot  # type: ignore[import-untyped]  # has no types
from notion_client import Client as Notion

import agentguard
from agentguard.queue import queue
from agentguard.sandbox.hubspot import TOKEN


def story(stage: Stage) -> None:
    plain: dict[str, Any] = {
        "github": github_client(stage.url("github"), "agent"),
        "hubspot": HubSpot(access_token=TOKEN, host=stage.url("hubspot"), base_url=stage.url("hubspot")),
        "notion": Notion(auth="ntn_story", base_url=stage.url("notion")),
    }
    listed = plain["notion"].search(filter={"property": "object", "value": "page"})["results"]
    page_id = next(page["id"] for page in listed if page["parent"]["type"] == "workspace")
    pages = stage.snapshot("notion")["pages"]

    with agentguard.session(agent="editor", intent="Tidy up the names", ledger=stage.ledger) as session:
        gh, crm, notion = (agentguard.wrap(client, session) for client in plain.values())
        issue = gh.get_repo("acme/hr").get_issue(1)
        issue.edit(title="WELCOME!!!")
        crm.crm.contacts.basic_api.get_by_id("101", properties=["city"])
        crm.crm.contacts.basic_api.update("101", {"properties": {"city": "Paris"}})
        notion.pages.retrieve(page_id)
        notion.pages.update(page_id, properties={"title": {"title": [{"text": {"content": "HOME!!!"}}]}})
    print("The agent has edited an issue, a contact and a page.")

    colleague = github_client(stage.url("github"), "colleague")
    colleague.get_repo("acme/hr").get_issue(1).edit(title="Welcome, and where to find things")
    plain["hubspot"].crm.contacts.basic_api.update("101", {"properties": {"city": "Berlin"}})
    print("Meanwhile a colleague has given the issue a better title, and somebody has put the contact in Berlin.\n")

    report = session.rollback()
    print(report)
    check(not report.ok, "the report does not call that a success.")
    check(title(stage) == "Welcome, and where to find things" and city(stage) == "Berlin", "nobody's work was touched.")
    check(stage.snapshot("notion")["pages"][page_id]["values"] == pages[page_id]["values"], "the page is as it was.")

    print("\nWhat needs a person (`agentguard queue`):")
    items = {item.call.connector: item for item in queue(stage.ledger)}
    for item in items.values():
        left, found = item.evidence["left"], item.evidence["found"]
        print(f"  {item.kind} about {item.call.operation} {item.call.target}")
        print(f"    the agent left {left}, now it is { {name: found[name] for name in left} }")
        print(f"    what may be done: {', '.join(item.actions)}")

    where: dict[str, Any] = {"by": "ann", "ledger": stage.ledger}
    agentguard.resolve(items["github"].id, "close", note="the new title is better", **where)
    agentguard.resolve(items["hubspot"].id, "force", note="Berlin was a guess", clients=plain, **where)
    print("Ann keeps the colleague's title, and has the contact's city put back.\n")

    check(title(stage) == "Welcome, and where to find things", "the colleague's title stands.")
    check(city(stage) == "London", "the contact is in London again, as before the agent came.")
    check(queue(stage.ledger) == [], "nothing needs a person any more.")


def title(stage: Stage) -> str:
    """The issue's title, as GitHub has it."""
    now: str = stage.snapshot("github")["repos"]["acme/hr"]["issues"]["1"]["title"]
    return now


def city(stage: Stage) -> str:
    """The contact's city, as HubSpot has it."""
    now: str = stage.snapshot("hubspot")["records"]["contacts"]["101"]["properties"]["city"]
    return now


if __name__ == "__main__":
    with stand_ins("github", "hubspot", "notion") as stage:
        story(stage)
