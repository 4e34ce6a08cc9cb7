"""The stand-in against what Stripe documents: errors, idempotency, refunds, states, lists."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import stripe

from tests.boxes import Box
from tests.stripe import worlds

CARD = {"amount": 1000, "currency": "usd", "source": "tok_visa"}


@pytest.fixture
def v1(client: Any) -> Any:
    return client.v1


def test_without_a_key_nothing_is_answered(stripe_box: Box) -> None:
    client = stripe.StripeClient("nonsense", base_addresses={"api": stripe_box.url})
    with pytest.raises(stripe.AuthenticationError, match="Invalid API Key"):
        client.v1.customers.list()


@pytest.mark.parametrize(
    ("params", "code", "param"),
    [
        ({**CARD, "sourc": "x"}, "parameter_unknown", "sourc"),
        ({"amount": 5}, "parameter_missing", "currency"),
        ({**CARD, "amount": "five"}, "parameter_invalid_integer", "amount"),
        ({**CARD, "source": "tok_none"}, "resource_missing", "source"),
    ],
)
def test_wrong_parameters_are_refused(v1: Any, params: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        v1.charges.create(params=params)
    assert (caught.value.code, caught.value.param, caught.value.http_status) == (code, param, 400)


def test_what_is_not_there_is_missing(v1: Any) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        v1.customers.retrieve("cus_0")
    assert (caught.value.code, caught.value.http_status) == ("resource_missing", 404)


def test_a_deleted_customer_goes_on_saying_so_and_a_deleted_coupon_is_gone(v1: Any) -> None:
    customer = worlds.customer(v1).customer
    v1.customers.delete(customer)
    assert v1.customers.retrieve(customer).deleted
    assert v1.customers.list().data == []
    coupon = worlds.coupon(v1).coupon
    v1.coupons.delete(coupon)
    with pytest.raises(stripe.InvalidRequestError):
        v1.coupons.retrieve(coupon)


def test_a_key_replays_the_first_answer_and_refuses_other_parameters(stripe_box: Box, v1: Any) -> None:
    options = {"idempotency_key": "k"}
    first = v1.charges.create(params=CARD, options=options)
    again = v1.charges.create(params=CARD, options=options)
    assert first == again
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert len(stripe_box.snapshot()["charges"]) == 1
    with pytest.raises(stripe.IdempotencyError):
        v1.charges.create(params={**CARD, "amount": 7}, options=options)


def test_a_decline_and_a_breakdown_are_replayed_and_a_wrong_parameter_is_not(v1: Any) -> None:
    for source, error in (("tok_chargeDeclined", stripe.CardError), ("tok_internalError", stripe.APIError)):
        for _attempt in range(2):
            with pytest.raises(error) as caught:
                v1.charges.create(params={**CARD, "source": source}, options={"idempotency_key": source})
        assert caught.value.headers["Idempotent-Replayed"] == "true"
    with pytest.raises(stripe.InvalidRequestError):
        v1.charges.create(params={**CARD, "x": "y"}, options={"idempotency_key": "w"})
    assert v1.charges.create(params=CARD, options={"idempotency_key": "w"}).paid


def test_a_refusal_of_what_was_begun_is_replayed_as_well(v1: Any) -> None:
    charge = worlds.charge(v1).charge
    v1.refunds.create(params={"charge": charge})
    for _attempt in range(2):
        with pytest.raises(stripe.InvalidRequestError, match="already been refunded") as caught:
            v1.refunds.create(params={"charge": charge}, options={"idempotency_key": "k"})
    assert caught.value.headers is not None
    assert caught.value.headers["Idempotent-Replayed"] == "true"


def test_an_answer_that_was_lost_is_replayed(stripe_box: Box, v1: Any) -> None:
    stripe_box.fault("drop_after")
    with pytest.raises(stripe.APIConnectionError):
        v1.charges.create(params=CARD, options={"idempotency_key": "k", "max_network_retries": 0})
    again = v1.charges.create(params=CARD, options={"idempotency_key": "k"})
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert len(stripe_box.snapshot()["charges"]) == 1


def test_a_key_is_forgotten_after_a_day_and_not_before(stripe_box: Box, v1: Any) -> None:
    options = {"idempotency_key": "k"}
    first = v1.charges.create(params=CARD, options=options)
    stripe_box._call("clock", {"advance": 24 * 3600 - 60})
    assert v1.charges.create(params=CARD, options=options).id == first.id
    stripe_box._call("clock", {"advance": 120})
    assert v1.charges.create(params=CARD, options=options).id != first.id


def test_version_2_keeps_keys_for_30_days_and_does_again_what_failed(stripe_box: Box, client: Any) -> None:
    def create(name: str) -> Any:
        given: Any = {"name": name, "type": "webhook_endpoint", "event_payload": "thin", "enabled_events": ["*"]}
        return client.v2.core.event_destinations.create(params=given, options={"idempotency_key": "k"})

    first = create("d")
    stripe_box._call("clock", {"advance": 29 * 24 * 3600})
    assert create("d").id == first.id
    stripe_box._call("clock", {"advance": 2 * 24 * 3600})
    assert create("d").id != first.id
    for _attempt in range(2):
        with pytest.raises(stripe.StripeError) as caught:
            client.v2.core.event_destinations.update("ed_none", options={"idempotency_key": "other"})
        assert "Idempotent-Replayed" not in (caught.value.headers or {})


def test_a_key_is_in_use_while_its_request_is_at_work_and_other_requests_are_answered(
    stripe_box: Box, client: Any, v1: Any
) -> None:
    stripe_box._call("slow", {"path": "/v1/charges$", "seconds": 0.5})
    options = {"idempotency_key": "k", "max_network_retries": 0}
    with ThreadPoolExecutor() as pool:
        first = pool.submit(v1.charges.create, params=CARD, options=options)
        while not stripe_box.requests("POST"):
            time.sleep(0.01)
        with pytest.raises(stripe.StripeError) as caught:
            v1.charges.create(params=CARD, options=options)
        assert caught.value.http_status == 409
        assert "another in-progress request using this Idempotent Key" in str(caught.value)
        assert v1.customers.create(params={"name": "Ada"}).name == "Ada"
        assert not first.done()
    assert v1.charges.create(params=CARD, options=options).id == first.result().id
    assert len(stripe_box.snapshot()["charges"]) == 1


def test_keys_of_two_accounts_do_not_meet(stripe_box: Box, v1: Any) -> None:
    options = {"idempotency_key": "k"}
    here = v1.customers.create(params={"name": "Ada"}, options=options)
    there = v1.customers.create(params={"name": "Ada"}, options={**options, "stripe_account": "acct_1"})
    assert here.id != there.id


def test_events_can_be_kept_back(stripe_box: Box, v1: Any) -> None:
    v1.customers.create(params={"name": "Ada"})
    stripe_box._call("events", {"held": True})
    v1.customers.create(params={"name": "Bo"})
    assert [event.data.object["name"] for event in v1.events.list().data] == ["Ada"]
    stripe_box._call("events", {"held": False})
    assert [event.data.object["name"] for event in v1.events.list().data] == ["Bo", "Ada"]


def test_archived_prices_and_canceled_subscriptions_are_listed_where_they_are_asked_for(v1: Any) -> None:
    world = worlds.subscription(v1)
    v1.subscriptions.cancel(world.subscription)
    assert v1.subscriptions.list().data == []
    assert [s.id for s in v1.subscriptions.list(params={"status": "all"}).data] == [world.subscription]
    v1.prices.update(world.other, params={"active": False})
    assert [p.id for p in v1.prices.list().data] == [world.price]
    assert [p.id for p in v1.prices.list(params={"active": False}).data] == [world.other]


def test_refunds_add_up_and_go_no_further(v1: Any) -> None:
    charge = v1.charges.create(params=CARD).id
    assert v1.refunds.create(params={"charge": charge, "amount": 400}).amount == 400
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded amount"):
        v1.refunds.create(params={"charge": charge, "amount": 601})
    assert v1.refunds.create(params={"charge": charge}).amount == 600
    assert v1.charges.retrieve(charge).refunded
    with pytest.raises(stripe.InvalidRequestError) as caught:
        v1.refunds.create(params={"charge": charge})
    assert caught.value.code == "charge_already_refunded"


def test_an_intent_goes_through_its_states(v1: Any) -> None:
    intent = v1.payment_intents.create(params={"amount": 1000, "currency": "usd", "capture_method": "manual"})
    assert intent.status == "requires_payment_method"
    intent = v1.payment_intents.update(intent.id, params={"payment_method": "pm_card_visa"})
    assert intent.status == "requires_confirmation"
    intent = v1.payment_intents.confirm(intent.id)
    assert (intent.status, intent.amount_capturable) == ("requires_capture", 1000)
    intent = v1.payment_intents.capture(intent.id, params={"amount_to_capture": 300})
    assert (intent.status, intent.amount_received) == ("succeeded", 300)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        v1.payment_intents.cancel(intent.id)
    assert caught.value.code == "payment_intent_unexpected_state"


def test_a_declined_intent_asks_for_another_method(v1: Any) -> None:
    intent = worlds.intent(v1, payment_method="pm_card_chargeDeclined").intent
    with pytest.raises(stripe.CardError) as caught:
        v1.payment_intents.confirm(intent)
    assert (caught.value.http_status, caught.value.code) == (402, "card_declined")
    assert v1.payment_intents.retrieve(intent).status == "requires_payment_method"


def test_a_detached_payment_method_stays_detached(v1: Any) -> None:
    world = worlds.attached(v1)
    v1.payment_methods.detach(world.method)
    with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
        v1.payment_methods.attach(world.method, params={"customer": world.customer})


def test_metadata_is_merged_and_an_empty_value_deletes(v1: Any) -> None:
    customer = worlds.customer(v1).customer
    changed = v1.customers.update(customer, params={"metadata": {"plan": "", "new": "x"}})
    assert changed.metadata.to_dict() == {"region": "eu", "new": "x"}
    assert v1.customers.update(customer, params={"metadata": ""}).metadata.to_dict() == {}


def test_lists_come_in_pages_newest_first_and_by_time(v1: Any) -> None:
    made = [v1.coupons.create(params={"percent_off": n, "duration": "once"}) for n in range(1, 6)]
    page = v1.coupons.list(params={"limit": 2})
    assert ([c.id for c in page.data], page.has_more) == ([made[4].id, made[3].id], True)
    assert [c.id for c in page.auto_paging_iter()] == [c.id for c in reversed(made)]
    late = v1.coupons.list(params={"created": {"gte": made[2].created}})
    assert [c.id for c in late.data] == [c.id for c in reversed(made[2:])]


def test_a_product_with_a_price_cannot_be_deleted(v1: Any) -> None:
    world = worlds.price(v1)
    with pytest.raises(stripe.InvalidRequestError, match="cannot be deleted"):
        v1.products.delete(world.product)


def test_an_invoice_is_drafted_finalized_and_paid_and_then_stays(v1: Any) -> None:
    world = worlds.due(v1)
    assert v1.invoices.retrieve(world.invoice).status == "open"
    assert v1.invoices.pay(world.invoice).amount_paid == 300
    for attempt in (v1.invoices.void_invoice, v1.invoices.delete, v1.invoices.pay):
        with pytest.raises(stripe.InvalidRequestError):
            attempt(world.invoice)


def test_a_canceled_subscription_stays_canceled(v1: Any) -> None:
    world = worlds.subscription(v1)
    assert v1.subscriptions.update(world.subscription, params={"cancel_at_period_end": True}).cancel_at_period_end
    assert v1.subscriptions.cancel(world.subscription).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError):
        v1.subscriptions.update(world.subscription, params={"cancel_at_period_end": True})
    with pytest.raises(stripe.InvalidRequestError):
        v1.subscriptions.cancel(world.subscription)


def test_an_event_names_the_key_of_the_request_behind_it(v1: Any) -> None:
    v1.customers.create(params={"name": "Ada"}, options={"idempotency_key": "mine"})
    (event,) = v1.events.list(params={"types": ["customer.created"]}).data
    assert (event.type, event.request.idempotency_key) == ("customer.created", "mine")


def test_one_account_does_not_see_what_another_has(v1: Any) -> None:
    made = v1.customers.create(params={"name": "Ada"}, options={"stripe_account": "acct_1"})
    assert v1.customers.retrieve(made.id, options={"stripe_account": "acct_1"}).name == "Ada"
    with pytest.raises(stripe.InvalidRequestError):
        v1.customers.retrieve(made.id)
