"""Whether a call happened whose answer was lost: Stripe's events name the idempotency key of the request behind them.

Every write of ours has a key of its own, so an event with that key is proof, and holds the object as it was made. No
such event proves nothing: events appear a moment later, and are kept for 30 days
(https://docs.stripe.com/api/events/object).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from datetime import datetime
from typing import Any

from agentguard.calls import Finder, Json, Read, read
from agentguard_connectors.stripe.base import stripe

PAGES = 20
"""How many pages of 100 events are looked through."""

EVENTS = {
    "charges.create": ("charge.succeeded", "charge.pending", "charge.failed"),
    "coupons.create": ("coupon.created",),
    "customers.create": ("customer.created",),
    "customers.payment_sources.create": ("customer.source.created",),
    "customers.tax_ids.create": ("customer.tax_id.created",),
    "invoice_items.create": ("invoiceitem.created",),
    "invoices.create": ("invoice.created",),
    "invoices.pay": ("invoice.paid",),
    "payment_intents.confirm": (
        "payment_intent.succeeded",
        "payment_intent.amount_capturable_updated",
        "payment_intent.requires_action",
        "payment_intent.processing",
    ),
    "payment_intents.create": (
        "payment_intent.succeeded",
        "payment_intent.amount_capturable_updated",
        "payment_intent.created",
    ),
    "payment_links.create": ("payment_link.created",),
    "plans.create": ("plan.created",),
    "prices.create": ("price.created",),
    "products.create": ("product.created",),
    "promotion_codes.create": ("promotion_code.created",),
    "setup_intents.create": ("setup_intent.created",),
    "subscriptions.create": ("customer.subscription.created",),
    "tax_rates.create": ("tax_rate.created",),
}
"""The events that tell of each operation, the one that shows the furthest state first.

Only for calls whose undo needs their answer. Of the others the thing itself shows whether they happened.
"""


def _finding(kinds: Sequence[str]) -> Any:
    def finder(since: str, key: str) -> Finder:
        found: dict[str, Json] = {}
        yield from _collect(found, kinds, since, key)
        return next((found[kind] for kind in kinds if kind in found), None)

    return finder


def _collect(found: dict[str, Json], kinds: Sequence[str], since: str, key: str) -> Generator[Read, Any, None]:
    # A minute earlier, as Stripe's clock and ours need not agree.
    earliest = int(datetime.fromisoformat(since).timestamp()) - 60
    after: dict[str, Json] = {}
    for _page in range(PAGES if key else 0):
        page = yield read("events.list", types=list(kinds), created={"gte": earliest}, limit=100, **after)
        for event in page["data"]:
            if (event.get("request") or {}).get("idempotency_key") == key:
                found.setdefault(event["type"], event["data"]["object"])
        if found or not page["has_more"]:
            return
        after = {"starting_after": page["data"][-1]["id"]}


for operation, types in EVENTS.items():
    stripe.finds(operation)(_finding(types))
