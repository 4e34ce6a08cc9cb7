"""The settings that stand beside the rules: durations, and the tables [unwind], [audit], [approvals], [recovery]."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import msgspec

from agentguard.policy.model import PolicyError

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Duration(float):
    """Seconds; made of a number of them or of a text with a unit: "30s", "5m", "2h", "90d"."""

    def __new__(cls, given: str | float) -> Duration:
        """Read *given*. Raises ConfigError where it is no length of time above nothing."""
        number: float | None = None
        if isinstance(given, str):
            found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhd]?)", given.strip())
            number = float(found[1]) * UNITS[found[2] or "s"] if found else None
        elif isinstance(given, int | float) and not isinstance(given, bool):
            number = float(given)
        if number is None or not 0 < number < 1e12:
            raise PolicyError(f'{given!r} is no duration; give seconds, or a text such as "30s", "5m", "2h" or "90d"')
        return super().__new__(cls, number)

    def __str__(self) -> str:
        for unit in reversed(UNITS):
            if self % UNITS[unit] == 0:
                return f"{int(self // UNITS[unit])}{unit}"
        return f"{float(self):g}s"

    def __repr__(self) -> str:
        return f"Duration({str(self)!r})"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of settings."""

    choices: ClassVar[dict[str, tuple[str, ...]]] = {}
    """For keys that hold one of a few words: which."""

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name in self.choices and value not in self.choices[name]:
                known = " or ".join(f'"{word}"' for word in self.choices[name])
                raise PolicyError(f"{value!r} is not known; it is {known}", name)
            if isinstance(value, int) and not isinstance(value, bool) and value < 1:
                raise PolicyError(f"{value} is no number from 1 on", name)


class Unwind(Settings, frozen=True, kw_only=True):
    """How a rollback goes about it."""

    order: str = "LIFO"
    """Newest first. There is no other."""
    on_failure: str = "continue"
    """Whether an undo that does not work stops the others: "continue" or "stop". Somebody is alerted in both cases."""
    timeout: Duration | None = None
    """After which no further undo is begun."""
    concurrency: int = 1
    """How many undos of unrelated things may be under way at once."""

    choices: ClassVar[dict[str, tuple[str, ...]]] = {"order": ("LIFO",), "on_failure": ("continue", "stop")}


class Audit(Settings, frozen=True, kw_only=True):
    """What the ledger keeps beside what an undo needs, and how long."""

    intent: bool = True
    """What the agent says that it is doing and why."""
    snapshots: bool = True
    """The state before each call, for people to see. What an undo writes back is kept in any case."""
    retention: Duration | None = None
    """How long sessions that are over are kept; None for ever."""


class Approvals(Settings, frozen=True, kw_only=True):
    """Who may agree to a call, and until when."""

    expires: Duration = Duration("1h")
    """How long a question waits for its answer, and an answer for its call."""
    approvers: tuple[str, ...] = ()
    """Who may agree, by name; nobody named means anybody."""
    keys: dict[str, str] = {}
    """Public keys by the name of who approves with them; with any, only signed decisions count."""
    must_differ: bool = True
    """Whether the one who agrees must be another than the session's agent and user."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for at, name in enumerate(self.approvers):
            if not name.strip():
                raise PolicyError("an approver needs a name", f"approvers[{at}]")


class Recovery(Settings, frozen=True, kw_only=True):
    """When a process counts as gone, and a request as landed."""

    lease: Duration = Duration("30s")
    """How long a process that says nothing counts as alive."""
    send_deadline: Duration = Duration("30s")
    """When a request has landed or was given up."""


def convert(kind: type, given: object) -> Any:
    """Make a value of a type that is ours from what stands in a file."""
    if kind is Duration:
        return Duration(given)  # type: ignore[arg-type]  # it says what it does not take
    raise NotImplementedError(kind)


def plainly(value: object) -> Any:
    """Return a value of a type that is ours as JSON."""
    if isinstance(value, Duration):
        return str(value)
    raise NotImplementedError(type(value))
