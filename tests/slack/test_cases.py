"""Every handler of Slack is replayed from JSON cases, without a network."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from agentguard_connectors.slack import slack
from slack_sdk import WebClient

from agentguard.testing import load_cases, replay

CASES = list(load_cases(Path(__file__).parents[2] / "connectors" / "cases" / "slack"))


@pytest.mark.parametrize("case", [case for _name, case in CASES], ids=[name for name, _case in CASES])
def test_the_handler_takes_the_steps_of_the_case(case: dict[str, Any]) -> None:
    replay(slack, case)


def test_every_handler_has_a_case() -> None:
    assert {case["operation"] for _name, case in CASES} == slack.guarded.keys()


def ours() -> set[tuple[str, str]]:
    """The operations of our own reads, looks and undos in the cases, with each of their arguments."""
    steps = [step for _name, case in CASES for step in case["steps"]]
    steps += [step["look"] for step in steps if "look" in step]
    named = [(step.get("read") or step["undo"], step["arguments"]) for step in steps if "arguments" in step]
    return {(operation, argument) for operation, arguments in named for argument in arguments}


@pytest.mark.parametrize(("operation", "argument"), sorted(ours()))
def test_slack_takes_the_arguments_that_we_send(operation: str, argument: str) -> None:
    method = getattr(WebClient, operation.replace(".", "_"))
    assert argument in inspect.signature(method).parameters
