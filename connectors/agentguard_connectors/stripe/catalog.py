"""Products, prices, plans, coupons, promotion codes, tax and shipping rates.

Stripe deletes no price, promotion code or rate, and no product that ever had a price
(https://docs.stripe.com/api/products/delete): what was made is archived instead, and stays listed as inactive.
"""

from __future__ import annotations

from collections.abc import Collection

from agentguard.calls import ABSENT, Call, Effect, Handler, Json, Risk, forward, read, undo
from agentguard_connectors.stripe.base import stripe
from agentguard_connectors.stripe.fields import creating, restoring, shown

PRODUCT = (
    "active",
    "description",
    "images",
    "marketing_features",
    "name",
    "package_dimensions",
    "shippable",
    "statement_descriptor",
    "tax_code",
    "unit_label",
    "url",
)
COUPON = (
    "amount_off",
    "applies_to",
    "currency",
    "duration",
    "duration_in_months",
    "max_redemptions",
    "name",
    "percent_off",
    "redeem_by",
)
PLAN = (
    "active",
    "amount_decimal",
    "billing_scheme",
    "currency",
    "interval",
    "interval_count",
    "meter",
    "nickname",
    "product",
    "tiers",
    "tiers_mode",
    "transform_usage",
    "trial_period_days",
    "usage_type",
)
AGAIN = "it is a new product under the old id; features that it had have to be added again"
ARCHIVED = "it stays listed, archived: Stripe does not delete it"


@stripe.guards("products.create", effect=Effect.COMPENSABLE, remains=ARCHIVED)
def create_product() -> Handler:
    """Make a product; it is archived, and a price that was made with it cannot be used any more."""
    made = yield forward()
    # Not deleted, although a product without prices could be: when the session gave it prices, Stripe would refuse.
    look = read("products.retrieve", id=made["id"]).through("shown")
    way_back = undo("products.update", id=made["id"], active=False)
    yield way_back.on(look, left={"active": True, "name": made["name"]}, back={"active": False}).leaving(ARCHIVED)


restoring(
    "products.update",
    "Change a product; the old values come back.",
    fields=PRODUCT,
    fixed=("default_price",),
)


def _again(old: Json, fields: Collection[str]) -> dict[str, Json]:
    """The arguments that make the same thing once more; nothing that was empty."""
    metadata = {"metadata": old["metadata"]} if old.get("metadata") else {}
    seen = shown(old)
    return {name: seen[name] for name in fields if seen.get(name) not in (None, "", [], {})} | metadata


@stripe.guards("products.delete", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains=AGAIN)
def delete_product(id: str) -> Handler:  # noqa: A002 - Stripe's name for it
    """Delete a product; it is made again under the same id, without its features."""
    old = yield read("products.retrieve", id=id)
    again = _again(old, PRODUCT)
    look = read("products.retrieve", id=id).through("shown")
    yield undo("products.create", id=id, **again).on(look, left=ABSENT, back=shown(again)).leaving(AGAIN)
    yield forward()


@stripe.guards("prices.create", effect=Effect.COMPENSABLE, remains=ARCHIVED)
def create_price(product_data: Json, transfer_lookup_key: Json) -> Handler:
    """Make a price; it is archived, as is a product that was made with it."""
    made = yield forward()
    remains = f"{ARCHIVED}; its lookup key stays taken" if made.get("lookup_key") else ARCHIVED
    if transfer_lookup_key in (True, "true") and made.get("lookup_key"):
        remains += ", also from the price that had it before"
    if product_data:
        look = read("products.retrieve", id=made["product"]).through("shown")
        product = undo("products.update", id=made["product"], active=False)
        yield product.on(look, left={"active": True}, back={"active": False}).leaving(ARCHIVED)
    look = read("prices.retrieve", price=made["id"]).through("shown")
    way_back = undo("prices.update", price=made["id"], active=False)
    yield way_back.on(look, left={"active": True}, back={"active": False}).leaving(remains)


restoring(
    "prices.update",
    "Change a price; the old values come back.",
    fields=("active", "nickname"),
    fixed=("lookup_key",),
)

