"""Subscriptions and their items. Time does not move here: nothing renews and no trial ends by itself."""

from __future__ import annotations

from typing import Any

from agentguard.sandbox.server import Incoming, Reply, route
from agentguard.sandbox.stripe.forms import Data, check, refusal
from agentguard.sandbox.stripe.invoices import Invoices
from agentguard.sandbox.stripe.kinds import KINDS

DROP_ITEM = {"proration_behavior": "str", "clear_usage": "bool"}
CANCEL = {"invoice_now": "bool", "prorate": "bool", "cancellation_details": "hash", "expand": "list"}

MONTH = 30 * 24 * 60 * 60


class Subscriptions(Invoices):
    """What customers pay again and again."""

    def item(self, subscription: Data, given: Data) -> Data:
        """Make an item of a subscription."""
        price = self.get("prices", given["price"], "items[0][price]")
        if not price["recurring"]:
            raise refusal("The price specified is set to `type=one_time` but this field only accepts recurring prices.")
        quantity = int(given.get("quantity") or 1)
        about = {"subscription": subscription["id"], "price": dict(price), "quantity": quantity}
        made = self.make("subscription_items", {"metadata": given.get("metadata")}, **about)
        subscription["items"]["data"].append(made)
        return made

    def prorate(self, subscription: Data, given: Data, before: int) -> None:
        """Bill the difference on the next invoice, unless asked not to."""
        after = worth(subscription)
        if given.get("proration_behavior") != "none" and after != before:
            about = {"customer": subscription["customer"], "description": "Remaining time", "amount": after - before}
            self.make("invoiceitems", about)["proration"] = True

    def make_subscription(self, thing: Data, given: Data) -> None:
        customer = self.get("customers", thing["customer"], "customer")
        thing["items"] = {"object": "list", "data": []}
        self.all("subscriptions")[thing["id"]] = thing
        for wanted in given.pop("items"):
            self.item(thing, wanted)
        method = thing["default_payment_method"] or customer["invoice_settings"]["default_payment_method"]
        method = method or ("pm_card_visa" if customer["default_source"] else None)
        if given.get("trial_period_days"):
            thing["status"] = "trialing"
            return
        if method is None and thing["collection_method"] == "charge_automatically":
            raise refusal(
                "This customer has no attached payment source or default payment method. Please consider adding a "
                "default payment method.",
                "resource_missing",
            )
        invoice = self.make("invoices", {"customer": customer["id"]})
        fee = {"customer": customer["id"], "invoice": invoice["id"], "amount": worth(thing)}
        self.make("invoiceitems", {**fee, "description": "First period"})
        self.finish(invoice)
        thing["latest_invoice"] = invoice["id"]
        if thing["collection_method"] == "charge_automatically":
            self.settle(invoice, method)

    def change_subscription(self, thing: Data, given: Data) -> None:
        if thing["status"] == "canceled" and set(given) - {"metadata"}:
            raise refusal("A canceled subscription can only update its cancellation_details and metadata.")
        before = worth(thing)
        if "cancel_at_period_end" in given:
            thing["cancel_at"] = thing["created"] + MONTH if given["cancel_at_period_end"] else None
        elif "cancel_at" in given:
            thing["cancel_at_period_end"] = False
        for wanted in given.pop("items", None) or []:
            if "id" not in wanted:
                self.item(thing, wanted)
                continue
            old = self._item_of(thing, wanted["id"])
            if str(wanted.get("deleted")).lower() == "true":
                self._drop(thing, old)
            else:
                self._change(old, wanted)
        self.prorate(thing, given, before)
        if given.get("pause_collection") == "":
            given["pause_collection"] = None

    def _item_of(self, subscription: Data, name: str) -> Data:
        for item in subscription["items"]["data"]:
            if item["id"] == name:
                found: Data = item
                return found
        raise refusal(f"No such subscription item: '{name}'", "resource_missing", "items")

    def _change(self, item: Data, wanted: Data) -> None:
        if wanted.get("price"):
            item["price"] = dict(self.get("prices", wanted["price"], "price"))
        if wanted.get("quantity") not in (None, ""):
            item["quantity"] = int(wanted["quantity"])
        self.all("subscription_items")[item["id"]] = item

    def _drop(self, subscription: Data, item: Data) -> None:
        if len(subscription["items"]["data"]) == 1:
            raise refusal("A subscription must have at least one active plan.")
        subscription["items"]["data"].remove(item)
        self.all("subscription_items").pop(item["id"], None)

    @route("GET", "/v1/subscriptions")
    def list_subscriptions(self, call: Incoming) -> Reply:
        """Canceled ones are listed only where they are asked for."""
        found = list(self.all("subscriptions").values())
        if "status" not in call.query:
            found = [thing for thing in found if thing["status"] != "canceled"]
        if call.query.get("status") == "all":
            del call.query["status"]
        return self.page(call, found, call.path, KINDS["subscriptions"].filters)

    @route("DELETE", "/v1/subscriptions/{id}")
    def cancel_subscription(self, call: Incoming) -> Reply:
        check(CANCEL, call.query)
        thing = self.get("subscriptions", call["id"])
        if thing["status"] == "canceled":
            raise refusal(f"No such subscription: '{thing['id']}'", "resource_missing", "id", 404)
        now = self.now()
        thing.update(status="canceled", canceled_at=now, ended_at=now, cancel_at_period_end=False)
        self.tell("customer.subscription.deleted", thing)
        return self.answer(thing, call)

    # Items by themselves

    def _owner(self, item: Data) -> Data:
        return self.get("subscriptions", item["subscription"], "subscription")

    @route("POST", "/v1/subscription_items")
    def create_item(self, call: Incoming) -> Reply:
        given = check(KINDS["subscription_items"].create, call.body)
        owner = self.get("subscriptions", given["subscription"], "subscription")
        before = worth(owner)
        made = self.item(owner, given)
        self.prorate(owner, given, before)
        return self.answer(made, call)

    @route("POST", "/v1/subscription_items/{id}")
    def update_item(self, call: Incoming) -> Reply:
        given = check(KINDS["subscription_items"].update, call.body)
        owner = self._owner(self.get("subscription_items", call["id"]))
        item = self._item_of(owner, call["id"])
        before = worth(owner)
        self._change(item, given)
        given.pop("price", None)
        self.change("subscription_items", item, {"metadata": given.get("metadata") or {}})
        self.prorate(owner, given, before)
        return self.answer(item, call)

    @route("DELETE", "/v1/subscription_items/{id}")
    def delete_item(self, call: Incoming) -> Reply:
        given = check(DROP_ITEM, call.body or call.query)
        owner = self._owner(self.get("subscription_items", call["id"]))
        before = worth(owner)
        self._drop(owner, self._item_of(owner, call["id"]))
        self.prorate(owner, given, before)
        self.effect("subscription item deleted", id=call["id"])
        return Reply(200, {"id": call["id"], "object": "subscription_item", "deleted": True})


def worth(subscription: Data) -> int:
    """What one period costs."""
    items: list[Any] = subscription["items"]["data"]
    return sum(item["price"]["unit_amount"] * item["quantity"] for item in items)
