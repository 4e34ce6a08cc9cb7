"""Policies: what agents may do, written down as data.

`load_policy` reads one from a file, `Policy(rules=[Rule(...)])` makes one in Python, and `Policy.decide` says what is
to become of a call: allow, ask, hold or refuse. See docs/policy.md.
"""

from __future__ import annotations

from agentguard.policy.deciding import DEFAULT, Policy
from agentguard.policy.loading import load_policy
from agentguard.policy.model import Compensation, Decision, Reading, Subject, Untold, Used
from agentguard.policy.rules import AmountAbove, Condition, Limit, Rule
from agentguard.policy.settings import Approvals, Audit, Duration, Recovery, Unwind
from agentguard.rulings import Verdict

__all__ = [
    "DEFAULT",
    "AmountAbove",
    "Approvals",
    "Audit",
    "Compensation",
    "Condition",
    "Decision",
    "Duration",
    "Limit",
    "Policy",
    "Reading",
    "Recovery",
    "Rule",
    "Subject",
    "Untold",
    "Unwind",
    "Used",
    "Verdict",
    "load_policy",
]
