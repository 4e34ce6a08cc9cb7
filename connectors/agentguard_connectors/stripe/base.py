"""The connector itself, before its handlers are registered: table, codec, seams, and where a call belongs.

A call can be meant for a connected account (`Stripe-Account`). Whatever a handler or a finder yields is sent for the
same account, without a handler having to mention it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from agentguard.calls import Answer, Call, Effect, Forward, Handler, Json, NoUndo, Read, Risk, Step, Undo, read
from agentguard.connector import Account, Connector, FinderFunction, HandlerFunction, bind
from agentguard.operations import Operation
from agentguard_connectors.stripe.codec import PLACES, StripeCodec
from agentguard_connectors.stripe.marks import marked
from agentguard_connectors.stripe.seams import StripeClientSeam, StripeModuleSeam

READING_POSTS = ("/v1/invoices/create_preview",)
"""POST that only computes (https://docs.stripe.com/api/invoices/create_preview)."""


DEARER = {
    "customers.create": ("balance", None),
    "customers.update": ("balance", None),
    "invoices.create": ("auto_advance", "true"),
    "invoices.update": ("auto_advance", "true"),
}
"""Arguments (with a value, or any) that make a harmless call one that moves money: a customer's credit, and invoices
that Stripe finalizes and collects by itself (https://docs.stripe.com/invoicing/integration/automatic-advancement-collection).
"""


class StripeConnector(Connector):
    """A connector whose steps stay with the account that their call was meant for."""

    def reads(self, verb: str, path: str) -> bool:
        """Whether this request certainly changes nothing."""
        return super().reads(verb, path) or (verb == "POST" and path.endswith(READING_POSTS))

    def facts(self, operation: Operation, arguments: Mapping[str, Json] | None = None) -> tuple[Effect, Risk]:
        """Effect and risk of *operation*; high where one of the *arguments* moves money."""
        effect, risk = super().facts(operation, arguments)
        name, value = DEARER.get(operation.name, ("", None))
        given = (arguments or {}).get(name)
        dear = given is not None and value in (None, str(given).lower())
        return effect, max(risk, Risk.HIGH) if dear else risk

    def guards(
        self, operation: str, *, effect: Effect, risk: Risk = Risk.LOW, remains: str = ""
    ) -> Callable[[HandlerFunction], HandlerFunction]:
        """Register the decorated generator function as the handler of *operation*."""
        register = super().guards(operation, effect=effect, risk=risk, remains=remains)

        def register_placed(handler: HandlerFunction) -> HandlerFunction:
            if not inspect.isgeneratorfunction(handler):
                return register(handler)

            def placed(call: Call) -> Handler:
                yield from _in_place(handler(**bind(handler, call)), call)

            placed.__doc__ = handler.__doc__
            placed.__qualname__ = handler.__qualname__
            register(placed)
            code = handler.__code__
            where = f"{handler.__qualname__} ({code.co_filename}:{code.co_firstlineno})"
            self.guarded[operation] = replace(self.guarded[operation], where=where)
            return handler

        return register_placed

    def finds(
        self, operation: str, *, authoritative: bool = False, exact: bool = False
    ) -> Callable[[FinderFunction], FinderFunction]:
        """Register how to find out whether a call of *operation* happened."""
        register = super().finds(operation, authoritative=authoritative, exact=exact)

        def register_placed(finder: FinderFunction) -> FinderFunction:
            def placed(call: Call, since: str, key: str | None, snapshots: Json) -> Generator[Read, Any, Json]:
                special = {"since": since, "key": key, "snapshots": snapshots}
                return (yield from _in_place(finder(**bind(finder, call, **special)), call))

            register(placed)
            return finder

        return register_placed


def _in_place(steps: Generator[Any, Any, Any], call: Call) -> Generator[Any, Any, Any]:
    """Pass *steps* on, each with the account of *call*, and a call that is let go with its mark."""
    places = {name: call.arguments[name] for name in PLACES if name in call.arguments}
    metadata = marked(call.operation, call.arguments)
    if not places and metadata is None:
        return (yield from steps)
    try:
        step = next(steps)
        while True:
            try:
                if isinstance(step, Forward) and metadata is not None:
                    step = step.changing(**step.arguments, metadata=metadata)
                reply = yield _placed(step, places)
            except Exception as error:  # noqa: BLE001 - what goes wrong is the handler's to see
                step = steps.throw(error)
            else:
                step = steps.send(reply)
    except StopIteration as stop:
        return stop.value
    finally:
        steps.close()


def _placed(step: Step, places: dict[str, Json]) -> Step:
    if isinstance(step, Forward | NoUndo):
        return step
    if isinstance(step, Undo) and step.look is not None:
        look = replace(step.look, arguments={**step.look.arguments, **places})
        return replace(step, arguments={**step.arguments, **places}, look=look)
    return replace(step, arguments={**step.arguments, **places})


def client_from(environment: Mapping[str, str]) -> Any:
    """Make a client from the variables that Stripe's own tools read."""
    from stripe import StripeClient

    base = environment.get("STRIPE_API_BASE")
    return StripeClient(environment["STRIPE_API_KEY"], base_addresses={"api": base} if base else None)


def beside(read: Read) -> Read | None:
    """Find a read that must succeed before "it is gone" is believed: the list that the thing would be in.

    A key that may not read customers gets the same 404 or 401 for all of them.
    """
    name = f"{read.operation.rpartition('.')[0]}.list"
    row = stripe.table.by_name.get(name)
    if not read.operation.endswith(".retrieve") or row is None:
        return None
    kept = {part: read.arguments[part] for part in (*row.parameters, *PLACES) if part in read.arguments}
    if name in WITHOUT_WITNESS:
        return None
    return Read(name, {**kept, "limit": 1})


def owner(answer: Answer) -> str:
    """Read from an account who owns the key. A restricted key may not read it, and is told in the error whose it is.

    See https://github.com/stripe/stripe-node/issues/2246.
    """
    value = answer.value if isinstance(answer.value, dict) else {}
    if value.get("object") == "account":
        return str(value["id"])
    error = value.get("error")
    named = re.search(r"\bacct_\w+", str(error.get("message"))) if isinstance(error, dict) else None
    return named.group() if answer.status == 403 and named else ""


WITHOUT_WITNESS = ("subscription_items.list",)
"""Lists that cannot be asked for without saying whose: the thing that is gone was the one that knew."""

stripe = StripeConnector(
    "stripe",
    title="Stripe",
    table=Path(__file__).parent / "operations.jsonl",
    seams=[StripeClientSeam(), StripeModuleSeam()],
    codec=StripeCodec(),
    account=Account(("STRIPE_API_KEY",), client_from),
    idempotency_header="Idempotency-Key",
)
stripe.witness = beside
stripe.owner = (read("accounts.retrieve_current"), owner)
