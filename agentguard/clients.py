"""The clients of one session in this process, and which of them a recorded call belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentguard.connector import Connector
from agentguard.errors import UnknownConnector, UsageError, WrongSession
from agentguard.flow import Border
from agentguard.guard import Guard
from agentguard.ledger.rows import CallRow
from agentguard.proxy import GuardedClient
from agentguard.redaction import Redactor
from agentguard.registry import connector as installed
from agentguard.registry import seam_for

if TYPE_CHECKING:
    from agentguard.session import Session


class Clients:
    """Where the calls of a session meet the world: the borders of its clients."""

    def __init__(self, redactor: Redactor) -> None:
        self.all: list[Border] = []
        self._redactor = redactor
        self._sent_through: dict[int, Border] = {}
        self._wrapped: dict[int, tuple[Guard, GuardedClient]] = {}

    def wrapped(self, session: Session, client: Any, connector: str | Connector | None) -> Any:
        """Return the guarded twin of *client*, the same one each time; see `Session.wrap`."""
        if isinstance(client, GuardedClient):
            if client._self_guard.session is session:
                return client
            raise WrongSession(
                f"this client was wrapped for session {client._self_guard.session.id} already. Nothing was wrapped. "
                "Wrap the plain client."
            )
        known = self._wrapped.get(id(client))
        if known is None:
            guard = self.use(session, client, connector)
            known = self._wrapped[id(client)] = guard, GuardedClient(guard.twin, guard)
        named = connector.name if isinstance(connector, Connector) else connector
        if named not in (None, known[0].connector.name):
            raise UsageError(
                f"this client is wrapped with the connector {known[0].connector.name!r} in this session already. "
                f"Nothing was wrapped with {named!r}. Use a client of its own for that."
            )
        return known[1]

    def use(self, session: Session, client: Any, connector: str | Connector | None) -> Guard:
        """Let calls and undos of *session* use *client*."""
        found, seam = seam_for(client, connector)
        guard = Guard(session, found, seam, client)
        self.all.append(guard)
        return guard

    def sent_through(self, seq: int, border: Border) -> None:
        """Remember which client call *seq* goes through: two clients of one service may be of two accounts."""
        self._sent_through[seq] = border

    def of(self, call: CallRow) -> Border:
        """Find the client for a recorded call: the one that it went through, else one of the same URL and account.

        Raises UnknownConnector where there is none.
        """
        return self._sent_through.get(call.seq) or self._for(call.connector, call.base)

    def elsewhere(self, calls: list[CallRow]) -> set[str]:
        """The connectors of those of *calls* that went through a client which is not here."""
        return {c.connector for c in calls if "#" in c.base and c.seq not in self._sent_through}

    def connector_of(self, call: CallRow) -> Connector:
        """Find the connector of a recorded call. Raises UnknownConnector where it is not installed."""
        here = (border.connector for border in self.all if border.connector.name == call.connector)
        if call.connector == "action":
            return self._for(call.connector, call.base).connector
        return next(here, None) or installed(call.connector)

    def _for(self, connector: str, base: str) -> Border:
        if connector == "action":
            from agentguard.action import border

            return border
        here = [c for c in self.all if c.connector.name == connector]
        url, _, account = base.partition("#")
        there = [c for c in here if self._redactor.clean_text(c.base) == url]
        for candidate in there:
            if not account or self._redactor.clean_text(candidate.account or "") == account:
                return candidate
        if there:
            of = ", ".join(c.account or "one that did not say whose account it is for" for c in there)
            raise UnknownConnector(
                f"the call went to the account {account}, and the {connector} client here is of {of}. Nothing was "
                "sent; give the rollback a client for that account."
            )
        others = ", ".join(c.base for c in here)
        raise UnknownConnector(
            f"the call went to {base} and there is no {connector} client for that"
            + (f" (only for {others})" if others else "")
            + ". Nothing was sent; give the rollback a client for it."
        )
