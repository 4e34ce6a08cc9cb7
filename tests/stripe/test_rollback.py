"""What a rollback makes of Stripe's answers: lost ones, declines, other people's changes, pieces of work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import stripe

import agentguard
from agentguard import CallState, Outcome, Session
from tests.boxes import Box
from tests.stripe import worlds

# What became of it


def test_a_customer_whose_answer_was_lost_is_found_by_its_key_and_deleted(
    stripe_box: Box, client: Any, session: Session
) -> None:
    same = client.v1.customers.create(params={"name": "Ada"})
    stripe_box.fault("drop_after")
    with pytest.raises(stripe.APIConnectionError):
        agentguard.wrap(client, session).v1.customers.create(params={"name": "Ada"})
    report = session.rollback()
    assert [result.outcome for result in report.outcomes] == [Outcome.COMPENSATED]
    customers = stripe_box.snapshot()["customers"]
    assert [name for name, customer in customers.items() if not customer.get("deleted")] == [same.id]


def test_a_payment_whose_answer_was_lost_is_found_by_its_key_and_refunded(
    stripe_box: Box, client: Any, session: Session
) -> None:
    intent = client.v1.payment_intents.create(
        params={"amount": 500, "currency": "usd", "payment_method": "pm_card_visa"}
    )
    stripe_box.fault("status_after", status=500)
    with pytest.raises(stripe.APIError):
        agentguard.wrap(client, session).v1.payment_intents.confirm(intent.id)
    assert session.rollback().ok
    (charge,) = stripe_box.snapshot()["charges"].values()
    assert charge["refunded"]


def test_a_create_that_never_arrived_is_known_not_to_have_happened_and_nothing_is_deleted(
    stripe_box: Box, client: Any, session: Session
) -> None:
    client.v1.customers.create(params={"name": "Ada"})
    stripe_box.fault("drop_before")
    with pytest.raises(stripe.APIConnectionError):
        agentguard.wrap(client, session).v1.customers.create(params={"name": "Ada"})
    before = stripe_box.snapshot()
    assert session.rollback().ok
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED]
    assert stripe_box.snapshot() == before


def test_a_declined_card_raises_the_sdk_s_error_and_the_intent_it_left_is_cancelled(
    stripe_box: Box, client: Any, session: Session
) -> None:
    params = {"amount": 500, "currency": "usd", "payment_method": "pm_card_chargeDeclined", "confirm": True}
    with pytest.raises(stripe.CardError):
        agentguard.wrap(client, session).v1.payment_intents.create(params=params)  # type: ignore[arg-type]  # a plain dict
    assert session.rollback().ok
    (intent,) = stripe_box.snapshot()["payment_intents"].values()
    assert intent["status"] == "canceled"


def test_a_declined_charge_did_not_happen(stripe_box: Box, client: Any, session: Session) -> None:
    with pytest.raises(stripe.CardError):
        agentguard.wrap(client, session).v1.charges.create(
            params={"amount": 5, "currency": "usd", "source": "tok_chargeDeclined"}
        )
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED]


def test_a_request_whose_key_is_in_use_is_in_doubt(stripe_box: Box, client: Any, session: Session) -> None:
    stripe_box.fault("status_after", status=409)
    with pytest.raises(stripe.StripeError):
        agentguard.wrap(client, session).v1.customers.create(params={"name": "Ada"})
    assert [call.state for call in session.calls] == [CallState.IN_DOUBT]


def test_what_was_made_for_a_connected_account_is_taken_back_there(
    stripe_box: Box, client: Any, session: Session
) -> None:
    wrapped = agentguard.wrap(client, session)
    options: Any = {"stripe_account": "acct_1"}
    made = wrapped.v1.customers.create(params={"name": "Ada"}, options=options)
    wrapped.v1.customers.update(made.id, params={"name": "Bo"}, options=options)
    report = session.rollback()
    assert report.ok, str(report)
    assert stripe_box.snapshot()["acct_1/customers"][made.id]["deleted"]


# Somebody else


def test_what_somebody_changed_since_is_left_alone(stripe_box: Box, client: Any, session: Session) -> None:
    made = client.v1.customers.create(params={"name": "Ada", "metadata": {"a": "1"}})
    agentguard.wrap(client, session).v1.customers.update(made.id, params={"metadata": {"a": "2"}})
    client.v1.customers.update(made.id, params={"metadata": {"a": "3"}})
    report = session.rollback()
    assert [result.outcome for result in report.outcomes] == [Outcome.CONFLICT]
    assert client.v1.customers.retrieve(made.id).metadata["a"] == "3"


def test_what_somebody_added_beside_it_stays(stripe_box: Box, client: Any, session: Session) -> None:
    made = client.v1.customers.create(params={"name": "Ada", "metadata": {"a": "1"}})
    agentguard.wrap(client, session).v1.customers.update(made.id, params={"metadata": {"a": "2", "new": "x"}})
    client.v1.customers.update(made.id, params={"metadata": {"theirs": "3"}, "phone": "1"})
    report = session.rollback()
    assert [result.outcome for result in report.outcomes] == [Outcome.RESTORED]
    now = client.v1.customers.retrieve(made.id)
    assert now.metadata.to_dict() == {"a": "1", "theirs": "3"}
    assert now.phone == "1"


def test_a_customer_that_somebody_subscribed_since_is_not_deleted(
    stripe_box: Box, client: Any, session: Session
) -> None:
    wrapped = agentguard.wrap(client, session)
    made = wrapped.v1.customers.create(params={"name": "Ada", "source": "tok_visa"})
    product = client.v1.products.create(params={"name": "Desk"})
    price = client.v1.prices.create(
        params={"product": product.id, "currency": "usd", "unit_amount": 5, "recurring": {"interval": "month"}}
    )
    client.v1.subscriptions.create(params={"customer": made.id, "items": [{"price": price.id}]})
    assert [result.outcome for result in session.rollback().outcomes] == [Outcome.CONFLICT]


def test_a_charge_that_was_refunded_since_is_not_refunded_again(stripe_box: Box, client: Any, session: Session) -> None:
    charge = agentguard.wrap(client, session).v1.charges.create(
        params={"amount": 900, "currency": "usd", "source": "tok_visa"}
    )
    client.v1.refunds.create(params={"charge": charge.id, "amount": 300})
    assert [result.outcome for result in session.rollback().outcomes] == [Outcome.CONFLICT]
    client.v1.refunds.create(params={"charge": charge.id})
    assert [result.outcome for result in session.rollback().outcomes] == [Outcome.ALREADY_UNDONE]


def test_what_cannot_be_written_back_is_said(stripe_box: Box, client: Any, session: Session) -> None:
    made = client.v1.customers.create(params={"name": "Ada"})
    wrapped = agentguard.wrap(client, session)
    wrapped.v1.customers.update(made.id, params={"name": "Bo", "source": "tok_visa"})
    wrapped.v1.customers.update(made.id, params={"source": "tok_visa"})
    report = session.rollback()
    assert [result.outcome for result in report.outcomes] == [Outcome.IRREVERSIBLE, Outcome.IRREVERSIBLE]
    assert all("source" in result.detail for result in report.outcomes)
    assert client.v1.customers.retrieve(made.id).name == "Ada"


# A whole piece of work


def test_a_chain_from_customer_to_paid_invoice_is_taken_back_newest_first(
    stripe_box: Box, client: Any, session: Session
) -> None:
    v1 = agentguard.wrap(client, session).v1
    customer = v1.customers.create(params={"name": "Ada", "source": "tok_visa"})
    invoice = v1.invoices.create(params={"customer": customer.id})
    v1.invoice_items.create(params={"customer": customer.id, "invoice": invoice.id, "amount": 800, "currency": "usd"})
    v1.invoices.finalize_invoice(invoice.id)
    v1.invoices.pay(invoice.id)
    report = session.rollback()
    state = stripe_box.snapshot()
    assert report.ok, str(report)
    assert all(charge["refunded"] for charge in state["charges"].values())
    assert [str(result.outcome) for result in report.outcomes] == [
        "compensated",
        "already_undone",
        "already_undone",
        "already_undone",
        "compensated",
    ]


def test_an_intent_that_was_confirmed_in_the_same_session_comes_out_well(
    stripe_box: Box, client: Any, session: Session
) -> None:
    v1 = agentguard.wrap(client, session).v1
    intent = v1.payment_intents.create(params={"amount": 500, "currency": "usd", "payment_method": "pm_card_visa"})
    v1.payment_intents.update(intent.id, params={"description": "Chair"})
    v1.payment_intents.confirm(intent.id)
    report = session.rollback()
    assert report.ok, str(report)
    assert [result.outcome for result in report.outcomes] == [
        Outcome.COMPENSATED,
        Outcome.RESTORED,
        Outcome.ALREADY_UNDONE,
    ]


ELSEWHERE = """
import os, sys
import agentguard
from agentguard_connectors.stripe import stripe
client = stripe.account.client(os.environ)
report = agentguard.load(sys.argv[1], ledger=sys.argv[2], clients={"stripe": client}).rollback(agreed=True)
print(*[result.outcome for result in report.outcomes])
"""


def test_another_process_takes_back_what_this_one_did_in_two_accounts(
    stripe_box: Box, client: Any, session: Session, ledger: Path
) -> None:
    wrapped = agentguard.wrap(client, session)
    params: Any = {"name": "Ada", "metadata": {"a": "1"}}
    made = wrapped.v1.customers.create(params=params, options={"stripe_account": "acct_1"})
    wrapped.v1.customers.update(made.id, params={"metadata": {"a": "2"}}, options={"stripe_account": "acct_1"})
    wrapped.v1.charges.create(params={"amount": 5, "currency": "usd", "source": "tok_visa"})
    stripe_box.fault("drop_after")
    with pytest.raises(stripe.APIConnectionError):
        wrapped.v1.charges.create(params={"amount": 7, "currency": "usd", "source": "tok_visa"})
    environment = {**os.environ, "STRIPE_API_KEY": "sk_test_123", "STRIPE_API_BASE": stripe_box.url}
    command = [sys.executable, "-c", ELSEWHERE, session.id, str(ledger)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["compensated", "compensated", "restored", "compensated"], done.stderr
    state = stripe_box.snapshot()
    assert all(charge["refunded"] for charge in state["charges"].values())
    assert state["acct_1/customers"][made.id]["deleted"]


def test_a_price_that_is_taken_off_again_is_not_prorated_a_second_time(
    stripe_box: Box, client: Any, session: Session
) -> None:
    world = worlds.subscription(client.v1)
    v1 = agentguard.wrap(client, session).v1
    v1.subscription_items.create(params={"subscription": world.subscription, "price": world.other})
    v1.subscription_items.update(world.item, params={"quantity": 4})
    before = len(stripe_box.snapshot()["invoiceitems"])
    assert session.rollback().ok
    assert len(stripe_box.snapshot()["invoiceitems"]) == before


def test_money_that_was_passed_on_is_called_back_with_the_refund(
    stripe_box: Box, client: Any, session: Session
) -> None:
    agentguard.wrap(client, session).v1.payment_intents.create(
        params={
            "amount": 500,
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "confirm": True,
            "transfer_data": {"destination": "acct_2"},
            "application_fee_amount": 50,
        }
    )
    assert session.rollback().ok
    assert stripe_box.requests("POST")[-1]["body"] == {
        "payment_intent": next(iter(stripe_box.snapshot()["payment_intents"])),
        "reverse_transfer": "true",
        "refund_application_fee": "true",
    }


def test_a_test_card_that_was_attached_by_its_name_is_detached_by_its_id(
    stripe_box: Box, client: Any, session: Session
) -> None:
    customer = worlds.customer(client.v1).customer
    v1 = agentguard.wrap(client, session).v1
    made = v1.payment_methods.attach("pm_card_visa", params={"customer": customer})
    assert session.rollback().ok
    assert stripe_box.snapshot()["payment_methods"][made.id]["customer"] is None


def test_what_an_earlier_request_with_the_caller_s_key_made_is_not_taken_back(
    stripe_box: Box, client: Any, session: Session
) -> None:
    options: Any = {"idempotency_key": "order-17"}
    there = client.v1.customers.create(params={"name": "Ada"}, options=options)
    made = agentguard.wrap(client, session).v1.customers.create(params={"name": "Ada"}, options=options)
    assert made.id == there.id
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED]
    assert session.rollback().ok
    assert stripe_box.snapshot()["customers"][there.id]["name"] == "Ada"


def test_a_call_repeated_with_the_caller_s_key_after_its_answer_was_lost_is_taken_back_once(
    stripe_box: Box, client: Any, session: Session
) -> None:
    wrapped = agentguard.wrap(client, session)
    params: Any = {"amount": 5, "currency": "usd", "source": "tok_visa"}
    stripe_box.fault("drop_after")
    with pytest.raises(stripe.APIConnectionError):
        wrapped.v1.charges.create(params=params, options={"idempotency_key": "mine"})
    wrapped.v1.charges.create(params=params, options={"idempotency_key": "mine"})
    assert session.rollback().ok
    assert len(stripe_box.snapshot()["refunds"]) == 1


def test_a_capture_whose_answer_was_lost_is_seen_on_the_charge_and_refunded(
    stripe_box: Box, client: Any, session: Session
) -> None:
    world = worlds.charge(client.v1, capture=False)
    stripe_box.fault("drop_after")
    with pytest.raises(stripe.APIConnectionError):
        agentguard.wrap(client, session).v1.charges.capture(world.charge)
    assert session.rollback().ok
    assert stripe_box.snapshot()["charges"][world.charge]["refunded"]


def test_what_somebody_deleted_since_is_undone_already_if_its_kind_can_still_be_seen(
    stripe_box: Box, client: Any, session: Session
) -> None:
    made = agentguard.wrap(client, session).v1.coupons.create(params={"percent_off": 5, "duration": "once"})
    client.v1.coupons.delete(made.id)
    stripe_box.fault("status_before", verb="GET", path="/v1/coupons$", status=401)
    assert [result.outcome for result in session.rollback().outcomes] == [Outcome.FAILED]
    assert [result.outcome for result in session.rollback().outcomes] == [Outcome.ALREADY_UNDONE]


def test_an_answer_is_found_beyond_the_first_page_of_events(stripe_box: Box, client: Any, session: Session) -> None:
    stripe_box.fault("drop_after")
    with pytest.raises(stripe.APIConnectionError):
        agentguard.wrap(client, session).v1.coupons.create(params={"percent_off": 5, "duration": "once"})
    for _other in range(101):
        client.v1.coupons.create(params={"percent_off": 7, "duration": "once"})
    assert [result.outcome for result in session.rollback().outcomes] == [Outcome.RESTORED]
    assert len(stripe_box.snapshot()["coupons"]) == 101


def test_a_plan_in_tiers_comes_back_in_tiers(stripe_box: Box, client: Any, session: Session) -> None:
    tiers: Any = [{"up_to": 10, "unit_amount": 5}, {"up_to": "inf", "unit_amount": 3}]
    params: Any = {
        "id": "tiered",
        "currency": "usd",
        "interval": "month",
        "billing_scheme": "tiered",
        "tiers_mode": "graduated",
        "tiers": tiers,
        "product": worlds.product(client.v1).product,
    }
    client.v1.plans.create(params=params)
    before = stripe_box.snapshot()["plans"]["tiered"]
    agentguard.wrap(client, session).v1.plans.delete("tiered")
    assert session.rollback().ok
    assert {**stripe_box.snapshot()["plans"]["tiered"], "created": 0} == {**before, "created": 0}
