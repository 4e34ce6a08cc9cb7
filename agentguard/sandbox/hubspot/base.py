"""What all parts of the stand-in use: HubSpot's errors, request shapes, ids and times."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from agentguard.sandbox.server import Incoming, Refuse, Reply, Service, route

TOKEN = "pat-na1-5d0f8f1c-7d0e-4c57-9a53-2f3b8f7f2a11"  # noqa: S105 - the one token that this stand-in takes
PORTAL = 4711
CORRELATION = "aeb5f871-7f07-4993-9211-075dc63e7cbf"

TYPES = {
    "0-1": "contacts",
    "contact": "contacts",
    "0-2": "companies",
    "company": "companies",
    "0-3": "deals",
    "deal": "deals",
    "0-5": "tickets",
    "ticket": "tickets",
}


class Base(Service):
    """State, errors and checks."""

    def before(self, call: Incoming) -> None:
        if call.headers.get("authorization") != f"Bearer {TOKEN}":
            message = "Authentication credentials not found. This API supports OAuth 2.0 authentication"
            raise refusal(401, "INVALID_AUTHENTICATION", message)
        if call.verb in ("POST", "PUT", "PATCH") and call.raw and call.body is None:
            raise refusal(400, "VALIDATION_ERROR", "Invalid input JSON")

    @route("GET", "/account-info/v3/details")
    def details(self, call: Incoming) -> Reply:
        return Reply(200, {"portalId": PORTAL, "accountType": "STANDARD", "timeZone": "UTC"})

    def not_found(self, call: Incoming) -> Reply:
        return Reply(404, b"<html><body>Error 404 Not Found</body></html>", {"content-type": "text/html"})

    def too_many(self, seconds: int) -> Reply:
        """https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines."""
        policy = {
            "errorType": "RATE_LIMIT",
            "policyName": "TEN_SECONDLY_ROLLING",
            "groupName": "publicapi:private-apps",
        }
        said = "You have reached your ten_secondly_rolling limit."
        body = {"status": "error", "message": said, "correlationId": CORRELATION, **policy}
        left = {"x-hubspot-ratelimit-max": "100", "x-hubspot-ratelimit-remaining": "0"}
        return Reply(429, body, {"x-hubspot-ratelimit-interval-milliseconds": "10000", **left})

    def part_of(self, call: Incoming, first: int) -> Reply:
        """The others are errors of a 207, named by their trace ids, or else by their ids."""
        inputs = listed(call.body)
        call.body = {**call.body, "inputs": inputs[:first]}
        reply = self.handle(call)
        if reply.status >= 300 or not inputs[first:]:
            return reply
        errors = []
        for item in inputs[first:]:
            name = "objectWriteTraceId" if "objectWriteTraceId" in item else "ids"
            context = {name: [str(item[name.removesuffix("s")])]} if item.get(name.removesuffix("s")) else {}
            errors.append(member_error("INTERNAL_ERROR", "There was a problem with the request.", **context))
        return batch((reply.body or {}).get("results", []), errors)

    def visible(self) -> dict[str, Any]:
        shown = {name: hidden(part) for name, part in self.state.items() if name not in ("next", "search_lag")}
        # What is defined again under its name is the same, whenever that was.
        return shown | {name: hidden(shown[name], "createdAt") for name in ("properties", "pipelines", "schemas")}

    def new_id(self) -> str:
        self.state["next"] += 1
        return str(self.state["next"])

    def kind(self, call: Incoming, name: str = "objectType") -> str:
        """The type of record that a path names; a wrong one is refused as HubSpot does."""
        given = call[name]
        kind = TYPES.get(given, given)
        if kind not in self.state["records"]:
            raise refusal(400, "VALIDATION_ERROR", f"Unable to infer object type from: {given}")
        return kind


HIDDEN = ("updatedAt", "history", "filtersUpdatedAt", "listVersion", "archivedAt", "deletedAt", "updatedUserId")
"""Times and traces that a snapshot leaves out; whether a thing is archived stays."""


def hidden(value: Any, *more: str) -> Any:
    """A part of the state without what is only a time or a trace, and without what *more* names."""
    if isinstance(value, dict):
        shown = {k: hidden(v, *more) for k, v in value.items() if k not in HIDDEN and k not in more}
        return shown | ({"deleted": True} if value.get("deletedAt") else {})
    return [hidden(entry, *more) for entry in value] if isinstance(value, list) else value


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def refusal(
    status: int, category: str, message: str, *, errors: list[dict[str, Any]] | None = None, **context: list[str]
) -> Refuse:
    """An error as HubSpot writes it, https://developers.hubspot.com/docs/api-reference/error-handling."""
    body: dict[str, Any] = {"status": "error", "message": message, "correlationId": CORRELATION, "category": category}
    if errors:
        body["errors"] = errors
    if context:
        body["context"] = context
    return Refuse(status, body)


def missing(what: str = "resource not found") -> Refuse:
    return refusal(404, "OBJECT_NOT_FOUND", what)


def shaped(body: Any, required: Iterable[str] = (), optional: Iterable[str] = (), where: str = "") -> dict[str, Any]:
    """Check that *body* is an object with the *required* fields and no others than these and the *optional* ones."""
    if not isinstance(body, dict):
        raise refusal(400, "VALIDATION_ERROR", f"Invalid input JSON: {where or 'the body'} must be an object")
    required, optional = tuple(required), tuple(optional)
    for name in body:
        if name not in required and name not in optional:
            raise refusal(
                400, "VALIDATION_ERROR", f'Invalid input JSON on line 1, column 2: Unrecognized field "{name}"'
            )
    lacking = [name for name in required if body.get(name) is None]
    if lacking:
        fields = ", ".join(lacking)
        raise refusal(400, "VALIDATION_ERROR", f"Invalid input JSON: some required fields were not set: [{fields}]")
    return body


def listed(body: Any, limit: int = 100) -> list[Any]:
    """The members of a batch."""
    inputs = shaped(body, ["inputs"])["inputs"]
    return members(inputs, limit)


def members(inputs: Any, limit: int = 100) -> list[Any]:
    if not isinstance(inputs, list):
        raise refusal(400, "VALIDATION_ERROR", "Invalid input JSON: inputs must be an array")
    if len(inputs) > limit:
        raise refusal(400, "VALIDATION_ERROR", f"The maximum number of inputs supported in a batch request is {limit}")
    return inputs


def batch(results: list[Any], errors: list[dict[str, Any]] | None = None, status: int = 200) -> Reply:
    """The answer to a batch: 207 where a part of it failed."""
    body: dict[str, Any] = {"status": "COMPLETE", "results": results, "startedAt": now(), "completedAt": now()}
    if errors:
        return Reply(207, {**body, "numErrors": len(errors), "errors": errors})
    return Reply(status, body)


def member_error(category: str, message: str, **context: list[str]) -> dict[str, Any]:
    return {"status": "error", "category": category, "message": message, "context": context, "errors": [], "links": {}}
