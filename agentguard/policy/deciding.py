"""A policy, and what it decides about a call.

The order: a rule that refuses wins wherever it stands; else the first rule in the file that applies; else the risk,
of which low and medium go and high and critical ask. Limits come on top and can only be stricter. What a call does not
show is held against it: a rule that may apply counts unless another verdict is stricter. `decide` raises nothing, and
a fault in here refuses.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property

import msgspec
from msgspec import UnsetType

from agentguard.calls import Call, Effect, Json, Risk
from agentguard.policy.conditions import applies, passing
from agentguard.policy.model import Compensation, Decision, PolicyError, Subject, Untold, Used, strictness
from agentguard.policy.parts import whole
from agentguard.policy.patterns import like
from agentguard.policy.rules import Limit, Rule, currency_of, decimal_of
from agentguard.policy.settings import Approvals, Audit, Recovery, Unwind, plainly
from agentguard.rulings import Verdict

DEFAULT = "default by risk"
Counting = Callable[[Limit], Used]
"""Tells what has gone through under a limit so far, in the session or the time that it is for."""


@dataclass(frozen=True)
class Policy:
    """What agents may do, and how their work is taken back and kept.

    Rules are frozen. Whether their patterns match any operation is checked by `load_policy`, and by `check` for a
    policy that was made in Python.
    """

    rules: Sequence[Rule] = ()
    limits: Sequence[Limit] = ()
    currency: str | None = None
    """What an amount is in where a call does not say so (a refund has the currency of its charge)."""
    unwind: Unwind = field(default_factory=Unwind)
    audit: Audit = field(default_factory=Audit)
    approvals: Approvals = field(default_factory=Approvals)
    recovery: Recovery = field(default_factory=Recovery)
    source: str = ""
    """The file that it comes from."""
    places: Sequence[str] = field(default=(), repr=False)
    """Where each rule and then each limit stands in it."""

    def __post_init__(self) -> None:
        for name in ("rules", "limits"):
            things = (whole(thing, f"{name}[{at}]") for at, thing in enumerate(getattr(self, name)))
            object.__setattr__(self, name, tuple(things))
        for name in ("unwind", "audit", "approvals", "recovery"):
            object.__setattr__(self, name, whole(getattr(self, name), name))
        object.__setattr__(self, "places", tuple(self.places))
        if self.currency is not None:
            currency_of(self.currency)
        names = [name for name in (*(r.name for r in self.rules), *(one.name for one in self.limits)) if name]
        for name in names:
            if names.count(name) > 1:
                raise PolicyError(f"two rules or limits are called {name!r}; a decision names the one that made it")

    def to_dict(self) -> dict[str, Json]:
        """Return the policy as JSON, in the shape of the file. What is left out has its default."""
        settings = {name: getattr(self, name) for name in ("unwind", "audit", "approvals", "recovery")}
        whole = {
            "policy": {"rules": self.rules, "limits": self.limits, "currency": self.currency},
            **settings,
        }
        plain: dict[str, Json] = msgspec.to_builtins(whole, enc_hook=plainly)
        return plain

    @cached_property
    def version(self) -> str:
        """SHA-256 of the canonical policy: the same for the same rules, whatever file they come from."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def check(self) -> Policy:
        """Raise ConfigError where a pattern matches no operation of its service; return the policy."""
        from agentguard.policy.operations import check

        things: list[Rule | Limit] = [*self.rules, *self.limits]
        for at, thing in enumerate(things):
            try:
                check(thing)
            except PolicyError as error:
                where = f"{self.place(at)}{f'.{error.at}' if error.at else ''}"
                raise PolicyError(f"{where}: {error}. Nothing was started. Correct the policy.") from error
        return self

    def place(self, at: int) -> str:
        """Where the rule or limit number *at* stands."""
        if at < len(self.places):
            return self.places[at]
        return f"rules[{at}]" if at < len(self.rules) else f"limits[{at - len(self.rules)}]"

    def limits_of(self, operation: str) -> list[Limit]:
        """The limits that count calls of *operation*."""
        return [limit for limit in self.limits if any(like(pattern, operation) for pattern in limit.operations)]

    def decide(self, subject: Subject, used: Counting | None = None) -> Decision:
        """Decide about a call. *used* tells what has gone through under a limit; without it, nothing has.

        Raises nothing. A read is always allowed.
        """
        if subject.effect is Effect.READ:
            return Decision(Verdict.ALLOW, subject.risk, "reads", "", "reads are never asked about")
        try:
            subject = self.assuming(subject)
            decision = self._by_rules(subject)
            for limit in self.limits_of(subject.operation):
                reached = self._by_limit(limit, subject, decision, used)
                if reached is not None and strictness(reached.verdict) > strictness(decision.verdict):
                    decision = reached
        except Exception as error:  # noqa: BLE001 - whatever it is: nothing may go because of it
            told = f"the policy could not be asked: {type(error).__name__}: {error}"
            return Decision(Verdict.REFUSE, subject.risk, "a fault in the policy", self.source, told)
        return decision

    def assuming(self, subject: Subject) -> Subject:
        """Let amounts of the call be in the policy's currency where the call names none."""
        if self.currency is None or subject.arguments.get("currency") or subject.reading.amount is None:
            return subject
        amount, currency = subject.reading.amount, self.currency

        def read(call: Call) -> tuple[Decimal, str] | None:
            given = call.arguments.get("currency")
            return amount(call if given else Call(call.operation, {**call.arguments, "currency": currency}))

        return replace(subject, reading=replace(subject.reading, amount=read))

    def _by_rules(self, subject: Subject) -> Decision:
        perhaps: list[Decision] = []
        certain: Decision | None = None
        for at, rule in enumerate(self.rules):
            refuses = rule.then is Verdict.REFUSE
            if certain is not None and not refuses:
                continue
            truth = applies(rule, subject)
            if truth is False:
                continue
            decision = self._of(at, rule, subject, sure=truth is True)
            if refuses:
                return decision
            if truth is None:
                perhaps.append(decision)
            else:
                certain = decision
        last = certain or by_risk(subject)
        # The strictest; of equals the one that stands first, and what is certain before what is not.
        return max((last, *perhaps), key=lambda decision: strictness(decision.verdict))

    def _of(self, at: int, rule: Rule, subject: Subject, *, sure: bool) -> Decision:
        risk = subject.risk if isinstance(rule.risk, UnsetType) else rule.risk
        verdict = default_of(risk) if isinstance(rule.then, UnsetType) else rule.then
        name = rule.name or f"rule {at + 1}"
        reason = rule.reason or f"{subject.operation}: {name} says {verdict}"
        if not sure:
            reason += " (the call does not show whether the rule is for it, which is held against the call)"
        return Decision(
            verdict,
            risk,
            name,
            self._whole_place(at),
            reason,
            Compensation.HANDLER if isinstance(rule.compensation, UnsetType) else rule.compensation,
            False if isinstance(rule.verify, UnsetType) else rule.verify,
        )

    def _by_limit(self, limit: Limit, subject: Subject, so_far: Decision, used: Counting | None) -> Decision | None:
        why = reached(limit, subject, used)
        if why is None:
            return None
        at = len(self.rules) + list(self.limits).index(limit)
        reason = f"{limit.reason}: {why}" if limit.reason else f"the limit {limit.name!r} is reached: {why}"
        place = self._whole_place(at)
        return Decision(limit.then, so_far.risk, limit.name, place, reason, so_far.compensation, so_far.verify)

    def _whole_place(self, at: int) -> str:
        return f"{self.source}: {self.place(at)}" if self.source else self.place(at)


