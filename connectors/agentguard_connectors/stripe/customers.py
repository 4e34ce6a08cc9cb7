"""Customers, their cards, tax ids and balance, and payment methods. See https://docs.stripe.com/api/customers."""

from __future__ import annotations

from collections import Counter

from agentguard.calls import ABSENT, Effect, Handler, Json, Risk, Undo, forward, read, unchanged, undo
from agentguard_connectors.stripe.base import stripe
from agentguard_connectors.stripe.fields import creating, kept, reference, restoring, shown

PERSON = ("address", "description", "email", "name", "phone", "preferred_locales", "shipping", "tax_exempt")

MEANS = ("balance", "default_source", "invoice_settings")
"""What it pays with: where somebody has changed it since, the customer is in use."""


@stripe.view
def customer(thing: Json) -> Json:
    """Show a customer with the ids of its running subscriptions: deleting it would cancel them."""
    running = (thing.get("subscriptions") or {}).get("data") or []
    return {**shown(thing), "subscriptions": sorted(item["id"] for item in running)}


@stripe.guards(
    "customers.create",
    effect=Effect.COMPENSABLE,
    remains="its id, which answers that the customer was deleted",
)
def create_customer() -> Handler:
    """Make a customer; it is deleted again, and its id goes on saying so."""
    made = yield forward()
    look = read("customers.retrieve", customer=made["id"], expand=["subscriptions"]).through("customer")
    way_back = undo("customers.delete", customer=made["id"])
    left = {**kept(made, (*PERSON, *MEANS)), "subscriptions": []}
    yield way_back.on(look, left=left, back={"deleted": True}).leaving(
        "its id, which answers that the customer was deleted"
    )


restoring(
    "customers.update",
    "Change a customer; the old values come back, and metadata that was added goes.",
    fields=(*PERSON, "business_name", "individual_name", "invoice_prefix"),
    fixed=("next_invoice_sequence",),
    parts={"invoice_settings": ("custom_fields", "default_payment_method", "footer")},
)

stripe.irreversible(
    "customers.delete",
    "Deleting a customer is for good: its subscriptions are cancelled, its id is gone, its cards are detached.",
)

creating(
    "customers.tax_ids.create",
    "Add a tax id to a customer; it is deleted again.",
    key="id",
    fields=("type", "value"),
)


@stripe.view
def tax_numbers(page: Json) -> Json:
    """Show which tax numbers a customer has, without their ids."""
    return {f"{item['type']} {item['value']}": True for item in page["data"]}


@stripe.guards("customers.tax_ids.delete", effect=Effect.COMPENSABLE, remains="the tax id has a new id")
def delete_tax_id(customer: str, id: str) -> Handler:  # noqa: A002 - Stripe's name for it
    """Take a tax id from a customer; the same number is added again, under a new id."""
    old = yield read("customers.tax_ids.retrieve", customer=customer, id=id)
    number = f"{old['type']} {old['value']}"
    way_back = undo("customers.tax_ids.create", customer=customer, type=old["type"], value=old["value"])
    look = read("customers.tax_ids.list", customer=customer, limit=100).through("tax_numbers")
    step = way_back.on(look, left={number: ABSENT}, back={number: True})
    yield step.leaving("the tax id has a new id and is verified anew")
    yield forward()


creating(
    "customers.payment_sources.create",
    "Add a card or bank account to a customer; it is deleted again.",
    key="id",
    fields=("fingerprint", "last4"),
    risk=Risk.MEDIUM,
)

restoring(
    "customers.payment_sources.update",
    "Change the details of a customer's card; the old ones come back.",
    fields=(
        *(f"address_{part}" for part in ("city", "country", "line1", "line2", "state", "zip")),
        "account_holder_name",
        "name",
    ),
    fixed=("account_holder_type", "exp_month", "exp_year"),
)

stripe.irreversible(
    "customers.payment_sources.delete",
    "A deleted card can only be added again by whoever knows its number.",
)


@stripe.view
def bookings(page: Json) -> Json:
    """Show a customer's newest bookings: how many of each note, and the balance after the last one.

    That the balance is what it was is no proof that a booking was taken back: an invoice may have used it up.
    """
    notes = Counter(f"note {item['description']}" for item in page["data"])
    return {"balance": page["data"][0]["ending_balance"] if page["data"] else 0, **notes}


@stripe.guards(
    "customers.balance_transactions.create",
    effect=Effect.COMPENSABLE,
    risk=Risk.HIGH,
    remains="both entries in the customer's balance history",
)
def adjust_balance(customer: str) -> Handler:
    """Credit or debit a customer's balance; the opposite amount is booked."""
    made = yield forward()
    note = f"Takes back {made['id']}"
    way_back = undo(
        "customers.balance_transactions.create",
        customer=customer,
        amount=-made["amount"],
        currency=made["currency"],
        description=note,
    )
    look = read("customers.balance_transactions.list", customer=customer, limit=100).through("bookings")
    step = way_back.on(look, left={"balance": made["ending_balance"]}, back={f"note {note}": 1})
    yield step.leaving("both entries stay in the customer's balance history")


restoring(
    "customers.balance_transactions.update",
    "Change the note on a balance entry; the old one comes back.",
    fields=("description",),
)


@stripe.guards(
    "payment_methods.attach",
    effect=Effect.COMPENSABLE,
    risk=Risk.MEDIUM,
    remains="Stripe never lets a detached payment method be attached again",
)
def attach(payment_method: str, customer: str) -> Handler:
    """Attach a payment method to a customer; it is detached again and cannot be used any more."""
    before = yield read("payment_methods.retrieve", payment_method=payment_method).or_none()
    # A name like pm_card_visa stands for a test card: each use of it makes a payment method of its own.
    known = before is not None and before["id"] == payment_method
    if known and reference(before["customer"]) == customer:
        yield unchanged()
        yield forward()
    elif known:
        yield _detaching(payment_method, customer)
        yield forward()
    else:
        made = yield forward()
        yield _detaching(made["id"], customer)


def _detaching(payment_method: str, customer: str) -> Undo:
    look = read("payment_methods.retrieve", payment_method=payment_method).through("shown")
    way_back = undo("payment_methods.detach", payment_method=payment_method)
    step = way_back.on(look, left={"customer": customer}, back={"customer": None})
    return step.leaving("Stripe never lets a detached payment method be attached again")


stripe.irreversible(
    "payment_methods.detach",
    "A payment method that was detached can never be attached to a customer again.",
)

restoring(
    "payment_methods.update",
    "Change a payment method's billing details; the old ones come back.",
    fields=("billing_details",),
    fixed=("allow_redisplay",),
    parts={"card": ("exp_month", "exp_year")},
)
