"""`agentguard plan` and `undo`: what a rollback would do, and taking back one call."""

from __future__ import annotations

import sys

import click

from agentguard.cli.common import (
    agreed,
    console,
    example,
    find_session,
    json_option,
    ledger_option,
    print_json,
    print_report,
    safe,
)
from agentguard.cli.rollback import clients_for, left_to_take_back
from agentguard.errors import UsageError
from agentguard.opening import load
from agentguard.plan import Planned
from agentguard.report import Report

STYLES = {"-": "red", "~": "yellow", "+": "green", ">": "yellow", "=": "dim", "!": "bold red", "?": "bold red"}


@click.command(epilog=example("agentguard plan last"))
@click.argument("session")
@click.option("--to", metavar="SAVEPOINT", help="Only what came after this savepoint.")
@ledger_option
@json_option
def plan(session: str, to: str | None, ledger: str | None, as_json: bool) -> int:
    """Show what a rollback would do, and do nothing.

    SESSION is its name, the beginning of it, or "last". Exits with 1 when something in it needs a person.
    `agentguard rollback --plan DIGEST` then does exactly that, or nothing.
    """
    store, row = find_session(ledger, session)
    loaded = load(row.id, clients=clients_for(left_to_take_back(store, row, to)), ledger=store)
    found = loaded.plan(to)
    if as_json:
        print_json(found.to_dict())
        return 0 if found.ok else 1
    out = console()
    for planned in found.calls:
        _show(planned)
    counts = ", ".join(f"{count} {symbol}" for symbol, count in found.counts.items())
    told = f"Plan {found.digest[:16]}: {counts}." if found.calls else "There is nothing to take back."
    out.print(safe(told, "bold"))
    return 0 if found.ok else 1


def _show(planned: Planned) -> None:
    from rich.padding import Padding
    from rich.text import Text

    line = Text.assemble((f"{planned.symbol} ", STYLES.get(planned.symbol, "bold red")), safe(planned.what))
    about = safe(f"{planned.operation} {planned.target} (call {planned.seq})", "dim")
    out = console()
    out.print(Padding(line.append("  ").append_text(about), (0, 0, 0, 2), expand=False), overflow="fold")
    if planned.risk in ("high", "critical") and planned.undo:
        out.print(safe(f"      {planned.undo} is of {planned.risk} risk: it asks first", "dim"))


@click.command(epilog=example("agentguard undo last/2 --yes"))
@click.argument("call")
@click.option("--force", is_flag=True, help="Although newer calls hang on it, or somebody changed it since.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@ledger_option
@json_option
def undo(call: str, force: bool, yes: bool, ledger: str | None, as_json: bool) -> int:
    """Take one call back.

    CALL is SESSION/NUMBER, as `agentguard show` numbers them. Says which later calls hang on it. Exits with 1 when it
    could not be taken back.
    """
    session, _, number = call.rpartition("/")
    if not session or not number.isdigit():
        raise UsageError(f"{call!r} is no call: its name is of the form SESSION/NUMBER. Nothing was done.")
    store, row = find_session(ledger, session)
    known = next((c for c in store.calls(row.id) if c.seq == int(number)), None)
    if known is None:
        raise UsageError(f"session {row.id} has no call {number}. Nothing was done. `agentguard show` lists them.")
    if not yes:
        if as_json or not sys.stdin.isatty():
            raise UsageError("an undo changes the service, and there is nobody to ask. Nothing was sent. Add --yes.")
        if not agreed(f"Take back call {known.seq}, {known.operation} {known.target}?"):
            click.echo("Nothing was taken back.")
            return 1
    result = load(row.id, clients=clients_for([known]), ledger=store).undo(known.seq, force=force, agreed=True)
    report = Report(row.id, [result] if result else [])
    if as_json:
        print_json(report.to_dict())
    else:
        print_report(console(), report)
    return 0 if report.ok else 1
