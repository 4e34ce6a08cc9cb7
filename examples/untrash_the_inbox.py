"""Un-trash the inbox.

An agent is asked to clear the newsletters out of a mailbox of thirty mails. Its rule for what a newsletter is
is wrong, and it throws away everything. One rollback puts every mail back where it was, with the labels that it had.
"""

from __future__ import annotations

from typing import Any

from _stand_ins import Stage, check, gmail_client, mail, stand_ins

import agentguard

SUBJECTS = ("Weekly newsletter", "Your invoice", "Contract to sign")


def deliver(gmail: Any) -> None:
    """Thirty mails are in the inbox before the agent comes; some are starred, some unread."""
    for n in range(30):
        labels = ["INBOX", *(["STARRED"] if n % 7 == 0 else []), *(["UNREAD"] if n % 3 == 0 else [])]
        letter = mail("agent@example.com", f"{SUBJECTS[n % 3]} no. {n}", "Dear customer, ...")
        gmail.users().messages().insert(userId="me", body={**letter, "labelIds": labels}).execute()


def clear_newsletters(gmail: Any) -> int:
    """What the agent does: look at each mail, and trash what it takes for a newsletter."""
    messages = gmail.users().messages()
    trashed = 0
    for listed in messages.list(userId="me", labelIds=["INBOX"], maxResults=100).execute()["messages"]:
        letter = messages.get(userId="me", id=listed["id"], format="full").execute()
        if "customer" in letter["snippet"] or letter["payload"]:  # the mistake: every mail has a payload
            messages.trash(userId="me", id=listed["id"]).execute()
            trashed += 1
    return trashed


def mailbox(stage: Stage) -> dict[str, Any]:
    """Every message as the service has it. Labels are a set, in no order."""
    messages = stage.snapshot("gmail")["messages"]
    return {name: {**message, "labelIds": sorted(message["labelIds"])} for name, message in messages.items()}


def story(stage: Stage) -> None:
    plain = gmail_client(stage.url("gmail"))
    deliver(plain)
    before = mailbox(stage)
    print(f"The inbox holds {len(before)} mails.")

    with agentguard.session(agent="tidy", intent="Clear out the newsletters", ledger=stage.ledger) as session:
        count = clear_newsletters(agentguard.wrap(plain, session))
    left = plain.users().messages().list(userId="me", labelIds=["INBOX"]).execute()
    print(f"The agent is done: it has thrown away {count} mails, {left.get('messages', []) or 'none'} are left.")

    plan = session.plan()  # reads, and sends nothing
    print(f"A rollback would deal with {len(plan.calls)} calls, newest first. The first five of them:")
    for planned in plan.calls[:5]:
        print(f"  {planned}")

    report = session.rollback(plan=plan.digest)  # exactly what was shown, or nothing
    print(str(report).splitlines()[0])

    check(report.ok and len(report.outcomes) == count == 30, "all 30 mails were restored, and each was read back.")
    check(mailbox(stage) == before, "the mailbox is what it was, mail for mail, label for label.")


if __name__ == "__main__":
    with stand_ins("gmail") as stage:
        story(stage)
