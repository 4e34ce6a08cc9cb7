from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from agentguard.ledger.rows import SessionState
from tests.cli.conftest import Run, one_line
from tests.cli.world import World

HOSTILE = "Write \x1b[31mred\x1b]0;title\x07 [bold]notes[/bold]\r\n\u202e over"


def notes(folder: Path) -> dict[str, str]:
    written: dict[str, str] = json.loads((folder / "notes.json").read_text())
    return written


def test_help_names_every_command_and_needs_no_ledger(agentguard: Run, folder: Path) -> None:
    shown = agentguard("--help")
    assert shown.returncode == 0
    for command in ("sessions", "show", "rollback", "connectors", "demo"):
        assert f"\n  {command} " in shown.stdout
        assert agentguard(command, "--help").returncode == 0
    assert not (folder / "ledger.db").exists()
    assert agentguard().stdout == shown.stdout
    assert agentguard("--version").stdout.startswith("agentguard ")


def test_help_does_not_import_rich_or_an_sdk(run: Run) -> None:
    code = (
        "import sys, agentguard.cli\n"
        "agentguard.cli.main(['--help'])\n"
        "loaded = {name.split('.')[0] for name in sys.modules}\n"
        "sys.exit(len(loaded & {'rich', 'github', 'stripe', 'slack_sdk', 'requests', 'httpx'}))\n"
    )
    assert run("-c", code).returncode == 0


def test_sessions_lists_the_newest_first(agentguard: Run, agent_dies: Callable[..., None]) -> None:
    assert "No sessions yet" in agentguard("sessions").stdout
    assert json.loads(agentguard("sessions", "--json").stdout)["sessions"] == []
    agent_dies("a-first")
    agent_dies("b-second")
    shown = agentguard("sessions").stdout
    assert shown.index("b-second") < shown.index("a-first")
    listed = json.loads(agentguard("sessions", "--json", "--limit", "1").stdout)
    assert [session["id"] for session in listed["sessions"]] == ["b-second"]
    session = listed["sessions"][0]
    assert session["calls"] == 2
    assert session["state"] == "open"
    assert session["agent"] == "writer"
    assert session["started_at"].endswith("Z")
    assert session["ended_at"] is None


def test_the_last_session_is_the_one_that_began_last_whatever_it_is_called(
    agentguard: Run, agent_dies: Callable[..., None]
) -> None:
    agent_dies("zebra")
    agent_dies("ant")
    assert [s["id"] for s in json.loads(agentguard("sessions", "--json").stdout)["sessions"]] == ["ant", "zebra"]
    assert json.loads(agentguard("show", "last", "--json").stdout)["session"]["id"] == "ant"


def test_show_tells_what_was_called_and_why_and_what_came_of_it(
    agentguard: Run, agent_dies: Callable[..., None]
) -> None:
    agent_dies(last="my_actions.send('ashu@acme.example')")
    shown = agentguard("show", "last").stdout
    for part in (
        "OPEN",
        "writer",
        "action.notes.add  first",
        "Ashu starts on Monday (90% sure)",
        "savepoint half way",
        "happened",
        "ready",
        "action.mail.send  ashu@acme.example",
        "it cannot be taken back",
    ):
        assert part in shown
    assert max(map(len, shown.splitlines())) <= 80
    listed = json.loads(agentguard("show", "last", "--json").stdout)
    assert [call["operation"] for call in listed["calls"]] == ["action.notes.add"] * 2 + ["action.mail.send"]
    assert listed["savepoints"] == [{"name": "half way", "after": 1}]
    first = listed["calls"][0]
    assert first["reason"] == "Ashu starts on Monday"
    assert first["confidence"] == 0.9
    assert first["arguments"] == {"name": "first", "text": "x"}
    assert [undo["state"] for undo in first["undos"]] == ["planned"]


