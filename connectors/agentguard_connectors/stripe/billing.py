"""Metered usage. See https://docs.stripe.com/billing/subscriptions/usage-based/recording-usage-api."""

from __future__ import annotations

from agentguard.calls import Effect, Handler, Risk, forward, undo
from agentguard_connectors.stripe.base import stripe


@stripe.guards(
    "billing.meter_events.create",
    effect=Effect.COMPENSABLE,
    risk=Risk.MEDIUM,
    remains="Stripe shows no single event: that the usage is off the bill cannot be read back",
)
def report_usage(event_name: str) -> Handler:
    """Report usage; it is cancelled, which Stripe accepts for 24 hours."""
    made = yield forward()
    way_back = undo(
        "billing.meter_event_adjustments.create",
        type="cancel",
        event_name=event_name,
        cancel={"identifier": made["identifier"]},
    )
    yield way_back.leaving("usage is cancelled only if it was reported in the last 24 hours; it cannot be read back")
