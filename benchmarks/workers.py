"""Processes that measure when they are told to, so that what runs in different ones can take turns.

A worker reads lines from its standard input, each of them what to do as JSON, and prints what it has measured. Every
package has a Python of its own, and still meets the same moments of the disk as the others.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks import syncs
from benchmarks.measuring import ROOT

Taken = tuple[float, int]
"""Seconds, and syncs."""
Block = Callable[[int], Taken]
"""Does something so many times, and says what that took. What has to go before and after it does not count."""


class Worker:
    """One process, from when it is ready until the block is left."""

    def __init__(self, python: str | Path, *command: str) -> None:
        self.command = command
        self._told = tempfile.TemporaryFile("w+")  # noqa: SIM115 - not a pipe, which nobody would empty; closed with the process
        self._process = subprocess.Popen(
            [str(python), "-m", *command],
            cwd=ROOT,
            env=syncs.environment(syncs.loaded()) | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._told,
            text=True,
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if error is not None:
            self._process.kill()
        self._process.communicate()
        self._told.close()

    def ready(self) -> Any:
        """Wait until it can be asked; returns what it says about itself."""
        return self._answer()

    def ask(self, kind: str, times: int, delay: int) -> Taken:
        """Have it do *kind* so many times, each sync *delay* nanoseconds slower: seconds and syncs of all of them."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([kind, times, delay]) + "\n")
        self._process.stdin.flush()
        seconds, synced = self._answer()
        return seconds, synced

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._told.seek(0)
            told = self._told.read()
            raise RuntimeError(f"{' '.join(self.command)} has ended, and was not measured:\n{told[-2000:]}")
        return json.loads(line)


class Meter:
    """What was taken since it was made or set back."""

    def __init__(self) -> None:
        self._counting = syncs.here()
        self.set_back()

    def set_back(self) -> None:
        """Begin anew."""
        self._synced = self._counting.counts().syncs if self._counting else 0
        self._start = time.perf_counter()

    def taken(self) -> Taken:
        """Seconds and syncs since then."""
        seconds = time.perf_counter() - self._start
        return seconds, self._counting.counts().syncs - self._synced if self._counting else 0


def answer(blocks: Mapping[str, Block], about: object = None) -> None:
    """Be a worker: say that it is ready, then do what is asked for until nothing more is."""
    counting = syncs.here()
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        kind, times, delay = json.loads(line)
        with counting.slower(delay) if counting else nullcontext():
            taken = blocks[kind](times)
        print(json.dumps(taken), flush=True)
