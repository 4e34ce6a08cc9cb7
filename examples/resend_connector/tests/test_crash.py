"""After a crash, the truth: an agent that uses Resend is killed at every point, and another process recovers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from agentguard.testing import crash
from agentguard.testing.crash import Bench, Plan, Run, Scenario

Matrix = Callable[[Bench, Scenario], Iterator[Run]]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The stand-in, and the process that runs are forked from."""
    with Bench(tmp_path_factory.mktemp("crash"), "resend_scenarios") as running:
        yield running


@pytest.mark.parametrize(
    ("name", "matrix"),
    [
        ("welcome", crash.kills),
        ("welcome", crash.kills_of_rollback),
        ("welcome", crash.faults),
        ("farewell", crash.kills),
        ("farewell", crash.faults_of_rollback),
    ],
)
def test_whatever_breaks_nothing_is_lost_and_nothing_is_claimed(bench: Bench, name: str, matrix: Matrix) -> None:
    runs = list(matrix(bench, bench.stage.scenarios[name]))
    assert len(runs) >= 4
    assert [str(run) for run in runs if run.violations] == []


@pytest.mark.parametrize("name", ["welcome", "farewell"])
def test_a_process_that_dies_between_an_effect_and_its_answer_is_told_of(bench: Bench, name: str) -> None:
    scenario = bench.stage.scenarios[name]
    runs = list(crash.faults(bench, scenario, ("kill_after",)))
    assert [str(run) for run in runs if run.violations] == []
    for number, run in enumerate(runs, 1):
        assert sum(bool(one.effects) for one in run.log.arrived if one.phase == "forward") == number
        assert "before_result:" + str(number) not in run.points, "it has died before there was anything to write down"


def test_a_handler_that_forgets_something_is_noticed(bench: Bench) -> None:
    welcome = bench.stage.scenarios["welcome"]
    assert bench.run(Plan(welcome)).violations == []
    assert bench.run(Plan(welcome, mutant="audience_forgotten")).violations != []
