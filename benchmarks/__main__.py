"""`python -m benchmarks`: measure everything, print it, and write results.json and the document's tables and chart.

`--only NAME` measures one thing (more than once for several) and `--quick` does everything too few times to mean
anything; neither changes a file unless `--results FILE` names one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import breakdown, chart, concurrency, growth, reads, report, start, syncs, taking_back, write
from benchmarks.measuring import ROOT, Found, Setting

MEASURES = {
    "write": write.measure,
    "read": reads.measure,
    "rollback": taking_back.measure,
    "growth": growth.measure,
    "concurrency": concurrency.measure,
    "start": start.measure,
}
FOLDER = "BENCH_FOLDER"
"""The environment variable that tells the process that measures where to do it."""


def main(arguments: list[str]) -> int:
    """Begin again in a process with the counting library; returns the exit code."""
    options = parse(arguments)
    if options.document:
        publish(report.load())
        return 0
    if FOLDER in os.environ:
        return measure(options, Path(os.environ[FOLDER]))
    folder = Path(tempfile.mkdtemp(prefix="agentguard-bench-", dir=options.folder))
    try:
        variables = syncs.environment(syncs.build(folder)) | {FOLDER: str(folder)}
        return subprocess.run([sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, env=variables).returncode
    finally:
        shutil.rmtree(folder)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--only", action="append", choices=MEASURES, help="measure this; may be repeated")
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that it works")
    parser.add_argument(
        "--breakdown", action="store_true", help="where the time of one guarded write goes, and no more"
    )
    parser.add_argument("--results", type=Path, metavar="FILE", help="where the results are written as JSON")
    parser.add_argument(
        "--document", action="store_true", help="write the document anew from results.json, and no more"
    )
    parser.add_argument("--peers", type=Path, default=ROOT / ".venv-bench/bin/python", help="a Python that has them")
    # Not the folder for what is temporary: that is often kept in memory, where a sync costs nothing.
    default = Path("/var/tmp") if Path("/var/tmp").is_dir() else Path.cwd()
    parser.add_argument("--folder", type=Path, default=default, help="a folder on the disk that is measured")
    return parser.parse_args(arguments)


def measure(options: argparse.Namespace, folder: Path) -> int:
    """Measure what is asked for, in this process."""
    began, load = time.monotonic(), round(os.getloadavg()[0], 2)
    peers = None if options.quick or not options.peers.exists() else options.peers.absolute()
    setting = Setting(folder, options.quick, peers)
    if options.breakdown:
        print(breakdown.told(breakdown.take_apart(setting, setting.choose(1000, 20))))
        return 0
    found: dict[str, Found] = {}
    for name in options.only or MEASURES:
        print(f"measuring: {name}", file=sys.stderr, flush=True)
        found[name] = MEASURES[name](setting)
    told = report.results(found, setting, load)
    print(report.table(told))
    print(f"\nmeasured in {time.monotonic() - began:.0f} s", file=sys.stderr)
    complete = not options.quick and not options.only
    path = options.results or (report.RESULTS if complete else None)
    if path is not None:
        report.write(path, told)
    if complete:
        publish(told)
    return 0


def publish(told: report.Results) -> None:
    """Write the document's tables and its chart."""
    report.DOCUMENT.write_text(report.document(report.DOCUMENT.read_text(), told))
    report.CHART.write_text(chart.chart(told))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
