"""`agentguard rollback SESSION`: take a session back from any shell, with clients from the configuration."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from typing import Any, Literal

import click

from agentguard.calls import CallState, Effect
from agentguard.cli.common import (
    STATES,
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
from agentguard.cli.progress import counting
from agentguard.config import client_for, import_actions
from agentguard.errors import UsageError
from agentguard.ledger import Ledger
from agentguard.ledger.rows import CallRow, SessionRow, SessionState


@click.command(epilog=example('agentguard rollback last --to "half way" --yes'))
@click.argument("session")
@click.option("--to", metavar="SAVEPOINT", help="Only what came after this savepoint.")
@click.option("--plan", metavar="DIGEST", help="Do exactly what `agentguard plan` has shown, or nothing.")
@click.option("--concurrency", type=click.IntRange(1), help="Undos at a time; by default one, or as [unwind] says.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), help="Seconds after which no undo is begun.")
@click.option(
    "--on-failure", type=click.Choice(["continue", "stop"]), help="Whether an undo that fails stops the others."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@ledger_option
@json_option
def rollback(
    session: str,
    to: str | None,
    plan: str | None,
    concurrency: int | None,
    timeout: float | None,
    on_failure: Literal["continue", "stop"] | None,
    yes: bool,
    ledger: str | None,
    as_json: bool,
) -> int:
    """Take a session's calls back, newest first.

    SESSION is its name, the beginning of it, or "last". May be repeated: what was taken back is not touched again.
    Exits with 1 when something could not be taken back.
    """
    store, row = find_session(ledger, session)
    calls = left_to_take_back(store, row, to)
    if calls and not yes:
        if as_json or not sys.stdin.isatty():
            raise UsageError(
                "a rollback changes the services, and there is nobody to ask. Nothing was sent. Add --yes."
            )
        if not _agreed(row, calls):
            click.echo("Nothing was taken back.")
            return 1

    from agentguard.opening import load

    loaded = load(row.id, clients=clients_for(calls), ledger=store)
    with nullcontext() if as_json else counting(store, row.id, calls):
        report = loaded.rollback(
            to,
            cause="agentguard rollback",
            concurrency=concurrency,
            timeout=timeout,
            on_failure=on_failure,
            plan=plan,
            agreed=True,  # by whoever has said yes, or has run this with --yes
        )
    if as_json:
        print_json(report.to_dict())
    else:
        print_report(console(), report)
    return 0 if report.ok else 1


def left_to_take_back(store: Ledger, row: SessionRow, to: str | None) -> list[CallRow]:
    """The calls that a rollback would still deal with, newest first. Raises UsageError for an unknown savepoint."""
    after = 0
    if to is not None:
        savepoints = {e.data["name"]: e.data["seq"] for e in store.events(row.id) if e.kind == "savepoint"}
        if to not in savepoints:
            known = ", ".join(savepoints) or "none"
            raise UsageError(f"session {row.id} has no savepoint {to!r}; there are: {known}. Nothing was sent.")
        after = savepoints[to]
    open_undos = {u.seq for u in store.undos(row.id) if u.outcome is None or not u.outcome.ok}
    settled = {u.seq for u in store.undos(row.id)} - open_undos
    return [
        call
        for call in reversed(store.calls(row.id))
        if call.seq > after and call.seq not in settled and call.state not in (CallState.REFUSED, CallState.NOT_APPLIED)
    ]


def clients_for(calls: list[CallRow]) -> dict[str, Any]:
    """A client for each service that was called, before anything is sent. Raises ConfigError where one is missing."""
    names = {call.connector for call in calls}
    if "action" in names:
        import_actions()
    return {name: client_for(name) for name in sorted(names - {"action"})}


def _agreed(row: SessionRow, calls: list[CallRow]) -> bool:
    from rich.text import Text

    out = console()
    out.print(safe(f"{row.agent}: {row.intent}", "bold"))
    for call in calls:
        note = "" if call.state is CallState.COMMITTED else STATES[call.state]
        if call.effect is Effect.IRREVERSIBLE and not note:
            note = "cannot be taken back"
        line = Text.assemble("  ", safe(call.operation), "  ", safe(call.target, "dim"), "  ", (note, "bold red"))
        out.print(line, overflow="fold")
    if row.state is SessionState.OPEN:
        out.print(Text("This session has not ended. If its program still runs, stop it first.", style="bold yellow"))
    count = "this call" if len(calls) == 1 else f"these {len(calls)} calls"
    return agreed(f"Take {count} back, newest first?")
