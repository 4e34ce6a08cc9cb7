"""Who rolls a session back: one holder at a time, among all threads and processes of a machine.

The hold is an `flock` on a file beside the database, because the system lets go of it when its holder dies.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable
from pathlib import Path


def hold(beside: Path, session: str) -> Callable[[], None] | None:
    """Become the holder of *session*; return what lets go of it, or None where there is another holder."""
    path = Path(f"{beside}.{hashlib.sha256(session.encode()).hexdigest()[:16]}.rollback")
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return None
        except BaseException:
            os.close(file)
            raise
        if _is_at(file, path):
            break
        os.close(file)  # its last holder has removed it between the two lines

    def let_go() -> None:
        path.unlink(missing_ok=True)
        fcntl.flock(file, fcntl.LOCK_UN)  # also for a child that was forked meanwhile
        os.close(file)

    return let_go


def _is_at(file: int, path: Path) -> bool:
    """Whether *path* still names the open *file*."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False
