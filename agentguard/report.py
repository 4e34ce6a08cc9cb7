"""The report of a rollback: what it came to for each call."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field

from agentguard.calls import Json, Outcome
from agentguard.cards import Card, visible

__all__ = ["CallOutcome", "Card", "Report", "visible"]

_WORDS = {
    Outcome.RESTORED: "restored",
    Outcome.COMPENSATED: "compensated",
    Outcome.ALREADY_UNDONE: "already undone",
    Outcome.CONFLICT: "CONFLICT",
    Outcome.IN_DOUBT: "IN DOUBT",
    Outcome.FAILED: "FAILED",
    Outcome.IRREVERSIBLE: "IRREVERSIBLE",
}


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """What a rollback came to for one call."""

    seq: int
    operation: str
    target: str
    outcome: Outcome
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What a rollback did, newest call first."""

    session: str
    outcomes: list[CallOutcome] = field(default_factory=list)
    to: str | None = None

    @property
    def ok(self) -> bool:
        """Whether every call was restored, compensated or undone already."""
        return all(result.outcome.ok for result in self.outcomes)

    def __str__(self) -> str:
        where = f" to savepoint {self.to}" if self.to else ""
        if not self.outcomes:
            return f"session {self.session}{where}: nothing to take back"
        counts = Counter(_WORDS[result.outcome] for result in self.outcomes)
        summary = ", ".join(f"{count} {word}" for word, count in counts.items())
        state = "taken back" if self.ok else "NOT everything could be taken back"
        lines = [f"session {self.session}{where}: {state} ({summary})"]
        for result in self.outcomes:
            lines.append(f"  {_WORDS[result.outcome]:<14} {result.operation}  {visible(result.target)}")
            if result.detail:
                lines.append(f"  {'':<14} {visible(result.detail)}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Json]:
        """The report as JSON."""
        outcomes = [{**asdict(result), "outcome": result.outcome.value} for result in self.outcomes]
        return {"session": self.session, "ok": self.ok, "to": self.to, "outcomes": outcomes}
