"""The lists of what is proved: `proved.txt` beside each table holds what a whole run of the tests has shown, no more.

`python -m tests.proofs FILE` compares them with the proofs that a run has written to FILE (see `tests.proving`), and
fails where they differ; with `--write` it makes them anew.
"""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

from agentguard.registry import connector, connector_names


def main(arguments: list[str]) -> int:
    """Compare or write; returns the exit code."""
    shown = set(Path(arguments[0]).read_text().split())
    wrong = []
    for name in connector_names():
        if not connector(name).table.by_name:
            continue
        path = Path(str(files(f"agentguard_connectors.{name}"))) / "proved.txt"
        proved = sorted(line.removeprefix(f"{name}.") for line in shown if line.startswith(f"{name}."))
        if "--write" in arguments:
            path.write_text("".join(f"{operation}\n" for operation in proved))
        elif path.read_text().split() != proved:
            wrong.append(f"{path.name} of {name} lists {sorted(set(path.read_text().split()) ^ set(proved))} wrongly")
    print("\n".join(wrong) or f"{len(shown)} operations are proved, as listed")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
