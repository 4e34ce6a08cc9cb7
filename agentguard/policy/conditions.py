"""Whether a condition is so: True, False, or None where the call does not show it.

Three values, so that what cannot be told is never taken for a no: `deciding.py` holds it against the call. A list is
asked entry by entry, and where entries differ that cannot be told either: a rule that stops catches the one bad entry,
and a rule that allows needs all of them good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

from msgspec import UNSET, UnsetType

from agentguard.calls import Call, Json
from agentguard.policy.addresses import addresses_of, is_within
from agentguard.policy.model import Subject, Untold
from agentguard.policy.patterns import Expression, like
from agentguard.policy.rules import RECIPIENTS, AmountAbove, Condition, Limit, Rule, decimal_of

Truth = bool | None
_MISSING: Any = object()


def applies(rule: Rule, subject: Subject) -> Truth:
    """Tell whether *rule* is for the call."""
    if not any(like(pattern, subject.operation) for pattern in rule.operations):
        return False
    asked: list[Truth] = []
    if not isinstance(rule.effects, UnsetType):
        asked.append(subject.effect in rule.effects)
    if not isinstance(rule.risks, UnsetType):
        asked.append(subject.risk in rule.risks)
    for patterns, text in (
        (rule.accounts, subject.account),
        (rule.targets, subject.target),
        (rule.agents, subject.agent),
        (rule.environments, subject.environment),
    ):
        if not isinstance(patterns, UnsetType):
            asked.append(any(like(pattern, text) for pattern in patterns) if text else None)
    return every((*asked, *(holds(condition, subject) for condition in rule.conditions)))


def every(truths: Iterable[Truth]) -> Truth:
    """All of them: no where one is a no, else unknown where one is unknown."""
    found = list(truths)
    if False in found:
        return False
    return None if None in found else True


def some(truths: Iterable[Truth]) -> Truth:
    """At least one of them."""
    found = list(truths)
    if True in found:
        return True
    return None if None in found else False


def opposite(truth: Truth) -> Truth:
    """The opposite; what is not known stays so."""
    return None if truth is None else not truth


def holds(condition: Condition, subject: Subject) -> Truth:
    """Tell whether all that *condition* asks is so."""
    asked: list[Truth] = []
    if condition.argument is not None:
        try:
            value = argument(subject, condition.argument)
            asked += [
                answer(getattr(condition, name), value) for name, answer in _PLAIN.items() if _asks(condition, name)
            ]
            if any(_asks(condition, name) for name in _PEOPLE):
                asked += _people(condition, addressed(subject, condition.argument))
            if not isinstance(condition.count_above, UnsetType):
                asked.append(counted(subject, condition.argument) > condition.count_above)
        except Untold:
            asked.append(None)
    if not isinstance(condition.amount_above, UnsetType):
        asked.append(_above(condition.amount_above, subject))
    if not isinstance(condition.not_, UnsetType):
        asked.append(opposite(holds(condition.not_, subject)))
    if not isinstance(condition.any_, UnsetType):
        asked.append(some(holds(one, subject) for one in condition.any_))
    return every(asked)


def _asks(condition: Condition, name: str) -> bool:
    return getattr(condition, name) is not UNSET


def argument(subject: Subject, path: str) -> Json:
    """Follow *path* into the arguments; `_MISSING` where there is nothing, or null."""
    if path in subject.arguments:
        value: Json = subject.arguments[path]
    else:
        value = subject.arguments
        for part in path.split("."):
            if isinstance(value, list | tuple) and part.isascii() and part.isdigit() and int(part[:9]) < len(value):
                value = value[int(part[:9])]
            elif isinstance(value, list | tuple) and all(isinstance(entry, dict) for entry in value):
                # Of each of them: `inputs.id`.
                value = [entry[part] for entry in value if entry.get(part) is not None] or _MISSING
            elif hasattr(value, "keys") and part in value:
                value = value[part]
            else:
                return _MISSING
    return _MISSING if value is None else value


def each(value: Json, ask: Callable[[Json], Truth]) -> Truth:
    """Ask each entry of a list, or the value itself; unknown where entries differ or there are none."""
    if not isinstance(value, list | tuple):
        return ask(value)
    found = {ask(entry) for entry in value}
    return found.pop() if len(found) == 1 else None


def _exists(wanted: bool, value: Json) -> Truth:
    return (value is not _MISSING) is wanted


def _equals(wanted: Json, value: Json) -> Truth:
    if value is _MISSING:
        return False
    return True if same(wanted, value) else each(value, lambda entry: same(wanted, entry))


def _in(wanted: list[Json], value: Json) -> Truth:
    if value is _MISSING:
        return False
    return each(value, lambda entry: any(same(one, entry) for one in wanted))


def _not_in(wanted: list[Json], value: Json) -> Truth:
    # What is left out has some value at the service, and nobody knows whether it is one of these.
    return None if value is _MISSING else opposite(_in(wanted, value))


def _contains(wanted: str, value: Json) -> Truth:
    if value is _MISSING:
        return False
    if isinstance(value, str):
        return wanted in value
    if isinstance(value, list | tuple):
        return any(same(wanted, entry) for entry in value)
    return wanted in value if isinstance(value, dict) else False


def _matches(wanted: str, value: Json) -> Truth:
    if value is _MISSING:
        return False

    def fits(entry: Json) -> Truth:
        if isinstance(entry, dict | list | tuple):
            return None
        try:
            return expression(wanted).fits(_text(entry))
        except ValueError:  # longer than what is looked at
            return None

    return each(value, fits)


def _greater(wanted: float, value: Json) -> Truth:
    return None if value is _MISSING else each(value, lambda entry: _compare(entry, lambda n: n > decimal_of(wanted)))


def _less(wanted: float, value: Json) -> Truth:
    return None if value is _MISSING else each(value, lambda entry: _compare(entry, lambda n: n < decimal_of(wanted)))


_PLAIN: dict[str, Callable[[Any, Json], Truth]] = {
    "exists": _exists,
    "equals": _equals,
    "in_": _in,
    "not_in": _not_in,
    "contains": _contains,
    "matches": _matches,
    "greater": _greater,
    "less": _less,
}
_PEOPLE = ("domain_in", "domain_not_in")


@lru_cache(maxsize=256)
def expression(pattern: str) -> Expression:
    """The machine for a pattern."""
    return Expression(pattern)


def same(one: Json, other: Json) -> bool:
    """Whether two values are the same; in a form every value is text, so `true` is "true" and 5 is "5"."""
    if isinstance(one, str) != isinstance(other, str) and not any(isinstance(v, dict | list) for v in (one, other)):
        return _text(one) == _text(other)
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _text(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def number(value: Json) -> Decimal | None:
    """A number, or a text that is one; None otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        found = Decimal(str(value).strip()) if len(str(value)) <= 40 else Decimal("NaN")
    except (InvalidOperation, ValueError):
        return None
    return found if found.is_finite() else None


