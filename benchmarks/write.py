"""A guarded write: against one sync, one commit, and what others take for a step on record."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from benchmarks import guarded, own, peers, syncs
from benchmarks.breakdown import bounds
from benchmarks.measuring import Found, Setting, Spread, percentile
from benchmarks.workers import Worker

GUARDED, LIMIT, BARE, COMMIT = "guarded write", "4 KiB write + fdatasync", "bare request", "sqlite3 commit"
THREADS = {1: 1.0, 16: 0.3, 64: 0.1}
"""How many syncs a call may take with so many threads."""
DELAYS = {0: "", syncs.MILLISECOND: ", each sync 1 ms slower"}
TURN = 20
"""Calls of one kind before the next has its turn."""
WARM_UP = 800
"""Calls that go before, so that logs have been written to their end once."""


@dataclass(frozen=True, slots=True)
class Blocks:
    """What was measured, for each delay and kind of work one value for each repetition."""

    seconds: dict[tuple[int, str], list[float]]
    syncs: dict[tuple[int, str], list[float]]
    versions: dict[str, str]
    """Of the peers that are there."""

    def counted(self, delay: int, name: str) -> str:
        """The syncs of a call, in words; empty where they are not counted."""
        return f"{Spread.of(self.syncs[delay, name]).median:.2f} syncs" if syncs.loaded() else ""


def measure(setting: Setting) -> Found:
    """Measure writes with and without a millisecond more for each sync, and how threads share syncs."""
    found = Found("A guarded write of 1 KB whose effect is nothing, durable before it is sent")
    blocks = Blocks({}, {}, {})
    for _ in range(setting.choose(5, 1)):
        _repetition(setting, blocks)
    for delay, told in DELAYS.items():
        if setting.syncs is None and delay:
            found.absent(f"{GUARDED}{told}", "µs", syncs.ABSENT)
            continue
        _tell(found, blocks, delay, told)
    _hold(found, setting)
    _threads(found, setting)
    return found


def _repetition(setting: Setting, blocks: Blocks) -> None:
    """Start each worker anew, and let all kinds of work take turns."""
    with ExitStack() as running:
        own_worker = Worker(sys.executable, "benchmarks.own", str(setting.new_folder("own")))
        workers = dict.fromkeys(own.KINDS, running.enter_context(own_worker))
        for name in peers.PEERS if setting.peers else ():
            folder = str(setting.new_folder("peer"))
            workers[name] = running.enter_context(Worker(setting.peers or "", "benchmarks.peers", name, folder))
        own_worker.ready()
        for name in peers.PEERS if setting.peers else ():
            blocks.versions[name] = workers[name].ready()
        for name, worker in workers.items():
            worker.ask(name, setting.choose(WARM_UP, TURN), 0)
        for delay in DELAYS if setting.syncs else (0,):
            turns = setting.choose(10 if delay == 0 else 5, 1)
            seconds, synced = dict.fromkeys(workers, 0.0), dict.fromkeys(workers, 0)
            for _ in range(turns):
                for name in setting.shuffled.sample(list(workers), len(workers)):
                    taken, counted = workers[name].ask(name, TURN, delay)
                    seconds[name] += taken
                    synced[name] += counted
            for name in workers:
                blocks.seconds.setdefault((delay, name), []).append(seconds[name] / turns / TURN)
                blocks.syncs.setdefault((delay, name), []).append(synced[name] / turns / TURN)


def _tell(found: Found, blocks: Blocks, delay: int, told: str) -> None:
    limit, ours = blocks.seconds[delay, LIMIT], blocks.seconds[delay, GUARDED]
    found.add(f"{LIMIT}{told}", limit, note="the limit")
    for name in own.KINDS:
        if name not in (LIMIT, BARE):
            found.compare(f"{name}{told}", blocks.seconds[delay, name], LIMIT, limit, note=blocks.counted(delay, name))
    if delay == 0:
        found.add(f"{BARE}, answered in memory", blocks.seconds[delay, BARE])
    for name in peers.PEERS:
        if name not in blocks.versions:
            found.absent(f"{name}{told}", "µs", "the peers are not installed; `make bench` does it")
            continue
        note = "; ".join(filter(None, (blocks.counted(delay, name), blocks.versions[name])))
        found.compare(f"{name}{told}", blocks.seconds[delay, name], GUARDED, ours, note=note)


def _hold(found: Found, setting: Setting) -> None:
    ratios = {(figure.name, figure.reference): figure.ratio for figure in found.figures if figure.ratio}

    def ratio(name: str, reference: str) -> float | None:
        spread = ratios.get((name, reference))
        return spread.median if spread else None

    plain = ratio(GUARDED, LIMIT)
    slower = ratio(f"{GUARDED}, each sync 1 ms slower", LIMIT)
    why = bounds(setting)
    commit = f"one sqlite3 commit of one row is {ratio(COMMIT, LIMIT) or 0:.2f} x the limit by itself"
    found.hold(f"{GUARDED} / {LIMIT}", plain, 2.5, bounded=f"{commit}; {why}")
    found.hold(f"{GUARDED} / {LIMIT}, each sync 1 ms slower", slower, 1.4, bounded=why)
    for name, target in (("DBOS step", 6), ("LangGraph node", 4)):
        found.hold(f"{name} / {GUARDED}", ratio(name, GUARDED), target, at_least=True, bounded=why)


def _threads(found: Found, setting: Setting) -> None:
    if setting.syncs is None:
        for count, target in THREADS.items():
            found.absent(f"syncs for each call, {_threads_told(count)}", "syncs", syncs.ABSENT)
            found.hold(f"syncs for each call, {_threads_told(count)}", None, target)
        return
    for delay, told in DELAYS.items():
        kinds = {count: partial(many_threads, setting, count, delay) for count in THREADS}
        results = setting.interleave({str(count): kind for count, kind in kinds.items()}, setting.choose(5, 1))
        for count, target in THREADS.items():
            threads = _threads_told(count)
            runs: list[Mapping[str, float]] = results[str(count)]
            name = f"syncs for each call, {threads}{told}"
            spread = found.add(name, [run["syncs"] for run in runs], "syncs")
            found.add(f"a call, {threads}{told}", [run["seconds"] for run in runs])
            found.add(f"slowest percentile, {threads}{told}", [run["p99"] for run in runs])
            if not told:
                # A call alone waits for one sync; what is above that are those of checkpoints, one in a hundred calls.
                value = Spread.of([run["waited"] for run in runs]).median if count == 1 else spread.median
                found.hold(name, value, target, bounded=f"{spread.median:.2f} syncs for each call")


def _threads_told(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def many_threads(setting: Setting, count: int, delay: int) -> dict[str, float]:
    """Let *count* threads write through one session; seconds and syncs for each call."""
    counting = setting.syncs
    assert counting is not None
    each = max(2, setting.choose(960, 64) // count)
    ready, taken, waited = threading.Barrier(count + 1), [[0.0] * each for _ in range(count)], [0] * each

    with guarded.session(setting.new_folder("threads")) as session, counting.slower(delay):

        def work(mine: list[float]) -> None:
            with session.active():
                guarded.write(guarded.KILOBYTE)
                ready.wait()
                for number in range(each):
                    before, start = counting.counts().syncs, time.perf_counter()
                    guarded.write(guarded.KILOBYTE)
                    mine[number] = time.perf_counter() - start
                    if count == 1:
                        waited[number] = counting.counts().syncs - before

        threads = [threading.Thread(target=work, args=(mine,)) for mine in taken]
        for thread in threads:
            thread.start()
        ready.wait()
        before, start = counting.counts(), time.perf_counter()
        for thread in threads:
            thread.join()
        seconds, synced = time.perf_counter() - start, counting.counts().since(before).syncs
    calls = count * each
    every = [one for mine in taken for one in mine]
    return {
        "seconds": seconds / calls,
        "syncs": synced / calls,
        "p99": percentile(every, 99),
        "waited": sorted(waited)[len(waited) // 2],
    }
