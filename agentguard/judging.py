"""From a policy's decision about a call, or an undo, to what the engine does with it."""

from __future__ import annotations

import os
from collections.abc import Callable
from decimal import Decimal

from agentguard.connector import Connector
from agentguard.ledger.people import Charge
from agentguard.ledger.rows import CallRow
from agentguard.policy.conditions import passing
from agentguard.policy.deciding import Policy, reached
from agentguard.policy.model import Compensation, Reading, Subject, Untold, Used
from agentguard.policy.rules import Limit, decimal_of
from agentguard.rulings import Ruling, Verdict
from agentguard.work import Context, Work


def by_policy(policy: Policy, work: Work, row: CallRow) -> Ruling:
    """Decide about the call of *work*, and say what it takes from the limits that count it."""
    subject = policy.assuming(subject_of(work, row))
    people, known = work.context.ledger.people, dict[str, Used]()

    def used(limit: Limit) -> Used:
        if limit.name not in known:
            known[limit.name] = _used(limit, people.used, row.session)
        return known[limit.name]

    decision = policy.decide(subject, used)

    def waived(limit: Limit) -> bool:
        # Somebody is asked about passing it, or it says itself that what passes it is held.
        agreed = decision.verdict is Verdict.ASK or limit.then is Verdict.HOLD
        return agreed and reached(limit, subject, used) is not None

    charges = [
        charge
        for limit in policy.limits_of(subject.operation)
        for charge in charges_of(limit, subject, row.session, waived=waived(limit))
    ]
    where = f" ({decision.place})" if decision.place else ""
    return Ruling(
        verdict=decision.verdict,
        risk=decision.risk,
        rule=decision.rule,
        reason=f"{decision.reason}{where}",
        verify=decision.verify,
        policy=policy.version,
        charges=charges,
        undoable=decision.compensation is not Compensation.NONE,
    )


def undo_by_policy(policy: Policy, context: Context, connector: Connector, row: CallRow) -> Ruling:
    """Decide about an undo; limits are for calls."""
    subject = Subject(
        connector=row.connector,
        operation=row.operation,
        account=row.base,
        target=row.target,
        arguments=context.redactor.reveal_known(row.arguments),
        effect=row.effect,
        risk=row.risk,
        agent=context.agent,
        environment=os.environ.get("AGENTGUARD_ENVIRONMENT", ""),
        reading=Reading.of(connector),
    )
    decision = Policy(policy.rules, currency=policy.currency).decide(policy.assuming(subject))
    where = f" ({decision.place})" if decision.place else ""
    reason = f"{decision.reason}{where}"
    return Ruling(decision.verdict, decision.risk, decision.rule, reason, policy=policy.version)


def subject_of(work: Work, row: CallRow) -> Subject:
    """The call of *work*, whole: what *row* has is redacted and shortened. AGENTGUARD_ENVIRONMENT says where we are."""
    return Subject(
        connector=row.connector,
        operation=f"{row.connector}.{work.operation.name}",
        account=row.base,
        target=row.target,
        arguments={**work.call.arguments, **work.changed},
        effect=row.effect,
        risk=row.risk,
        agent=work.context.agent,
        environment=os.environ.get("AGENTGUARD_ENVIRONMENT", ""),
        reading=Reading.of(work.connector),
    )


def charges_of(limit: Limit, subject: Subject, session: str, *, waived: bool = False) -> list[Charge]:
    """What the call takes from *limit*. One whose amount is not known takes all of it: nobody can say what is left."""
    try:
        count, amount = passing(limit, subject)
    except Untold:
        count, amount = 1, None
        if limit.amount is not None:
            amount = decimal_of(limit.amount)
    counts, moneys = _by_count(limit, count, session, waived), _by_amount(limit, amount or Decimal(0), session, waived)
    return [charge for charge in (counts, moneys) if charge is not None]


def _by_count(limit: Limit, count: int, session: str, waived: bool = False) -> Charge | None:
    if limit.count is None:
        return None
    return _charge(limit, limit.each or "calls", count, limit.count, session, waived)


def _by_amount(limit: Limit, amount: Decimal, session: str, waived: bool = False) -> Charge | None:
    if limit.amount is None or limit.currency is None:
        return None
    return _charge(limit, limit.currency, float(amount), float(decimal_of(limit.amount)), session, waived)


def _charge(limit: Limit, unit: str, amount: float, most: float, session: str, waived: bool) -> Charge:
    name = f"{limit.name} in {unit}" + ("" if limit.window is not None else f" of {session}")
    per = "session" if limit.window is None else str(limit.per)
    return Charge(name, amount, most, limit.window, f"{limit.name} ({most:g} {unit} per {per})", waived)


def _used(limit: Limit, ask: Callable[[Charge], float], session: str) -> Used:
    counts, moneys = _by_count(limit, 0, session), _by_amount(limit, Decimal(0), session)
    return Used(int(ask(counts)) if counts else 0, Decimal(str(ask(moneys))) if moneys else Decimal(0))
