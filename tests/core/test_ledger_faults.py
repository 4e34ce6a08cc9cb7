"""A ledger that is locked, full, read-only, damaged, older or newer: no write is sent, and reads go on."""

from __future__ import annotations

import json
import logging
import random
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import apsw
import httpx
import pytest

import agentguard
from agentguard import CallState, LedgerError, Outcome
from agentguard.cli import main
from agentguard.ledger import database
from agentguard.ledger.sqlite import SqliteLedger
from tests.boxes import Box
from tests.core.notes import notes
from tests.core.test_faults_of_rollback import outcomes

WRITES = ("POST", "PATCH", "DELETE")
ROOT = Path(__file__).parents[2]
Fault = Callable[[agentguard.Session, Path], AbstractContextManager[None]]


@pytest.fixture(autouse=True)
def _short_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for a locked ledger here."""
    monkeypatch.setattr(database, "WAIT", 0.2)


def connection(session: agentguard.Session) -> apsw.Connection:
    """The connection that the session's ledger writes with."""
    ledger = session.ledger
    assert isinstance(ledger, SqliteLedger)
    return ledger.database._db


# While a session is under way


@contextmanager
def another_process(script: str, *arguments: str) -> Iterator[None]:
    """Run *script* until it has said that it is ready, and end it afterwards."""
    command = [sys.executable, "-c", f"{script}\nprint('ready', flush=True)\ninput()", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield
        process.communicate("\n")


def another_writer(_session: agentguard.Session, ledger: Path) -> AbstractContextManager[None]:
    script = "import fcntl, sys; file = open(sys.argv[1], 'a'); fcntl.flock(file, fcntl.LOCK_EX)"
    return another_process(script, f"{ledger}.lock")


def another_transaction(_session: agentguard.Session, ledger: Path) -> AbstractContextManager[None]:
    script = "import apsw, sys; db = apsw.Connection(sys.argv[1]); db.execute('BEGIN EXCLUSIVE')"
    return another_process(script, str(ledger))


@contextmanager
def no_room(session: agentguard.Session, _ledger: Path) -> Iterator[None]:
    db = connection(session)
    before = db.pragma("max_page_count")
    db.pragma("max_page_count", db.pragma("page_count"))
    try:
        yield
    finally:
        db.pragma("max_page_count", before)


@contextmanager
def no_writing(session: agentguard.Session, _ledger: Path) -> Iterator[None]:
    """What SQLite says where a file system was mounted read-only meanwhile."""
    connection(session).pragma("query_only", True)
    try:
        yield
    finally:
        connection(session).pragma("query_only", False)


@contextmanager
def upgraded(session: agentguard.Session, ledger: Path) -> Iterator[None]:
    known = connection(session).pragma("user_version")
    other = apsw.Connection(str(ledger))
    other.pragma("user_version", 999)
    try:
        yield
    finally:
        other.pragma("user_version", known)
        other.close()


@contextmanager
def damaged_value(session: agentguard.Session, _ledger: Path) -> Iterator[None]:
    """A row whose token is no number any more, as a damaged byte can leave it."""
    db = connection(session)
    before = db.execute("SELECT state FROM session WHERE id = ?", (session.id,)).fetchone()
    db.execute("UPDATE session SET state = CAST(x'6fff656e' AS TEXT) WHERE id = ?", (session.id,))
    try:
        yield
    finally:
        db.execute("UPDATE session SET state = ? WHERE id = ?", (*(before or ()), session.id))


@dataclass(frozen=True)
class Case:
    """A fault, and what is said of it: what happened, and what to do next."""

    fault: Fault
    happened: str
    remedy: str
    stops_rollback: bool = True


CASES = {
    "another process writes for ever": Case(another_writer, "another process has kept it locked", "Wait for the proc"),
    "another process has a transaction": Case(another_transaction, "database is locked", "Wait for the process"),
    # What is left of the last pages may be enough for a rollback.
    "the disk is full": Case(no_room, "database or disk is full", "See to the disk's space", stops_rollback=False),
    "the disk is read-only": Case(no_writing, "attempt to write a readonly database", "See to the permissions"),
    "a newer version upgraded it": Case(upgraded, "written by a newer agentguard", "Upgrade agentguard"),
    "a value is damaged": Case(damaged_value, "could not be written", "damaged", stops_rollback=False),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_no_write_is_sent_and_reads_go_on_until_the_fault_is_gone(
    box: Box, guarded: httpx.Client, session: agentguard.Session, ledger: Path, case: Case
) -> None:
    guarded.post("notes", json={"title": "before"})
    with case.fault(session, ledger):
        with pytest.raises(LedgerError) as refused:
            for number in range(200):  # a full ledger still takes what fits into its last page
                guarded.post("notes", json={"title": f"within {number}", "body": "long " * 500})
        sent = len(box.requests(*WRITES))
        for attempt in (
            lambda: guarded.post("notes", json={"title": "during", "body": "long " * 500}),
            lambda: guarded.patch("notes/1", json={"body": "during " * 500}),
            *([session.rollback] if case.stops_rollback else []),
        ):
            with pytest.raises(LedgerError, match=r"nothing is sent|Nothing was"):
                attempt()
        assert len(box.requests(*WRITES)) == sent
        assert guarded.get("notes/1").json()["title"] == "before"
    told = str(refused.value)
    assert case.happened in told
    assert "nothing is sent" in told
    assert case.remedy in told
    assert str(ledger) in told

    guarded.post("notes", json={"title": "after"})
    titles = [call.arguments["title"] for call in session.calls]
    assert titles == ["before", *(f"within {number}" for number in range(sent - 1)), "after"]
    if case.stops_rollback:
        assert {call.state for call in session.calls} == {CallState.COMMITTED}
    assert session.rollback().ok
    assert box.snapshot()["notes"] == {}


def test_a_session_is_not_started_on_a_ledger_that_is_locked(box: Box, ledger: Path, session: Any) -> None:
    session.ledger.close()
    with another_writer(session, ledger), pytest.raises(LedgerError, match=r"kept it locked .* Nothing was started"):
        agentguard.session(agent="a", intent="b", ledger=ledger)
    assert agentguard.session(agent="a", intent="b", ledger=ledger).calls == []


def test_who_gave_up_waiting_does_not_keep_the_ledger_from_others(ledger: Path, session: agentguard.Session) -> None:
    with another_writer(session, ledger), pytest.raises(LedgerError):
        session.savepoint("one")
    with another_writer(session, ledger):
        pass  # it has the lock
    session.savepoint("two")
    assert session.savepoints() == {"two": 0}


# With the limits and permissions of the operating system, in a process of its own

PROGRAM = """
import json, os, resource, sys
from pathlib import Path
import httpx, agentguard
from tests.core.notes import notes

url, ledger, fault = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
session = agentguard.session(agent="a", intent="b", ledger=ledger)
guarded = agentguard.wrap(httpx.Client(base_url=f"{url}/v1/"), session, notes)
guarded.post("notes", json={"title": "before"})

def attempts():
    for number in range(1000):
        try:
            guarded.post("notes", json={"title": f"during {number}", "body": "long " * 500})
        except agentguard.LedgerError as error:
            return {"sent": number, "told": str(error), "read": guarded.get("notes/1").json()["title"]}

if fault == "full":
    size = max(file.stat().st_size for file in ledger.parent.iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50_000, resource.RLIM_INFINITY))
    print(json.dumps(attempts()), flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
else:
    guarded.get("notes/1")  # whatever is imported late cannot be once we are nobody
    child = os.fork()  # a child opens the ledger anew
    if child == 0:
        for file in ledger.parent.iterdir():
            file.chmod(0o444)
        ledger.parent.chmod(0o555)
        if os.geteuid() == 0:  # root may write whatever the mode says
            os.seteuid(65534)
        print(json.dumps(attempts()), flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    ledger.parent.chmod(0o700)
    for file in ledger.parent.iterdir():
        file.chmod(0o600)
guarded.post("notes", json={"title": "after"})
print(session.id, flush=True)
"""


@pytest.mark.parametrize(
    ("fault", "remedy"), [("full", "See to the disk's space"), ("read-only", "See to the permissions")]
)
def test_a_program_whose_ledger_cannot_grow_or_be_opened_sends_nothing_that_is_not_on_record(
    box: Box, client: httpx.Client, fault: str, remedy: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to others than the one who runs it
        Path(folder).chmod(stat.S_IRWXU | stat.S_IXOTH | stat.S_IROTH)
        path = Path(folder) / "ledger" / "ledger.db"
        command = [sys.executable, "-W", "ignore", "-c", PROGRAM, box.url, str(path), fault]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        first, name = done.stdout.splitlines()
        seen = json.loads(first)
        assert seen["read"] == "before"
        assert "nothing is sent" in seen["told"]
        assert remedy in seen["told"]
        assert (seen["sent"] > 0) == (fault == "full")
        assert len(box.requests(*WRITES)) == 2 + seen["sent"]
        loaded = agentguard.load(name, ledger=path)
        loaded.use(client, notes)
        states = [call.state for call in loaded.calls]
        assert len(states) == 2 + seen["sent"]
        # There may have been room for an intent and not for its result: a rollback settles that.
        assert set(states) <= {CallState.COMMITTED, CallState.INTENT if fault == "full" else CallState.COMMITTED}
        assert states[0] is states[-1] is CallState.COMMITTED
        assert loaded.rollback().ok
        assert box.snapshot()["notes"] == {}
        loaded.ledger.close()


# Damage


@pytest.fixture
def recorded(box: Box, client: httpx.Client, tmp_path: Path) -> tuple[str, Path, Path]:
    """A session's name, and its ledger twice: as it lies while it is open, and closed. The third answer was lost."""
    path = tmp_path / "recorded" / "ledger.db"
    client.post("notes", json={"title": "mine", "body": "old"})
    session = agentguard.session(agent="a", intent="b", ledger=path)
    guarded = agentguard.wrap(client, session, notes)
    guarded.post("notes", json={"title": "one"})
    guarded.patch("notes/1", json={"body": "new"})
    session.savepoint("half way")
    guarded.post("notes", json={"title": "two"})
    box.fault("drop_after")
    with pytest.raises(httpx.HTTPError):
        guarded.post("notes", json={"title": "three"})
    for name in ("open", "closed"):
        (tmp_path / name).mkdir()
        for file in path.parent.glob("ledger.db*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, tmp_path / name)
        session.ledger.close()
    return session.id, tmp_path / "open", tmp_path / "closed"


def damage(folder: Path, seeded: random.Random) -> None:
    """Change one bit of the database or of its log, or cut one of them off."""
    file = seeded.choice([path for path in sorted(folder.glob("ledger.db*")) if path.stat().st_size])
    data = bytearray(file.read_bytes())
    if seeded.random() < 0.25:
        del data[seeded.randrange(len(data)) :]
    else:
        used = [place for place, byte in enumerate(data) if byte] if seeded.random() < 0.8 else range(len(data))
        data[seeded.choice(used)] ^= 1 << seeded.randrange(8)
    file.write_bytes(data)


UNDOS: list[tuple[str, str, Any]] = [
    ("DELETE", "/v1/notes/2", None),
    ("PATCH", "/v1/notes/1", {"body": "old"}),
    ("DELETE", "/v1/notes/3", None),
    ("DELETE", "/v1/notes/4", None),
]
"""What takes back each of the calls, in their order."""


@pytest.mark.parametrize("seed", range(4))
def test_a_damaged_ledger_is_refused_or_does_what_it_would_have_done(
    box: Box,
    client: httpx.Client,
    recorded: tuple[str, Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    seed: int,
) -> None:
    name, *copies = recorded
    state, seeded = box.snapshot(), random.Random(seed)
    refused = 0
    for number in range(50):
        folder = tmp_path / f"damaged {number}"
        shutil.copytree(copies[number % 2], folder)
        damage(folder, seeded)
        box.reset().seed(**state)
        capsys.readouterr()  # what the library has said of the one before
        code = command("show", name, "--ledger", str(folder / "ledger.db"))
        told = capsys.readouterr().err
        assert (code, told.count("\n")) in ((0, 0), (2, 1)), told
        if (claimed := taken_back(client, name, folder / "ledger.db")) is None:
            refused += 1
        sent = [(request["verb"], request["path"], request["body"]) for request in box.requests(*WRITES)]
        assert all(sent.count(one) == 1 and one in UNDOS for one in sent), (number, sent)
        left = box.snapshot()["notes"]
        for seq in claimed or ():
            assert left["1"]["body"] == "old" if seq == 2 else UNDOS[seq - 1][1].rpartition("/")[2] not in left
        write_anew(box, client, folder / "ledger.db")
        if folder / "ledger.db" in SqliteLedger._open:
            SqliteLedger._open[folder / "ledger.db"].close()
        shutil.rmtree(folder)
    assert 0 < refused < 50


def test_a_damaged_undo_is_never_sent_whichever_byte_of_it_it_is(
    box: Box, client: httpx.Client, recorded: tuple[str, Path, Path]
) -> None:
    """SQLite gives out what is there: a digit of an id that has become another one is a different thing to delete."""
    name, _open, closed = recorded
    path = closed / "ledger.db"
    db = apsw.Connection(str(path))
    sent = len(box.requests(*WRITES))
    for seq, n in db.execute("SELECT seq, n FROM undo").fetchall():
        for column in ("name", "arguments", "look", "left", "back"):
            where = f'"{column}" = ? WHERE seq = {seq} AND n = {n}'
            [(text,)] = db.execute(f'SELECT "{column}" FROM undo WHERE seq = ? AND n = ?', (seq, n)).fetchall()
            for place, letter in enumerate(text):
                db.execute(f"UPDATE undo SET {where}", (text[:place] + chr(ord(letter) ^ 1) + text[place + 1 :],))
                with pytest.raises(LedgerError, match=r"damaged|cannot read"):
                    SqliteLedger.at(path).undos(name)
            db.execute(f"UPDATE undo SET {where}", (text.replace("2", "6").replace("old", "odd") + " ",))
            assert taken_back(client, name, path) is None
            db.execute(f"UPDATE undo SET {where}", (text,))
    assert len(box.requests(*WRITES)) == sent
    db.close()
    assert taken_back(client, name, path) == [4, 3, 2, 1]
    SqliteLedger.at(path).close()


def command(*arguments: str) -> int:
    """Run `agentguard` here, and take the way in which it logs away again."""
    log = logging.getLogger("agentguard")
    before = list(log.handlers)
    code = main([*arguments])
    log.handlers = before
    return code


def taken_back(client: httpx.Client, name: str, ledger: Path) -> list[int] | None:
    """The calls that a rollback claims to have restored; None where the ledger was refused."""
    try:
        loaded = agentguard.load(name, ledger=ledger)
        loaded.use(client, notes)
        report = loaded.rollback()
    except LedgerError:
        return None
    return [one.seq for one in report.outcomes if one.outcome is Outcome.RESTORED]


def write_anew(box: Box, client: httpx.Client, ledger: Path) -> None:
    """A new session on a damaged ledger sends what it has put on record, or refuses."""
    before = len(box.requests("POST"))
    try:
        session = agentguard.session(agent="a", intent="b", ledger=ledger)
        agentguard.wrap(client, session, notes).post("notes", json={"title": "anew"})
    except LedgerError:
        assert len(box.requests("POST")) == before
        return
    assert len(box.requests("POST")) == before + 1


# Schemas


def test_a_ledger_of_the_first_version_is_brought_up_to_date_and_rolled_back(
    box: Box, client: httpx.Client, ledger: Path
) -> None:
    for title in ("mine", "made", "lost"):
        client.post("notes", json={"title": title})
    first = resources.files("agentguard.ledger") / "migrations" / "0001_ledger.sql"
    ledger.parent.mkdir()
    old = apsw.Connection(str(ledger))
    old.execute("PRAGMA journal_mode = WAL")
    old.execute(first.read_text())
    old.pragma("user_version", 1)
    old.execute(
        "INSERT INTO session (id, agent, intent, on_error, state, started_at) "
        "VALUES ('s1', 'a', 'b', 'rollback', 'completed', 1)"
    )
    for seq, title, state, answer in ((1, "made", "committed", {"id": 2}), (2, "lost", "intent", None)):
        old.execute(
            "INSERT INTO call (session, seq, connector, base, name, method, target, arguments, effect, risk, state, "
            "digest, ordinal, snapshots, answer, created_at) "
            "VALUES ('s1', ?, 'notes', ?, 'notes.create', '', '', ?, 'reversible', 'low', ?, 'd', 0, '[]', ?, 1)",
            (seq, f"{box.url}/v1/", json.dumps({"title": title}), state, json.dumps(answer)),
        )
    look = {"operation": "notes.get", "arguments": {"id": 2}, "view": "note"}
    left = {"title": "made", "body": ""}
    old.execute(
        'INSERT INTO undo (session, seq, n, name, arguments, look, "left", back, same_shape, remains, state, attempt, '
        "detail, found) VALUES ('s1', 1, 1, 'notes.delete', '{\"id\": 2}', ?, ?, ?, 0, '', 'planned', 0, '', 'null')",
        (json.dumps(look), json.dumps(left), json.dumps({"$absent": True})),
    )
    told = [("session started", None), ("intent", 1), ("committed", 1), ("intent", 2)]
    for kind, of in told:
        old.execute("INSERT INTO event (session, seq, kind, at, data) VALUES ('s1', ?, ?, 1, '{}')", (of, kind))
    old.close()

    loaded = agentguard.load("s1", ledger=ledger)
    loaded.use(client, notes)
    assert [(event.kind, event.seq) for event in loaded.ledger.events("s1")] == told
    assert [call.state for call in loaded.calls] == [CallState.COMMITTED, CallState.IN_DOUBT]
    assert outcomes(loaded.rollback()) == [Outcome.RESTORED] * 2
    assert [note["title"] for note in box.snapshot()["notes"].values()] == ["mine"]
    assert len(box.requests("DELETE")) == 2


def test_a_ledger_of_a_newer_version_is_refused_and_not_changed(
    box: Box, guarded: httpx.Client, session: agentguard.Session, ledger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    guarded.post("notes", json={"title": "one"})
    session.ledger.close()
    other = apsw.Connection(str(ledger))
    known = other.pragma("user_version")
    other.pragma("user_version", 999)
    other.pragma("journal_mode", "delete")  # as a newer version may well keep it
    other.close()
    before = ledger.read_bytes()
    with pytest.raises(LedgerError, match=r"newer agentguard \(schema 999.*Nothing was changed.*Upgrade agentguard"):
        agentguard.session(agent="a", intent="b", ledger=ledger)
    assert command("rollback", session.id, "--yes", "--ledger", str(ledger)) == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(LedgerError, match="nothing is sent"):
        guarded.post("notes", json={"title": "two"})
    assert guarded.get("notes/1").json()["title"] == "one"
    assert ledger.read_bytes() == before
    assert {path.name for path in ledger.parent.iterdir()} <= {"ledger.db", "ledger.db.lock"}
    assert len(box.requests(*WRITES)) == 1
    other = apsw.Connection(str(ledger))
    other.pragma("user_version", known)
    other.close()
    again = agentguard.load(session.id, ledger=ledger)
    assert [call.state for call in again.calls] == [CallState.COMMITTED]
