"""A stand-in for Slack's Web API (https://docs.slack.dev/apis/web-api/).

Any token works: `xoxb-...` is the bot user, everything else the administrator. Files go to the address that
`files.getUploadURLExternal` gives out. Incoming webhooks answer under `/services/`. What `answers` in the state holds
for a method is its answer, whatever was asked.
"""

from __future__ import annotations

from typing import Any

from agentguard.sandbox.server import Incoming, Refuse, Reply, Service, route
from agentguard.sandbox.slack import chat, conversations, files, marks, membership, people, reminders
from agentguard.sandbox.slack.seed import ADMIN, BOT, workspace
from agentguard.sandbox.slack.workspace import METHODS, Work, arguments, fail

FAMILIES = (chat, conversations, files, marks, membership, people, reminders)
"""The modules whose functions answer; importing them registers these."""
BOOK_KEEPING = ("answers", "url", "uploads", "ignored_arguments", "counter", "last_ts", "last_now")
READS = (".list", ".info", ".history", ".replies", ".members", ".get", ".getPermalink", ".test", ".lookupByEmail")


class Slack(Service):
    """One workspace."""

    name = "slack"

    def fresh(self) -> dict[str, Any]:
        return workspace()

    def visible(self) -> dict[str, Any]:
        return {name: part for name, part in self.state.items() if name not in BOOK_KEEPING}

    def not_found(self, call: Incoming) -> Reply:
        return Reply(404, {"ok": False, "error": "not_found"})

    def too_many(self, seconds: int) -> Reply:
        """https://docs.slack.dev/apis/web-api/rate-limits."""
        return Reply(429, {"ok": False, "error": "ratelimited"}, {"retry-after": str(seconds)})

    def caller(self, call: Incoming, given: dict[str, Any]) -> str:
        """The user that the token belongs to."""
        token = given.pop("token", None) or call.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not token:
            raise fail("not_authed")
        if not token.startswith("xox"):
            raise fail("invalid_auth")
        return BOT if token.startswith("xoxb-") else ADMIN

    @route("POST", "/api/{method}")
    def post(self, call: Incoming) -> Reply:
        return self.dispatch(call)

    @route("GET", "/api/{method}")
    def get(self, call: Incoming) -> Reply:
        return self.dispatch(call)

    def dispatch(self, call: Incoming) -> Reply:
        """Run one API method; the arguments that it never looked at are kept for tests to see."""
        name = call["method"]
        given = arguments(call)
        me = self.caller(call, given)
        self.state["url"] = self.url
        if name in self.state["answers"]:
            return Reply(200, self.state["answers"][name])
        function = METHODS.get(name)
        if function is None:
            raise fail("unknown_method", req_method=name)
        work = Work(self.state, name, given, me, self.effect)
        answer = function(work)
        ignored = sorted(given.keys() - work.asked)
        if ignored:
            self.state["ignored_arguments"].append({"method": name, "arguments": ignored})
        if not name.endswith(READS):
            self.effect(name, arguments={k: v for k, v in given.items() if not isinstance(v, bytes)})
        return Reply(200, {"ok": True, **answer})

    @route("POST", "/upload/v1/{ticket}")
    def upload(self, call: Incoming) -> Reply:
        ticket = self.state["uploads"].get(call["ticket"])
        if ticket is None:
            raise Refuse(404, b"no such upload", {"content-type": "text/plain"})
        ticket["content"] = call.raw.decode("latin-1")
        self.effect("upload", file=ticket["id"])
        return Reply(200, f"OK - {len(call.raw)}".encode(), {"content-type": "text/plain"})

    @route("GET", "/files-pri/{id}")
    def download(self, call: Incoming) -> Reply:
        stored = self.state["files"].get(call["id"])
        if stored is None:
            raise Refuse(404, b"", {"content-type": "text/plain"})
        return Reply(200, stored["content"].encode("latin-1"), {"content-type": "application/octet-stream"})

    @route("POST", "/services/{+key}")
    def incoming_webhook(self, call: Incoming) -> Reply:
        given = arguments(call)
        if not given.get("text") and not given.get("blocks") and not given.get("attachments"):
            raise Refuse(400, b"no_text", {"content-type": "text/html"})
        work = Work(self.state, "webhook", {"channel": "C0GENERAL", **given}, BOT, self.effect)
        chat.post(work)
        self.effect("incoming webhook")
        return Reply(200, b"ok", {"content-type": "text/html"})


__all__ = ["Slack"]
