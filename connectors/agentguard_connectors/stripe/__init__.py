"""Stripe: customers, catalogue, payments, billing.

Money that has moved is sent back; most of what was made stays listed.

The name `stripe` is this connector; the SDK of the same name is imported late, inside the seams.
"""

from __future__ import annotations

from agentguard_connectors.stripe import (
    billing as billing,
)
from agentguard_connectors.stripe import (
    catalog as catalog,
)
from agentguard_connectors.stripe import (
    charges as charges,
)
from agentguard_connectors.stripe import (
    checkout as checkout,
)
from agentguard_connectors.stripe import (
    customers as customers,
)
from agentguard_connectors.stripe import (
    finders as finders,
)
from agentguard_connectors.stripe import (
    invoices as invoices,
)
from agentguard_connectors.stripe import (
    payments as payments,
)
from agentguard_connectors.stripe import (
    subscriptions as subscriptions,
)
from agentguard_connectors.stripe.base import stripe
from agentguard_connectors.stripe.facts import amount

stripe.amount = amount
__all__ = ["stripe"]
