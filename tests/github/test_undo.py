"""Every operation that GitHub's connector takes back: done, undone, and compared, through the SDKs' own objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from agentguard_connectors.github import github as connector

from tests.boxes import Box
from tests.github.clients import kit, pygithub
from tests.github.proof import Proof
from tests.github.proofs_code import CODE, PEOPLE, PULLS, RELEASES, REPOS
from tests.github.proofs_issues import ISSUES, NOTES, TALK
from tests.github.proofs_kit import ASYNC, KIT
from tests.proving import prove

THROUGH_PYGITHUB = [*ISSUES, *TALK, *CODE, *PULLS, *RELEASES, *REPOS, *PEOPLE, *NOTES]


def check(proof: Proof, box: Box, ledger: Path, client: Any) -> None:
    prove(
        box,
        ledger,
        client,
        proof.do,
        operation=proof.operation,
        outcome=proof.outcome,
        residue=proof.residue,
        prepare=proof.prepare,
    )


@pytest.mark.parametrize("proof", THROUGH_PYGITHUB, ids=str)
def test_what_pygithub_did_is_taken_back(proof: Proof, github_box: Box, ledger: Path) -> None:
    check(proof, github_box, ledger, pygithub(github_box))


@pytest.mark.parametrize("proof", KIT, ids=str)
def test_what_githubkit_did_is_taken_back(proof: Proof, github_box: Box, ledger: Path) -> None:
    check(proof, github_box, ledger, kit(github_box))


@pytest.mark.parametrize("proof", ASYNC, ids=str)
def test_what_githubkit_did_asynchronously_is_taken_back(proof: Proof, github_box: Box, ledger: Path) -> None:
    check(proof, github_box, ledger, kit(github_box))


def test_every_operation_that_says_it_can_be_taken_back_is_proved_above() -> None:
    said = {f"github.{g.operation}" for g in connector.guarded.values() if g.effect.value != "irreversible"}
    assert said - {proof.operation for proof in THROUGH_PYGITHUB} == set()
