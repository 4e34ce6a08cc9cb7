"""What an approver does: see a request, and approve or deny it, with a signature where there is a key."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from agentguard.asking import Terms
from agentguard.errors import ApprovalInvalid, UsageError
from agentguard.ledger import Ledger
from agentguard.ledger.rows import ApprovalRow, ApprovalState
from agentguard.redaction import Redactor
from agentguard.report import Card


def standing(request: ApprovalRow) -> str:
    """Where a request stands, in a word; expired is not denied."""
    waits = request.state in (ApprovalState.PENDING, ApprovalState.APPROVED)
    return "expired" if waits and request.expires_at <= time.time() else request.state.value


def card_of_request(request: ApprovalRow) -> Card:
    """The card that the one who decides is shown, as it was made from the exact call."""
    return msgspec.convert(request.card, Card, strict=False)


def decide(
    ledger: Ledger,
    name: str,
    *,
    approve: bool,
    by: str | None = None,
    why: str = "",
    key: Path | None = None,
    terms: Terms | None = None,
) -> ApprovalRow:
    """Approve or deny the request *name*; return it as it is then.

    With *key*, the file of a private key, the decision is signed, and *by* is the owner that the configuration names
    for it. Raises ApprovalInvalid where the request does not wait any more, or *by* may not decide about it, and
    UsageError where the configuration asks for a signature and there is none.
    """
    terms = terms or Terms()
    request = ledger.people.approval(name)
    if standing(request) != ApprovalState.PENDING.value:
        raise ApprovalInvalid(
            f"the request {name} is {standing(request)} already. Nothing was decided. `agentguard approvals` lists "
            "what waits."
        )
    private = None
    if key is not None:
        from agentguard.keys import load_key, public_of

        private = load_key(key)
        public = public_of(private)
        owner = next((owner for owner, known in terms.keys.items() if known == public), None)
        if terms.keys and owner is None:
            raise UsageError(
                f"{key} is not a key that may approve here. Nothing was decided. Put its public part under [approvals] "
                f'keys in agentguard.toml: NAME = "{public}".'
            )
        by = owner or by
    elif terms.keys:
        raise UsageError(
            "decisions have to be signed here ([approvals] keys in agentguard.toml). Nothing was decided. Name your "
            "key with --key or AGENTGUARD_KEY."
        )
    if not by:
        raise UsageError("it has to be said who decides. Nothing was decided. Use --by, or a key.")
    session = ledger.session(request.session)
    if approve and terms.approvers and by not in terms.approvers:
        raise ApprovalInvalid(f"{by} is not one of those who may approve here. Nothing was decided. Ask one of them.")
    if approve and terms.must_differ and by in (session.agent, session.user):
        raise ApprovalInvalid(
            f"{by} is the agent or its user, who cannot approve their own calls. Nothing was decided. "
            "Ask somebody else."
        )
    decision = msgspec.structs.replace(
        request,
        state=ApprovalState.APPROVED if approve else ApprovalState.DENIED,
        decided_at=time.time(),
        decided_by=by,
        why=Redactor().clean_text(why) or None,
    )
    if private is not None:
        from agentguard.keys import sign

        decision.key = by
        decision.signature = sign(decision, private)
    ledger.people.decide(decision)
    return decision
