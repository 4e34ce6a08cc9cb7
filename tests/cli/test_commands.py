"""Every command: the example in its help, its exit codes and its JSON, as docs/cli.md says."""

from __future__ import annotations

import json
import os
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from agentguard.cli import COMMANDS, main
from tests.cli.conftest import one_line
from tests.cli.world import PLACEHOLDER, World

Told = tuple[int, str, str]
Prepare = Callable[[World], object]


def leaves(name: str, command: click.Command) -> Iterator[str]:
    """The commands that do something, by what is typed."""
    if isinstance(command, click.Group):
        for inner, found in command.commands.items():
            yield from leaves(f"{name} {inner}", found)
    else:
        yield name


NAMES = sorted(leaf for name, lazy in COMMANDS.items() for leaf in leaves(name, lazy.load()))


def run(world: World, capsys: pytest.CaptureFixture[str], line: str) -> Told:
    """Run what stands behind `agentguard`."""
    if line.startswith("demo"):  # its clients are those of an agent, which ends with its process
        command = [sys.executable, "-m", "agentguard", *shlex.split(line)]
        own = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(command, env=own, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr
    code = main(shlex.split(line.replace(PLACEHOLDER, world.request)))
    told = capsys.readouterr()
    return code, told.out, told.err


def example_of(capsys: pytest.CaptureFixture[str], name: str) -> str:
    """The example in the help of a command."""
    assert main([*name.split(), "--help"]) == 0
    found = re.search(r"^  Example:\n    agentguard (.+)$", capsys.readouterr().out, re.MULTILINE)
    assert found is not None, f"agentguard {name} --help has no example"
    return found[1]


def nothing(world: World) -> None:
    """The folder will do as it is."""


def anchored(world: World) -> None:
    assert main(["audit", "anchor", "--file", "anchors.jsonl"]) == 0


def written_anew(world: World) -> None:
    anchored(world)
    with sqlite3.connect(world.folder / "ledger.db") as db:
        db.execute("UPDATE call SET target = 'another' WHERE session = 'done'")
    db.close()


def keyed(world: World) -> None:
    assert main(["keys", "new", "ashu", "--file", "ashu.pem"]) == 0


def frozen(world: World) -> None:
    assert main(["freeze", "last"]) == 0


def recovered(world: World) -> None:
    assert main(["recover"]) == 1


def empty(world: World) -> None:
    """A folder without a ledger."""
    (world.folder / "agentguard.toml").write_text('ledger = "none-yet.db"\n')


def sections() -> dict[str, str]:
    """What docs/cli.md has about each command."""
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    parts = re.split(r"^###? (.+)\n", text, flags=re.MULTILINE)
    found = zip(parts[1::2], parts[2::2], strict=True)
    return {title.removeprefix("agentguard "): part for title, part in found if title.startswith("agentguard ")}


def blocks(section: str, language: str) -> list[str]:
    """The blocks of code in a part of a document."""
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def codes(section: str) -> set[int]:
    """The exit codes that a part of the document gives."""
    found = re.search(r"\*\*Exits with\*\* (.+?)\n\n", section, re.DOTALL)
    assert found is not None
    return {int(code) for code in re.findall(r"(?:^|; )(\d):", found[1].replace("\n", " "))}


FREE = {"arguments", "evidence", "data", "services", "keys", "missing", "counts", "resolution", "purged", "left"}
"""Names whose values have a shape of their own in each case."""


def fits(documented: Any, given: Any, where: str) -> None:
    """Check that two values of JSON have the same names at each depth; null may stand for anything."""
    if isinstance(documented, dict) and isinstance(given, dict):
        assert list(documented) == list(given), where
        for name in given:
            if name not in FREE:
                fits(documented[name], given[name], f"{where} {name}")
    elif isinstance(documented, list) and isinstance(given, list):
        if documented and given:
            fits(documented[0], given[0], f"{where} []")
    elif documented is not None and given is not None:
        assert type(documented) is type(given) or {type(documented), type(given)} <= {int, float}, where


def test_the_document_has_all_commands_and_the_examples_of_their_help(capsys: pytest.CaptureFixture[str]) -> None:
    found = sections()
    assert sorted(found) == NAMES
    for name, section in found.items():
        assert blocks(section, "console") == [f"agentguard {example_of(capsys, name)}\n"]


def test_each_exit_code_of_the_document_is_shown_by_a_test() -> None:
    for name, section in sections().items():
        shown = {*WAYS[name], 2} | ({1} if name in ELSEWHERE else set())
        assert codes(section) == shown, name


EXAMPLES: dict[str, tuple[Prepare, int]] = {
    "approvals": (nothing, 1),
    "audit verify": (anchored, 0),
    "doctor": (nothing, 1),
    "keys show": (keyed, 0),
    "policy check": (nothing, 1),
    "queue": (nothing, 1),
    "recover": (nothing, 1),
    "thaw": (frozen, 0),
}
"""What has to be there for an example, and its exit code, where that is not 0."""


@pytest.mark.parametrize("name", NAMES)
def test_the_example_in_the_help_does_what_it_says(world: World, capsys: pytest.CaptureFixture[str], name: str) -> None:
    line = example_of(capsys, name)
    assert line.startswith(name)
    prepare, expected = EXAMPLES.get(name, (nothing, 0))
    prepare(world)
    capsys.readouterr()
    code, out, err = run(world, capsys, line)
    assert (code, err) == (expected, "")
    assert out or "--output" in line


WAYS: dict[str, dict[int, tuple[Prepare, str]]] = {
    "approvals": {0: (empty, "approvals"), 1: (nothing, "approvals --all")},
    "approve": {0: (nothing, f"approve {PLACEHOLDER}")},
    "audit anchor": {0: (nothing, "audit anchor")},
    "audit export": {0: (nothing, "audit export --session done")},
    "audit verify": {0: (anchored, "audit verify --anchors anchors.jsonl"), 1: (written_anew, "audit verify")},
    "connectors": {0: (nothing, "connectors")},
    "demo": {0: (nothing, "demo")},
    "deny": {0: (nothing, f"deny {PLACEHOLDER}")},
    "doctor": {0: (empty, "doctor"), 1: (nothing, "doctor")},
    "freeze": {0: (nothing, "freeze --all")},
    "keys list": {0: (nothing, "keys list")},
    "keys new": {0: (nothing, "keys new ashu --file new.pem")},
    "keys show": {0: (keyed, "keys show ashu.pem")},
    "plan": {0: (nothing, "plan monday"), 1: (nothing, "plan colleagues")},
    "policy check": {
        0: (nothing, "policy check --call github.issues.create"),
        1: (nothing, "policy check --call github.repos.delete"),
    },
    "policy show": {0: (nothing, "policy show")},
    "purge": {0: (nothing, "purge --session done --yes")},
    "queue": {0: (empty, "queue"), 1: (nothing, "queue")},
    "recover": {0: (recovered, "recover"), 1: (nothing, "recover")},
    "report": {0: (nothing, "report colleagues")},
    "resolve": {0: (nothing, "resolve invoices/1 --applied"), 1: (nothing, "resolve colleagues/1.1 --retry")},
    "rollback": {0: (nothing, "rollback monday --yes"), 1: (nothing, "rollback colleagues --yes")},
    "sessions": {0: (nothing, "sessions")},
    "show": {0: (nothing, "show monday")},
    "thaw": {0: (nothing, "thaw outbox"), 1: (nothing, "thaw monday")},
    "undo": {0: (nothing, "undo monday/1 --yes"), 1: (nothing, "undo colleagues/1 --yes")},
}
"""For each command and exit code a way to get there. That of 2 is the same for all: an option that there is not."""
ELSEWHERE = {"purge": "asked on a terminal", "demo": "tests/cli/test_demo.py"}
"""Which commands exit with 1 in a way that another test shows."""


@pytest.mark.parametrize(
    ("name", "expected"), [(name, code) for name in NAMES for code in WAYS[name]], ids=lambda value: str(value)
)
def test_exit_codes_and_json_are_as_documented(
    world: World, capsys: pytest.CaptureFixture[str], name: str, expected: int
) -> None:
    prepare, line = WAYS[name][expected]
    assert line.startswith(name)
    prepare(world)
    capsys.readouterr()
    code, out, err = run(world, capsys, f"{line} --json")
    assert (code, err) == (expected, "")
    given = [json.loads(text) for text in (out.splitlines() if name == "audit export" else [out])]
    section = sections()[name]
    assert expected in codes(section)
    if (name, expected) != ("policy check", 0) or "--call" in line:
        fits(json.loads(blocks(section, "json")[0]), given[0], name)


@pytest.mark.parametrize("name", NAMES)
def test_every_command_exits_with_2_for_an_option_that_it_has_not(
    world: World, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    code, out, err = run(world, capsys, f"{name} --bogus")
    assert (code, out) == (2, "")
    one_line(err, "No such option", "--bogus", f"Nothing was done. See `agentguard {name} --help`.")
