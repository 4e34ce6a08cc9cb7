"""What a session lets pass: its policy, who is asked, and the terms on which people approve."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from agentguard.flow import Approver
from agentguard.rulings import Ruling, by_risk

if TYPE_CHECKING:
    from agentguard.asking import Terms
    from agentguard.connector import Connector
    from agentguard.ledger.rows import CallRow
    from agentguard.policy import Policy
    from agentguard.unwinding import Pace
    from agentguard.work import Context, Work

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
        from agentguard.judging import by_policy

        return by_policy(self.policy, work, row)

    def pace(
        self,
        concurrency: int | None,
        timeout: float | None,
        on_failure: Literal["continue", "stop"] | None,
        agreed: bool,
        plan: str | None,
    ) -> Pace:
        """How a rollback goes about it: as asked for, else as the policy says."""
        from agentguard.unwinding import Pace

        usual = self.policy.unwind if self.policy is not None else None
        stops = (on_failure or (usual.on_failure if usual else "continue")) == "stop"
        return Pace(
            concurrency or (usual.concurrency if usual else 1),
            timeout if timeout is not None or usual is None else usual.timeout,
            on_failure if on_failure not in (None, "continue", "stop") else "stop" if stops else "continue",
            agreed,
            plan,
        )

    def keeps(self, what: Literal["intent", "snapshots"]) -> bool:
        """Whether the ledger keeps the agent's reasons, or the states before calls, for people to see."""
        return self.policy is None or bool(getattr(self.policy.audit, what))

    def judge_undo(self, context: Context, connector: Connector, row: CallRow) -> Ruling:
        """The same for an undo."""
        if self.policy is None:
            return by_risk(row.risk)
        from agentguard.judging import undo_by_policy

        return undo_by_policy(self.policy, context, connector, row)


def gatekeeper_for(
    policy: Policy | str | Path | None, approver: Approver | Literal["terminal", "wait", "later"] | None
) -> Gatekeeper:
    """What a new session lets pass. Raises ConfigError where its policy cannot be used."""
    from agentguard.config import approval_terms, load_config

    if policy is None and load_config().has_policy:
        policy = load_config().path
    if isinstance(policy, str | Path):
        from agentguard.policy import load_policy

        policy = load_policy(policy)
    asks: Asks | None = approver if approver == "wait" or approver == "later" else None
    terms = approval_terms()
    if policy is not None and policy.source and policy.source != str(load_config().path):
        from agentguard.asking import Terms

        own = policy.approvals  # a file of its own says for itself who may approve
        terms = Terms(float(own.expires), dict(own.keys), own.must_differ, own.approvers)
    return Gatekeeper(policy, terms, asks)