def test_a_dead_agent_s_work_is_taken_back_by_a_fresh_process(
    agentguard: Run, agent_dies: Callable[..., None], folder: Path
) -> None:
    agent_dies()
    assert notes(folder) == {"first": "x", "second": "y"}
    rolled_back = agentguard("rollback", "last", "--yes")
    assert rolled_back.returncode == 0, rolled_back.stderr
    assert notes(folder) == {}
    assert rolled_back.stdout.index("second") < rolled_back.stdout.index("first"), "newest first"
    assert rolled_back.stdout.count("restored") == 2
    assert "Taken back: 2 calls, and nothing of them remains." in rolled_back.stdout
    assert "ROLLED BACK" in agentguard("show", "last").stdout
    again = agentguard("rollback", "last", "--yes", "--json")
    assert again.returncode == 0
    assert json.loads(again.stdout)["ok"] is True


def test_a_rollback_to_a_savepoint_leaves_what_came_before(
    agentguard: Run, agent_dies: Callable[..., None], folder: Path
) -> None:
    agent_dies()
    rolled_back = agentguard("rollback", "last", "--to", "half way", "--yes")
    assert rolled_back.returncode == 0, rolled_back.stderr
    assert notes(folder) == {"first": "x"}
    unknown = agentguard("rollback", "last", "--to", "nowhere", "--yes")
    assert unknown.returncode == 2
    one_line(unknown.stderr, "no savepoint 'nowhere'", "half way", "Nothing was sent")


def test_a_rollback_that_is_not_whole_exits_with_1_and_says_so(
    agentguard: Run, agent_dies: Callable[..., None], folder: Path
) -> None:
    agent_dies(last="my_actions.send('ashu@acme.example'); my_actions.remove('first')")
    rolled_back = agentguard("rollback", "last", "--yes")
    assert rolled_back.returncode == 1
    assert "IRREVERSIBLE" in rolled_back.stdout
    assert "Mail cannot be called back." in rolled_back.stdout
    assert "already undone" in rolled_back.stdout
    assert "NOT everything was taken back: 1 of 3 calls" in rolled_back.stdout
    report = json.loads(agentguard("rollback", "last", "--yes", "--json").stdout)
    assert report["ok"] is False
    assert [result["outcome"] for result in report["outcomes"]] == ["irreversible", "restored", "already_undone"]


def test_a_note_that_somebody_changed_is_a_conflict_and_left_alone(
    agentguard: Run, agent_dies: Callable[..., None], folder: Path
) -> None:
    agent_dies()
    (folder / "notes.json").write_text(json.dumps({"first": "x", "second": "by hand"}))
    rolled_back = agentguard("rollback", "last", "--yes")
    assert rolled_back.returncode == 1
    assert "CONFLICT" in rolled_back.stdout
    assert notes(folder) == {"second": "by hand"}


def test_without_a_terminal_and_without_yes_nothing_is_sent(
    agentguard: Run, agent_dies: Callable[..., None], folder: Path
) -> None:
    agent_dies()
    refused = agentguard("rollback", "last")
    assert refused.returncode == 2
    one_line(refused.stderr, "Nothing was sent", "--yes")
    assert notes(folder) == {"first": "x", "second": "y"}


@pytest.mark.parametrize(("answer", "code", "left"), [(b"y\n", 0, {}), (b"n\n", 1, {"first": "x", "second": "y"})])
def test_on_a_terminal_a_person_is_asked(
    run: Run, agent_dies: Callable[..., None], folder: Path, answer: bytes, code: int, left: dict[str, str]
) -> None:
    agent_dies()
    program = (
        "import os, pty, subprocess, sys\n"
        "ours, theirs = pty.openpty()\n"
        f"os.write(ours, {answer!r})\n"
        "sys.exit(subprocess.run([sys.executable, '-m', 'agentguard', 'rollback', 'last'], stdin=theirs).returncode)\n"
    )
    asked = run("-c", program)
    assert asked.returncode == code, asked.stderr
    assert "Take these 2 calls back, newest first? [y/N]" in asked.stdout
    assert "If its program still runs, stop it first." in asked.stdout
    assert notes(folder) == left


