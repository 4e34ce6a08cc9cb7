"""Subscriptions and their items. See https://docs.stripe.com/billing/subscriptions/overview.

Cancelling ends a subscription for good, so `cancel_at_period_end`, which can be taken back, is an update. Changing
items makes Stripe bill or credit the difference; taking the change back is done without a second proration, and what
was billed for the first one stays.
"""

from __future__ import annotations

from collections import Counter

from agentguard.calls import (
    ABSENT,
    Call,
    Effect,
    Handler,
    Json,
    NoUndo,
    Read,
    Risk,
    Undo,
    forward,
    no_undo,
    read,
    unchanged,
    undo,
)
from agentguard_connectors.stripe.base import stripe
from agentguard_connectors.stripe.fields import Plan, creating, plan, reference, restoring, shown
from agentguard_connectors.stripe.invoices import crediting

ENDED = "it stays listed as canceled, with its invoices"
PRORATED = "what Stripe billed or credited for the change stays"
UPDATABLE = (
    "cancel_at",
    "cancel_at_period_end",
    "default_payment_method",
    "default_source",
    "description",
    "on_behalf_of",
    "pause_collection",
)


@stripe.view
def subscription(thing: Json) -> Json:
    """Show a subscription with its prices and quantities, and whether it has ended."""
    over = thing["status"] in ("canceled", "incomplete_expired")
    held = sorted([reference(item["price"]), item.get("quantity")] for item in thing["items"]["data"])
    return {**shown(thing), "items": held, "over": over}


def _look(subscription: str) -> Read:
    return read("subscriptions.retrieve", subscription_exposed_id=subscription).through("subscription")


@stripe.guards("subscriptions.create", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=ENDED)
def create_subscription() -> Handler:
    """Subscribe a customer; a first invoice that was paid is credited, and the subscription is cancelled."""
    made = yield forward()
    way_back = undo("subscriptions.cancel", subscription_exposed_id=made["id"], invoice_now=False, prorate=False)
    yield way_back.on(_look(made["id"]), left={"over": False}, back={"over": True}).leaving(ENDED)
    first = reference(made.get("latest_invoice"))
    if first:
        invoice = yield read("invoices.retrieve", invoice=first)
        if invoice["status"] == "paid" and invoice["total"]:
            yield crediting(invoice)


@stripe.guards("subscriptions.update", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=PRORATED)
def update_subscription(call: Call, subscription_exposed_id: str, items: Json) -> Handler:
    """Change a subscription; the old items and settings come back, and what was billed for the change stays."""
    look = _look(subscription_exposed_id)
    raw = yield read("subscriptions.retrieve", subscription_exposed_id=subscription_exposed_id)
    before = stripe.views["subscription"](raw)
    given = {n: value for n, value in call.arguments.items() if n not in ("subscription_exposed_id", "items")}
    way_back = plan(given, before, UPDATABLE, fixed=("collection_method",))
    same_items = not items or all("id" in item and item.get("deleted") != "true" for item in items)
    if way_back.lost:
        yield way_back.no_way()
    if same_items:
        yield _restoring(subscription_exposed_id, look, way_back, raw, items, None)
        yield forward()
    else:
        made = yield forward()
        yield _restoring(subscription_exposed_id, look, way_back, raw, items, made)


def _restoring(name: str, look: Read, way_back: Plan, old: Json, items: Json, made: Json) -> Undo | NoUndo:
    """The undo for an update. The items that were added have ids only in what came back, *made*."""
    written: dict[str, Json] = dict(way_back.written)
    left, back = dict(way_back.left), dict(way_back.back)
    if items:
        former = {item["id"]: item for item in old["items"]["data"]}
        touched = {item["id"] for item in items if "id" in item}
        if not touched <= former.keys() or old["items"].get("has_more"):
            return no_undo("the subscription has more items than Stripe shows with it, so the old ones are not known")
        changed = [_item(former[item], id=item) for item in former if item in touched]
        if made is not None:
            now = {item["id"] for item in made["items"]["data"]}
            changed = [_item(former[i], **({"id": i} if i in now else {})) for i in former if i in touched]
            changed += [{"id": item, "deleted": True} for item in now if item not in former]
        written |= {"items": changed, "proration_behavior": "none"}
        view = stripe.views["subscription"]
        back["items"] = view(old)["items"]
        left["items"] = view(made)["items"] if made is not None else _expected(former, items)
    if not written:
        return unchanged("of what can be put back, the call changed nothing")
    step = undo("subscriptions.update", subscription_exposed_id=name, **written)
    return step.on(look, left=left, back=back, same_shape=True).leaving(PRORATED if items else "")


def _item(old: Json, **more: Json) -> Json:
    quantity = {} if old.get("quantity") is None else {"quantity": old["quantity"]}
    return {**more, "price": reference(old["price"]), **quantity}


def _expected(former: dict[str, Json], items: Json) -> list[list[Json]]:
    """Prices and quantities as an update of existing items should leave them."""
    held = {i: [reference(item["price"]), item.get("quantity")] for i, item in former.items()}
    for item in items:
        price, quantity = held.get(item["id"], [None, None])
        given = item.get("quantity")
        held[item["id"]] = [item.get("price", price), int(given) if str(given or "").isdecimal() else quantity]
    return sorted(held.values())


stripe.irreversible(
    "subscriptions.cancel",
    "A canceled subscription cannot be resumed; cancel_at_period_end can be taken back while the period lasts.",
)


creating(
    "subscription_items.create",
    "Add a price to a subscription; it is taken off again, and what was billed for it stays.",
    key="item",
    fields=("quantity",),
    effect=Effect.COMPENSABLE,
    risk=Risk.HIGH,
    remains=PRORATED,
    manner={"proration_behavior": "none"},
)

restoring(
    "subscription_items.update",
    "Change price or quantity of a subscription; the old ones come back, and what was billed stays.",
    fixed=("price", "quantity"),
    effect=Effect.COMPENSABLE,
    risk=Risk.HIGH,
    remains=PRORATED,
    manner={"proration_behavior": "none"},
)


@stripe.view
def held_prices(page: Json) -> Json:
    """Show how many items of a subscription have which price."""
    return dict(Counter(reference(item["price"]) for item in page["data"]))


@stripe.guards("subscription_items.delete", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=PRORATED)
def delete_subscription_item(item: str) -> Handler:
    """Take a price off a subscription; it is added again under a new id, and what was billed stays."""
    old = yield read("subscription_items.retrieve", item=item)
    price, of = reference(old["price"]), old["subscription"]
    quantity = {} if old.get("quantity") is None else {"quantity": old["quantity"]}
    way_back = undo("subscription_items.create", subscription=of, price=price, proration_behavior="none", **quantity)
    look = read("subscription_items.list", subscription=of, limit=100).through("held_prices")
    yield way_back.on(look, left={price: ABSENT}, back={price: 1}).leaving(f"the item has a new id; {PRORATED}")
    yield forward()
