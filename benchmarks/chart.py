"""The chart of docs/performance.md: what a write on record costs, as bars with their spread, drawn from the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from benchmarks.report import Results, number

WIDTH, LABELS, BAR, GAP = 860, 230, 20, 8
SLOWER = ", each sync 1 ms slower"
WRITES = (
    "4 KiB write + fdatasync",
    "sqlite3 commit",
    "guarded write",
    "guarded request",
    "LangGraph node",
    "DBOS step, WAL",
    "DBOS step",
)
OURS = "#2563eb"
OTHERS = "#9ca3af"
Bar = tuple[str, Mapping[str, Any]]


def chart(told: Results) -> str:
    """The chart as SVG."""
    figures = {figure["name"]: figure for figure in told["measures"] if figure["median"] is not None}
    panels = [
        ("One write or step on record, µs", _bars(figures, WRITES, "")),
        ("The same with 1 ms more for each sync, µs", _bars(figures, WRITES, SLOWER)),
        ("A rollback: seconds, for undos of 50 ms each", _rollbacks(told)),
    ]
    parts, y = [], 16
    for title, bars in panels:
        if bars:
            drawn, y = _panel(title, bars, y)
            parts += drawn
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" font-family="sans-serif" font-size="13" '
        f'role="img" aria-label="What a write on record and a rollback cost">\n'
        f'<rect width="{WIDTH}" height="{y}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _bars(figures: Mapping[str, Mapping[str, Any]], names: Sequence[str], suffix: str) -> list[Bar]:
    return [(name, figures[f"{name}{suffix}"]) for name in names if f"{name}{suffix}" in figures]


def _rollbacks(told: Results) -> list[Bar]:
    figures = [f for f in told["measures"] if f["measure"] == "rollback" and f["reference"] == "limit"]
    return [(figure["name"], figure) for figure in figures]


def _panel(title: str, bars: Sequence[Bar], y: int) -> tuple[list[str], int]:
    """One panel from the height *y* on, and the height at which it ends."""
    longest = max(figure["maximum"] for _name, figure in bars)
    scale = (WIDTH - LABELS - 190) / longest
    parts = [f'<text x="12" y="{y + 14}" font-weight="bold" fill="#111827">{escape(title)}</text>']
    y += 26
    for name, figure in bars:
        middle = y + BAR / 2
        color = OURS if name.startswith("guarded") or "undo" in name else OTHERS
        low, high = LABELS + figure["minimum"] * scale, LABELS + figure["maximum"] * scale
        width = max(1, figure["median"] * scale)
        told = f"{number(figure['median'])}  ({number(figure['minimum'])} to {number(figure['maximum'])})"
        parts += [
            f'<text x="{LABELS - 8}" y="{middle + 4.5}" text-anchor="end" fill="#111827">{escape(name)}</text>',
            f'<rect x="{LABELS}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{color}"/>',
            f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="#111827" stroke-width="1.5"/>',
            f'<text x="{high + 8:.1f}" y="{middle + 4.5}" fill="#374151">{told}</text>',
        ]
        y += BAR + GAP
    return parts, y + 14
