"""The ledger file: who may read it, what survives a kill, and how threads, processes and forks share it."""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import apsw
import pytest

from agentguard import LedgerError, NoSuchSession, SessionClosed, SessionExists, leases
from agentguard.calls import CallState, Outcome
from agentguard.errors import SessionBusy, SessionLost
from agentguard.ledger import open_ledger
from agentguard.ledger.rows import CallRow, SessionRow, SessionState, UndoRow, UndoState
from agentguard.ledger.sqlite import SqliteLedger


def started(ledger: SqliteLedger, name: str = "s1") -> SqliteLedger:
    ledger.start_session(SessionRow(id=name, agent="a", intent="b", started_at=1.0))
    return ledger


def call(session: str = "s1", **facts: object) -> CallRow:
    return CallRow(session=session, connector="test", base="http://x", name="things.create", **facts)  # type: ignore[arg-type]  # the fields are checked by the row


def undo() -> UndoRow:
    return UndoRow(session="s1", name="things.delete", arguments={"id": 7}, left={"a": 1}, back=None)


def test_folder_and_file_are_for_the_owner_alone(ledger: Path) -> None:
    started(SqliteLedger.at(ledger))
    assert stat.S_IMODE(ledger.parent.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in ledger.parent.iterdir()}
    assert set(modes.values()) == {0o600}, modes
    assert "ledger.db-wal" in modes


def test_what_was_written_is_read_back_by_a_new_connection(ledger: Path) -> None:
    store = started(SqliteLedger.at(ledger))
    row = store.intend(
        call(arguments={"title": "Ünïcode", "n": [1, None]}, snapshots=[{"a": 1}]), [undo()], keyed=False
    )
    store.settle(row, CallState.COMMITTED, 0, undos=[undo(), undo()], status=201, answer={"id": 7})
    again = SqliteLedger(ledger)
    (read,) = again.calls("s1")
    assert (read.seq, read.arguments, read.snapshots, read.state, read.answer, read.status) == (
        1,
        {"title": "Ünïcode", "n": [1, None]},
        [{"a": 1}],
        CallState.COMMITTED,
        {"id": 7},
        201,
    )
    assert [(u.seq, u.n, u.arguments, u.state) for u in again.undos("s1")] == [
        (1, 1, {"id": 7}, UndoState.PLANNED),
        (1, 2, {"id": 7}, UndoState.PLANNED),
    ]
    assert [event.kind for event in again.events("s1")] == ["session started", "intent", "committed"]


def test_an_undo_goes_from_planned_by_sending_to_its_outcome(ledger: Path) -> None:
    store = started(SqliteLedger.at(ledger))
    store.intend(call(), [undo()], keyed=False)
    (planned,) = store.undos("s1")
    store.begin_undo(planned, 0)
    assert store.undos("s1")[0].state is UndoState.SENDING
    store.end_undo(planned, Outcome.RESTORED, "", {"seen": True}, 0)
    (done,) = store.undos("s1")
    assert (done.state, done.outcome, done.found) == (UndoState.DONE, Outcome.RESTORED, {"seen": True})


def test_events_can_neither_be_changed_nor_removed(ledger: Path) -> None:
    started(SqliteLedger.at(ledger))
    other = apsw.Connection(str(ledger))
    with pytest.raises(apsw.ConstraintError, match="append-only"):
        other.execute("UPDATE event SET kind = 'nothing happened'")
    with pytest.raises(apsw.ConstraintError, match="append-only"):
        other.execute("DELETE FROM event")


def test_a_session_name_is_taken_once(ledger: Path) -> None:
    store = started(SqliteLedger.at(ledger))
    with pytest.raises(SessionExists, match="Nothing was started"):
        started(store)


def test_an_unknown_session_says_where_to_look(ledger: Path) -> None:
    with pytest.raises(NoSuchSession, match="agentguard sessions"):
        SqliteLedger.at(ledger).session("nope")


