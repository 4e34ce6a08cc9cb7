"""A stand-in for Resend (https://resend.com/docs/api-reference): what the connector changes, over plain JSON state.

It begins with the audience `everybody` and a contact in it. An Idempotency-Key that was used before is answered with
what was answered then, as Resend does for 24 hours.
"""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

from agentguard.sandbox.server import Incoming, Refuse, Reply, Service, route, run

CONTACT = ("email", "first_name", "last_name", "unsubscribed")
Data = dict[str, Any]


def error(status: int, name: str, message: str) -> Refuse:
    """An error in Resend's form."""
    return Refuse(status, {"statusCode": status, "name": name, "message": message})


class Resend(Service):
    """One account."""

    name = "resend"

    def fresh(self) -> Data:
        """Begin with one audience and one contact."""
        self.answered: dict[str, Reply] = {}
        contact = {"id": "c0", "email": "bo@example.com", "first_name": "Bo", "last_name": "", "unsubscribed": False}
        everybody = {"id": "everybody", "name": "Everybody", "contacts": {"c0": contact}}
        return {"next": 1, "audiences": {"everybody": everybody}, "emails": {}}

    def visible(self) -> Data:
        """The state without the counter of ids."""
        return {name: part for name, part in self.state.items() if name != "next"}

    def not_found(self, call: Incoming) -> Reply:
        """Resend's 404."""
        return error(404, "not_found", "The requested endpoint does not exist").reply

    def too_many(self, seconds: int) -> Reply:
        """https://resend.com/docs/api-reference/rate-limit."""
        said = "Too many requests. You can only make 2 requests per second."
        return Reply(429, error(429, "rate_limit_exceeded", said).reply.body, {"retry-after": str(seconds)})

    def before(self, call: Incoming) -> None:
        """Ask for a key."""
        if not call.headers.get("authorization", "").startswith("Bearer re_"):
            raise error(401, "missing_api_key", "Missing API key in the authorization header")

    def handle(self, call: Incoming) -> Reply:
        """Answer a request, once for each idempotency key."""
        key = call.headers.get("idempotency-key") if call.path.startswith("/emails") else None
        if key and key in self.answered:
            return copy.deepcopy(self.answered[key])
        reply = super().handle(call)
        if key and reply.status < 400:
            self.answered[key] = copy.deepcopy(reply)
        return reply

    def new_id(self, prefix: str) -> str:
        """An id that was never used."""
        self.state["next"] += 1
        return f"{prefix}{self.state['next'] - 1}"

    @route("GET", "/emails/{id}")
    def get_email(self, call: Incoming) -> Reply:
        """Show a mail."""
        if call["id"] not in self.state["emails"]:
            raise error(404, "not_found", "Email not found")
        return Reply(200, self.state["emails"][call["id"]])

    @route("POST", "/emails")
    def send_email(self, call: Incoming) -> Reply:
        """Send a mail, or keep it until its time."""
        for name in ("from", "to", "subject"):
            if not (call.body or {}).get(name):
                raise error(422, "missing_required_field", f"Missing `{name}` field.")
        mail = {"object": "email", "id": self.new_id("e"), "scheduled_at": None, **call.body}
        mail["last_event"] = "scheduled" if mail["scheduled_at"] else "delivered"
        self.state["emails"][mail["id"]] = mail
        self.effect("mail " + mail["last_event"], id=mail["id"])
        return Reply(200, {"id": mail["id"]})

    @route("POST", "/emails/{id}/cancel")
    def cancel_email(self, call: Incoming) -> Reply:
        """Cancel a mail that has not gone out."""
        mail = self.state["emails"].get(call["id"])
        if mail is None or mail["last_event"] != "scheduled":
            raise error(422, "validation_error", "Email cannot be canceled")
        mail["last_event"] = "canceled"
        self.effect("mail canceled", id=mail["id"])
        return Reply(200, {"object": "email", "id": mail["id"]})

    @route("GET", "/audiences")
    def list_audiences(self, call: Incoming) -> Reply:
        """Show the audiences."""
        shown = [{"id": one["id"], "name": one["name"]} for one in self.state["audiences"].values()]
        return Reply(200, {"object": "list", "has_more": False, "data": shown})

    @route("POST", "/audiences")
    def create_audience(self, call: Incoming) -> Reply:
        """Make an audience."""
        audience = {"id": self.new_id("a"), "name": call.body["name"], "contacts": {}}
        self.state["audiences"][audience["id"]] = audience
        self.effect("audience created", id=audience["id"])
        return Reply(201, {"object": "audience", "id": audience["id"], "name": audience["name"]})

    @route("DELETE", "/audiences/{id}")
    def remove_audience(self, call: Incoming) -> Reply:
        """Remove an audience with its contacts."""
        del self.state["audiences"][self.audience(call, "id")["id"]]
        self.effect("audience removed", id=call["id"])
        return Reply(200, {"object": "audience", "id": call["id"], "deleted": True})

    @route("GET", "/audiences/{audience_id}/contacts")
    def list_contacts(self, call: Incoming) -> Reply:
        """Show the contacts of an audience."""
        return Reply(200, {"object": "list", "data": [*self.audience(call)["contacts"].values()]})

    @route("POST", "/audiences/{audience_id}/contacts")
    def create_contact(self, call: Incoming) -> Reply:
        """Add a contact; one with that address is changed."""
        contacts = self.audience(call)["contacts"]
        given = {name: call.body[name] for name in CONTACT if name in call.body}
        known = next((one for one in contacts.values() if one["email"] == given.get("email")), None)
        blank = {"id": self.new_id("c"), "first_name": "", "last_name": "", "unsubscribed": False}
        contact = {**(known or blank), **given}
        contacts[contact["id"]] = contact
        self.effect("contact changed" if known else "contact created", id=contact["id"])
        return Reply(201, {"object": "contact", "id": contact["id"]})

    @route("DELETE", "/audiences/{audience_id}/contacts/{id}")
    def remove_contact(self, call: Incoming) -> Reply:
        """Remove a contact."""
        if self.audience(call)["contacts"].pop(call["id"], None) is None:
            raise error(404, "not_found", "Contact not found")
        self.effect("contact removed", id=call["id"])
        return Reply(200, {"object": "contact", "contact": call["id"], "deleted": True})

    def audience(self, call: Incoming, name: str = "audience_id") -> Data:
        """The audience of a path."""
        if call[name] not in self.state["audiences"]:
            raise error(404, "not_found", "Audience not found")
        found: Data = self.state["audiences"][call[name]]
        return found


if __name__ == "__main__":
    run(Resend(Path(sys.argv[1])))
