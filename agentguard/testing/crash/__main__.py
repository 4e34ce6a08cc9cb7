"""Run one crash again: `python -m agentguard.testing.crash MODULE SCENARIO --kill before_send:2`."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from agentguard.testing.crash.harness import Bench, Fault, Plan


def main() -> int:
    """Run it, and print what happened and what the oracle finds."""
    parser = argparse.ArgumentParser(prog="python -m agentguard.testing.crash", description=__doc__)
    parser.add_argument("module", help="where the STAGE is")
    parser.add_argument("scenario")
    parser.add_argument("--kill", default="", metavar="POINT:N", help="kill the work there")
    parser.add_argument("--kill-rollback", default="", metavar="POINT:N", help="kill the first rollback there")
    parser.add_argument("--fault", type=Fault.parse, metavar="SERVICE:REQUEST:MODE")
    parser.add_argument("--fault-rollback", type=Fault.parse, metavar="SERVICE:REQUEST:MODE")
    parser.add_argument("--mutant", default="")
    given = vars(parser.parse_args())
    module, name = given.pop("module"), given.pop("scenario")
    with tempfile.TemporaryDirectory(prefix="agentguard-crash-") as folder, Bench(Path(folder), module) as bench:
        run = bench.run(Plan(bench.stage.scenarios[name], **given))
    print(f"points of the work      {' '.join(run.points)}")
    print(f"points of the rollback  {' '.join(run.points_of_rollback)}")
    for one in run.log.arrived:
        row = getattr(one.by, "seq", "") if one.by is not None else ""
        print(f"  {'read ' if one.reads else 'write'} {one}  {row} {one.effects}")
    for call in run.ledger.calls:
        print(f"  call {call.seq} {call.operation} {call.state} {call.error or ''}")
    for report in run.ledger.reports:
        print(f"  {report['phase']}: ok={report['ok']}")
        for result in report["outcomes"]:
            print(f"    {result['seq']} {result['operation']} {result['outcome']} {result['detail']}")
    if run.said:
        print(run.said)
    print(run)
    return 1 if run.violations else 0


if __name__ == "__main__":
    raise SystemExit(main())
