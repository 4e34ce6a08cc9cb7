"""Points at which a test kills this process: before and after each step of a flow. They do nothing unless armed.

`AGENTGUARD_FAILPOINT=before_send:2` kills with SIGKILL when `before_send` is reached for the second time.
`AGENTGUARD_FAILPOINT_LOG=path` appends the name of each point that is reached to a file, for counting.
"""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Mapping

POINT, LOG = "AGENTGUARD_FAILPOINT", "AGENTGUARD_FAILPOINT_LOG"


class Trap:
    """What is armed: the point that kills, the file that counts, or both."""

    def __init__(self, point: str, log: str) -> None:
        name, _, occurrence = point.partition(":")
        self.name, self.occurrence = name, int(occurrence or 1)
        self.log = log
        self._reached: Counter[str] = Counter()
        self._lock = threading.Lock()

    def reach(self, name: str) -> None:
        """Count that *name* is reached, and die there when it is the one."""
        with self._lock:
            self._reached[name] += 1
            if self.log:
                with open(self.log, "a") as log:
                    log.write(f"{name}:{self._reached[name]}\n")
            if (name, self._reached[name]) == (self.name, self.occurrence):
                os.kill(os.getpid(), signal.SIGKILL)
                signal.pause()  # the signal may take a moment, and nothing may happen in it


def arm(environment: Mapping[str, str]) -> None:
    """Set or clear the trap that *environment* asks for."""
    global trap
    point, log = environment.get(POINT, ""), environment.get(LOG, "")
    trap = Trap(point, log) if point or log else None


trap: Trap | None = None
arm(os.environ)
