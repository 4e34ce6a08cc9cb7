"""What a session lets pass: its policy, who is asked, and the terms on which people approve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from agentguard.rulings import Ruling, by_risk

if TYPE_CHECKING:
    from agentguard.asking import Terms
    from agentguard.ledger.rows import CallRow
    from agentguard.policy import Policy
    from agentguard.work import Work

Asks = Literal["wait", "later"]


@dataclass(slots=True)
class Gatekeeper:
    """Judges calls before they are sent."""

    policy: Policy | None
    terms: Terms
    asks: Asks | None = None
    """Whether a person is asked through the ledger, and waited for; None: here and now."""

    def judge(self, work: Work, row: CallRow) -> Ruling:
        """Decide what happens to a call before it is sent, and what it takes from limits."""
        if self.policy is None:
            return by_risk(row.risk)
        return self._by_policy(self.policy, work, row)

    def _by_policy(self, policy: Policy, work: Work, row: CallRow) -> Ruling:
        raise NotImplementedError
