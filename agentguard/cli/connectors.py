"""`agentguard connectors`: what each service can do, and how much of it can be taken back."""

from __future__ import annotations

import click

from agentguard.calls import Effect, Json
from agentguard.cli.common import console, json_option, print_json
from agentguard.connector import Connector
from agentguard.errors import ConfigError
from agentguard.registry import connector, connector_names

COLUMNS = ("operations", "reads", "exact", "corrective", "irreversible", "no_handler")
LEGEND = """
exact         the former state comes back, and is read back from the service
corrective    made good, and something remains: a closed issue, a refund
irreversible  has no undo, or none that is known
no handler    no undo here
any           whatever API you declare the routes of
An operation of high risk, or in no table, is only sent when a person agrees."""


@click.command()
@json_option
def connectors(as_json: bool) -> None:
    """List services and what can be taken back."""
    counts, broken = [], []
    for name in connector_names():
        try:
            counts.append(coverage(connector(name)))
        except Exception as error:  # noqa: BLE001 - a third party's module: the others are shown all the same
            broken.append(f"{name} ({type(error).__name__}: {error})")
    if as_json:
        print_json({"connectors": counts})
    else:
        _print(counts)
    if broken:
        raise ConfigError(
            f"these connectors cannot be loaded: {', '.join(broken)}. They are not in the list. "
            "Repair or remove the distributions that they come from."
        )


def _print(counts: list[dict[str, Json]]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("service")
    for heading in COLUMNS:
        table.add_column(heading.replace("_", " "), justify="right")
    for row in counts:
        numbers = [str(row[name]) for name in COLUMNS] if row["operations"] else ["any", *[""] * (len(COLUMNS) - 1)]
        table.add_row(row["title"], *numbers)
    console().print(table)
    click.echo(LEGEND)


def coverage(service: Connector) -> dict[str, Json]:
    """Count the operations of one service by what a rollback can do about them."""
    counts = dict.fromkeys(COLUMNS[1:], 0)
    for operation in service.table.by_name.values():
        counts[_column(service, operation.name)] += 1
    return {
        "name": service.name,
        "title": service.title,
        "operations": len(service.table.by_name),
        **counts,
        "sdks": sorted({seam.sdk for seam in service.seams}),
    }


def _column(service: Connector, name: str) -> str:
    guarded = service.guarded.get(name)
    effect = guarded.effect if guarded else service.table.by_name[name].effect
    if effect is Effect.READ:
        return "reads"
    if effect is Effect.IRREVERSIBLE:
        return "irreversible"
    if guarded is None:
        return "no_handler"
    return "corrective" if effect is Effect.COMPENSABLE else "exact"
