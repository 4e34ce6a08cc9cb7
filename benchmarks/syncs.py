"""The counting library of syncs.c from Python: make it, load it, ask what it has counted, slow every sync down.

It needs gcc and Linux. Where there is none the measures that need it are reported as absent, with the reason.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).with_name("syncs.c")
PRELOAD, DELAY = "LD_PRELOAD", "BENCH_SYNC_DELAY"
ABSENT = "it needs gcc on Linux, to count syncs and to slow them down"
MILLISECOND = 1_000_000
"""In nanoseconds, as delays are given."""
LEFT_OUT = -1
"""The delay with which no sync is done at all."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What a process has done to files, pipes and sockets."""

    syncs: int = 0
    writes: int = 0
    written: int = 0
    reads: int = 0
    read: int = 0
    locks: int = 0

    def since(self, before: Counts) -> Counts:
        """What was done after *before*."""
        return Counts(*(getattr(self, name) - getattr(before, name) for name in self.__slots__))

    @property
    def nothing(self) -> bool:
        """Whether nothing was done."""
        return self == Counts()


def build(folder: Path) -> Path | None:
    """Compile the library into *folder*; None where that cannot be done here."""
    compiler = shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        return None
    library = folder / "syncs.so"
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True)
    return library if done.returncode == 0 else None


def environment(library: Path | None) -> dict[str, str]:
    """The environment of a process with *library* loaded, or, without one, of a process that has none."""
    kept = {name: value for name, value in os.environ.items() if name not in (PRELOAD, DELAY)}
    return kept | ({PRELOAD: str(library)} if library else {})


def loaded(variables: Mapping[str, str] = os.environ) -> Path | None:
    """The library that this process was started with."""
    path = variables.get(PRELOAD, "")
    return Path(path) if path.endswith("syncs.so") and Path(path).exists() else None


class Syncs:
    """The library in this process."""

    def __init__(self, library: Path) -> None:
        handle = ctypes.CDLL(str(library))
        self._counters = (ctypes.c_longlong * len(Counts.__slots__)).in_dll(handle, "bench_counters")
        self._delay = ctypes.c_longlong.in_dll(handle, "bench_delay")

    def counts(self) -> Counts:
        """What was counted since the process began."""
        return Counts(*self._counters)

    @contextmanager
    def slower(self, nanoseconds: int) -> Iterator[None]:
        """Let every sync in the block take that much longer; with `LEFT_OUT` none is done."""
        before = self._delay.value
        self._delay.value = nanoseconds
        try:
            yield
        finally:
            self._delay.value = before


def here() -> Syncs | None:
    """The library in this process; None where it was started without."""
    library = loaded()
    return Syncs(library) if library else None
