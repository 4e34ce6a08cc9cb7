"""A policy in force: real SDKs, real requests, and what the services' own logs say of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import github
import pytest
import stripe
from slack_sdk import WebClient

import agentguard
from agentguard import ApprovalRequired
from agentguard.calls import CallState
from agentguard.errors import Blocked
from agentguard.policy import AmountAbove, Condition, Limit, Policy, Rule, Verdict
from tests.boxes import Box
from tests.gmail.world import mail, service_at
from tests.policy.test_document import DOCUMENT

Start = Callable[..., agentguard.Session]


@pytest.fixture
def start(ledger: Path) -> Start:
    def start(policy: Policy | str | Path | None, **more: Any) -> agentguard.Session:
        return agentguard.session(agent="a", intent="i", ledger=ledger, policy=policy, on_error="leave", **more)

    return start


@pytest.fixture
def slack(boxes: dict[str, Box]) -> WebClient:
    return WebClient("xoxb-agent-token", base_url=f"{boxes['slack'].reset().url}/api/")


@pytest.fixture
def mailbox(boxes: dict[str, Box]) -> Iterator[Any]:
    with service_at(boxes["gmail"].reset().url) as service:
        yield service


def send(gmail: Any, to: str, **headers: str) -> None:
    gmail.users().messages().send(userId="me", body={"raw": mail(to=to, **headers)}).execute()


def test_a_call_that_a_rule_refuses_is_not_sent(boxes: dict[str, Box], slack: WebClient, start: Start) -> None:
    rule = Rule(name="quiet", operations="slack.chat.*", then=Verdict.REFUSE, reason="Nobody is to be disturbed")
    session = start(Policy([rule]), approver=lambda _card: True)
    with pytest.raises(Blocked, match="Nobody is to be disturbed"), session:
        agentguard.wrap(slack, session).chat_postMessage(channel="C0RANDOM", text="hi")
    assert boxes["slack"].effects() == []
    assert [(call.state, call.rule is not None and "quiet" in call.rule) for call in session.calls] == [
        (CallState.REFUSED, True)
    ]


def test_mail_goes_inside_and_asks_outside(boxes: dict[str, Box], mailbox: Any, start: Start) -> None:
    outside = Condition(argument="to", domain_not_in=["acme.com"])
    policy = Policy([Rule(operations="gmail.users.messages.send", when=outside, then=Verdict.ASK)])
    cards: list[agentguard.Card] = []
    session = start(policy, approver=lambda card: cards.append(card) or False)
    with session:
        gmail = agentguard.wrap(mailbox, session)
        send(gmail, "ashu@acme.com")
        with pytest.raises(agentguard.ApprovalDenied):
            send(gmail, "ashu@acme.com", Bcc="eve@other.com")
    assert len(boxes["gmail"].effects()) == 1
    assert len(cards) == 1


def test_a_rule_lets_a_call_of_high_risk_go_without_asking(boxes: dict[str, Box], start: Start) -> None:
    client = stripe.StripeClient("sk_test_123", base_addresses={"api": boxes["stripe"].reset().url})
    small = Condition(not_=Condition(amount_above=AmountAbove(value=50, currency="USD")))
    session = start(Policy([Rule(operations="stripe.charges.create", when=small, then=Verdict.ALLOW)]))
    with session:
        v1 = agentguard.wrap(client, session).v1
        v1.charges.create(params={"amount": 5000, "currency": "usd", "source": "tok_visa"})
        for more in ({"amount": 5001, "currency": "usd"}, {"amount": 10, "currency": "eur"}):
            with pytest.raises(ApprovalRequired):
                v1.charges.create(params={"source": "tok_visa", **more})  # type: ignore[typeddict-item]  # as a program
    assert [charge["amount"] for charge in boxes["stripe"].snapshot()["charges"].values()] == [5000]


def test_a_limit_of_calls_stops_the_one_too_many(boxes: dict[str, Box], slack: WebClient, start: Start) -> None:
    limit = Limit(name="posts", operations="slack.chat.postMessage", count=2, then=Verdict.REFUSE)
    session = start(Policy(limits=[limit]))
    with session:
        guarded = agentguard.wrap(slack, session)
        for text in ("one", "two"):
            guarded.chat_postMessage(channel="C0RANDOM", text=text)
        with pytest.raises(Blocked, match="posts"):
            guarded.chat_postMessage(channel="C0RANDOM", text="three")
    assert len(boxes["slack"].effects()) == 2
    other = start(Policy(limits=[limit]))
    with other:  # the limit is for each session
        agentguard.wrap(slack, other).chat_postMessage(channel="C0RANDOM", text="four")
    assert len(boxes["slack"].effects()) == 3


def test_the_document_is_obeyed_as_it_stands(boxes: dict[str, Box], tmp_path: Path, start: Start) -> None:
    path = tmp_path / "policy.json"
    path.write_text(DOCUMENT)
    box = boxes["github"].reset()
    hub = github.Github(auth=github.Auth.Token("t"), base_url=box.url, seconds_between_writes=None)
    cards: list[agentguard.Card] = []
    session = start(path, approver=lambda card: cards.append(card) or False)
    with session:
        guarded = agentguard.wrap(hub, session)
        with pytest.raises(agentguard.ApprovalDenied):
            guarded.get_repo("acme/hr").delete()
    assert box.requests("DELETE") == []
    assert [(card.operation, str(card.risk)) for card in cards] == [("github.repos.delete", "critical")]


def test_a_policy_that_cannot_be_used_starts_nothing(tmp_path: Path, ledger: Path, start: Start) -> None:
    path = tmp_path / "policy.toml"
    path.write_text("[[policy.rules]]\noperations = ['slack.chat.postMesage']\nthen = 'refuse'\n")
    with pytest.raises(agentguard.ConfigError, match=r"rules\[0\]\.operations\[0\]: .*slack.chat.postMessage"):
        start(path)
    assert not ledger.exists()
