"""`agentguard freeze` and `thaw`: stop a session, or all of them, from any shell that can reach the ledger."""

from __future__ import annotations

import getpass

import click

from agentguard.cli.common import example, find_session, json_option, ledger_option, print_json, required_ledger
from agentguard.errors import UsageError
from agentguard.ledger import Ledger
from agentguard.ledger.people import EVERYTHING

all_option = click.option("--all", "every", is_flag=True, help="All sessions, also those that begin later.")


@click.command(epilog=example('agentguard freeze last --why "it writes to the wrong list"'))
@click.argument("session", required=False)
@all_option
@click.option("--why", default="", help="Why; goes on record, and is told to the agent.")
@ledger_option
@json_option
def freeze(session: str | None, every: bool, why: str, ledger: str | None, as_json: bool) -> None:
    """Stop a session: no further call of it is sent. Rollbacks go on.

    SESSION is its name, the beginning of it, or "last".
    """
    store, scope = _scope(session, every, ledger)
    store.people.freeze(scope, getpass.getuser(), why)
    if as_json:
        print_json({"frozen": scope})
    else:
        click.echo(f"{_named(scope)} frozen. `agentguard thaw {'--all' if scope == EVERYTHING else scope}` undoes it.")


@click.command(epilog=example("agentguard thaw last"))
@click.argument("session", required=False)
@all_option
@ledger_option
@json_option
def thaw(session: str | None, every: bool, ledger: str | None, as_json: bool) -> int:
    """Let a frozen session go on.

    SESSION is its name, the beginning of it, or "last". Exits with 1 when it was not frozen.
    """
    store, scope = _scope(session, every, ledger)
    thawed = store.people.thaw(scope, getpass.getuser())
    if as_json:
        print_json({"thawed": scope if thawed else None})
    else:
        click.echo(f"{_named(scope)} {'thawed' if thawed else 'not frozen'}.")
    return 0 if thawed else 1


def _scope(session: str | None, every: bool, ledger: str | None) -> tuple[Ledger, str]:
    if every == (session is not None):
        raise UsageError("name a session, or --all. Nothing was done. `agentguard sessions` lists them.")
    if session is None:
        return required_ledger(ledger), EVERYTHING
    store, row = find_session(ledger, session)
    return store, row.id


def _named(scope: str) -> str:
    return "Everything is" if scope == EVERYTHING else f"Session {scope} is"
