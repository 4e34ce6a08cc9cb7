"""Rules, conditions and limits, as data: what can be written into a file can be written in Python, and the reverse."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from agentguard.calls import Effect, Json, Risk
from agentguard.policy.model import Compensation, PolicyError
from agentguard.policy.patterns import Expression
from agentguard.policy.settings import Duration
from agentguard.rulings import Verdict

RECIPIENTS = ("recipients", "to", "cc", "bcc")
"""Arguments that stand for all to whom a call writes, where its service is one that knows."""


class _Data(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    def _make_tuples(self, *names: str) -> None:
        """Let one text stand for a list of it, and a list for what cannot be changed."""
        for name in names:
            given = getattr(self, name)
            if isinstance(given, UnsetType):
                continue
            listed = (given,) if isinstance(given, str) else tuple(given)
            if not listed or any(isinstance(entry, str) and not entry.strip() for entry in listed):
                raise PolicyError("an empty list or text matches nothing; leave it out to match everything", _key(name))
            msgspec.structs.force_setattr(self, name, listed)


def _key(name: str) -> str:
    """What a field is called in a file."""
    return name.removesuffix("_")


class AmountAbove(_Data, frozen=True, kw_only=True):
    """More than *value* of *currency*, in whole units (dollars, not cents).

    Without *argument* it is the amount that the service says the call moves. An amount in another currency cannot be
    compared, and is taken against the call.
    """

    value: float | str
    currency: str
    argument: str | None = None
    currency_argument: str | None = None

    def __post_init__(self) -> None:
        decimal_of(self.value, "value")
        currency_of(self.currency)
        if self.currency_argument is not None and self.argument is None:
            raise PolicyError("it goes with argument, which is not given", "currency_argument")


class Condition(_Data, frozen=True, kw_only=True):
    """What has to be so of a call's arguments; all that is given has to be.

    *argument* is the path to one of them, dots going deeper. Where it is a list, each entry is asked; where entries
    differ, or nothing can be told, the condition is taken against the call.
    """

    argument: str | None = None
    exists: bool | UnsetType = UNSET
    equals: Json | UnsetType = UNSET
    in_: list[Json] | UnsetType = msgspec.field(default=UNSET, name="in")
    not_in: list[Json] | UnsetType = UNSET
    contains: str | UnsetType = UNSET
    matches: str | UnsetType = UNSET
    greater: float | UnsetType = UNSET
    less: float | UnsetType = UNSET
    count_above: int | UnsetType = UNSET
    domain_in: str | list[str] | UnsetType = UNSET
    domain_not_in: str | list[str] | UnsetType = UNSET
    amount_above: AmountAbove | UnsetType = UNSET
    not_: Condition | UnsetType = msgspec.field(default=UNSET, name="not")
    any_: Sequence[Condition] | UnsetType = msgspec.field(default=UNSET, name="any")

    def __post_init__(self) -> None:
        given = [name for name in self.__struct_fields__[1:] if getattr(self, name) is not UNSET]
        if not given:
            known = ", ".join(_key(name) for name in self.__struct_fields__[1:])
            raise PolicyError(f"nothing is asked; there are {known}")
        alone = [name for name in given if name in ("amount_above", "not_", "any_")]
        if self.argument is None and len(alone) < len(given):
            asked = next(name for name in given if name not in alone)
            raise PolicyError(f"{_key(asked)} is asked of an argument, and none is named", "argument")
        if self.argument is not None and (not self.argument or "" in self.argument.split(".")):
            raise PolicyError(f"{self.argument!r} names no argument", "argument")
        if self.argument is not None and len(alone) == len(given):
            raise PolicyError("it is not used: nothing is asked of it here", "argument")
        self._make_tuples("in_", "not_in", "domain_in", "domain_not_in", "any_")
        for name in ("domain_in", "domain_not_in"):
            for at, domain in enumerate(getattr(self, name) or ()):
                if "@" in domain or " " in domain or not domain.removeprefix("*.").strip("*."):
                    raise PolicyError(f'{domain!r} is no domain such as "acme.com" or "*.acme.com"', f"{name}[{at}]")
        if self.matches is not UNSET:
            try:
                Expression(self.matches)
            except ValueError as error:
                raise PolicyError(str(error), "matches") from error
        if self.count_above is not UNSET and self.count_above < 0:
            raise PolicyError(f"{self.count_above} is no number from 0 on", "count_above")
        for name in ("greater", "less"):
            if getattr(self, name) is not UNSET:
                decimal_of(getattr(self, name), name)


class Rule(_Data, frozen=True, kw_only=True):
    """To which calls it applies, and what becomes of them. What is left out applies to all, and changes nothing."""

    name: str = ""
    operations: str | Sequence[str] = ("*",)
    effects: Sequence[Effect] | UnsetType = UNSET
    risks: Sequence[Risk] | UnsetType = UNSET
    """The risk that the service's connector sees in the call, whatever rules say."""
    accounts: str | Sequence[str] | UnsetType = UNSET
    targets: str | Sequence[str] | UnsetType = UNSET
    agents: str | Sequence[str] | UnsetType = UNSET
    environments: str | Sequence[str] | UnsetType = UNSET
    when: Condition | Sequence[Condition] | UnsetType = UNSET
    """All of them have to be so."""

    then: Verdict | UnsetType = UNSET
    """Left out, the risk decides."""
    risk: Risk | UnsetType = UNSET
    """The risk that these calls have, in place of what the connector sees."""
    compensation: Compensation | UnsetType = UNSET
    verify: bool | UnsetType = UNSET
    """Whether to read back after the call, and to stop the session where that shows something else."""
    reason: str = ""
    """Why; shown to whoever is asked and to the agent that is refused."""

    def __post_init__(self) -> None:
        if isinstance(self.when, Condition):
            msgspec.structs.force_setattr(self, "when", (self.when,))
        self._make_tuples("operations", "effects", "risks", "accounts", "targets", "agents", "environments", "when")
        if all(value is UNSET for value in (self.then, self.risk, self.compensation, self.verify)):
            raise PolicyError("it says nothing; give then, risk, compensation or verify")

    @property
    def conditions(self) -> Sequence[Condition]:
        """What has to be so of the arguments."""
        return () if isinstance(self.when, UnsetType | Condition) else self.when


