"""A StripeClient that talks to the stand-in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe

import agentguard
from tests.boxes import Box, start_boxes


@pytest.fixture(scope="session")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Box]]:
    """Stripe's stand-in alone."""
    with start_boxes(tmp_path_factory.mktemp("sandbox") / "log.jsonl", "stripe") as running:
        yield running


@pytest.fixture
def client(stripe_box: Box) -> stripe.StripeClient:
    return make_client(stripe_box)


def make_client(box: Box, **options: Any) -> stripe.StripeClient:
    """A client as a program makes it, for the address of *box*."""
    addresses = dict.fromkeys(("api", "connect", "files", "meter_events"), box.url)
    return stripe.StripeClient("sk_test_123", base_addresses=addresses, **options)  # type: ignore[arg-type]  # a dict is what a program passes


@pytest.fixture
def session(ledger: Path) -> Iterator[agentguard.Session]:
    with agentguard.session(agent="t", intent="t", ledger=ledger, approver=lambda _card: True) as running:
        yield running
