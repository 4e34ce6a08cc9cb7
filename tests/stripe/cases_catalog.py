"""Customers and what can be sold: one way to use each guarded operation, and what taking it back leaves."""

from __future__ import annotations

from tests.stripe.worlds import (
    COMPENSATED,
    Case,
    attached,
    balance,
    code,
    coupon,
    customer,
    method,
    plan,
    price,
    product,
    shipping_rate,
    tax_id,
    tax_rate,
)

NEW_METADATA = {"plan": "b", "added": "yes"}

CASES = [
    Case(
        "customers.create",
        lambda v1, w: v1.customers.create(params={"name": "Bo"}),
        customer,
        COMPENSATED,
        (r"customers\.cus_\d+",),
        lambda v1, w: v1.customers.create_async(params={"name": "Bo"}),
    ),
    Case(
        "customers.update",
        lambda v1, w: v1.customers.update(
            w.customer,
            params={
                "name": "Bo",
                "phone": "1",
                "address": {"line1": "Way 1", "city": "Bonn"},
                "metadata": {"plan": "b", "region": "", "added": "yes"},
            },
        ),
        customer,
        later=lambda v1, w: v1.customers.update_async(w.customer, params={"name": "Bo", "metadata": NEW_METADATA}),
    ),
    Case(
        "customers.tax_ids.create",
        lambda v1, w: v1.customers.tax_ids.create(w.customer, params={"type": "eu_vat", "value": "DE1"}),
        customer,
    ),
    Case(
        "customers.tax_ids.delete",
        lambda v1, w: v1.customers.tax_ids.delete(w.customer, w.tax_id),
        tax_id,
        COMPENSATED,
        (r"tax_ids(\..*)?",),
    ),
    Case(
        "customers.payment_sources.create",
        lambda v1, w: v1.customers.payment_sources.create(w.customer, params={"source": "tok_visa"}),
        customer,
    ),
    Case(
        "customers.payment_sources.update",
        lambda v1, w: v1.customers.payment_sources.update(
            w.customer, w.source, params={"name": "Bo", "exp_year": 2033, "metadata": {"x": "y"}}
        ),
        lambda v1: customer(v1, source="tok_visa"),
    ),
    Case(
        "customers.balance_transactions.create",
        lambda v1, w: v1.customers.balance_transactions.create(w.customer, params={"amount": -5, "currency": "usd"}),
        balance,
        COMPENSATED,
        (r"balance_transactions\.cbtxn_\d+",),
    ),
    Case(
        "customers.balance_transactions.update",
        lambda v1, w: v1.customers.balance_transactions.update(
            w.customer, w.entry, params={"description": "new", "metadata": {"x": "y"}}
        ),
        balance,
    ),
    Case(
        "payment_methods.attach",
        lambda v1, w: v1.payment_methods.attach(w.method, params={"customer": w.customer}),
        method,
        COMPENSATED,
        (r"detached",),
        lambda v1, w: v1.payment_methods.attach_async(w.method, params={"customer": w.customer}),
    ),
    Case(
        "payment_methods.update",
        lambda v1, w: v1.payment_methods.update(
            w.method,
            params={
                "billing_details": {"email": "new@example.test", "name": "Bo"},
                "card": {"exp_month": 3, "exp_year": 2031},
                "metadata": {"x": "y"},
            },
        ),
        attached,
        later=lambda v1, w: v1.payment_methods.update_async(w.method, params={"metadata": {"x": "y"}}),
    ),
    Case(
        "products.create",
        lambda v1, w: v1.products.create(params={"name": "Lamp"}),
        product,
        COMPENSATED,
        (r"products\.prod_\d+",),
        lambda v1, w: v1.products.create_async(params={"name": "Lamp"}),
    ),
    Case(
        "products.update",
        lambda v1, w: v1.products.update(
            w.product, params={"name": "Lamp", "active": False, "images": ["https://a.test/1"], "metadata": {"b": "2"}}
        ),
        product,
        later=lambda v1, w: v1.products.update_async(w.product, params={"name": "Lamp", "metadata": {"a": ""}}),
    ),
    Case(
        "products.delete",
        lambda v1, w: v1.products.delete(w.product),
        product,
        outcome=COMPENSATED,
        later=lambda v1, w: v1.products.delete_async(w.product),
        residue=(r"products\.prod_\d+\.created",),
    ),
    Case(
        "products.features.create",
        lambda v1, w: v1.products.features.create(w.product, params={"entitlement_feature": "feat_1"}),
        product,
    ),
    Case(
        "prices.create",
        lambda v1, w: v1.prices.create(params={"product": w.product, "currency": "usd", "unit_amount": 5}),
        price,
        COMPENSATED,
        (r"prices\.price_\d+",),
        lambda v1, w: v1.prices.create_async(params={"product": w.product, "currency": "usd", "unit_amount": 5}),
    ),
    Case(
        "prices.update",
        lambda v1, w: v1.prices.update(w.price, params={"active": False, "nickname": "yearly", "metadata": {"a": "b"}}),
        price,
    ),
    Case(
        "plans.create",
        lambda v1, w: v1.plans.create(
            params={"currency": "usd", "interval": "month", "amount": 5, "product": {"name": "Lamp"}}
        ),
        product,
    ),
    Case(
        "plans.update",
        lambda v1, w: v1.plans.update(w.plan, params={"nickname": "new", "trial_period_days": 3}),
        plan,
    ),
    Case("plans.delete", lambda v1, w: v1.plans.delete(w.plan), plan, residue=(r"plans\.gold\.created",)),
    Case(
        "coupons.create",
        lambda v1, w: v1.coupons.create(params={"percent_off": 5, "duration": "once"}),
        later=lambda v1, w: v1.coupons.create_async(params={"percent_off": 5, "duration": "once"}),
    ),
    Case(
        "coupons.update",
        lambda v1, w: v1.coupons.update(w.coupon, params={"name": "Winter", "metadata": {"a": "", "b": "2"}}),
        coupon,
        later=lambda v1, w: v1.coupons.update_async(w.coupon, params={"name": "Winter"}),
    ),
    Case(
        "coupons.delete",
        lambda v1, w: v1.coupons.delete(w.coupon),
        coupon,
        COMPENSATED,
        (r"coupons\.SUMMER\.created",),
        lambda v1, w: v1.coupons.delete_async(w.coupon),
    ),
    Case(
        "promotion_codes.create",
        lambda v1, w: v1.promotion_codes.create(params={"promotion": {"type": "coupon", "coupon": w.coupon}}),
        code,
        COMPENSATED,
        (r"promotion_codes\.promo_\d+",),
    ),
    Case(
        "promotion_codes.update",
        lambda v1, w: v1.promotion_codes.update(w.code, params={"active": False, "metadata": {"x": "y"}}),
        code,
    ),
    Case(
        "tax_rates.create",
        lambda v1, w: v1.tax_rates.create(params={"display_name": "GST", "percentage": 5, "inclusive": True}),
        tax_rate,
        COMPENSATED,
        (r"tax_rates\.txr_\d+",),
    ),
    Case(
        "tax_rates.update",
        lambda v1, w: v1.tax_rates.update(w.rate, params={"active": False, "description": "new"}),
        tax_rate,
    ),
    Case(
        "shipping_rates.create",
        lambda v1, w: v1.shipping_rates.create(params={"display_name": "Express"}),
        shipping_rate,
        COMPENSATED,
        (r"shipping_rates\.shr_\d+",),
    ),
    Case(
        "shipping_rates.update",
        lambda v1, w: v1.shipping_rates.update(w.rate, params={"active": False, "metadata": {"a": "2"}}),
        shipping_rate,
    ),
]
