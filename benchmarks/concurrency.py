"""Many writers of one ledger: threads, processes and tasks; how many writes a second, and the slowest of them.

`python -m benchmarks.concurrency FOLDER WRITES` is one of several processes: it writes when it is told to on its
standard input, and prints the seconds that each write took.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

from benchmarks import guarded, syncs
from benchmarks.measuring import ROOT, Found, Setting, Spread, paired, percentile

WRITERS, TASKS = 8, 100
Run = tuple[float, list[float]]
"""Seconds for all writes, and for each of them."""


def measure(setting: Setting) -> Found:
    """Measure one thread, eight of them, as many processes, and a hundred tasks on one event loop."""
    found = Found("Many writers of one ledger")
    writes, writers = setting.choose(800, 100), setting.choose(WRITERS, 2)
    kinds = {
        "one thread": partial(_threads, setting, 1, writes),
        f"{writers} threads": partial(_threads, setting, writers, writes),
        f"{writers} processes": partial(_processes, setting, writers, writes),
        f"{TASKS} asyncio tasks": partial(_tasks, setting, writes),
    }
    results: dict[str, list[Run]] = setting.interleave(kinds, setting.choose(5, 1))
    alone = [len(each) / seconds for seconds, each in results["one thread"]]
    for name, runs in results.items():
        rates = [len(each) / seconds for seconds, each in runs]
        ratio = None if name == "one thread" else Spread.of(paired(rates, alone))
        found.add(f"{name}: writes a second", rates, "1/s", reference="one thread" if ratio else "", ratio=ratio)
        found.add(f"{name}: a write in the slowest percentile", [percentile(each, 99) for _s, each in runs], "ms")
        found.add(f"{name}: the slowest write", [max(each) for _s, each in runs], "ms")
    return found


def _threads(setting: Setting, count: int, writes: int) -> Run:
    taken: list[list[float]] = [[] for _ in range(count)]
    ready = threading.Barrier(count + 1)
    with guarded.session(setting.new_folder("threads")) as session:

        def work(mine: list[float]) -> None:
            with session.active():
                ready.wait()
                mine.extend(_writes(writes // count))

        threads = [threading.Thread(target=work, args=(mine,)) for mine in taken]
        for thread in threads:
            thread.start()
        ready.wait()
        start = time.perf_counter()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - start
    return seconds, [one for mine in taken for one in mine]


def _writes(times: int) -> list[float]:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        guarded.write(guarded.KILOBYTE)
        taken.append(time.perf_counter() - start)
    return taken


def _processes(setting: Setting, count: int, writes: int) -> Run:
    folder = setting.new_folder("processes")
    command = [sys.executable, "-m", "benchmarks.concurrency", str(folder), str(writes // count)]
    running = [
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=syncs.environment(syncs.loaded()),
        )
        for _ in range(count)
    ]
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()  # it is ready
    start = time.perf_counter()
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    taken = []
    for process in running:
        assert process.stdout is not None
        taken += json.loads(process.stdout.readline())
    seconds = time.perf_counter() - start
    for process in running:
        process.communicate()
    return seconds, taken


def _tasks(setting: Setting, writes: int) -> Run:
    taken: list[float] = []

    async def work() -> None:
        for _ in range(writes // TASKS):
            start = time.perf_counter()
            await guarded.awrite(guarded.KILOBYTE)
            taken.append(time.perf_counter() - start)
            await asyncio.sleep(0)

    async def all_of_them() -> float:
        start = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(TASKS)))
        return time.perf_counter() - start

    with guarded.session(setting.new_folder("tasks")):
        return asyncio.run(all_of_them()), taken


def main(folder: Path, writes: int) -> None:
    """Be one of several processes."""
    with guarded.session(folder):
        guarded.write(guarded.KILOBYTE)
        print("ready", flush=True)
        sys.stdin.readline()
        print(json.dumps(_writes(writes)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
