"""Who is written to and how much money moves, read from what the real SDKs send."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from decimal import Decimal
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import stripe
from agentguard_connectors.gmail import facts as gmail_facts
from agentguard_connectors.slack import facts as slack_facts
from agentguard_connectors.stripe import facts as stripe_facts
from googleapiclient.errors import HttpError
from googleapiclient.http import MediaIoBaseUpload
from slack_sdk import WebClient

import agentguard
from agentguard.calls import Call
from agentguard.policy import AmountAbove, Condition, Policy, Rule, Untold, Verdict
from agentguard.registry import connector
from tests.boxes import Box
from tests.gmail.world import mail, service_at
from tests.policy.conftest import subject

Seen = Callable[[str], list[Call]]
OUTSIDE = Policy(
    [
        Rule(
            name="outside",
            operations="gmail.*",
            when=Condition(argument="to", domain_not_in=["acme.com", "*.acme.com"]),
            then=Verdict.HOLD,
        )
    ]
)


def judged(call: Call, policy: Policy = OUTSIDE) -> str:
    return policy.decide(subject(f"gmail.{call.operation}", call.arguments)).verdict.value


@pytest.fixture
def session(ledger: Path) -> agentguard.Session:
    return agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: True)


@pytest.fixture
def gmail(boxes: dict[str, Box], session: agentguard.Session) -> Iterator[Any]:
    with service_at(boxes["gmail"].reset().url) as service:
        yield agentguard.wrap(service, session)


@pytest.mark.parametrize(
    ("headers", "people", "verdict"),
    [
        ({"to": "ashu@acme.com"}, ["ashu@acme.com"], "allow"),
        ({"to": "Ashu <ashu@eu.acme.com>"}, ["ashu@eu.acme.com"], "allow"),
        ({"to": "a@acme.com", "Cc": "b@other.com"}, ["a@acme.com", "b@other.com"], "hold"),
        ({"to": "a@acme.com", "Bcc": "b@other.com, c@acme.com"}, ["a@acme.com", "b@other.com", "c@acme.com"], "hold"),
    ],
)
def test_a_mail_is_judged_by_all_who_get_it(
    gmail: Any,
    session: agentguard.Session,
    seen: Seen,
    headers: dict[str, str],
    people: list[str],
    verdict: str,
) -> None:
    calls = seen("gmail")
    with session:
        gmail.users().messages().send(userId="me", body={"raw": mail(**headers)}).execute()
    assert gmail_facts.recipients(calls[0]) == people
    assert judged(calls[0]) == verdict


def test_an_uploaded_mail_is_judged_like_any(gmail: Any, session: agentguard.Session, seen: Seen) -> None:
    calls = seen("gmail")
    content = base64.urlsafe_b64decode(mail(to="eve@other.com"))
    media = MediaIoBaseUpload(io.BytesIO(content), "message/rfc822", resumable=True)
    with session:
        gmail.users().messages().send(userId="me", body={}, media_body=media).execute()
    assert judged(calls[0]) == "hold"


def test_a_draft_that_is_sent_by_its_id_does_not_show_to_whom(
    gmail: Any, session: agentguard.Session, seen: Seen
) -> None:
    calls = seen("gmail")
    with session:
        drafts = gmail.users().drafts()
        made = drafts.create(userId="me", body={"message": {"raw": mail(to="ashu@acme.com")}}).execute()
        drafts.send(userId="me", body={"id": made["id"]}).execute()
    written, sent = calls
    assert (judged(written), judged(sent)) == ("allow", "hold")
    with pytest.raises(Untold, match="sent by its id"):
        gmail_facts.recipients(sent)


def test_settings_that_let_others_have_the_mail_count(gmail: Any, session: agentguard.Session, seen: Seen) -> None:
    calls = seen("gmail")
    with session:
        settings = gmail.users().settings()
        settings.forwardingAddresses().create(userId="me", body={"forwardingEmail": "eve@other.com"}).execute()
        rule = {"criteria": {"from": "boss@acme.com"}, "action": {"forward": "eve@other.com"}}
        with pytest.raises(HttpError, match="Unrecognized forwarding address"):  # it is not verified yet
            settings.filters().create(userId="me", body=rule).execute()
        labels = {"criteria": {"from": "boss@acme.com"}, "action": {"addLabelIds": ["STARRED"]}}
        settings.filters().create(userId="me", body=labels).execute()
        gmail.users().labels().create(userId="me", body={"name": "Plans"}).execute()
    assert [judged(call) for call in list(calls)] == ["hold", "hold", "allow", "allow"]


def test_a_mail_into_the_mailbox_goes_to_nobody() -> None:
    raw = mail(to="eve@other.com")
    assert gmail_facts.recipients(Call("users.messages.insert", {"raw": raw})) == []
    assert gmail_facts.recipients(Call("users.messages.trash", {"id": "1"})) == []


@pytest.mark.parametrize(
    "raw", [None, "", "%", 5, {"$large": 9}, base64.urlsafe_b64encode(b"Subject: x\n\nhi").decode()]
)
def test_a_mail_that_cannot_be_read_is_held_against_the_call(raw: Any) -> None:
    call = Call("users.messages.send", {"raw": raw})
    with pytest.raises(Untold):
        gmail_facts.recipients(call)
    assert judged(call) == "hold"


def test_of_two_headers_of_one_name_both_count() -> None:
    text = b"To: ashu@acme.com\nTO: eve@other.com\nSubject: x\n\nhi"
    call = Call("users.messages.send", {"raw": base64.urlsafe_b64encode(text).decode()})
    assert gmail_facts.recipients(call) == ["ashu@acme.com", "eve@other.com"]
    folded = EmailMessage()
    folded["To"] = ", ".join(f"person{at}@acme.com" for at in range(60)) + ", eve@other.com"
    call = Call("users.messages.send", {"raw": base64.urlsafe_b64encode(folded.as_bytes()).decode()})
    assert len(gmail_facts.recipients(call)) == 61
    assert judged(call) == "hold"


def test_what_is_posted_to_slack_names_its_channel(
    boxes: dict[str, Box], session: agentguard.Session, seen: Seen
) -> None:
    calls = seen("slack")
    with session:
        client = WebClient("xoxb-agent-token", base_url=f"{boxes['slack'].reset().url}/api/")
        slack = agentguard.wrap(client, session)
        slack.chat_postMessage(channel="C0RANDOM", text="hi")
        made = slack.conversations_create(name="plans")["channel"]["id"]
        slack.conversations_setTopic(channel=made, topic="plans")
    assert [slack_facts.recipients(call) for call in list(calls)] == [["C0RANDOM"], [], []]


@pytest.mark.parametrize(
    ("operation", "arguments", "people"),
    [
        ("conversations.invite", {"channel": "C1", "users": "U1,U2"}, ["U1", "U2"]),
        ("conversations.inviteShared", {"channel": "C1", "emails": ["eve@other.com"]}, ["eve@other.com"]),
        ("admin.users.invite", {"email": "eve@other.com", "channel_ids": "C1"}, ["eve@other.com"]),
        ("chat.postEphemeral", {"channel": "C1", "user": "U1"}, ["C1", "U1"]),
        ("files.completeUploadExternal", {"channel_id": "C1", "files": []}, ["C1"]),
        ("reactions.add", {"channel": "C1", "name": "eyes"}, []),
    ],
)
def test_slack_lets_in_whom_it_names(operation: str, arguments: dict[str, Any], people: list[str]) -> None:
    assert slack_facts.recipients(Call(operation, arguments)) == people


def test_a_webhook_does_not_show_its_channel() -> None:
    with pytest.raises(Untold, match="address of the webhook"):
        slack_facts.recipients(Call("incoming-webhook", {"text": "hi"}))


def test_all_operations_that_slacks_reading_names_are_there() -> None:
    table = operations_of("slack")
    assert {*slack_facts.POSTS, *slack_facts.LETS_IN, *slack_facts.UNTOLD} <= table


def test_all_operations_that_the_other_readings_name_are_there() -> None:
    assert {*gmail_facts.NAMED_BY, *gmail_facts.SENDS, *gmail_facts.INTO_THE_MAILBOX} <= operations_of("gmail")
    named = {*stripe_facts.WHOLE, *stripe_facts.ELSEWHERE, *stripe_facts.OTHER_NAMES}
    assert named <= operations_of("stripe")
    for prefix in stripe_facts.PRICES:
        assert any(name.startswith(prefix) for name in operations_of("stripe"))


def operations_of(name: str) -> set[str]:
    return set(connector(name).table.by_name)


BIG = Policy([Rule(name="big", then=Verdict.HOLD, when=Condition(amount_above=AmountAbove(value=500, currency="USD")))])


def test_stripes_calls_are_judged_in_whole_units(
    boxes: dict[str, Box], session: agentguard.Session, seen: Seen
) -> None:
    calls = seen("stripe")
    address = boxes["stripe"].reset().url
    client = stripe.StripeClient("sk_test_123", base_addresses={"api": address})
    with session:
        v1 = agentguard.wrap(client, session).v1
        small = v1.charges.create(params={"amount": 50000, "currency": "usd", "source": "tok_visa"})
        v1.charges.create(params={"amount": 50001, "currency": "usd", "source": "tok_visa"})
        v1.charges.create(params={"amount": 400, "currency": "jpy", "source": "tok_visa"})
        v1.refunds.create(params={"charge": small.id, "amount": 100})
        v1.refunds.create(params={"charge": small.id})
        v1.customers.create(params={"name": "Ada"})
        v1.products.create(params={"name": "Desk", "default_price_data": {"currency": "usd", "unit_amount": 99_00}})
    verdicts = [BIG.decide(subject(f"stripe.{call.operation}", call.arguments)).verdict.value for call in list(calls)]
    assert verdicts == ["ask", "hold", "hold", "hold", "hold", "allow", "allow"]
    assert stripe_facts.amount(calls[0]) == (Decimal(500), "USD")
    assert stripe_facts.amount(calls[2]) == (Decimal(400), "JPY")


@pytest.mark.parametrize(
    ("operation", "arguments", "moved"),
    [
        ("charges.create", {"amount": "1050", "currency": "usd"}, (Decimal("10.5"), "USD")),
        ("charges.create", {"amount": "1050", "currency": "KWD"}, (Decimal("1.05"), "KWD")),
        ("payouts.create", {"amount": 1050, "currency": "krw"}, (Decimal(1050), "KRW")),
        ("payment_intents.capture", {"amount_to_capture": 10, "currency": "usd"}, (Decimal("0.1"), "USD")),
        ("customers.update", {"balance": -500, "currency": "usd"}, (Decimal(-5), "USD")),
        (
            "v2.money_management.outbound_payments.create",
            {"amount": {"value": 250, "currency": "usd"}},
            (Decimal("2.5"), "USD"),
        ),
        ("customers.update", {"name": "Ada"}, None),
        ("prices.create", {"unit_amount": 5, "currency": "usd"}, None),
        ("coupons.create", {"amount_off": 5, "currency": "usd"}, None),
        ("plans.create", {"amount": 5, "currency": "usd"}, None),
    ],
)
def test_stripes_amounts(operation: str, arguments: dict[str, Any], moved: tuple[Decimal, str] | None) -> None:
    assert stripe_facts.amount(Call(operation, arguments)) == moved


@pytest.mark.parametrize(
    ("operation", "arguments", "why"),
    [
        ("refunds.create", {"charge": "ch_1"}, "the whole charge is refunded"),
        ("refunds.create", {"amount": 5}, "names no currency"),
        ("charges.create", {"amount": "a lot", "currency": "usd"}, "is no number"),
        ("charges.create", {"amount": True, "currency": "usd"}, "is no number"),
        ("charges.create", {"amount": "Infinity", "currency": "usd"}, "is no number"),
        ("invoices.pay", {"invoice": "in_1"}, "the invoice decides"),
        ("subscriptions.create", {"items": []}, "prices of the subscription"),
        ("customers.update", {"balance": "-500"}, "names no currency"),
    ],
)
def test_stripe_says_what_it_does_not_show(operation: str, arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(Untold, match=why):
        stripe_facts.amount(Call(operation, arguments))


def test_an_amount_in_another_argument_has_the_services_unit() -> None:
    fee = AmountAbove(value=5, currency="USD", argument="application_fee_amount", currency_argument="currency")
    policy = Policy([Rule(then=Verdict.REFUSE, when=Condition(amount_above=fee))])
    given = {"amount": 99999, "currency": "usd", "application_fee_amount": 500}
    assert policy.decide(subject("stripe.charges.create", given)).verdict.value == "ask"
    assert policy.decide(subject("stripe.charges.create", {**given, "application_fee_amount": 501})).verdict == "refuse"
