"""The record proves itself: any edit is found, anchors find the rest, and purging leaves a chain that verifies."""

from __future__ import annotations

import json
import random
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest

import agentguard
from agentguard import audit
from agentguard.ledger.chain import Link, breaks
from agentguard.ledger.columns import loads
from tests.people.conftest import Agent


@pytest.fixture
def recorded(agent: Agent) -> Agent:
    """A ledger with two sessions, one of which was rolled back."""
    for number in range(2):
        session = agent.session(approver=lambda card: True)
        guarded = agent.wrapped(session)
        for title in ("one", "two"):
            made = guarded.post("notes", json={"title": title, "secret": "sk_live_1234567890abcdef"}).json()
            guarded.patch(f"notes/{made['id']}", json={"body": "changed"})
        if number:
            assert session.rollback().ok
        else:
            session.complete()
    return agent


def links_of(agent: Agent) -> list[Link]:
    db = apsw.Connection(str(agent.ledger))
    query = "SELECT id, session, seq, n, kind, at, data, salt, digest, hash FROM event ORDER BY id"
    found = [Link(*row) for row in db.execute(query)]
    db.close()
    return found


def test_an_untouched_record_agrees(recorded: Agent) -> None:
    found = audit.verify(recorded.store)
    assert found.ok, found.faults
    assert found.events == len(links_of(recorded)) > 20


def edited(links: list[Link], dice: random.Random) -> list[Link]:
    """One random edit, deletion, insertion or swap."""
    links = list(links)
    at = dice.randrange(len(links))
    kind = dice.randrange(4)
    if kind == 0:
        name = dice.choice(["session", "seq", "n", "kind", "at", "data", "salt", "digest", "hash"])
        old: Any = getattr(links[at], name)
        new = (
            {"seq": (old or 0) + 1, "n": (old or 0) + 1, "at": (old or 0) + 0.001} if name in ("seq", "n", "at") else {}
        )
        links[at] = replace(links[at], **{name: new.get(name, f"{old}x")})
    elif kind == 1:
        del links[dice.randrange(len(links) - 1)]  # cutting off the end is for anchors to find
    elif kind == 2:
        links.insert(at, replace(links[at], kind="undo restored"))
    else:
        other = dice.choice([n for n in range(len(links)) if n != at])
        links[at], links[other] = (
            replace(links[other], id=links[at].id),
            replace(links[at], id=links[other].id),
        )
    return links


def test_10000_random_edits_deletions_insertions_and_swaps_are_all_found(recorded: Agent) -> None:
    links, dice = links_of(recorded), random.Random(4)
    assert list(breaks(links, 0, {})) == []
    missed = [number for number in range(10_000) if not list(breaks(edited(links, dice), 0, {}))]
    assert missed == []


def test_truncation_and_a_full_rewrite_after_an_anchor_are_found(recorded: Agent, tmp_path: Path) -> None:
    from agentguard.ledger.chain import FIRST, digest_of, hash_of, new_salt

    audit.anchor_in_file(recorded.store, tmp_path / "anchors.jsonl")
    anchors = audit.anchors_of(tmp_path / "anchors.jsonl")
    links = links_of(recorded)
    assert audit.verify(recorded.store, anchors).ok
    for left in range(len(links)):
        assert list(breaks(links[:left], 0, anchors)), left
    for changed in range(len(links)):
        anew, before = [], FIRST
        for place, link in enumerate(links):
            data = link.data if place != changed else '{"operation":"github.issues.create"}'
            salt = new_salt() if place >= changed else str(link.salt)
            digest = digest_of(salt, data)
            before = hash_of(before, (link.id, link.session, link.seq, link.n, link.kind, link.at), digest)
            anew.append(replace(link, data=data, salt=salt, digest=digest, hash=before))
        assert list(breaks(anew, 0, {})) == [], "by itself a chain that was made anew is whole"
        assert list(breaks(anew, 0, anchors)), changed


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE call SET target = 'somebody else' WHERE seq = 2",
        "UPDATE call SET arguments = '{}' WHERE seq = 1",
        "UPDATE call SET state = 'not_applied' WHERE seq = 1",
        "UPDATE call SET answer = '{}' WHERE seq = 1",
        "DELETE FROM undo WHERE seq = 4; DELETE FROM call WHERE seq = 4",
        "UPDATE call SET told = NULL WHERE seq = 1",
        "UPDATE call SET asked = asked + 1 WHERE seq = 1",
        "UPDATE undo SET outcome = 'conflict' WHERE outcome IS NOT NULL",
        "UPDATE undo SET outcome = 'restored', state = 'done' WHERE outcome IS NULL",
        "UPDATE undo SET detail = 'as it was' WHERE outcome IS NOT NULL",
        "DELETE FROM undo WHERE outcome IS NOT NULL",
    ],
)
def test_a_row_that_is_not_what_its_events_tell_is_found(recorded: Agent, statement: str) -> None:
    recorded.store.close()
    db = apsw.Connection(str(recorded.ledger))
    db.execute(statement)
    db.close()
    assert not audit.verify(recorded.store).ok


