"""`agentguard keys`: the keys with which people sign their decisions."""

from __future__ import annotations

import os
from pathlib import Path

import click

from agentguard.cli.common import example, json_option, print_json
from agentguard.config import approval_terms
from agentguard.errors import UsageError
from agentguard.keys import load_key, new_key, public_of


def key_folder() -> Path:
    """Where new keys go: the folder for a user's own settings (XDG Base Directory)."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "agentguard" / "keys"


@click.group()
def keys() -> None:
    """Make and show the keys with which people sign their decisions."""


@keys.command(epilog=example("agentguard keys new ashu --file ashu.pem"))
@click.argument("name")
@click.option("--file", type=click.Path(path_type=Path), help="Where the private key goes.")
@json_option
def new(name: str, file: Path | None, as_json: bool) -> None:
    """Make a key for NAME; prints the line for agentguard.toml.

    The private key belongs on the machine of the person who approves, where the agent's process cannot read it.
    """
    if not name or "/" in name or not name.isprintable():
        raise UsageError(f"{name!r} is no name for a key. Nothing was written. Use the name of who approves with it.")
    path = file or key_folder() / f"{name}.pem"
    _tell(name, path, new_key(path), as_json)


@keys.command(epilog=example("agentguard keys show ashu.pem"))
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def show(file: Path, as_json: bool) -> None:
    """Show the public part of the private key in FILE."""
    _tell(file.stem, file, public_of(load_key(file)), as_json)


@keys.command("list", epilog=example("agentguard keys list"))
@json_option
def list_keys(as_json: bool) -> None:
    """List the keys that may approve here."""
    known = approval_terms().keys
    if as_json:
        print_json({"keys": known})
        return
    for name, public in known.items():
        click.echo(f"{name}  {public}")
    if not known:
        click.echo("No keys: decisions need no signature here (unsigned local mode).")


def _tell(name: str, path: Path, public: str, as_json: bool) -> None:
    if as_json:
        print_json({"name": name, "file": str(path), "public": public})
        return
    click.echo(f'The private key is in {path}. For agentguard.toml:\n\n[approvals.keys]\n{name} = "{public}"')
