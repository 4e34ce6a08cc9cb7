"""Stripe on the wire: v1 takes forms nested with brackets, v2 takes JSON; errors have a type and a code.

A call for a connected account names it in a header. It is part of the call (`$account`, `$context`), as an undo
without it would look for the object in the wrong place.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qsl, urlencode

from agentguard.calls import Answer, Certainty, Json
from agentguard.operations import Operation, OperationTable
from agentguard.wire.codec import Decoded, RestCodec
from agentguard.wire.http import Outgoing, Request, Response
from agentguard_connectors.stripe.forms import flatten, nest
from agentguard_connectors.stripe.marks import OUR_KEYS

PLACES = {"$account": "Stripe-Account", "$context": "Stripe-Context"}
"""Arguments that say where a call belongs, and the headers that carry them."""

SURVIVES = {"payment_intents.create": "payment_intent", "setup_intents.create": "setup_intent"}
"""Creations that leave an object behind when the card is declined; the error holds it."""


class StripeCodec(RestCodec):
    """Requests and answers of Stripe's API, both versions."""

    def decode(self, table: OperationTable, request: Request, bases: tuple[str, ...]) -> Decoded:
        """Recognise *request*, with the account that it is meant for."""
        decoded = super().decode(table, request, bases)
        query = nest([(name, value) for name, value in decoded.arguments.items() if _bracketed(name, value)])
        plain = {name: value for name, value in decoded.arguments.items() if not _bracketed(name, value)}
        places = {
            name: request.headers[header.lower()]
            for name, header in PLACES.items()
            if header.lower() in request.headers
        }
        return replace(decoded, arguments={**plain, **query, **places})

    def form(self, pairs: list[tuple[str, str]]) -> dict[str, Json]:
        """Nest a form the way Stripe reads it."""
        return nest(pairs)

    def rewrite(self, request: Request, operation: Operation, arguments: dict[str, Json]) -> Request:
        """Write changed arguments into a form; what the caller wrote of the others stays as it is, byte for byte."""
        if not _is_form(request):
            return super().rewrite(request, operation, arguments)
        wanted = flatten(arguments)
        given = parse_qsl((request.body or b"").decode(), keep_blank_values=True)
        kept = [pair for pair in given if pair in wanted or pair[0].partition("[")[0] not in arguments]
        added = urlencode([pair for pair in wanted if pair not in kept]).encode()
        body = (request.body or b"") if kept == given else urlencode(kept).encode()
        return replace(request, body=b"&".join(filter(None, (body, added))))

    def encode(self, operation: Operation, arguments: dict[str, Json]) -> Outgoing:
        """Prepare a request of ours; nothing that is None is sent, as Stripe clears a field with an empty string."""
        rest = {name: value for name, value in arguments.items() if name not in PLACES}
        out = super().encode(operation, rest)
        places = {header: str(arguments[name]) for name, header in PLACES.items() if arguments.get(name)}
        if operation.verb in ("GET", "DELETE"):
            query = {**out.query, **(out.body or {})}
            return replace(out, query=dict(flatten(query)), body=None, headers={**out.headers, **places})
        return replace(out, headers={**out.headers, **places})

    def answer(self, operation: Operation, response: Response) -> Answer:
        """Say what *response* proves.

        A 409 can be a request with the same idempotency key that is still being worked on, so it proves nothing
        (https://docs.stripe.com/api/errors). An object that is gone answers 404 with the code `resource_missing`;
        one that was deleted may also answer 200 with `deleted: true`, which is left to what reads it. An intent that
        was made and confirmed in one call and declined is there all the same.

        An answer that is replayed for a key of the caller's own is that of an earlier request, perhaps of another
        program: this one did nothing, and there is nothing of it to take back.
        """
        answer = super().answer(operation, response)
        if answer.certainty is Certainty.HAPPENED and _of_an_earlier_request(response):
            told = "answered from an earlier request with the same idempotency key; nothing was done this time"
            return replace(answer, certainty=Certainty.REFUSED, error=told)
        if response.status < 400:
            return answer
        error = answer.value.get("error") if isinstance(answer.value, dict) else None
        details = error if isinstance(error, dict) else {}
        kept = details.get(SURVIVES.get(operation.name, ""))
        if response.status == 402 and isinstance(kept, dict):
            return replace(answer, value=kept, certainty=Certainty.HAPPENED)
        if response.status == 409 and details.get("code") != "resource_already_exists":
            answer = replace(answer, certainty=Certainty.UNKNOWN)
        gone = response.status == 404 and details.get("code") in ("resource_missing", "not_found")
        return replace(answer, missing=gone)

    def error(self, response: Response, value: Json) -> str:
        """Stripe's message, with the type and code that it gives."""
        error = value.get("error") if isinstance(value, dict) else None
        if not isinstance(error, dict):
            return super().error(response, value)
        kind = " ".join(str(error[name]) for name in ("type", "code", "decline_code") if error.get(name))
        message = " ".join(str(error.get("message") or "").split())[:300]
        return f"HTTP {response.status} {kind}: {message}".rstrip(": ")


def _of_an_earlier_request(response: Response) -> bool:
    key = response.headers.get("idempotency-key", "")
    return response.headers.get("idempotent-replayed") == "true" and bool(key) and not key.startswith(OUR_KEYS)


def _is_form(request: Request) -> bool:
    """Whether the body is a form; a request without a body is one as well, as all of v1 is."""
    return request.content_type in ("", "application/x-www-form-urlencoded")


def _bracketed(name: str, value: Json) -> bool:
    return "[" in name and isinstance(value, str)
