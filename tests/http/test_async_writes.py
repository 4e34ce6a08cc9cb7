"""Asynchronous programs: the loop goes on while something is put on record, and a cancelled task leaves the truth."""

from __future__ import annotations

import asyncio
import fcntl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from agentguard_connectors.http import Api, Route, declare

import agentguard
from agentguard.calls import CallState, Outcome
from agentguard.ledger.database import Database
from agentguard.ledger.rows import CallRow
from agentguard.ledger.sqlite import SqliteLedger
from tests.boxes import Box

ROUTES = (Route("POST /notes", undo="DELETE /notes/{result.id}", look="GET /notes/{result.id}"),)


@pytest.fixture
async def guarded(box: Box, session: agentguard.Session) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{box.url}/v1") as client:
        yield agentguard.wrap(client, session, declare(Api("notes-async", ROUTES)))


@contextmanager
def locked(ledger: Path) -> Iterator[Callable[[], None]]:
    """Keep the ledger's lock, as another process that writes does; what is yielded lets it go."""
    with open(f"{ledger}.lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield lambda: fcntl.flock(file, fcntl.LOCK_UN)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - threads come to it, which set no event of the loop
            await asyncio.sleep(0.005)


def waits_for_the_lock() -> bool:
    return any(thread.name == "agentguard-lock" for thread in threading.enumerate())


def only_call(session: agentguard.Session) -> CallRow:
    (call,) = session.calls
    return call


async def test_the_loop_goes_on_while_a_call_is_put_on_record(
    guarded: httpx.AsyncClient, session: agentguard.Session, box: Box, ledger: Path
) -> None:
    with locked(ledger) as let_go:
        posting = asyncio.create_task(guarded.post("/notes", json={"title": "one"}))
        await until(waits_for_the_lock)  # which it could not see if the loop waited with it
        assert box.requests("POST") == []
        assert not posting.done()
        let_go()
        assert (await posting).status_code == 201
    assert only_call(session).state is CallState.COMMITTED


async def test_a_task_that_is_cancelled_while_its_intent_is_written_sends_nothing(
    guarded: httpx.AsyncClient, session: agentguard.Session, box: Box, ledger: Path
) -> None:
    with locked(ledger) as let_go:
        posting = asyncio.create_task(guarded.post("/notes", json={"title": "one"}))
        await until(waits_for_the_lock)
        for _ in range(3):
            posting.cancel()
            await asyncio.sleep(0.01)
        assert not posting.done(), "what is being written is written to its end"
        let_go()
        with pytest.raises(asyncio.CancelledError) as cancelled:
            await posting
    assert box.requests("POST") == []
    call = only_call(session)
    assert (call.state, call.error) == (CallState.NOT_APPLIED, "NotBegun: the task was cancelled before")
    assert "has done nothing" in "".join(cancelled.value.__notes__)
    assert (await session.arollback()).ok


async def test_a_task_that_is_cancelled_while_its_result_is_written_leaves_it_on_record(
    guarded: httpx.AsyncClient, session: agentguard.Session, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle, writes, go_on = SqliteLedger.settle, threading.Event(), threading.Event()

    def slowly(*args: Any, **kwargs: Any) -> bool:
        writes.set()
        assert go_on.wait(10)
        return settle(*args, **kwargs)

    monkeypatch.setattr(SqliteLedger, "settle", slowly)
    posting = asyncio.create_task(guarded.post("/notes", json={"title": "one"}))
    await until(writes.is_set)
    posting.cancel()
    await asyncio.sleep(0.01)
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await posting
    assert len(box.snapshot()["notes"]) == 1
    assert only_call(session).state is CallState.COMMITTED
    report = await session.arollback()
    assert [result.outcome for result in report.outcomes] == [Outcome.RESTORED]
    assert box.snapshot()["notes"] == {}


async def test_a_time_limit_of_the_program_stays_one(guarded: httpx.AsyncClient, box: Box, ledger: Path) -> None:
    with locked(ledger) as let_go:
        asyncio.get_running_loop().call_later(0.2, let_go)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await guarded.post("/notes", json={"title": "one"})
    assert box.requests("POST") == []
    assert (await guarded.post("/notes", json={"title": "two"})).status_code == 201


async def test_tasks_share_commits(
    guarded: httpx.AsyncClient, session: agentguard.Session, box: Box, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[int] = []
    commit = Database._commit

    def counted(self: Database, turns: Any) -> None:
        commits.append(len(turns))
        commit(self, turns)

    monkeypatch.setattr(Database, "_commit", counted)
    with locked(ledger) as let_go:
        posting = [asyncio.create_task(guarded.post("/notes", json={"title": str(n)})) for n in range(20)]
        await until(lambda: len(session.ledger.database._queue) == 19)  # type: ignore[attr-defined]
        let_go()
        await asyncio.gather(*posting)
    assert commits[:2] == [1, 19]
    assert len(box.snapshot()["notes"]) == 20
    assert {call.state for call in session.calls} == {CallState.COMMITTED}
    assert sorted(call.seq for call in session.calls) == list(range(1, 21))


def test_another_event_loop_writes_all_the_same(session: agentguard.Session) -> None:
    """A coroutine needs no asyncio to be driven; what cannot be waited for in its way is waited for."""
    plain = httpx.AsyncClient(transport=_Answers(), base_url="http://127.0.0.1:9/v1")
    client = agentguard.wrap(plain, session, declare(Api("notes-async", ROUTES)))
    coroutine = client.post("/notes", json={"title": "one"})
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    assert ended.value.value.status_code == 201
    assert only_call(session).state is CallState.COMMITTED


class _Answers(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(201, json={"id": 1, "title": "one", "body": ""}, request=request)
