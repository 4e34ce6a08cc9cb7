"""What is done to localstripe, and what may differ after it was taken back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from stripe import StripeClient

from agentguard import Outcome
from tests.peers.comparing import Case

Given = Any  # a namespace: what was found or made before
CARD = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034, "cvc": "123"}


def customer(client: StripeClient) -> Given:
    """A customer with a name, an address and a note."""
    made = client.v1.customers.create(
        {"name": "Ada", "email": "ada@example.com", "description": "First", "metadata": {"tier": "gold"}}
    )
    return SimpleNamespace(customer=made.id)


def paying(client: StripeClient) -> Given:
    """A customer with a card attached."""
    given = customer(client)
    given.method = client.v1.payment_methods.create({"type": "card", "card": CARD, "metadata": {"note": "old"}}).id
    client.v1.payment_methods.attach(given.method, {"customer": given.customer})
    return given


def card(client: StripeClient) -> Given:
    """A customer, and a card that belongs to nobody."""
    given = customer(client)
    given.method = client.v1.payment_methods.create({"type": "card", "card": CARD, "metadata": {"note": "old"}}).id
    return given


def intent(client: StripeClient, **more: Any) -> Given:
    """A payment that waits to be confirmed."""
    given = paying(client)
    made = client.v1.payment_intents.create(
        {
            "amount": 1000,
            "currency": "eur",
            "customer": given.customer,
            "payment_method": given.method,
            "metadata": {"order": "1"},
            **more,
        }
    )
    given.intent = made.id
    return given


def paid(client: StripeClient) -> Given:
    """A payment that went through."""
    given = intent(client)
    client.v1.payment_intents.confirm(given.intent)
    return given


def refunded(client: StripeClient) -> Given:
    """A payment that was sent back."""
    given = paid(client)
    made = client.v1.refunds.create({"payment_intent": given.intent, "metadata": {"why": "late"}})
    given.refund = made.id
    return given


def subscribed(client: StripeClient) -> Given:
    """A customer who has subscribed to the plan."""
    given = paying(client)
    given.plan = goods(client).plan
    client.v1.customers.update(given.customer, {"invoice_settings": {"default_payment_method": given.method}})
    made = client.v1.subscriptions.create(
        {"customer": given.customer, "items": [{"plan": given.plan}], "metadata": {"via": "web"}}
    )
    given.subscription = made.id
    return given


def goods(client: StripeClient) -> Given:
    """A product with a plan, and a coupon."""
    product = client.v1.products.create({"name": "Tea", "description": "Green", "metadata": {"shelf": "3"}})
    plan = client.v1.plans.create(
        {"product": product.id, "amount": 500, "currency": "eur", "interval": "month", "nickname": "Monthly"}
    )
    client.v1.coupons.create({"id": "SPRING", "percent_off": 10, "duration": "once", "metadata": {"by": "ads"}})
    return SimpleNamespace(product=product.id, plan=plan.id)


def item(client: StripeClient) -> Given:
    """A customer with a line for the next invoice."""
    given = customer(client)
    made = client.v1.invoice_items.create(
        {"customer": given.customer, "amount": 700, "currency": "eur", "description": "Work"}
    )
    given.item = made.id
    return given


def setup(client: StripeClient) -> Given:
    """A card that is being saved."""
    return SimpleNamespace(setup=client.v1.setup_intents.create({"metadata": {"why": "later"}}).id)


def rate(client: StripeClient) -> Given:
    """A tax rate."""
    made = client.v1.tax_rates.create(
        {"display_name": "VAT", "percentage": 19, "inclusive": False, "metadata": {"law": "old"}}
    )
    return SimpleNamespace(rate=made.id)


# What localstripe does not do as Stripe does cannot prove anything and is left out: a deleted customer must answer
# `deleted: true`; a charge must have `amount_captured`, a plan `amount_decimal`, an item of a subscription its `price`;
# booleans must stay booleans; lists must take `limit` and `expand`; a coupon must show `applies_to`.

CASES = [
    Case(
        "stripe.customers.update",
        lambda c, g: c.v1.customers.update(g.customer, {"name": "Eve", "metadata": {"tier": "tin"}}),
        customer,
    ),
    Case(
        "stripe.customers.update",
        lambda c, g: c.v1.customers.update(g.customer, {"description": "Ä & ö=ü; [x] +1"}),
        customer,
        note="a text with signs that forms use",
    ),
    Case(
        "stripe.customers.delete",
        lambda c, g: c.v1.customers.delete(g.customer),
        customer,
        outcome=Outcome.IRREVERSIBLE,
        residue=(r"customers\.\w+",),
    ),
    Case(
        "stripe.customers.tax_ids.create",
        lambda c, g: c.v1.customers.tax_ids.create(g.customer, {"type": "eu_vat", "value": "DE123456789"}),
        customer,
    ),
    Case(
        "stripe.payment_methods.attach",
        lambda c, g: c.v1.payment_methods.attach(g.method, {"customer": g.customer}),
        card,
        outcome=Outcome.COMPENSATED,  # it is detached, and Stripe never lets it be attached again
    ),
    Case(
        "stripe.payment_methods.detach",
        lambda c, g: c.v1.payment_methods.detach(g.method),
        paying,
        outcome=Outcome.IRREVERSIBLE,
        residue=(r"customers\.\w+\.payment_methods\..*",),
    ),
    Case(
        "stripe.payment_intents.create",
        lambda c, g: c.v1.payment_intents.create({"amount": 900, "currency": "eur", "customer": g.customer}),
        paying,
        outcome=Outcome.COMPENSATED,
        residue=(r"payment_intents\.\w+",),
    ),
    Case(
        "stripe.payment_intents.update",
        lambda c, g: c.v1.payment_intents.update(g.intent, {"metadata": {"order": "2"}}),
        intent,
    ),
    Case(
        "stripe.payment_intents.cancel",
        lambda c, g: c.v1.payment_intents.cancel(g.intent),
        intent,
        outcome=Outcome.IRREVERSIBLE,
        residue=(r"payment_intents\..*",),
    ),
    Case(
        "stripe.refunds.create",
        lambda c, g: c.v1.refunds.create({"payment_intent": g.intent}),
        paid,
        outcome=Outcome.IRREVERSIBLE,
        residue=(r"(payment_intents|charges|refunds)\..*",),
    ),
    Case(
        "stripe.coupons.create",
        lambda c, _: c.v1.coupons.create({"id": "FALL", "percent_off": 20, "duration": "once"}),
    ),
    Case("stripe.coupons.update", lambda c, _: c.v1.coupons.update("SPRING", {"metadata": {"by": "mail"}}), goods),
    Case(
        "stripe.products.update",
        lambda c, g: c.v1.products.update(g.product, {"name": "Chai", "metadata": {"shelf": "4"}}),
        goods,
    ),
    Case(
        "stripe.plans.create",
        lambda c, g: c.v1.plans.create({"product": g.product, "amount": 900, "currency": "eur", "interval": "month"}),
        goods,
    ),
    Case("stripe.plans.update", lambda c, g: c.v1.plans.update(g.plan, {"nickname": "Other"}), goods),
    Case(
        "stripe.invoice_items.update",
        lambda c, g: c.v1.invoice_items.update(g.item, {"description": "Other work"}),
        item,
    ),
    Case(
        "stripe.setup_intents.create",
        lambda c, _: c.v1.setup_intents.create({"metadata": {"why": "later"}}),
        outcome=Outcome.COMPENSATED,
        residue=(r"setup_intents\.\w+",),
    ),
    Case(
        "stripe.setup_intents.cancel",
        lambda c, g: c.v1.setup_intents.cancel(g.setup),
        setup,
        outcome=Outcome.IRREVERSIBLE,
        residue=(r"setup_intents\..*",),
    ),
    Case(
        "stripe.payment_methods.update",
        lambda c, g: c.v1.payment_methods.update(g.method, {"metadata": {"note": "new"}}),
        paying,
    ),
    Case(
        "stripe.refunds.update",
        lambda c, g: c.v1.refunds.update(g.refund, {"metadata": {"why": "broken"}}),
        refunded,
    ),
    Case(
        "stripe.subscriptions.cancel",
        lambda c, g: c.v1.subscriptions.cancel(g.subscription),
        subscribed,
        outcome=Outcome.IRREVERSIBLE,
        residue=(r"(subscriptions|customers|invoices)\..*",),
    ),
    Case(
        "stripe.setup_intents.update",
        lambda c, g: c.v1.setup_intents.update(g.setup, {"metadata": {"why": "now"}}),
        setup,
    ),
    Case(
        "stripe.tax_rates.update",
        lambda c, g: c.v1.tax_rates.update(g.rate, {"display_name": "Sales tax", "metadata": {"law": "new"}}),
        rate,
    ),
]
