"""What was measured, as a table for people, as JSON, and as the tables of docs/performance.md."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import apsw

from benchmarks.measuring import ROOT, Figure, Found, Setting, Target

RESULTS, DOCUMENT, CHART = ROOT / "benchmarks/results.json", ROOT / "docs/performance.md", ROOT / "docs/performance.svg"
Results = Mapping[str, Any]


def results(found: Mapping[str, Found], setting: Setting, load: float) -> dict[str, Any]:
    """Everything that was found, as JSON: `targets`, `measures`, and on what machine, with its *load* before."""
    return {
        "when": datetime.now(UTC).date().isoformat(),
        "quick": setting.quick,
        "machine": {**machine(setting.folder), "load": load},
        "targets": [_target(target) for one in found.values() for target in one.targets],
        "measures": [_figure(name, one.title, figure) for name, one in found.items() for figure in one.figures],
    }


def _target(target: Target) -> dict[str, Any]:
    value = None if target.value is None else round(target.value, 4)
    return {**asdict(target), "value": value, "met": target.met}


def _figure(name: str, title: str, figure: Figure) -> dict[str, Any]:
    value = asdict(figure.value) if figure.value else dict.fromkeys(("median", "minimum", "maximum", "repetitions"))
    told = {
        "measure": name,
        "title": title,
        "name": figure.name,
        "unit": figure.unit,
        **value,
        "reference": figure.reference,
        "ratio": asdict(figure.ratio) if figure.ratio else None,
        "absent": figure.absent,
        "note": figure.note,
    }
    rounded: dict[str, Any] = _rounded(told)
    return rounded


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    return {name: _rounded(item) for name, item in value.items()} if isinstance(value, dict) else value


def machine(folder: Path) -> dict[str, Any]:
    """On what it was measured."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "file system": _file_system(folder),
        "python": platform.python_version(),
        "apsw": f"{version('apsw')} (SQLite {apsw.sqlite_lib_version()})",
        "sqlite3": sqlite3.sqlite_version,
        "httpx": version("httpx"),
        "agentguard": version("agentguard"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _file_system(folder: Path) -> str:
    """The kind of file system that *folder* is on: that of the longest mount point above it."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "unknown"
    above = [mount for mount in mounts if folder.resolve().is_relative_to(mount[1])]
    return max(above, key=lambda mount: len(mount[1]))[2] if above else "unknown"


# For people


def table(told: Results) -> str:
    """The results as text."""
    lines = []
    for title, figures in by_title(told):
        lines += ["", title, f"  {'':62} {'median':>10} {'min':>10} {'max':>10}        ratio (min to max)"]
        for figure in figures:
            if figure["absent"]:
                lines.append(f"  {figure['name']:62} absent: {figure['absent']}")
                continue
            value = " ".join(f"{number(figure[name]):>10}" for name in ("median", "minimum", "maximum"))
            lines.append(f"  {figure['name']:62} {value} {figure['unit']:6} {_ratio(figure)} {figure['note']}".rstrip())
    lines += ["", f"{'targets':64} {'value':>10}     target"]
    for target in told["targets"]:
        lines.append(f"  {target['name']:62} {number(target['value']):>10} {_limit(target):>10}  {_met(target)}")
        if target["bounded"]:
            lines.append(f"      {target['bounded']}")
    return "\n".join([*lines[1:], "", quiet(told)])


def by_title(told: Results) -> Iterable[tuple[str, list[dict[str, Any]]]]:
    """The figures, by the title of their measure."""
    titles = dict.fromkeys(figure["title"] for figure in told["measures"])
    return [(title, [figure for figure in told["measures"] if figure["title"] == title]) for title in titles]


def quiet(told: Results) -> str:
    """Whether the machine had nothing else to do, in a sentence."""
    load, cores = told["machine"]["load"], told["machine"]["cores"]
    if load <= cores / 4:
        return f"The load of the machine before was {load}."
    return (
        f"The load of the machine before was {load} on {cores} cores: it was not quiet, so that times are too long and "
        "ratios to a sync too small or too large. Counts of syncs and bytes do not depend on that."
    )


def number(value: float | None) -> str:
    """Three figures of a number; no more is meant."""
    if value is None:
        return "absent"
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _ratio(figure: Mapping[str, Any]) -> str:
    ratio = figure["ratio"]
    if not ratio:
        return ""
    spread = f"{number(ratio['minimum'])} to {number(ratio['maximum'])}"
    return f"{number(ratio['median'])} x {figure['reference']} ({spread})"


def _limit(target: Mapping[str, Any]) -> str:
    return f"{'>=' if target['at_least'] else '<='} {number(target['target'])}"


def _met(target: Mapping[str, Any]) -> str:
    return {True: "met", False: "NOT met", None: "not measured"}[target["met"]]


# For the documents


def markdown(told: Results) -> dict[str, str]:
    """The generated parts of docs/performance.md, by the names of their markers."""
    return {"targets": _targets_table(told), "figures": _figures_tables(told)}


def _targets_table(told: Results) -> str:
    lines = ["| target | value | target | |", "|---|---:|---:|---|"]
    for target in told["targets"]:
        limit = f"{'≥' if target['at_least'] else '≤'} {number(target['target'])}"
        why = f": {target['bounded']}" if target["bounded"] else ""
        lines.append(f"| {target['name']} | {number(target['value'])} | {limit} | {_met(target)}{why} |")
    on = told["machine"]
    lines += [
        "",
        f"Measured {told['when']} on {on['processor']}, {on['cores']} cores, {on['file system']}, {on['system']}; "
        f"Python {on['python']}, apsw {on['apsw']}, httpx {on['httpx']}. {quiet(told)}",
    ]
    return "\n".join(lines)


def _figures_tables(told: Results) -> str:
    parts = []
    for title, figures in by_title(told):
        lines = [f"### {title}", "", "| | median | min | max | ratio (min to max) | |", "|---|---:|---:|---:|---|---|"]
        for figure in figures:
            if figure["absent"]:
                lines.append(f"| {figure['name']} | absent | | | | {figure['absent']} |")
                continue
            median, low, high = (number(figure[name]) for name in ("median", "minimum", "maximum"))
            unit = figure["unit"]
            lines.append(
                f"| {figure['name']} | {median} {unit} | {low} | {high} | {_ratio(figure)} | {figure['note']} |"
            )
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def document(text: str, told: Results) -> str:
    """*text* with its generated parts as *told* has them. Raises ValueError where a marker is missing."""
    for name, part in markdown(told).items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, found, rest = text.partition(begin)
        _old, also_found, after = rest.partition(end)
        if not (found and also_found):
            raise ValueError(f"docs/performance.md has no {begin} ... {end}. Nothing was written. Put them back.")
        text = f"{before}{begin}\n{part}\n{end}{after}"
    return text


def write(path: Path, told: Results) -> None:
    """Write the results to *path*."""
    path.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")


def load(path: Path = RESULTS) -> Results:
    """The results that are at *path*."""
    told: Results = json.loads(path.read_text())
    return told
