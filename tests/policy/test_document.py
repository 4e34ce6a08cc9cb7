"""A policy by the names of tools, in camel case, as it stands: it loads, and does what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentguard.policy import Approvals, Audit, Compensation, Duration, Policy, Recovery, Unwind, load_policy
from agentguard.policy.operations import aliases, check
from agentguard.policy.rules import Rule
from agentguard.registry import connector
from tests.policy.conftest import subject

DOCUMENT = (
    '{"agentSafety": {"policies": {"github.delete_repository": {"risk": "CRITICAL", "approval": "MANUAL", '
    '"compensation": "NONE"}, "crm.update_contact": {"risk": "MEDIUM", "approval": "AUTO", "compensation": '
    '"SNAPSHOT"}, "email.send_notification": {"risk": "HIGH", "approval": "AUTO", "compensation": "CORRECTION"}, '
    '"slack.post_message": {"risk": "LOW", "approval": "AUTO", "compensation": "DELETE"}}, "unwind": {"strategy": '
    '"LIFO", "onCompensationFailure": "ALERT_AND_CONTINUE", "timeout": "30s"}, "audit": {"captureIntent": true, '
    '"captureSnapshot": true, "retention": "90d"}}}'
)


@pytest.fixture(params=["file", "object"])
def policy(request: pytest.FixtureRequest, tmp_path: Path) -> Policy:
    if request.param == "object":
        return load_policy(json.loads(DOCUMENT))
    path = tmp_path / "policy.json"
    path.write_text(DOCUMENT)
    return load_policy(path)


@pytest.mark.parametrize(
    ("operation", "arguments", "verdict", "risk", "rule", "compensation"),
    [
        ("github.repos.delete", {}, "ask", "critical", "github.delete_repository", "none"),
        ("hubspot.crm.objects.update", {"objectType": "contacts"}, "allow", "medium", "crm.update_contact", "snapshot"),
        ("hubspot.crm.objects.update", {"objectType": "0-1"}, "allow", "medium", "crm.update_contact", "snapshot"),
        (
            "hubspot.crm.objects.batch.update",
            {"objectType": "contacts"},
            "allow",
            "medium",
            "crm.update_contact",
            "snapshot",
        ),
        ("hubspot.crm.objects.update", {"objectType": "deals"}, "allow", "low", "default by risk", "handler"),
        ("gmail.users.messages.send", {"raw": "x"}, "allow", "high", "email.send_notification", "correction"),
        ("gmail.users.drafts.send", {"id": "r1"}, "allow", "high", "email.send_notification", "correction"),
        ("slack.chat.postMessage", {"channel": "C1"}, "allow", "low", "slack.post_message", "delete"),
        ("stripe.payouts.create", {}, "ask", "critical", "default by risk", "handler"),
    ],
)
def test_each_tool_is_judged_as_the_document_says(
    policy: Policy, operation: str, arguments: dict[str, Any], verdict: str, risk: str, rule: str, compensation: str
) -> None:
    decision = policy.decide(subject(operation, arguments))
    found = (decision.verdict.value, decision.risk.value, decision.rule, decision.compensation.value)
    assert found == (verdict, risk, rule, compensation)
    if rule != "default by risk":
        assert decision.place.endswith(f'agentSafety.policies["{rule}"]')


def test_its_settings_are_ours(policy: Policy) -> None:
    assert policy.unwind == Unwind(order="LIFO", on_failure="continue", timeout=Duration("30s"))
    assert policy.unwind.timeout == 30.0
    assert policy.audit == Audit(intent=True, snapshots=True, retention=Duration("90d"))
    assert policy.audit.retention == 90 * 24 * 3600.0
    assert (policy.approvals, policy.recovery) == (Approvals(), Recovery())


def test_it_is_the_same_policy_in_tables(policy: Policy) -> None:
    assert load_policy(policy.to_dict()).version == policy.version


def test_every_key_of_such_a_document_has_its_place() -> None:
    document = {
        "policies": {
            "github.*": {"approval": "refuse", "reason": "Not here"},
            "slack.chat.delete": {"approval": "HOLD"},
        },
        "limits": [
            {"name": "posts", "operations": ["slack.chat.postMessage"], "per": "1h", "count": 5, "then": "refuse"}
        ],
        "unwind": {"onCompensationFailure": "ALERT_AND_STOP", "concurrency": 4},
        "audit": {"captureIntent": False},
        "approvals": {"expires": "15m", "approvers": ["lena"], "mustDiffer": False},
        "recovery": {"lease": "1m", "sendDeadline": "45s"},
    }
    policy = load_policy({"agentSafety": document})
    assert policy.decide(subject("github.issues.create")).reason == "Not here"
    assert policy.decide(subject("slack.chat.delete")).verdict.value == "hold"
    assert policy.limits[0].window == 3600
    assert policy.unwind == Unwind(on_failure="stop", concurrency=4)
    assert policy.audit.intent is False
    assert policy.approvals == Approvals(expires=Duration("15m"), approvers=("lena",), must_differ=False)
    assert policy.recovery == Recovery(lease=Duration("1m"), send_deadline=Duration("45s"))


@pytest.mark.parametrize("name", aliases())
def test_every_tool_stands_for_operations_that_change_something(name: str) -> None:
    alias = aliases()[name]
    for operation in alias.operations:
        service, _, rest = operation.partition(".")
        assert rest in connector(service).table.by_name
    check(Rule(operations=alias.operations, compensation=Compensation.HANDLER, when=alias.when))


def test_no_tool_has_the_name_of_an_operation() -> None:
    for name in aliases():
        service, _, rest = name.partition(".")
        if service in ("crm", "email", "payments"):
            continue
        assert rest not in connector(service).table.by_name
