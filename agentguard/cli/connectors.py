"""`agentguard connectors`: what each service can do, and how much of it can be taken back."""

from __future__ import annotations

import click

from agentguard.calls import Effect, Json
from agentguard.cli.common import console, example, json_option, print_json
from agentguard.connector import Connector
from agentguard.registry import connector, connector_names

COLUMNS = {
    "operations": "operations",
    "reads": "reads",
    "exact": "exact",
    "corrective": "corrective",
    "irreversible": "irreversible",
    "unhandled": "no handler",
    "proved": "proved",
}
LEGEND = """
exact: the former state comes back, and is seen to. corrective: made good, and
something remains. irreversible: the service has no way back. no handler: it
may have one, and agentguard has none. proved: a test does it through the real
SDK, undoes it, and compares the service before and after. What cannot be taken
back here, and what no table knows, asks a person first, or is of little risk."""


@click.command(epilog=example("agentguard connectors"))
@json_option
def connectors(as_json: bool) -> None:
    """List services and what can be taken back."""
    counts = [coverage(connector(name)) for name in connector_names()]
    if as_json:
        print_json(counts)
        return

    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("service")
    for heading in COLUMNS.values():
        table.add_column(heading, justify="right")
    for row in counts:
        if row["operations"]:
            table.add_row(row["title"], *(str(row[name]) for name in COLUMNS))
    out = console()
    out.print(table)
    out.print(LEGEND)


def coverage(service: Connector) -> dict[str, Json]:
    """Count the operations of one service by what a rollback can do about them; from its table and its proofs."""
    counts = dict.fromkeys(("reads", "exact", "corrective", "irreversible", "unhandled", "drafts"), 0)
    for operation in service.table.by_name:
        counts[_column(service, operation)] += 1
    return {
        "service": service.name,
        "title": service.title,
        "operations": len(service.table.by_name),
        "classified": sum(counts.values()),
        **counts,
        "proved": len(service.proved & service.guarded.keys()),
        "sdks": sorted({seam.sdk for seam in service.seams}),
    }


def _column(service: Connector, name: str) -> str:
    row, guarded = service.table.by_name[name], service.guarded.get(name)
    effect = guarded.effect if guarded else row.effect
    if effect is Effect.READ:
        return "reads"
    if guarded is None:
        if effect is Effect.DRAFT:
            return "drafts"
        return "irreversible" if row.undo in ("", "none") or not row.undo.startswith("by hand") else "unhandled"
    if effect is Effect.IRREVERSIBLE:
        return "irreversible"
    return "corrective" if effect is Effect.COMPENSABLE else "exact"
