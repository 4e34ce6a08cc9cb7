"""After a fault, the truth: answers that are lost, late, refused, stale or of a part of what was asked for.

`make test` tries two scenarios, `make crash` all of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from agentguard.testing import crash
from agentguard.testing.crash import Bench, Scenario
from agentguard.testing.crash.harness import SLOW_MODES, SLOWLY, stale_reads
from tests.crash.conftest import quick_folder
from tests.crash.scenarios import PATIENCE, SCENARIOS
from tests.crash.test_crash import EVERYTHING, Record, has_undos, truth

TWO = [SCENARIOS["notes"], SCENARIOS["messages"]]
CHOSEN = [*SCENARIOS.values()] if EVERYTHING else TWO
pytestmark = pytest.mark.timeout(1800 if EVERYTHING else 240)


def name(scenario: Scenario) -> str:
    return scenario.name


@pytest.fixture(scope="module")
def patient() -> Iterator[Bench]:
    """A bench in which requests may land later, and clients give up."""
    assert os.environ.get(PATIENCE) is None
    settings = {**SLOWLY, PATIENCE: "0.5"}
    with quick_folder() as folder, Bench(folder, "tests.crash.scenarios", settings) as running:
        yield running


@pytest.mark.parametrize("scenario", CHOSEN, ids=name)
def test_a_request_that_lands_late_or_is_never_answered(
    scenario: Scenario, patient: Bench, record_property: Record
) -> None:
    truth(crash.faults(patient, scenario, SLOW_MODES), record_property, 2)


@pytest.mark.parametrize("scenario", [*filter(has_undos, CHOSEN)], ids=name)
def test_an_undo_that_is_never_answered(scenario: Scenario, patient: Bench, record_property: Record) -> None:
    truth(crash.faults_of_rollback(patient, scenario, ("timeout_after",)), record_property, 1)


@pytest.mark.parametrize("scenario", TWO, ids=name)
def test_a_read_that_is_answered_from_a_copy_that_lags(
    scenario: Scenario, bench: Bench, record_property: Record
) -> None:
    truth(stale_reads(bench, scenario), record_property, 2)


def test_a_part_of_a_batch_that_is_done(bench: Bench, record_property: Record) -> None:
    truth(crash.faults(bench, SCENARIOS["batch"], ("partial",)), record_property, 2)
