"""`agentguard recover`: bring sessions whose process is gone to an end, once or for as long as it runs."""

from __future__ import annotations

import time

import click

from agentguard.cli.common import (
    console,
    example,
    existing_ledger,
    json_option,
    ledger_option,
    print_json,
    print_report,
    safe,
)
from agentguard.config import ledger_location
from agentguard.recovery import Recovered
from agentguard.recovery import recover as recover_sessions


@click.command(epilog=example("agentguard recover"))
@click.option("--watch", is_flag=True, help="Go on looking until it is interrupted.")
@click.option("--every", default=5.0, show_default=True, type=click.FloatRange(0.1), help="Seconds between two looks.")
@click.option("--concurrency", default=1, show_default=True, type=click.IntRange(1), help="Undos at a time.")
@ledger_option
@json_option
def recover(watch: bool, every: float, concurrency: int, ledger: str | None, as_json: bool) -> int:
    """Recover sessions whose process is gone.

    What is in doubt is settled by evidence; then each session is rolled back, kept for a process that resumes it, or
    left to a person, as it asked when it began. Exits with 1 when something needs a person (see `agentguard queue`).
    """
    code = 0
    while True:
        store = existing_ledger(ledger)
        found = recover_sessions(ledger=store, concurrency=concurrency) if store else []
        code = 1 if any(not result.ok for result in found) else code
        if as_json and (found or not watch):
            print_json({"ledger": str(ledger_location(ledger)), "sessions": [result.to_dict() for result in found]})
        elif not as_json:
            for result in found:
                _show(result)
            if not found and not watch:
                click.echo("No session needs recovery.")
        if not watch:
            return code
        time.sleep(every)


def _show(result: Recovered) -> None:
    out = console()
    out.print(safe(f"{result.session}  {result.agent}: {result.intent}", "bold"))
    for service, why in result.missing.items():
        out.print(safe(f"  no client for {service}: {why}", "bold red"))
    if result.failed:
        out.print(safe(f"  left as it was: {result.failed}", "bold red"))
    elif result.report is not None:
        print_report(out, result.report)
    elif result.in_doubt:
        told = ", ".join(f"{call.session}/{call.seq}" for call in result.in_doubt)
        out.print(safe(f"  interrupted; in doubt: {told}", "bold red"))
    else:
        out.print(safe("  interrupted; nothing is in doubt", "bold green"))
