"""Where it is easy to say, or to do, more than is true: balances, saved cards, billing periods, other accounts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import stripe

import agentguard
from agentguard import ApprovalRequired, Outcome, Session
from tests.boxes import Box
from tests.stripe import worlds


def test_a_credit_that_was_spent_since_is_not_called_taken_back(stripe_box: Box, client: Any, session: Session) -> None:
    customer = worlds.customer(client.v1).customer
    params: Any = {"amount": -500, "currency": "usd"}
    agentguard.wrap(client, session).v1.customers.balance_transactions.create(customer, params=params)
    client.v1.customers.balance_transactions.create(customer, params={"amount": 500, "currency": "usd"})
    assert [result.outcome for result in session.rollback().outcomes] == [Outcome.CONFLICT]
    assert len(stripe_box.snapshot()["balance_transactions"]) == 2


def test_several_bookings_of_one_session_are_taken_back_one_by_one(
    stripe_box: Box, client: Any, session: Session
) -> None:
    customer = worlds.customer(client.v1).customer
    book = agentguard.wrap(client, session).v1.customers.balance_transactions.create
    for amount in (-500, 200, -500):
        book(customer, params={"amount": amount, "currency": "usd"})
    assert [result.outcome for result in session.rollback().outcomes] == [Outcome.COMPENSATED] * 3
    assert stripe_box.snapshot()["customers"][customer]["balance"] == 0


def test_a_card_that_somebody_saved_before_is_not_detached(stripe_box: Box, client: Any, session: Session) -> None:
    world = worlds.attached(client.v1)
    agentguard.wrap(client, session).v1.setup_intents.create(
        params={"customer": world.customer, "payment_method": world.method, "confirm": True}
    )
    assert [result.outcome for result in session.rollback().outcomes] == [Outcome.IRREVERSIBLE]
    assert stripe_box.snapshot()["payment_methods"][world.method]["customer"] == world.customer


def test_a_card_that_was_saved_with_a_setup_intent_is_detached(stripe_box: Box, client: Any, session: Session) -> None:
    world = worlds.method(client.v1)
    agentguard.wrap(client, session).v1.setup_intents.create(
        params={"customer": world.customer, "payment_method": world.method, "confirm": True}
    )
    assert [result.outcome for result in session.rollback().outcomes] == [Outcome.COMPENSATED]
    assert stripe_box.snapshot()["payment_methods"][world.method]["customer"] is None


def test_a_change_to_another_billing_period_is_not_turned_round_into_a_second_bill(
    stripe_box: Box, client: Any, session: Session
) -> None:
    world = worlds.subscription(client.v1)
    yearly = client.v1.prices.create(
        params={"product": world.product, "currency": "usd", "unit_amount": 5000, "recurring": {"interval": "year"}}
    ).id
    v1 = agentguard.wrap(client, session).v1
    v1.subscription_items.update(world.item, params={"price": yearly})
    v1.subscriptions.update(world.subscription, params={"items": [{"id": world.item, "price": world.other}]})
    v1.subscriptions.update(world.subscription, params={"description": "x", "items": [{"price": yearly}]})
    before = stripe_box.snapshot()
    report = session.rollback()
    assert [result.outcome for result in report.outcomes] == [Outcome.IRREVERSIBLE] * 3
    assert all("whole period" in result.detail for result in report.outcomes)
    after = stripe_box.snapshot()
    assert after["subscription_items"] == before["subscription_items"]
    assert after["subscriptions"][world.subscription]["description"] is None


def test_an_invoice_that_was_paid_elsewhere_is_credited_without_a_refund(
    stripe_box: Box, client: Any, session: Session
) -> None:
    world = worlds.due(client.v1)
    agentguard.wrap(client, session).v1.invoices.pay(world.invoice, params={"paid_out_of_band": True})
    assert session.rollback().ok
    assert stripe_box.requests("POST")[-1]["body"] == {
        "invoice": world.invoice,
        "amount": "300",
        "out_of_band_amount": "300",
    }


def test_the_end_that_a_subscription_had_comes_back(stripe_box: Box, client: Any, session: Session) -> None:
    world = worlds.subscription(client.v1)
    client.v1.subscriptions.update(world.subscription, params={"cancel_at": 1900000000})
    v1 = agentguard.wrap(client, session).v1
    v1.subscriptions.update(world.subscription, params={"cancel_at_period_end": True})
    assert session.rollback().ok
    subscription = stripe_box.snapshot()["subscriptions"][world.subscription]
    assert (subscription["cancel_at"], subscription["cancel_at_period_end"]) == (1900000000, False)


def rolled_back_with(key: str, box: Box, session: Session, ledger: Path) -> agentguard.Report:
    """Take *session* back as a fresh process would, with *key*."""
    addresses: Any = dict.fromkeys(("api", "connect", "files", "meter_events"), box.url)
    other = stripe.StripeClient(key, base_addresses=addresses)
    return agentguard.load(session.id, ledger=ledger, clients={"stripe": other}).rollback()


@pytest.mark.parametrize("key", ["sk_test_acct_elsewhere", "rk_test_acct_elsewhere"])
def test_what_a_key_of_another_account_cannot_see_is_not_called_gone(
    stripe_box: Box, client: Any, session: Session, ledger: Path, key: str
) -> None:
    theirs = stripe.StripeClient(key, base_addresses={"api": stripe_box.url})
    agentguard.wrap(client, session).v1.coupons.create(params={"id": "SUMMER", "percent_off": 5, "duration": "once"})
    agentguard.wrap(client, session).v1.coupons.create(params={"id": "WINTER", "percent_off": 5, "duration": "once"})
    theirs.v1.coupons.create(params={"id": "SUMMER", "percent_off": 5, "duration": "once"})
    before = stripe_box.snapshot()
    if key.startswith("rk_"):
        message = "The provided key 'rk_*' does not have the required permissions on account 'acct_elsewhere'."
        stripe_box.fault("status_before", "GET", "/v1/account$", status=403, body={"error": {"message": message}})
    report = rolled_back_with(key, stripe_box, session, ledger)
    assert [result.outcome for result in report.outcomes] == [Outcome.FAILED] * 2
    assert all("acct_sandbox test" in result.detail for result in report.outcomes)
    assert stripe_box.snapshot() == before
    assert rolled_back_with("sk_test_another", stripe_box, session, ledger).ok
    assert set(stripe_box.snapshot()) == {"acct_elsewhere/coupons"}


def test_a_key_of_the_other_mode_takes_nothing_back(
    stripe_box: Box, client: Any, session: Session, ledger: Path
) -> None:
    agentguard.wrap(client, session).v1.coupons.create(params={"percent_off": 5, "duration": "once"})
    account: Any = {"id": "acct_sandbox", "object": "account"}
    stripe_box.fault("status_before", "GET", "/v1/account$", status=200, body=account)
    report = rolled_back_with("sk_live_1", stripe_box, session, ledger)
    assert [result.outcome for result in report.outcomes] == [Outcome.FAILED]
    assert "acct_sandbox live" in report.outcomes[0].detail


def test_a_client_that_does_not_say_whose_it_is_takes_nothing_back(
    stripe_box: Box, client: Any, session: Session, ledger: Path
) -> None:
    agentguard.wrap(client, session).v1.coupons.create(params={"percent_off": 5, "duration": "once"})
    stripe_box.fault("status_before", "GET", "/v1/account$", status=500)
    assert [r.outcome for r in rolled_back_with("sk_test_123", stripe_box, session, ledger).outcomes] == [
        Outcome.FAILED
    ]
    assert rolled_back_with("sk_test_123", stripe_box, session, ledger).ok


def test_what_was_done_before_it_could_be_asked_whose_account_it_is_can_be_taken_back(
    stripe_box: Box, client: Any, session: Session, ledger: Path
) -> None:
    stripe_box.fault("drop_before", "GET", "/v1/account$")
    agentguard.wrap(client, session).v1.coupons.create(params={"percent_off": 5, "duration": "once"})
    assert [call.base for call in session.calls] == [stripe_box.url]
    assert rolled_back_with("sk_test_123", stripe_box, session, ledger).ok


@pytest.mark.parametrize(
    "do",
    [
        lambda v1, w: v1.customers.update(w.customer, params={"balance": -90000}),
        lambda v1, w: v1.customers.create(params={"balance": -90000}),
        lambda v1, w: v1.invoices.update(w.invoice, params={"auto_advance": True}),
        lambda v1, w: v1.invoices.create(params={"customer": w.customer, "auto_advance": True}),
    ],
    ids=["balance", "balance of a new customer", "auto_advance", "auto_advance of a new invoice"],
)
def test_an_argument_that_moves_money_makes_a_harmless_call_ask_a_person(
    stripe_box: Box, client: Any, ledger: Path, do: Any
) -> None:
    world = worlds.draft(client.v1)
    before = stripe_box.snapshot()
    with agentguard.session(agent="t", intent="t", ledger=ledger) as session, pytest.raises(ApprovalRequired):
        do(agentguard.wrap(client, session).v1, world)
    assert stripe_box.snapshot() == before


def test_a_draft_that_was_finalized_since_is_not_called_restored(
    stripe_box: Box, client: Any, session: Session
) -> None:
    world = worlds.draft(client.v1)
    agentguard.wrap(client, session).v1.invoices.update(world.invoice, params={"auto_advance": True})
    client.v1.invoices.finalize_invoice(world.invoice)
    assert [result.outcome for result in session.rollback().outcomes] == [Outcome.CONFLICT]


def test_a_draft_to_which_somebody_added_items_is_not_deleted(stripe_box: Box, client: Any, session: Session) -> None:
    world = worlds.customer(client.v1)
    made = agentguard.wrap(client, session).v1.invoices.create(params={"customer": world.customer})
    item: Any = {"customer": world.customer, "invoice": made.id, "amount": 700, "currency": "usd"}
    client.v1.invoice_items.create(params=item)
    assert [result.outcome for result in session.rollback().outcomes] == [Outcome.CONFLICT]
    assert made.id in stripe_box.snapshot()["invoices"]


@pytest.mark.parametrize(
    "theirs",
    [
        lambda v1, name: v1.customers.payment_sources.create(name, params={"source": "tok_visa"}),
        lambda v1, name: v1.customers.balance_transactions.create(name, params={"amount": -5, "currency": "usd"}),
    ],
    ids=["a card", "a credit"],
)
def test_a_customer_that_somebody_gave_something_to_is_not_deleted(
    stripe_box: Box, client: Any, session: Session, theirs: Any
) -> None:
    made = agentguard.wrap(client, session).v1.customers.create(params={"name": "Ada"})
    theirs(client.v1, made.id)
    assert [result.outcome for result in session.rollback().outcomes] == [Outcome.CONFLICT]
    assert client.v1.customers.retrieve(made.id).name == "Ada"
