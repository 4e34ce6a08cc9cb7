"""Do, undo, compare, where the other side has no snapshot of its state: the world is read with the bare client."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import agentguard
from agentguard import Outcome, Report
from tests.proving import differences

World = Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class Case:
    """One operation: what to do with the guarded client, after what preparation, and what may differ afterwards.

    `prepare` works with the bare client; what it returns, `do` receives as its second argument.
    `residue` holds regular expressions over dotted paths into the world. Each must be needed, so that a case does not
    claim less than what is true.
    """

    operation: str
    do: Callable[[Any, Any], Any]
    prepare: Callable[[Any], Any] = lambda _client: None
    outcome: Outcome = Outcome.RESTORED
    residue: tuple[str, ...] = ()
    note: str = ""

    @property
    def name(self) -> str:
        """How the test is called."""
        return f"{self.operation}{', ' if self.note else ''}{self.note}"


def check(case: Case, client: Any, world: World, ledger: Path) -> Report:
    """Let the case work with the guarded *client*, roll back, and compare what the bare one reads."""
    given = case.prepare(client)
    before = world()
    session = agentguard.session(agent="prover", intent=case.name, ledger=ledger, approver=lambda _card: True)
    with session:
        case.do(agentguard.wrap(client, session), given)
    during = world()
    report = session.rollback()
    compare(case, session, report, before, during, world())
    return report


async def acheck(case: Case, client: Any, bare: Any, world: World, ledger: Path) -> Report:
    """The same with an asynchronous *client*; the preparation works with the synchronous one, *bare*."""
    given = case.prepare(bare)
    before = world()
    session = agentguard.session(agent="prover", intent=case.name, ledger=ledger, approver=lambda _card: True)
    async with session:
        await case.do(agentguard.wrap(client, session), given)
    during = world()
    report = await session.arollback()
    compare(case, session, report, before, during, world())
    return report


def compare(
    case: Case, session: Any, report: Report, before: dict[str, Any], during: dict[str, Any], after: dict[str, Any]
) -> None:
    """Check what the session recorded, what the rollback says, and that the world agrees with it."""
    assert case.operation in [call.operation for call in session.calls]
    assert during != before, "the call changed nothing: an undo of it proves nothing"
    outcomes = {result.operation: result.outcome for result in report.outcomes}
    assert outcomes[case.operation] is case.outcome, str(report)
    changed = differences(before, after)
    unexpected = [path for path in changed if not any(re.fullmatch(pattern, path) for pattern in case.residue)]
    assert not unexpected, f"not as before: {unexpected}\n{report}"
    unneeded = [pattern for pattern in case.residue if not any(re.fullmatch(pattern, path) for path in changed)]
    assert not unneeded, f"declared as residue, but restored: {unneeded}"
