"""How long a program waits for agentguard: importing it, using it for the first time, and the command."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial

from benchmarks import syncs
from benchmarks.measuring import ROOT, Found, Setting, Spread, paired

IMPORTS = {
    "import httpx": "import httpx",
    "import agentguard": "import agentguard",
    "import agentguard, and what a session needs": "from agentguard import action, session, wrap",
}
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "agentguard --help": ["-m", "agentguard", "--help"],
}


def measure(setting: Setting) -> Found:
    """Measure fresh processes."""
    found = Found("The start of a program")
    kinds = {name: partial(_import, statement) for name, statement in IMPORTS.items()}
    kinds |= {name: partial(_command, arguments) for name, arguments in COMMANDS.items()}
    for kind in kinds.values():
        kind()  # compiles what is not compiled yet
    results = setting.interleave(kinds, setting.choose(15, 1))
    for names in (IMPORTS, COMMANDS):
        reference, *others = names
        found.add(reference, results[reference], "ms")
        for name in others:
            found.compare(name, results[name], reference, results[reference], "ms")
    ratio = Spread.of(paired(results["import agentguard"], results["import httpx"])).median
    found.hold("import agentguard / import httpx", ratio, 0.6)
    return found


def _import(statement: str) -> float:
    """Seconds that *statement* takes in a fresh process, without the start of Python."""
    script = f"import time\nstart = time.perf_counter()\n{statement}\nprint(time.perf_counter() - start)"
    return float(_run(["-c", script]).split()[-1])


def _command(arguments: list[str]) -> float:
    start = time.perf_counter()
    _run(arguments)
    return time.perf_counter() - start


def _run(arguments: list[str]) -> str:
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=syncs.environment(None), capture_output=True, text=True, check=True)
    return done.stdout