def test_equal_calls_have_keys_of_their_own_and_a_doubtful_one_is_repeated_under_its_key(ledger: Path) -> None:
    store = started(SqliteLedger.at(ledger))
    first = store.intend(call(digest="d" * 64), [], keyed=True)
    second = store.intend(call(digest="d" * 64), [], keyed=True)
    assert first.key != second.key
    store.settle(first, CallState.COMMITTED, 0)
    store.settle(second, CallState.IN_DOUBT, 0)
    repeat = store.intend(call(digest="d" * 64), [], keyed=True)
    assert repeat.key == second.key
    store.settle(repeat, CallState.COMMITTED, 0)
    states = [(c.seq, c.state) for c in store.calls("s1")]
    assert states == [(1, CallState.COMMITTED), (2, CallState.NOT_APPLIED), (3, CallState.COMMITTED)]
    assert "settled by call 3" in (store.calls("s1")[1].error or "")


def test_the_callers_own_key_is_kept(ledger: Path) -> None:
    store = started(SqliteLedger.at(ledger))
    assert store.intend(call(key="mine"), [], keyed=True).key == "mine"


def test_a_ledger_of_a_newer_version_is_left_alone(ledger: Path) -> None:
    SqliteLedger(ledger).close()
    other = apsw.Connection(str(ledger))
    other.pragma("user_version", 99)
    other.close()
    with pytest.raises(LedgerError, match="newer agentguard"):
        SqliteLedger(ledger)


def test_a_file_that_is_no_ledger_is_refused_with_the_next_step(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are notes, not a database, and long enough to be read as a header" * 20)
    with pytest.raises(LedgerError, match="AGENTGUARD_LEDGER"):
        SqliteLedger(path)


def test_an_unknown_kind_of_url_is_refused() -> None:
    with pytest.raises(LedgerError, match="mysql://"):
        open_ledger("mysql://user:secret@host/db")


def test_threads_share_one_ledger(ledger: Path) -> None:
    store = started(SqliteLedger.at(ledger))

    def work() -> None:
        for _ in range(25):
            store.settle(store.intend(call(), [undo()], keyed=False), CallState.COMMITTED, 0)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [c.seq for c in store.calls("s1")] == list(range(1, 201))


WRITER = """
import sys
from agentguard.ledger import open_ledger
from agentguard.ledger.rows import CallRow, SessionRow
store = open_ledger(sys.argv[1])
store.start_session(SessionRow(id=sys.argv[2], agent="a", intent="b"))
for n in range(50):
    store.intend(CallRow(session=sys.argv[2], connector="t", base="b", name="n"), [], keyed=False)
"""


def test_processes_share_one_ledger(ledger: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(ledger), f"s{n}"]) for n in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    store = SqliteLedger(ledger)
    assert [len(store.calls(f"s{n}")) for n in range(4)] == [50] * 4


def test_what_a_killed_process_wrote_is_there(ledger: Path) -> None:
    script = WRITER + "import os, signal; os.kill(os.getpid(), signal.SIGKILL)\n"
    done = subprocess.run([sys.executable, "-c", script, str(ledger), "s1"], check=False)
    assert done.returncode == -signal.SIGKILL
    store = SqliteLedger(ledger)
    assert len(store.calls("s1")) == 50
    assert store.session("s1").state is SessionState.OPEN


def test_a_forked_child_opens_its_own_connection(ledger: Path) -> None:
    store = started(SqliteLedger.at(ledger))
    child = os.fork()
    if child == 0:
        store.intend(call(), [], keyed=False)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    store.intend(call(), [], keyed=False)
    assert [c.seq for c in store.calls("s1")] == [1, 2]


def test_an_intent_is_one_sync_and_a_result_is_none(ledger: Path) -> None:
    """Counted in the system calls of a process that writes ten intents and ten results."""
    script = (
        WRITER.replace("range(50)", "range(10)")
        .replace("    store.intend(", "    from agentguard.calls import CallState\n    store.settle(store.intend(")
        .replace("keyed=False)", "keyed=False), CallState.COMMITTED, 0)")
    )
    trace = ledger.parent.parent / "trace"
    command = ["strace", "-f", "-o", str(trace), "-e", "trace=fsync,fdatasync,write", sys.executable, "-c"]
    marked = script.replace("for n in", "import os; os.write(2, b'BEGIN'); \nfor n in")
    marked += "os.write(2, b'END')\n"
    subprocess.run([*command, marked, str(ledger), "s1"], check=True, capture_output=True)
    between = re.search(r'write\(2, "BEGIN".*?write\(2, "END"', trace.read_text(), re.DOTALL)
    assert between is not None
    assert len(re.findall(r"f(?:data)?sync\(", between.group())) == 10


