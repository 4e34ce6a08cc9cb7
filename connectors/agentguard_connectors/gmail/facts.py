"""What a policy may ask of a call to Gmail: who gets the mail."""

from __future__ import annotations

from email.message import EmailMessage

from agentguard.calls import Call, Json
from agentguard.policy.addresses import addresses_in
from agentguard.policy.model import Untold
from agentguard_connectors.gmail.codec import raw_of
from agentguard_connectors.gmail.mail import parse, to_bytes

HEADERS = ("To", "Cc", "Bcc")
INTO_THE_MAILBOX = ("users.messages.import", "users.messages.insert")
"""These put a mail into the mailbox and send it to nobody."""
SENDS = ("users.messages.send", "users.drafts.send")
NAMED_BY = {
    "users.settings.delegates.create": "delegateEmail",
    "users.settings.forwardingAddresses.create": "forwardingEmail",
    "users.settings.updateAutoForwarding": "emailAddress",
}
"""Settings that let others have the mail, and the argument that says who."""


def recipients(call: Call) -> list[str]:
    """Name all who get the mail of *call*, by To, Cc and Bcc, or who would get mail by a setting.

    Raises Untold where a draft is sent by its id, and where the mail cannot be read.
    """
    if call.operation in INTO_THE_MAILBOX:
        return []
    if call.operation in NAMED_BY:
        return addresses_in(str(call.arguments.get(NAMED_BY[call.operation]) or ""))
    if call.operation == "users.settings.filters.create":
        action = call.arguments.get("action")
        return addresses_in(str((action.get("forward") if isinstance(action, dict) else None) or ""))
    raw = raw_of(call.arguments)
    if raw is None and call.operation == "users.drafts.send":
        raise Untold("the draft is sent by its id, and the call does not show to whom")
    if raw is None and call.operation not in SENDS:
        return []
    return _of_mail(raw)


def _of_mail(raw: Json) -> list[str]:
    mail = to_bytes(raw)
    if not mail:
        raise Untold("the mail cannot be read, so that nobody knows to whom it goes")
    parsed = parse(mail)
    found = [address for name in HEADERS for text in _headers(parsed, name) for address in addresses_in(text)]
    if not found:
        raise Untold("the mail names nobody in To, Cc or Bcc")
    return list(dict.fromkeys(found))


def _headers(parsed: EmailMessage, name: str) -> list[str]:
    """All headers of a name, as they stand there: which of two counts is for the service to say."""
    return [" ".join(str(value).split()) for key, value in parsed.raw_items() if key.lower() == name.lower()]
