"""`agentguard audit` and `purge`: prove what happened, and take old payloads away."""

from __future__ import annotations

import getpass
import json
import sys
from pathlib import Path

import click

from agentguard import audit as auditing
from agentguard.cli.common import (
    agreed,
    console,
    example,
    find_session,
    json_option,
    ledger_option,
    print_json,
    required_ledger,
    safe,
)
from agentguard.errors import UsageError

existing_path = click.Path(path_type=Path)


@click.group()
def audit() -> None:
    """Verify, anchor and export the record of what happened."""


@audit.command(epilog=example("agentguard audit verify --anchors anchors.jsonl"))
@click.option("--anchors", type=existing_path, help="A file of anchors, or a git repository with them as tags.")
@ledger_option
@json_option
def verify(anchors: Path | None, ledger: str | None, as_json: bool) -> int:
    """Verify the chain of events, the calls and undos against it, and it against anchors.

    Exits with 1 when something does not agree.
    """
    found = auditing.verify(required_ledger(ledger), auditing.anchors_of(anchors) if anchors else None)
    if as_json:
        known = {"events": found.events, "unchained": found.unchained, "anchors": found.anchors}
        print_json({"ok": found.ok, **known, "newest": found.newest or None, "faults": found.faults})
        return 0 if found.ok else 1
    out = console()
    for fault in found.faults:
        out.print(safe(fault, "bold red"), overflow="fold")
    compared = f", {found.anchors} anchors" if anchors else "; without anchors a cut-off end would not be seen"
    told = "The record agrees" if found.ok else f"The record does NOT agree: {len(found.faults)} faults"
    out.print(safe(f"{told} ({found.events} events{compared}).", "bold green" if found.ok else "bold red"))
    return 0 if found.ok else 1


@audit.command(epilog=example("agentguard audit anchor --file anchors.jsonl"))
@click.option("--file", type=existing_path, help="Append it to this file.")
@click.option("--git", type=existing_path, help="Make it a tag of this git repository.")
@ledger_option
@json_option
def anchor(file: Path | None, git: Path | None, ledger: str | None, as_json: bool) -> None:
    """Print the hash of the newest event, and keep it in a file or a git repository.

    Keep it where the agents cannot write: it is what shows that the end was cut off, or all of it written anew.
    """
    if file and git:
        raise UsageError("an anchor goes to one place: --file or --git. Nothing was anchored.")
    store = required_ledger(ledger)
    if file:
        made = auditing.anchor_in_file(store, file)
    elif git:
        made = auditing.anchor_in_git(store, git)
    else:
        made = auditing.newest(store)
    if as_json:
        print_json(made)
    else:
        click.echo(json.dumps(made))


@audit.command(epilog=example("agentguard audit export --output events.jsonl"))
@click.option("--session", help="Only of this session.")
@click.option("--output", type=existing_path, help="The file to write; otherwise it is printed.")
@ledger_option
@json_option
def export(session: str | None, output: Path | None, ledger: str | None, as_json: bool) -> None:
    """Write the events as JSON Lines, with their places in the chain (--json changes nothing)."""
    store, name = required_ledger(ledger), None
    if session is not None:
        store, row = find_session(ledger, session)
        name = row.id
    lines = (json.dumps(event) for event in auditing.export(store, name))
    if output is None:
        for line in lines:
            click.echo(line)
        return
    try:
        with output.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
    except OSError as error:
        raise UsageError(f"{output} cannot be written ({error}). Nothing was exported. Name another file.") from error


@click.command(epilog=example("agentguard purge --older-than 90d --yes"))
@click.option("--session", help="This session.")
@click.option("--older-than", metavar="DURATION", help='Every ended session older than this ("90d").')
@click.option("--yes", is_flag=True, help="Do not ask.")
@ledger_option
@json_option
def purge(session: str | None, older_than: str | None, yes: bool, ledger: str | None, as_json: bool) -> int:
    """Take the payloads of ended sessions away; the chain still verifies.

    A purged session cannot be rolled back any more. Exits with 1 when it was asked about, and the answer was no.
    """
    if (session is None) == (older_than is None):
        raise UsageError("name one --session, or an age with --older-than. Nothing was purged.")
    store = required_ledger(ledger)
    if session is not None:
        names = [find_session(ledger, session)[1].id]
    else:
        from agentguard.config import duration

        names = auditing.expired(store, duration("--older-than", str(older_than)))
    if names and not yes:
        if as_json or not sys.stdin.isatty():
            raise UsageError("what is purged is gone, and there is nobody to ask. Nothing was purged. Add --yes.")
        if not agreed(f"Purge {len(names)} sessions? They cannot be rolled back then."):
            click.echo("Nothing was purged.")
            return 1
    counts = {name: auditing.purge(store, name, getpass.getuser()) for name in names}
    if as_json:
        print_json({"purged": counts})
    else:
        click.echo(f"{len(counts)} sessions purged, {sum(counts.values())} payloads.")
    return 0
