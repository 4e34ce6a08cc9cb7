"""Do, undo, compare: through the SDK, against the whole state of the stand-in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from agentguard_connectors.notion import notion as connector

import agentguard
from agentguard.calls import Effect
from agentguard.testing import contract
from tests.boxes import Box
from tests.notion.cases import ALL, Proof
from tests.proving import differences, prove


@pytest.mark.parametrize("proof", ALL, ids=lambda proof: proof.name.replace(" ", "-"))
def test_what_was_done_is_taken_back(box: Box, notion: Any, ledger: Path, proof: Proof) -> None:
    prove(
        box,
        ledger,
        notion,
        proof.do,
        operation=proof.operation,
        outcome=proof.outcome,
        residue=proof.residue,
        prepare=proof.prepare,
    )


@pytest.mark.parametrize("proof", [p for p in ALL if p.asynchronous], ids=lambda proof: proof.name.replace(" ", "-"))
async def test_what_was_done_asynchronously_is_taken_back(
    box: Box, notion: Any, anotion: Any, ledger: Path, proof: Proof
) -> None:
    if proof.prepare is not None:
        proof.prepare(notion)
    before = box.snapshot()
    session = agentguard.session(agent="prover", intent=proof.name, ledger=ledger, approver=lambda _card: True)
    async with session:
        await proof.do(agentguard.wrap(anotion, session))
    assert [call.operation for call in session.calls] == [proof.operation]
    assert box.snapshot() != before
    report = await session.arollback()
    assert [result.outcome for result in report.outcomes] == [proof.outcome], str(report)
    changed = differences(before, box.snapshot())
    assert [path for path in changed if not any(re.fullmatch(known, path) for known in proof.residue)] == []


def test_the_connector_keeps_the_contract() -> None:
    assert contract(connector, Path(__file__).parents[2] / "connectors" / "cases" / "notion") == []


def test_every_guarded_operation_is_proved_and_a_third_of_them_asynchronously_too() -> None:
    guarded = {n for n, g in connector.guarded.items() if g.effect is not Effect.IRREVERSIBLE}
    assert guarded == {proof.operation.removeprefix("notion.") for proof in ALL}
    assert len({p.operation for p in ALL if p.asynchronous}) * 3 >= len(guarded)
