"""A charge that is refunded in a loop, through lost answers, is refunded once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import stripe

import agentguard
from tests.boxes import Box


@pytest.mark.parametrize("mode", ["drop_after", "drop_before", "status_after"])
def test_a_retry_loop_under_one_name_refunds_once(mode: str, stripe_box: Box, ledger: Path) -> None:
    plain = stripe.StripeClient("sk_test_once", base_addresses={"api": stripe_box.url})
    params: Any = {"amount": 5000, "currency": "eur", "payment_method": "pm_card_visa", "confirm": True}
    params["automatic_payment_methods"] = {"enabled": True, "allow_redirects": "never"}
    intent = plain.v1.payment_intents.create(params=params)
    session = agentguard.session(agent="a", intent="b", ledger=ledger, approver=lambda _card: True)
    guarded = agentguard.wrap(plain, session)

    def refund() -> str:
        with session.once("refund"):
            for _ in range(3):
                try:
                    return guarded.v1.refunds.create(params={"payment_intent": intent.id, "amount": 1000}).id
                except stripe.StripeError:
                    continue
        raise AssertionError("it never got through")

    stripe_box.fault(mode, path="/v1/refunds")
    made = {refund() for _ in range(3)}
    assert len(made) == 1
    assert len(stripe_box.snapshot()["refunds"]) == 1