def _compare(value: Json, test: Callable[[Decimal], bool]) -> Truth:
    found = number(value)
    return None if found is None else test(found)


# People


def addressed(subject: Subject, path: str) -> list[str]:
    """The addresses in an argument; all to whom the call writes where the argument stands for them. Raises Untold."""
    if path not in RECIPIENTS:
        value = argument(subject, path)
        return [] if value is _MISSING else addresses_of(value)
    if subject.reading.recipients is not None:
        try:
            return list(subject.reading.recipients(subject.call))
        except Untold:
            raise
        except Exception as error:
            raise Untold(f"who would get it cannot be read: {type(error).__name__}: {error}") from error
    given = [value for name in RECIPIENTS if (value := argument(subject, name)) is not _MISSING]
    if not given:
        raise Untold(f"to whom {subject.connector} calls write is not known")
    return addresses_of(given)


def _people(condition: Condition, people: list[str]) -> list[Truth]:
    """Inside: all of them are. Outside: one of them is. Where a call writes to nobody, neither is so."""
    asked: list[Truth] = []
    if not isinstance(condition.domain_in, UnsetType):
        asked.append(bool(people) and all(is_within(address, condition.domain_in) for address in people))
    if not isinstance(condition.domain_not_in, UnsetType):
        asked.append(any(not is_within(address, condition.domain_not_in) for address in people))
    return asked


def counted(subject: Subject, path: str) -> int:
    """How many entries an argument has: recipients, those of a list or object, 1 for any other value."""
    if path in RECIPIENTS:
        return len(set(addressed(subject, path)))
    value = argument(subject, path)
    if value is _MISSING:
        return 0
    return len(value) if isinstance(value, list | tuple | dict) else 1


# Money


def _above(wanted: AmountAbove, subject: Subject) -> Truth:
    try:
        moved = money(subject, wanted.currency, wanted.argument, wanted.currency_argument)
    except Untold:
        return None
    return moved is not None and moved > decimal_of(wanted.value)


def money(subject: Subject, currency: str, path: str | None = None, named_by: str | None = None) -> Decimal | None:
    """The amount of *currency* that the call moves, in whole units; None where it moves none. Raises Untold."""
    call = subject.call
    if path is not None:
        value, unit = argument(subject, path), argument(subject, named_by) if named_by else currency
        if value is _MISSING or unit is _MISSING:
            raise Untold(f"the call gives no {path if value is _MISSING else named_by}")
        call = Call(call.operation, {**call.arguments, "amount": value, "currency": unit})
    if subject.reading.amount is not None:
        try:
            found = subject.reading.amount(call)
            if found is None and path is None:
                return None
        except Untold:
            raise
        except Exception as error:
            raise Untold(f"the amount cannot be read: {type(error).__name__}: {error}") from error
    else:
        found = None
        if path is None:
            raise Untold(f"what {subject.connector} calls move is not known")
    if found is None:
        plain = number(call.arguments["amount"])
        if plain is None:
            raise Untold(f"{path} is no number")
        found = plain, str(call.arguments["currency"])
    moved, unit = found
    if not isinstance(moved, Decimal) or not moved.is_finite():
        raise Untold("the amount is no number")
    if str(unit).upper() != currency:
        raise Untold(f"the amount is in {str(unit).upper()}, which is not compared with {currency}")
    return abs(moved)


def passing(limit: Limit, subject: Subject) -> tuple[int, Decimal | None]:
    """What the call adds under *limit*: how many, and how much where that is limited. Raises Untold."""
    count = counted(subject, limit.each) if limit.each else 1
    amount = None
    if limit.currency is not None:
        amount = money(subject, limit.currency) or Decimal(0)
    return count, amount
