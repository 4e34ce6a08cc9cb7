"""Every guarded operation, done through the real SDK and taken back, with the whole state compared before and after."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from agentguard_connectors.stripe import stripe as connector

import agentguard
from agentguard import Effect, Outcome
from tests.boxes import Box
from tests.proving import prove
from tests.stripe import cases_catalog, cases_money
from tests.stripe.cases_money import FOR_GOOD
from tests.stripe.worlds import Case, World

CASES = cases_catalog.CASES + cases_money.CASES


async def in_loop(client: Any, wrapped: Any, case: Case, world: World) -> None:
    assert case.later is not None
    try:
        await case.later(wrapped.v1, world)
    finally:
        await client._requestor._client.close_async()


def undone(box: Box, ledger: Path, client: Any, case: Case, *, later: bool = False) -> agentguard.Report:
    """Do what *case* says, in an event loop or not, and prove its undo."""
    world = World()

    def prepare(bare: Any) -> None:
        world.__dict__.update(vars(case.given(bare.v1)))

    def do(wrapped: Any) -> None:
        if later:
            asyncio.run(in_loop(client, wrapped, case, world))
        else:
            case.do(wrapped.v1, world)

    return prove(
        box,
        ledger,
        client,
        do,
        prepare=prepare,
        operation=f"stripe.{case.operation}",
        outcome=case.outcome,
        residue=case.residue,
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.operation)
def test_what_was_done_is_taken_back(stripe_box: Box, ledger: Path, client: Any, case: Case) -> None:
    undone(stripe_box, ledger, client, case)


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the SDK's own call of httpx
@pytest.mark.parametrize("case", [c for c in CASES if c.later], ids=lambda case: case.operation)
def test_what_was_done_in_an_event_loop_is_taken_back(stripe_box: Box, ledger: Path, client: Any, case: Case) -> None:
    undone(stripe_box, ledger, client, case, later=True)


@pytest.mark.parametrize("case", FOR_GOOD, ids=lambda case: case.operation)
def test_what_cannot_be_taken_back_is_never_called_a_success(
    stripe_box: Box, ledger: Path, client: Any, case: Case
) -> None:
    world = case.given(client.v1)
    if case.seeds:
        stripe_box.seed(**case.seeds(stripe_box.snapshot()))
    session = agentguard.session(agent="t", intent="t", ledger=ledger, approver=lambda _card: True)
    with session:
        case.do(agentguard.wrap(client, session).v1, world)
    after = stripe_box.snapshot()
    report = session.rollback()
    assert [result.outcome for result in report.outcomes] == [Outcome.IRREVERSIBLE]
    assert not report.ok
    assert stripe_box.snapshot() == after


def test_every_guarded_operation_has_a_case_and_a_third_of_them_an_asynchronous_one() -> None:
    assert {case.operation for case in CASES + FOR_GOOD} == set(connector.guarded)
    assert {case.operation for case in FOR_GOOD} == {
        name for name, guarded in connector.guarded.items() if guarded.effect is Effect.IRREVERSIBLE
    }
    assert sum(case.later is not None for case in CASES) * 3 >= len(CASES)
