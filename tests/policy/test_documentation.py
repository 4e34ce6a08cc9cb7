"""What docs/policy.md says is so: every example loads, and does what is written beside it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agentguard.calls import Effect
from agentguard.policy import Compensation, Condition, Policy, Rule, Verdict, load_policy
from agentguard.policy.settings import Approvals, Audit, Recovery, Unwind
from tests.policy.conftest import subject
from tests.policy.test_document import DOCUMENT

TEXT = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def written(tmp_path: Path, text: str, name: str = "agentguard.toml") -> Policy:
    path = tmp_path / name
    path.write_text(text)
    return load_policy(path)


@pytest.mark.parametrize("at", range(len(blocks("toml"))))
def test_every_example_loads(tmp_path: Path, at: int) -> None:
    assert written(tmp_path, blocks("toml")[at]).version != Policy().version


@pytest.mark.parametrize(
    ("operation", "arguments", "verdict", "rule"),
    [
        ("github.repos.delete", {}, "refuse", "no repository is deleted"),
        ("gmail.users.messages.send", {"raw": "VG86IGV2ZUBvdGhlci5jb20KCmhp"}, "ask", "mail outside"),
        ("gmail.users.messages.send", {"raw": "VG86IGFAZXUuYWNtZS5jb20KCmhp"}, "allow", "default by risk"),
        ("gmail.users.drafts.send", {"id": "r1"}, "ask", "mail outside"),
        ("stripe.refunds.create", {"amount": 5000, "currency": "usd"}, "allow", "small refunds"),
        ("stripe.refunds.create", {"amount": 5001, "currency": "usd"}, "ask", "default by risk"),
        ("stripe.refunds.create", {"amount": 50001, "currency": "usd"}, "hold", "refunds a day"),
        ("stripe.refunds.create", {"charge": "ch_1"}, "hold", "refunds a day"),
    ],
)
def test_the_first_example_does_what_it_says(
    tmp_path: Path, operation: str, arguments: dict[str, Any], verdict: str, rule: str
) -> None:
    decision = written(tmp_path, blocks("toml")[0]).decide(subject(operation, arguments))
    assert (decision.verdict.value, decision.rule) == (verdict, rule)


@pytest.mark.parametrize(
    ("operation", "arguments", "more", "rule"),
    [
        ("stripe.charges.create", {"amount": 50001}, {"account": "x#acct_1Live"}, "the live account"),
        ("stripe.charges.create", {"amount": 50001}, {"account": "x#acct_1Test"}, "default by risk"),
        (
            "stripe.customers.update",
            {"metadata": {"tier": "enterprise"}},
            {"account": "x#acct_1Live"},
            "the live account",
        ),
        ("hubspot.crm.objects.batch.archive", {"inputs": [{"id": "1"}] * 21}, {}, "no bulk deletion"),
        ("hubspot.crm.objects.batch.archive", {"inputs": [{"id": "1"}] * 20}, {}, "default by risk"),
        ("github.issues.update", {"state": "closed"}, {"target": "acme/hr/1"}, "issues may be closed"),
        ("github.issues.update", {"state": "closed", "body": ""}, {"target": "acme/hr/1"}, "default by risk"),
    ],
)
def test_the_second_example_does_what_it_says(
    tmp_path: Path, operation: str, arguments: dict[str, Any], more: dict[str, str], rule: str
) -> None:
    policy = written(tmp_path, blocks("toml")[1])
    assert policy.decide(subject(operation, arguments, **more)).rule == rule


def test_the_document_by_tools_is_the_one_that_is_tested(tmp_path: Path) -> None:
    (example,) = blocks("json")
    assert json.loads(example) == json.loads(DOCUMENT)
    assert written(tmp_path, example, "policy.json").version == load_policy(json.loads(DOCUMENT)).version


def test_the_python_runs() -> None:
    names: dict[str, Any] = {}
    exec(blocks("python")[0], names)
    decision = names["policy"].decide(subject("github.repos.delete"))
    assert decision.verdict is Verdict.REFUSE
    assert names["policy"].limits[0].then is Verdict.HOLD


def test_the_settings_that_are_shown_are_all_that_there_are() -> None:
    shown = next(text for text in blocks("toml") if text.startswith("[unwind]"))
    unsaid = {"approvers", "keys"}  # told where documents by tools are
    for kind in (Unwind, Audit, Approvals, Recovery):
        for name in set(kind.__struct_fields__) - unsaid:
            assert re.search(rf"^{name} = ", shown, re.MULTILINE), name
    assert all(f"`{name}`" in TEXT for name in unsaid)


def test_every_key_and_word_is_told() -> None:
    for field in msgspec.structs.fields(Condition):
        assert f"`{field.encode_name}" in TEXT, field.encode_name
    for name in Rule.__struct_fields__:
        assert f"`{name}`" in TEXT, name
    for word in (*Verdict, *Compensation, *(effect for effect in Effect if effect is not Effect.READ)):
        assert f"`{word.value}`" in TEXT, word
