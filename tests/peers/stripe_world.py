"""What can be read from a Stripe stand-in, as one dictionary."""

from __future__ import annotations

import json
from typing import Any

import stripe

KINDS = (
    "accounts",
    "charges",
    "coupons",
    "customers",
    "invoiceitems",
    "invoices",
    "payment_intents",
    "payouts",
    "plans",
    "prices",
    "products",
    "refunds",
    "setup_intents",
    "subscriptions",
    "tax_rates",
)


def connect(url: str) -> stripe.StripeClient:
    """A client that sends each request once."""
    return stripe.StripeClient("sk_test_standin", base_addresses={"api": url}, max_network_retries=0)


def world(client: stripe.StripeClient) -> dict[str, Any]:
    """Everything that the stand-in lists."""
    found = {kind: listed(client, f"/v1/{kind}?limit=100") for kind in KINDS}
    for name, customer in found["customers"].items():
        customer["sources"] = get(client, f"/v1/customers/{name}?expand[]=sources")["sources"]["data"]
        customer["payment_methods"] = listed(client, f"/v1/payment_methods?customer={name}&type=card")
    return found


def listed(client: stripe.StripeClient, path: str) -> dict[str, Any]:
    """What one list shows, by id; nothing where this stand-in has no such list."""
    try:
        data = get(client, path)["data"]
    except stripe.StripeError as error:
        if error.http_status not in (404, 405):
            raise
        return {}
    return {item["id"]: item for item in data}


def get(client: stripe.StripeClient, path: str) -> Any:
    """One answer, as JSON."""
    return json.loads(client.raw_request("get", path).body)