creating(
    "coupons.create",
    "Make a coupon; it is deleted again.",
    key="coupon",
    fields=("name", "times_redeemed"),
)

restoring("coupons.update", "Change a coupon's name or metadata; the old ones come back.", fields=("name",))


@stripe.guards("coupons.delete", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains="its redemptions count from zero")
def delete_coupon(coupon: str) -> Handler:
    """Delete a coupon; it is made again under the same id, with no redemptions counted."""
    old = yield read("coupons.retrieve", coupon=coupon, expand=["applies_to"])
    again = _again(old, COUPON)
    look = read("coupons.retrieve", coupon=coupon).through("shown")
    back = {name: value for name, value in shown(again).items() if name != "applies_to"}
    way_back = undo("coupons.create", id=coupon, **again)
    yield way_back.on(look, left=ABSENT, back=back).leaving(
        "its redemptions count from zero, and its promotion codes stay without effect"
    )
    yield forward()


@stripe.guards("plans.create", effect=Effect.REVERSIBLE)
def create_plan(product: Json) -> Handler:
    """Make a plan; it is deleted again, as is a product that was made with it."""
    made = yield forward()
    if isinstance(product, dict):
        look = read("products.retrieve", id=made["product"]).through("shown")
        yield undo("products.delete", id=made["product"]).on(look, left={"active": True}, back=ABSENT)
    look = read("plans.retrieve", plan=made["id"]).through("shown")
    left = {"active": made["active"], "nickname": made["nickname"]}
    yield undo("plans.delete", plan=made["id"]).on(look, left=left, back=ABSENT)


restoring(
    "plans.update",
    "Change a plan; the old values come back.",
    fields=("active", "nickname", "trial_period_days"),
    fixed=("product",),
)


@stripe.guards("plans.delete", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def delete_plan(plan: str) -> Handler:
    """Delete a plan; it is made again under the same id. Subscriptions to it are not touched by either."""
    old = yield read("plans.retrieve", plan=plan, expand=["tiers"])
    again = _again(old, PLAN)
    look = read("plans.retrieve", plan=plan).through("shown")
    back = {name: value for name, value in shown(again).items() if name != "tiers"}
    if "tiers" in again:
        again["tiers"] = [_tier(tier) for tier in again["tiers"]]
        again.pop("amount_decimal", None)
    yield undo("plans.create", id=plan, **again).on(look, left=ABSENT, back=back)
    yield forward()


def _tier(old: Json) -> Json:
    """A tier as a new plan takes it: each amount once, the precise one, and `inf` for the last tier's end."""
    again = {"up_to": old["up_to"] or "inf"}
    for amount in ("unit_amount", "flat_amount"):
        name = next((n for n in (f"{amount}_decimal", amount) if old.get(n) is not None), None)
        again |= {name: old[name]} if name else {}
    return again


def _archived(operation: str, key: str, summary: str) -> None:
    creating(
        operation,
        summary,
        key=key,
        writes={"active": False},
        effect=Effect.COMPENSABLE,
        remains=ARCHIVED,
    )


_archived("promotion_codes.create", "promotion_code", "Make a promotion code; it is deactivated.")
_archived("tax_rates.create", "tax_rate", "Make a tax rate; it is archived.")
_archived("shipping_rates.create", "shipping_rate_token", "Make a shipping rate; it is archived.")
restoring("promotion_codes.update", "Change a promotion code; the old values come back.", fields=("active",))
restoring(
    "tax_rates.update",
    "Change a tax rate; the old values come back.",
    fields=("active", "country", "description", "display_name", "jurisdiction", "state"),
    fixed=("tax_type",),
)
restoring(
    "shipping_rates.update",
    "Change a shipping rate; the old values come back.",
    fields=("active",),
    fixed=("tax_behavior",),
)


@stripe.guards("products.features.create", effect=Effect.REVERSIBLE)
def add_feature(call: Call, product: str) -> Handler:
    """Give a product a feature; it is taken from it again."""
    made = yield forward()
    look = read("products.features.retrieve", product=product, id=made["id"]).through("shown")
    yield undo("products.features.delete", product=product, id=made["id"]).on(
        look, left={"id": made["id"]}, back=ABSENT
    )
