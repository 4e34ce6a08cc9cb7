"""From a policy's decision about a call to what the engine does with it."""

from __future__ import annotations

from decimal import Decimal

from agentguard.calls import Json
from agentguard.connector import Connector
from agentguard.ledger.people import Charge
from agentguard.ledger.rows import CallRow
from agentguard.policy import Limit, Policy, Reading, Subject, Untold, Used
from agentguard.policy.conditions import passing
from agentguard.rulings import Ruling, Verdict
from agentguard.work import Context, Work


def by_policy(policy: Policy, work: Work, row: CallRow) -> Ruling:
    """Judge a call by *policy*, with what its session and others have used of the limits."""
    people = work.context.ledger.people

    def used(limit: Limit) -> Used:
        count = people.used(_charge(limit, row.session, 0))
        amount = people.used(_charge(limit, row.session, 0, money=True)) if limit.amount is not None else 0.0
        return Used(int(count), Decimal(str(amount)))

    subject = subject_of(work, row)
    decision = policy.decide(subject, used)
    verdict = Verdict(decision.verdict.value)
    charges = charges_of(policy, subject, row.session)
    # A limit that is passed asks, holds or refuses; whoever agrees, agrees that it be passed.
    waived = tuple(_waived(charge) for charge in charges) if verdict is not Verdict.ALLOW else charges
    place = f" ({decision.place})" if decision.place else ""
    return Ruling(
        verdict,
        decision.risk,
        f"{decision.rule}{place}",
        decision.reason,
        verify=decision.verify,
        policy=policy.version,
        charges=waived,
    )


def undo_by_policy(policy: Policy, context: Context, connector: Connector, row: CallRow) -> Ruling:
    """Judge an undo by *policy*; limits are for calls."""
    decision = policy.decide(subject(connector, row, context.redactor.reveal_known(row.arguments), context.agent))
    verdict = Verdict(decision.verdict.value)
    return Ruling(verdict, decision.risk, decision.rule, decision.reason, policy=policy.version)


def subject_of(work: Work, row: CallRow) -> Subject:
    """The call as a policy sees it: whole, before anything is redacted."""
    arguments: dict[str, Json] = {**work.call.arguments, **work.changed}
    return subject(work.connector, row, arguments, work.context.agent)


def subject(connector: Connector, row: CallRow, arguments: dict[str, Json], agent: str) -> Subject:
    """A call with *arguments*, as a policy sees it."""
    environment = row.base.rpartition(" ")[2] if "#" in row.base and " " in row.base.partition("#")[2] else ""
    return Subject(
        connector=row.connector,
        operation=row.operation,
        account=row.base,
        target=row.target,
        arguments=arguments,
        effect=row.effect,
        risk=row.risk,
        agent=agent,
        environment=environment,
        reading=Reading.of(connector),
    )


def charges_of(policy: Policy, subject: Subject, session: str) -> tuple[Charge, ...]:
    """What the call takes from each limit that counts it."""
    charges: list[Charge] = []
    for limit in policy.limits_of(subject.operation):
        try:
            count, amount = passing(limit, subject)
        except Untold:
            continue  # the decision has held that against the call
        if limit.count is not None:
            charges.append(_charge(limit, session, count))
        if limit.amount is not None and amount is not None:
            charges.append(_charge(limit, session, float(amount), money=True))
    return tuple(charges)


def _charge(limit: Limit, session: str, amount: float, *, money: bool = False) -> Charge:
    kind = f"{limit.name}:{limit.currency}" if money else limit.name
    name = kind if limit.window is not None else f"{kind}@{session}"
    most = float(limit.amount or 0) if money else float(limit.count or 0)
    return Charge(name, amount, most, limit.window, limit.name)


def _waived(charge: Charge) -> Charge:
    return Charge(charge.name, charge.amount, charge.most, charge.window, charge.label, waived=True)