@pytest.mark.parametrize("command", [["purge", "--session", "done"], ["undo", "monday/1"], ["rollback", "monday"]])
@pytest.mark.parametrize("answer", [b"n\n", b"\x04"], ids=["no", "the end of the input"])
def test_a_no_on_the_terminal_exits_with_1_and_changes_nothing(
    world: World, run_here: Run, command: list[str], answer: bytes
) -> None:
    program = (
        "import os, pty, subprocess, sys\n"
        "ours, theirs = pty.openpty()\n"
        f"os.write(ours, {answer!r})\n"
        f"sys.exit(subprocess.run([sys.executable, '-m', 'agentguard', *{command!r}], stdin=theirs).returncode)\n"
    )
    writes = world.writes()
    asked = run_here("-c", program)
    assert asked.returncode == 1, asked.stderr
    assert "[y/N]" in asked.stdout
    assert "Nothing was" in asked.stdout
    assert world.writes() == writes
    assert world.store.session("done").intent == "Write down what was said"


@pytest.mark.parametrize("as_json", [False, True], ids=["for people", "as JSON"])
def test_a_long_rollback_counts_on_a_terminal_and_only_there(world: World, run_here: Run, as_json: bool) -> None:
    world.box.fault("delay_after", "DELETE", seconds=0.8)
    options = ["--json"] if as_json else []
    program = (
        "import os, pty, subprocess, sys\n"
        "ours, theirs = pty.openpty()\n"
        f"command = [sys.executable, '-m', 'agentguard', 'rollback', 'monday', '--yes', *{options!r}]\n"
        "done = subprocess.run(command, stderr=theirs, stdout=subprocess.DEVNULL)\n"
        "os.close(theirs)\n"
        "try:\n"
        "    while got := os.read(ours, 4096):\n"
        "        sys.stdout.buffer.write(got)\n"
        "except OSError:\n"
        "    sys.exit(done.returncode)\n"  # how a terminal ends
    )
    told = run_here("-c", program)
    assert told.returncode == 0, told.stderr
    if as_json:
        assert told.stdout == ""
    else:
        assert "taking back" in told.stdout
        assert "1/2" in told.stdout, "the newest was back, and the other under way"
    assert world.store.session("monday").state is SessionState.ROLLED_BACK


def test_the_shapes_of_json_are_those_of_the_documentation(agentguard: Run, agent_dies: Callable[..., None]) -> None:
    agent_dies()
    listed = json.loads(agentguard("sessions", "--json").stdout)
    assert set(listed) == {"ledger", "sessions"}
    session = ["id", "agent", "intent", "tenant", "user", "state", "cause", "started_at", "ended_at", "calls"]
    assert list(listed["sessions"][0]) == session
    shown = json.loads(agentguard("show", "last", "--json").stdout)
    assert list(shown) == ["session", "savepoints", "calls", "approvals", "history"]
    assert list(shown["session"]) == session
    call = ["seq", "operation", "method", "target", "account", "arguments", "effect", "risk", "state", "reason"]
    call += ["confidence", "error", "at", "rule", "approval", "verified", "resolution", "undos"]
    assert list(shown["calls"][0]) == call
    undo = ["operation", "arguments", "state", "outcome", "detail", "remains", "resolution"]
    assert list(shown["calls"][0]["undos"][0]) == undo
    report = json.loads(agentguard("rollback", "last", "--yes", "--json").stdout)
    assert list(report) == ["session", "ok", "to", "outcomes"]
    assert list(report["outcomes"][0]) == ["seq", "operation", "target", "outcome", "detail"]
    documented = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
    for name in (*session, *call, *report, *report["outcomes"][0], *listed, *shown):
        assert f'"{name}"' in documented


def test_the_beginning_of_a_name_is_enough_if_no_other_has_it(agentguard: Run, agent_dies: Callable[..., None]) -> None:
    agent_dies("alpha-one")
    agent_dies("alpha-two")
    assert json.loads(agentguard("show", "alpha-t", "--json").stdout)["session"]["id"] == "alpha-two"
    several = agentguard("show", "alpha")
    assert several.returncode == 2
    one_line(several.stderr, "2 sessions begin with 'alpha'", "alpha-one", "Give more of the name")
    unknown = agentguard("rollback", "beta", "--yes")
    assert unknown.returncode == 2
    one_line(unknown.stderr, "no session 'beta'", "agentguard sessions")


