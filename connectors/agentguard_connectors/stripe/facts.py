"""What a policy may ask of a call to Stripe: how much money it moves.

Stripe counts in the smallest unit of a currency (https://docs.stripe.com/currencies#minor-units): 500 is 5 USD, and 500
JPY. Amounts here are in whole units.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from agentguard.calls import Call, Json
from agentguard.policy.model import Untold

NO_DECIMALS = frozenset(
    ["BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"]
)
"""Currencies without a smaller unit. UGX is among them and, for charges, an exception; this is its larger reading."""
THREE_DECIMALS = frozenset(["BHD", "JOD", "KWD", "OMR", "TND"])

PRICES = ("coupons.", "plans.", "prices.", "products.", "promotion_codes.", "shipping_rates.", "payment_links.")
"""Whose amounts say what something costs, and move nothing."""

OTHER_NAMES = {"payment_intents.capture": "amount_to_capture"}

WHOLE = {
    "application_fees.refunds.create": "without an amount, the whole fee is refunded",
    "charges.capture": "without an amount, all that is held is taken",
    "payment_intents.capture": "without an amount, all that is held is taken",
    "refunds.create": "without an amount, the whole charge is refunded",
    "transfers.reversals.create": "without an amount, the whole transfer is reversed",
}
ELSEWHERE = {
    "credit_notes.create": "the credit note's lines decide the amount",
    "invoices.finalize_invoice": "the invoice decides the amount",
    "invoices.pay": "the invoice decides the amount",
    "payment_intents.confirm": "the payment intent decides the amount",
    "quotes.accept": "the quote decides the amount",
    "subscription_items.create": "the prices of the subscription decide the amount",
    "subscription_items.update": "the prices of the subscription decide the amount",
    "subscriptions.create": "the prices of the subscription decide the amount",
    "subscriptions.resume": "the prices of the subscription decide the amount",
    "subscriptions.update": "the prices of the subscription decide the amount",
}
"""Operations that move money of which the call does not show how much, and why."""


def amount(call: Call) -> tuple[Decimal, str] | None:
    """Tell how much money *call* moves, in whole units, and its currency; None where it moves none.

    Raises Untold where the call does not show it: a refund has the currency of its charge, and without an amount its
    amount as well.
    """
    if call.operation.startswith(PRICES):
        return None
    given: Json = call.arguments.get("amount")
    currency: Json = call.arguments.get("currency")
    if given is None and call.operation in OTHER_NAMES:
        given = call.arguments.get(OTHER_NAMES[call.operation])
    if given is None and call.operation in ("customers.create", "customers.update"):
        given = call.arguments.get("balance")  # a credit or a debt on the next invoice
    if isinstance(given, dict):  # version 2 of the API
        given, currency = given.get("value"), given.get("currency")
    if given in (None, ""):
        told = {**WHOLE, **ELSEWHERE}.get(call.operation)
        if told:
            raise Untold(told)
        return None
    if not isinstance(currency, str) or not currency:
        raise Untold("the call names no currency")
    return _whole(given, currency), currency.upper()


def _whole(given: Json, currency: str) -> Decimal:
    """An amount in the smallest unit of *currency* in its whole units."""
    try:
        value = Decimal(str(given))
    except InvalidOperation:
        value = Decimal("NaN")
    if isinstance(given, bool) or not value.is_finite():
        raise Untold(f"the amount {str(given)[:40]!r} is no number")
    name = currency.upper()
    decimals = 0 if name in NO_DECIMALS else 3 if name in THREE_DECIMALS else 2
    return value.scaleb(-decimals)