def test_events_cannot_be_changed_by_way_of_the_ledger(recorded: Agent) -> None:
    db = apsw.Connection(str(recorded.ledger))
    for statement in (
        "DELETE FROM event",
        "UPDATE event SET kind = 'x'",
        "UPDATE event SET data = '{}'",
        "UPDATE event SET salt = NULL, data = '{}', hash = NULL",
    ):
        with pytest.raises(apsw.ConstraintError, match="append-only"):
            db.execute(statement)
    db.close()


def test_anchors_can_be_tags_of_a_git_repository(recorded: Agent, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path / "repo")], check=True)
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    commit = ["git", "-C", str(tmp_path / "repo"), *who, "commit", "-q", "--allow-empty", "-m", "x"]
    subprocess.run(commit, check=True)
    for name in ("user.name", "user.email"):
        subprocess.run(["git", "-C", str(tmp_path / "repo"), "config", name, "a@example.com"], check=True)
    made = audit.anchor_in_git(recorded.store, tmp_path / "repo")
    assert audit.anchors_of(tmp_path / "repo") == {made["event"]: made["hash"]}
    with pytest.raises(agentguard.UsageError, match="Nothing was anchored"):
        audit.anchor_in_git(recorded.store, tmp_path)
    with pytest.raises(agentguard.UsageError, match="Nothing was verified"):
        audit.anchors_of(tmp_path / "none")


def test_an_export_can_be_verified_by_anybody(recorded: Agent) -> None:
    events = list(audit.export(recorded.store))
    again = [json.loads(json.dumps(event)) for event in events]
    assert [event["id"] for event in again] == list(range(1, len(events) + 1))
    assert "sk_live" not in json.dumps(again)
    one = again[3]["session"]
    assert {event["session"] for event in audit.export(recorded.store, one)} == {one}


def test_purging_takes_payloads_away_and_the_chain_still_verifies(recorded: Agent) -> None:
    done, undone = sorted(row.id for row in recorded.store.sessions())
    assert audit.purge(recorded.store, done, "ops") > 5
    assert audit.verify(recorded.store).ok
    recorded.store.close()
    content = recorded.ledger.read_bytes()
    for path in recorded.ledger.parent.iterdir():
        content += path.read_bytes()
    assert b"tidy up" in content, "the other session keeps its payload"
    assert len(recorded.store.events(done)) > 5
    calls = recorded.store.calls(done)
    assert [call.arguments for call in calls] == [{"$purged": True}] * 4
    assert all(loads(link.data) == {} for link in links_of(recorded) if link.session == done and not link.salt)
    assert recorded.store.calls(undone)[0].arguments["title"] == "one"
    purged = agentguard.load(done, ledger=recorded.store)
    for take_back in (purged.rollback, purged.plan, lambda: purged.undo(1)):
        with pytest.raises(agentguard.UsageError, match="was purged"):
            take_back()
    with pytest.raises(agentguard.UsageError, match="Nothing was purged"):
        audit.purge(recorded.store, recorded.session().id, "ops")
    assert audit.expired(recorded.store, 0.0) == [undone]
    assert audit.expired(recorded.store, 3600) == []
