"""After a crash, the truth: every scenario is killed at every point and rolled back by another process.

`make test` runs the quick part, `make crash` all of it. A failure prints the command that runs it again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from agentguard import failpoints
from tests.crash import harness, mutants
from tests.crash.harness import Bench, Fault, Plan, Run
from tests.crash.scenarios import SCENARIOS, Scenario

EVERYTHING = os.environ.get("AGENTGUARD_CRASH") == "all"
CHOSEN = [scenario for scenario in SCENARIOS.values() if scenario.quick or EVERYTHING]
POINTS = {f"{when}_{what}" for when in ("before", "after") for what in ("commit", "look", "send", "perform")}

Record = Callable[[str, object], None]
pytestmark = pytest.mark.timeout(1800 if EVERYTHING else 120)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Stand-ins and the process that runs are forked from."""
    with Bench(tmp_path_factory.mktemp("crash")) as running:
        yield running


def truth(runs: Iterable[Run], record_property: Record, least: int) -> list[Run]:
    """Do the runs; fail with the commands that run the bad ones again."""
    done = list(runs)
    bad = [run for run in done if run.violations]
    count = sum(len(run.violations) for run in bad)
    record_property("crash", f"{len(done)} runs, {count} violations")
    assert len(done) >= least, "the matrix is smaller than it should be: are the failpoints reached?"
    assert not bad, f"{count} violations in {len(bad)} of {len(done)} runs\n" + "\n".join(map(str, bad[:5]))
    return done


@pytest.mark.parametrize("scenario", CHOSEN, ids=lambda scenario: scenario.name)
def test_a_kill_at_every_point_of_the_work(scenario: Scenario, bench: Bench, record_property: Record) -> None:
    runs = truth(harness.kills(bench, scenario), record_property, 10)
    reached = {point.partition(":")[0] for run in runs for point in (*run.points, *run.points_of_rollback)}
    assert reached >= POINTS


@pytest.mark.parametrize(
    "scenario", CHOSEN if EVERYTHING else [SCENARIOS["messages"]], ids=lambda scenario: scenario.name
)
def test_a_kill_at_every_point_of_the_rollback(scenario: Scenario, bench: Bench, record_property: Record) -> None:
    truth(harness.kills_of_rollback(bench, scenario), record_property, 10)


@pytest.mark.skipif(not EVERYTHING, reason="part of `make crash`")
@pytest.mark.parametrize("name", ["notes", "issues", "customers", "messages"])
def test_a_kill_at_every_point_of_the_work_and_one_at_every_point_of_its_rollback(
    name: str, bench: Bench, record_property: Record
) -> None:
    truth(harness.compound(bench, SCENARIOS[name]), record_property, 100)


@pytest.mark.parametrize(
    "scenario", CHOSEN if EVERYTHING else [SCENARIOS["messages"]], ids=lambda scenario: scenario.name
)
def test_a_fault_at_every_write(scenario: Scenario, bench: Bench, record_property: Record) -> None:
    truth(harness.faults(bench, scenario), record_property, 8)
    truth(harness.faults_of_rollback(bench, scenario), record_property, 4)


CAUGHT: dict[str, Plan] = {
    "effect_before_intent": Plan(SCENARIOS["messages"], kill="after_send:1"),
    "in_doubt_is_never": Plan(SCENARIOS["messages"], kill="after_send:2"),
    "undone_before_undo": Plan(SCENARIOS["notes"], kill_rollback="before_perform:1"),
    "undo_sent_again": Plan(SCENARIOS["notes"], kill_rollback="after_perform:1"),
    "drift_not_seen": Plan(SCENARIOS["drift"]),
    "oldest_first": Plan(SCENARIOS["notes"]),
    "sent_twice": Plan(SCENARIOS["notes"], fault=Fault("notes", 1, "drop_after")),
    "lost_is_refused": Plan(SCENARIOS["notes"], fault=Fault("notes", 1, "drop_after")),
    "restored_unseen": Plan(SCENARIOS["notes"]),
    "undo_without_intent": Plan(SCENARIOS["notes"], kill_rollback="after_perform:1"),
    "silent_about_doubt": Plan(SCENARIOS["notes"], kill="after_send:4"),
    "writes_pass_as_reads": Plan(SCENARIOS["notes"]),
}


@pytest.mark.parametrize("mutant", mutants.MUTANTS)
def test_a_mistake_in_the_library_is_noticed(mutant: str, bench: Bench) -> None:
    plan = CAUGHT[mutant]
    assert bench.run(plan).violations == []
    run = bench.run(Plan(**{**vars(plan), "mutant": mutant}))
    assert run.violations, f"nothing was noticed: {run.plan.replay()}"


def test_a_failure_names_the_command_that_runs_it_again() -> None:
    plan = Plan(SCENARIOS["notes"], "before_send:2", fault=Fault("notes", 3, "drop_after"))
    assert plan.replay() == "python -m tests.crash notes --kill before_send:2 --fault notes:3:drop_after"
    assert Fault.parse("notes:3:drop_after") == plan.fault


def test_nothing_is_armed_unless_the_environment_asks_for_it(tmp_path: Path) -> None:
    assert failpoints.trap is None
    log = tmp_path / "points"
    trap = failpoints.Trap("", str(log))
    for name in ("before_send", "after_send", "before_send"):
        trap.reach(name)
    assert log.read_text().split() == ["before_send:1", "after_send:1", "before_send:2"]
