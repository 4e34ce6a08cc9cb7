"""The runner: work, a kill at a named point, recovery in a new process, and the oracle.

with Bench(folder, "mailbox.scenarios") as bench:
    run = bench.run(Plan(bench.stage.scenarios["mails"], kill="before_send:2"))
    assert not run.violations, run
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any

from agentguard import failpoints
from agentguard.testing.crash.oracle import Arrived, LedgerView, ServiceLog, check, read_log
from agentguard.testing.crash.stage import Scenario, load_stage, service_of
from agentguard.testing.stand_ins import Box

PASSES = 2
"""Recoveries that come to their end: the second must find nothing to do."""
SETTINGS = {"AGENTGUARD_SEND_DEADLINE": "0.02", "AGENTGUARD_LEASE_SECONDS": "30"}
"""Stand-ins answer at once: what did not land by then was lost."""
SESSION = "crash"
DETAILS: dict[str, dict[str, Any]] = {
    "status_after": {"status": 502},
    "rate_limit": {"headers": {"retry-after": "0"}},
    "late": {"seconds": 0.3},
}
"""What a fault is armed with beside its mode. A service that turns a request away says that it may come again now."""


@dataclass(frozen=True)
class Fault:
    """What a stand-in does to one request of the work: the *at*-th that arrives at *service*, reads included."""

    service: str
    at: int
    mode: str

    def __str__(self) -> str:
        return f"{self.service}:{self.at}:{self.mode}"

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read what `str` makes of a fault."""
        service, at, mode = text.split(":")
        return cls(service, int(at), mode)


@dataclass(frozen=True)
class Plan:
    """What goes wrong in one run."""

    scenario: Scenario
    kill: str = ""
    """Where the work is killed."""
    kill_rollback: str = ""
    """Where the first rollback is killed."""
    fault: Fault | None = None
    fault_rollback: Fault | None = None
    mutant: str = ""
    """The mistake that is built into the library for this run (see `Stage.mistakes`)."""
    module: str = ""
    """Where the stage is; the bench fills it in."""

    def replay(self) -> str:
        """The command that runs this again."""
        told = {name: str(value) for name, value in vars(self).items() if name not in ("scenario", "module") and value}
        options = " ".join(f"--{name.replace('_', '-')} {shlex.quote(value)}" for name, value in told.items())
        return f"python -m agentguard.testing.crash {self.module} {self.scenario.name} {options}".strip()


@dataclass
class Run:
    """One run, and what the oracle says of it."""

    plan: Plan
    log: ServiceLog
    ledger: LedgerView
    violations: list[str] = field(default_factory=list)
    points: list[str] = field(default_factory=list)
    """The failpoints that the work reached."""
    points_of_rollback: list[str] = field(default_factory=list)
    points_again: list[str] = field(default_factory=list)
    """Those of the work that was started again."""
    said: str = ""
    """What the work and the rollbacks wrote to their standard error."""

    def __str__(self) -> str:
        lines = [f"replay: {self.plan.replay()}", *(f"  violation: {violation}" for violation in self.violations)]
        return "\n".join(lines)


