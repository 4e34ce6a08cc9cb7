"""`agentguard sessions`: the newest sessions, newest first."""

from __future__ import annotations

import click

from agentguard.calls import Json
from agentguard.cli.common import (
    console,
    example,
    existing_ledger,
    iso,
    json_option,
    ledger_option,
    moment,
    print_json,
    safe,
    words,
)
from agentguard.config import ledger_location
from agentguard.ledger.rows import SessionRow


@click.command(epilog=example("agentguard sessions --limit 5"))
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="How many.")
@ledger_option
@json_option
def sessions(limit: int, ledger: str | None, as_json: bool) -> None:
    """List recorded sessions, newest first."""
    store = existing_ledger(ledger)
    rows = [(row, len(store.calls(row.id))) for row in store.sessions(limit)] if store else []
    if as_json:
        print_json({"ledger": str(ledger_location(ledger)), "sessions": [session_json(row, n) for row, n in rows]})
        return
    if not rows:
        click.echo(f"No sessions yet in {ledger_location(ledger)}.")
        return

    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    table.add_column("session", no_wrap=True)
    table.add_column("started (UTC)", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("calls", justify="right")
    table.add_column("agent and intent", ratio=1, no_wrap=True, overflow="ellipsis")
    for row, calls in rows:
        about = safe(row.agent, "bold").append(": ").append_text(safe(row.intent))
        table.add_row(safe(row.id), moment(row.started_at)[:16], words(row.state), str(calls), about)
    console().print(table)


def session_json(row: SessionRow, calls: int) -> dict[str, Json]:
    """One session as JSON."""
    return {
        "id": row.id,
        "agent": row.agent,
        "intent": row.intent,
        "tenant": row.tenant,
        "user": row.user,
        "state": row.state.value,
        "cause": row.cause,
        "started_at": iso(row.started_at),
        "ended_at": iso(row.ended_at),
        "calls": calls,
    }
