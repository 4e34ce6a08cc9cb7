from __future__ import annotations

import json
from pathlib import Path

import pytest

from agentguard.calls import Outcome
from agentguard.cli.comparing import Difference, brief, differences
from agentguard.cli.demo import Story
from agentguard.cli.demo_agent import SERVICES
from agentguard.report import CallOutcome, Report
from tests.cli.conftest import Run, one_line


def test_the_demo_shows_an_agent_at_work_its_failure_and_the_way_back(agentguard: Run) -> None:
    shown = agentguard("demo")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert shown.stderr == ""
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert "\x1b" not in shown.stdout
    for part in (
        "THE AGENT WORKS",
        "FAILED",
        "THE WAY BACK",
        "BEFORE AND AFTER",
        "Onboard Ashu",
        "closed",
        "as before",
    ):
        assert part in shown.stdout
    work, way_back = shown.stdout.split("THE WAY BACK")
    for operation in ("github.issues.create", "stripe.customers.create", "slack.chat.postMessage"):
        assert operation in work
        assert operation in way_back


def test_the_demo_s_claims_can_be_checked_from_its_json(agentguard: Run, folder: Path) -> None:
    shown = agentguard("demo", "--json", "--ledger", "demo.db")
    assert shown.returncode == 0, shown.stdout + shown.stderr
    told = json.loads(shown.stdout)
    assert told["ok"] is True
    assert told["faults"] == []
    assert [call["state"] for call in told["calls"]] == ["committed"] * (len(told["calls"]) - 1) + ["not_applied"]
    assert told["failure"]
    assert len(told["report"]["outcomes"]) == len(told["calls"]) - 1
    assert all(service["changed_by_agent"] for service in told["services"].values())
    issue = [trace for trace in told["services"]["github"]["remains"] if ".issues." in trace["path"]]
    assert "closed" in issue[0]["detail"]
    assert told["services"]["slack"]["remains"] == []
    recorded = json.loads(agentguard("show", "last", "--ledger", "demo.db", "--json").stdout)
    assert recorded["session"]["id"] == told["report"]["session"]
    assert recorded["session"]["state"] == "rolled_back"


def test_without_the_sdks_the_demo_says_what_to_install(run: Run) -> None:
    code = (
        "import sys\n"
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'stripe' else find(name, *rest)\n"
        "from agentguard.cli import main\n"
        "sys.exit(main(['demo']))\n"
    )
    refused = run("-c", code)
    assert refused.returncode == 2
    assert refused.stdout == ""
    one_line(refused.stderr, "missing: stripe", "Nothing was started", "pip install")


@pytest.mark.parametrize(
    ("outcome", "remains", "fault"),
    [
        (Outcome.RESTORED, [Difference("new", "x", "")], "the report does not say so"),
        (Outcome.CONFLICT, [], "the rollback is not ok"),
    ],
)
def test_the_demo_does_not_pass_what_does_not_agree(outcome: Outcome, remains: list[Difference], fault: str) -> None:
    class Nothing:
        calls = ()

    story = Story({}, Path("unused"), None, failure="x")
    results = [CallOutcome(n, f"{name}.x", "", outcome) for n, name in enumerate(SERVICES)]
    story.report = Report("s", results)
    story.changed = {name: [Difference("new", "y", "")] for name in SERVICES}
    story.remains = {**{name: [] for name in SERVICES}, "github": remains}
    story.check(Nothing())  # type: ignore[arg-type]  # all that is asked of the session is its calls
    assert any(fault in told for told in story.faults)


def test_differences_are_told_each_once_and_by_name() -> None:
    before = {"a": {"x": 1, "y": {"title": "old"}}, "log": ["one"], "sha": "0" * 40, "gone": 5}
    after = {
        "a": {"x": 2, "z": {"title": "new", "state": "open", "n": 1}},
        "log": ["one", "two", "two"],
        "sha": "1" * 40,
    }
    assert differences(before, after) == [
        Difference("changed", "a.x", "1 → 2"),
        Difference("gone", "a.y", 'title "old"'),
        Difference("new", "a.z", 'title "new", state "open"'),
        Difference("new", "log", '2 entries: "two"'),
        Difference("changed", "sha", "0000000 → 1111111"),
        Difference("gone", "gone", "5"),
    ]
    assert differences({}, {"things": {"t1": {"deleted": True}}}) == [Difference("new", "things.t1", "deleted true")]
    assert differences(before, before) == []
    assert brief("x" * 100).endswith("…")
