"""Asking a person: who is asked about a call of high or critical risk, and how."""

from __future__ import annotations

import sys
import threading
from typing import Literal

from agentguard.errors import UsageError
from agentguard.flow import Approver
from agentguard.report import Card

_one_at_a_time = threading.Lock()


def resolve_approver(approver: Approver | Literal["terminal", "wait", "later"] | None) -> Approver | None:
    """Return the function that is asked."""
    if approver is None or callable(approver):
        return approver
    if approver == "terminal":
        return ask_on_terminal
    raise UsageError(
        f'approver is a function of a card, "terminal", "wait", "later" or None, not {approver!r}. Nothing was started.'
    )


def ask_on_terminal(card: Card) -> bool | None:
    """Show the card and take "yes" for a yes, everything else for a no; None where there is no terminal."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    with _one_at_a_time:
        sys.stderr.write(f"\n{card}\nSend it? Type yes to agree: ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() == "yes"
