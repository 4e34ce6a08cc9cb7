"""Did it happen, or not?

Three answers get lost: one call had its effect, one certainly had none, and of one nobody can tell. agentguard looks
the first two up by the marks that they carry, and takes back only what happened. The third it neither guesses nor
sends again: a person is asked, and says what is the case.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from _stand_ins import Stage, check, github_client, stand_ins
from slack_sdk import WebClient

import agentguard
from agentguard.queue import queue


def attempt(what: str, call: Callable[[], object]) -> None:
    """Make a call of which the answer gets lost, as an agent that logs the error and goes on."""
    try:
        call()
        print(f"  {what}: answered")
    except Exception as error:  # noqa: BLE001 - each SDK and its HTTP library have a name of their own for it
        print(f"  {what}: {type(error).__name__}, no answer")


def story(stage: Stage) -> None:
    github, slack = stage.services["github"], stage.services["slack"]
    plain: dict[str, Any] = {
        "github": github_client(github.url, "agent"),
        "slack": WebClient("xoxb-story", base_url=f"{slack.url}/api/"),
    }
    session = agentguard.session(agent="reporter", intent="Report the outage", ledger=stage.ledger, on_error="leave")
    with session:
        gh, chat = (agentguard.wrap(client, session) for client in plain.values())
        repo = gh.get_repo("acme/hr")
        print(f"The agent reads {repo.get_issues().totalCount} issue and the channel, then writes:")
        chat.conversations_history(channel="C0GENERAL")
        chat.users_info(user=chat.conversations_members(channel="C0GENERAL")["members"][2])

        github.fault("drop_after", path="/issues$")  # it takes effect, and the connection breaks before the answer
        attempt("issue 'Mail is down'", lambda: repo.create_issue("Mail is down"))
        github.fault("drop_before", path="/issues$")  # the connection breaks before it takes effect
        attempt("issue 'Wiki is down'", lambda: repo.create_issue("Wiki is down"))
        slack.fault("drop_after", path="chat.postEphemeral")
        whisper = {"channel": "C0GENERAL", "user": "U0ADA", "text": "Mail is down, please wait"}
        attempt("a note that only Ada sees", lambda: chat.chat_postEphemeral(**whisper))
        sent = [len(github.requests("POST")), len(effects(stage, "chat.postEphemeral"))]

        unknown = session.settle()  # by evidence; sends nothing
        print("Looked up:", ", ".join(f"call {call.seq} {call.state.replace('_', ' ')}" for call in session.calls))
        check([call.state for call in session.calls] == ["committed", "not_applied", "in_doubt"], "two are settled.")
        check([call.operation for call in unknown] == ["slack.chat.postEphemeral"], "one is for a person to settle.")

    report = session.rollback()
    print(report)
    check(not report.ok, "a report with a call in doubt is no success.")
    check(len(report.outcomes) == 2, "the issue that was never opened is not in it: there is nothing to take back.")

    (item,) = queue(stage.ledger)
    print(f"For a person: {item.kind}, {item.call.operation}; it may be {', '.join(item.actions)}.")
    agentguard.resolve(item.id, "applied", by="ann", note="Ada has seen it", ledger=stage.ledger)
    print("Ann asks Ada, who has seen the note. With that on record, the rollback says what is the case:")
    print(session.rollback())

    check(queue(stage.ledger) == [], "nothing is in doubt any more.")
    check(
        sent == [2, 1] == [len(github.requests("POST")), len(effects(stage, "chat.postEphemeral"))],
        "no call went twice.",
    )
    issues = stage.snapshot("github")["repos"]["acme/hr"]["issues"].values()
    left = {issue["title"]: issue["state"] for issue in issues}
    check(
        left == {"Welcome": "open", "Mail is down": "closed"}, "the issue that was opened is closed, and no other is."
    )


def effects(stage: Stage, kind: str) -> list[dict[str, Any]]:
    """What a method of Slack has done, by Slack's own record."""
    return [effect for effect in stage.services["slack"].effects() if effect["effect"] == kind]


if __name__ == "__main__":
    with stand_ins("github", "slack") as stage:
        story(stage)
