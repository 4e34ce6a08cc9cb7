"""Whether a call happened whose answer was lost.

Stripe's events name the idempotency key of the request behind them, and every write of ours has a key of its own: an
event with that key is proof, and holds the object as it was made. No such event proves nothing by itself, as events
appear a moment later (https://docs.stripe.com/api/events/object). Lists do not lag
(https://docs.stripe.com/search#data-freshness): where everything that was created around the time of the call has an
event of another request, the call did not happen. A creation that no event tells of carries a mark (see marks.py), and
is looked for in the list. Where neither is proved, the finder raises `Unproven`: None would say that it did not happen.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agentguard.calls import Call, Finder, Json, Read, as_sent, read
from agentguard.errors import AgentguardError
from agentguard_connectors.stripe.base import stripe
from agentguard_connectors.stripe.marks import NAME, mark_of

PAGES = 20
"""How many pages of 100 events or objects are looked through."""
SKEW = 3600
"""Seconds by which Stripe's clock and ours may differ."""


class Unproven(AgentguardError):
    """What was looked for shows neither that a call happened nor that it did not."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What a call leaves: events, the one that shows the furthest state first, and an object in a list."""

    events: tuple[str, ...]
    listed: str
    """The list that shows the object."""
    by: tuple[str, ...] = ()
    """Arguments of the call that the list is asked with, where they were given."""
    filters: tuple[Mapping[str, Json], ...] = field(default=({},))
    """Further arguments: the list is asked once with each of them."""
    dated: bool = True
    """Whether the list can be asked for what was created in a period."""

    @property
    def created(self) -> str:
        """The event that each new object has."""
        return self.events[-1]


EITHER: tuple[Mapping[str, Json], ...] = ({"active": True}, {"active": False})
"""Asked without it, Stripe lists active prices only (https://docs.stripe.com/api/prices/list)."""
CUSTOMER = ("customer",)
"""Asked with it where it was given, as what hangs on a test clock is listed in no other way."""

TRACES = {
    "charges.create": Trace(("charge.succeeded", "charge.pending", "charge.failed"), "charges.list"),
    "coupons.create": Trace(("coupon.created",), "coupons.list"),
    "customers.create": Trace(("customer.created",), "customers.list", by=("test_clock",)),
    "customers.payment_sources.create": Trace(
        ("customer.source.created",), "customers.payment_sources.list", by=CUSTOMER, dated=False
    ),
    "customers.tax_ids.create": Trace(("customer.tax_id.created",), "customers.tax_ids.list", by=CUSTOMER, dated=False),
    "invoice_items.create": Trace(("invoiceitem.created",), "invoice_items.list", by=CUSTOMER),
    "invoices.create": Trace(("invoice.created",), "invoices.list", by=CUSTOMER),
    "payment_intents.create": Trace(
        ("payment_intent.succeeded", "payment_intent.amount_capturable_updated", "payment_intent.created"),
        "payment_intents.list",
    ),
    "payment_links.create": Trace(("payment_link.created",), "payment_links.list", dated=False),
    "plans.create": Trace(("plan.created",), "plans.list", filters=EITHER),
    "prices.create": Trace(("price.created",), "prices.list", filters=EITHER),
    "products.create": Trace(("product.created",), "products.list", filters=EITHER),
    "promotion_codes.create": Trace(("promotion_code.created",), "promotion_codes.list"),
    "refunds.create": Trace(("refund.created",), "refunds.list"),
    "setup_intents.create": Trace(("setup_intent.created",), "setup_intents.list"),
    "subscriptions.create": Trace(
        ("customer.subscription.created",), "subscriptions.list", by=CUSTOMER, filters=({"status": "all"},)
    ),
    "tax_rates.create": Trace(("tax_rate.created",), "tax_rates.list"),
}
"""The creations that events tell of."""

STEPS = {
    "invoices.pay": (
        ("invoice.paid",),
        Read("invoices.retrieve", {}),
        ("invoice", "status", "amount_paid", "attempt_count"),
    ),
    "payment_intents.confirm": (
        (
            "payment_intent.succeeded",
            "payment_intent.amount_capturable_updated",
            "payment_intent.requires_action",
            "payment_intent.processing",
        ),
        Read("payment_intents.retrieve", {}),
        ("intent", "status", "latest_charge", "last_payment_error"),
    ),
}
"""Calls that take something further: their events, how it is read, its name, and what shows that nothing came of them.

Of all others the thing itself shows whether they happened.
"""

LISTED = {
    "checkout.sessions.create": Trace((), "checkout.sessions.list"),
    "customers.balance_transactions.create": Trace((), "customers.balance_transactions.list", by=CUSTOMER, dated=False),
    "shipping_rates.create": Trace((), "shipping_rates.list"),
    "subscription_items.create": Trace((), "subscription_items.list", by=("subscription",), dated=False),
    "webhook_endpoints.create": Trace((), "webhook_endpoints.list", dated=False),
}
"""The creations that carry a mark, and where they are listed."""


def _around(since: str) -> dict[str, Json]:
    at = int(datetime.fromisoformat(since).timestamp())
    return {"gte": at - SKEW, "lte": at + SKEW}


