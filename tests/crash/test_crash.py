"""After a crash, the truth: every scenario is killed at every point and rolled back by another process.

`make test` runs the quick part, `make crash` all of it. A failure prints the command that runs it again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from agentguard import failpoints
from agentguard.testing import crash
from agentguard.testing.crash import Bench, Fault, Plan, Run, Scenario
from tests.crash.scenarios import SCENARIOS

EVERYTHING = os.environ.get("AGENTGUARD_CRASH") == "all"
CHOSEN = [scenario for scenario in SCENARIOS.values() if scenario.quick or EVERYTHING]
ALWAYS = {f"{when}_{what}" for when in ("before", "after") for what in ("send", "intent", "result")}
"""Points that every scenario reaches."""

Record = Callable[[str, object], None]
pytestmark = pytest.mark.timeout(1800 if EVERYTHING else 120)


def truth(runs: Iterable[Run], record_property: Record, least: int) -> list[Run]:
    """Do the runs; fail with the commands that run the bad ones again."""
    done = list(runs)
    bad = [run for run in done if run.violations]
    count = sum(len(run.violations) for run in bad)
    record_property("crash", f"{len(done)} runs, {count} violations")
    assert len(done) >= least, "the matrix is smaller than it should be: are the failpoints reached?"
    assert not bad, f"{count} violations in {len(bad)} of {len(done)} runs\n" + "\n".join(map(str, bad[:5]))
    return done


def has_undos(scenario: Scenario) -> bool:
    """Whether a rollback of it sends anything: what the session has deleted itself is left alone."""
    return scenario.name != "made_and_deleted"


@pytest.mark.parametrize("scenario", CHOSEN, ids=lambda scenario: scenario.name)
def test_a_kill_at_every_point_of_the_work(scenario: Scenario, bench: Bench, record_property: Record) -> None:
    runs = truth(crash.kills(bench, scenario), record_property, 10)
    reached = {point.partition(":")[0] for run in runs for point in (*run.points, *run.points_of_rollback)}
    assert reached >= ALWAYS
    assert reached <= failpoints.POINTS, "a point has a name that the list lacks"


def test_every_point_in_the_list_is_reached(bench: Bench) -> None:
    plans = [
        Plan(SCENARIOS["gated"]),
        Plan(SCENARIOS["gated"], kill="after_send:1"),
        Plan(SCENARIOS["started_again"], kill="after_send:2"),
        Plan(SCENARIOS["irreversible"], kill="after_send:2"),
    ]
    runs = [bench.run(plan) for plan in plans]
    reached = {p.partition(":")[0] for run in runs for p in (*run.points, *run.points_of_rollback, *run.points_again)}
    assert [run for run in runs if run.violations] == []
    assert failpoints.POINTS - reached == {"mid_approval", "mid_start"}, "of leases and people: elsewhere"


@pytest.mark.parametrize(
    "scenario", CHOSEN if EVERYTHING else [SCENARIOS["messages"]], ids=lambda scenario: scenario.name
)
def test_a_kill_at_every_point_of_the_rollback(scenario: Scenario, bench: Bench, record_property: Record) -> None:
    truth(crash.kills_of_rollback(bench, scenario), record_property, 10)


@pytest.mark.skipif(not EVERYTHING, reason="part of `make crash`")
@pytest.mark.parametrize("name", ["notes", "issues", "customers", "messages"])
def test_a_kill_at_every_point_of_the_work_and_one_at_every_point_of_its_rollback(
    name: str, bench: Bench, record_property: Record
) -> None:
    truth(crash.compound(bench, SCENARIOS[name]), record_property, 100)


@pytest.mark.parametrize(
    "scenario", CHOSEN if EVERYTHING else [SCENARIOS["messages"]], ids=lambda scenario: scenario.name
)
def test_a_fault_at_every_write(scenario: Scenario, bench: Bench, record_property: Record) -> None:
    truth(crash.faults(bench, scenario), record_property, 8)
    truth(crash.faults_of_rollback(bench, scenario), record_property, 4 if has_undos(scenario) else 0)


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
    "doubts_left_open": Plan(SCENARIOS["notes"], kill="after_send:4"),
    "made_again_after_a_restart": Plan(SCENARIOS["started_again"], kill="after_result:2"),
    "sdk_repeats_left_on": Plan(SCENARIOS["issues"], fault=Fault("github", 5, "status_after")),
    "history_rewritten": Plan(SCENARIOS["notes"]),
    "recovery_never_rests": Plan(SCENARIOS["notes"], kill="after_send:2"),
}


@pytest.mark.parametrize("mutant", CAUGHT)
def test_a_mistake_in_the_library_is_noticed(mutant: str, bench: Bench) -> None:
    plan = CAUGHT[mutant]
    if plan.scenario.restarts:
        assert bench.run(Plan(plan.scenario)).violations == []
    assert bench.run(plan).violations == []
    run = bench.run(Plan(**{**vars(plan), "mutant": mutant}))
    assert run.violations, f"nothing was noticed: {run.plan.replay()}"


def test_a_failure_names_the_command_that_runs_it_again() -> None:
    plan = Plan(SCENARIOS["notes"], "before_send:2", fault=Fault("notes", 3, "drop_after"), module="m")
    assert plan.replay() == "python -m agentguard.testing.crash m notes --kill before_send:2 --fault notes:3:drop_after"
    assert Fault.parse("notes:3:drop_after") == plan.fault


def test_nothing_is_armed_unless_the_environment_asks_for_it(tmp_path: Path) -> None:
    assert failpoints.trap is None
    log = tmp_path / "points"
    trap = failpoints.Trap("", str(log))
    for name in ("before_send", "after_send", "before_send"):
        trap.reach(name)
    assert log.read_text().split() == ["before_send:1", "after_send:1", "before_send:2"]
