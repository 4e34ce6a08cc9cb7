"""HubSpot on the wire: REST with JSON bodies.

Where the vendor's SDK has one path for each type of record (`/crm/v3/objects/contacts/{contactId}`), the table has one
for all of them, with the type as the argument `objectType`.
"""

from __future__ import annotations

from dataclasses import replace

from agentguard.calls import Answer, Certainty, Json
from agentguard.operations import Operation, OperationTable
from agentguard.wire.codec import Decoded, RestCodec
from agentguard.wire.http import Request, Response

LINKS = "crm.associations.v4.batch.get_page"
LOCKED_FOR = 2.0
"""Seconds that a lock (status 423) lasts: https://developers.hubspot.com/docs/api-reference/error-handling."""


class HubSpotCodec(RestCodec):
    """REST with HubSpot's errors."""

    def decode(self, table: OperationTable, request: Request, bases: tuple[str, ...]) -> Decoded:
        """Recognise *request*; the developer's key, which travels in the query, is no argument."""
        decoded = super().decode(table, request, bases)
        return replace(decoded, arguments={k: v for k, v in decoded.arguments.items() if k != "hapikey"})

    def answer(self, operation: Operation, response: Response) -> Answer:
        """Say what *response* proves. A redirect proves that nothing was done here; 207 means that a part was done."""
        answer = super().answer(operation, response)
        if answer.retry_after is None and response.status in (423, 429):
            answer = replace(answer, retry_after=_again_in(response))
        if 300 <= response.status < 400 and operation.verb not in ("GET", "HEAD"):
            where = response.headers.get("location", "elsewhere")
            return Answer(response.status, answer.value, Certainty.REFUSED, error=f"HTTP {response.status}: at {where}")
        if response.status == 403 and operation.name == LINKS:
            # A token need not have the scope of every type of record. Nothing is concluded from this read but what
            # there is to put back; where it fails, the handler says so.
            return replace(answer, missing=True)
        return answer

    def error(self, response: Response, value: Json) -> str:
        """HubSpot's category, its message, and what it says about single fields."""
        words = super().error(response, value)
        if not isinstance(value, dict):
            return words
        details = [str(e.get("message")) for e in value.get("errors") or [] if isinstance(e, dict) and e.get("message")]
        category = f" [{value['category']}]" if value.get("category") else ""
        return words + category + (f" ({'; '.join(details)[:300]})" if details else "")


def _again_in(response: Response) -> float | None:
    """Seconds after which a request that came too often, or met a lock, is taken; None where HubSpot does not tell.

    With 429 it sends the length of the window that was used up, in milliseconds; a daily limit has no such header
    (https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines).
    """
    if response.status == 423:
        return LOCKED_FOR
    body = response.json()
    if isinstance(body, dict) and body.get("policyName") == "DAILY":
        return None
    try:
        return max(float(response.headers.get("x-hubspot-ratelimit-interval-milliseconds", "")) / 1000, 0.0)
    except ValueError:
        return None
