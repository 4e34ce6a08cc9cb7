"""A small service and its connector: what the tests of the core work with."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import httpx

from agentguard import Connector, Effect, Finder, Handler, Risk, forward, read, undo
from agentguard.calls import ABSENT
from agentguard.operations import Operation, OperationTable
from agentguard.sandbox.server import Incoming, Refuse, Reply, Service, route, serve
from agentguard.wire.http import Outgoing
from agentguard.wire.seam import Gate, Seam


class Notes(Service):
    """Notes with a title and a body."""

    name = "notes"

    def fresh(self) -> dict[str, Any]:
        return {"next": 1, "notes": {}}

    @route("POST", "/v1/notes")
    def create(self, call: Incoming) -> Reply:
        if not isinstance(call.body, dict) or not call.body.get("title"):
            raise Refuse(422, {"message": "title is missing"})
        note = {"id": self.state["next"], "body": "", **call.body}
        self.state["next"] += 1
        self.state["notes"][str(note["id"])] = note
        self.effect("created", id=note["id"])
        return Reply(201, note)

    @route("GET", "/v1/notes")
    def list(self, call: Incoming) -> Reply:
        return Reply(200, [*self.state["notes"].values()])

    @route("GET", "/v1/notes/{id}")
    def get(self, call: Incoming) -> Reply:
        return Reply(200, self._note(call))

    @route("PATCH", "/v1/notes/{id}")
    def update(self, call: Incoming) -> Reply:
        note = self._note(call)
        note.update(call.body)
        self.effect("updated", id=note["id"])
        return Reply(200, note)

    @route("DELETE", "/v1/notes/{id}")
    def delete(self, call: Incoming) -> Reply:
        del self.state["notes"][str(self._note(call)["id"])]
        self.effect("deleted", id=int(call["id"]))
        return Reply(204)

    @route("POST", "/v1/purge")
    def purge(self, call: Incoming) -> Reply:
        self.state["notes"].clear()
        self.effect("purged")
        return Reply(204)

    @route("POST", "/v1/unlisted")
    def unlisted(self, call: Incoming) -> Reply:
        self.effect("unlisted")
        return Reply(200, {})

    def _note(self, call: Incoming) -> dict[str, Any]:
        try:
            note: dict[str, Any] = self.state["notes"][call["id"]]
        except KeyError:
            raise Refuse(404, {"message": "no such note"}) from None
        return note


class HttpxSeam(Seam):
    """Guards an httpx client, synchronous."""

    sdk = "httpx"
    packages = ("httpx",)
    clients = ("httpx.Client",)

    def twin(self, client: httpx.Client, gate: Gate) -> httpx.Client:
        from agentguard.wire.httpx import twin_client

        return twin_client(client, gate)

    def bases(self, client: httpx.Client) -> tuple[str, ...]:
        return (str(client.base_url),)

    def secrets(self, client: httpx.Client) -> list[str]:
        return [client.headers.get("authorization", "").removeprefix("Bearer ")]

    def issue(self, twin: httpx.Client, out: Outgoing) -> None:
        twin.request(out.verb, out.path.lstrip("/"), params=out.query, json=out.body, headers=out.headers)

    def never_left(self, error: BaseException) -> bool:
        return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)


notes = Connector(
    "notes",
    title="Notes",
    table=OperationTable(
        [
            Operation("notes.create", "POST", "/notes"),
            Operation("notes.list", "GET", "/notes", Effect.READ),
            Operation("notes.get", "GET", "/notes/{id}", Effect.READ),
            Operation("notes.update", "PATCH", "/notes/{id}"),
            Operation("notes.delete", "DELETE", "/notes/{id}"),
            Operation("notes.purge", "POST", "/purge"),
        ]
    ),
    seams=[HttpxSeam()],
)


@notes.view
def note(body: Any) -> Any:
    return {"title": body["title"], "body": body["body"]}


notes.creates("notes.create", undone_by="notes.delete", key={"id": "id"}, by="notes.get", view="note")
notes.restores("notes.update", by="notes.get", view="note")
notes.irreversible("notes.purge", "What is purged is gone.", risk=Risk.CRITICAL)


@notes.guards("notes.delete", effect=Effect.COMPENSABLE, remains="the note has a new id")
def delete_note(id: str) -> Handler:  # noqa: A002 - what the service calls it
    """Delete a note; it is written again, under a new id."""
    old = yield read("notes.get", id=id).through("note")
    yield undo("notes.create", **old).leaving("the note has a new id")
    yield forward()


@notes.finds("notes.create")
def find_note(title: str) -> Finder:
    found = yield read("notes.list")
    return next((n for n in found if n["title"] == title), None)


__all__ = ["ABSENT", "Notes", "notes"]


if __name__ == "__main__":
    service = Notes(Path(sys.argv[1]))
    serve(service)
    print(service.url, flush=True)
    sys.stdin.read()
