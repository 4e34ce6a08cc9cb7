"""What every part of the GitHub stand-in needs: who asks, which repository, what a body may hold, the refusals.

Any token is somebody: `colleague` and `outsider` are the people of that name, every other token belongs to `agent`.
Logins in the state's `revoked` have lost their access: private repositories are 404 to them, as on GitHub.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

from agentguard.sandbox.github import shapes
from agentguard.sandbox.server import Incoming, Refuse, Reply, Service

Data = dict[str, Any]
DOCS = "https://docs.github.com/rest"


class Base(Service):
    """The frame that the topics build on."""

    name = "github"

    def before(self, call: Incoming) -> None:
        if not call.headers.get("authorization"):
            raise Refuse(401, {"message": "Requires authentication", "documentation_url": DOCS, "status": "401"})

    def too_many(self, seconds: int) -> Reply:
        """A secondary limit: https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api."""
        said = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
        where = f"{DOCS}/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits"
        body = {"message": said, "documentation_url": where, "status": "403"}
        return Reply(403, body, {"retry-after": str(seconds)})

    # Who and what

    def login(self, call: Incoming) -> str:
        token = call.headers.get("authorization", "").split(" ")[-1]
        return token if token in self.state["users"] else "agent"

    def user(self, login: str) -> Data:
        return shapes.user(self.url, self.state["users"][login])

    def me(self, call: Incoming) -> Data:
        return self.user(self.login(call))

    def repo(self, call: Incoming, level: str = "read") -> Data:
        """The repository of the path, if the caller may see it; *level* `write` and `admin` ask for more."""
        return self.repo_called(call, f"{call['owner']}/{call['repo']}", level)

    def repo_called(self, call: Incoming, full_name: str, level: str = "read") -> Data:
        repo: Data | None = self.state["repos"].get(full_name)
        if repo is None:
            raise missing()
        login = self.login(call)
        role = "" if login in self.state["revoked"] else repo["collaborators"].get(login, "")
        if not role and repo["private"]:
            raise missing()
        if LEVELS.index(role or "read") < LEVELS.index(level):
            raise Refuse(403, {"message": "Must have push access to repository", "documentation_url": DOCS})
        return repo

    def url_of(self, repo: Data) -> str:
        return f"{self.url}/repos/{repo['full_name']}"

    # Numbers and times

    def now(self) -> str:
        return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def next_id(self) -> int:
        self.state["last_id"] += 1
        return int(self.state["last_id"])

    def event(self, call: Incoming, repo: Data, kind: str, **details: Any) -> None:
        """Put on record, in the repository's history and in the log, that something was changed."""
        repo["events"].append({"event": kind, "actor": self.login(call), **details})
        repo["updated_at"] = self.now()
        self.effect(kind, repo=repo["full_name"], **details)

    def page(self, call: Incoming, items: list[Any]) -> list[Any]:
        size = min(int(call.query.get("per_page", 30)), 100)
        start = (int(call.query.get("page", 1)) - 1) * size
        return items[start : start + size]


LEVELS = ("read", "triage", "write", "maintain", "admin")


def missing() -> Refuse:
    return Refuse(404, {"message": "Not Found", "documentation_url": DOCS, "status": "404"})


def invalid(resource: str, field: str, code: str = "invalid", message: str = "") -> Refuse:
    """The vendor's 422: https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api."""
    error = {"resource": resource, "field": field, "code": code} | ({"message": message} if message else {})
    return Refuse(422, {"message": "Validation Failed", "errors": [error], "documentation_url": DOCS, "status": "422"})


def fields(call: Incoming, *allowed: str, required: tuple[str, ...] = ()) -> Data:
    """The body, if it holds nothing but *allowed* fields and all *required* ones."""
    body = {} if call.body is None and not call.raw else call.body
    if not isinstance(body, dict):
        raise Refuse(400, {"message": "Problems parsing JSON", "documentation_url": DOCS, "status": "400"})
    for name in body:
        if name not in allowed and name not in required:
            raise invalid("Request", name, "custom", f"{name} is not a permitted key")
    for name in required:
        if body.get(name) in (None, ""):
            raise invalid("Request", name, "missing_field")
    return body


def digest(kind: str, content: bytes) -> str:
    """A git object's name: SHA-1 over its kind, size and content."""
    return hashlib.sha1(f"{kind} {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()


def json_digest(kind: str, value: Any) -> str:
    return digest(kind, json.dumps(value, sort_keys=True).encode())
