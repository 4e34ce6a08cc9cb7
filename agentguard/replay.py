"""Calls that a resumed session makes again: the recorded response comes back, and nothing is sent.

An agent that is started again after a crash does its work from the beginning. Of equal calls the n-th one is taken for
the n-th on record; a call that the program has named (`session.once`) is known by its name. What is on record as in
doubt is settled first. Calls that certainly did not happen, or that were taken back, are not on record in this sense.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from agentguard.calls import CallState, Json
from agentguard.errors import AnswerLost, UsageError
from agentguard.ledger.rows import CallRow, UndoRow
from agentguard.redaction import Redactor
from agentguard.wire.http import Headers, Response

KEPT_HEADERS = ("content-type", "location", "etag", "last-modified", "link", "request-id", "x-github-request-id")
"""What SDKs read from a response beside its body."""
LARGEST = 1 << 20
"""Bytes of a body that are kept for a repeated call. A larger one leaves a call that cannot be repeated."""
HAPPENED_OR_MAY_HAVE = frozenset({CallState.INTENT, CallState.COMMITTED, CallState.IN_DOUBT, CallState.HELD})


@dataclass
class Once:
    """A block in which calls have a name; those that have come to an answer are counted, so that a repeat is known."""

    name: str
    done: int = 0

    def named(self, ahead: int = 0) -> str:
        """The name of the next call, or of the one that is so many *ahead* in the same request."""
        number = self.done + ahead + 1
        return self.name if number == 1 else f"{self.name}#{number}"


once: ContextVar[Once | None] = ContextVar("agentguard_once", default=None)


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Name the calls in the block; see `Session.once`."""
    if not name:
        raise UsageError("a name given with `once` is a text that is not empty. Nothing was sent.")
    token = once.set(Once(name))
    try:
        yield
    finally:
        once.reset(token)


class Memory:
    """The calls of earlier owners of a session, each handed out once."""

    def __init__(self, calls: Iterable[CallRow], undos: Iterable[UndoRow]) -> None:
        self._lock = threading.Lock()
        self._calls: dict[str, deque[CallRow]] = {}
        gone = taken_back(undos)
        for call in calls:
            if call.once is None and call.state in HAPPENED_OR_MAY_HAVE and call.seq not in gone:
                self._calls.setdefault(call.digest, deque()).append(call)

    def take(self, digest: str) -> CallRow | None:
        """The next call on record that is equal, if there is one."""
        with self._lock:
            waiting = self._calls.get(digest)
            return waiting.popleft() if waiting else None

    def put_back(self, call: CallRow) -> None:
        """Have *call* be the next again: nothing came of the one that it was handed out for."""
        with self._lock:
            self._calls.setdefault(call.digest, deque()).appendleft(call)

    def forget(self, gone: set[int]) -> None:
        """Hand out no call with one of these numbers: this process has taken them back."""
        with self._lock:
            for digest, waiting in self._calls.items():
                self._calls[digest] = deque(call for call in waiting if call.seq not in gone)


def taken_back(undos: Iterable[UndoRow]) -> set[int]:
    """The numbers of the calls that were taken back."""
    return {undo.seq for undo in undos if undo.name and undo.outcome is not None and undo.outcome.ok}


def recordable(response: Response, value: Json, redactor: Redactor) -> Json:
    """What the ledger keeps of *response*, so that it can be given again. *value* is what was understood of it."""
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    kept: dict[str, Json] = {"status": response.status, "headers": redactor.clean_headers(headers)}
    if len(response.body) > LARGEST:
        return {**kept, "too_large": len(response.body)}
    if not response.body:
        return kept
    try:
        body = json.loads(response.body)
    except ValueError:
        try:
            return {**kept, "text": redactor.clean_text(response.body.decode())}
        except UnicodeDecodeError:
            return {**kept, "binary": len(response.body)}
    if body == value:
        return {**kept, "as_answer": True}  # what is on record as the answer already
    return {**kept, "json": redactor.clean(body)}


def found_again(value: Json) -> Json:
    """What stands for the response of a call whose answer was lost and was looked up as *value*."""
    return {"status": 200, "headers": {"content-type": "application/json; charset=utf-8"}, "json": value}


def response_of(call: CallRow, redactor: Redactor) -> Response:
    """The recorded response of *call*. Raises AnswerLost where it cannot be given again."""
    kept = call.response
    if not isinstance(kept, dict) or "too_large" in kept or "binary" in kept:
        why = "larger than what is kept" if isinstance(kept, dict) else "never on record, as its answer was lost"
        raise AnswerLost(
            f"{call.operation} on {call.target} is call {call.seq} of session {call.session} again, which happened, "
            f"and its response is {why}. Nothing was sent. Read the state from the service instead, or name the call "
            "that you mean to make anew with `session.once(...)`."
        )
    if "as_answer" in kept:
        body = json.dumps(redactor.reveal_known(call.answer)).encode()
    elif "json" in kept:
        body = json.dumps(redactor.reveal_known(kept["json"])).encode()
    else:
        body = str(redactor.reveal_known(kept.get("text", ""))).encode()
    return Response(kept["status"], Headers(kept["headers"]), body)


class Replaying(Protocol):
    """Where a call meets the world, as far as repeated calls are concerned."""

    def replay(self, call: CallRow) -> object:
        """What the SDK goes on with when *call* is made again."""