def test_a_ledger_that_is_deleted_while_it_is_open_takes_no_intents(ledger: Path) -> None:
    store = started(SqliteLedger.at(ledger))
    store.intend(call(), [], keyed=False)
    ledger.unlink()
    with pytest.raises(LedgerError, match="was deleted or replaced"):
        store.intend(call(), [], keyed=False)


def test_a_directory_in_place_of_a_ledger_is_refused_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="AGENTGUARD_LEDGER"):
        SqliteLedger.at(tmp_path)


def test_a_full_disk_refuses_the_intent_and_keeps_what_was_written(ledger: Path) -> None:
    script = """
import resource, sys
from agentguard.errors import LedgerError
from agentguard.ledger import open_ledger
from agentguard.ledger.rows import CallRow, SessionRow
store = open_ledger(sys.argv[1])
store.start_session(SessionRow(id="s1", agent="a", intent="b"))
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
for n in range(1000):
    try:
        row = CallRow(session="s1", connector="t", base="b", name="n", arguments={"n": n, "text": "x" * 4000})
        store.intend(row, [], keyed=False)
    except LedgerError as error:
        print(n, error)
        break
"""
    done = subprocess.run([sys.executable, "-c", script, str(ledger)], check=True, capture_output=True, text=True)
    written, _, message = done.stdout.partition(" ")
    assert "could not be written" in message
    assert "disk" in message
    assert 0 < int(written) == len(SqliteLedger(ledger).calls("s1"))


def test_a_row_of_a_newer_version_is_refused_and_not_guessed_at(ledger: Path) -> None:
    store = started(SqliteLedger.at(ledger))
    store.intend(call(), [], keyed=False)
    other = apsw.Connection(str(ledger))
    other.execute("UPDATE call SET state = 'postponed'")
    with pytest.raises(LedgerError, match="newer"):
        store.calls("s1")
    other.execute("UPDATE session SET state = 'suspended'")
    with pytest.raises(LedgerError, match="newer"):
        store.intend(call(), [], keyed=False)


def test_a_doubt_among_equal_calls_gives_no_other_call_its_key(ledger: Path) -> None:
    store = started(SqliteLedger.at(ledger))
    first, second = (store.intend(call(digest="d"), [], keyed=True) for _ in range(2))
    store.settle(first, CallState.IN_DOUBT, 0)
    repeat = store.intend(call(digest="d"), [], keyed=True)
    third = store.intend(call(digest="d"), [], keyed=True)
    assert repeat.key == first.key
    assert len({first.key, second.key, third.key}) == 3
    store.settle(repeat, CallState.NOT_APPLIED, 0)
    again = store.intend(call(digest="d"), [], keyed=True)
    assert again.key == first.key


def test_a_late_answer_plans_no_undo_anew(ledger: Path) -> None:
    store = started(SqliteLedger.at(ledger))
    row = store.intend(call(), [undo()], keyed=False)
    other = SqliteLedger(ledger)
    other.settle(row, CallState.COMMITTED, 0, undos=[undo()])
    (planned,) = other.undos("s1")
    other.begin_undo(planned, 0)
    other.end_undo(planned, Outcome.COMPENSATED, "", None, 0)
    store.settle(row, CallState.COMMITTED, 0, undos=[undo()])
    assert [u.outcome for u in store.undos("s1")] == [Outcome.COMPENSATED]
    assert store.events("s1")[-1].kind == "late answer"


@pytest.mark.parametrize("state", [SessionState.COMPLETED, SessionState.ROLLED_BACK, SessionState.ROLLING_BACK])
def test_a_session_that_is_over_takes_no_intent_from_anybody(ledger: Path, state: SessionState) -> None:
    store = started(SqliteLedger.at(ledger))
    SqliteLedger(ledger).end_session("s1", state, 0)
    with pytest.raises(SessionClosed, match="Nothing was sent"):
        store.intend(call(), [], keyed=False)


