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
    request = _waiting(ledger, name)
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
    _check_right(ledger, request, terms, approve=approve, by=by)
    decision = as_decided(request, approve=approve, by=by, why=Redactor().clean_text(why), at=time.time())
    if private is not None:
        from agentguard.keys import sign

        decision.key = by
        decision.signature = sign(decision, private)
    ledger.people.decide(decision)
    return decision


def decide_signed(
    ledger: Ledger, name: str, *, approve: bool, by: str, why: str, at: float, signature: str, terms: Terms
) -> ApprovalRow:
    """Put a decision about the request *name* on record that was signed elsewhere, *at* seconds since 1970.

    Raises ApprovalInvalid as `decide` does, and where *signature* is not over exactly this decision.
    """
    from agentguard.keys import signed_by

    request = _waiting(ledger, name)
    decision = as_decided(request, approve=approve, by=by, why=why, at=at)
    decision.key, decision.signature = by, signature
    if signed_by(decision, terms.keys) is None:
        raise ApprovalInvalid(
            f"the signature is not over this decision, by the key of {by} that may approve here. Nothing was decided. "
            "Sign it with the key that [approvals] keys in agentguard.toml names."
        )
    _check_right(ledger, request, terms, approve=approve, by=by)
    ledger.people.decide(decision)
    return decision


def as_decided(request: ApprovalRow, *, approve: bool, by: str, why: str, at: float) -> ApprovalRow:
    """*request* as it is once it is decided: what a key signs."""
    return msgspec.structs.replace(
        request,
        state=ApprovalState.APPROVED if approve else ApprovalState.DENIED,
        decided_at=at,
        decided_by=by,
        why=why or None,
    )


def _waiting(ledger: Ledger, name: str) -> ApprovalRow:
    request = ledger.people.approval(name)
    if standing(request) != ApprovalState.PENDING.value:
        raise ApprovalInvalid(
            f"the request {name} is {standing(request)} already. Nothing was decided. `agentguard approvals` lists "
            "what waits."
        )
    return request


def _check_right(ledger: Ledger, request: ApprovalRow, terms: Terms, *, approve: bool, by: str) -> None:
    """Anybody may say no. Raises ApprovalInvalid where *by* may not say yes."""
    if not approve:
        return
    session = ledger.session(request.session)
    if terms.approvers and by not in terms.approvers:
        raise ApprovalInvalid(f"{by} is not one of those who may approve here. Nothing was decided. Ask one of them.")
    if terms.must_differ and by in (session.agent, session.user):
        raise ApprovalInvalid(
            f"{by} is the agent or its user, who cannot approve their own calls. Nothing was decided. "
            "Ask somebody else."
        )
