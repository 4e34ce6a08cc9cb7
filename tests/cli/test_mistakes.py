"""The mistakes that people make: each is one line that says what was not done and what to do, and changes nothing."""

from __future__ import annotations

import shlex
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

import agentguard
from agentguard import leases
from agentguard.cli import main
from agentguard.ledger.rows import SessionState
from tests.cli.conftest import one_line
from tests.cli.world import PLACEHOLDER, World

NOT_DONE = (
    *("Nothing was done", "Nothing was sent", "Nothing was started", "Nothing was decided", "Nothing was purged"),
    *("Nothing was changed", "Nothing was taken back", "Nothing was signed", "Nothing was written"),
    *("Nothing was verified", "Nothing was anchored", "Nothing was exported", "Nothing was asked"),
    *("nothing is sent", "Nothing was resolved"),
)
"""How it is said that a command has not done what it was asked for."""


@dataclass(frozen=True)
class Mistake:
    """Something done wrong, and what the error tells of it."""

    line: str
    told: str
    then: str
    """What to do next."""
    before: Callable[[World], object] = lambda world: None


def toml(text: str) -> Callable[[World], object]:
    return lambda world: (world.folder / "agentguard.toml").write_text(text)


def newer(world: World) -> None:
    with sqlite3.connect(world.folder / "newer.db") as db:
        db.execute("PRAGMA user_version = 999")
    db.close()


def no_ledger(world: World) -> None:
    (world.folder / "text.db").write_text("this is a shopping list, and no ledger of anything at all" * 40)


def unwritable(world: World) -> None:
    """A ledger in whose place there cannot be a file, which is so for root as well."""
    (world.folder / "not a folder").write_text("")


def environment(name: str, value: str) -> Callable[[World], object]:
    def set_it(world: World) -> None:
        world.environment.setenv(name, value)

    return set_it


def decided(world: World) -> None:
    assert main(["deny", world.request]) == 0


def keys(world: World) -> None:
    """Ashu's key is the one that may approve; Uma has one as well."""
    from agentguard.keys import new_key

    public = new_key(world.folder / "ashu.pem")
    new_key(world.folder / "uma.pem")
    world.configure(f'[approvals.keys]\nashu = "{public}"\n')


def approvers(world: World) -> None:
    world.configure('[approvals]\napprovers = ["ashu"]\n')


def alpha(world: World) -> None:
    for name in ("alpha-one", "alpha-two"):
        with agentguard.session(agent="writer", intent="Write", id=name):
            pass


def lives(world: World) -> None:
    """A process that lives owns the session."""
    world.store.claim("invoices", leases.new_owner(), leases.now() + 60)


def key_there(world: World) -> None:
    (world.folder / "ashu.pem").write_text("here is a key already")


