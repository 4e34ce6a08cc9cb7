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

import github
import httpx
import slack_sdk
import slack_sdk.web.async_client
import stripe

import agentguard
import agentguard.ledger.sqlite
from agentguard import failpoints, undoing
from tests.crash import mutants
from tests.crash.scenarios import SCENARIOS, World, client_of, connector_of

SESSION = "crash"
LIMIT = 60
"""Seconds after which a child that hangs is killed."""
SDKS = (github, httpx, slack_sdk, stripe)


def main() -> None:
    for connector in ("github", "stripe", "slack"):
        agentguard.registry.connector(connector)
    # A look that shows nothing is repeated because services answer from copies that lag; the stand-ins have none.
    undoing.LOOK_AGAIN_AFTER = (0.0, 0.001, 0.002)
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(run(job))
        _pid, status = os.waitpid(child, 0)
        print(json.dumps({"code": os.waitstatus_to_exitcode(status)}), flush=True)


def run(job: dict[str, Any]) -> int:
    """Do a job in this child; its result goes to a file."""
    signal.alarm(LIMIT)
    os.close(0)
    told = os.open(f"{job['result']}.err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(told, 1)
    os.dup2(told, 2)
    try:
        mutants.apply(job.get("mutant"))
        result = {"prepare": prepare, "forward": forward, "rollback": rollback}[job["do"]](job)
        Path(job["result"]).write_text(json.dumps(result))
    except BaseException:  # noqa: BLE001 - told by the exit code
        traceback.print_exc()
        sys.stderr.flush()
        return 1
    sys.stderr.flush()
    return 0


def clients(job: dict[str, Any]) -> dict[str, Any]:
    return {service: client_of(service, url) for service, url in job["urls"].items()}


def prepare(job: dict[str, Any]) -> Any:
    return SCENARIOS[job["scenario"]].prepare(clients(job))


def forward(job: dict[str, Any]) -> Any:
    scenario = SCENARIOS[job["scenario"]]
    plain = clients(job)
    session = agentguard.session(
        agent="crash",
        intent=scenario.name,
        id=SESSION,
        ledger=job["ledger"],
        on_error="leave",
        approver=lambda _card: True,
    )
    failpoints.arm(job["environment"])
    error = None
    try:
        with session:
            wrapped = {s: agentguard.wrap(client, session, connector_of(s)) for s, client in plain.items()}
            scenario.act(World(session, wrapped, job["known"]))
    except Exception as raised:  # noqa: BLE001 - whatever an SDK makes of a fault
        error = f"{type(raised).__name__}: {raised}"
    return {"error": error}


def rollback(job: dict[str, Any]) -> Any:
    plain = clients(job)
    own = {name: client for name, client in plain.items() if isinstance(connector_of(name), agentguard.Connector)}
    others = {connector_of(name): client for name, client in plain.items() if name not in own}
    session = agentguard.load(SESSION, clients=others, ledger=job["ledger"])
    for name, client in own.items():
        session.use(client, connector_of(name))
    failpoints.arm(job["environment"])
    return session.rollback().to_dict()


if __name__ == "__main__":
    main()
