"""Crash, and cleanup by another process.

An agent sets up a new hire in GitHub, Slack and HubSpot, and is killed with SIGKILL half way: no exception, no cleanup
code, no last words. This process, which made none of the calls, finds the abandoned session in the ledger and takes it
back from what stands there. What the agent was sending at the moment of its death is looked up, not guessed.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from _stand_ins import Stage, check, github_client, stand_ins
from hubspot import HubSpot  # type: ignore[import-untyped]  # has no types
from slack_sdk import WebClient

import agentguard
from agentguard.sandbox.hubspot import TOKEN


def clients(github: str, slack: str, hubspot: str) -> dict[str, Any]:
    """The plain clients, by connector name."""
    return {
        "github": github_client(github, "agent"),
        "slack": WebClient("xoxb-story", base_url=f"{slack}/api/"),
        "hubspot": HubSpot(access_token=TOKEN, host=hubspot, base_url=hubspot),
    }


def agent(ledger: Path, plain: dict[str, Any]) -> None:
    """What the agent does. The service holds the last answer back for a minute, and the kill comes in that minute."""
    with agentguard.session(agent="onboarding", intent="Set up Ada", on_crash="rollback", ledger=ledger) as session:
        gh, slack, crm = (agentguard.wrap(plain[name], session) for name in ("github", "slack", "hubspot"))
        repo = gh.get_repo("acme/hr")
        if any("Ada" in issue.title for issue in repo.get_issues()):
            return
        issue = repo.create_issue("Onboard Ada", "Laptop, badge, mail.")
        issue.add_to_labels("onboarding")
        person = crm.crm.contacts.basic_api.get_by_id("101", properties=["city", "jobtitle"])
        crm.crm.contacts.basic_api.update("101", {"properties": {"jobtitle": "Engineer"}})
        print(f"  agent: issue {issue.number} is open, {person.id} is an engineer; telling the team ...", flush=True)
        slack.conversations_history(channel="C0GENERAL")
        slack.chat_postMessage(channel="C0GENERAL", text="Ada starts on Monday!")
        print("  agent: done")  # never reached


def story(stage: Stage) -> None:
    names = ("github", "slack", "hubspot")
    before = contact(stage)
    stage.services["slack"].fault("delay_after", path="chat.postMessage", seconds=60)

    command = [sys.executable, __file__, str(stage.ledger), *(stage.url(name) for name in names)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603 - this very file
        assert child.stdout is not None
        print(child.stdout.readline(), end="")
        while child.poll() is None and not posted(stage):
            time.sleep(0.05)
        child.kill()  # the message is out, and its answer is on its way
        check(child.wait() == -signal.SIGKILL, "the agent was killed, and did not get to clean up.")
    print(f"It leaves an open issue, a changed contact and the message {posted(stage)[0]['text']!r} behind.")

    (found,) = agentguard.recover(ledger=stage.ledger, clients=clients(*(stage.url(name) for name in names)))
    print(f"Another process has recovered the session of {found.agent!r} ({found.intent}): {found.state}.")
    print(found.report)

    check(found.ok and found.report is not None and len(found.report.outcomes) == 4, "all four calls were taken back.")
    check(not posted(stage), "the message whose answer never came was found, and deleted.")
    check(contact(stage) == before, "the contact is as it was.")
    issues = stage.snapshot("github")["repos"]["acme/hr"]["issues"].values()
    left = [(issue["state"], issue["labels"]) for issue in issues if issue["title"] == "Onboard Ada"]
    check(left == [("closed", [])], "the issue is closed, which is what GitHub lets an API do about it.")
    check(agentguard.recover(ledger=stage.ledger, clients={}) == [], "there is nothing left to recover.")


def contact(stage: Stage) -> dict[str, str]:
    """The contact's properties, as HubSpot has them."""
    properties: dict[str, str] = stage.snapshot("hubspot")["records"]["contacts"]["101"]["properties"]
    return {name: value for name, value in properties.items() if value}


def posted(stage: Stage) -> list[dict[str, Any]]:
    """The agent's messages in #general, as Slack has them."""
    messages = stage.snapshot("slack")["channels"]["C0GENERAL"]["messages"].values()
    return [message for message in messages if "Monday" in message["text"]]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        agent(Path(sys.argv[1]), clients(*sys.argv[2:]))
    else:
        with stand_ins("github", "slack", "hubspot") as stage:
            story(stage)
