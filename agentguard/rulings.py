"""What may happen to a call before it is sent: it goes, a person is asked, it is held back, or it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

from agentguard.calls import Risk
from agentguard.ledger.people import Charge


class Verdict(StrEnum):
    """What happens to a call."""

    ALLOW = "allow"
    ASK = "ask"
    HOLD = "hold"  # it is sent when the session completes, and never where it is rolled back
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What was decided about one call, by which rule, and why."""

    verdict: Verdict
    risk: Risk
    rule: str
    reason: str
    verify: bool = False
    """Whether to read back after the call, and to stop the session where that shows something else."""
    policy: str = ""
    """The version of the policy, which is part of what an approval is bound to."""
    charges: Sequence[Charge] = field(default_factory=tuple)
    """What the call takes from the limits that apply to it."""
    undoable: bool = True
    """Whether the call may be taken back; where not, a rollback says so."""


@cache
def by_risk(risk: Risk) -> Ruling:
    """The ruling where no rule says anything: what is of low or medium risk goes, a person is asked about the rest."""
    if risk >= Risk.HIGH:
        return Ruling(Verdict.ASK, risk, "default by risk", f"it is of {risk} risk")
    return Ruling(Verdict.ALLOW, risk, "default by risk", f"it is of {risk} risk")
