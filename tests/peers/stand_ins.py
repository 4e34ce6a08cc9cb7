"""Stand-ins that others wrote, each in a process of its own on a free port of 127.0.0.1."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.peers import install

GITHUB_SEED = {
    "github": {
        "users": [{"login": "octo", "name": "Octo"}, {"login": "hubot", "name": "Hubot"}],
        "orgs": [{"login": "acme", "members": [{"login": "octo", "role": "admin"}]}],
        "repos": [{"owner": "octo", "name": "site", "description": "Before", "topics": ["old"]}],
    }
}
SLACK_SEED = {
    "slack": {
        "users": [{"name": "hubot", "real_name": "Hubot"}],
        "channels": [{"name": "deploys", "topic": "Old topic", "purpose": "Old purpose"}],
    }
}


@dataclass
class StandIn:
    """One stand-in: where it is, and how to begin again."""

    url: str
    process: subprocess.Popen[str]
    reset_url: str = ""

    def reset(self) -> StandIn:
        """Begin again with what was seeded."""
        if self.reset_url:
            request = urllib.request.Request(self.url + self.reset_url, method="DELETE")
            urllib.request.urlopen(request, timeout=10).close()
        else:
            assert self.process.stdin is not None
            assert self.process.stdout is not None
            self.process.stdin.write("reset\n")
            self.process.stdin.flush()
            assert self.process.stdout.readline() == "reset\n"
        return self


@contextmanager
def from_npm(service: str, seed: dict[str, Any] | None = None) -> Iterator[StandIn]:
    """Run *service* of emulate, or stripe-stateful-mock, until the block is left. Skips the test that has neither."""
    if problem := install.missing():
        pytest.skip(f"emulate and stripe-stateful-mock are not installed: {problem}")
    asked = {"modules": str(install.CACHE), "service": service, "port": free_port(), "seed": seed}
    with running([*install.node(), str(install.HERE / "starter.mjs"), json.dumps(asked)]) as process:
        yield StandIn(answering(process), process)


@contextmanager
def localstripe() -> Iterator[StandIn]:
    """Run localstripe until the block is left."""
    with running([sys.executable, "-m", "tests.peers.localstripe_server"]) as process:
        yield StandIn(answering(process), process, reset_url="/_config/data")


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """Run *command* until the block is left; what it says on its standard error is seen when a test fails."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def answering(process: subprocess.Popen[str]) -> str:
    """Wait until *process* prints its URL."""
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert url.startswith("http://127.0.0.1:"), f"{process.args} did not start"
    return url


def free_port() -> int:
    """A port that nobody uses at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
