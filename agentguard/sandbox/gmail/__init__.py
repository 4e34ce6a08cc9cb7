"""A stand-in for the Gmail API (https://developers.google.com/workspace/gmail/api/reference/rest).

One mailbox, `me`. Any bearer token works; one that begins with `expired` is answered with 401, one with `readonly` in
it may not change anything, and one with `send-only` in it may only send. `keeps_message_id` in the state says whether a
mail that is sent keeps its Message-ID, and `search_lags` whether searches show nothing (yet), with "all" neither do
lists; both can be seeded.
"""

from __future__ import annotations

import copy
from typing import Any

from agentguard.sandbox.gmail.batches import Batches
from agentguard.sandbox.gmail.drafts import Drafts
from agentguard.sandbox.gmail.labels import Labels, system_labels
from agentguard.sandbox.gmail.messages import Messages
from agentguard.sandbox.gmail.settings import Settings, first_settings
from agentguard.sandbox.gmail.shapes import check_query, problem, query_of
from agentguard.sandbox.gmail.threads import Threads
from agentguard.sandbox.server import Incoming, Reply, route

BOOK_KEEPING = ("next", "history", "log", "keeps_message_id", "search_lags", "watch")
ME = "agent@example.com"


class Gmail(Drafts, Threads, Labels, Settings, Messages, Batches):
    """One mailbox."""

    name = "gmail"

    def fresh(self) -> dict[str, Any]:
        return {
            "email": ME,
            "next": 0,
            "history": 1000,
            "log": [],
            "keeps_message_id": True,
            "search_lags": False,
            "messages": {},
            "drafts": {},
            "labels": system_labels(),
            "delivered": [],
            "watch": None,
            **first_settings(ME),
        }

    def visible(self) -> dict[str, Any]:
        shown = copy.deepcopy({name: part for name, part in self.state.items() if name not in BOOK_KEEPING})
        for message in shown["messages"].values():
            del message["historyId"]
        return shown

    def handle(self, call: Incoming) -> Reply:
        override = call.headers.get("x-http-method-override")
        if override and call.verb == "POST":
            call.verb = override.upper()
            if call.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
                call.target, call.body = f"{call.path}?{call.raw.decode()}", None
        return super().handle(call)

    def too_many(self, seconds: int) -> Reply:
        """https://developers.google.com/workspace/gmail/api/guides/handle-errors."""
        said = "Too many concurrent requests for user."
        return problem(429, said, "rateLimitExceeded", "RESOURCE_EXHAUSTED").reply

    def not_found(self, call: Incoming) -> Reply:
        return problem(404, "Requested entity was not found.", "notFound", "NOT_FOUND").reply

    def before(self, call: Incoming) -> None:
        token = call.headers.get("authorization", "").removeprefix("Bearer ").strip()
        if not token or token.startswith("expired"):
            raise problem(
                401,
                "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other "
                "valid authentication credential.",
                "authError",
                "UNAUTHENTICATED",
            )
        sends = call.path.endswith("/send")
        forbidden = ("readonly" in token and call.verb != "GET") or ("send-only" in token and not sends)
        if forbidden and not call.path.startswith("/batch"):
            message = "Request had insufficient authentication scopes."
            raise problem(403, message, "insufficientPermissions", "PERMISSION_DENIED")
        call.query = query_of(call)
        check_query(call.query)
        user = call.parameters.get("user", "me")
        if user not in ("me", self.state["email"]):
            raise problem(403, f"Delegation denied for {self.state['email']}", "forbidden", "PERMISSION_DENIED")

    @route("GET", "/gmail/v1/users/{user}/profile")
    def profile(self, call: Incoming) -> Reply:
        messages = self.state["messages"].values()
        return Reply(
            200,
            {
                "emailAddress": self.state["email"],
                "messagesTotal": len(messages),
                "threadsTotal": len({message["threadId"] for message in messages}),
                "historyId": str(self.state["history"]),
            },
        )

    @route("POST", "/gmail/v1/users/{user}/watch")
    def watch(self, call: Incoming) -> Reply:
        self.state["watch"] = call.body
        return Reply(200, {"historyId": str(self.state["history"]), "expiration": "4102444800000"})

    @route("POST", "/gmail/v1/users/{user}/stop")
    def stop(self, call: Incoming) -> Reply:
        self.state["watch"] = None
        return Reply(204)

    @route("GET", "/gmail/v1/users/{user}/history")
    def changes(self, call: Incoming) -> Reply:
        since = call.query.get("startHistoryId")
        if not since or not str(since).isdigit():
            raise problem(400, "Invalid value for startHistoryId")
        found = [entry for entry in self.state["log"] if int(entry["id"]) > int(since)]
        page = {"historyId": str(self.state["history"])}
        return Reply(200, {"history": found, **page} if found else page)


__all__ = ["Gmail"]
