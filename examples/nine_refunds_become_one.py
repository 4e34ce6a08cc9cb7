"""Nine refunds become one.

An agent refunds a customer, the answer gets lost, its process is killed, and it is started again: it tries nine times
in all. The bare SDK pays nine times; under agentguard the refund has a name and a key, and is sent once. When the agent
then invents a new reason to pay, a limit on the money stops it, whatever it calls the refund.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from _stand_ins import Stage, check, stand_ins
from stripe import StripeClient, StripeError

import agentguard
from agentguard.policy import Limit, Policy, Rule, Verdict
from agentguard.queue import Action, queue

MONEY = Policy(
    rules=[Rule(name="refunds may go", operations="stripe.refunds.create", then=Verdict.ALLOW)],
    limits=[
        Limit(
            name="money", operations="stripe.refunds.create", per="1d", amount=30, currency="EUR", then=Verdict.REFUSE
        )
    ],
    currency="EUR",  # a refund does not name its currency
).check()


def stripe_at(url: str) -> StripeClient:
    return StripeClient("sk_test_story", base_addresses={"api": url}, max_network_retries=2)


def agent(url: str, charge: str, ledger: Path, dies: bool) -> None:
    """One start of the agent: it looks at the charge, tries to refund it three times, and may not live to the end."""
    session = agentguard.session(
        id="case-4711", agent="billing", intent="Refund order 4711", on_crash="resume", ledger=ledger, policy=MONEY
    )
    stripe = agentguard.wrap(stripe_at(url), session)
    for _attempt in range(3):
        stripe.v1.charges.retrieve(charge)
        seen = sum(refund.amount for refund in stripe.v1.refunds.list({"charge": charge}).data) / 100
        try:
            with session.once("refund order 4711"):
                refund = stripe.v1.refunds.create({"charge": charge, "amount": 2000})
            print(f"  refunded so far {seen:.0f} EUR; the agent refunds, and gets {refund.id}", flush=True)
        except StripeError as error:
            print(f"  refunded so far {seen:.0f} EUR; the answer is lost: {type(error).__name__}", flush=True)
        except (agentguard.InDoubt, agentguard.AnswerLost) as known:
            print(f"  refunded so far {seen:.0f} EUR; not sent again: {type(known).__name__}", flush=True)
    if dies:
        os.kill(os.getpid(), signal.SIGKILL)


def start(stage: Stage, charge: str, *, dies: bool) -> int:
    """Start the agent as a process of its own; return how it ended."""
    command = [sys.executable, __file__, stage.url("stripe"), charge, str(stage.ledger), str(dies)]
    return subprocess.run(command, check=False).returncode  # noqa: S603 - this very file


def refunds(stage: Stage, charge: str) -> list[int]:
    """The refunds of a charge as Stripe has them, in cents."""
    made = stage.snapshot("stripe")["refunds"].values()
    return [refund["amount"] for refund in made if refund["charge"] == charge]


def story(stage: Stage) -> None:
    plain, stripe = stripe_at(stage.url("stripe")), stage.services["stripe"]
    one, two = (plain.v1.charges.create({"amount": 20000, "currency": "eur", "source": "tok_visa"}) for _ in range(2))

    for _attempt in range(9):
        plain.v1.refunds.create({"charge": one.id, "amount": 2000})
    paid = refunds(stage, one.id)
    print(f"The bare SDK, asked nine times: {len(paid)} refunds, {sum(paid) / 100:.0f} EUR are gone.")

    print("With agentguard, the agent is started three times and tries three times in each:")
    stripe.fault("drop_after", path="/refunds")  # Stripe pays, and the connection breaks before the answer
    for dies in (True, True, False):
        ended = start(stage, two.id, dies=dies)
        if ended == -signal.SIGKILL:
            print("  the process is killed")
            for item in queue(stage.ledger):  # a person looks at Stripe, and says what happened
                happened: Action = "applied" if refunds(stage, two.id) else "not_applied"
                agentguard.resolve(item.id, happened, by="ann", note="seen in the dashboard", ledger=stage.ledger)
                print(f"  Ann has looked at Stripe and says of the {item.kind}: {happened}")
    paid = refunds(stage, two.id)
    print(f"Asked nine times: {len(paid)} refund of {sum(paid) / 100:.0f} EUR.")

    with agentguard.session(agent="billing", intent="Be generous", ledger=stage.ledger, policy=MONEY) as again:
        guarded = agentguard.wrap(plain, again)
        try:
            guarded.v1.refunds.create({"charge": two.id, "amount": 2000, "reason": "requested_by_customer"})
        except agentguard.Blocked as stopped:
            print(f"The agent has a new reason to pay: {stopped}")

    check(refunds(stage, two.id) == [2000], "Stripe has exactly one refund of the second charge.")
    sent = [request for request in stripe.requests("POST") if request["body"].get("charge") == two.id]
    keys = {request["headers"].get("idempotency-key", "") for request in sent}
    check(len(sent) == len(keys) == 1 and "" not in keys, "one request for it was on the wire, with a key of its own.")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        agent(sys.argv[1], sys.argv[2], Path(sys.argv[3]), dies=sys.argv[4] == "True")
    else:
        with stand_ins("stripe") as stage:
            story(stage)
