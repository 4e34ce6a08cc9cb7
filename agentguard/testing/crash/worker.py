"""The process that the runs are forked from: it has imported the SDKs and done nothing else.

It reads one job a line from its input, as JSON, forks a child for each, waits until that has died, and answers with
how it died. A child has nothing of another: no ledger is open here, no session, no connection.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import agentguard
from agentguard import failpoints, undoing
from agentguard.ledger.rows import SessionState
from agentguard.ledger.sqlite import SqliteLedger
from agentguard.testing.crash.stage import Stage, World, load_stage, service_of

SESSION = "crash"
LIMIT = 60
"""Seconds after which a child that hangs is killed."""


def main(module: str) -> None:
    """Do jobs until the input ends."""
    stage = load_stage(module)
    stage.ready()
    # A look that shows nothing is repeated because services answer from copies that lag; the stand-ins have none.
    undoing.LOOK_AGAIN_AFTER = (0.0, 0.001, 0.002)
    undoing.AGAIN_AFTER = (0.001, 0.002, 0.003)
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(run(stage, job))
        _pid, status = os.waitpid(child, 0)
        sys.stdout.write(json.dumps({"code": os.waitstatus_to_exitcode(status)}) + "\n")
        sys.stdout.flush()


def run(stage: Stage, job: dict[str, Any]) -> int:
    """Do a job in this child; its result goes to a file."""
    signal.alarm(LIMIT)
    os.close(0)
    told = os.open(f"{job['result']}.err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(told, 1)
    os.dup2(told, 2)
    try:
        if job.get("mutant"):
            stage.mistakes[job["mutant"]]()
        result = JOBS[job["do"]](stage, job)
        Path(job["result"]).write_text(json.dumps(result))
    except BaseException:  # noqa: BLE001 - told by the exit code
        traceback.print_exc()
        sys.stderr.flush()
        return 1
    sys.stderr.flush()
    return 0


def clients(stage: Stage, job: dict[str, Any]) -> dict[str, Any]:
    """A plain client for each service of the job, by its name in the scenario."""
    made = {name: stage.client(name, url) for name, url in job["urls"].items()}
    stage.plain(made)
    return made


def prepare(stage: Stage, job: dict[str, Any]) -> Any:
    """Do what was done before the agent came."""
    return stage.scenarios[job["scenario"]].prepare(clients(stage, job))


def forward(stage: Stage, job: dict[str, Any]) -> Any:
    """Have the agent work; where its session is on record, it resumes it."""
    scenario = stage.scenarios[job["scenario"]]
    plain = clients(stage, job)
    session = agentguard.session(
        agent="crash",
        intent=scenario.name,
        id=SESSION,
        ledger=job["ledger"],
        on_error="leave",
        on_crash="resume" if scenario.restarts else "rollback",
        **{"approver": lambda _card: True, **scenario.settings()},
    )
    failpoints.arm(job["environment"])
    error = None
    try:
        with session:
            wrapped = {n: agentguard.wrap(c, session, stage.connector(service_of(n))) for n, c in plain.items()}
            scenario.act(World(session, wrapped, job["known"]))
    except Exception as raised:  # noqa: BLE001 - whatever an SDK makes of a fault
        error = f"{type(raised).__name__}: {raised}"
    return {"error": error}


def recover(stage: Stage, job: dict[str, Any]) -> Any:
    """Recover what the agent has left; what it has brought to an end is rolled back, as a person would."""
    plain = {service_of(name): client for name, client in clients(stage, job).items()}
    failpoints.arm(job["environment"])
    found = agentguard.recover(ledger=job["ledger"], clients=plain)
    if found and found[0].report is not None:
        return found[0].report.to_dict()
    session = agentguard.load(SESSION, ledger=job["ledger"])
    for name, client in plain.items():
        session.use(client, stage.connector(name))
    return session.rollback(agreed=True).to_dict()


def idle(stage: Stage, job: dict[str, Any]) -> Any:
    """Recover once more, when there is nothing left to do; return what that wrote."""
    store = SqliteLedger.at(Path(job["ledger"]))
    before = len(store.events(SESSION))
    found = agentguard.recover(ledger=store, clients={})
    assert store.session(SESSION).state not in (SessionState.OPEN, SessionState.ROLLING_BACK), found
    return {"events": len(store.events(SESSION)) - before, "sessions recovered": len(found)}


JOBS = {"prepare": prepare, "forward": forward, "recover": recover, "idle": idle}

if __name__ == "__main__":
    main(sys.argv[1])
