"""What has to be there before an operation of Stripe can be tried, and the shape of a case."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from agentguard import Outcome

World = SimpleNamespace
RESTORED, COMPENSATED = Outcome.RESTORED, Outcome.COMPENSATED


@dataclass
class Case:
    """`do` gets the services of v1 and what `given` returned; `later` does the same in an event loop."""

    operation: str
    do: Callable[[Any, World], object]
    given: Callable[[Any], World] = lambda v1: World()
    outcome: Outcome = RESTORED
    residue: tuple[str, ...] = ()
    later: Callable[[Any, World], Any] | None = None
    seeds: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    """From the stand-in's state, what to put into it: for states that no call leads to."""


def customer(v1: Any, **more: Any) -> World:
    params = {"name": "Ada", "email": "ada@example.test", "metadata": {"plan": "a", "region": "eu"}, **more}
    made = v1.customers.create(params=params)
    return World(customer=made.id, source=made.default_source)


def product(v1: Any) -> World:
    made = v1.products.create(params={"name": "Desk", "description": "Oak", "metadata": {"a": "1"}})
    return World(product=made.id)


def price(v1: Any) -> World:
    world = product(v1)
    params = {"product": world.product, "currency": "usd", "unit_amount": 500, "recurring": {"interval": "month"}}
    world.price = v1.prices.create(params={**params, "nickname": "monthly"}).id
    world.other = v1.prices.create(params={**params, "unit_amount": 900}).id
    return world


def plan(v1: Any) -> World:
    world = product(v1)
    params = {"product": world.product, "currency": "usd", "interval": "month", "amount": 700, "nickname": "old"}
    world.plan = v1.plans.create(params={"id": "gold", **params}).id
    return world


def coupon(v1: Any) -> World:
    params = {"id": "SUMMER", "percent_off": 10, "duration": "once", "name": "Summer", "metadata": {"a": "1"}}
    return World(coupon=v1.coupons.create(params=params).id)


def code(v1: Any) -> World:
    world = coupon(v1)
    promotion = {"type": "coupon", "coupon": world.coupon}
    world.code = v1.promotion_codes.create(params={"promotion": promotion, "code": "HELLO"}).id
    return world


def tax_id(v1: Any) -> World:
    world = customer(v1)
    world.tax_id = v1.customers.tax_ids.create(world.customer, params={"type": "eu_vat", "value": "DE123"}).id
    return world


def method(v1: Any) -> World:
    world = customer(v1)
    details = {"email": "old@example.test", "address": {"city": "Ulm"}}
    card = {"token": "tok_visa"}
    world.method = v1.payment_methods.create(params={"type": "card", "card": card, "billing_details": details}).id
    return world


def attached(v1: Any) -> World:
    world = method(v1)
    v1.payment_methods.attach(world.method, params={"customer": world.customer})
    return world


def charge(v1: Any, **more: Any) -> World:
    params = {"amount": 1000, "currency": "usd", "source": "tok_visa", "description": "Chair", **more}
    return World(charge=v1.charges.create(params=params).id)


def refund(v1: Any) -> World:
    world = charge(v1)
    world.refund = v1.refunds.create(params={"charge": world.charge, "amount": 100, "metadata": {"why": "late"}}).id
    return world


def intent(v1: Any, **more: Any) -> World:
    params = {"amount": 1000, "currency": "usd", "description": "Chair", "metadata": {"order": "1"}, **more}
    return World(intent=v1.payment_intents.create(params=params).id)


def ready(v1: Any, **more: Any) -> World:
    return intent(v1, payment_method="pm_card_visa", **more)


def held(v1: Any) -> World:
    return ready(v1, capture_method="manual", confirm=True)


def setup(v1: Any) -> World:
    return World(intent=v1.setup_intents.create(params={"description": "old"}).id)


def item(v1: Any) -> World:
    world = customer(v1, source="tok_visa")
    params = {"customer": world.customer, "amount": 300, "currency": "usd", "description": "Hour"}
    world.item = v1.invoice_items.create(params=params).id
    return world


def draft(v1: Any) -> World:
    world = item(v1)
    params = {"customer": world.customer, "pending_invoice_items_behavior": "include", "description": "old"}
    world.invoice = v1.invoices.create(params=params).id
    return world


def due(v1: Any) -> World:
    world = draft(v1)
    v1.invoices.finalize_invoice(world.invoice)
    return world


def subscription(v1: Any) -> World:
    world = price(v1)
    world.customer = customer(v1, source="tok_visa").customer
    params = {"customer": world.customer, "items": [{"price": world.price}], "metadata": {"team": "x"}}
    made = v1.subscriptions.create(params=params)
    world.subscription, world.item = made.id, made["items"].data[0].id
    world.price_of_item = world.price
    return world


def two_items(v1: Any) -> World:
    world = subscription(v1)
    params = {"subscription": world.subscription, "price": world.other, "proration_behavior": "none"}
    world.second = v1.subscription_items.create(params=params).id
    return world


def link(v1: Any) -> World:
    world = price(v1)
    world.link = v1.payment_links.create(params={"line_items": [{"price": world.price, "quantity": 1}]}).id
    return world


def session(v1: Any) -> World:
    world = price(v1)
    lines = [{"price": world.price, "quantity": 1}]
    world.session = v1.checkout.sessions.create(params={"mode": "subscription", "line_items": lines}).id
    return world


def endpoint(v1: Any) -> World:
    params = {"url": "https://example.test/a", "enabled_events": ["charge.succeeded"], "description": "old"}
    return World(endpoint=v1.webhook_endpoints.create(params=params).id)


def tax_rate(v1: Any) -> World:
    return World(rate=v1.tax_rates.create(params={"display_name": "VAT", "percentage": 19, "inclusive": False}).id)


def shipping_rate(v1: Any) -> World:
    return World(rate=v1.shipping_rates.create(params={"display_name": "Post", "metadata": {"a": "1"}}).id)


def balance(v1: Any) -> World:
    world = customer(v1)
    params = {"amount": -500, "currency": "usd", "description": "old"}
    world.entry = v1.customers.balance_transactions.create(world.customer, params=params).id
    return world
