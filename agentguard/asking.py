"""Having a person agree to one exact call.

A decision is bound to the SHA-256 of the call (connector, account, operation, target, arguments) and of the policy that
it was judged by. It is used once, in the transaction that puts the call's intent on record, and it expires. A request
that nobody answered has expired, which is not a denial, and is said so. Where the program names keys that may approve
(`[approvals] keys`), only a decision with a signature by one of them counts; otherwise decisions are unsigned and are
called so: whoever can write to the ledger's file could make one up.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import time
from dataclasses import asdict, dataclass, field, replace

from agentguard.calls import Json
from agentguard.errors import (
    AgentguardError,
    ApprovalDenied,
    ApprovalExpired,
    ApprovalInvalid,
    ApprovalPending,
    ApprovalRequired,
    SessionClosed,
)
from agentguard.flow import Ask, Commit, Flow, Pause
from agentguard.ledger.chain import canonical
from agentguard.ledger.rows import ApprovalRow, ApprovalState, CallRow
from agentguard.report import Card
from agentguard.work import Context

log = logging.getLogger("agentguard")

POLL_SECONDS = 0.25
EXPIRES_AFTER = 3600.0


@dataclass(frozen=True, slots=True)
class Terms:
    """Who may approve, and for how long a request stands."""

    expires: float = EXPIRES_AFTER
    """Seconds."""
    keys: dict[str, str] = field(default_factory=dict)
    """Public keys by the name of who approves with them: `ed25519:BASE64`. Empty: decisions need no signature."""
    must_differ: bool = True
    """Whether the one who approves must be another than the session's agent and user."""
    approvers: tuple[str, ...] = ()
    """Who may approve, by name; nobody named means anybody."""


def approval_digest(row: CallRow, arguments: Json, policy: str) -> str:
    """SHA-256 over what an approval is bound to. Secrets are masked, as they are in the ledger."""
    call = [row.connector, row.base, row.name, row.target, arguments, policy]
    return hashlib.sha256(canonical(call)).hexdigest()


def obtain(
    context: Context, row: CallRow, card: Card, digest: str, policy: str, *, for_undo: bool = False
) -> Flow[str | None]:
    """Have a person agree; return the approval's name, None where a function of the program or the terminal said yes.

    Raises ApprovalDenied, ApprovalExpired, ApprovalPending and ApprovalRequired: whatever is not a clear yes.
    """
    people = context.ledger.people
    known = [
        a for a in people.approvals(session=context.id) if a.digest == digest and a.state is ApprovalState.APPROVED
    ]
    void = []
    for approval in known:
        if approval.expires_at > time.time():
            try:
                check(context, approval, digest)
            except ApprovalInvalid as error:
                log.warning("agentguard: %s It is asked again.", error)
                void.append(approval.id)
            else:
                return approval.id
    if context.gatekeeper.asks is None:
        yield from asked_here(row, card)
        return None
    expires = time.time() + context.gatekeeper.terms.expires
    card = replace(card, id=f"ap-{secrets.token_hex(6)}", digest=digest, expires_at=expires)
    request = ApprovalRow(
        id=card.id,
        session=context.id,
        digest=digest,
        operation=row.operation,
        target=row.target,
        account=row.base,
        card=json.loads(json.dumps(asdict(card), default=str)),
        policy=policy,
        requested_at=time.time(),
        expires_at=expires,
    )
    request = yield Commit("approval", lambda: people.ask(request, void))
    what = f"{row.operation} on {row.target}"
    if context.gatekeeper.asks == "later":
        raise ApprovalPending(
            f"{what} has to be approved, and a person was asked. Nothing was sent. Once `agentguard approve "
            f"{request.id}` was run, make the same call again, in this session or in one that resumes it.",
            request.id,
        )
    while request.state is ApprovalState.PENDING:
        if request.expires_at <= time.time():
            raise ApprovalExpired(
                f"nobody answered in time whether {what} may be sent (request {request.id}); that is no denial. "
                "Nothing was sent. Make the call again to ask again."
            )
        yield Pause(POLL_SECONDS)
        context.check_owner()
        if context.taking_back and not for_undo:
            raise SessionClosed(
                f"session {context.id} is being taken back, and {what} waits for an approval no longer. "
                "Nothing was sent."
            )
        request = people.approval(request.id)
    if request.state is ApprovalState.DENIED:
        raise ApprovalDenied(
            f"{what} was denied by {request.decided_by}"
            + (f": {request.why}" if request.why else "")
            + ". Nothing was "
            "sent."
        )
    check(context, request, digest)
    return request.id


def asked_here(row: CallRow, card: Card) -> Flow[None]:
    """Ask the program's own approver, or the terminal."""
    what = f"{row.operation} on {row.target}"
    try:
        said = yield Ask(card)
    except AgentguardError:
        raise
    except Exception as error:
        # Not as it is: SDKs take what they meet in their transport for a lost connection.
        raise ApprovalRequired(
            f"{what} has to be approved, and the approver failed: {type(error).__name__}: {error}. Nothing was sent. "
            "Try again when it works."
        ) from error
    if said is None:
        raise ApprovalRequired(
            f"{what} is of {row.risk} risk and has to be approved, and nobody was there to ask. Nothing was sent. Give "
            'the session an approver=: a function of the card, "terminal", "wait" or "later".'
        )
    if said is not True:
        raise ApprovalDenied(f"{what} was not approved. Nothing was sent.")


def check(context: Context, approval: ApprovalRow, digest: str) -> None:
    """Raise ApprovalInvalid unless *approval* is a decision that counts, for this call, by somebody who may make it."""
    terms = context.gatekeeper.terms
    wrong = ""
    if approval.state is not ApprovalState.APPROVED:
        wrong = f"it is {approval.state}"
    elif (approval.session, approval.digest) != (context.id, digest):
        wrong = "it is for another call"
    elif approval.expires_at <= time.time():
        wrong = "it has expired"
    elif terms.must_differ and approval.decided_by in (None, context.agent, context.user):
        wrong = f"{approval.decided_by or 'nobody'} is the agent or its user, who cannot approve their own calls"
    elif terms.approvers and approval.decided_by not in terms.approvers:
        wrong = f"{approval.decided_by} is not one of those who may approve"
    elif terms.keys:
        from agentguard.keys import signed_by

        if not signed_by(approval, terms.keys):
            wrong = "it has no signature by a key that may approve"
    elif not any(
        event.data.get("approval") == approval.id and event.data.get("digest") == digest
        for event in context.ledger.events(context.id, "approval approved")
    ):
        wrong = "nobody is on record as having decided it"
    if wrong:
        raise ApprovalInvalid(
            f"the approval {approval.id} of {approval.operation} on {approval.target} does not count: {wrong}. "
            "Nothing was sent."
        )
