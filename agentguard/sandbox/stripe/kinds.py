"""The resources: id prefix, parameters, and what a new object looks like."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from agentguard.sandbox.stripe.forms import specification


@dataclass(frozen=True)
class Kind:
    """One resource."""

    object: str
    prefix: str
    create: dict[str, str]
    update: dict[str, str]
    shape: dict[str, Any] = field(default_factory=dict)
    filters: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    event: str = ""
    deletes: bool = False
    tombstone: bool = False


def _kind(object: str, prefix: str, create: str, update: str, nothing: str = "", **more: Any) -> Kind:  # noqa: A002 - Stripe's word
    """A kind from specifications; *nothing* lists the fields that a new object shows as null."""
    details = {name: more.pop(name) for name in ("filters", "needs", "event", "deletes", "tombstone") if name in more}
    shape = {**dict.fromkeys(nothing.split()), **more}
    return Kind(object, prefix, specification(create), specification(update), shape, **details)


_PERSON = "address:hash description:str email:str name:str phone:str preferred_locales:list shipping:hash"
_PRODUCT = (
    "active:bool description:str images:list marketing_features:list name:str package_dimensions:hash shippable:bool "
    "statement_descriptor:str tax_code:str unit_label:str url:str"
)
_INVOICE = (
    "auto_advance:bool collection_method:str custom_fields:list days_until_due:int default_payment_method:str "
    "description:str due_date:int effective_at:int footer:str on_behalf_of:str statement_descriptor:str"
)
_INTENT = (
    "amount:int currency:str customer:str description:str payment_method:str receipt_email:str "
    "setup_future_usage:str shipping:hash statement_descriptor:str statement_descriptor_suffix:str "
    "transfer_group:str payment_method_types:list capture_method:str"
)

KINDS: dict[str, Kind] = {
    "customers": _kind(
        "customer",
        "cus_",
        f"{_PERSON} balance:int invoice_prefix:str invoice_settings:hash next_invoice_sequence:int "
        "payment_method:str source:str tax_exempt:str",
        f"{_PERSON} balance:int default_source:str invoice_prefix:str invoice_settings:hash "
        "next_invoice_sequence:int source:str tax_exempt:str",
        "address currency default_source description discount email name phone shipping",
        balance=0,
        delinquent=False,
        invoice_prefix="ABCDEF01",
        invoice_settings={"custom_fields": None, "default_payment_method": None, "footer": None},
        next_invoice_sequence=1,
        preferred_locales=[],
        tax_exempt="none",
        filters=("email",),
        deletes=True,
        tombstone=True,
    ),
    "products": _kind(
        "product",
        "prod_",
        f"{_PRODUCT} id:str default_price_data:hash".replace("name:str ", "name:str! "),
        f"{_PRODUCT} default_price:str",
        "default_price description package_dimensions shippable statement_descriptor tax_code unit_label url",
        active=True,
        images=[],
        marketing_features=[],
        name="",
        type="service",
        filters=("active",),
        deletes=True,
    ),
    "prices": _kind(
        "price",
        "price_",
        "currency:str! unit_amount:int active:bool nickname:str product:str product_data:hash recurring:hash "
        "lookup_key:str tax_behavior:str billing_scheme:str",
        "active:bool nickname:str lookup_key:str tax_behavior:str",
        "lookup_key nickname product recurring unit_amount",
        active=True,
        billing_scheme="per_unit",
        currency="usd",
        tax_behavior="unspecified",
        type="one_time",
        filters=("active", "product", "currency"),
    ),
    "plans": _kind(
        "plan",
        "plan_",
        "id:str amount:int amount_decimal:str currency:str! interval:str! interval_count:int nickname:str product:any "
        "usage_type:str billing_scheme:str tiers:list tiers_mode:str trial_period_days:int active:bool meter:str",
        "active:bool nickname:str product:str trial_period_days:int",
        "amount amount_decimal meter nickname product tiers tiers_mode trial_period_days",
        active=True,
        billing_scheme="per_unit",
        currency="usd",
        interval="month",
        interval_count=1,
        usage_type="licensed",
        filters=("active", "product"),
        deletes=True,
    ),
    "coupons": _kind(
        "coupon",
        "cpn_",
        "id:str amount_off:int currency:str duration:str duration_in_months:int max_redemptions:int name:str "
        "percent_off:number redeem_by:int applies_to:hash",
        "name:str",
        "amount_off applies_to currency duration_in_months max_redemptions name percent_off redeem_by",
        duration="once",
        times_redeemed=0,
        valid=True,
        deletes=True,
    ),
    "promotion_codes": _kind(
        "promotion_code",
        "promo_",
        "active:bool code:str coupon:str customer:str expires_at:int max_redemptions:int promotion:hash "
        "restrictions:hash",
        "active:bool restrictions:hash",
        "code customer expires_at max_redemptions promotion",
        active=True,
        times_redeemed=0,
        filters=("active", "code", "customer"),
    ),
    "tax_rates": _kind(
        "tax_rate",
        "txr_",
        "display_name:str! percentage:number! inclusive:bool! active:bool country:str description:str "
        "jurisdiction:str state:str tax_type:str",
        "active:bool country:str description:str display_name:str jurisdiction:str state:str tax_type:str",
        "country description display_name jurisdiction percentage state tax_type inclusive",
        active=True,
        filters=("active", "inclusive"),
    ),
    "shipping_rates": _kind(
        "shipping_rate",
        "shr_",
        "display_name:str! type:str fixed_amount:hash tax_behavior:str tax_code:str delivery_estimate:hash",
        "active:bool tax_behavior:str fixed_amount:hash",
        "delivery_estimate display_name fixed_amount tax_code",
        active=True,
        tax_behavior="unspecified",
        type="fixed_amount",
        filters=("active", "currency"),
    ),
    "webhook_endpoints": _kind(
        "webhook_endpoint",
        "we_",
        "url:str! enabled_events:list! description:str api_version:str connect:bool",
        "url:str enabled_events:list description:str disabled:bool",
        "api_version application description",
        url="",
        enabled_events=[],
        status="enabled",
        deletes=True,
    ),
    "payment_links": _kind(
        "payment_link",
        "plink_",
        "line_items:list! allow_promotion_codes:bool after_completion:hash billing_address_collection:str "
        "inactive_message:str",
        "active:bool line_items:list allow_promotion_codes:bool billing_address_collection:str inactive_message:str",
        "inactive_message",
        active=True,
        allow_promotion_codes=False,
        billing_address_collection="auto",
        filters=("active",),
    ),
    "charges": _kind(
        "charge",
        "ch_",
        "amount:int! currency:str! capture:bool customer:str description:str receipt_email:str shipping:hash "
        "source:str statement_descriptor:str transfer_group:str",
        "customer:str description:str receipt_email:str shipping:hash transfer_group:str",
        "customer description failure_code failure_message payment_intent payment_method receipt_email shipping "
        "source transfer_group",
        amount=0,
        amount_captured=0,
        amount_refunded=0,
        captured=True,
        currency="usd",
        disputed=False,
        paid=True,
        refunded=False,
        status="succeeded",
        filters=("customer", "payment_intent"),
    ),
    "refunds": _kind(
        "refund",
        "re_",
        "amount:int charge:str payment_intent:str reason:str reverse_transfer:bool refund_application_fee:bool",
        "",
        "amount charge currency payment_intent reason reverse_transfer",
        status="succeeded",
        filters=("charge", "payment_intent"),
    ),
    "payment_intents": _kind(
        "payment_intent",
        "pi_",
        _INTENT.replace("amount:int currency:str ", "amount:int! currency:str! ")
        + " application_fee_amount:int automatic_payment_methods:hash confirm:bool confirmation_method:str "
        "error_on_requires_action:bool off_session:any return_url:str transfer_data:hash",
        _INTENT,
        "canceled_at cancellation_reason customer description last_payment_error latest_charge next_action "
        "payment_method receipt_email setup_future_usage shipping statement_descriptor statement_descriptor_suffix "
        "transfer_data transfer_group application_fee_amount",
        amount=0,
        amount_capturable=0,
        amount_received=0,
        capture_method="automatic",
        currency="usd",
        payment_method_types=["card"],
        status="requires_payment_method",
        filters=("customer",),
    ),
    "setup_intents": _kind(
        "setup_intent",
        "seti_",
        "confirm:bool customer:str description:str payment_method:str payment_method_types:list usage:str "
        "automatic_payment_methods:hash return_url:str",
        "customer:str description:str payment_method:str",
        "cancellation_reason customer description last_setup_error payment_method",
        status="requires_payment_method",
        usage="off_session",
        filters=("customer", "payment_method"),
    ),
    "payment_methods": _kind(
        "payment_method",
        "pm_",
        "type:str! card:hash billing_details:hash allow_redisplay:str",
        "card:hash billing_details:hash allow_redisplay:str",
        "customer",
        allow_redisplay="unspecified",
        billing_details={"address": None, "email": None, "name": None, "phone": None},
        card={"brand": "visa", "last4": "4242", "exp_month": 8, "exp_year": 2030},
        type="card",
        filters=("customer", "type"),
    ),
    "invoiceitems": _kind(
        "invoiceitem",
        "ii_",
        "customer:str! amount:int currency:str description:str discountable:bool invoice:str period:hash "
        "pricing:hash quantity:int subscription:str tax_code:str",
        "amount:int description:str discountable:bool period:hash quantity:int tax_code:str",
        "customer description invoice period pricing subscription",
        amount=0,
        currency="usd",
        discountable=True,
        proration=False,
        quantity=1,
        filters=("customer", "invoice"),
        deletes=True,
    ),
    "invoices": _kind(
        "invoice",
        "in_",
        f"{_INVOICE} customer:str! currency:str pending_invoice_items_behavior:str subscription:str",
        _INVOICE,
        "customer custom_fields default_payment_method description due_date effective_at footer number on_behalf_of "
        "statement_descriptor",
        amount_due=0,
        amount_paid=0,
        amount_remaining=0,
        auto_advance=False,
        collection_method="charge_automatically",
        currency="usd",
        post_payment_credit_notes_amount=0,
        status="draft",
        total=0,
        filters=("customer", "status", "collection_method"),
        deletes=True,
    ),
    "credit_notes": _kind(
        "credit_note",
        "cn_",
        "invoice:str! amount:int refund_amount:int credit_amount:int out_of_band_amount:int reason:str memo:str",
        "memo:str",
        "customer invoice memo out_of_band_amount reason",
        amount=0,
        currency="usd",
        status="issued",
        filters=("customer", "invoice"),
    ),
    "subscriptions": _kind(
        "subscription",
        "sub_",
        "customer:str! items:list! cancel_at:int cancel_at_period_end:bool collection_method:str days_until_due:int "
        "default_payment_method:str description:str payment_behavior:str proration_behavior:str trial_period_days:int",
        "items:list cancel_at:int cancel_at_period_end:bool collection_method:str days_until_due:int "
        "default_payment_method:str description:str pause_collection:hash payment_behavior:str "
        "proration_behavior:str",
        "cancel_at canceled_at customer default_payment_method description ended_at latest_invoice pause_collection",
        cancel_at_period_end=False,
        collection_method="charge_automatically",
        items={"object": "list", "data": []},
        status="active",
        filters=("customer", "price", "status"),
        event="customer.subscription",
    ),
    "subscription_items": _kind(
        "subscription_item",
        "si_",
        "subscription:str! price:str! quantity:int proration_behavior:str payment_behavior:str",
        "price:str quantity:int proration_behavior:str payment_behavior:str",
        "price subscription",
        quantity=1,
        filters=("subscription",),
        needs=("subscription",),
        deletes=True,
    ),
    "sources": _kind(
        "card", "card_", "source:str!", "", "customer fingerprint name", last4="4242", event="customer.source"
    ),
    "tax_ids": _kind("tax_id", "txi_", "type:str! value:str!", "", "customer type value", event="customer.tax_id"),
    "balance_transactions": _kind(
        "customer_balance_transaction",
        "cbtxn_",
        "amount:int! currency:str! description:str",
        "description:str",
        "amount currency customer description ending_balance",
        type="adjustment",
    ),
    "features": _kind("product_feature", "prodft_", "entitlement_feature:str!", "", "entitlement_feature"),
    "checkout_sessions": _kind(
        "checkout.session",
        "cs_test_",
        "mode:str! line_items:list success_url:str cancel_url:str return_url:str customer:str client_reference_id:str "
        "customer_email:str ui_mode:str",
        "collected_information:hash",
        "client_reference_id customer customer_email mode success_url",
        payment_status="unpaid",
        status="open",
    ),
}
