"""GitHub on the wire: REST with JSON bodies, and GraphQL documents, whose operation stands in the body.

GraphQL: https://docs.github.com/graphql/guides/forming-calls-with-graphql. Every document is a POST. A query reads;
each field of a mutation is an operation of its own. What cannot be parsed is an unknown write.
"""

from __future__ import annotations

import time
from dataclasses import replace

from agentguard.calls import Answer, Certainty, Effect, Json, Risk
from agentguard.operations import Operation, OperationTable
from agentguard.wire.codec import Decoded, RestCodec, merge_arguments, relative_path
from agentguard.wire.http import Request, Response

GRAPHQL_REFUSED = frozenset({"NOT_FOUND", "FORBIDDEN", "UNPROCESSABLE", "INSUFFICIENT_SCOPES", "RATE_LIMITED"})
"""Types of GraphQL errors that are given before anything is changed."""

NAMED_LISTS = {
    "issues.addLabels": "labels",
    "issues.setLabels": "labels",
}
"""Operations that take their only argument as a bare JSON list, too."""


class GitHubCodec(RestCodec):
    """REST and GraphQL."""

    def decode(self, table: OperationTable, request: Request, bases: tuple[str, ...]) -> Decoded:
        """Recognise *request*; for GraphQL by what its document does."""
        path = relative_path(request.url, bases)
        if request.verb == "POST" and path is not None and path.rstrip("/") in ("/graphql", "/api/graphql"):
            return self.graphql(request)
        decoded = super().decode(table, request, bases)
        named = NAMED_LISTS.get(decoded.operation.name)
        if named is not None:
            body = self.body(request)
            if isinstance(body, list | str):
                labels = [body] if isinstance(body, str) else body
                match = {k: v for k, v in decoded.arguments.items() if k != "$body"}
                return Decoded(decoded.operation, {**match, named: labels})
        return decoded

    def graphql(self, request: Request) -> Decoded:
        """Name a GraphQL document: a query is a read, a mutation is the fields that it asks for."""
        body = self.body(request)
        arguments = merge_arguments({}, request.query, body)
        kind, fields = graphql_fields(body)
        if kind == "query":
            return Decoded(Operation("graphql.query", "POST", "/graphql", Effect.READ, Risk.LOW), arguments)
        known = kind == "mutation" and bool(fields)
        name = "graphql." + "+".join(fields) if known else "POST /graphql"
        return Decoded(Operation(name, "POST", "/graphql", Effect.IRREVERSIBLE, Risk.HIGH), arguments, known)

    def answer(self, operation: Operation, response: Response) -> Answer:
        """Say what *response* proves. A redirect proves that nothing was done here."""
        answer = super().answer(operation, response)
        if answer.certainty is Certainty.REFUSED and answer.retry_after is None:
            answer = replace(answer, retry_after=until_reset(response))
        if 300 <= response.status < 400 and operation.verb not in ("GET", "HEAD"):
            where = response.headers.get("location", "elsewhere")
            return Answer(response.status, answer.value, Certainty.REFUSED, error=f"HTTP {response.status}: at {where}")
        if operation.path == "/graphql" and response.status < 400:
            return self.graphql_answer(answer)
        return answer

    def graphql_answer(self, answer: Answer) -> Answer:
        """GraphQL answers 200 to failures, too, and puts them under `errors`."""
        errors = answer.value.get("errors") if isinstance(answer.value, dict) else None
        if not errors:
            return answer
        words = "; ".join(str(error.get("message", error)) for error in errors if isinstance(error, dict))
        done = any(value is not None for value in (answer.value.get("data") or {}).values())
        refused = "data" not in answer.value or all(error.get("type") in GRAPHQL_REFUSED for error in errors)
        certainty = Certainty.REFUSED if refused and not done else Certainty.UNKNOWN
        return replace(answer, certainty=certainty, error=f"GraphQL: {words[:300]}")

    def error(self, response: Response, value: Json) -> str:
        """GitHub's message and, behind it, what it says about single fields."""
        words = super().error(response, value)
        errors = value.get("errors") if isinstance(value, dict) else None
        if isinstance(errors, list):
            details = [e if isinstance(e, str) else e.get("message") or e.get("code") for e in errors]
            words += f" ({', '.join(str(detail) for detail in details)})"
        return words


def until_reset(response: Response) -> float | None:
    """Seconds until the hour's requests are granted anew, where none of them are left.

    https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api: 403 or 429, without `Retry-After`.
    """
    if response.status not in (403, 429) or response.headers.get("x-ratelimit-remaining") != "0":
        return None
    try:
        return max(float(response.headers["x-ratelimit-reset"]) - time.time(), 0.0)
    except (KeyError, ValueError):
        return None


def graphql_fields(body: Json) -> tuple[str, list[str]]:
    """The kind of operation that a GraphQL request runs, and its top-level fields; ("", []) where that is not clear."""
    if not isinstance(body, dict) or not isinstance(body.get("query"), str):
        return "", []
    try:
        from graphql import GraphQLError, OperationDefinitionNode, parse
        from graphql.language import FieldNode
    except ImportError:
        return "", []
    try:
        document = parse(body["query"], no_location=True)
    except (GraphQLError, RecursionError):
        return "", []
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name := body.get("operationName"):
        operations = [node for node in operations if node.name and node.name.value == name]
    if len(operations) != 1:
        return "", []
    selections = operations[0].selection_set.selections
    if operations[0].operation.value == "query":
        return "query", []
    if not all(isinstance(node, FieldNode) for node in selections):
        return "", []
    return operations[0].operation.value, [node.name.value for node in selections if isinstance(node, FieldNode)]
