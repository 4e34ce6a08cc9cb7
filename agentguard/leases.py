"""Who owns a session: one process at a time, for as long as it renews its lease.

An owner has a lease and a fencing token. The lease says for how long it need not be asked whether it lives; a thread
of the process renews it. The token counts the owners: whoever takes a session over raises it, and what an earlier
owner still wants to write is refused by the ledger, so that a process that was stopped and goes on does no harm.
"Gray failure" is the usual name for the case, "fencing token" that of the remedy
(https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html).

Time is that of the machine since it was started, sleep included: it is the same for all its processes, and nobody can
set it. A restart of the machine ends every lease.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Protocol

SECONDS = "AGENTGUARD_LEASE_SECONDS"
_numbers = count(1)


def lease_seconds() -> float:
    """How long a lease lasts: AGENTGUARD_LEASE_SECONDS, else `[recovery] lease` in agentguard.toml, else 30."""
    from agentguard.config import seconds

    return seconds(SECONDS, "lease", 30.0)


def now() -> float:
    """Seconds since the machine was started."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def new_owner() -> str:
    """A name for an owner in this process: machine start, process namespace, process and its start, and a number."""
    return f"{_process()}/{next(_numbers)}"


def is_gone(owner: str | None) -> bool:
    """Whether the process of *owner* certainly lives no more. False where that cannot be told: its lease decides."""
    if owner is None:
        return True
    here, (boot, space, process, started) = _process().split("/"), owner.split("/")[:4]
    if boot != here[0]:
        return bool(boot and here[0])
    if not space or space != here[1]:
        return False
    return _started(int(process)) != started


def lives(owner: str | None, until: float) -> bool:
    """Whether *owner*, whose lease lasts *until*, counts as alive."""
    return until > now() and not is_gone(owner)


def _process() -> str:
    return f"{_boot()}/{_space()}/{os.getpid()}/{_started(os.getpid())}"


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


@cache
def _space() -> str:
    # Two containers that share a folder count their processes each from one.
    try:
        return os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        return ""


def _started(process: int) -> str:
    """When *process* was started, in clock ticks; empty where there is none (proc(5): field 22 of stat)."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


class Renewing(Protocol):
    """Where leases are kept."""

    def renew(self, session: str, token: int, until: float) -> bool:
        """Extend a lease; False where somebody else has the session now."""


@dataclass(eq=False)
class Lease:
    """One session's lease in the process that owns it."""

    ledger: Renewing
    session: str
    token: int
    until: float
    seconds: float
    lost: bool = False
    """Whether somebody else is known to have the session."""
    seen: float = field(default_factory=now)
    """When the ledger last said that it is ours."""

    def renew(self) -> bool:
        """Extend it; False, for ever, where somebody else has the session now."""
        if not self.lost:
            until = now() + self.seconds
            if self.ledger.renew(self.session, self.token, until):
                self.until, self.seen = until, now()
            else:
                self.lost = True
        return not self.lost

    def holds(self) -> bool:
        """Whether a send may start now. Asks the ledger where it has not said so just now."""
        if self.lost:
            return False
        if now() - self.seen < min(0.5, self.seconds / 4):
            return True
        return self.renew()


class _Heart:
    """The thread that renews the leases of this process; there is none until the first, and none after the last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._leases: weakref.WeakSet[Lease] = weakref.WeakSet()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()

    def watch(self, lease: Lease) -> None:
        """Renew *lease* from now on."""
        with self._lock:
            self._leases.add(lease)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._beat, name="agentguard-leases", daemon=True)
                self._thread.start()
        self._wake.set()

    def forget(self, lease: Lease) -> None:
        """Renew *lease* no more."""
        with self._lock:
            self._leases.discard(lease)

    def let_go(self, ledger: Renewing) -> None:
        """Renew no lease of *ledger* any more: it is closed."""
        with self._lock:
            for lease in [lease for lease in self._leases if lease.ledger is ledger]:
                self._leases.discard(lease)

    def _beat(self) -> None:
        import logging

        pause = 0.0
        while True:
            with self._lock:
                leases = list(self._leases)
                if not leases:
                    self._thread = None
                    return
            due = max(min(lease.until - 2 * lease.seconds / 3 for lease in leases) - now(), pause)
            self._wake.wait(max(due, 0.01))
            self._wake.clear()
            pause = 0.0
            for lease in leases:
                if lease.until - now() > 2 * lease.seconds / 3:
                    continue
                try:
                    if not lease.renew():
                        self.forget(lease)
                except Exception:
                    with self._lock:
                        if lease not in self._leases:
                            continue  # its ledger was closed at this moment
                    pause = lease.seconds / 6  # the ledger cannot be written; once the lease has run out, calls stop
                    logging.getLogger("agentguard").warning(
                        "agentguard: the lease of session %s could not be renewed", lease.session, exc_info=True
                    )
            del leases


def _forked() -> None:
    global heart
    heart = _Heart()  # its thread stays in the parent, which goes on renewing


heart = _Heart()
os.register_at_fork(after_in_child=_forked)
