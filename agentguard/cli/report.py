"""`agentguard report SESSION`: the correction trail, for the people whom the session's work concerned."""

from __future__ import annotations

import click

from agentguard.cli.common import example, find_session, json_option, ledger_option
from agentguard.config import ledger_location
from agentguard.correction import correction
from agentguard.errors import AgentguardError
from agentguard.ledger.rows import CallRow
from agentguard.registry import connector


@click.command(epilog=example("agentguard report last --format markdown"))
@click.argument("session")
@click.option(
    "--format",
    "shape",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
    help="What it is written as.",
)
@ledger_option
@json_option
def report(session: str, shape: str, ledger: str | None, as_json: bool) -> None:
    """Tell in plain words what a session changed, and what became of it.

    SESSION is its name, the beginning of it, or "last". Reads the ledger and nothing else; changes nothing.
    """
    store, row = find_session(ledger, session)
    calls = store.calls(row.id)
    summaries, titles = described(calls)
    told = correction(
        row,
        calls,
        store.undos(row.id),
        store.events(row.id),
        summaries=summaries,
        titles=titles,
        record=str(ledger_location(ledger)),
    )
    if as_json or shape == "json":
        click.echo(told.json())
    elif shape == "markdown":
        click.echo(told.markdown())
    else:
        click.echo(told.text())


def described(calls: list[CallRow]) -> tuple[dict[str, str], dict[str, str]]:
    """What the handlers of *calls* say about their operations, and what the services are called.

    A connector that is not installed here says nothing; then the operations' names have to do.
    """
    summaries: dict[str, str] = {}
    titles: dict[str, str] = {"action": "The program itself"}
    for name in sorted({call.connector for call in calls} - {"action"}):
        try:
            found = connector(name)
        except AgentguardError:
            continue
        titles[name] = found.title
        for guarded in found.guarded.values():
            summaries[f"{name}.{guarded.operation}"] = guarded.summary
    return summaries, titles
