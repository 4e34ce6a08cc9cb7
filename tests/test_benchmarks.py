"""The benchmarks run, and what they write down has the shape that others read. How fast anything is, is not tested."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from benchmarks import chart, report
from benchmarks.__main__ import MEASURES
from benchmarks.measuring import Found, Spread, Target, paired, percentile

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results of everything, done too few times to mean anything."""
    folder = tmp_path_factory.mktemp("benchmarks")
    command = [sys.executable, "-m", "benchmarks", "--quick", "--folder", str(folder)]
    command += ["--results", str(folder / "results.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in folder.iterdir()] == ["results.json"], "what was measured on was left behind"
    results: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return results


@pytest.mark.parametrize("name", MEASURES)
def test_each_measure_yields_numbers(quick: dict[str, Any], name: str) -> None:
    figures = [figure for figure in quick["measures"] if figure["measure"] == name]
    there = [figure for figure in figures if not figure["absent"]]
    assert len(there) >= 3
    for figure in there:
        assert figure["minimum"] <= figure["median"] <= figure["maximum"], figure
        assert figure["repetitions"] >= 1
        assert all(figure[name] for name in ("unit", "name", "title"))
        assert bool(figure["ratio"]) == bool(figure["reference"])
        if figure["ratio"]:
            assert figure["ratio"]["minimum"] <= figure["ratio"]["median"] <= figure["ratio"]["maximum"]


def test_only_the_peers_and_what_needs_a_compiler_may_be_absent(quick: dict[str, Any]) -> None:
    absent = {figure["name"].partition(",")[0] for figure in quick["measures"] if figure["absent"]}
    counted = {figure["name"] for figure in quick["measures"] if figure["unit"] == "syncs" and not figure["absent"]}
    assert absent <= {"DBOS step", "LangGraph node"} or not counted


def test_each_target_says_whether_it_is_met(quick: dict[str, Any]) -> None:
    assert len(quick["targets"]) >= 14
    for target in quick["targets"]:
        assert set(target) >= {"name", "value", "target", "met"}
        if target["value"] is None:
            assert target["met"] is None
        else:
            more = target["value"] >= target["target"]
            assert target["met"] is (more if target["at_least"] else target["value"] <= target["target"])


def test_the_results_are_of_the_machine_that_is_named(quick: dict[str, Any]) -> None:
    assert quick["quick"] is True
    assert set(quick["machine"]) >= {"processor", "cores", "file system", "python", "apsw"}


def test_results_can_be_read_as_a_table_a_document_and_a_chart(quick: dict[str, Any]) -> None:
    names = [figure["name"] for figure in quick["measures"]]
    table = report.table(quick)
    assert [name for name in names if name not in table] == []
    written = report.document(report.DOCUMENT.read_text(), quick)
    assert [name for name in names if f"| {name} |" not in written] == []
    assert report.document(written, quick) == written
    drawn = ElementTree.fromstring(chart.chart(quick))
    assert "guarded write" in {text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")}


def test_the_document_shows_the_results_that_are_kept() -> None:
    kept = report.load()
    assert kept["quick"] is False
    assert report.document(report.DOCUMENT.read_text(), kept) == report.DOCUMENT.read_text()
    assert chart.chart(kept) == report.CHART.read_text()


def test_a_document_without_its_markers_is_not_written(quick: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="has no <!-- targets -->"):
        report.document("nothing is generated here", quick)


def test_ratios_are_formed_within_a_repetition() -> None:
    found = Found("a title")
    ratio = found.compare("twice", [2.0, 20.0, 200.0], "once", [1.0, 10.0, 100.0], "s")
    assert ratio == Spread(2.0, 2.0, 2.0, 3)
    assert found.figures[0].value == Spread(20.0, 2.0, 200.0, 3)
    assert paired([6.0, 1.0], [3.0, 4.0]) == [2.0, 0.25]
    with pytest.raises(ValueError, match="zip"):
        paired([1.0], [1.0, 2.0])


def test_a_target_is_met_from_the_right_side_and_says_what_bounds_it_only_where_it_is_not() -> None:
    assert (Target("at most", 1.0, 1.0).met, Target("at most", 1.1, 1.0).met) == (True, False)
    assert (Target("at least", 6.0, 6.0, True).met, Target("at least", 5.9, 6.0, True).met) == (True, False)
    assert Target("not measured", None, 1.0).met is None
    found = Found("a title")
    for value in (1.0, 2.0, None):
        found.hold("at most", value, 1.5, bounded="the disk")
    assert [target.bounded for target in found.targets] == ["", "the disk", ""]


def test_the_slowest_percentile_is_one_of_the_values() -> None:
    assert percentile(range(1000), 99) == 990
    assert percentile([3.0], 99) == 3.0


def test_the_breakdown_of_a_write_names_its_steps_and_statements(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "--only",
        "write",
        "--breakdown",
        "--quick",
        "--folder",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    for part in ("one guarded write:", "its commit, with the sync", "the call itself", "INSERT INTO call", "COMMIT"):
        assert part in done.stdout
