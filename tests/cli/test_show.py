"""`agentguard show` tells what happened to a session from its beginning to what people and recovery made of it."""

from __future__ import annotations

import json

import pytest

from agentguard.cli import main
from tests.cli.world import World

Capsys = pytest.CaptureFixture[str]


def shown(capsys: Capsys, *arguments: str) -> str:
    capsys.readouterr()
    assert main(["show", *arguments]) == 0
    return capsys.readouterr().out


def in_order(text: str, *parts: str) -> None:
    """Check that *parts* are in the text, one after the other."""
    at = 0
    for part in parts:
        assert part in text[at:], f"{part!r} is not there, or not after the others, in:\n{text}"
        at = text.index(part, at) + len(part)


def test_what_an_exception_led_to_is_a_branch_below_the_rollback(world: World, capsys: Capsys) -> None:
    text = shown(capsys, "mistake")
    in_order(text, "user    uma", "1  ", "notes.notes.create  list", "rollback: ValueError: the list is of last year")
    in_order(
        text, "└── ", "rollback: ", "    ├── ", "call 1: notes.delete restored", "everything is taken back: 1 restored"
    )


def test_the_call_that_failed_before_a_rollback_is_named_as_what_led_to_it(world: World, capsys: Capsys) -> None:
    assert main(["rollback", "invoices", "--yes"]) == 1
    text = " ".join(shown(capsys, "invoices").replace("│", " ").split())
    assert "agentguard rollback (call 1, notes.notes.create: IN DOUBT: sent, and no answer)" in text
    assert "something could NOT be taken back" in text


def test_savepoints_and_checkpoints_stand_where_they_were_made(world: World, capsys: Capsys) -> None:
    text = shown(capsys, "monday")
    in_order(text, "notes.notes.create  welcome", "Ashu starts on Monday (90% sure)", "checkpoint written")
    in_order(text, "checkpoint written", "savepoint half way", "notes.notes.update", "completed")


def test_rollbacks_are_told_one_after_the_other(world: World, capsys: Capsys) -> None:
    assert main(["rollback", "monday", "--to", "half way", "--yes"]) == 0
    assert main(["rollback", "monday", "--yes"]) == 0
    text = shown(capsys, "monday")
    in_order(text, "has a new owner (number 2)", "rollback to savepoint half way: agentguard rollback")
    in_order(text, "savepoint half way:", "call 2: notes.update restored", "has a new owner (number 3)")
    in_order(
        text, "(number 3)", "rollback: agentguard rollback", "call 1: notes.delete restored", "taken back: 2 restored"
    )


def test_a_held_and_a_refused_call_are_shown_with_the_rule_that_decided(world: World, capsys: Capsys) -> None:
    in_order(shown(capsys, "letters"), "held, sent when the session completes", "rule", "letters wait")
    text = shown(capsys, "outbox")
    in_order(
        text, "OPEN", "frozen  by uma: it tries what guests must not", "stopped, never sent", "guests do not purge"
    )
    assert main(["thaw", "outbox"]) == 0
    text = shown(capsys, "outbox")
    assert "frozen  by" not in text
    in_order(text, "frozen by uma: it tries what guests must not", "thawed by ")


@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_an_approval_says_who_gave_it_and_whether_it_is_signed(world: World, capsys: Capsys, signed: bool) -> None:
    if signed:
        assert main(["keys", "new", "ashu", "--file", "ashu.pem", "--json"]) == 0
        world.configure(f'[approvals.keys]\nashu = "{json.loads(capsys.readouterr().out)["public"]}"\n')
    who = ["--key", "ashu.pem"] if signed else ["--by", "ashu"]
    assert main(["approve", world.request, *who, "--reason", "they are closed"]) == 0
    how = "signed with the key of ashu" if signed else "unsigned"
    text = " ".join(shown(capsys, "books").replace("│", " ").split())
    in_order(text, f"approval {world.request} asked for, of notes.notes.purge", "stopped, never sent")
    assert f"approval {world.request} approved by ashu ({how}): they are closed" in text


def test_what_recovery_and_people_did_is_told_as_well(world: World, capsys: Capsys) -> None:
    assert main(["recover"]) == 1
    assert main(["resolve", "invoices/1", "--not-applied", "--by", "uma", "--note", "their log has no such note"]) == 0
    text = shown(capsys, "invoices")
    in_order(text, "has a new owner (number 2)", "interrupted: its process is gone")
    assert "call 1: a person decided not applied by uma: their log has no such note" in text
    in_order(text, "did not happen", "person", "not applied, by uma: their log has no such note")


def test_the_json_has_the_same_history(world: World, capsys: Capsys) -> None:
    assert main(["resolve", "colleagues/1.1", "--close", "--by", "uma", "--note", "theirs is right"]) == 0
    told = json.loads(shown(capsys, "colleagues", "--json"))
    assert [(entry["kind"], entry["call"]) for entry in told["history"]][-3:] == [
        ("undo conflict", 1),
        ("session partial", None),
        ("resolved", 1),
    ]
    assert told["calls"][0]["undos"][0]["resolution"]["note"] == "theirs is right"
    assert "events" not in told


def test_the_raw_events_are_those_of_the_chain(world: World, capsys: Capsys) -> None:
    told = json.loads(shown(capsys, "done", "--events", "--json"))["events"]
    assert [event["kind"] for event in told] == ["session started", "intent", "committed", "session completed"]
    assert main(["audit", "export", "--session", "done"]) == 0
    exported = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(event["id"], event["kind"]) for event in exported] == [(event["id"], event["kind"]) for event in told]
    text = shown(capsys, "done", "--events")
    in_order(text, "session started", '"agent": "keeper"', "intent", "committed", "session completed")


def test_a_purged_session_is_still_drawn(world: World, capsys: Capsys) -> None:
    assert main(["purge", "--session", "colleagues", "--yes"]) == 0
    text = shown(capsys, "colleagues")
    in_order(text, "PARTIAL", "notes.notes.create", "rollback", "purged by ")
    assert "agenda" not in text
