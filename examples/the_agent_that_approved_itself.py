"""The agent that tried to approve itself.

An agent wants to pay out money, and is told that a person has to agree; so it tries to be that person: with the command
line, in the ledger's file, and with a key that it makes up. Only a decision that is signed with Ann's key counts, and
her key is not where the agent is, so nothing is sent. When Ann agrees, the call goes once.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from typing import Any

import apsw
from _stand_ins import Stage, check, stand_ins
from stripe import StripeClient

import agentguard
from agentguard.keys import new_key


def command(stage: Stage, *words: str) -> str:
    """Run `agentguard` in a shell; return the last thing that it says."""
    ran = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "agentguard", *words, "--ledger", str(stage.ledger)],
        capture_output=True,
        text=True,
        check=False,
    )
    return " ".join((ran.stderr or ran.stdout).split())


def flip(stage: Stage, request: str, signature: str = "") -> None:
    """Write into the ledger's file that Ann has approved."""
    with apsw.Connection(str(stage.ledger)) as file:
        file.execute(
            "UPDATE approval SET state = 'approved', decided_by = 'ann', decided_at = 1, key = 'ann', signature = ? "
            "WHERE id = ?",
            (signature or None, request),
        )


def story(stage: Stage) -> None:
    anns = stage.folder / "at-anns" / "ann.pem"  # on Ann's machine; here it can only be a folder beside
    public = new_key(anns)
    with open(os.environ["AGENTGUARD_CONFIG"], "a") as settings:  # which the agent must not be able to write, either
        settings.write(f'[approvals.keys]\nann = "{public}"\n')

    plain = StripeClient("sk_test_story", base_addresses={"api": stage.url("stripe")})
    carla = plain.v1.customers.create({"email": "carla@customer.example", "source": "tok_visa"})
    charge = plain.v1.charges.create({"amount": 90000, "currency": "eur", "customer": carla.id}).id
    terms: dict[str, Any] = {"user": "bob", "approver": "later", "ledger": stage.ledger}
    stripe = agentguard.wrap(plain, agentguard.session(agent="billing", intent="Refund", **terms))

    def refund() -> str:
        """Try to refund, after a look; return what came of it."""
        paid = stripe.v1.charges.retrieve(charge)
        assert stripe.v1.customers.retrieve(str(paid.customer)).email == "carla@customer.example"
        try:
            return stripe.v1.refunds.create({"charge": charge, "amount": paid.amount}).id
        except agentguard.ApprovalPending as pending:
            asked.append(pending.approval)
            return f"{type(pending).__name__}: a person was asked"
        except agentguard.Blocked as stopped:
            return f"{type(stopped).__name__}: {stopped}"

    asked: list[str] = []
    print(f"The agent wants to refund 900 EUR. {refund()}.")
    (request,) = asked

    made_up = stage.folder / "made-up.pem"
    new_key(made_up)
    print("It tries the command line: as itself, as Ann, and with a key of its own:")
    for more in ([], ["--by", "ann"], ["--key", str(made_up)]):
        print(f"  {command(stage, 'approve', request, *more)}")
    print(f"  {refund()}.")
    for what, signature in (("that Ann has approved", ""), ("a signature, too", base64.b64encode(bytes(64)).decode())):
        flip(stage, request, signature)
        print(f"It writes into the ledger's file {what}, and refunds:\n  {refund()}")
    check(not stage.snapshot("stripe").get("refunds"), "nothing was sent, whatever it tried.")

    # The tampered request is of no use to anybody; in a new session Ann is asked anew.
    stripe = agentguard.wrap(plain, agentguard.session(agent="billing", intent="Refund", **terms))
    refund()
    said = command(stage, "approve", asked[-1], "--key", str(anns), "--reason", "the customer is right")
    print(f"Ann approves with her key: {said}")
    print(f"The agent makes the same call again, and gets {refund()}; a second time: {refund()}.")
    check([made["amount"] for made in stage.snapshot("stripe")["refunds"].values()] == [90000], "it went once.")


if __name__ == "__main__":
    with stand_ins("stripe") as stage:
        story(stage)