def _pages(operation: str, **arguments: Json) -> Generator[Read, Any, Json]:
    """Read a list page by page: return all of it. Raises Unproven where there is more than is looked through."""
    things: list[Json] = []
    after: dict[str, Json] = {}
    for _page in range(PAGES):
        page = yield read(operation, limit=100, **arguments, **after)
        things += page["data"]
        if not page["has_more"] or not page["data"]:
            return things
        after = {"starting_after": things[-1]["id"]}
    raise _too_many(operation)


def _too_many(operation: str) -> Unproven:
    return Unproven(
        f"{operation} shows more than {PAGES * 100} entries around the time of the call. Look in Stripe's dashboard "
        "for the request with its idempotency key"
    )


def _told(kinds: tuple[str, ...], since: str, key: str) -> Generator[Read, Any, tuple[Json, dict[str, set[str]]]]:
    """The object of the event that *key* is behind, and the ids of which there are events, by kind of event."""
    known: dict[str, set[str]] = {kind: set() for kind in kinds}
    found: dict[str, Json] = {}
    after: dict[str, Json] = {}
    for _page in range(PAGES):
        page = yield read("events.list", types=list(kinds), created=_around(since), limit=100, **after)
        for event in page["data"]:
            request = event.get("request") or {}
            if not isinstance(request, dict):
                continue  # the oldest versions of the API show no key: the event may be ours
            known[event["type"]].add(event["data"]["object"]["id"])
            if request.get("idempotency_key") == key:
                found.setdefault(event["type"], event["data"]["object"])
        if found or not page["has_more"] or not page["data"]:
            return next((found[kind] for kind in kinds if kind in found), None), known
        after = {"starting_after": page["data"][-1]["id"]}
    raise _too_many("events.list")


def _listed(trace: Trace, call: Call, since: str) -> Generator[Read, Any, list[Json]]:
    """The objects that were created around the time of the call; with those of which the list does not say when."""
    around = _around(since)
    named = {name: call.arguments[name] for name in trace.by if isinstance(call.arguments.get(name), str)}
    things: list[Json] = []
    for filters in trace.filters:
        period = {"created": around} if trace.dated else {}
        things += yield from _pages(trace.listed, **named, **period, **filters)
    return [thing for thing in things if around["gte"] <= thing.get("created", around["gte"]) <= around["lte"]]


def _by_event(trace: Trace) -> Any:
    def finder(call: Call, since: str, key: str) -> Finder:
        found, known = yield from _told(trace.events, since, key)
        if found is not None:
            return found
        ids = {thing["id"] for thing in (yield from _listed(trace, call, since))}
        if ids - _explained(trace, known):
            found, known = yield from _told(trace.events, since, key)  # what somebody else made between the two looks
        if found is None and (open_ := ids - _explained(trace, known)):
            raise Unproven(
                f"{', '.join(sorted(open_)[:3])} was created around the time of the call, and no event tells yet by "
                "which request. Look again in a moment"
            )
        return found

    return finder


def _explained(trace: Trace, known: dict[str, set[str]]) -> set[str]:
    """The ids that events of another request tell the creation of.

    For a charge that is any of its events, as each charge begins with one of them.
    """
    if trace.created.endswith(".created"):
        return known[trace.created]
    return set().union(*known.values())


def _by_step(kinds: tuple[str, ...], look: Read, shown: tuple[str, ...]) -> Any:
    name, *fields = shown

    def finder(call: Call, since: str, key: str, snapshots: Json) -> Finder:
        found, _known = yield from _told(kinds, since, key)
        if found is not None:
            return found
        before = snapshots[0] if snapshots else None
        now = yield read(look.operation, **{name: call.arguments[name]})
        if isinstance(before, dict) and all(
            field in before and before[field] == now.get(field) for field in fields if field in now
        ):
            return None
        raise Unproven(
            f"{call.arguments[name]} is not as it was before the call, and no event tells yet by which request. "
            "Look again in a moment"
        )

    return finder


def _by_mark(trace: Trace) -> Any:
    def finder(call: Call, since: str, key: str) -> Finder:
        mark = mark_of(call.arguments, key)
        if mark is None:
            raise Unproven("the call carried no mark: its metadata or its idempotency key was the caller's own")
        things = yield from _listed(trace, call, since)
        found = next((thing for thing in things if mark in (thing.get("metadata") or {}).values()), None)
        return as_sent(found, {**call.arguments, "metadata": {**call.arguments["metadata"], NAME: mark}})

    return finder


for operation, trace in TRACES.items():
    stripe.finds(operation, authoritative=True, exact=True)(_by_event(trace))
for operation, trace in LISTED.items():
    stripe.finds(operation, authoritative=True, exact=True)(_by_mark(trace))
for operation, step in STEPS.items():
    stripe.finds(operation, authoritative=True, exact=True)(_by_step(*step))
EVENTS = {operation: trace.events for operation, trace in TRACES.items()} | {name: s[0] for name, s in STEPS.items()}
"""The events that tell of each operation, the one that shows the furthest state first."""
