"""The stories in examples/ run as a reader runs them, end well, and say what they are about; and they hardly ask.

Each is a program of its own, in a folder of its own and with no account. What its agents do is counted at the gate, in
every process that the story starts, so that the share of calls that ask is of what really went through.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
SENTENCES = {
    "crash_and_cleanup": (
        "Checked: the agent was killed, and did not get to clean up.",
        "taken back (2 compensated, 2 restored)",
        "Checked: the message whose answer never came was found, and deleted.",
        "Checked: there is nothing left to recover.",
    ),
    "did_it_happen_or_not": (
        "Looked up: call 1 committed, call 2 not applied, call 3 in doubt",
        "Checked: no call went twice.",
        "Checked: the issue that was opened is closed, and no other is.",
    ),
    "nine_refunds_become_one": (
        "The bare SDK, asked nine times: 9 refunds, 180 EUR are gone.",
        "the process is killed",
        "Asked nine times: 1 refund of 20 EUR.",
        "the limit 'money' is reached",
        "Checked: one request for it was on the wire, with a key of its own.",
    ),
    "somebody_else_edited_it": (
        "the agent left {'101/city': 'Paris'}, now it is {'101/city': 'Berlin'}",
        "Checked: nobody's work was touched.",
        "Checked: the colleague's title stands.",
        "Checked: the contact is in London again, as before the agent came.",
    ),
    "the_agent_that_approved_itself": (
        "decisions have to be signed here",
        "is not a key that may approve here",
        "it has no signature by a key that may approve",
        "Checked: nothing was sent, whatever it tried.",
        "Checked: it went once.",
    ),
    "the_approver_sees_the_truth": (
        'sends       "amount": "50000"',
        "The agent's own words, not checked:",
        "Checked: no word of the text is among the facts.",
        "Checked: nobody was charged.",
    ),
    "untrash_the_inbox": (
        "taken back (30 restored)",
        "Checked: the mailbox is what it was, mail for mail, label for label.",
    ),
    "you_cannot_unsend": (
        "Checked: the customer never got the wrong price.",
        "Checked: the sales team got the mail, and then a correction.",
        "Checked: the customer got one mail, when the work was complete.",
    ),
}
"""For each story, what it has to have said in the end."""

COUNTING = '''
"""Notes down what passes the gate in this process. Python imports a module of this name when it starts."""

import os
import sys

try:
    import agentguard.engine as engine
    import agentguard.guard as guard
    import agentguard.undoing as undoing
except ImportError:  # another Python, which a story has started for something else
    sys.exit("the calls of this process cannot be counted")


def note(word):
    # One write of a few bytes to a file that is opened for appending: whole, from however many processes.
    with open(os.environ["STORY_COUNTS"], "a") as counts:
        counts.write(word + "\\n")


def counted(where, name, word):
    original = getattr(where, name)

    def wrapped(*args, **kwargs):
        result = original(*args, **kwargs)
        if word == "write" and args[0].operation.effect == "read":
            note("gated read")
        elif word != "read" or result:  # `passes` says whether it is one
            note(word)
        return result

    setattr(where, name, wrapped)


counted(guard.Guard, "passes", "read")
counted(guard, "guard", "write")
counted(engine, "obtain", "ask")
counted(undoing, "obtain", "ask")
'''


@dataclass(frozen=True)
class Told:
    """What a story came to."""

    code: int
    said: str
    wrong: str
    counts: dict[str, int]


def names() -> list[str]:
    return sorted(path.stem for path in EXAMPLES.glob("*.py") if not path.stem.startswith("_"))


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of a test run have in common, so that each story runs once."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "stories"
    folder.mkdir(exist_ok=True)
    return folder


def tell(name: str, shared: Path) -> Told:
    """Run the story *name*; where it has run or is running, wait for what it came to."""
    folder, result = shared / name, shared / f"{name}.json"
    try:
        folder.mkdir()
    except FileExistsError:
        until = time.monotonic() + 90
        while not result.exists():
            assert time.monotonic() < until, f"{name} did not end"
            time.sleep(0.1)
        return Told(**json.loads(result.read_text()))
    (folder / "sitecustomize.py").write_text(COUNTING)
    counts = folder / "counts"
    counts.touch()
    kept = {key: value for key, value in os.environ.items() if not key.startswith("AGENTGUARD_")}
    try:
        ran = subprocess.run(
            [sys.executable, str(EXAMPLES / f"{name}.py")],
            cwd=folder,
            env={**kept, "PYTHONPATH": str(folder), "STORY_COUNTS": str(counts)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        told = Told(ran.returncode, ran.stdout, ran.stderr, dict(Counter(counts.read_text().splitlines())))
    except subprocess.TimeoutExpired as late:  # others wait for what it came to
        told = Told(-1, "", str(late), {})
    (folder / "result").write_text(json.dumps(asdict(told)))
    (folder / "result").rename(result)
    return told


@pytest.mark.parametrize("name", names())
def test_a_story_ends_well_and_says_what_it_is_about(name: str, shared: Path) -> None:
    story = tell(name, shared)
    assert story.code == 0, story.said + story.wrong
    # That a forged approval was found is said by the library itself.
    assert [line for line in story.wrong.splitlines() if "does not count" not in line] == []
    assert [sentence for sentence in SENTENCES[name] if sentence not in story.said + story.wrong] == []
    assert 10 <= len(story.said.splitlines()) <= 30
    assert story.counts["read"] > 0, "an agent looks before it writes"


def test_of_the_calls_of_all_stories_at_most_one_in_twenty_asks_and_no_read_does(shared: Path) -> None:
    counts = sum((Counter(tell(name, shared).counts) for name in names()), Counter[str]())
    calls = counts["read"] + counts["write"]
    share = counts["ask"] / calls
    print(f"{counts['ask']} of {calls} calls asked ({share:.1%}); {counts['read']} of them were reads")
    assert counts["gated read"] == 0
    assert counts["ask"] > 0, "nothing asked, so that nothing was measured"
    assert share <= 0.05


@pytest.mark.parametrize("name", names())
def test_a_story_can_be_read_from_top_to_bottom(name: str) -> None:
    text = (EXAMPLES / f"{name}.py").read_text()
    assert 40 <= len(text.splitlines()) <= 120
    title, _, story = (ast.get_docstring(ast.parse(text)) or "").partition("\n\n")
    assert len(title.splitlines()) == 1
    assert len(re.findall(r"[.?!](?:\s|$)", story)) == 3, "the story is told in three sentences"


def test_each_story_has_its_line_in_the_list() -> None:
    listed = re.findall(r"^\* \[[^\]]+\]\((\w+)\.py\)", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == names() == sorted(SENTENCES)


def test_a_story_that_is_not_so_ends_with_1(tmp_path: Path) -> None:
    script = "from _stand_ins import check\ncheck(True, 'it is.')\ncheck(False, 'it is not.')\nprint('never said')\n"
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=EXAMPLES, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "Checked: it is.\n", "NOT SO: it is not.\n")
