"""Points at which a test kills this process. They do nothing unless armed.

There is one before and after each step of a flow, and one in the middle of each transaction of the ledger, just before
it is committed. `AGENTGUARD_FAILPOINT=before_send:2` kills with SIGKILL when `before_send` is reached for the second
time; `stop@before_send:2` stops the process there (SIGSTOP), until somebody lets it go on.
`AGENTGUARD_FAILPOINT_LOG=path` appends the name of each point that is reached to a file, for counting.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Mapping

WRITES = {
    "refusal": "a call that was stopped",
    "intent": "a call that is about to be sent",
    "result": "what came of a call",
    "claim": "a new owner",
    "begin": "a rollback begins",
    "verdict": "what came of a call in doubt",
    "undo_intent": "an undo that is about to be sent",
    "undo_result": "what came of an undo",
    "hold": "a call that is sent when the session completes",
    "verified": "what reading back after a call has shown",
    "end": "a session ends",
    "note": "an event that changes no row",
}
"""The transactions with points before, in the middle (`mid_`) and after them."""
WITHIN = {
    "start": "a session begins",
    "renew": "a lease is extended",
    "release": "an owner gives a session up",
    "approval": "a request for approval, and its decision",
}
"""Transactions that are no step of a flow by themselves: there is a point in the middle only."""
STEPS = {
    "ask": "a person is asked",
    "look": "something is read from the service",
    "send": "a call is sent",
    "perform": "an undo is sent",
}
"""The other steps, with points before and after them."""
POINTS = (
    frozenset(f"mid_{name}" for name in WITHIN)
    | frozenset(f"{when}_{name}" for name in WRITES for when in ("before", "mid", "after"))
    | frozenset(f"{when}_{name}" for name in STEPS for when in ("before", "after"))
)
"""Every point."""
POINT, LOG = "AGENTGUARD_FAILPOINT", "AGENTGUARD_FAILPOINT_LOG"


class Trap:
    """What is armed: the point that kills, the file that counts, or both."""

    def __init__(self, point: str, log: str) -> None:
        self.signal = signal.SIGSTOP if point.startswith("stop@") else signal.SIGKILL
        name, _, occurrence = point.removeprefix("stop@").partition(":")
        self.name, self.occurrence = name, int(occurrence or 1)
        self.log = log
        self._reached: Counter[str] = Counter()
        self._lock = threading.Lock()

    def reach(self, name: str) -> None:
        """Count that *name* is reached, and die or stop there when it is the one."""
        with self._lock:
            self._reached[name] += 1
            if self.log:
                with open(self.log, "a") as log:
                    log.write(f"{name}:{self._reached[name]}\n")
            if (name, self._reached[name]) == (self.name, self.occurrence):
                os.kill(os.getpid(), self.signal)
                if self.signal is signal.SIGKILL:
                    signal.pause()  # the signal may take a moment, and nothing may happen in it


def arm(environment: Mapping[str, str]) -> None:
    """Set or clear the trap that *environment* asks for."""
    global trap
    point, log = environment.get(POINT, ""), environment.get(LOG, "")
    trap = Trap(point, log) if point or log else None


trap: Trap | None = None
arm(os.environ)
