"""Charges, the older way to take money. See https://docs.stripe.com/api/charges."""

from __future__ import annotations

from agentguard.calls import Call, Effect, Handler, Read, Risk, forward, read, unchanged
from agentguard_connectors.stripe.base import stripe
from agentguard_connectors.stripe.fields import restoring
from agentguard_connectors.stripe.payments import FEE, refunding


def _look(charge: str) -> Read:
    return read("charges.retrieve", charge=charge).through("shown")


@stripe.guards("charges.create", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=FEE)
def create_charge() -> Handler:
    """Charge a card; the charge is refunded, or released where it was only held."""
    made = yield forward()
    if made.get("status") == "failed":
        yield unchanged("the charge failed, and no money was taken")
        return
    way_back = refunding(made, charge=made["id"])
    left = {"captured": made["captured"], "refunded": False, "amount_refunded": 0}
    yield way_back.on(_look(made["id"]), left=left, back={"refunded": True}).leaving(FEE)


@stripe.guards("charges.capture", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=FEE)
def capture_charge(call: Call, charge: str) -> Handler:
    """Take money that was held; it is refunded. What a smaller capture released is not held again."""
    held = yield read("charges.retrieve", charge=charge)
    way_back = refunding({**held, **call.arguments}, charge=charge)
    left = {"captured": True, "refunded": False, "amount_refunded": 0}
    step = way_back.on(_look(charge), left=left, back={"refunded": True}, same_shape=True)
    yield step.leaving(FEE)
    yield forward()


restoring(
    "charges.update",
    "Change the description of a charge; the old one comes back.",
    fields=("description", "receipt_email", "shipping", "transfer_group"),
    fixed=("customer",),
    telling={"receipt_email": "Stripe may have sent a receipt to the new address"},
)
