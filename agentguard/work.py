"""One call on its way through the engine, and what the engine needs to know of the session that it belongs to."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from agentguard.calls import Call, Json, NoUndo, Undo
from agentguard.connector import Connector
from agentguard.flow import Border, Flow
from agentguard.ledger import Ledger
from agentguard.ledger.chain import canonical
from agentguard.ledger.people import Permit
from agentguard.ledger.rows import CallRow, UndoRow
from agentguard.operations import Operation
from agentguard.redaction import Redactor

if TYPE_CHECKING:
    from agentguard.gatekeeping import Gatekeeper
    from agentguard.replay import Once


class Context(Protocol):
    """What the engine needs to know of the session that a call belongs to."""

    id: str
    agent: str
    user: str | None
    intent: str
    ledger: Ledger
    redactor: Redactor
    gatekeeper: Gatekeeper

    @property
    def token(self) -> int:
        """By which this process may write for the session."""

    def hold(self, call: CallRow, arguments: dict[str, Json], border: Border, permit: Permit) -> CallRow:
        """Put a call with *arguments* on record that is sent when the session completes."""

    def check_owner(self) -> None:
        """Raise SessionLost unless a send may start now for this session in this process."""

    @property
    def taking_back(self) -> bool:
        """Whether this process rolls the session back now."""

    def on_record(self, work: Work) -> Flow[CallRow | None]:
        """Find the call that *work* makes again; None where it is a new one. Settles it where it is in doubt."""

    def why(self) -> tuple[str | None, float | None]:
        """The agent's reason and confidence at this moment."""

    def intend(self, call: CallRow, undos: list[UndoRow], keyed: bool, border: Border, permit: Permit) -> CallRow:
        """Put *call* on record before it is sent, and remember that it and its undos go through *border*."""


@dataclass
class Work:
    """One call on its way through the engine."""

    context: Context
    border: Border
    operation: Operation
    call: Call
    method: str = ""
    key: str | None = None
    """The caller's own idempotency key."""

    snapshots: list[Json] = field(default_factory=list)
    undos: list[Undo | NoUndo] = field(default_factory=list)
    changed: dict[str, Json] = field(default_factory=dict)
    """Arguments that the handler sends in place of the caller's."""
    gap: str | None = None
    """Why there is no way back although the operation has one."""
    undoable: bool = True
    """Whether the policy lets it be taken back."""
    mark: str | None = None
    """What the handler writes into the request, to know the effect by."""
    block: Once | None = None
    """The block with a name in which the program makes the call."""
    ahead: int = 0
    """How many calls of the same request come before it."""
    once: str | None = field(init=False)
    """The program's own name for the call. Of all calls of a request before the first is answered, which counts."""
    held: CallRow | None = None
    """The call on record, where it waits for the session's completion."""

    def __post_init__(self) -> None:
        self.once = self.block.named(self.ahead) if self.block else None

    def answered(self) -> None:
        """Count the call in its block: it has come to an answer that stands."""
        if self.block:
            self.block.done += 1

    @cached_property
    def redacted(self) -> dict[str, Json]:
        """The caller's arguments as the ledger may have them."""
        clean: dict[str, Json] = self.context.redactor.clean(self.call.arguments)
        return clean

    @cached_property
    def clean_arguments(self) -> Json:
        """The caller's arguments with their secrets masked: the same in every process."""
        return masked(self.redacted)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical call, by which an equal one is known."""
        return digest(self.connector.name, self.border.base, self.operation.name, self.clean_arguments)

    @property
    def connector(self) -> Connector:
        """Whose operation it is."""
        return self.border.connector


def masked(clean: Json) -> Json:
    """*clean* with one placeholder for all secrets, so that the digest of a weak one cannot be guessed."""
    if isinstance(clean, str):
        return _PLACEHOLDER.sub("[redacted]", clean) if "[redacted " in clean else clean
    if isinstance(clean, dict):
        return {masked(name): masked(item) for name, item in clean.items()}
    return [masked(item) for item in clean] if isinstance(clean, list) else clean


_PLACEHOLDER = re.compile(r"\[redacted [0-9a-f]+…?\]")


def digest(connector: str, base: str, operation: str, arguments: Json) -> str:
    """SHA-256 of the canonical call."""
    return hashlib.sha256(canonical([connector, base, operation, arguments])).hexdigest()
