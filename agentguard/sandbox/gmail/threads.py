"""users.threads: all messages of a thread at once."""

from __future__ import annotations

from typing import Any

from agentguard.sandbox.gmail.messages import USER, Messages, brief
from agentguard.sandbox.gmail.shapes import MODIFY, checked, missing
from agentguard.sandbox.server import Incoming, Reply, route


class Threads(Messages):
    """Threads."""

    def thread(self, name: str) -> list[dict[str, Any]]:
        found = self.in_thread(name)
        if not found:
            raise missing()
        return found

    def relabel_thread(self, call: Incoming, add: list[str], remove: list[str]) -> Reply:
        messages = self.thread(call["id"])
        for message in messages:
            self.relabel(message, add, remove)
        self.effect("thread modified", id=call["id"])
        return Reply(200, {"id": call["id"], "messages": [brief(message) for message in messages]})

    @route("GET", USER + "/threads")
    def list_threads(self, call: Incoming) -> Reply:
        newest = {message["threadId"]: message for message in reversed(self.search(call))}
        found = [{"id": name, "snippet": m["snippet"], "historyId": m["historyId"]} for name, m in newest.items()]
        return Reply(200, self.page(found, call, "threads"))

    @route("GET", USER + "/threads/{id}")
    def get_thread(self, call: Incoming) -> Reply:
        messages = [self.show(message, call) for message in self.thread(call["id"])]
        return Reply(200, {"id": call["id"], "historyId": messages[-1]["historyId"], "messages": messages})

    @route("POST", USER + "/threads/{id}/modify")
    def modify_thread(self, call: Incoming) -> Reply:
        return self.relabel_thread(call, *self.checked_labels(checked(call.body, MODIFY)))

    @route("POST", USER + "/threads/{id}/trash")
    def trash_thread(self, call: Incoming) -> Reply:
        return self.relabel_thread(call, ["TRASH"], [])

    @route("POST", USER + "/threads/{id}/untrash")
    def untrash_thread(self, call: Incoming) -> Reply:
        return self.relabel_thread(call, [], ["TRASH"])

    @route("DELETE", USER + "/threads/{id}")
    def delete_thread(self, call: Incoming) -> Reply:
        for message in self.thread(call["id"]):
            self.drop_message(message["id"])
        self.effect("thread deleted", id=call["id"])
        return Reply(204)
