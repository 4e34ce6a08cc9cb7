"""`agentguard approvals`, `approve` and `deny`: what waits for a person, and the person's decision."""

from __future__ import annotations

import getpass
from pathlib import Path

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
    required_ledger,
    safe,
)
from agentguard.config import approval_terms, ledger_location
from agentguard.deciding import card_of_request, decide, standing
from agentguard.ledger.rows import ApprovalRow

key_option = click.option(
    "--key",
    type=click.Path(path_type=Path),
    envvar="AGENTGUARD_KEY",
    help="The file of your private key, to sign with; also AGENTGUARD_KEY.",
)
by_option = click.option("--by", help="Who decides; by default the user of this shell, or the owner of the key.")


@click.command(epilog=example("agentguard approvals"))
@click.option("--all", "every", is_flag=True, help="Also those that are decided, used or expired.")
@ledger_option
@json_option
def approvals(every: bool, ledger: str | None, as_json: bool) -> int:
    """List requests for approval that wait for a person.

    Exits with 1 when one waits.
    """
    store = existing_ledger(ledger)
    rows = store.people.approvals(pending=not every) if store else []
    if not every:
        rows = [row for row in rows if standing(row) == "pending"]
    if as_json:
        print_json({"ledger": str(ledger_location(ledger)), "approvals": [request_json(row) for row in rows]})
    else:
        for row in rows:
            show_request(row)
        if not rows:
            click.echo("Nothing waits for an approval.")
    return 1 if any(standing(row) == "pending" for row in rows) else 0


@click.command(epilog=example('agentguard approve ap-1f2e3d4c5b6a --reason "Ashu has asked for it"'))
@click.argument("request")
@click.option("--reason", default="", help="Why; goes on record.")
@by_option
@key_option
@ledger_option
@json_option
def approve(request: str, reason: str, by: str | None, key: Path | None, ledger: str | None, as_json: bool) -> None:
    """Agree that exactly this call may be sent, once.

    REQUEST is its name, as `agentguard approvals` shows it.
    """
    _decide(request, True, reason, by, key, ledger, as_json)


@click.command(epilog=example('agentguard deny ap-1f2e3d4c5b6a --reason "these are the books of last year"'))
@click.argument("request")
@click.option("--reason", default="", help="Why; goes on record, and is told to the agent.")
@by_option
@key_option
@ledger_option
@json_option
def deny(request: str, reason: str, by: str | None, key: Path | None, ledger: str | None, as_json: bool) -> None:
    """Say no to a call.

    REQUEST is its name, as `agentguard approvals` shows it.
    """
    _decide(request, False, reason, by, key, ledger, as_json)


def _decide(
    request: str, approve: bool, reason: str, by: str | None, key: Path | None, ledger: str | None, as_json: bool
) -> None:
    store = required_ledger(ledger)
    terms = approval_terms()
    who = by or (None if key else getpass.getuser())
    decided = decide(store, request, approve=approve, by=who, why=reason, key=key, terms=terms)
    if as_json:
        print_json(request_json(decided))
        return
    signed = f"signed by the key of {decided.key}" if decided.signature else "unsigned"
    console().print(safe(f"{decided.id}: {decided.state} by {decided.decided_by} ({signed})."))


def show_request(row: ApprovalRow) -> None:
    """Print a request as the one who decides sees it."""
    from rich.padding import Padding
    from rich.text import Text

    out = console()
    head = Text.assemble(safe(row.id, "bold"), "  ", (standing(row).upper(), "bold yellow"))
    head.append(f"  asked {moment(row.requested_at)}, until {moment(row.expires_at)} UTC")
    out.print(head, overflow="fold")
    for line in str(card_of_request(row)).splitlines():
        out.print(Padding(Text(line), (0, 0, 0, 2), expand=False), overflow="fold")
    if row.decided_by:
        said = f"{row.state} by {row.decided_by} at {moment(row.decided_at)} UTC"
        out.print(safe(f"  {said}{f': {row.why}' if row.why else ''}{'' if row.signature else ' (unsigned)'}"))


def request_json(row: ApprovalRow) -> dict[str, Json]:
    """One request as JSON."""
    return {
        "id": row.id,
        "session": row.session,
        "state": standing(row),
        "operation": row.operation,
        "target": row.target,
        "account": row.account,
        "card": row.card,
        "digest": row.digest,
        "policy": row.policy,
        "requested_at": iso(row.requested_at),
        "expires_at": iso(row.expires_at),
        "decided_at": iso(row.decided_at),
        "decided_by": row.decided_by,
        "why": row.why,
        "signed_by": row.key if row.signature else None,
        "call": row.seq,
    }