def test_recorded_text_cannot_move_the_cursor_or_style_the_screen(
    agentguard: Run, agent_dies: Callable[..., None]
) -> None:
    agent_dies(intent=HOSTILE, last=f"my_actions.add({HOSTILE!r}, {HOSTILE!r})")
    shown = [
        agentguard("sessions"),
        agentguard("sessions", "--json"),
        agentguard("show", "last"),
        agentguard("show", "last", "--json"),
        agentguard("show", HOSTILE.replace("\r\n", " ")),
        agentguard("rollback", "last", "--yes"),
    ]
    for result in shown:
        for character in ("\x1b", "\x07", "\r", "\u202e"):
            assert character not in result.stdout + result.stderr
    assert "[bold]notes[/bold]" in shown[2].stdout, "and it is not taken for markup either"


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["shwo"], ["No such command", "agentguard --help"]),
        (["show"], ["Missing argument", "agentguard show --help"]),
        (["show", "x", "--bogus"], ["No such option", "Nothing was done"]),
        (["show", "x"], ["there is no ledger at", "--ledger"]),
        (["sessions", "--ledger", "nowhere.db"], ["there is no ledger at nowhere.db", "Nothing was done"]),
        (["sessions", "--ledger", "postgres://x/y"], ["no ledger can be kept at postgres://"]),
        (["sessions", "--ledger", "my_actions.py"], ["my_actions.py", "Nothing was started"]),
        (["sessions", "--limit", "0"], ["Invalid value", "agentguard sessions --help"]),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(agentguard: Run, arguments: list[str], parts: list[str]) -> None:
    result = agentguard(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    one_line(result.stderr, *parts)


def test_a_mistake_in_the_configuration_is_named_with_its_place(
    agentguard: Run, agent_dies: Callable[..., None], folder: Path
) -> None:
    agent_dies()
    (folder / "agentguard.toml").write_text('ledger = "ledger.db"\n[actions]\nmodules = ["my_actionz"]\n')
    unknown = agentguard("rollback", "last", "--yes")
    assert unknown.returncode == 2
    one_line(unknown.stderr, "[actions] modules", "my_actionz", "Nothing was sent")
    (folder / "agentguard.toml").write_text("[action]\n")
    misspelt = agentguard("sessions")
    assert misspelt.returncode == 2
    one_line(misspelt.stderr, "agentguard.toml", "there is no key 'action'")
    assert notes(folder) == {"first": "x", "second": "y"}


def test_connectors_are_counted_from_their_tables(agentguard: Run) -> None:
    shown = agentguard("connectors")
    assert shown.returncode == 0, shown.stderr
    assert max(map(len, shown.stdout.splitlines())) <= 80
    counted = {row["service"]: row for row in json.loads(agentguard("connectors", "--json").stdout)}
    assert {"github", "slack", "stripe"} <= counted.keys()
    for row in counted.values():
        parts = ("reads", "exact", "corrective", "irreversible", "unhandled", "drafts")
        assert sum(row[part] for part in parts) == row["operations"] == row["classified"]
        assert row["sdks"]
    for name in ("github", "slack", "stripe"):
        assert counted[name]["exact"] > 0
        assert counted[name]["corrective"] > 0


def test_a_terminal_without_unicode_gets_its_report(agentguard: Run, agent_dies: Callable[..., None]) -> None:
    agent_dies(intent="Notizen für Ashu → Montag")
    for command in (["sessions"], ["show", "last"], ["rollback", "last", "--yes"]):
        shown = agentguard(*command, PYTHONIOENCODING="ascii")
        assert shown.returncode == 0, shown.stderr


def test_a_reader_that_goes_away_is_no_error(agentguard: Run, agent_dies: Callable[..., None], run: Run) -> None:
    agent_dies()
    code = (
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-m', 'agentguard', 'show', 'last', '--json'],"
        " stdout=subprocess.PIPE, stderr=subprocess.PIPE)\n"
        "p.stdout.close()\n"
        "sys.exit(b'Traceback' in p.stderr.read())\n"
    )
    gone: subprocess.CompletedProcess[str] = run("-c", code)
    assert gone.returncode == 0
