"""What may happen to a call before it is sent: it goes, a person is asked, it is held back, or it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

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

    def passing(self, charge: Charge, then: Verdict, used: float) -> Ruling:
        """The ruling where *charge* would pass its limit, of which *used* is used up."""
        worst = max(self.verdict, then, key=list(Verdict).index)
        waived = tuple(replace(c, waived=True) if c.name == charge.name else c for c in self.charges)
        why = f"it would pass the limit of {charge.label}: {used:g} of {charge.most:g} are used"
        return replace(self, verdict=worst, rule=f"limit {charge.label}", reason=why, charges=waived)


def by_risk(risk: Risk) -> Ruling:
    """The ruling where no rule says anything: what is of low or medium risk goes, a person is asked about the rest."""
    if risk >= Risk.HIGH:
        return Ruling(Verdict.ASK, risk, "default by risk", f"it is of {risk} risk")
    return Ruling(Verdict.ALLOW, risk, "default by risk", f"it is of {risk} risk")
