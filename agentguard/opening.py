"""Starting a session, resuming one, and opening a recorded one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from agentguard import leases
from agentguard.alerts import Alert
from agentguard.approvals import resolve_approver
from agentguard.connector import Connector
from agentguard.errors import SessionExists, UsageError
from agentguard.flow import Approver
from agentguard.gatekeeping import Gatekeeper, gatekeeper_for
from agentguard.ledger import Ledger, locate
from agentguard.ledger.rows import SessionRow, new_session_id
from agentguard.redaction import Redactor
from agentguard.session import Session

if TYPE_CHECKING:
    from agentguard.policy import Policy

T = TypeVar("T")


def session(
    agent: str,
    intent: str,
    *,
    id: str | None = None,  # noqa: A002 - what it is called everywhere
    tenant: str | None = None,
    user: str | None = None,
    ledger: str | Path | Ledger | None = None,
    on_error: Literal["rollback", "leave"] = "rollback",
    on_crash: Literal["rollback", "resume", "leave"] | None = None,
    on_alert: Callable[[Alert], object] | None = None,
    approver: Approver | Literal["terminal", "wait", "later"] | None = None,
    policy: Policy | str | Path | None = None,
) -> Session:
    """Start a session: *agent* is who works, *intent* is what for, in words that a person will read.

    Use it with `with` or `async with`. Leaving the block normally completes the session; an exception rolls it back
    (unless *on_error* is "leave") and is raised again with the report as a note. *ledger* is a path or URL, by default
    that of AGENTGUARD_LEDGER, agentguard.toml or `.agentguard/ledger.db`.

    *policy* says which calls go, which a person is asked about, which are held and which refused: a `Policy`, the path
    of a file, or by default what agentguard.toml says; where that says nothing, calls of high or critical risk ask.
    *approver* is who is asked: a function of a `Card` that returns True or False, "terminal", "wait" (a request in the
    ledger, for `agentguard approve`, and the call waits for the decision) or "later" (the same, and the call raises
    ApprovalPending; make it again when it is approved). Without one such calls are stopped.

    *on_crash* says what `agentguard recover` does when this process is gone: take the session back (the default), keep
    it for a process that resumes it, or leave it to a person. *on_alert* is called with an `Alert` for every call that
    a rollback cannot take back.

    With the *id* of a session that is open and whose process is gone, it is resumed: calls that are on record return
    their recorded responses and are not made again, and `session.checkpointed` says where the earlier process was.
    Raises SessionBusy where that process lives, SessionClosed where the session is over.
    """
    if on_error not in ("rollback", "leave"):
        raise UsageError(f'on_error is "rollback" or "leave", not {on_error!r}. Nothing was started.')
    if on_crash not in ("rollback", "resume", "leave", None):
        raise UsageError(f'on_crash is "rollback", "resume" or "leave", not {on_crash!r}. Nothing was started.')
    redactor, gatekeeper = Redactor(), gatekeeper_for(policy, approver)
    asked = None if gatekeeper.asks else resolve_approver(approver)
    seconds = leases.lease_seconds()
    row = SessionRow(
        id=id or new_session_id(),
        agent=agent,
        intent=redactor.clean_text(intent),
        tenant=tenant,
        user=user,
        on_error=on_error,
        on_crash=on_crash or on_error,
        started_at=time.time(),
        owner=leases.new_owner(),
        token=1,
        lease_until=leases.now() + seconds,
    )
    store = locate(ledger)
    try:
        store.start_session(row)
    except SessionExists:
        return _resume(row, store, asked, redactor, on_alert, gatekeeper)
    started = Session(row, store, approver=asked, redactor=redactor, on_alert=on_alert, gatekeeper=gatekeeper)
    started.ownership.started(row, seconds)
    return started


def _resume(
    asked: SessionRow,
    store: Ledger,
    approver: Approver | None,
    redactor: Redactor,
    on_alert: Callable[[Alert], object] | None,
    gatekeeper: Gatekeeper,
) -> Session:
    known = store.session(asked.id)
    if known.agent != asked.agent:
        raise SessionExists(
            f"there is a session {asked.id!r} of the agent {known.agent!r} already. Nothing was started. Resume it as "
            "that agent, or leave id= out for a new name."
        )
    known.owner = asked.owner
    resumed = Session(known, store, approver=approver, redactor=redactor, on_alert=on_alert, gatekeeper=gatekeeper)
    resumed.resume()
    return resumed


def load(id: str, *, clients: Mapping[str, Any] | None = None, ledger: str | Path | Ledger | None = None) -> Session:  # noqa: A002 - as above
    """Open a recorded session, from any process, to look at it or to roll it back.

    *clients* are the plain clients that its undos use, by connector name. Raises NoSuchSession.
    """
    store = locate(ledger)
    row = store.session(id)
    row.owner = None  # an owner of its own, once it takes the session
    loaded = Session(row, store, gatekeeper=gatekeeper_for(None, None))
    for connector, client in (clients or {}).items():
        loaded.use(client, connector)
    return loaded


def wrap(client: T, session: Session, connector: str | Connector | None = None) -> T:
    """Return a guarded twin of *client* for *session*, through the connector of that name; see `Session.wrap`."""
    if not isinstance(session, Session):
        raise UsageError(f"wrap(client, session) needs a session, not a {type(session).__name__}. Nothing was wrapped.")
    return session.wrap(client, connector)
