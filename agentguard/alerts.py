"""What a program is told when a call cannot be taken back."""

from __future__ import annotations

from dataclasses import dataclass

from agentguard.report import CallOutcome


@dataclass(frozen=True, slots=True)
class Alert:
    """One call that a rollback could not take back. A person has to see to it."""

    session: str
    agent: str
    intent: str
    result: CallOutcome

    def __str__(self) -> str:
        told = f"{self.result.operation} {self.result.target}: {self.result.outcome.replace('_', ' ')}"
        return f"session {self.session} of {self.agent}: {told} ({self.result.detail})"
