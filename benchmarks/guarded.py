"""The guarded work that is measured: actions and an SDK's client whose effects are nothing at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from agentguard_connectors.http import Api, Route, declare

import agentguard
from agentguard.ledger.sqlite import SqliteLedger

KILOBYTE = "x" * 1024
BASE = "https://service.example/api"
"""Where the service would be; nothing connects there, as the transport answers in memory."""
API = Api(
    "bench",
    routes=(Route("POST /things", undo="DELETE /things/{result.id}"), Route("DELETE /things/{id}")),
    base=BASE,
)


@agentguard.action("bench.write", undo=lambda: None, undo_arguments=lambda result, **given: {})
def write(text: str) -> None:
    """Do nothing, with arguments that are put on record."""


@agentguard.action("bench.awrite", undo=lambda: None, undo_arguments=lambda result, **given: {})
async def awrite(text: str) -> None:
    """Do nothing, in an asynchronous program."""


@contextmanager
def session(folder: Path, **more: Any) -> Iterator[agentguard.Session]:
    """A session with a ledger in *folder*, left as it is at the end of the block."""
    path = folder / "ledger.db"
    started = agentguard.session(agent="bench", intent="be measured", ledger=path, on_error="leave", **more)
    try:
        with started.active():
            yield started
    finally:
        started.complete()
        SqliteLedger.at(path).close()


class Client(httpx.Client):
    """An SDK's client with a method that does nothing, to see what calling one costs."""

    def ping(self) -> None:
        """Do nothing."""


def client(base: str = BASE) -> Client:
    """A client that is answered in memory."""
    answer = json.dumps({"id": "thing-0001", "text": "made"}).encode()
    headers = {"content-type": "application/json"}

    def reply(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=headers, content=answer)

    return Client(base_url=base, transport=httpx.MockTransport(reply))


def guarded_client(started: agentguard.Session) -> Client:
    """The same, wrapped for a session under a declaration that knows how to take its writes back."""
    return agentguard.wrap(client(), started, connector=declare(API))