class Limit(_Data, frozen=True, kw_only=True):
    """How much may go through before somebody is asked: a number of calls, or an amount of money."""

    name: str
    operations: str | Sequence[str]
    per: str | float = "session"
    """One session, or a length of time: then the calls of all sessions in the ledger count."""
    count: int | None = None
    each: str | None = None
    """The argument of which each entry counts, in place of the call ("ids", "recipients")."""
    amount: float | str | None = None
    currency: str | None = None
    then: Verdict = Verdict.ASK
    reason: str = ""

    def __post_init__(self) -> None:
        self._make_tuples("operations")
        if not self.name.strip():
            raise PolicyError("a limit needs a name, by which it is told", "name")
        if self.count is None and self.amount is None:
            raise PolicyError("nothing is limited; give count or amount")
        if self.count is not None and self.count < 0:
            raise PolicyError(f"{self.count} is no number from 0 on", "count")
        if self.each is not None and self.count is None:
            raise PolicyError("it goes with count, which is not given", "each")
        if (self.amount is None) != (self.currency is None):
            raise PolicyError("amount and currency go together", "currency" if self.currency is None else "amount")
        if self.amount is not None and self.currency is not None:
            decimal_of(self.amount, "amount")
            currency_of(self.currency)
        if self.then is Verdict.ALLOW:
            raise PolicyError("a limit asks, holds or refuses", "then")
        if self.per != "session" and not isinstance(self.per, Duration):
            try:
                msgspec.structs.force_setattr(self, "per", Duration(self.per))
            except PolicyError as error:
                raise PolicyError(f'{self.per!r} is neither "session" nor a duration such as "1h"', "per") from error

    @property
    def window(self) -> float | None:
        """The seconds that it is for; None where it is for a session."""
        return float(self.per) if isinstance(self.per, Duration) else None


def decimal_of(given: Any, at: str = "") -> Decimal:
    """A number of a rule, exactly as it is written there."""
    try:
        value = Decimal(str(given))
    except InvalidOperation:
        value = Decimal("NaN")
    if isinstance(given, bool) or not value.is_finite():
        raise PolicyError(f"{given!r} is no number", at)
    if value < 0 and at in ("value", "amount"):
        raise PolicyError(f"{given} is no amount from 0 on", at)
    return value


def currency_of(given: str) -> str:
    """The three letters of a currency."""
    if len(given) != 3 or not (given.isascii() and given.isalpha() and given.isupper()):
        raise PolicyError(f'{given!r} is no currency such as "USD"', "currency")
    return given
