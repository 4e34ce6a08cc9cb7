"""users.labels and users.settings.filters."""

from __future__ import annotations

from typing import Any

from agentguard.sandbox.gmail.messages import USER, Messages
from agentguard.sandbox.gmail.shapes import FILTER, LABEL, checked, missing, problem
from agentguard.sandbox.server import Incoming, Reply, route

SYSTEM = [
    "INBOX",
    "SENT",
    "TRASH",
    "SPAM",
    "DRAFT",
    "UNREAD",
    "STARRED",
    "IMPORTANT",
    "CHAT",
    "CATEGORY_PERSONAL",
    "CATEGORY_SOCIAL",
    "CATEGORY_PROMOTIONS",
    "CATEGORY_UPDATES",
    "CATEGORY_FORUMS",
]
LIST_VISIBILITY = ("labelShow", "labelShowIfUnread", "labelHide")
MESSAGE_VISIBILITY = ("show", "hide")


def system_labels() -> dict[str, Any]:
    """The labels that every mailbox has."""
    return {name: {"id": name, "name": name, "type": "system"} for name in SYSTEM}


class Labels(Messages):
    """Labels, and the filters that put them on messages."""

    def label(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] | None = self.state["labels"].get(name)
        if found is None:
            raise missing()
        return found

    def own_label(self, name: str) -> dict[str, Any]:
        label = self.label(name)
        if label["type"] == "system":
            raise problem(400, "Invalid request: system labels cannot be changed")
        return label

    def fields(self, call: Incoming, own: str | None = None) -> dict[str, Any]:
        """The fields of a label in a request, checked."""
        body = checked(call.body, LABEL)
        name = body.get("name")
        taken = {label["name"].lower(): label["id"] for label in self.state["labels"].values()}
        if name is not None and taken.get(name.lower(), own) != own:
            raise problem(409, "Label name exists or conflicts", "aborted", "ABORTED")
        for field, allowed in (("labelListVisibility", LIST_VISIBILITY), ("messageListVisibility", MESSAGE_VISIBILITY)):
            if body.get(field) is not None and body[field] not in allowed:
                raise problem(400, f"Invalid value at 'label.{field}' (TYPE_ENUM), \"{body[field]}\"", "badRequest")
        color = body.get("color")
        if color is not None and {"textColor", "backgroundColor"} != color.keys():
            raise problem(400, "Invalid label color: both textColor and backgroundColor are required")
        return {k: body[k] for k in ("name", "labelListVisibility", "messageListVisibility", "color") if k in body}

    def counted(self, label: dict[str, Any]) -> dict[str, Any]:
        having = [m for m in self.state["messages"].values() if label["id"] in m["labelIds"]]
        unread = [m for m in having if "UNREAD" in m["labelIds"]]
        return {
            **label,
            "messagesTotal": len(having),
            "messagesUnread": len(unread),
            "threadsTotal": len({m["threadId"] for m in having}),
            "threadsUnread": len({m["threadId"] for m in unread}),
        }

    @route("GET", USER + "/labels")
    def list_labels(self, call: Incoming) -> Reply:
        return Reply(200, {"labels": list(self.state["labels"].values())})

    @route("POST", USER + "/labels")
    def create_label(self, call: Incoming) -> Reply:
        given = self.fields(call)
        if not given.get("name"):
            raise problem(400, "Label name is required")
        return self.stored({"id": f"Label_{self.number()}", "type": "user"}, given, "label created")

    def stored(self, label: dict[str, Any], given: dict[str, Any], effect: str) -> Reply:
        defaults = {"messageListVisibility": "show", "labelListVisibility": "labelShow"}
        whole = {**label, **defaults, **{k: v for k, v in given.items() if v is not None}}
        self.state["labels"][whole["id"]] = whole
        self.effect(effect, id=whole["id"])
        return Reply(200, whole)

    @route("GET", USER + "/labels/{id}")
    def get_label(self, call: Incoming) -> Reply:
        return Reply(200, self.counted(self.label(call["id"])))

    @route("PUT", USER + "/labels/{id}")
    def update_label(self, call: Incoming) -> Reply:
        label = self.own_label(call["id"])
        given = self.fields(call, label["id"])
        if not given.get("name"):
            raise problem(400, "Label name is required")
        return self.stored({"id": label["id"], "type": "user"}, given, "label updated")

    @route("PATCH", USER + "/labels/{id}")
    def patch_label(self, call: Incoming) -> Reply:
        label = self.own_label(call["id"])
        whole = {**label, **self.fields(call, label["id"])}
        return self.stored({"id": label["id"], "type": "user"}, whole, "label updated")

    @route("DELETE", USER + "/labels/{id}")
    def delete_label(self, call: Incoming) -> Reply:
        label = self.own_label(call["id"])
        del self.state["labels"][label["id"]]
        for message in self.state["messages"].values():
            message["labelIds"] = [name for name in message["labelIds"] if name != label["id"]]
        self.effect("label deleted", id=label["id"])
        return Reply(204)

    # Filters

    @route("GET", USER + "/settings/filters")
    def list_filters(self, call: Incoming) -> Reply:
        filters = list(self.state["filters"].values())
        return Reply(200, {"filter": filters} if filters else {})

    @route("POST", USER + "/settings/filters")
    def create_filter(self, call: Incoming) -> Reply:
        body = checked(call.body, FILTER)
        criteria, action = body.get("criteria") or {}, body.get("action") or {}
        if not criteria or not action:
            raise problem(400, "Filter must have both criteria and action")
        for label in (*action.get("addLabelIds", ()), *action.get("removeLabelIds", ())):
            if label not in self.state["labels"]:
                raise problem(400, f"Invalid label: {label}")
        forward = action.get("forward")
        if forward and self.state["forwarding"].get(forward, {}).get("verificationStatus") != "accepted":
            raise problem(400, f"Unrecognized forwarding address: {forward}")
        if any(f["criteria"] == criteria and f["action"] == action for f in self.state["filters"].values()):
            raise problem(400, "Filter already exists", "failedPrecondition", "FAILED_PRECONDITION")
        made = {"id": f"ANe1Bm{self.number():08d}", "criteria": criteria, "action": action}
        self.state["filters"][made["id"]] = made
        self.effect("filter created", id=made["id"])
        return Reply(200, made)

    @route("GET", USER + "/settings/filters/{id}")
    def get_filter(self, call: Incoming) -> Reply:
        if call["id"] not in self.state["filters"]:
            raise missing()
        return Reply(200, self.state["filters"][call["id"]])

    @route("DELETE", USER + "/settings/filters/{id}")
    def delete_filter(self, call: Incoming) -> Reply:
        if call["id"] not in self.state["filters"]:
            raise missing()
        del self.state["filters"][call["id"]]
        self.effect("filter deleted", id=call["id"])
        return Reply(204)
