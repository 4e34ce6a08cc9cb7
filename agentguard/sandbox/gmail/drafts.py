"""users.drafts: a draft holds a message; each change puts another message into it."""

from __future__ import annotations

from typing import Any

from agentguard.sandbox.gmail.messages import USER, Messages, brief
from agentguard.sandbox.gmail.shapes import DRAFT, checked, missing, problem
from agentguard.sandbox.server import Incoming, Reply, route


class Drafts(Messages):
    """Drafts."""

    def draft(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] | None = self.state["drafts"].get(name)
        if found is None:
            raise missing()
        return found

    def content(self, call: Incoming) -> dict[str, Any]:
        message = checked(call.body, DRAFT).get("message") or {}
        if not message.get("raw"):
            raise problem(400, "Missing draft message")
        return dict(message)

    @route("POST", USER + "/drafts")
    def create_draft(self, call: Incoming) -> Reply:
        content = self.content(call)
        message = self.put(content["raw"], ["DRAFT"], content.get("threadId"))
        name = f"r{4_000_000_000_000_000_000 + self.number()}"
        self.state["drafts"][name] = {"id": name, "message": message["id"]}
        self.effect("draft created", id=name)
        return Reply(200, {"id": name, "message": brief(message)})

    @route("POST", USER + "/drafts/send")
    def send_draft(self, call: Incoming) -> Reply:
        body = checked(call.body, DRAFT)
        given = (body.get("message") or {}).get("raw")
        if not body.get("id"):
            return Reply(200, brief(self.send_mail(given or "", (body.get("message") or {}).get("threadId"))))
        draft = self.draft(body["id"])
        message = self.message(draft["message"])
        sent = self.send_mail(given or message["raw"], None)
        if self.in_thread(message["threadId"]) != [message]:
            sent["threadId"] = message["threadId"]
        self.drop_message(message["id"])
        return Reply(200, brief(sent))

    @route("GET", USER + "/drafts")
    def list_drafts(self, call: Incoming) -> Reply:
        drafts = []
        for draft in self.state["drafts"].values():
            message = self.message(draft["message"])
            drafts.append({"id": draft["id"], "message": {"id": message["id"], "threadId": message["threadId"]}})
        return Reply(200, self.page(drafts, call, "drafts"))

    @route("GET", USER + "/drafts/{id}")
    def get_draft(self, call: Incoming) -> Reply:
        draft = self.draft(call["id"])
        return Reply(200, {"id": draft["id"], "message": self.show(self.message(draft["message"]), call)})

    @route("PUT", USER + "/drafts/{id}")
    def update_draft(self, call: Incoming) -> Reply:
        draft, content = self.draft(call["id"]), self.content(call)
        old = self.message(draft["message"])
        message = self.put(content["raw"], ["DRAFT"], None)
        if len(self.in_thread(old["threadId"])) > 1 or content.get("threadId"):
            message["threadId"] = old["threadId"]
        draft["message"] = message["id"]
        self.drop(old["id"])
        self.effect("draft updated", id=draft["id"])
        return Reply(200, {"id": draft["id"], "message": brief(message)})

    @route("DELETE", USER + "/drafts/{id}")
    def delete_draft(self, call: Incoming) -> Reply:
        self.drop_message(self.draft(call["id"])["message"])
        self.effect("draft deleted", id=call["id"])
        return Reply(204)
