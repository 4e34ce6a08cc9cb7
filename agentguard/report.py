"""What people are shown: the card of a call that waits for a yes, and the report of a rollback."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field

from agentguard.calls import Effect, Json, Outcome, Risk

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
class Card:
    """A call as the person who has to agree to it sees it. Secrets are redacted; nothing was sent yet."""

    operation: str
    target: str
    account: str
    arguments: dict[str, Json]
    effect: Effect
    risk: Risk
    summary: str
    before: list[Json]
    undo: str
    agent: str
    intent: str
    reason: str | None = None

    def __str__(self) -> str:
        lines = [
            f"{self.operation}  {self.target}",
            f"  at        {self.account}",
            f"  risk      {self.risk}, {self.effect}",
            f"  what      {self.summary}",
            f"  undo      {self.undo}",
            *(f"  {name:<9} {_brief(value)}" for name, value in self.arguments.items()),
            *(f"  before    {_brief(snapshot)}" for snapshot in self.before),
            f"  agent     {visible(self.agent)}",
            f"  says      {visible(self.reason or self.intent)} (the agent's own words, not checked)",
        ]
        return "\n".join(lines)


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


def visible(text: str) -> str:
    """Return *text* with control and formatting characters escaped, so that it cannot move a terminal's cursor."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _brief(value: Json) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = visible(text)
    return text if len(text) <= 200 else f"{text[:120]} … ({len(text)} characters) … {text[-40:]}"
