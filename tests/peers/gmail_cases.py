"""What is done with Gmail against emulate, each with what it leaves behind; only what emulate does as Gmail does.

emulate lacks a route to read one filter, does not show threads in the trash, and has no batches: those are not here.
"""

from __future__ import annotations

from typing import Any

from agentguard import Outcome
from tests.gmail.world import draft, label, mail, put
from tests.peers.comparing import Case

COMPENSATED = Outcome.COMPENSATED


def users(service: Any) -> Any:
    return service.users()


def one(service: Any) -> str:
    return put(service, "INBOX", "UNREAD", subject="Was here")


def in_trash(service: Any) -> str:
    name = one(service)
    users(service).messages().trash(userId="me", id=name).execute()
    return name


def thread_of(service: Any) -> str:
    found: str = users(service).messages().get(userId="me", id=one(service)).execute()["threadId"]
    return found


CASES = [
    Case(
        "gmail.users.messages.modify",
        lambda s, name: users(s).messages().modify(userId="me", id=name, body={"addLabelIds": ["STARRED"]}).execute(),
        one,
    ),
    Case(
        "gmail.users.messages.batchModify",
        lambda s, name: (
            users(s).messages().batchModify(userId="me", body={"ids": [name], "removeLabelIds": ["UNREAD"]}).execute()
        ),
        one,
    ),
    Case("gmail.users.messages.trash", lambda s, name: users(s).messages().trash(userId="me", id=name).execute(), one),
    Case(
        "gmail.users.messages.untrash",
        lambda s, name: users(s).messages().untrash(userId="me", id=name).execute(),
        in_trash,
    ),
    Case(
        "gmail.users.messages.delete",
        lambda s, name: users(s).messages().delete(userId="me", id=name).execute(),
        one,
        COMPENSATED,
        (r"messages\..*",),
    ),
    Case(
        "gmail.users.messages.insert",
        lambda s, _: users(s).messages().insert(userId="me", body={"raw": mail("New")}).execute(),
        outcome=COMPENSATED,
        residue=(r"messages\..*", r"labels\.TRASH\..*"),
    ),
    Case(
        "gmail.users.messages.send",
        lambda s, _: users(s).messages().send(userId="me", body={"raw": mail("Welcome")}).execute(),
        outcome=COMPENSATED,
        residue=(r"messages\..*", r"labels\.(SENT|STARRED)\.\w+Total"),
    ),
    Case(
        "gmail.users.threads.modify",
        lambda s, name: users(s).threads().modify(userId="me", id=name, body={"addLabelIds": ["STARRED"]}).execute(),
        thread_of,
    ),
    Case(
        "gmail.users.drafts.create",
        lambda s, _: users(s).drafts().create(userId="me", body={"message": {"raw": mail("Draft")}}).execute(),
    ),
    Case(
        "gmail.users.drafts.update",
        lambda s, name: (
            users(s).drafts().update(userId="me", id=name, body={"message": {"raw": mail("Other")}}).execute()
        ),
        draft,
        COMPENSATED,
        (r"messages\..*",),
    ),
    Case(
        "gmail.users.drafts.delete",
        lambda s, name: users(s).drafts().delete(userId="me", id=name).execute(),
        draft,
        COMPENSATED,
        (r"drafts\..*", r"messages\..*"),
    ),
    Case(
        "gmail.users.labels.create",
        lambda s, _: users(s).labels().create(userId="me", body={"name": "Onboarding"}).execute(),
    ),
    Case(
        "gmail.users.labels.patch",
        lambda s, name: users(s).labels().patch(userId="me", id=name, body={"name": "Other"}).execute(),
        lambda s: label(s, "Mine"),
    ),
    Case(
        "gmail.users.labels.delete",
        lambda s, name: users(s).labels().delete(userId="me", id=name).execute(),
        lambda s: label(s, "Mine"),
        COMPENSATED,
        (r"labels\..*",),
    ),
]
