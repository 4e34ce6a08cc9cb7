from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest

from agentguard.cli import main, program
from agentguard.cli.policy import policy
from agentguard.policy import Policy, load_policy
from tests.policy.test_document import DOCUMENT


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(program, click.Group)
    monkeypatch.setitem(program.commands, "policy", policy)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "policy.json"
    path.write_text(DOCUMENT)
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["policy", *arguments])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_a_file_that_is_right_is_said_to_be(capsys: pytest.CaptureFixture[str], file: str) -> None:
    version = load_policy(file).version
    code, out, err = run(capsys, "check", file)
    assert (code, err) == (0, "")
    assert out == f"{file}: 4 rules and 0 limits, all right\nversion {version}\n"
    code, out, _err = run(capsys, "check", file, "--json")
    assert json.loads(out) == {"file": file, "version": version, "rules": 4, "limits": 0}


def test_a_mistake_is_one_line_with_its_place(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("[[policy.rules]]\nthen = 'never'\n")
    code, out, err = run(capsys, "check", str(path))
    assert (code, out) == (2, "")
    assert err.startswith(f"agentguard: {path}: [policy] rules[0].then: Invalid value 'never'; there are allow, ask,")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("call", "arguments", "code", "verdict", "rule"),
    [
        ("github.repos.delete", {"owner": "acme", "repo": "hr"}, 1, "ask", "github.delete_repository"),
        ("github.delete_repository", {"owner": "acme", "repo": "hr"}, 1, "ask", "github.delete_repository"),
        ("slack.chat.postMessage", {"channel": "C1"}, 0, "allow", "slack.post_message"),
        ("crm.update_contact", {"objectType": "contacts"}, 0, "allow", "crm.update_contact"),
        ("github.issues.get", {}, 0, "allow", "reads"),
        ("stripe.payouts.create", {}, 1, "ask", "default by risk"),
    ],
)
def test_it_explains_what_would_happen_to_a_call(
    capsys: pytest.CaptureFixture[str],
    file: str,
    call: str,
    arguments: dict[str, Any],
    code: int,
    verdict: str,
    rule: str,
) -> None:
    asked = ("check", file, "--call", call, "--args", json.dumps(arguments))
    found, out, _err = run(capsys, *asked)
    assert found == code
    assert out.startswith(f"{verdict.upper()} ")
    assert rule in out
    found, out, _err = run(capsys, *asked, "--json")
    told = json.loads(out)
    assert (found, told["verdict"], told["rule"]) == (code, verdict, rule)
    assert told["version"] == load_policy(file).version


def test_it_takes_what_is_known_of_the_call_and_names_the_limits(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "agentguard.toml"
    path.write_text(
        "[[policy.rules]]\nname = 'live'\nagents = ['billing']\nenvironments = ['prod*']\naccounts = ['*#acct_1']\n"
        "targets = ['cus_1']\nthen = 'refuse'\n"
        "[[policy.limits]]\nname = 'calls'\noperations = ['stripe.*']\ncount = 5\n"
    )
    known = ("--agent", "billing", "--environment", "production", "--account", "x#acct_1")
    asked = ("--call", "stripe.customers.update", "--args", '{"customer": "cus_1"}', "--json")
    code, out, _err = run(capsys, "check", *asked, *known)  # the file that applies here
    told = json.loads(out)
    assert (code, told["verdict"], told["place"]) == (1, "refuse", f"{path}: [policy] rules[0]")
    assert told["limits"] == ["calls"]
    _code, out, _err = run(capsys, "check", *asked, *known, "--target", "cus_2")
    assert json.loads(out)["verdict"] == "allow"
    code, out, _err = run(capsys, "check", *asked[:-1], *known)
    assert "REFUSE" in out
    assert "calls (with nothing used so far)" in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--call", "github.repo.delete"), "GitHub has no operation 'github.repo.delete'"),
        (("--call", "fax.send"), "no connector called 'fax'"),
        (("--call", "github.repos.delete", "--args", "{"), "--args is no JSON"),
        (("--call", "github.repos.delete", "--args", "[]"), "--args is a JSON object, not list"),
        (("--args", "{}"), "Name an operation with --call"),
        (("gone.toml",), "gone.toml cannot be read"),
    ],
)
def test_a_mistake_in_the_command_exits_with_2(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str
) -> None:
    code, out, err = run(capsys, "check", *arguments)
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1


def test_show_prints_what_is_in_force(capsys: pytest.CaptureFixture[str], file: str) -> None:
    code, out, _err = run(capsys, "show", file)
    assert code == 0
    for told in ("1. github.delete_repository", "github.repos.delete", "timeout      30s", "retention  90d", "expires"):
        assert told in out
    code, out, _err = run(capsys, "show", file, "--json")
    shown = json.loads(out)
    assert shown.pop("file") == file
    assert shown.pop("version") == load_policy(shown).version
    code, out, _err = run(capsys, "show")
    assert "no file: the defaults" in out
    assert Policy().version in out


def test_what_a_file_says_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text('[[policy.rules]]\nname = "\\u001b[31mred"\noperations = ["slack.*"]\nthen = "ask"\n')
    _code, out, _err = run(capsys, "show", str(path))
    assert "\x1b[31m" not in out
    assert "[31mred" in out
    _code, out, _err = run(capsys, "check", str(path), "--call", "slack.chat.postMessage")
    assert "\x1b[31m" not in out