def reached(limit: Limit, subject: Subject, used: Counting | None = None) -> str | None:
    """Say why the call would pass *limit*; None where it would not. What cannot be counted passes it."""
    try:
        before = used(limit) if used else Used()
        count, amount = passing(limit, subject)
    except Untold as untold:
        return f"what the call adds to it is not known: {untold}"
    except Exception as error:  # noqa: BLE001 - whatever it is: nothing may go because of it
        return f"it could not be counted: {type(error).__name__}: {error}"
    per = "session" if limit.window is None else str(limit.per)
    if limit.count is not None and before.count + count > limit.count:
        what = f"{limit.each} of them" if limit.each else "calls"
        return f"{before.count} went before, this is {count} more, and {limit.count} {what} may go per {per}"
    if limit.amount is not None and amount is not None:
        if before.amount is None:
            return "the amount of a call before is not known"
        if before.amount + amount > decimal_of(limit.amount):
            told = f"{before.amount} went before, this is {amount} more"
            return f"{told}, and {limit.amount} {limit.currency} may go per {per}"
    return None


def default_of(risk: Risk) -> Verdict:
    """What becomes of a call of *risk* where no rule says it."""
    return Verdict.ASK if risk >= Risk.HIGH else Verdict.ALLOW


def by_risk(subject: Subject) -> Decision:
    """Decide by the risk alone."""
    return Decision(default_of(subject.risk), subject.risk, DEFAULT, "", f"it is of {subject.risk} risk")
