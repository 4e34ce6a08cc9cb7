"""The cards of real calls, of real SDKs against the stand-ins, as an approver gets them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import stripe
from slack_sdk import WebClient

import agentguard
from agentguard import Call
from agentguard.cards import read_from
from agentguard.registry import connector
from tests.boxes import Box
from tests.github.clients import pygithub
from tests.gmail.world import mail, service_at
from tests.people.reading import RENDERINGS, Rows, nothing_unseen, of_text, values
from tests.people.texts import MISLEADING
from tests.stripe.conftest import make_client

POLICY = """
[[policy.rules]]
name = "a person reads everything"
operations = ["*"]
then = "ask"
"""


class Approver:
    """Keeps the cards, and says yes."""

    def __init__(self, ledger: Path) -> None:
        policy = ledger.parent.parent / "policy.toml"
        policy.write_text(POLICY)
        self.cards: list[agentguard.Card] = []
        self.session = agentguard.session(
            agent="onboarding",
            intent="Set up Ashu",
            ledger=ledger,
            approver=self.asks,
            policy=policy,
        )

    def asks(self, card: agentguard.Card) -> bool:
        self.cards.append(card)
        return True

    @property
    def rows(self) -> Rows:
        """Those of the newest card; every rendering says the same and can be shown."""
        card = self.cards[-1]
        nothing_unseen(str(card))
        for _write, read in RENDERINGS.values():
            assert [label for label, _value in read(card)] == [label for label, _value in of_text(card)]
        return of_text(card)


@pytest.fixture
def approver(ledger: Path) -> Approver:
    return Approver(ledger)


def test_an_issue_that_is_opened_and_edited(approver: Approver, github_box: Box) -> None:
    gh = agentguard.wrap(pygithub(github_box), approver.session)
    with approver.session.because("Ashu starts on Monday"):
        issue = gh.get_repo("acme/hr").create_issue("Onboard Ashu", "Laptop, badge, mail.")
    rows = approver.rows
    assert values(rows, "operation") == ["github.issues.create"]
    assert values(rows, "target") == ['"acme/hr"']
    assert values(rows, "what") == ["Open an issue; it is closed again as not planned, and stays visible."]
    assert '"title": "Onboard Ashu"' in values(rows, "sends")
    # With the mark that is really sent, by which a lost call can be found.
    assert any(text.startswith('"body": "Laptop, badge, mail.\\n\\n<!-- agentguard:') for text in values(rows, "sends"))
    assert values(rows, "reason") == ['"Ashu starts on Monday"']

    issue.edit(title="Onboard Ashu on Monday")
    rows = approver.rows
    assert values(rows, "change") == ['"title": "Onboard Ashu" -> "Onboard Ashu on Monday"']
    (undo,) = values(rows, "undo")
    assert '"title": "Onboard Ashu"' in undo
    assert "Monday" not in undo


def test_a_refund(approver: Approver, stripe_box: Box) -> None:
    plain = make_client(stripe_box)
    paid = plain.v1.charges.create(params={"amount": 2500, "currency": "eur", "source": "tok_visa"})
    guarded: stripe.StripeClient = agentguard.wrap(plain, approver.session)
    guarded.v1.refunds.create(params={"charge": paid.id, "amount": 500, "reason": "duplicate"})
    rows = approver.rows
    assert values(rows, "operation") == ["stripe.refunds.create"]
    assert paid.id in " ".join(values(rows, "sends"))
    (amount,) = values(rows, "amount")
    assert "500" in amount
    assert values(rows, "risk") == ["high, irreversible"]
    assert values(rows, "undo") == ["none: this cannot be taken back"]
    assert values(rows, "account")[0].startswith(stripe_box.url)


def test_a_mail(approver: Approver, boxes: dict[str, Box]) -> None:
    with service_at(boxes["gmail"].reset().url) as plain:
        guarded = agentguard.wrap(plain, approver.session)
        raw = mail("Welcome", "We look forward to Monday.", "Ashu <ashu@acme.example>", Cc="boss@acme.example")
        guarded.users().messages().send(userId="me", body={"raw": raw}).execute()
    rows = approver.rows
    assert values(rows, "operation") == ["gmail.users.messages.send"]
    assert [to.strip('"') for to in values(rows, "to")] == ["ashu@acme.example", "boss@acme.example"]
    sent = " ".join(values(rows, "sends"))
    assert "We look forward to Monday." in sent
    assert "Welcome" in sent
    assert values(rows, "what")[0].startswith("Send a mail; a correction follows in its thread")


def test_a_message(approver: Approver, slack_box: Box) -> None:
    guarded = agentguard.wrap(WebClient("xoxb-agent", base_url=f"{slack_box.url}/api/"), approver.session)
    guarded.chat_postMessage(channel="C0GENERAL", text="Ashu starts on Monday!")
    rows = approver.rows
    assert values(rows, "operation") == ["slack.chat.postMessage"]
    assert values(rows, "to") == ['"C0GENERAL"']
    assert '"text": "Ashu starts on Monday!"' in values(rows, "sends")
    assert values(rows, "risk") == ["low, compensable"]


@pytest.mark.parametrize("text", [t for t in MISLEADING.values() if len(t) < 3000 and t.isprintable()])
def test_a_message_that_misleads(approver: Approver, slack_box: Box, text: str) -> None:
    guarded = agentguard.wrap(WebClient("xoxb-agent", base_url=f"{slack_box.url}/api/"), approver.session)
    with approver.session.because(text):
        guarded.chat_postMessage(channel="C0GENERAL", text=text)
    rows = approver.rows
    assert values(rows, "to") == ['"C0GENERAL"']
    assert values(rows, "operation") == ["slack.chat.postMessage"]
    assert len(values(rows, "target")) == len(values(rows, "reason")) == 1


@pytest.mark.parametrize(
    ("service", "call", "read"),
    [
        ("stripe", Call("charges.create", {"amount": 2500, "currency": "eur"}), ([], ["25 EUR"])),
        ("stripe", Call("charges.create", {"amount": 2500, "currency": "jpy"}), ([], ["2500 JPY"])),
        ("gmail", Call("users.messages.send", {"userId": "me", "raw": mail(to="a@x.example")}), (["a@x.example"], [])),
        ("notion", Call("pages.update", {"page_id": "p"}), ([], [])),
    ],
)
def test_recipients_and_amounts_are_read_by_the_connector(service: str, call: Call, read: Any) -> None:
    to, amounts = read_from(connector(service), call)
    assert (to, [amount.replace(".00", "") for amount in amounts]) == read


def test_what_the_call_does_not_show_is_said_so() -> None:
    _to, amounts = read_from(connector("stripe"), Call("refunds.create", {"charge": "ch_1"}))
    assert amounts[0].startswith("not known: ")
