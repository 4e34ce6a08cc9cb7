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


class HubSpotCodec(RestCodec):
    """REST with HubSpot's errors."""

    def decode(self, table: OperationTable, request: Request, bases: tuple[str, ...]) -> Decoded:
        """Recognise *request*; the developer's key, which travels in the query, is no argument."""
        decoded = super().decode(table, request, bases)
        return replace(decoded, arguments={k: v for k, v in decoded.arguments.items() if k != "hapikey"})

    def answer(self, operation: Operation, response: Response) -> Answer:
        """Say what *response* proves. A redirect proves that nothing was done here; 207 means that a part was done."""
        answer = super().answer(operation, response)
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
