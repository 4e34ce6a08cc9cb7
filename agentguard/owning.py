"""Whether this process owns a session, and how it comes to (see leases.py)."""

from __future__ import annotations

import threading

from agentguard import leases
from agentguard.errors import SessionBusy, SessionLost
from agentguard.ledger import Ledger
from agentguard.ledger.rows import SessionRow
from agentguard.ledger.sqlite import lost


class Ownership:
    """One session as this process owns it, or does not."""

    def __init__(self, ledger: Ledger, session: str, owner: str | None) -> None:
        self.ledger = ledger
        self.session = session
        self.owner = owner or leases.new_owner()
        self.lease: leases.Lease | None = None
        """None where this process does not own the session."""
        self.earlier: str | None = None
        """The owner from whom this process took the session."""
        self.rolling = False
        """Whether this process rolls the session back now."""
        self._lock = threading.RLock()

    @property
    def token(self) -> int:
        """By which this process writes for the session; 0 where it does not own it."""
        return self.lease.token if self.lease else 0

    @property
    def holds(self) -> bool:
        """Whether this process owns the session, as far as it knows."""
        return self.lease is not None and not self.lease.lost

    def started(self, row: SessionRow, seconds: float) -> None:
        """Keep the lease that the session was put on record with."""
        self._keep(leases.Lease(self.ledger, self.session, row.token, row.lease_until, seconds))

    def claim(self, *, steal: bool = False, reopen: bool = False) -> SessionRow:
        """Become the owner; return the session as it was found. Raises SessionBusy where another one lives.

        *steal* and *reopen* as for `Ledger.claim`.
        """
        seconds = leases.lease_seconds()
        until = leases.now() + seconds
        row = self.ledger.claim(self.session, self.owner, until, steal=steal, reopen=reopen)
        self._keep(leases.Lease(self.ledger, self.session, row.token + 1, until, seconds))
        self.earlier = row.owner
        return row

    def check(self) -> None:
        """Raise SessionLost unless a send may start now for this session in this process."""
        if self.lease is None or not self.lease.holds():
            raise SessionLost(lost(self.session))

    def seen(self, token: int, asked: float) -> None:
        """Note that the ledger has said, asked at the time *asked*, that *token* is the owner's."""
        if self.lease is not None and self.lease.token == token:
            self.lease.seen = max(self.lease.seen, asked)

    def begin_rollback(self, *, steal: bool) -> SessionRow | None:
        """Become the only one who rolls the session back. Raises SessionBusy where another process or thread does.

        Returns the session as it was found, where this process did not own it before.
        """
        with self._lock:
            if self.rolling:
                raise SessionBusy(
                    f"session {self.session} is being rolled back by another thread. Nothing was taken back here. "
                    "Look at it with `agentguard show` and ask again when that is done."
                )
            found = None
            if self.lease is None or not self.lease.renew():
                found = self.claim(steal=steal)
            self.rolling = True
            return found

    def end_rollback(self, *, keep: bool) -> None:
        """Let others have the session, unless it is to *keep*: it goes on in this process."""
        with self._lock:
            self.rolling = False
            if not keep:
                self.release()

    def release(self) -> None:
        """Let others have the session at once."""
        if self.lease is not None:
            self.ledger.release(self.session, self.lease.token)
            self.forget()

    def forget(self) -> None:
        """Own the session no more: the ledger says so already."""
        if self.lease is not None:
            leases.heart.forget(self.lease)
            self.lease = None

    def _keep(self, lease: leases.Lease) -> None:
        self.forget()
        self.lease = lease
        leases.heart.watch(lease)