def test_a_session_has_one_owner_until_its_lease_runs_out_or_its_process_dies(ledger: Path) -> None:
    store, other = started(SqliteLedger.at(ledger)), SqliteLedger(ledger)
    started(store, "s2")
    assert store.claim("s1", leases.new_owner(), leases.now() + 60).token == 0
    with pytest.raises(SessionBusy, match="Nothing was done"):
        other.claim("s1", leases.new_owner(), leases.now() + 60)
    assert other.claim("s2", leases.new_owner(), leases.now() + 60).owner is None
    assert store.renew("s1", 1, leases.now() - 1)
    assert other.claim("s1", leases.new_owner(), leases.now() + 60).token == 1
    assert not store.renew("s1", 1, leases.now() + 60)
    other.release("s1", 2)
    script = (
        "import sys; from agentguard import leases; from agentguard.ledger import open_ledger;"
        "open_ledger(sys.argv[1]).claim('s1', leases.new_owner(), leases.now() + 60); print(1, flush=True); input()"
    )
    held = subprocess.Popen([sys.executable, "-c", script, str(ledger)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert held.stdout is not None
    held.stdout.readline()
    with pytest.raises(SessionBusy):
        store.claim("s1", leases.new_owner(), leases.now() + 60)
    held.kill()
    held.communicate()
    assert store.claim("s1", leases.new_owner(), leases.now() + 60).token == 3


def test_what_an_earlier_owner_writes_changes_no_row(ledger: Path) -> None:
    store = started(SqliteLedger.at(ledger))
    sent, undone = (store.intend(call(), [undo()], keyed=False) for _ in range(2))
    store.settle(undone, CallState.COMMITTED, 0, undos=[undo()])
    planned = store.undos("s1")[1]
    store.begin_undo(planned, 0)
    store.claim("s1", leases.new_owner(), leases.now() + 60)
    with pytest.raises(SessionLost, match="Nothing was sent"):
        store.intend(call(), [], keyed=False)
    with pytest.raises(SessionLost, match="Nothing was sent"):
        store.begin_undo(planned, 0)
    assert not store.settle(sent, CallState.COMMITTED, 0, answer={"id": 7})
    store.end_undo(planned, Outcome.RESTORED, "", None, 0)
    with pytest.raises(SessionLost):
        store.end_session("s1", SessionState.ROLLED_BACK, 0)
    assert store.end_session("s1", SessionState.COMPLETED, 0) is SessionState.OPEN
    assert [c.state for c in store.calls("s1")] == [CallState.INTENT, CallState.COMMITTED]
    assert store.undos("s1")[1].state is UndoState.SENDING
    (late,) = store.events("s1", "late answer")
    assert (late.seq, late.data["state"], late.data["answer"]) == (1, "committed", {"id": 7})
    assert len(store.events("s1", "late undo")) == 1


def test_a_child_that_is_forked_while_another_thread_writes_can_write(ledger: Path) -> None:
    script = """
import os, sys, threading
from agentguard.ledger import open_ledger
from agentguard.ledger.rows import CallRow, SessionRow
store = open_ledger(sys.argv[1])
store.start_session(SessionRow(id="s1", agent="a", intent="b"))
write = lambda: store.intend(CallRow(session="s1", connector="t", base="b", name="n"), [], keyed=False)
stop = threading.Event()
def busy():
    while not stop.is_set():
        write()
thread = threading.Thread(target=busy)
thread.start()
children = []
for _ in range(20):
    child = os.fork()
    if child == 0:
        write()
        os._exit(0)
    children.append(child)
codes = [os.waitpid(child, 0)[1] for child in children]
stop.set()
thread.join()
print(codes)
"""
    command = [sys.executable, "-W", "ignore", "-c", script, str(ledger)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == str([0] * 20)
    seqs = [c.seq for c in SqliteLedger(ledger).calls("s1")]
    assert seqs == list(range(1, len(seqs) + 1))
    assert apsw.Connection(str(ledger)).pragma("integrity_check") == "ok"
