"""The parts of the documents that are generated, each between `<!-- NAME -->` and `<!-- /NAME -->`.

`python -m tests.generated` says whether they are up to date; with `--write` it makes them so.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from agentguard.cli.connectors import COLUMNS, coverage
from agentguard.registry import connector, connector_names

ROOT = Path(__file__).parents[1]


def coverage_table() -> str:
    """What `agentguard connectors` prints, as Markdown."""
    rows = [row for row in (coverage(connector(name)) for name in connector_names()) if row["operations"]]
    lines = [f"| service | {' | '.join(COLUMNS.values())} |", f"|---|{'---:|' * len(COLUMNS)}"]
    lines += [f"| {row['title']} | {' | '.join(str(row[name]) for name in COLUMNS)} |" for row in rows]
    totals = [str(sum(row[name] for row in rows)) for name in COLUMNS]
    return "\n".join([*lines, f"| **all** | {' | '.join(f'**{total}**' for total in totals)} |"])


PARTS: dict[str, tuple[str, Callable[[], str]]] = {"coverage": ("README.md", coverage_table)}


def render(name: str) -> tuple[Path, str, str]:
    """The document of a part, as it is and as it should be."""
    path = ROOT / PARTS[name][0]
    text = path.read_text()
    part = f"<!-- {name} -->\n{PARTS[name][1]()}\n<!-- /{name} -->"
    return path, text, re.sub(rf"<!-- {name} -->.*?<!-- /{name} -->", lambda _found: part, text, flags=re.DOTALL)


def main(arguments: list[str]) -> int:
    """Compare or write; returns the exit code."""
    stale = []
    for name in PARTS:
        path, is_so, should_be = render(name)
        if "--write" in arguments:
            path.write_text(should_be)
        elif is_so != should_be:
            stale.append(f"{path.name}: {name}")
    print(f"out of date: {', '.join(stale)}; run `make generate`" if stale else "up to date")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
