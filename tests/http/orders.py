"""An API as a program may have to deal with: orders with a reference of the caller's, and a log of request ids."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from agentguard.sandbox.server import Incoming, Refuse, Reply, Service, route, serve


class Orders(Service):
    """Orders, which are cancelled and stay."""

    name = "orders"

    def fresh(self) -> dict[str, Any]:
        return {"next": 1, "orders": {}}

    @route("POST", "/orders")
    def create(self, call: Incoming) -> Reply:
        body = dict(call.body or {})
        order = {"id": self.state["next"], "status": "open", **body, "request": call.headers.get("x-request-id")}
        self.state["next"] += 1
        self.state["orders"][str(order["id"])] = order
        self.effect("ordered", id=order["id"])
        return Reply(201, order)

    @route("POST", "/shops/{shop}/orders")
    def create_in(self, call: Incoming) -> Reply:
        return self.create(call)

    @route("GET", "/orders")
    def list(self, call: Incoming) -> Reply:
        found = [o for o in self.state["orders"].values() if self._asked_for(o, call.query)]
        return Reply(200, {"data": found})

    def _asked_for(self, order: dict[str, Any], query: dict[str, Any]) -> bool:
        return all(str(order.get(name)) == value for name, value in query.items())

    @route("GET", "/orders/by-reference/{reference}")
    def by_reference(self, call: Incoming) -> Reply:
        found = [o for o in self.state["orders"].values() if o.get("reference") == call["reference"]]
        return Reply(200, found[0]) if found else Reply(404, {"message": "no such order"})

    @route("GET", "/orders/{id}")
    def get(self, call: Incoming) -> Reply:
        return Reply(200, self._order(call))

    @route("POST", "/orders/{id}/cancel")
    def cancel(self, call: Incoming) -> Reply:
        order = self._order(call)
        order["status"] = "cancelled"
        self.effect("cancelled", id=order["id"])
        return Reply(200, order)

    def _order(self, call: Incoming) -> dict[str, Any]:
        found: dict[str, Any] | None = self.state["orders"].get(call["id"])
        if found is None:
            raise Refuse(404, {"message": "no such order"})
        return found


if __name__ == "__main__":
    service = Orders(Path(sys.argv[1]))
    serve(service)
    print(service.url, flush=True)
    sys.stdin.read()
