"""The processes of the state machine: each is an agent, or somebody who recovers, and does what it is told by a line.

`python -m tests.crash.actor SOCKET` has imported everything and done nothing else. It forks a process for each line of
its input; that one connects to SOCKET, reads a JSON object a line, does it, and answers with one. A point that is named
with the order kills the process there, with SIGKILL, as a crash would.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx

import agentguard
from agentguard import failpoints, undoing
from agentguard.policy import Condition, Policy, Rule, Verdict
from tests.core.notes import notes

TRIED = "x-tried"
"""The header by which the machine knows which try of which call a request is."""
LIMIT = 30
"""Seconds after which a process that hangs is killed."""
NEEDED = """
agentguard.opening agentguard.recovery agentguard.doubt agentguard.guard agentguard.wire.httpx agentguard.judging
agentguard.outbox agentguard.proxy agentguard.ledger.sqlite anyio asyncio encodings.idna h11 httpcore
httpcore._sync.http11 certifi
"""
"""What every process needs and imports late: imported once, before they are forked."""


def main(where: str) -> None:
    """Fork a process for each line of the input, until that ends."""
    for name in NEEDED.split():
        import_module(name)
    undoing.LOOK_AGAIN_AFTER = (0.0, 0.001, 0.002)
    undoing.AGAIN_AFTER = (0.001, 0.002, 0.003)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them: what is dead is gone at once
    for _line in sys.stdin:
        if os.fork() == 0:
            os.close(0)
            Actor().obey(where)
            os._exit(0)


def policy() -> Policy:
    """Some calls are refused, some held, some ask a person."""

    def about(body: str) -> Condition:
        return Condition(argument="body", equals=body)

    return Policy(
        rules=[
            Rule(operations="notes.notes.create", when=about("no"), then=Verdict.REFUSE),
            Rule(operations="notes.notes.create", when=about("held"), then=Verdict.HOLD),
            Rule(operations="notes.notes.delete", then=Verdict.ASK),
            Rule(operations="notes.notes.purge", then=Verdict.ASK),
        ]
    )


class Actor:
    """One process: what it holds, and what it can be told to do."""

    session: agentguard.Session
    client: httpx.Client
    """Guarded, once a session is open."""

    def obey(self, where: str) -> None:
        """Do one order after the other until there are none."""
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(where)
            orders = line.makefile("rw")
            orders.write(f"{os.getpid()}\n")
            orders.flush()
            for text in orders:
                order = json.loads(text)
                signal.alarm(LIMIT)
                failpoints.arm({failpoints.POINT: order.pop("point", "")})
                try:
                    answer = self.do(**order)
                except Exception as error:  # noqa: BLE001 - what came of it is what the machine wants to know
                    answer = {"error": type(error).__name__, "told": str(error)[:400]}
                failpoints.arm({})
                orders.write(f"{json.dumps(answer)}\n")
                orders.flush()

    def do(self, order: str, **given: Any) -> dict[str, Any]:
        todo: Callable[..., dict[str, Any]] = getattr(self, order)
        return todo(**given)

    def open(self, session: str, ledger: str, url: str, on_crash: Any) -> dict[str, Any]:
        """Start a session, or resume it."""
        self.session = agentguard.session(
            agent="agent",
            intent="keep notes",
            id=session,
            ledger=ledger,
            on_crash=on_crash,
            approver="later",
            policy=policy(),
        )
        self.client = agentguard.wrap(plain(url), self.session, notes)
        return {}

    def call(self, tried: str, reason: str, verb: str, path: str, body: Any) -> dict[str, Any]:
        """Make one call through the guarded client."""
        with self.session.because(reason):
            answer = self.client.request(verb, path, json=body, headers={TRIED: tried})
        return {"status": answer.status_code}

    def savepoint(self, name: str) -> dict[str, Any]:
        self.session.savepoint(name)
        return {}

    def complete(self) -> dict[str, Any]:
        self.session.complete()
        return {}

    def rollback(self, to: str | None) -> dict[str, Any]:
        return self.session.rollback(to=to, agreed=True).to_dict()

    def undo(self, seq: int) -> dict[str, Any]:
        return {"outcome": str(self.session.undo(seq, agreed=True))}

    def recover(self, ledger: str, url: str) -> dict[str, Any]:
        """Recover what has no process any more, as `agentguard recover` does."""
        found = agentguard.recover(ledger=ledger, clients={"notes": plain(url)})
        return {"recovered": [one.to_dict() for one in found]}

    def take_back(self, session: str, ledger: str, url: str) -> dict[str, Any]:
        """Roll a session back from outside, as a person does."""
        loaded = agentguard.load(session, ledger=ledger)
        loaded.use(plain(url), notes)
        return loaded.rollback(agreed=True).to_dict()


def plain(url: str) -> httpx.Client:
    """A client that nobody guards."""
    return httpx.Client(base_url=f"{url}/v1/", verify=False)  # saves the loading of certificates, of which it uses none


if __name__ == "__main__":
    assert Path(sys.argv[1]).exists()
    main(sys.argv[1])
