"""`agentguard queue` and `agentguard resolve`: what needs a person, and what the person decides."""

from __future__ import annotations

import getpass
import json

import click

from agentguard.cli.common import (
    console,
    example,
    existing_ledger,
    find_session,
    json_option,
    ledger_option,
    print_json,
    safe,
)
from agentguard.cli.rollback import clients_for
from agentguard.config import ledger_location
from agentguard.errors import UsageError
from agentguard.queue import Action, Item, find_item
from agentguard.queue import queue as items_of
from agentguard.queue import resolve as resolve_item


@click.command(epilog=example("agentguard queue"))
@click.option("--closed", is_flag=True, help="Also what was closed with a note.")
@ledger_option
@json_option
def queue(closed: bool, ledger: str | None, as_json: bool) -> int:
    """List what needs a person: doubts, conflicts and undos that failed.

    Exits with 1 when there is something.
    """
    store = existing_ledger(ledger)
    items = items_of(store, closed=closed) if store else []
    if as_json:
        print_json({"ledger": str(ledger_location(ledger)), "items": [item.to_dict() for item in items]})
    else:
        for item in items:
            _show(item)
        if not items:
            click.echo("Nothing needs a person.")
    return 1 if any(not item.resolution for item in items) else 0


def _show(item: Item) -> None:
    from rich.padding import Padding
    from rich.text import Text

    out = console()
    out.print(Text.assemble(safe(item.id, "bold"), "  ", (item.kind.upper(), "bold red")), overflow="fold")
    facts = {
        "call": f"{item.call.operation} {item.call.target}",
        "by": f"{item.session.agent}: {item.session.intent}",
        "cause": item.cause,
        **({"left": _brief(item.evidence["left"]), "found": _brief(item.evidence["found"])} if item.undo else {}),
        "may be": ", ".join(f"--{action.replace('_', '-')}" for action in item.actions),
    }
    if item.resolution:
        decided = item.resolution
        facts["decided"] = f"{decided.get('action')} by {decided.get('by')}: {decided.get('note') or 'no note'}"
    for name, value in facts.items():
        line = Text.assemble((f"{name:<8}", "dim"), safe(value))
        out.print(Padding(line, (0, 0, 0, 2), expand=False), overflow="fold")


def _brief(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 300 else f"{text[:280]}… ({len(text)} characters)"


@click.command(epilog=example('agentguard resolve invoices/1 --not-applied --note "their log has no such note"'))
@click.argument("item")
@click.option("--applied", "action", flag_value="applied", help="It has happened; or, of an undo: it is done.")
@click.option("--not-applied", "action", flag_value="not_applied", help="It certainly has not happened.")
@click.option("--retry", "action", flag_value="retry", help="Look again, and go on.")
@click.option("--force", "action", flag_value="force", help="Overwrite what somebody else changed since.")
@click.option("--close", "action", flag_value="close", help="Leave it as it is; needs --note.")
@click.option("--note", default="", help="Why, in words; goes on record.")
@click.option("--by", default="", help="Who decides; by default the user of this shell.")
@ledger_option
@json_option
def resolve(item: str, action: str | None, note: str, by: str, ledger: str | None, as_json: bool) -> int:
    """Decide about an item of the queue.

    ITEM is its name, as `agentguard queue` shows it. Exits with 1 when it still needs a person.
    """
    session, _, rest = item.rpartition("/")
    if not session:
        form = "its name is of the form SESSION/CALL or SESSION/CALL.UNDO"
        raise UsageError(f"{item!r} is no item: {form}. Nothing was done. `agentguard queue` lists them.")
    store, row = find_session(ledger, session)
    name = f"{row.id}/{rest}"
    if action is None:
        may = ", ".join(f"--{a.replace('_', '-')}" for a in find_item(store, name).actions)
        raise UsageError(f"what is it to be? Nothing was done. {name} may be one of: {may}.")
    known = find_item(store, name)
    clients = clients_for([known.call]) if action in ("retry", "force") else {}
    chosen: Action = action  # type: ignore[assignment]  # one of the flags above
    left = resolve_item(name, chosen, by=by or getpass.getuser(), note=note, ledger=store, clients=clients)
    closed = left is not None and bool(left.resolution) and left.resolution.get("action") == "close"
    if as_json:
        print_json({"item": name, "settled": left is None, "left": left.to_dict() if left else None})
    elif left is None:
        click.echo(f"{name} is settled.")
    elif closed:
        click.echo(f"{name} is closed.")
    else:
        _show(left)
    return 0 if left is None or closed else 1
