"""Fixtures: the stand-ins that others wrote, as new for every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.peers import stand_ins
from tests.peers.stand_ins import StandIn


@pytest.fixture(scope="session")
def _emulate_github() -> Iterator[StandIn]:
    with stand_ins.from_npm("github", stand_ins.GITHUB_SEED) as running:
        yield running


@pytest.fixture(scope="session")
def _emulate_slack() -> Iterator[StandIn]:
    with stand_ins.from_npm("slack", stand_ins.SLACK_SEED) as running:
        yield running


@pytest.fixture(scope="session")
def _stripe_stateful_mock() -> Iterator[StandIn]:
    with stand_ins.from_npm("stripe-stateful-mock") as running:
        yield running


@pytest.fixture(scope="session")
def _localstripe() -> Iterator[StandIn]:
    pytest.importorskip("localstripe")
    with stand_ins.localstripe() as running:
        yield running


@pytest.fixture
def emulate_github(_emulate_github: StandIn) -> StandIn:
    """emulate's GitHub: the repository octo/site, and the organisation acme."""
    return _emulate_github.reset()


@pytest.fixture
def emulate_slack(_emulate_slack: StandIn) -> StandIn:
    """emulate's Slack: the channels general, random and deploys."""
    return _emulate_slack.reset()


@pytest.fixture
def stripe_stateful_mock(_stripe_stateful_mock: StandIn) -> StandIn:
    """stripe-stateful-mock, empty."""
    return _stripe_stateful_mock.reset()


@pytest.fixture
def localstripe(_localstripe: StandIn) -> StandIn:
    """localstripe, empty."""
    return _localstripe.reset()
