"""What is done in the proofs: each guarded operation through the real SDK, with what it leaves behind when undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agentguard import Outcome
from tests.gmail.world import SENDER, draft, label, mail, put, put_thread

MESSAGE = r"messages\.[0-9a-f]{16}"
DRAFT = r"drafts\.r\d+"
RESTORED, COMPENSATED = Outcome.RESTORED, Outcome.COMPENSATED


@dataclass(frozen=True)
class Case:
    operation: str
    do: Callable[[Any, Any], Any]
    """Does it with the guarded service and what `prepare` returned."""
    prepare: Callable[[Any], Any] = lambda _service: None
    outcome: Outcome = RESTORED
    residue: tuple[str, ...] = ()
    name: str = ""


def messages(service: Any) -> Any:
    return service.users().messages()


def drafts(service: Any) -> Any:
    return service.users().drafts()


def threads(service: Any) -> Any:
    return service.users().threads()


def labels(service: Any) -> Any:
    return service.users().labels()


def settings(service: Any) -> Any:
    return service.users().settings()


def two_labels(service: Any) -> tuple[str, str, str]:
    """A message with one label of its own, and a second label that it has not."""
    has, lacks = label(service, "Has"), label(service, "Lacks")
    return put(service, "INBOX", "UNREAD", has), has, lacks


def a_verified_address(service: Any) -> str:
    email = "archive@example.com"
    settings(service).forwardingAddresses().create(userId="me", body={"forwardingEmail": email}).execute()
    return email


def an_alias(service: Any, email: str = "hr@example.com", **fields: Any) -> str:
    body = {"sendAsEmail": email, "displayName": "HR", "signature": "<b>HR</b>", **fields}
    settings(service).sendAs().create(userId="me", body=body).execute()
    return email


def a_filter(service: Any) -> str:
    body = {"criteria": {"from": "news@example.org"}, "action": {"removeLabelIds": ["INBOX"]}}
    made: str = settings(service).filters().create(userId="me", body=body).execute()["id"]
    return made


def a_used_label(service: Any) -> str:
    name = label(service, "Projects", color={"backgroundColor": "#16a766", "textColor": "#ffffff"})
    put(service, "INBOX", name)
    put(service, name, subject="Other")
    return name


SENT = (r"delivered", MESSAGE)

CASES = [
    Case(
        "users.messages.send",
        lambda s, _: messages(s).send(userId="me", body={"raw": mail()}).execute(),
        outcome=COMPENSATED,
        residue=SENT,
    ),
    Case(
        "users.messages.send",
        lambda s, kept: (
            messages(s)
            .send(userId="me", body={"raw": mail("Re: Hello", In_Reply_To="<first@example.com>"), "threadId": kept[0]})
            .execute()
        ),
        prepare=lambda s: put_thread(s, ("INBOX",)),
        outcome=COMPENSATED,
        residue=SENT,
        name="a reply",
    ),
    Case(
        "users.messages.modify",
        lambda s, kept: (
            messages(s)
            .modify(
                userId="me",
                id=kept[0],
                body={"addLabelIds": [kept[1], kept[2], "STARRED"], "removeLabelIds": ["UNREAD", "SPAM"]},
            )
            .execute()
        ),
        prepare=two_labels,
        residue=(MESSAGE + r"\.labelIds\.\d",),
    ),
    Case(
        "users.messages.modify",
        lambda s, name: messages(s).modify(userId="me", id=name, body={"removeLabelIds": ["UNREAD"]}).execute(),
        prepare=lambda s: put(s, "INBOX", "UNREAD"),
        name="mark as read",
    ),
    Case(
        "users.messages.modify",
        lambda s, name: messages(s).modify(userId="me", id=name, body={"addLabelIds": ["UNREAD"]}).execute(),
        prepare=lambda s: put(s, "INBOX"),
        name="mark as unread",
    ),
    Case(
        "users.messages.batchModify",
        lambda s, kept: (
            messages(s)
            .batchModify(userId="me", body={"ids": kept, "addLabelIds": ["STARRED"], "removeLabelIds": ["INBOX"]})
            .execute()
        ),
        prepare=lambda s: [put(s, "INBOX"), put(s, "STARRED"), put(s), "18c0ffee99999999"],
    ),
    Case(
        "users.messages.trash",
        lambda s, name: messages(s).trash(userId="me", id=name).execute(),
        prepare=lambda s: put(s, "UNREAD", "INBOX"),
    ),
    Case(
        "users.messages.trash",
        lambda s, name: messages(s).trash(userId="me", id=name).execute(),
        prepare=lambda s: put(s, "STARRED"),
        name="not from the inbox",
    ),
    Case(
        "users.messages.trash",
        lambda s, name: messages(s).trash(userId="me", id=name).execute(),
        prepare=lambda s: put(s, "UNREAD", "SPAM"),
        name="from the spam",
    ),
    Case(
        "users.messages.modify",
        lambda s, name: messages(s).modify(userId="me", id=name, body={"addLabelIds": ["TRASH"]}).execute(),
        prepare=lambda s: put(s, "UNREAD", "INBOX"),
        name="into the trash, out of the inbox",
    ),
    Case(
        "users.messages.batchModify",
        lambda s, kept: messages(s).batchModify(userId="me", body={"ids": kept, "addLabelIds": ["SPAM"]}).execute(),
        prepare=lambda s: [put(s, "INBOX"), put(s)],
        name="into the spam, out of the inbox",
    ),
    Case(
        "users.messages.untrash",
        lambda s, name: messages(s).untrash(userId="me", id=name).execute(),
        prepare=lambda s: put(s, "UNREAD", "TRASH"),
    ),
    Case(
        "users.messages.insert",
        lambda s, _: messages(s).insert(userId="me", body={"raw": mail(), "labelIds": ["INBOX"]}).execute(),
        outcome=COMPENSATED,
        residue=(MESSAGE,),
    ),
    Case(
        "users.messages.import",
        lambda s, _: messages(s).import_(userId="me", body={"raw": mail()}, neverMarkSpam=True).execute(),
        outcome=COMPENSATED,
        residue=(MESSAGE,),
    ),
    Case(
        "users.messages.delete",
        lambda s, name: messages(s).delete(userId="me", id=name).execute(),
        prepare=lambda s: put(s, "INBOX", "UNREAD"),
        outcome=COMPENSATED,
        residue=(MESSAGE,),
    ),
    Case(
        "users.messages.batchDelete",
        lambda s, kept: messages(s).batchDelete(userId="me", body={"ids": kept}).execute(),
        prepare=lambda s: [put(s, "INBOX"), put(s, "STARRED", subject="Other")],
        outcome=COMPENSATED,
        residue=(MESSAGE,),
    ),
    Case(
        "users.drafts.create",
        lambda s, _: drafts(s).create(userId="me", body={"message": {"raw": mail("Plan")}}).execute(),
    ),
    Case(
        "users.drafts.update",
        lambda s, name: (
            drafts(s).update(userId="me", id=name, body={"id": name, "message": {"raw": mail("New")}}).execute()
        ),
        prepare=lambda s: draft(s, text="The old plan", Bcc="boss@example.org"),
        outcome=COMPENSATED,
        residue=(MESSAGE, DRAFT + r"\.message"),
    ),
    Case(
        "users.drafts.delete",
        lambda s, name: drafts(s).delete(userId="me", id=name).execute(),
        prepare=draft,
        outcome=COMPENSATED,
        residue=(MESSAGE, DRAFT),
    ),
    Case(
        "users.drafts.send",
        lambda s, name: drafts(s).send(userId="me", body={"id": name}).execute(),
        prepare=draft,
        outcome=COMPENSATED,
        residue=(*SENT, DRAFT),
    ),
    Case(
        "users.threads.modify",
        lambda s, kept: (
            threads(s)
            .modify(userId="me", id=kept[0], body={"addLabelIds": ["STARRED"], "removeLabelIds": ["UNREAD"]})
            .execute()
        ),
        prepare=lambda s: put_thread(s, ("INBOX", "STARRED"), ("INBOX", "UNREAD"), ("SENT", "UNREAD")),
    ),
    Case(
        "users.threads.trash",
        lambda s, kept: threads(s).trash(userId="me", id=kept[0]).execute(),
        prepare=lambda s: put_thread(s, ("UNREAD", "INBOX"), ("SENT",), ("TRASH",)),
    ),
    Case(
        "users.threads.trash",
        lambda s, kept: threads(s).trash(userId="me", id=kept[0]).execute(),
        prepare=lambda s: put_thread(s, ("SPAM",), ("SENT",)),
        name="from the spam",
    ),
    Case(
        "users.threads.modify",
        lambda s, kept: threads(s).modify(userId="me", id=kept[0], body={"addLabelIds": ["TRASH"]}).execute(),
        prepare=lambda s: put_thread(s, ("INBOX",), ("SENT",)),
        name="into the trash",
    ),
    Case(
        "users.threads.untrash",
        lambda s, kept: threads(s).untrash(userId="me", id=kept[0]).execute(),
        prepare=lambda s: put_thread(s, ("TRASH",), ("SENT",)),
    ),
    Case(
        "users.threads.delete",
        lambda s, kept: threads(s).delete(userId="me", id=kept[0]).execute(),
        prepare=lambda s: put_thread(s, ("INBOX",), ("SENT",)),
        outcome=COMPENSATED,
        residue=(MESSAGE,),
    ),
    Case(
        "users.labels.create",
        lambda s, _: (
            labels(s).create(userId="me", body={"name": "Projects/New", "labelListVisibility": "labelHide"}).execute()
        ),
    ),
    Case(
        "users.labels.patch",
        lambda s, name: (
            labels(s)
            .patch(
                userId="me",
                id=name,
                body={"name": "New", "color": {"backgroundColor": "#16a766", "textColor": "#ffffff"}},
            )
            .execute()
        ),
        prepare=lambda s: label(s, "Old", messageListVisibility="hide"),
    ),
    Case(
        "users.labels.update",
        lambda s, name: labels(s).update(userId="me", id=name, body={"id": name, "name": "New"}).execute(),
        prepare=lambda s: label(
            s, "Old", messageListVisibility="hide", color={"backgroundColor": "#16a766", "textColor": "#ffffff"}
        ),
    ),
    Case(
        "users.labels.delete",
        lambda s, name: labels(s).delete(userId="me", id=name).execute(),
        prepare=a_used_label,
        outcome=COMPENSATED,
        residue=(r"labels\.Label_\d+", MESSAGE + r"\.labelIds\.\d"),
    ),
    Case(
        "users.settings.filters.create",
        lambda s, _: (
            settings(s)
            .filters()
            .create(userId="me", body={"criteria": {"from": "a@example.org"}, "action": {"addLabelIds": ["STARRED"]}})
            .execute()
        ),
        outcome=COMPENSATED,
    ),
    Case(
        "users.settings.filters.delete",
        lambda s, name: settings(s).filters().delete(userId="me", id=name).execute(),
        prepare=a_filter,
        outcome=COMPENSATED,
        residue=(r"filters\.ANe1Bm\d+",),
    ),
    Case(
        "users.settings.updateVacation",
        lambda s, _: (
            settings(s)
            .updateVacation(userId="me", body={"enableAutoReply": True, "responseBodyPlainText": "Away"})
            .execute()
        ),
        outcome=COMPENSATED,
    ),
    Case(
        "users.settings.updateVacation",
        lambda s, _: settings(s).updateVacation(userId="me", body={"enableAutoReply": False}).execute(),
        prepare=lambda s: (
            settings(s)
            .updateVacation(
                userId="me", body={"enableAutoReply": True, "responseSubject": "Away", "endTime": "1800000000000"}
            )
            .execute()
        ),
        name="turned off",
    ),
    Case(
        "users.settings.updateVacation",
        lambda s, _: (
            settings(s)
            .updateVacation(userId="me", body={"enableAutoReply": True, "responseSubject": "Gone for good"})
            .execute()
        ),
        prepare=lambda s: (
            settings(s).updateVacation(userId="me", body={"enableAutoReply": True, "responseSubject": "Away"}).execute()
        ),
        outcome=COMPENSATED,
        name="other words",
    ),
    Case(
        "users.settings.updateImap",
        lambda s, _: settings(s).updateImap(userId="me", body={"enabled": False}).execute(),
    ),
    Case(
        "users.settings.updatePop",
        lambda s, _: (
            settings(s).updatePop(userId="me", body={"accessWindow": "allMail", "disposition": "archive"}).execute()
        ),
    ),
    Case(
        "users.settings.updateLanguage",
        lambda s, _: settings(s).updateLanguage(userId="me", body={"displayLanguage": "de"}).execute(),
    ),
    Case(
        "users.settings.updateAutoForwarding",
        lambda s, email: (
            settings(s)
            .updateAutoForwarding(
                userId="me", body={"enabled": True, "emailAddress": email, "disposition": "leaveInInbox"}
            )
            .execute()
        ),
        prepare=a_verified_address,
        outcome=COMPENSATED,
    ),
    Case(
        "users.settings.forwardingAddresses.create",
        lambda s, _: (
            settings(s)
            .forwardingAddresses()
            .create(userId="me", body={"forwardingEmail": "outside@example.org"})
            .execute()
        ),
        outcome=COMPENSATED,
    ),
    Case(
        "users.settings.forwardingAddresses.delete",
        lambda s, email: settings(s).forwardingAddresses().delete(userId="me", forwardingEmail=email).execute(),
        prepare=a_verified_address,
        outcome=COMPENSATED,
    ),
    Case(
        "users.settings.delegates.create",
        lambda s, _: settings(s).delegates().create(userId="me", body={"delegateEmail": "peer@example.com"}).execute(),
        outcome=COMPENSATED,
    ),
    Case(
        "users.settings.delegates.delete",
        lambda s, _: settings(s).delegates().delete(userId="me", delegateEmail="peer@example.com").execute(),
        prepare=lambda s: (
            settings(s).delegates().create(userId="me", body={"delegateEmail": "peer@example.com"}).execute()
        ),
    ),
    Case(
        "users.settings.sendAs.create",
        lambda s, _: (
            settings(s)
            .sendAs()
            .create(userId="me", body={"sendAsEmail": "hr@example.com", "displayName": "HR"})
            .execute()
        ),
        outcome=COMPENSATED,
    ),
    Case(
        "users.settings.sendAs.create",
        lambda s, _: (
            settings(s)
            .sendAs()
            .create(userId="me", body={"sendAsEmail": "hr@example.com", "isDefault": True})
            .execute()
        ),
        outcome=COMPENSATED,
        name="as the default",
    ),
    Case(
        "users.settings.sendAs.delete",
        lambda s, email: settings(s).sendAs().delete(userId="me", sendAsEmail=email).execute(),
        prepare=lambda s: an_alias(s, replyToAddress="hr-team@example.com"),
        outcome=COMPENSATED,
    ),
    Case(
        "users.settings.sendAs.patch",
        lambda s, email: (
            settings(s).sendAs().patch(userId="me", sendAsEmail=email, body={"signature": "New"}).execute()
        ),
        prepare=an_alias,
    ),
    Case(
        "users.settings.sendAs.patch",
        lambda s, email: settings(s).sendAs().patch(userId="me", sendAsEmail=email, body={"isDefault": True}).execute(),
        prepare=an_alias,
        name="another default",
    ),
    Case(
        "users.settings.sendAs.update",
        lambda s, _: (
            settings(s).sendAs().update(userId="me", sendAsEmail=SENDER, body={"displayName": "Agent"}).execute()
        ),
        prepare=lambda s: (
            settings(s)
            .sendAs()
            .update(userId="me", sendAsEmail=SENDER, body={"displayName": "Old", "signature": "Old"})
            .execute()
        ),
    ),
]
