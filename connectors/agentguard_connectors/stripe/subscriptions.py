"""Subscriptions and their items. See https://docs.stripe.com/billing/subscriptions/overview.

Cancelling ends a subscription for good, so `cancel_at_period_end`, which can be taken back, is an update. Changing
items makes Stripe bill or credit the difference; taking the change back is done without a second proration, and what
was billed for the first one stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from typing import Any

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
from agentguard_connectors.stripe.fields import Plan, creating, plan, reference, shown, updating
from agentguard_connectors.stripe.invoices import crediting

ENDED = "it stays listed as canceled, with its invoices"
UNPAID = "what was paid for it after it was made is not refunded"
PRORATED = "what Stripe billed or credited for the change stays"
ANOTHER_PERIOD = (
    "the prices have another billing period, so that Stripe would bill the old ones for a whole period at once: "
    "the items stay as they are"
)
SEEN = ("id", "price", "plan", "quantity", "deleted")
"""What of an item can be seen and put back."""
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
    yield way_back.on(_look(made["id"]), left={"over": False}, back={"over": True}).leaving(f"{ENDED}; {UNPAID}")
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
    _ending(way_back, before)
    way_back.lost += sorted({f"items.{name}" for item in items or () for name in item if name not in SEEN})
    same_items = not items or all("id" in item and item.get("deleted") != "true" for item in items)
    if way_back.lost:
        yield way_back.no_way()
    if same_items:
        another = yield from _another_period(raw["items"]["data"], items)
        if another:
            yield no_undo(ANOTHER_PERIOD)
            items = None
        if items or way_back.written or not another:
            yield _restoring(subscription_exposed_id, look, way_back, raw, items, None)
        yield forward()
    else:
        made = yield forward()
        if _periods(raw["items"]["data"]) != _periods(made["items"]["data"]):
            yield no_undo(ANOTHER_PERIOD)
            items = None
        if items or way_back.written:
            yield _restoring(subscription_exposed_id, look, way_back, raw, items, made)


def _ending(way_back: Plan, before: Json) -> None:
    """Put back when the subscription ends, where the call sets that: each way to say so takes the place of the other.

    See https://docs.stripe.com/billing/subscriptions/cancel.
    """
    named = way_back.written.keys() & {"cancel_at", "cancel_at_period_end"}
    if not named or "cancel_at" not in before:
        return
    for name in named:
        del way_back.written[name], way_back.back[name]
    way_back.back["cancel_at_period_end"] = before["cancel_at_period_end"]
    if before["cancel_at_period_end"]:
        way_back.written["cancel_at_period_end"] = True
        return
    way_back.back["cancel_at"] = before["cancel_at"]
    if before["cancel_at"]:
        way_back.written["cancel_at"] = before["cancel_at"]
    elif "cancel_at_period_end" in named:
        way_back.written["cancel_at_period_end"] = False
    else:
        way_back.written["cancel_at"] = ""


def _another_period(former: list[Json], items: Json) -> Generator[Read, Any, bool]:
    """Whether a call gives one of the items that it names a price with another period."""
    periods = {item["id"]: _period(item.get("price")) for item in former if "id" in item}
    for item in items or ():
        name = item.get("price") or item.get("plan")
        price = (yield read("prices.retrieve", price=name)) if name else item.get("price_data")
        if price and _period(price) != periods.get(item["id"], _period(price)):
            return True
    return False


def _period(price: Json) -> tuple[str, int]:
    """How often a price is billed. To change it begins a new period, which is billed at once.

    See https://support.stripe.com/questions/handling-subscription-changes.
    """
    recurring = (price.get("recurring") if isinstance(price, dict) else None) or {}
    return str(recurring.get("interval")), int(recurring.get("interval_count") or 1)


def _periods(items: list[Json]) -> set[tuple[str, int]]:
    return {_period(item.get("price")) for item in items}


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
    # An end within a period is prorated, too.
    billed = items or "cancel_at" in way_back.left
    return step.on(look, left=left, back=back, same_shape=True).leaving(PRORATED if billed else "")


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


@stripe.guards("subscription_items.update", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=PRORATED)
def update_item(call: Call, item: str) -> Handler:
    """Change price or quantity of a subscription; the old ones come back, and what was billed stays."""
    old = yield read("subscription_items.retrieve", item=item)
    if (yield from _another_period([old], [{**call.arguments, "id": item}])):
        yield no_undo(ANOTHER_PERIOD)
        yield forward()
    else:
        yield from updating(call, fixed=("price", "quantity"), remains=PRORATED, manner={"proration_behavior": "none"})


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
