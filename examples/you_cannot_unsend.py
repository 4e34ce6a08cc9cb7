"""You can't unsend.

A mail that has left cannot be called back, so agentguard does the two things that help. Mail to the outside is held
until the work is done, and a rollback drops it unsent. A mail that did go out is followed by a correction.
"""

from __future__ import annotations

import base64
from email import message_from_bytes, policy
from typing import Any

from _stand_ins import Stage, check, gmail_client, mail, stand_ins

import agentguard
from agentguard.policy import Condition, Policy, Rule, Verdict

RULES = Policy(
    rules=[
        Rule(
            name="mail outside waits",
            operations=["gmail.users.messages.send", "gmail.users.drafts.send"],
            when=Condition(argument="to", domain_not_in="example.com"),
            then=Verdict.HOLD,
        )
    ]
).check()


def announce(gmail: Any, price: int) -> dict[str, Any]:
    """What the agent does: look who has been written to, tell the sales team, and write to the customer."""
    messages = gmail.users().messages()
    for listed in messages.list(userId="me", labelIds=["INBOX"]).execute().get("messages", []):
        messages.get(userId="me", id=listed["id"], format="metadata").execute()
    inside = mail("sales@example.com", "New price", f"We charge {price} EUR from today on.")
    messages.send(userId="me", body=inside).execute()
    outside = mail("carla@customer.example", "Your new price", f"You pay {price} EUR from today on.")
    answer: dict[str, Any] = messages.send(userId="me", body=outside).execute()
    return answer


def delivered(stage: Stage) -> list[str]:
    """Every mail that was delivered, as its recipients see it: to whom, its subject, its first line."""
    state, seen = stage.snapshot("gmail"), []
    for sent in state["delivered"]:
        letter = message_from_bytes(
            base64.urlsafe_b64decode(state["messages"][sent["message"]]["raw"]), policy=policy.default
        )
        seen.append(f"to {', '.join(sent['to'])}: {letter['Subject']}")
    return seen


def story(stage: Stage) -> None:
    plain = gmail_client(stage.url("gmail"))
    for n in range(8):
        letter = mail("agent@example.com", f"Price question {n}", "What does it cost?")
        plain.users().messages().insert(userId="me", body={**letter, "labelIds": ["INBOX"]}).execute()

    session = agentguard.session(agent="pricing", intent="Announce the price", ledger=stage.ledger, policy=RULES)
    try:
        with session:
            answer = announce(agentguard.wrap(plain, session), price=1900)
            print(f"The agent has written two mails. The one to the customer is {answer['id'].partition('-')[0]}.")
            print(f"Delivered so far: {delivered(stage)}")
            raise ValueError("1900 is not EUR, it is cents")
    except ValueError as error:
        print(f"Then the work fails ({error}) and is taken back:")
        for note in error.__notes__:
            print("\n".join(f"  {line[:110]}" for line in note.splitlines()[:6]))
    wrong = delivered(stage)
    for line in wrong:
        print(f"  delivered {line}")

    check(not any("customer" in line for line in wrong), "the customer never got the wrong price.")
    check(len(wrong) == 2 and "sales@" in wrong[1], "the sales team got the mail, and then a correction.")

    with agentguard.session(agent="pricing", intent="Announce it", ledger=stage.ledger, policy=RULES) as session:
        announce(agentguard.wrap(plain, session), price=19)
        held = session.calls[-1]
        print(f"The second run: the mail to the customer is {held.state} until the block ends.")
    check("customer" in delivered(stage)[-1], "the customer got one mail, when the work was complete.")


if __name__ == "__main__":
    with stand_ins("gmail") as stage:
        story(stage)