MISTAKES = {
    "an unknown command": Mistake("shwo last", "No such command", "agentguard --help"),
    "a missing argument": Mistake("show", "Missing argument", "agentguard show --help"),
    "an unknown option": Mistake("show last --jsn", "No such option", "agentguard show --help"),
    "a number that is none": Mistake("sessions --limit many", "Invalid value", "agentguard sessions --help"),
    "an unknown session": Mistake("show tuesday", "no session 'tuesday'", "agentguard sessions"),
    "an ambiguous prefix": Mistake("show alpha", "2 sessions begin with 'alpha'", "Give more of the name", alpha),
    "no ledger there": Mistake("show last --ledger no.db", "no ledger at no.db", "Check the path"),
    "a ledger that is a folder": Mistake("sessions --ledger .", "is a folder", "Name a file"),
    "a ledger that is no ledger": Mistake(
        "sessions --ledger text.db", "text.db cannot be opened", "AGENTGUARD_LEDGER", no_ledger
    ),
    "a ledger on another scheme": Mistake("sessions --ledger postgres://x/y", "no ledger can be kept", "give a path"),
    "a ledger of a newer version": Mistake(
        "sessions --ledger newer.db", "written by a newer agentguard", "Upgrade agentguard", newer
    ),
    "a savepoint that there is not": Mistake(
        "rollback monday --to nowhere --yes", "no savepoint 'nowhere'", "there are: half way"
    ),
    "a plan to a savepoint that there is not": Mistake(
        "plan monday --to nowhere", "no savepoint 'nowhere'", "there are: half way"
    ),
    "nobody to ask": Mistake("rollback monday", "nobody to ask", "Add --yes"),
    "nobody to ask about one call": Mistake("undo monday/1", "nobody to ask", "Add --yes"),
    "nobody to ask about a purge": Mistake("purge --session done", "nobody to ask", "Add --yes"),
    "no client": Mistake("rollback hr --yes", "GITHUB_TOKEN is not set", "under [clients]"),
    "another token's variable": Mistake(
        "rollback hr --yes", "GITHUB_TOKEN is not set", "Set it", environment("GH_TOKEN", "ghp_x")
    ),
    "a plan that has changed": Mistake("rollback monday --plan 0123456789abcdef --yes", "plan", "agentguard plan"),
    "an item of a session whose process lives": Mistake("resolve invoices/1 --applied", "lives", "Wait", lives),
    "a call that there is not": Mistake("undo monday/9 --yes", "has no call 9", "agentguard show"),
    "a call without its session": Mistake("undo 2 --yes", "'2' is no call", "SESSION/NUMBER"),
    "TOML that is none": Mistake("sessions", "agentguard.toml", "Correct the file", toml("ledger = [")),
    "an unknown key in the file": Mistake(
        "sessions", "there is no key 'ledgre'", "Correct the file", toml('ledgre = "x"')
    ),
    "a duration that is none": Mistake(
        "sessions", "[recovery] lease is 'soon'", '"30s"', toml('[recovery]\nlease = "soon"')
    ),
    "an age that is none": Mistake("purge --older-than old --yes", "--older-than is 'old'", '"30s"'),
    "a configuration that is not there": Mistake(
        "sessions", "AGENTGUARD_CONFIG names gone.toml", "Correct", environment("AGENTGUARD_CONFIG", "gone.toml")
    ),
    "a factory that cannot be imported": Mistake(
        "rollback monday --yes",
        "'no_clients' cannot be imported",
        "Correct the name",
        toml('ledger = "ledger.db"\n[clients]\nnotes = "no_clients:x"\n[connectors]\nnotes = "tests.core.notes:notes"'),
    ),
    "a request that there is not": Mistake("approve ap-nothing", "no request 'ap-nothing'", "agentguard approvals"),
    "a request that is decided": Mistake(
        f"approve {PLACEHOLDER}", "is denied already", "agentguard approvals", decided
    ),
    "no key where one is asked for": Mistake(f"approve {PLACEHOLDER}", "have to be signed", "--key", keys),
    "the key of somebody else": Mistake(
        f"approve {PLACEHOLDER} --key uma.pem", "not a key that may approve", "agentguard.toml", keys
    ),
    "a file that is no key": Mistake(
        f"approve {PLACEHOLDER} --key agentguard.toml", "no private key", "agentguard keys new", keys
    ),
    "somebody who may not approve": Mistake(
        f"approve {PLACEHOLDER} --by uma", "not one of those who may approve", "Ask one of them", approvers
    ),
    "the agent's own yes": Mistake(f"approve {PLACEHOLDER} --by cleaner", "cannot approve", "Ask somebody else"),
    "a key that there is already": Mistake(
        "keys new ashu --file ashu.pem", "there is a key", "Choose another name", key_there
    ),
    "an item that is not in the queue": Mistake("resolve monday/1 --applied", "monday/1", "agentguard queue"),
    "an item without its session": Mistake("resolve 1 --applied", "'1' is no item", "SESSION/CALL"),
    "an action that the item has not": Mistake("resolve invoices/1 --force", "force", "not_applied"),
    "no action": Mistake("resolve invoices/1", "what is it to be", "--not-applied"),
    "a close without a note": Mistake("resolve invoices/1 --close", "closed with a note", "Add one"),
    "a freeze of nothing": Mistake("freeze", "name a session, or --all", "agentguard sessions"),
    "a freeze of two things": Mistake("freeze last --all", "name a session, or --all", "agentguard sessions"),
    "a purge of an open session": Mistake(
        "purge --session crashed --yes", "session crashed is open", "Complete it or roll it back"
    ),
    "a purge of nothing": Mistake("purge --yes", "name one --session", "--older-than"),
    "anchors that are none": Mistake("audit verify --anchors agentguard.toml", "no anchor", "agentguard audit anchor"),
    "two places for one anchor": Mistake("audit anchor --file a --git b", "one place", "--file or --git"),
    "a file that cannot be written": Mistake(
        "audit export --output no/such/folder.jsonl", "cannot be written", "Name another"
    ),
    "an operation that there is not": Mistake(
        "policy check --call github.issues.destroy", "no operation", "Correct the name"
    ),
    "arguments that are no JSON": Mistake(
        "policy check --call github.repos.delete --args {x", "--args is no JSON", "Give"
    ),
    "a ledger below a file": Mistake(
        "freeze --all --ledger 'sqlite:///not a folder/ledger.db'", "no ledger at", "Check the path", unwritable
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_that_says_what_was_not_done_and_what_to_do(
    world: World, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    mistake = MISTAKES[name]
    line = shlex.split(mistake.line.replace(PLACEHOLDER, world.request))
    mistake.before(world)
    capsys.readouterr()
    writes = world.writes()
    code = main(line)
    told = capsys.readouterr()
    assert (code, told.out) == (2, "")
    one_line(told.err, mistake.told, mistake.then)
    assert any(phrase in told.err for phrase in NOT_DONE), told.err
    assert "Traceback" not in told.err
    assert world.writes() == writes, "and nothing was sent"


def test_a_second_rollback_waits_for_the_first_and_does_nothing_twice(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    row = world.store.claim("crashed", leases.new_owner(), leases.now() + 1)
    world.store.end_session("crashed", SessionState.ROLLING_BACK, row.token + 1)
    began = time.monotonic()
    assert main(["rollback", "crashed", "--yes"]) == 0
    assert time.monotonic() - began > 0.9, "until the lease of the first has run out"
    writes = world.writes()
    assert main(["rollback", "crashed", "--yes"]) == 0
    assert world.writes() == writes
    assert world.store.session("crashed").state is SessionState.ROLLED_BACK
