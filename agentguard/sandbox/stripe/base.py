"""What all of Stripe's resources share: authentication, idempotency, create, retrieve, update, delete, lists, events.

A resource is a `Kind`. What is special about it stands in methods of the topics' classes, found by name:
`make_charge(thing, given)` runs before a new charge is kept, `change_charge` before an update, `drop_charge` before a
deletion. A call with `Stripe-Account` sees and changes that account's objects only.
"""

from __future__ import annotations

import copy
from typing import Any

from agentguard.sandbox.server import Incoming, Refuse, Reply, route
from agentguard.sandbox.stripe.forms import (
    Data,
    NotBegun,
    address,
    check,
    invalid,
    merged,
    parse,
    person,
    refusal,
)
from agentguard.sandbox.stripe.keys import OTHERS, Keys, place_of
from agentguard.sandbox.stripe.kinds import KINDS, Kind

HIDDEN = ("events",)
"""Collections that only book-keep: history is not state."""

EXPANDED_ONLY = {"coupon": ("applies_to",), "plan": ("tiers",)}


class Base(Keys):
    """The service without any topic."""

    name = "stripe"
    _last = 0
    _second = 0
    _place = ""
    _account = ""

    def fresh(self) -> Data:
        self._last = self._second = 0
        self._unseen: set[str] = set()
        return super().fresh()

    def visible(self) -> Data:
        return {name: things for name, things in self.state.items() if name.rpartition("/")[2] not in HIDDEN and things}

    def not_found(self, call: Incoming) -> Reply:
        message = f"Unrecognized request URL ({call.verb}: {call.path})."
        return NotBegun(404, {"error": {"type": "invalid_request_error", "message": message}})

    def too_many(self, seconds: int) -> Reply:
        """https://docs.stripe.com/rate-limits: Stripe says why, and not when to ask again."""
        said = "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits."
        refused = refusal(said, "rate_limit", status=429, doc_url="https://stripe.com/docs/error-codes/rate-limit")
        return Reply(429, refused.reply.body, {"Stripe-Rate-Limited-Reason": "global-rate"})

    # Every request

    def before(self, call: Incoming) -> None:
        """Ask for a key, and read the parameters."""
        scheme, _, key = call.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not key:
            raise invalid("You did not provide an API key.", status=401)
        if not key.startswith(("sk_test_", "rk_test_")):
            raise invalid(f"Invalid API Key provided: {key[:7]}***", status=401)
        self._account = OTHERS if OTHERS in key else "acct_sandbox"
        self._place = place_of(call)
        if call.path.startswith("/v1/"):
            call.body = parse(call.body)
            call.query = parse(call.query)

    # Objects

    def all(self, collection: str) -> Data:
        """The objects of one collection, by id."""
        things: Data = self.state.setdefault(f"{self._place}/{collection}" if self._place else collection, {})
        return things

    def now(self) -> int:
        """The time in seconds, later each time it is asked: nothing here was made in the same second."""
        self._second = max(int(self.clock()), self._second + 1)
        return self._second

    def new_id(self, prefix: str) -> str:
        """An id that was never used."""
        self._last += 1
        return f"{prefix}{self._last:014d}"

    def kind(self, collection: str) -> Kind:
        """The resource of a path, or a 404."""
        if collection not in KINDS:
            raise Refuse(404, self.not_found(Incoming("", f"/v1/{collection}", {}, {}, None, b"")).body)
        return KINDS[collection]

    def get(self, collection: str, name: Any, param: str = "id", *, deleted: bool = False) -> Data:
        """One object, or Stripe's `resource_missing`."""
        thing: Data | None = self.all(collection).get(str(name))
        if thing is None or (thing.get("deleted") and not deleted):
            label = self.kind(collection).object.replace("_", "")
            status = 404 if param == "id" else 400
            raise refusal(f"No such {label}: '{name}'", "resource_missing", param, status)
        return thing

    def make(self, collection: str, given: Data, **more: Any) -> Data:
        """Make an object from parameters that were checked."""
        kind = self.kind(collection)
        chosen = given.pop("id", None) or self.new_id(kind.prefix)
        if chosen in self.all(collection):
            raise refusal(f"{kind.object.title()} already exists.", "resource_already_exists")
        metadata = merged({}, given.pop("metadata", None))
        given.pop("expand", None)
        head = {"id": chosen, "object": kind.object, "created": self.now(), "livemode": False}
        thing: Data = {**head, "metadata": metadata, **copy.deepcopy(kind.shape), **more}
        thing.update({name: value for name, value in shaped(given).items() if name in thing})
        hook = getattr(self, f"make_{kind.object.replace('.', '_')}", None)
        if hook:
            hook(thing, given)
        self.all(collection)[chosen] = thing
        self.tell(f"{kind.event or kind.object}.{_begins(thing)}", thing)
        return thing

    def change(self, collection: str, thing: Data, given: Data) -> Data:
        """Change an object by parameters that were checked."""
        kind = self.kind(collection)
        given.pop("expand", None)
        hook = getattr(self, f"change_{kind.object.replace('.', '_')}", None)
        if hook:
            hook(thing, given)
        if "metadata" in given:
            thing["metadata"] = merged(thing["metadata"], given.pop("metadata"))
        thing.update({name: value for name, value in shaped(given).items() if name in thing})
        self.tell(f"{kind.event or kind.object}.updated", thing)
        return thing

    def tell(self, kind: str, thing: Data) -> None:
        """Put an event on record, with the idempotency key of the request behind it."""
        name = self.new_id("evt_")
        request = {"id": f"req_{len(self.requests):014d}", "idempotency_key": self._key}
        event = {"id": name, "object": "event", "type": kind, "created": self.now(), "request": request}
        if self.events_held:
            self._unseen.add(name)
        self.all("events")[name] = {**event, "data": {"object": copy.deepcopy(self.public(thing, []))}}
        self.effect(kind, id=thing["id"])

    def show_events(self) -> None:
        if not self.events_held:
            self._unseen.clear()

    def public(self, thing: Data, expand: list[str]) -> Data:
        """An object as it is shown, with what was asked for expanded."""
        hidden = EXPANDED_ONLY.get(thing["object"], ())
        shown = {name: value for name, value in thing.items() if name not in hidden or name in expand}
        for name in expand:
            name, _, deeper = name.partition(".")
            value = thing.get(name)
            if name == "subscriptions" and thing["object"] == "customer":
                running = [s for s in self.all("subscriptions").values() if s["customer"] == thing["id"]]
                shown[name] = {"object": "list", "data": [s for s in running if s["status"] != "canceled"]}
            elif isinstance(value, str):
                holding = (KINDS[c] and self.all(c).get(value) for c in KINDS)
                found = next((other for other in holding if other), None)
                if found is not None:
                    shown[name] = self.public(found, [deeper] if deeper else [])
        return shown

    def answer(self, thing: Data, call: Incoming) -> Reply:
        """Answer with an object."""
        return Reply(200, self.public(thing, (call.body or {}).get("expand") or call.query.get("expand") or []))

    def page(self, call: Incoming, things: list[Data], url: str, filters: tuple[str, ...] = ()) -> Reply:
        """Answer with a page of *things*, the newest first."""
        known = ("limit", "starting_after", "ending_before", "created", "expand", *filters)
        for name in call.query:
            if name not in known:
                raise refusal(f"Received unknown parameter: {name}", "parameter_unknown", name)
        for name in filters:
            wanted = call.query.get(name)
            if wanted is not None:
                things = [thing for thing in things if str(thing.get(name)).lower() == str(wanted).lower()]
        things = [thing for thing in reversed(things) if _within(thing, call.query.get("created"))]
        names = [thing["id"] for thing in things]
        limit = int(call.query.get("limit", 10))
        if not 1 <= limit <= 100:
            raise refusal("This value must be between 1 and 100.", "parameter_invalid_integer", "limit")
        start = names.index(call.query["starting_after"]) + 1 if call.query.get("starting_after") in names else 0
        if call.query.get("ending_before") in names:
            end = names.index(call.query["ending_before"])
            start = max(0, end - limit)
            things = things[:end]
        expand = [name.removeprefix("data.") for name in call.query.get("expand") or []]
        data = [self.public(thing, expand) for thing in things[start : start + limit]]
        return Reply(200, {"object": "list", "url": url, "has_more": start + limit < len(things), "data": data})

    # The routes that most resources have

    @route("GET", "/v1/events")
    def list_events(self, call: Incoming) -> Reply:
        wanted = call.query.pop("types", None)
        seen = [e for e in self.all("events").values() if e["id"] not in self._unseen]
        events = [e for e in seen if wanted is None or e["type"] in wanted]
        return self.page(call, events, "/v1/events", ("type",))

    @route("GET", "/v1/{collection}")
    def list_them(self, call: Incoming) -> Reply:
        kind = self.kind(call["collection"])
        for name in kind.needs:
            if name not in call.query:
                raise refusal(f"Missing required param: {name}.", "parameter_missing", name)
        things = [thing for thing in self.all(call["collection"]).values() if not thing.get("deleted")]
        return self.page(call, things, call.path, kind.filters)

    @route("POST", "/v1/{collection}")
    def create(self, call: Incoming) -> Reply:
        kind = self.kind(call["collection"])
        return self.answer(self.make(call["collection"], check(kind.create, call.body)), call)

    @route("GET", "/v1/{collection}/{id}")
    def retrieve(self, call: Incoming) -> Reply:
        return self.answer(self.get(call["collection"], call["id"], deleted=True), call)

    @route("POST", "/v1/{collection}/{id}")
    def update(self, call: Incoming) -> Reply:
        kind = self.kind(call["collection"])
        thing = self.get(call["collection"], call["id"])
        return self.answer(self.change(call["collection"], thing, check(kind.update, call.body, partial=True)), call)

    @route("DELETE", "/v1/{collection}/{id}")
    def delete(self, call: Incoming) -> Reply:
        kind = self.kind(call["collection"])
        thing = self.get(call["collection"], call["id"])
        if not kind.deletes:
            raise refusal(f"A {kind.object} cannot be deleted.")
        hook = getattr(self, f"drop_{kind.object}", None)
        if hook:
            hook(thing)
        gone = {"id": thing["id"], "object": kind.object, "deleted": True}
        self.tell(f"{kind.event or kind.object}.deleted", thing)
        if kind.tombstone:
            self.all(call["collection"])[thing["id"]] = gone
        else:
            del self.all(call["collection"])[thing["id"]]
        return Reply(200, gone)


def shaped(given: Data) -> Data:
    """Parameters as the object shows them."""
    result = dict(given)
    if "address" in result:
        result["address"] = address(result["address"])
    for name in ("shipping", "billing_details"):
        if name in result:
            result[name] = person(result[name])
    return result


def _begins(thing: Data) -> str:
    """What the first event of an object calls it: a charge is never only made."""
    if thing["object"] != "charge":
        return "created"
    return "failed" if thing["status"] == "failed" else "succeeded"


def _within(thing: Data, created: Any) -> bool:
    if created is None:
        return True
    at: int = thing.get("created") or thing["date"]  # what an invoice item calls it
    if not isinstance(created, dict):
        return bool(at == int(created))
    tests = {"gt": at.__gt__, "gte": at.__ge__, "lt": at.__lt__, "lte": at.__le__}
    return all(tests[name](int(value)) for name, value in created.items())
