"""Customers with their sources, tax ids and balance, and payment methods."""

from __future__ import annotations

from agentguard.sandbox.server import Incoming, Reply, route
from agentguard.sandbox.stripe.base import Base
from agentguard.sandbox.stripe.forms import Data, check, person, refusal
from agentguard.sandbox.stripe.kinds import KINDS

CARDS = {
    "visa": ("visa", "4242", "ok"),
    "mastercard": ("mastercard", "4444", "ok"),
    "chargeDeclined": ("visa", "0002", "declined"),
    "authenticationRequired": ("visa", "3184", "authentication"),
    "internalError": ("visa", "5000", "broken"),
}
"""Stripe's test cards, as `tok_NAME` and `pm_card_NAME`, and how they behave."""

DETACHED = (
    "This PaymentMethod was previously used without being attached to a Customer or was detached from a Customer, "
    "and may not be used again."
)
CUSTOMER = "/v1/customers/{customer}"


def test_card(name: str | None) -> tuple[str, str, str] | None:
    """The test card that a token stands for."""
    for prefix in ("tok_", "pm_card_"):
        if name and name.startswith(prefix):
            return CARDS.get(name.removeprefix(prefix))
    return None


class Customers(Base):
    """Who pays, and with what."""

    def make_customer(self, thing: Data, given: Data) -> None:
        self.all("customers")[thing["id"]] = thing
        if given.get("source"):
            thing["default_source"] = self.add_source(thing, given["source"])["id"]
        if given.get("payment_method"):
            self.attach_to(self.payment_method(given["payment_method"]), thing["id"])
        self._set_invoicing(thing, given)

    def change_customer(self, thing: Data, given: Data) -> None:
        self._set_invoicing(thing, given)
        if given.get("source"):
            thing["default_source"] = self.add_source(thing, given.pop("source"))["id"]
        if "balance" in given:
            self.book(thing, given.pop("balance") - thing["balance"], "usd", None)

    def _set_invoicing(self, thing: Data, given: Data) -> None:
        settings = given.pop("invoice_settings", None)
        if isinstance(settings, dict):
            changes = {name: value or None for name, value in settings.items()}
            blank = KINDS["customers"].shape["invoice_settings"]
            thing["invoice_settings"] = {**blank, **thing["invoice_settings"], **changes}

    def drop_customer(self, thing: Data) -> None:
        for subscription in self.all("subscriptions").values():
            if subscription["customer"] == thing["id"] and subscription["status"] != "canceled":
                subscription.update(status="canceled", canceled_at=self.now(), ended_at=self.now())
        for method in self.all("payment_methods").values():
            if method["customer"] == thing["id"]:
                method["customer"] = None
                self.all("detached")[method["id"]] = True

    # Payment methods

    def payment_method(self, name: str) -> Data:
        """A payment method by id; one of Stripe's test cards is made when it is first used."""
        card = test_card(name)
        if card is None:
            return self.get("payment_methods", name, "payment_method")
        brand, last4, _behaviour = card
        made = self.make("payment_methods", {"type": "card"})
        made["card"] = {**made["card"], "brand": brand, "last4": last4}
        return made

    def behaviour(self, method: Data) -> str:
        """What happens when this method is charged."""
        return next((how for _b, last4, how in CARDS.values() if last4 == method["card"]["last4"]), "ok")

    def make_payment_method(self, thing: Data, given: Data) -> None:
        card = given.get("card")
        if isinstance(card, dict) and card.get("token"):
            known = test_card(card["token"])
            if known is None:
                raise refusal(f"No such token: '{card['token']}'", "resource_missing", "card[token]")
            thing["card"] = {**KINDS["payment_methods"].shape["card"], "brand": known[0], "last4": known[1]}
        elif isinstance(card, dict):
            number = str(card.get("number", "4242424242424242"))
            dates = {name: int(card[name]) for name in ("exp_month", "exp_year") if name in card}
            thing["card"] = {**KINDS["payment_methods"].shape["card"], "last4": number[-4:], **dates}
        blank = KINDS["payment_methods"].shape["billing_details"]
        thing["billing_details"] = {**blank, **(person(given.get("billing_details")) or {})}

    def change_payment_method(self, thing: Data, given: Data) -> None:
        if thing["customer"] is None:
            raise refusal("You must save this PaymentMethod to a customer before you can update it.")
        card = given.pop("card", None) or {}
        thing["card"] = {**thing["card"], **{name: int(value) for name, value in card.items()}}
        details = given.pop("billing_details", None)
        if details:
            thing["billing_details"] = {
                **thing["billing_details"],
                **(person({**thing["billing_details"], **details}) or {}),
            }

    def attach_to(self, method: Data, customer: str) -> None:
        """Save a payment method to a customer."""
        self.get("customers", customer, "customer")
        if method["id"] in self.all("detached"):
            raise refusal(DETACHED)
        if method["customer"] not in (None, customer):
            raise refusal("The payment method you provided has already been attached to a customer.")
        method["customer"] = customer

    @route("POST", "/v1/payment_methods/{id}/attach")
    def attach(self, call: Incoming) -> Reply:
        given = check({"customer": "str!", "expand": "list"}, call.body)
        method = self.payment_method(call["id"])
        self.attach_to(method, given["customer"])
        self.tell("payment_method.attached", method)
        return self.answer(method, call)

    @route("POST", "/v1/payment_methods/{id}/detach")
    def detach(self, call: Incoming) -> Reply:
        method = self.get("payment_methods", call["id"])
        if method["customer"] is None:
            raise refusal("The payment method you provided is not attached to a customer so detachment is impossible.")
        method["customer"] = None
        self.all("detached")[method["id"]] = True
        self.tell("payment_method.detached", method)
        return self.answer(method, call)

    @route("GET", CUSTOMER + "/payment_methods")
    def list_payment_methods(self, call: Incoming) -> Reply:
        mine = [m for m in self.all("payment_methods").values() if m["customer"] == call["customer"]]
        return self.page(call, mine, call.path, ("type",))

    # Sources, tax ids, balance: what belongs to one customer

    def add_source(self, customer: Data, token: str) -> Data:
        """Turn a test token into a card of a customer."""
        card = test_card(token)
        if card is None or not token.startswith("tok_"):
            raise refusal(f"No such token: '{token}'", "resource_missing", "source")
        more = {"address_city": None, "address_zip": None, "exp_month": 8, "exp_year": 2030}
        return self.make("sources", {}, customer=customer["id"], brand=card[0], last4=card[1], **more)

    def _owned(self, call: Incoming, collection: str) -> Data:
        self.get("customers", call["customer"])
        thing = self.get(collection, call["id"])
        if thing["customer"] != call["customer"]:
            raise refusal(f"No such {thing['object']}: '{call['id']}'", "resource_missing", "id", 404)
        return thing

    @route("POST", CUSTOMER + "/sources")
    def create_source(self, call: Incoming) -> Reply:
        customer = self.get("customers", call["customer"])
        made = self.add_source(customer, check(KINDS["sources"].create, call.body)["source"])
        customer["default_source"] = customer["default_source"] or made["id"]
        return self.answer(made, call)

    @route("POST", CUSTOMER + "/sources/{id}")
    def update_source(self, call: Incoming) -> Reply:
        thing = self._owned(call, "sources")
        spec = ["name", "address_city", "address_zip"]
        given = check(
            {**dict.fromkeys(spec, "str"), "exp_month": "int", "exp_year": "int", "metadata": "hash"}, call.body
        )
        return self.answer(self.change("sources", thing, given), call)

    @route("DELETE", CUSTOMER + "/sources/{id}")
    def delete_source(self, call: Incoming) -> Reply:
        thing = self._owned(call, "sources")
        del self.all("sources")[thing["id"]]
        customer = self.get("customers", call["customer"])
        if customer["default_source"] == thing["id"]:
            left = [other["id"] for other in self.all("sources").values() if other["customer"] == customer["id"]]
            customer["default_source"] = left[0] if left else None
        self.effect("source deleted", id=thing["id"])
        return Reply(200, {"id": thing["id"], "object": "card", "deleted": True})

    @route("POST", CUSTOMER + "/tax_ids")
    def create_tax_id(self, call: Incoming) -> Reply:
        self.get("customers", call["customer"])
        given = check(KINDS["tax_ids"].create, call.body)
        return self.answer(self.make("tax_ids", given, customer=call["customer"]), call)

    @route("DELETE", CUSTOMER + "/tax_ids/{id}")
    def delete_tax_id(self, call: Incoming) -> Reply:
        thing = self._owned(call, "tax_ids")
        del self.all("tax_ids")[thing["id"]]
        self.effect("tax id deleted", id=thing["id"])
        return Reply(200, {"id": thing["id"], "object": "tax_id", "deleted": True})

    def book(
        self, customer: Data, amount: int, currency: str, description: str | None, metadata: Data | None = None
    ) -> Data:
        """Change a customer's balance, with an entry that says so."""
        customer["balance"] += amount
        given = {"amount": amount, "currency": currency, "description": description, "metadata": metadata}
        return self.make("balance_transactions", given, customer=customer["id"], ending_balance=customer["balance"])

    @route("POST", CUSTOMER + "/balance_transactions")
    def create_balance_transaction(self, call: Incoming) -> Reply:
        given = check(KINDS["balance_transactions"].create, call.body)
        customer = self.get("customers", call["customer"])
        noted = given.get("description"), given.get("metadata")
        made = self.book(customer, given["amount"], given["currency"], *noted)
        return self.answer(made, call)

    @route("POST", CUSTOMER + "/balance_transactions/{id}")
    def update_balance_transaction(self, call: Incoming) -> Reply:
        thing = self._owned(call, "balance_transactions")
        given = check(KINDS["balance_transactions"].update, call.body)
        return self.answer(self.change("balance_transactions", thing, given), call)

    @route("GET", CUSTOMER + "/{collection}/{id}")
    def get_owned(self, call: Incoming) -> Reply:
        return self.answer(self._owned(call, call["collection"]), call)

    @route("GET", CUSTOMER + "/{collection}")
    def list_owned(self, call: Incoming) -> Reply:
        self.get("customers", call["customer"])
        owned = [thing for thing in self.all(call["collection"]).values() if thing["customer"] == call["customer"]]
        return self.page(call, owned, call.path)
