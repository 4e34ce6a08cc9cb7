"""How everything here is measured: repetitions interleaved in a new order each time, ratios paired within one.

What is compared is done alternately, so that a slow moment of the machine meets both sides; the ratio is formed within
each repetition, and its median, minimum and maximum are told beside those of the figure itself.
"""

from __future__ import annotations

import random
import statistics
import time
import timeit
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks import syncs

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, minimum and maximum over repetitions."""

    median: float
    minimum: float
    maximum: float
    repetitions: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of *values*, one for each repetition."""
        return cls(statistics.median(values), min(values), max(values), len(values))

    def scaled(self, factor: float) -> Spread:
        """The same in another unit."""
        return Spread(self.median * factor, self.minimum * factor, self.maximum * factor, self.repetitions)


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured, beside what it is compared with."""

    name: str
    unit: str
    value: Spread | None = None
    reference: str = ""
    """What `ratio` is the ratio to."""
    ratio: Spread | None = None
    absent: str = ""
    """Why it was not measured."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure is held to."""

    name: str
    value: float | None
    """None where it was not measured."""
    target: float
    at_least: bool = False
    """Whether more is better."""
    bounded: str = ""
    """What bounds it, measured, where the target is not met."""

    @property
    def met(self) -> bool | None:
        """Whether it is met; None where that was not measured."""
        if self.value is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


@dataclass(slots=True)
class Found:
    """What a measure has found."""

    title: str
    figures: list[Figure] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)

    def add(self, name: str, values: Sequence[float], unit: str = "µs", **more: Any) -> Spread:
        """Add a figure; times are given in seconds and told in *unit*."""
        spread = Spread.of(values).scaled(_PER_SECOND.get(unit, 1.0))
        self.figures.append(Figure(name, unit, spread, **more))
        return spread

    def compare(
        self, name: str, values: Sequence[float], reference: str, to: Sequence[float], unit: str = "µs", note: str = ""
    ) -> Spread:
        """Add a figure with its ratio to *to*, paired; returns the ratio."""
        ratio = Spread.of(paired(values, to))
        self.add(name, values, unit, reference=reference, ratio=ratio, note=note)
        return ratio

    def absent(self, name: str, unit: str, why: str) -> None:
        """Add a figure that was not measured."""
        self.figures.append(Figure(name, unit, absent=why))

    def hold(self, name: str, value: float | None, target: float, *, at_least: bool = False, bounded: str = "") -> None:
        """Hold a figure to a target."""
        found = Target(name, value, target, at_least)
        self.targets.append(Target(name, value, target, at_least, "" if found.met is not False else bounded))


_PER_SECOND = {"s": 1.0, "ms": 1e3, "µs": 1e6, "ns": 1e9}


@dataclass(frozen=True)
class Setting:
    """Where and how thoroughly to measure."""

    folder: Path
    """An empty folder on the disk that is measured."""
    quick: bool = False
    peers: Path | None = None
    """A Python that has the peers installed; None where they are left out."""
    shuffled: random.Random = field(default_factory=lambda: random.Random(1))

    @cached_property
    def syncs(self) -> syncs.Syncs | None:
        """The counting library, where this process was started with it."""
        return syncs.here()

    def choose(self, thorough: int, quick: int) -> int:
        """One of two numbers."""
        return quick if self.quick else thorough

    def new_folder(self, name: str) -> Path:
        """An empty folder of that name, or of one like it."""
        for number in range(1, 10_000):
            path = self.folder / f"{name}-{number}"
            if not path.exists():
                path.mkdir()
                return path
        raise FileExistsError(f"{self.folder} has 10,000 folders called {name}. Nothing was measured. Empty it.")

    def interleave(self, kinds: Mapping[str, Callable[[], Any]], repetitions: int) -> dict[str, list[Any]]:
        """Call each of *kinds* once in each repetition, in a new order; return what they return, by repetition."""
        results: dict[str, list[Any]] = {kind: [] for kind in kinds}
        for _ in range(repetitions):
            for kind in self.shuffled.sample(list(kinds), len(kinds)):
                results[kind].append(kinds[kind]())
        return results


def paired(values: Sequence[float], to: Sequence[float]) -> list[float]:
    """The ratios within each repetition."""
    return [value / reference for value, reference in zip(values, to, strict=True)]


def timed(call: Callable[[], object], times: int) -> float:
    """Seconds for each of *times* calls."""
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


def timed_finely(statement: str, names: Mapping[str, Any], times: int) -> float:
    """Seconds for one *statement* of less than a microsecond, without the loop's own time.

    The best of three: what makes one of them longer is not the statement.
    """
    loop = min(timeit.Timer("pass").repeat(3, times))
    return (min(timeit.Timer(statement, globals=dict(names)).repeat(3, times)) - loop) / times


def enough(call: Callable[[], object], seconds: float) -> int:
    """How many calls take about *seconds*, five at least."""
    return max(5, int(seconds / timed(call, 3)))


def percentile(values: Iterable[float], percent: float) -> float:
    """The value below which *percent* of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
