"""stripe against localstripe and stripe-stateful-mock, whose authors have never seen this library.

Each is used for what it does as Stripe does: localstripe for breadth, stripe-stateful-mock for the sums of refunds,
for declined cards and for idempotency keys.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import stripe

import agentguard
from agentguard import Outcome
from tests.peers import localstripe_cases, stateful_mock_cases
from tests.peers.comparing import Case, acheck, check
from tests.peers.stand_ins import StandIn
from tests.peers.stripe_world import connect, world

pytestmark = pytest.mark.peer


@pytest.mark.parametrize("case", localstripe_cases.CASES, ids=lambda case: case.name)
def test_a_call_to_localstripe_is_taken_back(case: Case, localstripe: StandIn, ledger: Path) -> None:
    client = connect(localstripe.url)
    check(case, client, partial(world, client), ledger)


@pytest.mark.parametrize("case", stateful_mock_cases.CASES, ids=lambda case: case.name)
def test_a_call_to_the_stateful_mock_is_taken_back(case: Case, stripe_stateful_mock: StandIn, ledger: Path) -> None:
    client = connect(stripe_stateful_mock.url)
    check(case, client, partial(world, client), ledger)


@pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")  # stripe's own way of calling httpx
@pytest.mark.parametrize("row", stateful_mock_cases.ASYNC, ids=lambda row: row[0])
async def test_so_is_one_in_asyncio(row: tuple[Any, ...], stripe_stateful_mock: StandIn, ledger: Path) -> None:
    operation, service, method, about, written = row
    client = connect(stripe_stateful_mock.url)

    def do(guarded: Any, given: Any) -> Any:
        return getattr(getattr(guarded.v1, service), method)(getattr(given, about), written)

    try:
        await acheck(Case(operation, do, stateful_mock_cases.account), client, client, partial(world, client), ledger)
    finally:
        await client._requestor._client.close_async()  # as there is no public way to


def test_another_process_takes_a_charge_back(stripe_stateful_mock: StandIn, ledger: Path) -> None:
    client = connect(stripe_stateful_mock.url)
    session = agentguard.session(agent="prover", intent="sell tea", ledger=ledger, approver=lambda _card: True)
    with session:
        made = agentguard.wrap(client, session).v1.charges.create(TEA)
    again = agentguard.load(session.id, clients={"stripe": connect(stripe_stateful_mock.url)}, ledger=ledger)
    assert [result.outcome for result in again.rollback(agreed=True).outcomes] == [Outcome.COMPENSATED]
    assert client.v1.charges.retrieve(made.id).amount_refunded == TEA["amount"]
    assert [result.outcome for result in again.rollback(agreed=True).outcomes] == [Outcome.COMPENSATED]
    assert len(world(client)["refunds"]) == 1


TEA = {"amount": 1000, "currency": "usd", "source": "tok_visa"}


def test_a_charge_that_somebody_refunded_in_part_is_left_alone(stripe_stateful_mock: StandIn, ledger: Path) -> None:
    client = connect(stripe_stateful_mock.url)
    session = agentguard.session(agent="prover", intent="sell tea", ledger=ledger, approver=lambda _card: True)
    with session:
        made = agentguard.wrap(client, session).v1.charges.create(TEA)
    client.v1.refunds.create({"charge": made.id, "amount": 400})
    during = world(client)
    report = session.rollback()
    assert [result.outcome for result in report.outcomes] == [Outcome.CONFLICT], str(report)
    assert world(client) == during


def test_what_the_caller_sends_twice_with_its_own_key_is_refunded_once(
    stripe_stateful_mock: StandIn, ledger: Path
) -> None:
    client = connect(stripe_stateful_mock.url)
    session = agentguard.session(agent="prover", intent="sell tea", ledger=ledger, approver=lambda _card: True)
    with session:
        charges = agentguard.wrap(client, session).v1.charges
        first = charges.create(TEA, {"idempotency_key": "order-1"})
        again = charges.create(TEA, {"idempotency_key": "order-1"})
    assert first.id == again.id
    report = session.rollback()
    outcomes = [result.outcome for result in report.outcomes]
    assert outcomes == [Outcome.COMPENSATED, Outcome.ALREADY_UNDONE], str(report)
    assert [refund["amount"] for refund in world(client)["refunds"].values()] == [1000]


def test_two_alike_calls_are_two_charges(stripe_stateful_mock: StandIn, ledger: Path) -> None:
    client = connect(stripe_stateful_mock.url)
    session = agentguard.session(agent="prover", intent="sell tea", ledger=ledger, approver=lambda _card: True)
    with session:
        charges = agentguard.wrap(client, session).v1.charges
        assert charges.create(TEA).id != charges.create(TEA).id
    report = session.rollback()
    assert [result.outcome for result in report.outcomes] == [Outcome.COMPENSATED] * 2, str(report)


@pytest.mark.parametrize(
    ("token", "error"),
    [("tok_chargeDeclined", stripe.CardError), ("tok_429", stripe.RateLimitError)],
    ids=["declined", "too many requests"],
)
def test_a_charge_that_was_refused_has_nothing_to_take_back(
    token: str, error: type[Exception], stripe_stateful_mock: StandIn, ledger: Path
) -> None:
    client = connect(stripe_stateful_mock.url)
    session = agentguard.session(agent="prover", intent="sell tea", ledger=ledger, approver=lambda _card: True)
    with session, pytest.raises(error):
        agentguard.wrap(client, session).v1.charges.create({**TEA, "source": token})
    report = session.rollback()
    assert report.ok, str(report)
    assert not report.outcomes
    assert not world(client)["refunds"]


def test_after_an_error_of_the_server_nobody_claims_to_know(stripe_stateful_mock: StandIn, ledger: Path) -> None:
    client = connect(stripe_stateful_mock.url)
    session = agentguard.session(
        agent="prover", intent="sell tea", ledger=ledger, approver=lambda _card: True, on_error="leave"
    )
    with session, pytest.raises(stripe.APIError):
        agentguard.wrap(client, session).v1.charges.create({**TEA, "source": "tok_500"})
    report = session.rollback()
    assert [result.outcome for result in report.outcomes] == [Outcome.IN_DOUBT], str(report)
    assert not report.ok
