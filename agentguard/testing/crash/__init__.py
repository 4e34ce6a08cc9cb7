"""Crash tests: an agent is killed at every point, another process recovers, and an oracle looks at what is left.

    with Bench(folder, "mailbox.scenarios") as bench:
        for run in kills(bench, bench.stage.scenarios["mails"]):
            assert not run.violations, run

See stage.py for what a connector's own module has to offer, and oracle.py for the rules.
"""

from agentguard.testing.crash.harness import (
    Bench,
    Fault,
    Plan,
    Run,
    compound,
    faults,
    faults_of_rollback,
    kills,
    kills_of_rollback,
)
from agentguard.testing.crash.stage import Residue, Scenario, Stage, World, of_a_module, of_the_sandbox, service_of

__all__ = [
    "Bench",
    "Fault",
    "Plan",
    "Residue",
    "Run",
    "Scenario",
    "Stage",
    "World",
    "compound",
    "faults",
    "faults_of_rollback",
    "kills",
    "kills_of_rollback",
    "of_a_module",
    "of_the_sandbox",
    "service_of",
]
