"""agentguard.toml: where the ledger is, and how a process that has no clients of its own gets some.

    ledger = ".agentguard/ledger.db"          # a path, from this file's folder, or a URL

    [clients]
    github = "myapp.clients:github"           # called without arguments, returns a client

    [connectors]
    crm = "myapp.apis:crm"                    # a Connector of the program's own, for what no package provides

    [actions]
    modules = ["myapp.actions"]               # imported before a rollback, so that their actions are known

    [marks]
    hubspot = "agentguard_mark"               # a property of records that holds marks; see the services' pages
    notion = "Agentguard"

    [recovery]
    lease = "30s"                             # how long a process that says nothing counts as alive
    send_deadline = "30s"                     # when a request has landed or was given up

Policies have tables of their own: [policy], [unwind], [audit], [approvals] (docs/policy.md).

The file is the one that AGENTGUARD_CONFIG names, or the first found in the working directory and the folders above it.
What it imports is looked for in its own folder first. Nothing in it is a secret: factories and the environment hold
those.
"""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from agentguard.connector import Connector
from agentguard.errors import ConfigError
from agentguard.ledger import DEFAULT
from agentguard.registry import connector, connector_names

if TYPE_CHECKING:
    from agentguard.asking import Terms

NAME = "agentguard.toml"


class _Actions(msgspec.Struct, forbid_unknown_fields=True):
    modules: list[str] = []


class _Recovery(msgspec.Struct, forbid_unknown_fields=True):
    lease: str | float | None = None
    send_deadline: str | float | None = None


class _Approvals(msgspec.Struct, forbid_unknown_fields=True):
    expires: str | float | None = None
    approvers: list[str] = []
    keys: dict[str, str] = {}
    must_differ: bool = True


class _File(msgspec.Struct, forbid_unknown_fields=True):
    ledger: str | None = None
    clients: dict[str, str] = {}
    connectors: dict[str, str] = {}
    actions: _Actions = msgspec.field(default_factory=_Actions)
    recovery: _Recovery = msgspec.field(default_factory=_Recovery)
    marks: dict[str, str] = {}
    policy: dict[str, Any] = {}
    unwind: dict[str, Any] = {}
    audit: dict[str, Any] = {}
    approvals: _Approvals = msgspec.field(default_factory=_Approvals)


@dataclass(frozen=True, slots=True)
class Config:
    """What agentguard.toml says; empty where there is none."""

    path: Path | None = None
    ledger: str | None = None
    clients: dict[str, str] = field(default_factory=dict)
    connectors: dict[str, str] = field(default_factory=dict)
    modules: list[str] = field(default_factory=list)
    recovery: dict[str, float] = field(default_factory=dict)
    marks: dict[str, str] = field(default_factory=dict)
    approvals: _Approvals = field(default_factory=_Approvals)
    has_policy: bool = False
    """Whether the file has a policy as well (see policy/)."""


def load_config() -> Config:
    """Read the configuration that applies here. Raises ConfigError with the place in the file."""
    path = _find()
    if path is None:
        return Config()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}. Nothing was started.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}. Nothing was started. Correct the file.") from error
    try:
        read = msgspec.convert(content, _File)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {_place(str(error))}. Nothing was started. Correct the file.") from error
    recovery = {
        name: duration(f"{path}: [recovery] {name}", given)
        for name in read.recovery.__struct_fields__
        if (given := getattr(read.recovery, name)) is not None
    }
    ledger, has_policy = _below(path.parent, read.ledger), bool(read.policy or read.unwind or read.audit)
    return Config(
        path,
        ledger,
        read.clients,
        read.connectors,
        read.actions.modules,
        recovery,
        read.marks,
        read.approvals,
        has_policy,
    )


def ledger_location(explicit: str | Path | None = None) -> str | Path:
    """Say where the ledger is: as told, else AGENTGUARD_LEDGER, else agentguard.toml, else the usual place."""
    return explicit or os.environ.get("AGENTGUARD_LEDGER") or load_config().ledger or DEFAULT


def seconds(variable: str, name: str, usual: float) -> float:
    """A duration: of the environment *variable*, else of `[recovery]` in agentguard.toml, else the usual one."""
    given = os.environ.get(variable)
    if given:
        return duration(variable, given)
    return load_config().recovery.get(name, usual)


