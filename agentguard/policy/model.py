"""What a policy is asked and what it answers: a call as it is about to be sent, and what is to become of it.

Nothing here reads or writes anything. The engine makes a `Subject` of each write and acts on the `Decision`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from agentguard.calls import Call, Effect, Json, Risk
from agentguard.errors import ConfigError
from agentguard.rulings import Verdict

if TYPE_CHECKING:
    from agentguard.connector import Connector


def strictness(verdict: Verdict) -> int:
    """How strict a verdict is: allow, ask, hold, refuse."""
    return list(Verdict).index(verdict)


class Compensation(StrEnum):
    """How a call is meant to be taken back."""

    HANDLER = "handler"  # as its connector does it
    NONE = "none"  # not at all: a rollback says so
    SNAPSHOT = "snapshot"  # by the state before, which has to be taken down first
    CORRECTION = "correction"  # by a second action that makes it good
    DELETE = "delete"  # by deleting what was made


class Untold(Exception):
    """The call does not show what was asked of it. Carries why, in words for people."""


class PolicyError(ConfigError, ValueError):
    """A policy cannot be used. Knows the key that is at fault, below the place that it was raised for."""

    def __init__(self, message: str, at: str = "") -> None:
        super().__init__(message)
        self.at = at


Recipients = Callable[[Call], list[str]]
"""Whom a call writes to, as addresses or ids; [] where it writes to nobody. Raises Untold where it does not show."""
Amount = Callable[[Call], "tuple[Decimal, str] | None"]
"""The money that a call moves, in whole units, and its currency; None where it moves none. Raises Untold likewise.

Reads the arguments `amount` and `currency`, in the service's own unit, before any others.
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a service's arguments are read: functions that its connector may have."""

    recipients: Recipients | None = None
    amount: Amount | None = None

    @classmethod
    def of(cls, connector: Connector) -> Reading:
        """Take what *connector* has."""
        return cls(getattr(connector, "recipients", None), getattr(connector, "amount", None))


@dataclass(frozen=True, slots=True)
class Subject:
    """A call that is about to be sent, as a policy sees it: whole, before anything is redacted or shortened."""

    connector: str
    operation: str
    """With the service in front: `github.issues.create`."""
    account: str = ""
    target: str = ""
    arguments: Mapping[str, Json] = field(default_factory=dict)
    effect: Effect = Effect.IRREVERSIBLE
    risk: Risk = Risk.HIGH
    agent: str = ""
    environment: str = ""
    reading: Reading = Reading()

    @property
    def call(self) -> Call:
        """The call as its connector knows it."""
        return Call(self.operation.removeprefix(f"{self.connector}."), dict(self.arguments))


@dataclass(frozen=True, slots=True)
class Used:
    """What has gone through under a limit so far, without the call that is asked about."""

    count: int = 0
    amount: Decimal | None = Decimal(0)
    """None where a call's amount is not known: then nobody can say how much is left."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to become of a call, and why."""

    verdict: Verdict
    risk: Risk
    rule: str
    """The name of what decided: a rule, a limit, or "default by risk"."""
    place: str
    """Where it stands; empty for the default."""
    reason: str
    compensation: Compensation = Compensation.HANDLER
    verify: bool = False
    """Whether to read back after the call, and to stop the session where that shows something else."""

    def to_dict(self) -> dict[str, Any]:
        """The decision as JSON."""
        return {
            "verdict": self.verdict.value,
            "risk": self.risk.value,
            "rule": self.rule,
            "place": self.place,
            "reason": self.reason,
            "compensation": self.compensation.value,
            "verify": self.verify,
        }
