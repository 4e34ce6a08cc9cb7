"""Checkout sessions, payment links and webhook endpoints. See https://docs.stripe.com/api/checkout/sessions."""

from __future__ import annotations

from agentguard.calls import Effect, Risk
from agentguard_connectors.stripe.base import stripe
from agentguard_connectors.stripe.fields import creating, restoring

creating(
    "checkout.sessions.create",
    "Open a checkout page; it is expired.",
    key="session",
    undone_by="checkout.sessions.expire",
    fields=("status",),
    back={"status": "expired"},
    effect=Effect.COMPENSABLE,
    remains="it stays listed as expired",
)
restoring("checkout.sessions.update", "Change a checkout page's metadata; the old comes back.")
stripe.irreversible("checkout.sessions.expire", "An expired checkout page cannot be opened again.", risk=Risk.MEDIUM)

creating(
    "payment_links.create",
    "Make a payment link; it is deactivated.",
    key="payment_link",
    writes={"active": False},
    effect=Effect.COMPENSABLE,
    remains="it stays listed, inactive",
)
restoring(
    "payment_links.update",
    "Change a payment link; the old values come back.",
    fields=("active", "inactive_message"),
    fixed=("allow_promotion_codes", "billing_address_collection", "customer_creation", "payment_method_collection"),
)

creating(
    "webhook_endpoints.create",
    "Have events sent to an address; the endpoint is deleted again.",
    key="webhook_endpoint",
    fields=("enabled_events", "status", "url"),
    risk=Risk.MEDIUM,
)
restoring(
    "webhook_endpoints.update",
    "Change where events are sent; the old address and events come back.",
    fields=("description", "enabled_events", "url"),
    risk=Risk.MEDIUM,
)
stripe.irreversible(
    "webhook_endpoints.delete",
    "A new endpoint has a new signing secret, which whoever receives the events would have to be given.",
)
