"""A small service in a process of its own: things that are made and deleted, each request as slow as is asked for.

`python -m benchmarks.service [MILLISECONDS]` runs it on a free port of 127.0.0.1 and prints its URL.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from agentguard.sandbox.server import Incoming, Reply, Service, route, serve
from benchmarks import syncs
from benchmarks.measuring import ROOT

DELETED: dict[str, Any] = {"deleted": True}


class Things(Service):
    """Things with a text."""

    name = "things"
    milliseconds = 0.0

    def fresh(self) -> dict[str, Any]:
        """Begin with one thing, which all reads are of."""
        return {"next": 2, "things": {"1": {"id": "thing-0001", "text": "x" * 512}}}

    def note_request(self, call: Incoming) -> None:
        """Keep no log, which would grow with every repetition."""

    def handle(self, call: Incoming) -> Reply:
        """Answer without the copy of the state that takes back what a refused request has done: none is refused."""
        for verb, pattern, method in self._routes:
            found = pattern.match(call.path) if verb == call.verb else None
            if found:
                call.parameters = found.groupdict()
                return method(self, call)
        return self.not_found(call)

    @route("GET", "/things/{id}")
    def get(self, call: Incoming) -> Reply:
        """Show a thing."""
        thing = self.state["things"].get(call["id"])
        return Reply(200, thing) if thing else self.not_found(call)

    @route("POST", "/things")
    def create(self, call: Incoming) -> Reply:
        """Make a thing, and name it."""
        name = f"thing-{self.state['next']:06}"
        self.state["next"] += 1
        self.state["things"][name] = {**call.body, "id": name}
        return Reply(201, self.state["things"][name])

    @route("DELETE", "/things/{id}")
    def delete(self, call: Incoming) -> Reply:
        """Delete a thing."""
        if self.state["things"].pop(call["id"], None) is None:
            return self.not_found(call)
        return Reply(200, DELETED)

    def fault_for(self, call: Incoming) -> dict[str, Any] | None:
        """Make every deletion slow, outside of the lock, so that many are so at once."""
        if self.milliseconds and call.verb == "DELETE":
            return {"mode": "delay_before", "seconds": self.milliseconds / 1000}
        return None


@contextmanager
def running(milliseconds: float = 0) -> Iterator[str]:
    """Run the service until the block is left; its URL. A deletion takes *milliseconds*."""
    command = [sys.executable, "-m", "benchmarks.service", str(milliseconds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=syncs.environment(None)) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def main(milliseconds: float) -> None:
    """Run the service until it is told to end."""
    things = Things()
    things.milliseconds = milliseconds
    serve(things)
    print(things.url, flush=True)
    signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 0)