class Bench:
    """Stand-ins and the process that runs are forked from, for many runs."""

    def __init__(self, folder: Path, module: str, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        self.folder = folder
        self.module = module
        self.settings = {**SETTINGS, **settings}
        """What the processes find in their environment."""
        self.stage = load_stage(module)
        self.runs = 0
        self.violations = 0
        self.most: dict[str, int] = {}
        """How many changes the work of a scenario makes that is started again, from its clean run."""
        self._stack = ExitStack()

    def __enter__(self) -> Bench:
        self.folder.mkdir(parents=True, exist_ok=True)
        running = self._stack.enter_context(self.stage.stand_ins(self.folder))
        self.boxes = {name: box for name, (box, _log) in running.items()}
        self.logs = {name: log for name, (_box, log) in running.items()}
        config = self.folder / "agentguard.toml"
        named = "".join(f'{name} = "{where}"\n' for name, where in self.stage.connectors.items())
        config.write_text(f"[connectors]\n{named}")
        self._environment = {
            **os.environ,
            **self.settings,
            "AGENTGUARD_CONFIG": str(config),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        self._start()
        self._stack.callback(self._stop)
        return self

    def _start(self) -> None:
        command = [sys.executable, "-m", "agentguard.testing.crash.worker", self.module]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.worker = subprocess.Popen(command, env=self._environment, **pipes)

    def _stop(self) -> None:
        self.worker.communicate()

    def answer(self, job: dict[str, Any]) -> dict[str, Any]:
        """Have a child of the worker do *job*; return how it ended.

        Whoever is interrupted over it, as by a time limit, leaves a worker of whom the next one would be told what
        came of this job: there is a new one then.
        """
        assert self.worker.stdin is not None
        assert self.worker.stdout is not None
        try:
            self.worker.stdin.write(f"{json.dumps(job)}\n")
            self.worker.stdin.flush()
            ended: dict[str, Any] = json.loads(self.worker.stdout.readline())
        except BaseException:
            self.worker.kill()
            self._stop()
            self._start()
            raise
        return ended

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._stack.close()

    def run(self, plan: Plan) -> Run:
        """Do one run from beginning to end."""
        self.runs += 1
        plan, scenario = replace(plan, module=self.module), plan.scenario
        folder = self.folder / f"run-{self.runs}"
        folder.mkdir()
        boxes = {service: self.boxes[service_of(service)].reset() for service in scenario.services}
        job = _Job(self, scenario, folder, {service: box.url for service, box in boxes.items()}, plan.mutant)
        known = job.do("prepare")
        before = self._snapshots(boxes)
        marks = self._ends()
        arrived: list[Arrived] = []
        reports: list[dict[str, Any]] = []

        def collect(phase: str) -> None:
            files = dict.fromkeys(self.logs[box.name] for box in boxes.values())
            for file in files:
                found, marks[file] = read_log(self.stage, file, marks[file], phase, arrived)
                arrived.extend(found)

        violations: list[str] = []
        self._arm(plan.fault)
        code = job.do("forward", kill=plan.kill, known=known)
        if job.code not in (0, -signal.SIGKILL) or (job.code == 0 and plan.kill and not job.reached(plan.kill)):
            violations.append(f"the work ended with {job.code} and not as planned: {code or job.said[-600:]}")
        if "threads" in scenario.name:
            time.sleep(0.1)  # what another thread has sent is on its way still
        collect("forward")
        points = job.points()
        for service, state in scenario.drift.items():
            boxes[service].settle().seed(**state)  # what lands after somebody wrote is no undo, and is not judged here

        points_again: list[str] = []
        if scenario.restarts and plan.kill:
            job.do("forward", known=known)
            if job.code != 0:
                violations.append(f"the work was started again and ended with {job.code}: {job.said[-600:]}")
            points_again = job.points()
            collect("forward")

        self._arm(plan.fault_rollback)
        points_of_rollback: list[str] = []
        for number in range(1, PASSES + 1 + bool(plan.kill_rollback)):
            kill = plan.kill_rollback if number == 1 else ""
            report = job.do("recover", kill=kill)
            collect(f"rollback {number}")
            if number == 1:
                points_of_rollback = job.points()
            if job.code == 0:
                reports.append({**report, "phase": f"rollback {number}"})
            elif job.code != -signal.SIGKILL or not kill:
                if "NoSuchSession" in job.said and not arrived:
                    continue
                violations.append(f"recovery {number} ended with {job.code}: {job.said[-600:]}")
        for box in boxes.values():
            box.settle()
        idle = (job.do("idle") or {"sessions left open": 1}) if reports else {}
        collect("rollback 9")
        if plan.fault_rollback is not None or (plan.fault is not None and plan.fault.mode == "late"):
            reports = reports[-1:]  # the fault may keep the first from its end, or show only when it has landed

        log = ServiceLog(arrived, before, self._snapshots(boxes), scenario.residue, scenario.takes_back)
        log.conflicts, log.drift, log.actions = scenario.conflicts, scenario.drift, self.stage.actions
        ledger = LedgerView.read(job.ledger, SESSION, reports)
        ledger.idle = idle
        if scenario.restarts and not plan.kill:
            self.most[scenario.name] = sum(len(one.effects) for one in arrived if one.phase == "forward")
        log.most = self.most.get(scenario.name)
        violations += check(log, ledger)
        self.violations += len(violations)
        return Run(plan, log, ledger, violations, points, points_of_rollback, points_again, job.said)

    def _arm(self, fault: Fault | None) -> None:
        if fault is None:
            return
        box = self.boxes[service_of(fault.service)]
        if fault.at > 1:
            box.fault("delay_before", "*", times=fault.at - 1, seconds=0)
        box.fault(fault.mode, "*", **DETAILS.get(fault.mode, {}))

    def _ends(self) -> dict[Path, int]:
        return {file: file.stat().st_size if file.exists() else 0 for file in self.logs.values()}

    @staticmethod
    def _snapshots(boxes: dict[str, Box]) -> dict[str, Any]:
        return {box.name: box.snapshot() for box in boxes.values()}


class _Job:
    """What the children of one run have in common."""

    def __init__(self, bench: Bench, scenario: Scenario, folder: Path, urls: dict[str, str], mutant: str) -> None:
        self.bench, self.scenario, self.folder, self.urls, self.mutant = bench, scenario, folder, urls, mutant
        self.ledger = folder / "ledger.db"
        self.code = 0
        self.said = ""
        self._points = folder / "points"

    def do(self, what: str, kill: str = "", **more: Any) -> Any:
        """Have one child do *what* and return what it made; None where it died before."""
        result = self.folder / "result.json"
        result.unlink(missing_ok=True)
        self._points.unlink(missing_ok=True)
        environment = {failpoints.POINT: kill, failpoints.LOG: str(self._points)}
        job = {"do": what, "scenario": self.scenario.name, "urls": self.urls, "ledger": str(self.ledger)}
        job |= {"result": str(result), "environment": environment, "mutant": self.mutant, **more}
        self.code = self.bench.answer(job)["code"]
        self.said = Path(f"{result}.err").read_text()
        return json.loads(result.read_text()) if result.exists() else None

    def points(self) -> list[str]:
        """The failpoints that the last child reached."""
        return self._points.read_text().split() if self._points.exists() else []

    def reached(self, point: str) -> bool:
        return point in self.points()


# Matrices


def kills(bench: Bench, scenario: Scenario) -> Iterator[Run]:
    """One clean run, then one for every occurrence of every failpoint of the work."""
    clean = bench.run(Plan(scenario))
    yield clean
    for point in clean.points:
        yield bench.run(Plan(scenario, point))


def kills_of_rollback(bench: Bench, scenario: Scenario, kill: str = "") -> Iterator[Run]:
    """A second kill at every point of the rollback that follows a clean run, or one killed at *kill*."""
    for point in bench.run(Plan(scenario, kill)).points_of_rollback:
        yield bench.run(Plan(scenario, kill, point))


def compound(bench: Bench, scenario: Scenario) -> Iterator[Run]:
    """The same after a kill at every point of the work."""
    for kill in bench.run(Plan(scenario)).points:
        yield from kills_of_rollback(bench, scenario, kill)


MODES = ("drop_before", "drop_after", "status_after", "truncate", "rate_limit")
"""The faults of a write that each take no time."""
SLOW_MODES = ("timeout_after", "late")
"""Those that take some: for a bench with `SLOWLY`, and clients that give up before its send deadline."""
SLOWLY = {"AGENTGUARD_SEND_DEADLINE": "1.0"}
"""Settings of a bench in which a request may land later, and a client may wait for an answer that does not come."""


def faults(bench: Bench, scenario: Scenario, modes: tuple[str, ...] = MODES) -> Iterator[Run]:
    """Each fault at each write of the work."""
    for service, at in _writes(bench.run(Plan(scenario)), "forward"):
        for mode in modes:
            yield bench.run(Plan(scenario, fault=Fault(service, at, mode)))


def faults_of_rollback(bench: Bench, scenario: Scenario, modes: tuple[str, ...] = MODES) -> Iterator[Run]:
    """Each fault at each write of the rollback."""
    for service, at in _writes(bench.run(Plan(scenario)), "rollback 1"):
        for mode in modes:
            yield bench.run(Plan(scenario, fault_rollback=Fault(service, at, mode)))


def stale_reads(bench: Bench, scenario: Scenario) -> Iterator[Run]:
    """Each read of the rollback is answered once from the state before the last write."""
    for service, at in _requests(bench.run(Plan(scenario)), "rollback 1", reads=True):
        yield bench.run(Plan(scenario, fault_rollback=Fault(service, at, "stale_read")))


def _writes(clean: Run, phase: str) -> Iterator[tuple[str, int]]:
    return _requests(clean, phase, reads=False)


def _requests(clean: Run, phase: str, *, reads: bool) -> Iterator[tuple[str, int]]:
    """The reads or writes of a run: the service, and the how-manieth of its requests it is."""
    counts: dict[str, int] = {}
    for one in clean.log.arrived:
        if one.phase == phase:
            counts[one.service] = counts.get(one.service, 0) + 1
            if one.reads is reads:
                yield one.service, counts[one.service]
