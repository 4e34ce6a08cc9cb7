"""Connectors by name and by client: found through the entry points of the group `agentguard.connectors`.

A name that no entry point has is looked up in agentguard.toml: a program declares connectors for its own APIs there.
"""

from __future__ import annotations

import logging
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from agentguard.connector import Connector
from agentguard.errors import UnknownClient, UnknownConnector
from agentguard.wire.seam import Seam

GROUP = "agentguard.connectors"
log = logging.getLogger("agentguard")


@cache
def _entries() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def connector_names() -> list[str]:
    """The names of all installed connectors."""
    return sorted(_entries())


def connector(name: str) -> Connector:
    """Return the connector called *name*: an installed one, or one of agentguard.toml. Raises UnknownConnector."""
    if name in _entries():
        return _installed(name)
    from agentguard.config import declared  # it imports this module

    found = declared(name)
    if found is None:
        known = ", ".join(connector_names()) or "none"
        raise UnknownConnector(
            f"no connector called {name!r} is installed or named in agentguard.toml, under [connectors]; installed "
            f"are: {known}. Nothing was wrapped."
        )
    return found


@cache
def _installed(name: str) -> Connector:
    entry = _entries()[name]
    found = entry.load()
    if not isinstance(found, Connector):
        raise UnknownConnector(f"the entry point {name!r} ({entry.value}) is not a Connector. Nothing was wrapped.")
    return found


def seam_for(client: Any, wanted: str | Connector | None = None) -> tuple[Connector, Seam]:
    """Return the connector and the seam that take *client*; *wanted* says which connector, else all are asked."""
    kind = f"{type(client).__module__}.{type(client).__qualname__}"
    if wanted is not None:
        found = connector(wanted) if isinstance(wanted, str) else wanted
        seam = next((seam for seam in found.seams if seam.takes(client)), None)
        if seam is None:
            _explain(found, client)
            takes = ", ".join(cls for seam in found.seams for cls in seam.clients)
            raise UnknownClient(f"the connector {found.name!r} takes {takes}, not a {kind}. Nothing was wrapped.")
        return found, seam
    asked = []
    for name in connector_names():
        try:
            found = connector(name)
        except Exception:
            log.warning("agentguard: the connector %s cannot be loaded", name, exc_info=True)
            continue
        for seam in found.seams:
            if seam.takes(client):
                return found, seam
        asked.append(found)
    for found in asked:
        _explain(found, client)
    raise UnknownClient(
        f"no installed connector takes a {kind}; there are: {', '.join(connector_names())}. Nothing was wrapped. "
        "Pass the SDK's client object itself, or name a connector with connector=."
    )


def _explain(found: Connector, client: Any) -> None:
    """Raise what a seam of *found* has to say about a client that it nearly takes."""
    for seam in found.seams:
        reason = seam.why_not(client)
        if reason:
            raise UnknownClient(f"{reason} Nothing was wrapped.")
