"""A stand-in for Stripe's API, empty to begin with: customers, catalogue, payments, billing, checkout.

It knows Stripe's test tokens (`tok_visa`, `pm_card_visa`, `tok_chargeDeclined`, `pm_card_chargeDeclined`,
`pm_card_authenticationRequired`) and keeps Stripe's promises about idempotency keys. Any key that begins with
`sk_test_` or `rk_test_` is let in. Nothing is charged a fee, and time does not move subscriptions on.
"""

from __future__ import annotations

from agentguard.sandbox.stripe.catalog import Catalog
from agentguard.sandbox.stripe.customers import Customers
from agentguard.sandbox.stripe.desk import Desk
from agentguard.sandbox.stripe.invoices import Invoices
from agentguard.sandbox.stripe.payments import Payments
from agentguard.sandbox.stripe.subscriptions import Subscriptions


class Stripe(Desk, Subscriptions, Invoices, Payments, Customers, Catalog):
    """All topics together. The routes that most resources share come last, in `Base`."""
