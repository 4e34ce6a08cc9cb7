"""Recovery: sessions whose process is gone are brought to an end, or to where a person or another process goes on.

`recover` goes through the sessions that are open or being rolled back and whose owner lives no more. Of each it becomes
the owner, finds out about the calls in doubt, and then does what the session asked for when it began (`on_crash`): take
it back, keep it for a process that resumes it, or leave it to a person. A rollback that was interrupted is continued.
It may be interrupted itself, and run by several processes at once: a session has one owner.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentguard import leases
from agentguard.alerts import Alert
from agentguard.calls import CallState, Json
from agentguard.errors import AgentguardError, SessionBusy, SessionLost
from agentguard.gatekeeping import gatekeeper_for
from agentguard.ledger import Ledger, locate
from agentguard.ledger.rows import CallRow, SessionRow, SessionState
from agentguard.report import Report
from agentguard.session import Session

log = logging.getLogger("agentguard")
CAUSE = "its process has ended without finishing it"


@dataclass(frozen=True, slots=True)
class Recovered:
    """What became of one session."""

    session: str
    agent: str
    intent: str
    state: SessionState
    report: Report | None = None
    """What its rollback came to, where it was rolled back."""
    in_doubt: list[CallRow] = field(default_factory=list)
    """The calls of which nobody knows whether they happened, where it was not."""
    missing: dict[str, str] = field(default_factory=dict)
    """For each service without a client, why there is none."""
    failed: str = ""
    """Why the session was left as it was."""

    @property
    def ok(self) -> bool:
        """Whether nothing of it needs a person."""
        return not (self.failed or self.in_doubt) and (self.report is None or self.report.ok)

    def to_dict(self) -> dict[str, Json]:
        """The same as JSON."""
        return {
            "session": self.session,
            "agent": self.agent,
            "intent": self.intent,
            "state": self.state.value,
            "ok": self.ok,
            "report": self.report.to_dict() if self.report else None,
            "in_doubt": [f"{call.session}/{call.seq}" for call in self.in_doubt],
            "missing": self.missing,
            "failed": self.failed or None,
        }


def recover(
    *,
    ledger: str | Path | Ledger | None = None,
    clients: Mapping[str, Any] | Callable[[str], Any] | None = None,
    on_alert: Callable[[Alert], object] | None = None,
    concurrency: int = 1,
) -> list[Recovered]:
    """Recover every session whose process is gone; return what became of each, oldest first.

    *clients* are plain clients by connector name, or a function that makes one for a name; by default they are made as
    for `agentguard rollback`. A session with a service for which there is none is recovered as far as it can be. Raises
    LedgerError where the ledger cannot be read.
    """
    store = locate(ledger)
    found = []
    for row in store.unfinished():
        if leases.lives(row.owner, row.lease_until):
            continue
        try:
            result = _recover(row, store, clients, on_alert, concurrency)
        except (SessionBusy, SessionLost):
            continue  # another process is at it
        except Exception as error:
            if not isinstance(error, AgentguardError):
                log.exception("agentguard: session %s could not be recovered", row.id)
            log.warning("agentguard: session %s could not be recovered: %s", row.id, error)
            result = Recovered(row.id, row.agent, row.intent, store.session(row.id).state, failed=str(error))
        found.append(result)
    return found


def _recover(
    row: SessionRow,
    store: Ledger,
    clients: Mapping[str, Any] | Callable[[str], Any] | None,
    on_alert: Callable[[Alert], object] | None,
    concurrency: int,
) -> Recovered:
    row.owner = None  # this process has a name of its own
    session = Session(row, store, on_alert=on_alert, gatekeeper=gatekeeper_for(None, None))
    session.adopt()
    calls: list[CallRow] = []
    report = None
    try:
        missing = _provide(session, clients)
        if session.state is SessionState.ROLLING_BACK or row.on_crash == "rollback":
            report = session.rollback(cause=row.cause or CAUSE, concurrency=concurrency)
        else:
            calls = session.settle()
            session.enter(SessionState.INTERRUPTED, CAUSE)
    finally:
        session.ownership.release()
    return Recovered(row.id, row.agent, row.intent, session.state, report, calls, missing)


def _provide(session: Session, clients: Mapping[str, Any] | Callable[[str], Any] | None) -> dict[str, str]:
    """Give the session a client for each of its services; return why there is none, for those that have none."""
    from agentguard.config import client_for, import_actions

    missing: dict[str, str] = {}
    for name in dict.fromkeys(call.connector for call in session.calls if not _over(call)):
        try:
            if name == "action":
                import_actions()
            elif isinstance(clients, Mapping):
                session.use(clients[name], name)
            else:
                session.use((clients or client_for)(name), name)
        except KeyError:
            missing[name] = "no client was given for it"
        except Exception as error:  # noqa: BLE001 - the factory is the program's own; the other services go on
            missing[name] = str(error)
    return missing


def _over(call: CallRow) -> bool:
    return call.state in (CallState.REFUSED, CallState.NOT_APPLIED)
