"""A rollback: undos of 50 ms each, side by side and in chains, against what the round trips alone would take."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import httpx
from agentguard_connectors.http import Api, declare

import agentguard
from benchmarks import guarded, service
from benchmarks.measuring import Found, Setting

ROUND_TRIP = 0.05
CONCURRENCY = 64
_numbers = count(1)


def _unmake(name: str, seconds: float) -> None:
    time.sleep(seconds)


def _undoing(result: str, inside: str, seconds: float) -> dict[str, Any]:
    return {"name": result, "seconds": seconds}


@agentguard.action("bench.make", undo=_unmake, undo_arguments=_undoing)
def make(inside: str = "", seconds: float = ROUND_TRIP) -> str:
    """Name something new, which takes *seconds* to take back; *inside* names what has to be taken back after it."""
    return f"made-{next(_numbers):09}"


def measure(setting: Setting) -> Found:
    """Measure a rollback of calls that have nothing to do with each other, and of chains of calls."""
    found = Found("A rollback of undos that take 50 ms each")
    many = setting.choose(200, 8)
    held = f"rollback of {many} undos side by side / limit"
    if "concurrency" not in inspect.signature(agentguard.Session.rollback).parameters:
        found.absent(held, "s", "this agentguard takes back one call at a time")
        found.hold(held, None, 1.2)
        return found
    repetitions = setting.choose(5, 1)
    shapes = {many: 1} | ({4: 50, 10: 20, 50: 4} if not setting.quick else {2: 2})
    for chains, length in shapes.items():
        width = min(CONCURRENCY, chains)
        limit = length * math.ceil(chains / width) * ROUND_TRIP
        times = [_chains(setting, chains, length) for _ in range(repetitions if length < 20 else min(3, repetitions))]
        name = f"{chains} undos side by side" if length == 1 else f"{chains} chains of {length} undos"
        ratio = found.compare(f"{name}, {width} at a time", times, "limit", [limit] * len(times), "s")
        if length == 1:
            itself = [_chains(setting, chains, 1, seconds=0.0) for _ in range(repetitions)]
            cpu = found.add(f"{name}, none of which takes any time", itself, "s", note="what the rollback itself takes")
            own = f"{cpu.median * 1e3:.0f} ms, its syncs among them"
            told = f"the rollback itself takes {own}, beside {limit * 1e3:.0f} ms"
            found.hold(held, ratio.median, 1.2, bounded=told)
    _over_http(found, setting, many)
    return found


def _chains(setting: Setting, chains: int, length: int, seconds: float = ROUND_TRIP) -> float:
    """Seconds that a rollback of *chains* times *length* calls takes."""
    with guarded.session(setting.new_folder("rollback")) as session:
        last = [""] * chains
        for _ in range(length):
            last = [make(name, seconds) for name in last]
        start = time.perf_counter()
        report = session.rollback(concurrency=CONCURRENCY)
        taken = time.perf_counter() - start
    _check(report.ok and len(report.outcomes) == chains * length, report)
    return taken


def _over_http(found: Found, setting: Setting, many: int) -> None:
    """The same through an SDK's client, against the bare client from as many threads."""
    with service.running(ROUND_TRIP * 1000) as url:
        limits = httpx.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY)
        connector = declare(Api("bench", base=url, routes=guarded.API.routes))

        def bare() -> float:
            with httpx.Client(base_url=url, limits=limits) as client:
                made = [client.post("/things", json={}).json()["id"] for _ in range(many)]
                start = time.perf_counter()
                with ThreadPoolExecutor(CONCURRENCY) as pool:
                    answers = list(pool.map(lambda name: client.delete(f"/things/{name}"), made))
                taken = time.perf_counter() - start
            _check(all(answer.status_code == 200 for answer in answers), answers)
            return taken

        def rolled_back() -> float:
            with guarded.session(setting.new_folder("rollback")) as session:
                client = agentguard.wrap(httpx.Client(base_url=url, limits=limits), session, connector=connector)
                for _ in range(many):
                    client.post("/things", json={})
                start = time.perf_counter()
                report = session.rollback(concurrency=CONCURRENCY)
                taken = time.perf_counter() - start
            _check(report.ok, report)
            return taken

        kinds: dict[str, Callable[[], Any]] = {"bare": bare, "guarded": rolled_back}
        results = setting.interleave(kinds, setting.choose(5, 1))
    found.add(f"{many} requests over HTTP from {CONCURRENCY} threads, plain client", results["bare"], "s")
    name = f"{many} undos over HTTP, {CONCURRENCY} at a time"
    found.compare(name, results["guarded"], "plain client", results["bare"], "s")


def _check(well: bool, told: object) -> None:
    if not well:
        raise RuntimeError(f"not everything was taken back, and nothing was measured:\n{told}")
