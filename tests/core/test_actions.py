"""Plain functions under a contract: recorded first, undone by name, and judged by what can be seen."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import agentguard
from agentguard import CallState, Effect, Outcome, Risk

ROWS: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    ROWS.clear()
    yield
    ROWS.clear()


def remove_row(name: str) -> None:
    del ROWS[name]


def row(name: str) -> Any:
    return ROWS.get(name)


@agentguard.action("test.insert", undo=remove_row, look=row)
def insert_row(name: str, value: int = 1) -> dict[str, Any]:
    """Insert a row."""
    ROWS[name] = value
    return {"name": name}


@agentguard.action("test.insert_blind", undo=remove_row)
def insert_blind(name: str) -> None:
    ROWS[name] = 1


async def aremove_row(name: str) -> None:
    await asyncio.sleep(0)
    del ROWS[name]


@agentguard.action("test.ainsert", undo=aremove_row, look=row)
async def ainsert_row(name: str) -> None:
    await asyncio.sleep(0)
    ROWS[name] = 1


@agentguard.action("test.shout", undo=None, effect=Effect.IRREVERSIBLE, risk=Risk.HIGH, reason="It has been heard.")
def shout(words: str) -> str:
    ROWS["heard"] = words
    return words.upper()


def put_back(name: str, old: Any) -> None:
    ROWS[name] = old


@agentguard.action(
    "test.fails_after", undo=put_back, undo_arguments=lambda result, name: {"name": name, "old": 0}, look=row
)
def fails_after(name: str) -> None:
    ROWS[name] = 2
    raise TimeoutError("no answer")


def session(ledger: Path, **options: Any) -> agentguard.Session:
    return agentguard.session(agent="tester", intent="test an action", ledger=ledger, **options)


def test_an_action_is_recorded_and_its_result_returned(ledger: Path) -> None:
    with session(ledger) as s:
        assert insert_row("a", value=3) == {"name": "a"}
    (call,) = s.calls
    assert (call.operation, call.arguments, call.state) == (
        "action.test.insert",
        {"name": "a", "value": 3},
        CallState.COMMITTED,
    )
    assert s.state == "completed"


@agentguard.action("people.greet", undo=None, effect=Effect.IRREVERSIBLE, risk=Risk.LOW, reason="Said is said.")
def greet(name: str, words: str = "hello", *more: str, loudly: bool = False) -> str:
    return f"{words} {name}"


@agentguard.action("people.thank", undo=None, effect=Effect.IRREVERSIBLE, risk=Risk.LOW, reason="Said is said.")
def thank(name: str, words: str = "thanks") -> str:
    return f"{words} {name}"


def test_arguments_are_on_record_by_name_and_in_order_however_they_are_passed(ledger: Path) -> None:
    with agentguard.session(agent="a", intent="b", ledger=ledger, on_error="leave") as session:
        assert [thank("Mia"), thank("Mia", "ta"), thank("Mia", words="ta"), thank(words="ta", name="Mia")] == [
            "thanks Mia",
            *["ta Mia"] * 3,
        ]
        greet("Mia")
        greet("Mia", "hi", "again", loudly=True)
        for wrong in (
            lambda: thank(),
            lambda: thank("a", "b", "c"),
            lambda: thank("a", name="a"),
            lambda: thank(who="a"),
        ):
            with pytest.raises(TypeError):
                wrong()
    told = [call.arguments for call in session.calls]
    assert told[:4] == [{"name": "Mia", "words": "thanks"}, *[{"name": "Mia", "words": "ta"}] * 3]
    assert told[4:] == [
        {"name": "Mia", "words": "hello", "more": [], "loudly": False},
        {"name": "Mia", "words": "hi", "more": ["again"], "loudly": True},
    ]
    assert {tuple(arguments) for arguments in told[:4]} == {("name", "words")}


def test_a_rollback_restores_and_says_so_because_it_looked(ledger: Path) -> None:
    with session(ledger) as s:
        insert_row("a")
        insert_row("b")
    report = s.rollback()
    assert ROWS == {}
    assert [r.outcome for r in report.outcomes] == [Outcome.RESTORED, Outcome.RESTORED]
    assert [r.target for r in report.outcomes] == ["b", "a"]
    assert report.ok
    assert s.state == "rolled_back"


def test_without_a_look_nothing_better_than_compensated_is_said(ledger: Path) -> None:
    with session(ledger) as s:
        insert_blind("a")
    assert s.rollback().outcomes[0].outcome is Outcome.COMPENSATED


def test_an_exception_rolls_back_and_carries_the_report(ledger: Path) -> None:
    with pytest.raises(ValueError, match="half way") as caught, session(ledger) as s:
        insert_row("a")
        raise ValueError("half way")
    assert ROWS == {}
    assert "1 restored" in caught.value.__notes__[0]
    assert s.ledger.session(s.id).cause == "ValueError: half way"


def test_on_error_leave_leaves_everything(ledger: Path) -> None:
    with pytest.raises(ValueError, match="x"), session(ledger, on_error="leave"):
        insert_row("a")
        raise ValueError("x")
    assert ROWS == {"a": 1}


def test_what_somebody_changed_since_is_a_conflict_and_is_left_alone(ledger: Path) -> None:
    with session(ledger) as s:
        insert_row("a")
        insert_row("b")
    ROWS["b"] = "edited by a person"
    report = s.rollback()
    assert ROWS == {"b": "edited by a person"}
    assert [r.outcome for r in report.outcomes] == [Outcome.CONFLICT, Outcome.RESTORED]
    assert "edited by a person" in report.outcomes[0].detail
    assert not report.ok
    assert s.state == "partial"


def test_what_is_gone_already_is_said_to_be(ledger: Path) -> None:
    with session(ledger) as s:
        insert_row("a")
    ROWS.clear()
    assert s.rollback().outcomes[0].outcome is Outcome.ALREADY_UNDONE


def test_a_second_rollback_touches_nothing_and_reports_the_same(ledger: Path) -> None:
    with session(ledger) as s:
        insert_row("a")
    first = s.rollback()
    ROWS["a"] = "made later"
    assert s.rollback().to_dict() == first.to_dict()
    assert ROWS == {"a": "made later"}


def test_a_failing_undo_does_not_stop_the_others(ledger: Path) -> None:
    with session(ledger) as s:
        insert_row("a")
        insert_blind("b")
    ROWS.pop("b")  # its undo will raise KeyError, and nothing shows why
    report = s.rollback()
    assert [r.outcome for r in report.outcomes] == [Outcome.IN_DOUBT, Outcome.RESTORED]
    assert ROWS == {}


def test_a_savepoint_limits_the_rollback(ledger: Path) -> None:
    with session(ledger) as s:
        insert_row("a")
        with s.savepoint("before b"):
            insert_row("b")
        report = s.rollback(to="before b")
        assert ROWS == {"a": 1}
        assert [r.target for r in report.outcomes] == ["b"]
        insert_row("c")  # the session goes on
    assert s.rollback().ok
    assert ROWS == {}


def test_a_savepoint_block_that_fails_goes_back_to_its_beginning(ledger: Path) -> None:
    with session(ledger) as s:
        insert_row("a")
        with pytest.raises(KeyError), s.savepoint("risky"):
            insert_row("b")
            raise KeyError("b")
        assert ROWS == {"a": 1}
        assert s.state == "open"


def test_an_unknown_savepoint_names_the_known_ones(ledger: Path) -> None:
    with session(ledger) as s:
        s.savepoint("one")
        with pytest.raises(agentguard.UsageError, match="there are: one"):
            s.rollback(to="two")


def test_the_reason_and_the_confidence_go_on_record(ledger: Path) -> None:
    with session(ledger) as s, s.because("the list says so", confidence=0.8):
        insert_row("a")
    assert (s.calls[0].reason, s.calls[0].confidence) == ("the list says so", 0.8)


def test_confidence_is_a_probability(ledger: Path) -> None:
    with session(ledger) as s, pytest.raises(agentguard.UsageError, match="from 0 to 1"), s.because("x", confidence=80):
        pass


def test_an_action_outside_of_a_session_is_not_run() -> None:
    with pytest.raises(agentguard.UsageError, match="It was not run"):
        insert_row("a")
    assert ROWS == {}


def test_arguments_that_are_not_json_are_refused_before_it_runs(ledger: Path) -> None:
    with session(ledger) as s, pytest.raises(agentguard.UsageError, match="not JSON"):
        insert_row(object())  # type: ignore[arg-type]  # the mistake that is tested
    assert ROWS == {}
    assert s.calls == []


def test_high_risk_asks_and_without_anybody_to_ask_stops(ledger: Path) -> None:
    with session(ledger) as s, pytest.raises(agentguard.ApprovalRequired, match="Nothing was sent"):
        shout("hello")
    assert ROWS == {}
    assert [c.state for c in s.calls] == [CallState.REFUSED]
    assert s.rollback().outcomes == []


def test_the_approver_sees_the_exact_call(ledger: Path) -> None:
    cards: list[agentguard.Card] = []

    def approver(card: agentguard.Card) -> bool:
        cards.append(card)
        return True

    with session(ledger, approver=approver) as s:
        assert shout("hello") == "HELLO"
    assert cards[0].arguments == {"words": "hello"}
    assert cards[0].undo == "none"
    report = s.rollback()
    assert [(r.outcome, r.detail) for r in report.outcomes] == [(Outcome.IRREVERSIBLE, "It has been heard.")]
    assert not report.ok


@pytest.mark.parametrize("answer", [False, "yes", 1])
def test_only_true_is_a_yes(ledger: Path, answer: object) -> None:
    with session(ledger, approver=lambda _card: answer), pytest.raises(agentguard.ApprovalDenied):
        shout("hello")
    assert ROWS == {}


def test_an_approver_that_fails_stops_the_call(ledger: Path) -> None:
    def approver(card: agentguard.Card) -> bool:
        raise ConnectionError("the pager is down")

    with (
        session(ledger, approver=approver) as s,
        pytest.raises(agentguard.ApprovalRequired, match=r"pager is down\. Nothing was"),
    ):
        shout("hello")
    assert ROWS == {}
    assert s.calls[0].state is CallState.REFUSED


def test_a_call_whose_end_is_unknown_is_settled_by_looking(ledger: Path) -> None:
    ROWS["a"] = 0
    with session(ledger) as s:
        with pytest.raises(TimeoutError) as caught:
            fails_after("a")
        assert "not known whether" in caught.value.__notes__[0]
        assert s.calls[0].state is CallState.IN_DOUBT
    report = s.rollback()
    assert report.outcomes[0].outcome is Outcome.IN_DOUBT
    assert not report.ok


async def test_async_actions_are_undone_by_arollback(ledger: Path) -> None:
    async with session(ledger) as s:
        await asyncio.gather(*(ainsert_row(f"row {n}") for n in range(20)))
    assert len(ROWS) == len(s.calls) == 20
    report = await s.arollback()
    assert ROWS == {}
    assert {r.outcome for r in report.outcomes} == {Outcome.RESTORED}


async def test_an_exception_in_one_of_many_tasks_takes_all_back(ledger: Path) -> None:
    async def break_off() -> None:
        await asyncio.sleep(0.01)
        raise ValueError("one of them failed")

    with pytest.raises(ValueError, match="one of them"):
        async with session(ledger):
            await asyncio.gather(*(ainsert_row(f"row {n}") for n in range(20)), break_off())
    assert ROWS == {}


def test_eight_threads_record_and_unwind_correctly(ledger: Path) -> None:
    with session(ledger) as s:

        def work(thread: int) -> None:
            with s.active():
                for n in range(5):
                    insert_row(f"{thread}/{n}")

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(ROWS) == 40
    assert sorted(c.seq for c in s.calls) == list(range(1, 41))
    assert s.rollback().ok
    assert ROWS == {}


def test_another_process_undoes_an_action_by_its_name(tmp_path: Path, ledger: Path) -> None:
    (tmp_path / "shop.py").write_text(
        "import json, pathlib, agentguard\n"
        "FILE = pathlib.Path(__file__).with_name('rows.json')\n"
        "def rows(): return json.loads(FILE.read_text()) if FILE.exists() else {}\n"
        "def drop(name):\n"
        "    kept = rows(); del kept[name]; FILE.write_text(json.dumps(kept))\n"
        "def look(name): return rows().get(name)\n"
        "@agentguard.action('shop.add', undo=drop, look=look)\n"
        "def add(name): FILE.write_text(json.dumps({**rows(), name: 1}))\n"
    )
    do = (
        "import os, sys, agentguard, shop\n"
        "s = agentguard.session(agent='a', intent='b', id='crashed', ledger=sys.argv[1]).__enter__()\n"
        "shop.add('x'); shop.add('y'); os._exit(9)\n"
    )
    undo = "import sys, agentguard, shop\nprint(agentguard.load('crashed', ledger=sys.argv[1]).rollback())\n"
    assert subprocess.run([sys.executable, "-c", do, str(ledger)], cwd=tmp_path, check=False).returncode == 9
    assert json.loads((tmp_path / "rows.json").read_text()) == {"x": 1, "y": 1}
    said = subprocess.run(
        [sys.executable, "-c", undo, str(ledger)], cwd=tmp_path, check=True, capture_output=True, text=True
    ).stdout
    assert "2 restored" in said
    assert json.loads((tmp_path / "rows.json").read_text()) == {}


def test_an_action_that_is_not_declared_here_fails_and_says_what_to_do(ledger: Path) -> None:
    with session(ledger) as s:

        @agentguard.action("test.temporary", undo=remove_row)
        def temporary(name: str) -> None:
            ROWS[name] = 1

        temporary("a")
    sys.modules["agentguard.action"]._functions.pop("test.temporary.undo")
    report = s.rollback()
    assert report.outcomes[0].outcome is Outcome.FAILED
    assert "Import the module" in report.outcomes[0].detail
