"""Stand-ins as a test sees them: a URL, the whole state, the log, and faults to arm."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Box:
    """One stand-in, in another process."""

    name: str
    url: str

    def reset(self) -> Box:
        """Begin again with an empty service and an empty log."""
        self._call("reset", {})
        return self

    def snapshot(self) -> dict[str, Any]:
        """The whole state of the service."""
        state: dict[str, Any] = self._call("snapshot")
        return state

    def seed(self, **state: Any) -> None:
        """Put *state* in place of the top-level parts of the same name."""
        self._call("seed", state)

    def fault(self, mode: str, verb: str = "POST", path: str = ".*", times: int = 1, **details: Any) -> None:
        """Make the next *times* matching requests go wrong; modes and details are in `agentguard.sandbox.faults`.

        Raises ValueError where the stand-in cannot do that.
        """
        self._call("faults", {"mode": mode, "verb": verb, "path": path, "times": times, **details})

    def requests(self, *verbs: str) -> list[dict[str, Any]]:
        """The requests that arrived, those with one of *verbs* or all."""
        return [r for r in self._call("log")["requests"] if not verbs or r["verb"] in verbs]

    def effects(self) -> list[dict[str, Any]]:
        """The changes that were made."""
        made: list[dict[str, Any]] = self._call("log")["effects"]
        return made

    def settle(self, seconds: float = 10.0) -> Box:
        """Wait until every request that was made late has landed. Raises TimeoutError after so many seconds."""
        deadline = time.monotonic() + seconds
        while under_way := self._call("log")["waiting"]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{under_way} requests to {self.name} have not landed within {seconds} seconds")
            time.sleep(0.005)
        return self

    def _call(self, action: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_sandbox/{action}", data, {"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return json.load(response)
        except urllib.error.HTTPError as refused:
            with refused:
                raise ValueError(json.load(refused)["message"]) from None


@contextmanager
def start_boxes(log: Path, *names: str) -> Iterator[dict[str, Box]]:
    """Run the stand-ins called *names* (all by default) until the block is left."""
    command = [sys.executable, "-m", "agentguard.sandbox", *names, "--log", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield {name: Box(name, url) for name, url in json.loads(process.stdout.readline()).items()}
        finally:
            process.terminate()
