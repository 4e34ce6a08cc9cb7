"""Products, prices, plans, coupons: what is special about them."""

from __future__ import annotations

from agentguard.sandbox.server import Incoming, Reply, route
from agentguard.sandbox.stripe.base import Base
from agentguard.sandbox.stripe.forms import Data, check, refusal
from agentguard.sandbox.stripe.kinds import KINDS


class Catalog(Base):
    """What can be sold."""

    def make_product(self, thing: Data, given: Data) -> None:
        data = given.get("default_price_data")
        if data:
            self.all("products")[thing["id"]] = thing
            fields = check(KINDS["prices"].create, {**data, "product": thing["id"]})
            thing["default_price"] = self.make("prices", fields)["id"]

    def change_product(self, thing: Data, given: Data) -> None:
        if given.get("default_price"):
            self.get("prices", given["default_price"], "default_price")

    def drop_product(self, thing: Data) -> None:
        for collection, label in (("prices", "user-created prices"), ("plans", "plans")):
            if any(other["product"] == thing["id"] for other in self.all(collection).values()):
                raise refusal(f"This product cannot be deleted because it has one or more {label}.")

    @route("GET", "/v1/prices")
    def list_prices(self, call: Incoming) -> Reply:
        """Archived ones are listed only where they are asked for."""
        call.query.setdefault("active", "true")
        return self.page(call, list(self.all("prices").values()), call.path, KINDS["prices"].filters)

    def make_price(self, thing: Data, given: Data) -> None:
        if given.get("product_data"):
            thing["product"] = self.make("products", check(KINDS["products"].create, given["product_data"]))["id"]
        if not thing["product"]:
            raise refusal("Missing required param: product.", "parameter_missing", "product")
        self.get("products", thing["product"], "product")
        if "unit_amount" not in given:
            raise refusal("You must provide one of `unit_amount` or `custom_unit_amount`.", "parameter_missing")
        if thing["recurring"]:
            thing["type"] = "recurring"
        self.free_lookup_key(thing["lookup_key"])

    def change_price(self, thing: Data, given: Data) -> None:
        if given.get("active") is False:
            product = self.all("products").get(thing["product"], {})
            if product.get("default_price") == thing["id"]:
                raise refusal("This price cannot be archived because it is the default price of its product.")
        if given.get("lookup_key") != thing["lookup_key"]:
            self.free_lookup_key(given.get("lookup_key"))

    def free_lookup_key(self, key: str | None) -> None:
        """Refuse a lookup key that another price has."""
        if key and any(other["lookup_key"] == key for other in self.all("prices").values()):
            raise refusal(f"A price ({key}) already uses that lookup key.", "resource_already_exists", "lookup_key")

    def make_plan(self, thing: Data, given: Data) -> None:
        product = given.get("product")
        if isinstance(product, dict):
            thing["product"] = self.make("products", check(KINDS["products"].create, product))["id"]
        elif product:
            self.get("products", product, "product")
        else:
            raise refusal("Missing required param: product.", "parameter_missing", "product")
        if thing["amount"] is not None:
            thing["amount_decimal"] = str(thing["amount"])
        elif thing["amount_decimal"] is not None:
            thing["amount"] = int(thing["amount_decimal"])

    def make_coupon(self, thing: Data, given: Data) -> None:
        if (thing["percent_off"] is None) == (thing["amount_off"] is None):
            raise refusal("You must pass exactly one of percent_off and amount_off.")
        if thing["amount_off"] is not None and not thing["currency"]:
            raise refusal("Missing required param: currency.", "parameter_missing", "currency")

    def make_promotion_code(self, thing: Data, given: Data) -> None:
        coupon = given.get("coupon") or (given.get("promotion") or {}).get("coupon")
        if not coupon:
            raise refusal("Missing required param: promotion.", "parameter_missing", "promotion")
        self.get("coupons", coupon, "promotion[coupon]")
        thing["promotion"] = {"type": "coupon", "coupon": coupon}
        thing["code"] = thing["code"] or f"CODE{thing['id'][-4:]}"
        active = [other["code"] for other in self.all("promotion_codes").values() if other["active"]]
        if thing["code"] in active:
            raise refusal(f"An active promotion code with `code: {thing['code']}` already exists.")

    @route("POST", "/v1/products/{product}/features")
    def add_feature(self, call: Incoming) -> Reply:
        self.get("products", call["product"])
        given = check(KINDS["features"].create, call.body)
        feature = {"id": given.pop("entitlement_feature"), "object": "entitlements.feature"}
        made = self.make("features", given, entitlement_feature=feature)
        return Reply(200, made)

    @route("GET", "/v1/products/{product}/features/{id}")
    def get_feature(self, call: Incoming) -> Reply:
        return Reply(200, self.get("features", call["id"]))

    @route("GET", "/v1/products/{product}/features")
    def list_features(self, call: Incoming) -> Reply:
        return self.page(call, list(self.all("features").values()), call.path)

    @route("DELETE", "/v1/products/{product}/features/{id}")
    def drop_feature(self, call: Incoming) -> Reply:
        thing = self.get("features", call["id"])
        del self.all("features")[thing["id"]]
        self.effect("feature removed", id=thing["id"])
        return Reply(200, {"id": thing["id"], "object": "product_feature", "deleted": True})
