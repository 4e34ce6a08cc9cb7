"""Charges, refunds, payment intents and setup intents, with their states."""

from __future__ import annotations

from typing import Any

from agentguard.sandbox.server import Incoming, Reply, route
from agentguard.sandbox.stripe.customers import Customers, test_card
from agentguard.sandbox.stripe.forms import Data, check, invalid, refusal
from agentguard.sandbox.stripe.kinds import KINDS

OPEN = ("requires_payment_method", "requires_confirmation", "requires_action")
CAPTURE = {"amount": "int", "amount_to_capture": "int", "receipt_email": "str", "expand": "list", "metadata": "hash"}
CONFIRM = {
    "payment_method": "str",
    "off_session": "any",
    "return_url": "str",
    "receipt_email": "str",
    "setup_future_usage": "str",
    "shipping": "hash",
    "expand": "list",
}


class Payments(Customers):
    """Money that moves."""

    # Charges

    @route("POST", "/v1/charges")
    def create_charge(self, call: Incoming) -> Reply:
        given = check(KINDS["charges"].create, call.body)
        self._positive(given["amount"])
        if given.get("customer") and not given.get("source"):
            customer = self.get("customers", given["customer"], "customer")
            if not customer["default_source"]:
                raise refusal("Cannot charge a customer that has no active card", "missing", "card")
            source = self.get("sources", customer["default_source"], "source")
            card: Any = test_card(f"tok_{'chargeDeclined' if source['last4'] == '0002' else 'visa'}")
            given["source"] = source["id"]
        else:
            card = test_card(given.get("source"))
            if card is None:
                raise refusal(f"No such token: '{given.get('source')}'", "resource_missing", "source")
        if card[2] == "broken":
            return Reply(500, {"error": {"type": "api_error", "message": "An unknown error occurred"}})
        captured = given.pop("capture", True)
        details = {"brand": card[0], "last4": card[1], "id": given.pop("source"), "object": "card"}
        if card[2] == "declined":
            made = self.make("charges", given, source=details, captured=False, paid=False, status="failed")
            made.update(failure_code="card_declined", failure_message="Your card was declined.")
            return self.declined({"charge": made["id"]})
        made = self.make("charges", given, source=details, captured=captured)
        made["amount_captured"] = made["amount"] if captured else 0
        return self.answer(made, call)

    def declined(self, more: Data) -> Reply:
        """The error for a card that is declined. What was tried is kept."""
        error = {"type": "card_error", "code": "card_declined", "decline_code": "generic_decline", **more}
        return Reply(402, {"error": {**error, "message": "Your card was declined."}})

    def _positive(self, amount: int) -> None:
        if amount < 1:
            raise invalid("This value must be greater than or equal to 1.", "parameter_invalid_integer", "amount")

    @route("POST", "/v1/charges/{id}/capture")
    def capture_charge(self, call: Incoming) -> Reply:
        given = check(CAPTURE, call.body)
        charge = self.get("charges", call["id"])
        if charge["captured"] or charge["refunded"]:
            raise refusal(f"Charge {charge['id']} has already been captured.", "charge_already_captured")
        self.take(charge, given.get("amount"))
        return self.answer(charge, call)

    def take(self, charge: Data, amount: int | None) -> None:
        """Take what was held, or part of it and release the rest."""
        amount = charge["amount"] if amount is None else amount
        if not 1 <= amount <= charge["amount"]:
            raise refusal("Amount is greater than the amount that can be captured.", "amount_too_large", "amount")
        released = charge["amount"] - amount
        charge.update(captured=True, amount_captured=amount, amount_refunded=released)
        self.tell("charge.captured", charge)

    # Refunds

    @route("POST", "/v1/refunds")
    def create_refund(self, call: Incoming) -> Reply:
        given = check(KINDS["refunds"].create, call.body)
        if given.get("payment_intent"):
            intent = self.get("payment_intents", given["payment_intent"], "payment_intent")
            if not intent["latest_charge"]:
                raise refusal("This PaymentIntent does not have a successful charge to refund.")
            charge = self.get("charges", intent["latest_charge"], "charge")
        elif given.get("charge"):
            charge = self.get("charges", given["charge"], "charge")
        else:
            raise refusal("One of the following params should be provided: payment_intent or charge.")
        return self.answer(self.refund(charge, given), call)

    def refund(self, charge: Data, given: Data) -> Data:
        """Give money back, no more than is left."""
        left = charge["amount"] - charge["amount_refunded"]
        if charge["refunded"] or left == 0:
            raise refusal(f"Charge {charge['id']} has already been refunded.", "charge_already_refunded")
        if charge["status"] == "failed":
            raise refusal(f"Charge {charge['id']} has failed and cannot be refunded.")
        amount = left if given.get("amount") is None else given.pop("amount")
        self._positive(amount)
        if amount > left:
            raise refusal(
                f"Refund amount (${amount / 100:.2f}) is greater than unrefunded amount on charge (${left / 100:.2f})",
                param="amount",
            )
        if not charge["captured"] and amount != left:
            raise refusal("You cannot partially refund an uncaptured charge.", param="amount")
        given = {name: value for name, value in given.items() if name not in ("charge", "payment_intent", "amount")}
        about = {"charge": charge["id"], "payment_intent": charge["payment_intent"], "currency": charge["currency"]}
        made = self.make("refunds", given, amount=amount, **about)
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount"]
        self.tell("charge.refunded", charge)
        return made

    @route("POST", "/v1/refunds/{id}/cancel")
    def cancel_refund(self, call: Incoming) -> Reply:
        refund = self.get("refunds", call["id"])
        if refund["status"] != "requires_action":
            raise refusal(f"The refund {refund['id']} cannot be canceled as its status is {refund['status']}.")
        refund["status"] = "canceled"
        self.tell("refund.updated", refund)
        return self.answer(refund, call)

    # Payment intents

    def unexpected(self, intent: Data, what: str) -> Exception:
        """The error for a step that the state of an intent does not allow."""
        label = "SetupIntent" if intent["object"] == "setup_intent" else "PaymentIntent"
        kept: Any = {intent["object"]: intent}
        return refusal(
            f"You cannot {what} this {label} because it has a status of {intent['status']}.",
            f"{intent['object']}_unexpected_state",
            **kept,
        )

    @route("POST", "/v1/payment_intents")
    def create_intent(self, call: Incoming) -> Reply:
        given = check(KINDS["payment_intents"].create, call.body)
        self._positive(given["amount"])
        confirm = given.pop("confirm", False)
        if given.get("customer"):
            self.get("customers", given["customer"], "customer")
        if given.get("payment_method"):
            given["payment_method"] = self.payment_method(given["payment_method"])["id"]
        intent = self.make("payment_intents", given)
        intent["client_secret"] = f"{intent['id']}_secret_{self._last}"
        if intent["payment_method"]:
            intent["status"] = "requires_confirmation"
        return self.confirm_now(intent, call) if confirm else self.answer(intent, call)

    def change_payment_intent(self, intent: Data, given: Data) -> None:
        late = set(given) - {"description", "metadata", "expand"}
        if intent["status"] not in OPEN and late:
            raise self.unexpected(intent, "update")
        if given.get("payment_method"):
            given["payment_method"] = self.payment_method(given["payment_method"])["id"]
            intent["status"] = "requires_confirmation"

    @route("POST", "/v1/payment_intents/{id}/confirm")
    def confirm_intent(self, call: Incoming) -> Reply:
        given = check(CONFIRM, call.body)
        intent = self.get("payment_intents", call["id"])
        if intent["status"] not in OPEN:
            raise self.unexpected(intent, "confirm")
        if given.get("payment_method"):
            intent["payment_method"] = self.payment_method(given["payment_method"])["id"]
        for name in ("receipt_email", "shipping", "setup_future_usage"):
            if name in given:
                intent[name] = given[name]
        return self.confirm_now(intent, call)

    def confirm_now(self, intent: Data, call: Incoming) -> Reply:
        """Charge the payment method of an intent."""
        if not intent["payment_method"]:
            raise refusal(
                "You cannot confirm this PaymentIntent because it's missing a payment method.",
                "payment_intent_unexpected_state",
            )
        method = self.get("payment_methods", intent["payment_method"], "payment_method")
        behaviour = self.behaviour(method)
        if behaviour == "declined":
            error = {"type": "card_error", "code": "card_declined", "message": "Your card was declined."}
            intent.update(status="requires_payment_method", payment_method=None, last_payment_error=error)
            self.tell("payment_intent.payment_failed", intent)
            return self.declined({"payment_intent": dict(intent)})
        if behaviour == "authentication":
            intent.update(status="requires_action", next_action={"type": "use_stripe_sdk"})
            self.tell("payment_intent.requires_action", intent)
            return self.answer(intent, call)
        hold = intent["capture_method"] == "manual"
        fields = {"amount": intent["amount"], "currency": intent["currency"], "customer": intent["customer"]}
        charge = self.make(
            "charges", fields, payment_intent=intent["id"], payment_method=method["id"], captured=not hold
        )
        charge["amount_captured"] = 0 if hold else charge["amount"]
        intent.update(latest_charge=charge["id"], last_payment_error=None)
        if hold:
            intent.update(status="requires_capture", amount_capturable=intent["amount"])
            self.tell("payment_intent.amount_capturable_updated", intent)
        else:
            intent.update(status="succeeded", amount_received=intent["amount"])
            self.tell("payment_intent.succeeded", intent)
        return self.answer(intent, call)

    @route("POST", "/v1/payment_intents/{id}/capture")
    def capture_intent(self, call: Incoming) -> Reply:
        given = check(CAPTURE, call.body)
        intent = self.get("payment_intents", call["id"])
        if intent["status"] != "requires_capture":
            raise self.unexpected(intent, "capture")
        charge = self.get("charges", intent["latest_charge"])
        self.take(charge, given.get("amount_to_capture"))
        intent.update(status="succeeded", amount_capturable=0, amount_received=charge["amount_captured"])
        self.tell("payment_intent.succeeded", intent)
        return self.answer(intent, call)

    @route("POST", "/v1/payment_intents/{id}/cancel")
    def cancel_intent(self, call: Incoming) -> Reply:
        given = check({"cancellation_reason": "str", "expand": "list"}, call.body)
        intent = self.get("payment_intents", call["id"])
        if intent["status"] not in (*OPEN, "requires_capture"):
            raise self.unexpected(intent, "cancel")
        if intent["status"] == "requires_capture":
            charge = self.get("charges", intent["latest_charge"])
            charge.update(refunded=True, amount_refunded=charge["amount"])
        intent.update(status="canceled", canceled_at=self.now(), amount_capturable=0)
        intent["cancellation_reason"] = given.get("cancellation_reason")
        self.tell("payment_intent.canceled", intent)
        return self.answer(intent, call)

    # Setup intents

    @route("POST", "/v1/setup_intents")
    def create_setup(self, call: Incoming) -> Reply:
        given = check(KINDS["setup_intents"].create, call.body)
        confirm = given.pop("confirm", False)
        if given.get("payment_method"):
            given["payment_method"] = self.payment_method(given["payment_method"])["id"]
        intent = self.make("setup_intents", given)
        if intent["payment_method"]:
            intent["status"] = "requires_confirmation"
        if confirm:
            self._save_card(intent)
        return self.answer(intent, call)

    def change_setup_intent(self, intent: Data, given: Data) -> None:
        if given.get("payment_method"):
            given["payment_method"] = self.payment_method(given["payment_method"])["id"]
            intent["status"] = "requires_confirmation"

    def _save_card(self, intent: Data) -> None:
        if not intent["payment_method"]:
            raise self.unexpected(intent, "confirm")
        if intent["customer"]:
            self.attach_to(self.get("payment_methods", intent["payment_method"]), intent["customer"])
        intent["status"] = "succeeded"
        self.tell("setup_intent.succeeded", intent)

    @route("POST", "/v1/setup_intents/{id}/confirm")
    def confirm_setup(self, call: Incoming) -> Reply:
        given = check({"payment_method": "str", "return_url": "str", "expand": "list"}, call.body)
        intent = self.get("setup_intents", call["id"])
        if given.get("payment_method"):
            intent["payment_method"] = self.payment_method(given["payment_method"])["id"]
        self._save_card(intent)
        return self.answer(intent, call)

    @route("POST", "/v1/setup_intents/{id}/cancel")
    def cancel_setup(self, call: Incoming) -> Reply:
        given = check({"cancellation_reason": "str", "expand": "list"}, call.body)
        intent = self.get("setup_intents", call["id"])
        if intent["status"] not in OPEN:
            raise self.unexpected(intent, "cancel")
        intent.update(status="canceled", cancellation_reason=given.get("cancellation_reason"))
        self.tell("setup_intent.canceled", intent)
        return self.answer(intent, call)
