"""What is done to stripe-stateful-mock, and what may differ after it was taken back."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from stripe import StripeClient

from agentguard import Outcome
from tests.peers.comparing import Case

Given = Any  # a namespace: what was found or made before


def account(client: StripeClient) -> Given:
    """A customer with a card, a charge and a charge that is not captured, a price and a tax rate."""
    holder = client.v1.customers.create(
        {
            "email": "ada@example.com",
            "description": "First",
            "address": {"line1": "High Street 1", "city": "York"},
            "preferred_locales": ["en"],
            "source": "tok_visa",
            "metadata": {"tier": "gold"},
        }
    )
    charge = client.v1.charges.create(
        {"amount": 1000, "currency": "usd", "source": "tok_visa", "description": "Tea", "metadata": {"order": "1"}}
    )
    kept = client.v1.charges.create({"amount": 500, "currency": "usd", "source": "tok_visa", "capture": False})
    product = client.v1.products.create({"name": "Tea", "type": "service"})
    price = client.v1.prices.create(
        {
            "product": product.id,
            "unit_amount": 500,
            "currency": "usd",
            "nickname": "One",
            "metadata": {"shelf": "3"},
            "recurring": {"interval": "month"},
        }
    )
    tax = client.v1.tax_rates.create({"display_name": "VAT", "percentage": 19, "inclusive": False})
    return SimpleNamespace(
        customer=holder.id,
        product=product.id,
        card=holder.default_source,
        charge=charge.id,
        held=kept.id,
        price=price.id,
        rate=tax.id,
    )


def subscriber(client: StripeClient) -> Given:
    """The same, with a subscription."""
    given = account(client)
    plan = client.v1.plans.create({"product": given.product, "amount": 500, "currency": "usd", "interval": "month"})
    made = client.v1.subscriptions.create({"customer": given.customer, "items": [{"plan": plan.id, "quantity": 1}]})
    given.item = made["items"].data[0].id
    return given


CHARGES = r"(charges|refunds)\.\w+(\..*)?"

CASES = [
    Case(
        "stripe.charges.create",
        lambda c, _: c.v1.charges.create({"amount": 1000, "currency": "usd", "source": "tok_visa"}),
        account,
        outcome=Outcome.COMPENSATED,
        residue=(CHARGES,),
    ),
    Case(
        "stripe.charges.create",
        lambda c, _: c.v1.charges.create({"amount": 1000, "currency": "usd", "source": "tok_visa", "capture": False}),
        account,
        outcome=Outcome.COMPENSATED,
        residue=(CHARGES,),
        note="not captured",
    ),
    Case(
        "stripe.charges.capture",
        lambda c, g: c.v1.charges.capture(g.held),
        account,
        outcome=Outcome.COMPENSATED,
        residue=(CHARGES,),
    ),
    Case(
        "stripe.charges.capture",
        lambda c, g: c.v1.charges.capture(g.held, {"amount": 300}),
        account,
        outcome=Outcome.COMPENSATED,
        residue=(CHARGES,),
        note="a part",
    ),
    Case(
        "stripe.charges.update",
        lambda c, g: c.v1.charges.update(g.charge, {"description": "Coffee", "metadata": {"order": "2"}}),
        account,
    ),
    Case(
        "stripe.customers.update",
        lambda c, g: c.v1.customers.update(g.customer, {"description": "Other", "metadata": {"tier": "tin"}}),
        account,
    ),
    Case(
        "stripe.customers.update",
        lambda c, g: c.v1.customers.update(g.customer, {"address": {"line1": "Low Street 2", "city": "Bath"}}),
        account,
        note="the address",
    ),
    Case(
        "stripe.customers.update",
        lambda c, g: c.v1.customers.update(g.customer, {"preferred_locales": ["fr", "de"]}),
        account,
        note="a list",
    ),
    Case(
        "stripe.customers.payment_sources.create",
        lambda c, g: c.v1.customers.payment_sources.create(g.customer, {"source": "tok_mastercard"}),
        account,
    ),
    Case(
        "stripe.refunds.create",
        lambda c, g: c.v1.refunds.create({"charge": g.charge, "amount": 400}),
        account,
        outcome=Outcome.IRREVERSIBLE,
        residue=(CHARGES,),
    ),
    Case(
        "stripe.prices.update",
        lambda c, g: c.v1.prices.update(g.price, {"nickname": "Two", "metadata": {"shelf": "4"}}),
        account,
    ),
    Case(
        "stripe.tax_rates.update",
        lambda c, g: c.v1.tax_rates.update(g.rate, {"display_name": "Sales tax"}),
        account,
    ),
    Case(
        "stripe.tax_rates.create",
        lambda c, _: c.v1.tax_rates.create({"display_name": "VAT", "percentage": 7, "inclusive": False}),
        account,
        outcome=Outcome.COMPENSATED,
        residue=(r"tax_rates\.\w+",),
    ),
    Case(
        "stripe.prices.create",
        lambda c, g: c.v1.prices.create({"product": g.product, "unit_amount": 900, "currency": "usd"}),
        account,
        outcome=Outcome.COMPENSATED,
        residue=(r"prices\.\w+",),
    ),
    Case(
        "stripe.prices.update",
        lambda c, g: c.v1.prices.update(g.price, {"active": False}),
        account,
        note="taken off sale",
    ),
    Case(
        "stripe.customers.payment_sources.delete",
        lambda c, g: c.v1.customers.payment_sources.delete(g.customer, g.card),
        account,
        outcome=Outcome.IRREVERSIBLE,
        residue=(r"customers\..*",),
    ),
    Case(
        "stripe.subscription_items.update",
        lambda c, g: c.v1.subscription_items.update(g.item, {"quantity": 3}),
        subscriber,
        outcome=Outcome.COMPENSATED,
    ),
]

# The same as asyncio asks for it: operation, service, method, what it is about, what to write
ASYNC = [
    ("stripe.charges.update", "charges", "update_async", "charge", {"description": "Coffee"}),
    ("stripe.customers.update", "customers", "update_async", "customer", {"metadata": {"tier": "tin"}}),
    ("stripe.prices.update", "prices", "update_async", "price", {"nickname": "Two"}),
    ("stripe.tax_rates.update", "tax_rates", "update_async", "rate", {"display_name": "Sales tax"}),
]
