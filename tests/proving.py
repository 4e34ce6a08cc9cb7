"""Prove an undo from the outside: do it, undo it, and compare the service's whole state before and after."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import agentguard
from agentguard import Outcome, Report
from tests.boxes import Box

PROOFS = "AGENTGUARD_PROOFS"
"""The environment variable that names the file for proofs."""


def prove(
    box: Box,
    ledger: Path,
    client: Any,
    do: Callable[[Any], object],
    *,
    operation: str,
    outcome: Outcome = Outcome.RESTORED,
    residue: Sequence[str] = (),
    prepare: Callable[[Any], object] | None = None,
    connector: agentguard.Connector | None = None,
) -> Report:
    """Let *do* work with the guarded client, roll back, and compare the state of *box*.

    *prepare* works with the bare client first. *operation* (with the service in front) must be among the recorded
    calls and come out as *outcome*. *residue* names what may differ afterwards: regular expressions over dotted paths
    into the snapshot, each of which must be needed.
    """
    if prepare is not None:
        prepare(client)
    before = box.snapshot()
    session = agentguard.session(agent="prover", intent=operation, ledger=ledger, approver=lambda _card: True)
    with session:
        do(agentguard.wrap(client, session, connector))
    assert operation in [call.operation for call in session.calls]
    during = box.snapshot()
    assert during != before, "the call changed nothing: an undo of it proves nothing"
    report = session.rollback()
    got = {result.operation: result.outcome for result in report.outcomes}
    assert got[operation] is outcome, str(report)
    assert report.ok is all(result.outcome.ok for result in report.outcomes)
    changed = differences(before, box.snapshot())
    unexpected = [path for path in changed if not any(re.fullmatch(pattern, path) for pattern in residue)]
    assert not unexpected, f"not as before: {unexpected}\n{report}"
    unneeded = [pattern for pattern in residue if not any(re.fullmatch(pattern, path) for path in changed)]
    assert not unneeded, f"declared as residue, but restored: {unneeded}"
    if outcome.ok:
        note_proof(operation)
    return report


def note_proof(operation: str) -> None:
    """Write down that the undo of *operation* is proved, for `tests.proofs`, where a run asks for it."""
    if PROOFS in os.environ:
        with open(os.environ[PROOFS], "a") as proofs:
            proofs.write(f"{operation}\n")


def differences(before: Any, after: Any, path: str = "") -> list[str]:
    """The dotted paths at which two JSON values differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(key for key in after if key not in before)]
        found = [differences(before.get(k, _NOTHING), after.get(k, _NOTHING), f"{path}.{k}".strip(".")) for k in keys]
        return [line for lines in found for line in lines]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [line for at, (b, a) in pairs for line in differences(b, a, f"{path}.{at}")]
    return [] if before == after else [path]


_NOTHING = object()
