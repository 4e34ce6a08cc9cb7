"""Payment intents, setup intents and refunds. See https://docs.stripe.com/payments/paymentintents/lifecycle.

What an intent still needs is cancelled, what it has paid is refunded. A refund gives the money back and not Stripe's
fee, and both bookings stay on the customer's statement.
"""

from __future__ import annotations

from agentguard.calls import Call, Effect, Handler, Json, NoUndo, Risk, Undo, forward, no_undo, read, unchanged, undo
from agentguard_connectors.stripe.base import stripe
from agentguard_connectors.stripe.fields import restoring, shown

FEE = "the payment and its refund stay on both statements, and Stripe keeps its fee"
CANCELED = "the intent stays listed as canceled and cannot be used again"
OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")


@stripe.view
def payment(intent: Json) -> Json:
    """Show how far an intent has come: open, held, processing, paid, part refunded, over."""
    return {**shown(intent), "stage": stage(intent)}


def stage(intent: Json) -> str:
    """How far *intent* has come. Its charge has to be expanded, unless nothing was paid."""
    status = str(intent["status"])
    if status in OPEN:
        return "open"
    if status != "succeeded":
        return {"requires_capture": "held", "canceled": "over"}.get(status, status)
    charge = intent.get("latest_charge")
    if not isinstance(charge, dict):
        return "paid"
    if charge["refunded"]:
        return "over"
    # Capturing less than what was held releases the rest, which counts as refunded.
    released = charge["amount"] - charge["amount_captured"]
    return "paid" if charge["amount_refunded"] in (0, released) else "part refunded"


def _look(intent: str) -> Json:
    return read("payment_intents.retrieve", intent=intent, expand=["latest_charge"]).through("payment")


def refunding(paid: Json, **what: Json) -> Undo:
    """Refund *what*, all of it: also what was passed on to a connected account, and the fee that was kept of it.

    Without being asked to, Stripe takes a refund out of the platform's balance alone
    (https://docs.stripe.com/connect/destination-charges#issue-refunds).
    """
    passed_on = {"reverse_transfer": True} if paid.get("transfer_data") else {}
    kept = paid.get("application_fee_amount") or paid.get("application_fee")
    fee = {"refund_application_fee": True} if kept else {}
    return undo("refunds.create", **what, **passed_on, **fee)


def taking_back(made: Json) -> Undo | NoUndo:
    """Find the way back from where an intent has got to."""
    reached = stage({**made, "latest_charge": None})
    if reached == "over":
        return unchanged("the intent is canceled already")
    if reached == "paid":
        way_back = refunding(made, payment_intent=made["id"])
        saved = made.get("setup_future_usage") and made.get("customer")
        remains = f"{FEE}; the card stays saved with the customer" if saved else FEE
        return way_back.on(_look(made["id"]), left={"stage": "paid"}, back={"stage": "over"}).leaving(remains)
    way_back = undo("payment_intents.cancel", intent=made["id"])
    return way_back.on(_look(made["id"]), left={"stage": reached}, back={"stage": "over"}).leaving(CANCELED)


@stripe.guards("payment_intents.create", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=CANCELED)
def create_intent() -> Handler:
    """Start a payment; it is cancelled, or refunded when it was paid at once."""
    made = yield forward()
    yield taking_back(made)


restoring(
    "payment_intents.update",
    "Change a payment before it is made; the old values come back.",
    fields=(
        "description",
        "receipt_email",
        "setup_future_usage",
        "shipping",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "transfer_group",
    ),
    fixed=("amount", "currency", "customer", "payment_method"),
    risk=Risk.MEDIUM,
)


@stripe.guards("payment_intents.confirm", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=FEE)
def confirm(intent: str) -> Handler:
    """Make a payment; it is refunded, or cancelled where the money is only held."""
    before = yield read("payment_intents.retrieve", intent=intent)
    made = yield forward()
    yield unchanged() if made["status"] == before["status"] else taking_back(made)


@stripe.guards("payment_intents.capture", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=FEE)
def capture(call: Call, intent: str) -> Handler:
    """Take money that was held; it is refunded. What a smaller capture released is not held again."""
    held = yield read("payment_intents.retrieve", intent=intent)
    way_back = refunding({**held, **call.arguments}, payment_intent=intent)
    yield way_back.on(_look(intent), left={"stage": "paid"}, back={"stage": "over"}).leaving(FEE)
    yield forward()


stripe.irreversible("payment_intents.cancel", "A canceled payment intent cannot be used again; money held is released.")

stripe.irreversible(
    "refunds.create",
    "Money that was refunded can only come back through a new payment, which needs the customer.",
)
restoring("refunds.update", "Change a refund's metadata; the old comes back.")
stripe.irreversible("refunds.cancel", "A refund that was stopped has to be made again.")


@stripe.guards(
    "setup_intents.create",
    effect=Effect.COMPENSABLE,
    remains="it stays listed as canceled",
)
def create_setup(payment_method: str) -> Handler:
    """Prepare to save a card; it is cancelled. A card that was saved at once is detached."""
    before = None
    if payment_method:
        before = yield read("payment_methods.retrieve", payment_method=payment_method).or_none()
    made = yield forward()
    saved = made["payment_method"]
    if made["status"] == "succeeded" and before and before["id"] == saved and before["customer"]:
        # To detach it would take a card away that somebody else has saved, and for good.
        yield no_undo("the setup intent stays listed as succeeded; the card was saved before and stays as it was")
    elif made["status"] == "succeeded":
        look = read("payment_methods.retrieve", payment_method=saved).through("shown")
        way_back = undo("payment_methods.detach", payment_method=saved)
        step = way_back.on(look, left={"customer": made["customer"]}, back={"customer": None})
        yield step.leaving("the setup intent stays listed, and the card has to be entered anew")
    elif made["status"] != "canceled":
        look = read("setup_intents.retrieve", intent=made["id"]).through("shown")
        way_back = undo("setup_intents.cancel", intent=made["id"])
        step = way_back.on(look, left={"status": made["status"]}, back={"status": "canceled"})
        yield step.leaving("it stays listed as canceled")
    else:
        yield unchanged("it is canceled already")


restoring(
    "setup_intents.update",
    "Change a setup intent; the old values come back.",
    fields=("description",),
    fixed=("customer", "payment_method"),
)
stripe.irreversible("setup_intents.cancel", "A canceled setup intent cannot be used again.", risk=Risk.MEDIUM)
