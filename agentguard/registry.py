"""Connectors by name and by client: found through the entry points of the group `agentguard.connectors`."""

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


@cache
def connector(name: str) -> Connector:
    """Return the connector called *name*. Raises UnknownConnector."""
    entry = _entries().get(name)
    if entry is None:
        known = ", ".join(connector_names()) or "none"
        raise UnknownConnector(f"no connector called {name!r} is installed; there are: {known}. Nothing was wrapped.")
    found = entry.load()
    if not isinstance(found, Connector):
        raise UnknownConnector(f"the entry point {name!r} ({entry.value}) is not a Connector. Nothing was wrapped.")
    return found


def seam_for(client: Any, name: str | None = None) -> tuple[Connector, Seam]:
    """Return the connector and the seam that take *client*; *name* limits the search to one connector."""
    for candidate in [name] if name else connector_names():
        try:
            found = connector(candidate)
        except ImportError:
            if name:
                raise
            log.warning("agentguard: the connector %s cannot be imported", candidate, exc_info=True)
            continue
        for seam in found.seams:
            if seam.takes(client):
                return found, seam
    kind = f"{type(client).__module__}.{type(client).__qualname__}"
    if name:
        takes = ", ".join(cls for seam in connector(name).seams for cls in seam.clients)
        raise UnknownClient(f"the connector {name!r} takes {takes}, not a {kind}. Nothing was wrapped.")
    raise UnknownClient(
        f"no installed connector takes a {kind}; there are: {', '.join(connector_names())}. Nothing was wrapped. "
        "Pass the SDK's client object itself, or name a connector with connector=."
    )