def duration(place: str, given: str | float) -> float:
    """Seconds, or a number with a unit: 30, "30s", "5m", "2h", "1d"."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", str(given))
    if not found or float(found[1]) <= 0:
        raise ConfigError(
            f'{place} is {given!r}, which is no duration. Nothing was started. Give seconds, or "30s", "5m", "2h".'
        )
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]


def approval_terms() -> Terms:
    """Who may approve, as `[approvals]` in agentguard.toml says."""
    from agentguard.asking import EXPIRES_AFTER, Terms

    config = load_config()
    given = config.approvals
    expires = duration(f"{config.path}: [approvals] expires", given.expires) if given.expires else EXPIRES_AFTER
    return Terms(expires, dict(given.keys), given.must_differ, tuple(given.approvers))


def client_for(name: str) -> Any:
    """Return a new client for the connector *name*: from its factory, else from the environment. Raises ConfigError."""
    config = load_config()
    known = sorted({*connector_names(), *config.connectors})
    unknown = sorted(config.clients.keys() - set(known))
    if unknown:
        raise ConfigError(
            f"{config.path}: [clients] {unknown[0]}: no connector of that name is installed; there are "
            f"{', '.join(known)}. Nothing was sent. Correct the name."
        )
    factory = config.clients.get(name)
    return _from_factory(config, name, factory) if factory else _from_environment(config, name)


def declared(name: str) -> Connector | None:
    """Return the connector that agentguard.toml names *name*; None where it names none. Raises ConfigError."""
    config = load_config()
    where = config.connectors.get(name)
    if where is None:
        return None
    place = f"[connectors] {name}"
    found = _attribute(config, place, where)
    if not isinstance(found, Connector):
        raise ConfigError(f"{config.path}: {place}: {where} is not a Connector. Nothing was sent. Correct the name.")
    if found.name != name:
        raise ConfigError(
            f"{config.path}: {place}: {where} is called {found.name!r}, by which the ledger knows its calls. Nothing "
            "was sent. Name it so here."
        )
    return found


def import_actions() -> None:
    """Import the modules that declare actions, so that their undos can be run by name. Raises ConfigError."""
    config = load_config()
    for module in config.modules:
        _import(config, "[actions] modules", module)


def _from_factory(config: Config, name: str, factory: str) -> Any:
    place = f"[clients] {name}"
    function: Callable[[], Any] = _attribute(config, place, factory, "function")
    try:
        client = function()
    except Exception as error:
        raise ConfigError(
            f"{config.path}: {place}: {factory} failed with {type(error).__name__}: {error}. Nothing was sent."
        ) from error
    if client is None:
        raise ConfigError(f"{config.path}: {place}: {factory} returned None and not a client. Nothing was sent.")
    return client


def _attribute(config: Config, place: str, where: str, form: str = "attribute") -> Any:
    """What a "module:attribute" of the file names."""
    module, _, attribute = where.partition(":")
    if not attribute:
        raise ConfigError(
            f'{config.path}: {place} is "{where}", which is not of the form "module:{form}". Nothing was sent.'
        )
    found: Any = _import(config, place, module)
    try:
        for part in attribute.split("."):
            found = getattr(found, part)
    except AttributeError as error:
        raise ConfigError(f"{config.path}: {place}: {error}. Nothing was sent. Correct the name.") from error
    return found


def _from_environment(config: Config, name: str) -> Any:
    account = connector(name).account
    where = str(config.path or NAME)
    entry = f'a factory in {where}, under [clients]: {name} = "module:function"'
    if account is None:
        raise ConfigError(f"there is no client for {name}, and none can be made. Nothing was sent. Name {entry}.")
    try:
        if not any(os.environ.get(variable) for variable in account.variables):
            raise KeyError(*account.variables[:1])
        return account.client(dict(os.environ))
    except KeyError as error:
        missing = error.args[0] if error.args and error.args[0] in account.variables else None
        wanted = missing or " and ".join(account.variables)
        raise ConfigError(
            f"there is no client for {name}: {wanted} is not set. Nothing was sent. Set it, or name {entry}."
        ) from error
    except ImportError as error:
        raise ConfigError(
            f"there is no client for {name}: its SDK is not installed ({error}). Nothing was sent. "
            f'Install it: pip install "agentguard[{name}]".'
        ) from error
    except Exception as error:
        raise ConfigError(
            f"the client for {name} could not be made from {', '.join(account.variables)}: "
            f"{type(error).__name__}: {error}. Nothing was sent."
        ) from error


def _import(config: Config, place: str, module: str) -> Any:
    folder = str(config.path.parent) if config.path else ""
    if folder and folder not in sys.path:
        sys.path.insert(0, folder)  # as `python -m` does it: programs keep their factories beside the file
    try:
        return import_module(module)
    except Exception as error:
        raise ConfigError(
            f"{config.path}: {place}: {module!r} cannot be imported ({type(error).__name__}: {error}). "
            "Nothing was sent. Correct the name, or install it where agentguard runs."
        ) from error


def _find() -> Path | None:
    named = os.environ.get("AGENTGUARD_CONFIG")
    if named:
        if not Path(named).is_file():
            raise ConfigError(
                f"AGENTGUARD_CONFIG names {named}, and there is no such file. Nothing was started. Correct it."
            )
        return Path(named).absolute()
    here = Path.cwd()
    return next((folder / NAME for folder in (here, *here.parents) if (folder / NAME).is_file()), None)


def _below(folder: Path, ledger: str | None) -> str | None:
    """A path is meant from the folder of the file that it stands in, wherever the program is run."""
    if ledger is None or ("://" in ledger and not ledger.startswith("sqlite:///")):
        return ledger
    return str(folder / Path(ledger.removeprefix("sqlite:///")).expanduser())


def _place(message: str) -> str:
    """Turn msgspec's `... - at `$.actions`` into the table that people see in the file."""
    found = re.fullmatch(r"(.*?)(?: - at `(.+)`)?", message, re.DOTALL)
    assert found is not None
    what, path = found[1], (found[2] or "$").removeprefix("$").removeprefix(".")
    unknown = re.search(r"unknown field `(.+)`", what)
    if unknown:
        table = {"actions": _Actions, "recovery": _Recovery, "approvals": _Approvals}.get(path, _File)
        known = table.__struct_fields__
        what = f"there is no key {unknown[1]!r}; there are {', '.join(known)}"
    found_table = re.match(r"(clients|connectors|actions|recovery|marks|policy|unwind|audit|approvals)\b\.?(.*)", path)
    place = f"[{found_table[1]}] {found_table[2]}".rstrip() if found_table else path
    return f"{place}: {what}" if place else what
