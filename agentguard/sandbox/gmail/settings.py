"""users.settings: what is written as a whole, and the addresses of a mailbox."""

from __future__ import annotations

from typing import Any

from agentguard.sandbox.gmail.messages import USER, Messages
from agentguard.sandbox.gmail.shapes import (
    AUTO_FORWARDING,
    DELEGATE,
    FLAG,
    FORWARDING,
    IMAP,
    LANGUAGE,
    POP,
    SEND_AS,
    VACATION,
    checked,
    missing,
    problem,
)
from agentguard.sandbox.server import Incoming, Reply, route

SETTINGS = {
    "vacation": VACATION,
    "imap": IMAP,
    "pop": POP,
    "language": LANGUAGE,
    "autoForwarding": AUTO_FORWARDING,
}


def first_settings(email: str) -> dict[str, Any]:
    """The settings that a mailbox begins with."""
    primary = {"sendAsEmail": email, "displayName": "", "isPrimary": True, "isDefault": True}
    return {
        "settings": {
            "vacation": {"enableAutoReply": False, "restrictToContacts": False, "restrictToDomain": False},
            "imap": {"enabled": True, "autoExpunge": True, "expungeBehavior": "archive"},
            "pop": {"accessWindow": "disabled", "disposition": "leaveInInbox"},
            "language": {"displayLanguage": "en"},
            "autoForwarding": {"enabled": False},
        },
        "filters": {},
        "forwarding": {},
        "delegates": {},
        "sendAs": {email: primary},
    }


class Settings(Messages):
    """Settings and addresses."""

    @route("GET", USER + "/settings/{setting}")
    def get_setting(self, call: Incoming) -> Reply:
        if call["setting"] not in SETTINGS:
            return self.list_addresses(call)
        return Reply(200, self.state["settings"][call["setting"]])

    @route("PUT", USER + "/settings/{setting}")
    def update_setting(self, call: Incoming) -> Reply:
        name = call["setting"]
        if name not in SETTINGS:
            raise missing()
        given = {k: v for k, v in checked(call.body, SETTINGS[name]).items() if v is not None}
        address = given.get("emailAddress")
        verified = self.state["forwarding"].get(address, {}).get("verificationStatus") == "accepted"
        if name == "autoForwarding" and given.get("enabled") and not verified:
            raise problem(400, "Unrecognized forwarding address")
        # What is not given has its default; Google shows switches that are off, and leaves out what is empty.
        off = {k: False for k, kind in SETTINGS[name].items() if kind == FLAG}
        kept = off | {k: v for k, v in given.items() if v not in ("", 0) or isinstance(v, bool)}
        self.state["settings"][name] = kept
        self.effect("setting updated", setting=name)
        return Reply(200, kept)

    # Addresses

    def addresses(self, kind: str) -> tuple[dict[str, Any], str, dict[str, Any]]:
        """The addresses of a kind, the name of their key, and their shape."""
        shapes: dict[str, tuple[str, str, dict[str, Any]]] = {
            "forwardingAddresses": ("forwarding", "forwardingEmail", FORWARDING),
            "delegates": ("delegates", "delegateEmail", DELEGATE),
            "sendAs": ("sendAs", "sendAsEmail", SEND_AS),
        }
        if kind not in shapes:
            raise missing()
        place, key, shape = shapes[kind]
        return self.state[place], key, shape

    def list_addresses(self, call: Incoming) -> Reply:
        held, _key, _shape = self.addresses(call["setting"])
        return Reply(200, {call["setting"]: list(held.values())} if held else {})

    @route("POST", USER + "/settings/{kind}")
    def add_address(self, call: Incoming) -> Reply:
        held, key, shape = self.addresses(call["kind"])
        body = {k: v for k, v in checked(call.body, shape).items() if v is not None}
        email = body.get(key, "")
        if "@" not in email:
            raise problem(400, f"Invalid {key}")
        if email in held:
            raise problem(409, f"{key} already exists", "alreadyExists", "ALREADY_EXISTS")
        # A delegate is accepted at once; the other two ask the owner of an address outside of the domain.
        asks = call["kind"] != "delegates" and not email.endswith("@example.com")
        made = {**body, "verificationStatus": "pending" if asks else "accepted"}
        if call["kind"] == "sendAs":
            made = {"displayName": "", **made}
            if body.get("isDefault"):
                self.make_default(email)
        if asks:
            self.effect("verification mail sent", to=email)
        held[email] = made
        self.effect(f"{call['kind']} added", email=email)
        return Reply(200, made)

    def held(self, call: Incoming) -> dict[str, Any]:
        held, _key, _shape = self.addresses(call["kind"])
        if call["email"] not in held:
            raise missing()
        found: dict[str, Any] = held[call["email"]]
        return found

    @route("GET", USER + "/settings/{kind}/{email}")
    def get_address(self, call: Incoming) -> Reply:
        return Reply(200, self.held(call))

    @route("DELETE", USER + "/settings/{kind}/{email}")
    def delete_address(self, call: Incoming) -> Reply:
        if self.held(call).get("isPrimary"):
            raise problem(400, "Cannot delete primary alias")
        del self.addresses(call["kind"])[0][call["email"]]
        self.effect(f"{call['kind']} deleted", email=call["email"])
        return Reply(204)

    @route("PUT", USER + "/settings/sendAs/{email}")
    def update_send_as(self, call: Incoming) -> Reply:
        return self.change_send_as(call, whole=True)

    @route("PATCH", USER + "/settings/sendAs/{email}")
    def patch_send_as(self, call: Incoming) -> Reply:
        return self.change_send_as(call, whole=False)

    def change_send_as(self, call: Incoming, whole: bool) -> Reply:
        call.parameters["kind"] = "sendAs"
        alias = self.held(call)
        body = {k: v for k, v in checked(call.body, SEND_AS).items() if v is not None}
        if body.get("isDefault"):
            self.make_default(call["email"])
        if whole:
            for name in ("displayName", "replyToAddress", "signature", "treatAsAlias"):
                alias.pop(name, None)
        given: dict[str, Any] = {
            k: body[k] for k in ("displayName", "replyToAddress", "signature", "treatAsAlias") if k in body
        }
        alias |= given
        for name in ("replyToAddress", "signature", "treatAsAlias"):
            if not alias.get(name):
                alias.pop(name, None)
        alias.setdefault("displayName", "")
        self.effect("sendAs updated", email=call["email"])
        return Reply(200, alias)

    def make_default(self, email: str) -> None:
        """One address is the default one."""
        for name, alias in self.state["sendAs"].items():
            alias.pop("isDefault", None)
            if name == email:
                alias["isDefault"] = True

    @route("POST", USER + "/settings/sendAs/{email}/verify")
    def verify(self, call: Incoming) -> Reply:
        call.parameters["kind"] = "sendAs"
        self.held(call)
        self.effect("verification mail sent", to=call["email"])
        return Reply(204)
