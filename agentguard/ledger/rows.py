"""What the ledger holds: sessions, their calls, the undos of a call, and the events that led there."""

from __future__ import annotations

import secrets
import time
from enum import StrEnum

import msgspec

from agentguard.calls import CallState, Effect, Json, Outcome, Risk


class SessionState(StrEnum):
    """Where a session stands."""

    OPEN = "open"
    INTERRUPTED = "interrupted"  # its owner is gone; it waits to be resumed, or for a person
    COMPLETED = "completed"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"  # everything in it was taken back
    PARTIAL = "partial"  # a rollback ended with something that could not be taken back


class UndoState(StrEnum):
    """Where an undo stands. What it came to is its outcome."""

    PLANNED = "planned"
    SENDING = "sending"  # durable, and perhaps sent
    DONE = "done"


class SessionRow(msgspec.Struct, kw_only=True):
    """One session. Times are seconds since 1970, UTC."""

    id: str
    agent: str
    intent: str
    tenant: str | None = None
    user: str | None = None
    on_error: str = "rollback"
    on_crash: str = "rollback"
    """What recovery does when the owner is gone: "rollback", "resume" (wait for it to go on) or "leave"."""
    state: SessionState = SessionState.OPEN
    cause: str | None = None
    """What made it roll back: the exception, or who asked."""
    started_at: float = 0.0
    ended_at: float | None = None
    owner: str | None = None
    """Who may send for this session (see leases.py); None: nobody does at the moment."""
    token: int = 0
    """Counts the owners. What an earlier one still wants to write is refused."""
    lease_until: float = 0.0
    """Until when the owner need not be asked whether it lives, by the clock of leases.py."""
    purged_at: float | None = None
    """When its payloads were taken away; it cannot be rolled back since."""


class CallRow(msgspec.Struct, kw_only=True):
    """One recorded call: what was asked, why, what the state was before, and what came of it."""

    session: str
    seq: int = 0
    connector: str
    base: str
    """The URL of the service that it went to, and after a `#` whose account; an undo goes nowhere else."""
    name: str
    """The operation without the service in front."""
    method: str = ""
    """The SDK's own name for what was called, for people."""
    target: str = ""
    arguments: dict[str, Json] = msgspec.field(default_factory=dict)
    effect: Effect = Effect.IRREVERSIBLE
    risk: Risk = Risk.HIGH
    state: CallState = CallState.INTENT
    reason: str | None = None
    confidence: float | None = None
    digest: str = ""
    """SHA-256 of the canonical call, secrets masked."""
    ordinal: int = 0
    """How many equal calls of this session were settled before it; part of the idempotency key."""
    key: str | None = None
    """The idempotency key that it was sent with, where the service has one."""
    mark: str | None = None
    """What the handler has put into the request to know the effect by."""
    once: str | None = None
    """The program's own name for this call within the session, where it gave one."""
    token: int = 0
    """The owner that made it, as `SessionRow.token` counts them."""
    snapshots: list[Json] = msgspec.field(default_factory=list)
    """What the handler read before the call, in order."""
    status: int | None = None
    answer: Json = None
    response: Json = None
    """The response as the SDK gets it again when the call is repeated by a resumed session (see replay.py)."""
    error: str | None = None
    """What went wrong, or why there is no way back."""
    resolution: Json = None
    """What a person has decided about it: `{"action", "by", "note", "at"}`."""
    rule: str | None = None
    """Which rule of the policy has decided that it may go, or must not."""
    approval: str | None = None
    """The approval that it was sent under."""
    verified: str | None = None
    """"ok" where it was read back as the call left it, else what was different; None where nobody looked."""
    created_at: float = 0.0
    settled_at: float | None = None
    asked: int | None = None
    """The event that put it on record as about to be sent."""
    told: int | None = None
    """The event that it happened."""

    @property
    def operation(self) -> str:
        """The operation with the service in front: `github.issues.create`."""
        return f"{self.connector}.{self.name}"


class UndoRow(msgspec.Struct, kw_only=True):
    """One way back, and what became of it."""

    session: str
    seq: int = 0
    n: int = 0
    name: str
    """The operation; empty where the row says that there is no way back, or that none is needed."""
    arguments: dict[str, Json] = msgspec.field(default_factory=dict)
    look: dict[str, Json] | None = None
    """How to see the thing: `{"operation", "arguments", "view"}`."""
    left: Json = None
    back: Json = None
    same_shape: bool = False
    remains: str = ""
    state: UndoState = UndoState.PLANNED
    attempt: int = 0
    """How many times the service has refused it. Part of its idempotency key: services repeat what they refused."""
    outcome: Outcome | None = None
    detail: str = ""
    found: Json = None
    """What the last look showed."""
    updated_at: float | None = None
    resolution: Json = None
    """What a person has decided about it, as `CallRow.resolution`."""


class ApprovalState(StrEnum):
    """Where a request for approval stands. Whether it has expired is a matter of the clock."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    CONSUMED = "consumed"  # the call was sent under it; it can be used no more


class ApprovalRow(msgspec.Struct, kw_only=True):
    """A request that a person agree to one exact call, and what was decided."""

    id: str
    session: str
    digest: str
    """SHA-256 of the exact call, its account and the policy it was judged by (see approvals.py)."""
    operation: str
    target: str
    account: str
    card: dict[str, Json] = msgspec.field(default_factory=dict)
    """What the person is shown."""
    policy: str = ""
    state: ApprovalState = ApprovalState.PENDING
    requested_at: float = 0.0
    expires_at: float = 0.0
    decided_at: float | None = None
    decided_by: str | None = None
    why: str | None = None
    key: str | None = None
    """The name of the key that the decision is signed with; None where it is not signed."""
    signature: str | None = None
    seq: int | None = None
    """The call that was sent under it."""


class FreezeRow(msgspec.Struct, kw_only=True):
    """Who has stopped a session, or all of them."""

    scope: str
    """A session, or `*`."""
    by: str
    why: str
    at: float


class EventRow(msgspec.Struct, kw_only=True):
    """One thing that happened, in the order of `id`. Never changed or removed."""

    id: int = 0
    session: str
    seq: int | None = None
    n: int | None = None
    kind: str
    at: float
    data: dict[str, Json] = msgspec.field(default_factory=dict)


def new_session_id() -> str:
    """A new session name: time first (milliseconds, base 32), so that keys are in time order, then 60 random bits."""
    number = (int(time.time() * 1000) << 60) | secrets.randbits(60)
    digits = "0123456789abcdefghjkmnpqrstvwxyz"
    return "".join(digits[(number >> shift) & 31] for shift in range(100, -1, -5))
