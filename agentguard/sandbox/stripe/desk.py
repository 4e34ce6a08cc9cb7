"""Checkout pages, webhook endpoints, metered usage, and the few resources of v2 that are here."""

from __future__ import annotations

from agentguard.sandbox.server import Incoming, Reply, route
from agentguard.sandbox.stripe.base import Base
from agentguard.sandbox.stripe.forms import Data, check, merged, refusal
from agentguard.sandbox.stripe.keys import DAY
from agentguard.sandbox.stripe.kinds import KINDS

SESSIONS = "/v1/checkout/sessions"
DESTINATIONS = "/v2/core/event_destinations"


class Desk(Base):
    """Everything else."""

    def make_checkout_session(self, thing: Data, given: Data) -> None:
        thing["url"] = f"https://checkout.stripe.com/c/pay/{thing['id']}"
        thing["expires_at"] = thing["created"] + DAY

    @route("POST", SESSIONS)
    def create_session(self, call: Incoming) -> Reply:
        given = check(KINDS["checkout_sessions"].create, call.body)
        if given.get("mode") in ("payment", "subscription") and not given.get("line_items"):
            raise refusal("Missing required param: line_items.", "parameter_missing", "line_items")
        return self.answer(self.make("checkout_sessions", given), call)

    @route("GET", SESSIONS)
    def list_sessions(self, call: Incoming) -> Reply:
        return self.page(call, list(self.all("checkout_sessions").values()), call.path, ("customer", "status"))

    @route("GET", SESSIONS + "/{id}")
    def get_session(self, call: Incoming) -> Reply:
        return self.answer(self.get("checkout_sessions", call["id"]), call)

    @route("POST", SESSIONS + "/{id}")
    def update_session(self, call: Incoming) -> Reply:
        given = check(KINDS["checkout_sessions"].update, call.body)
        thing = self.get("checkout_sessions", call["id"])
        return self.answer(self.change("checkout_sessions", thing, given), call)

    @route("POST", SESSIONS + "/{id}/expire")
    def expire_session(self, call: Incoming) -> Reply:
        thing = self.get("checkout_sessions", call["id"])
        if thing["status"] != "open":
            raise refusal(f'Only Checkout Sessions with a status in ["open"] can be expired, not {thing["status"]}.')
        thing["status"] = "expired"
        self.tell("checkout.session.expired", thing)
        return self.answer(thing, call)

    def change_webhook_endpoint(self, thing: Data, given: Data) -> None:
        if "disabled" in given:
            thing["status"] = "disabled" if given["disabled"] else "enabled"

    @route("POST", "/v1/billing/meter_events")
    def report(self, call: Incoming) -> Reply:
        given = check(
            {"event_name": "str!", "payload": "hash!", "identifier": "str", "timestamp": "int", "expand": "list"},
            call.body,
        )
        identifier = given.get("identifier") or self.new_id("meter-event-")
        if identifier in self.all("meter_events"):
            raise refusal(f"An event already exists with identifier {identifier}.", "duplicate_meter_event")
        now = self.now()
        event = {"object": "billing.meter_event", "event_name": given["event_name"], "identifier": identifier}
        event |= {"payload": given["payload"], "created": now, "timestamp": given.get("timestamp", now)}
        self.all("meter_events")[identifier] = event
        self.effect("usage reported", id=identifier)
        return Reply(200, {**event, "livemode": False})

    @route("POST", "/v1/billing/meter_event_adjustments")
    def adjust(self, call: Incoming) -> Reply:
        given = check({"event_name": "str!", "type": "str!", "cancel": "hash", "expand": "list"}, call.body)
        identifier = str((given.get("cancel") or {}).get("identifier"))
        event = self.all("meter_events").get(identifier)
        if event is None or event["created"] < self.clock() - DAY:
            raise refusal(f"No event to cancel with identifier {identifier}.", "resource_missing", "cancel[identifier]")
        del self.all("meter_events")[identifier]
        self.effect("usage cancelled", id=identifier)
        return Reply(200, {"object": "billing.meter_event_adjustment", "status": "pending", **given})

    @route("GET", "/v1/balance")
    def balance(self, call: Incoming) -> Reply:
        return Reply(200, {"object": "balance", "available": [], "pending": [], "livemode": False})

    @route("GET", "/v1/account")
    def account(self, call: Incoming) -> Reply:
        return Reply(200, {"id": call.headers.get("stripe-account") or self._account, "object": "account"})

    @route("GET", "/v1/quotes/{id}/pdf")
    def pdf(self, call: Incoming) -> Reply:
        return Reply(200, b"%PDF-1.4 a quote", {"content-type": "application/pdf"})

    # v2: JSON, and errors of its own

    @route("POST", DESTINATIONS)
    def create_destination(self, call: Incoming) -> Reply:
        name = self.new_id("ed_test_")
        given = dict(call.body or {})
        thing = {"id": name, "object": "v2.core.event_destination", "status": "enabled", "metadata": {}, **given}
        self.all("event_destinations")[name] = thing
        self.effect("destination created", id=name)
        return Reply(200, thing)

    def _destination(self, call: Incoming) -> Data:
        thing: Data | None = self.all("event_destinations").get(call["id"])
        if thing is None:
            raise refusal(f"No such event destination: {call['id']}", "not_found", status=404)
        return thing

    @route("GET", DESTINATIONS)
    def list_destinations(self, call: Incoming) -> Reply:
        return Reply(200, {"data": list(self.all("event_destinations").values()), "next_page_url": None})

    @route("GET", DESTINATIONS + "/{id}")
    def get_destination(self, call: Incoming) -> Reply:
        return Reply(200, self._destination(call))

    @route("POST", DESTINATIONS + "/{id}")
    def update_destination(self, call: Incoming) -> Reply:
        thing, given = self._destination(call), dict(call.body or {})
        given["metadata"] = merged(thing["metadata"], given.get("metadata"))
        thing.update(given)
        self.effect("destination updated", id=thing["id"])
        return Reply(200, thing)

    @route("DELETE", DESTINATIONS + "/{id}")
    def delete_destination(self, call: Incoming) -> Reply:
        thing = self._destination(call)
        del self.all("event_destinations")[thing["id"]]
        self.effect("destination deleted", id=thing["id"])
        return Reply(200, {"id": thing["id"], "object": "v2.core.event_destination"})
