"""Idempotency keys as Stripe keeps its promises about them, on a clock that can be moved.

https://docs.stripe.com/api/idempotent_requests: an answer is saved once an endpoint has begun to execute, whatever it
is, and is given again for the same key for 24 hours; other parameters under that key are an error; so is a request
whose key is in use by one that is still at work. Version 2 keeps keys for 30 days, and does again what failed
(https://docs.stripe.com/api-v2-overview#idempotency).

Beside the controls that every stand-in has: `POST clock` with `advance`, seconds by which the time moves on; `POST
slow` with `path`, `seconds` and `times`: so many matching requests take so long to execute, while others are answered;
`POST events` with `held`: whether events that happen from now on are not shown yet.
"""

from __future__ import annotations

import copy
import re
import time
from dataclasses import dataclass
from typing import Any

from agentguard.sandbox.server import Incoming, Reply, Service
from agentguard.sandbox.stripe.forms import Data, NotBegun

DAY = 24 * 60 * 60
OTHERS = "acct_elsewhere"
"""A key that holds this is one of another account, which sees and changes its own objects only."""


@dataclass(frozen=True)
class Saved:
    """The answer to the first request with a key."""

    fingerprint: list[Any]
    reply: Reply
    until: float


class Keys(Service):
    """A service that does what has one idempotency key once."""

    _key: str | None = None

    def fresh(self) -> Data:
        self.saved: dict[str, Saved] = {}
        self.running: set[str] = set()
        self.slow: list[Data] = []
        self.ahead = 0.0
        self.events_held = False
        return {}

    def clock(self) -> float:
        """The time, as far as it has been moved."""
        return time.time() + self.ahead

    def control(self, call: Incoming) -> Reply:
        """Answer `/_sandbox/...`."""
        action = call.path.removeprefix("/_sandbox/")
        if action == "clock":
            self.ahead += float(call.body["advance"])
        elif action == "slow":
            self.slow.append({"times": 1, "path": ".*", **call.body})
        elif action == "events":
            self.events_held = bool(call.body["held"])
            self.show_events()
        else:
            return super().control(call)
        return Reply(200, {"ok": True})

    def show_events(self) -> None:
        """Do what the control of events asks for."""

    def handle(self, call: Incoming) -> Reply:
        """Answer one request, once for each idempotency key."""
        second = call.path.startswith("/v2/")
        takes_keys = call.verb == "POST" or (second and call.verb == "DELETE")
        key = call.headers.get("idempotency-key") if takes_keys else None
        if not key:
            self._work(call)
            self._key = None
            return self._finished(super().handle(call), None)
        at = f"{place_of(call)} {key}"
        fingerprint = [call.verb, call.path, copy.deepcopy(call.body)]
        if at in self.running:
            return self._finished(_problem(409, "idempotency_key_in_use", _IN_USE.format(key)), key)
        saved = self.saved.get(at)
        if saved is not None and saved.until > self.clock():
            if saved.fingerprint != fingerprint:
                return self._finished(_problem(400, None, _OTHER_PARAMETERS.format(key), "idempotency_error"), key)
            again = {**saved.reply.headers, "Idempotent-Replayed": "true"}
            return self._finished(Reply(saved.reply.status, copy.deepcopy(saved.reply.body), again), key)
        self.running.add(at)
        try:
            self._work(call)
            self._key = key
            reply = super().handle(call)
        finally:
            self.running.discard(at)
        if not isinstance(reply, NotBegun) and (not second or reply.status < 400):
            self.saved[at] = Saved(fingerprint, copy.deepcopy(reply), self.clock() + (30 if second else 1) * DAY)
        return self._finished(reply, key)

    def _work(self, call: Incoming) -> None:
        """Take as long as was asked for; other requests are answered meanwhile."""
        for slow in self.slow:
            if slow["times"] and re.search(slow["path"], call.path):
                slow["times"] -= 1
                self.lock.release()
                try:
                    time.sleep(slow["seconds"])
                finally:
                    self.lock.acquire()
                return

    def _finished(self, reply: Reply, key: str | None) -> Reply:
        named = {"Idempotency-Key": key} if key else {}
        reply.headers = {"Request-Id": f"req_{len(self.requests):014d}", **named, **reply.headers}
        return reply


def place_of(call: Incoming) -> str:
    """Whose objects a request sees and changes: those of a connected account, or of the key's own."""
    own = OTHERS if OTHERS in call.headers.get("authorization", "") else ""
    return call.headers.get("stripe-account", own)


_OTHER_PARAMETERS = (
    "Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key "
    "other than '{}' if you meant to execute a different request."
)
_IN_USE = (
    "There is currently another in-progress request using this Idempotent Key (that probably means you submitted "
    "twice, and the other request is still going through): {}. Please try again later."
)


def _problem(status: int, code: str | None, message: str, kind: str = "invalid_request_error") -> Reply:
    error = {"type": kind, **({"code": code} if code else {}), "message": message}
    return Reply(status, {"error": error})
