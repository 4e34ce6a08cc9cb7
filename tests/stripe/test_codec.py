"""Forms and JSON to operations and back, and what each kind of answer proves."""

from __future__ import annotations

import json
from typing import Any

import pytest
from agentguard_connectors.stripe import stripe as connector
from agentguard_connectors.stripe.forms import flatten, nest
from agentguard_connectors.stripe.seams import StripeClientSeam
from hypothesis import given
from hypothesis import strategies as st
from stripe._encode import _api_encode

from agentguard.calls import Certainty
from agentguard.wire.http import Headers, Request, Response

BASES = ("https://api.stripe.com", "https://files.stripe.com")
NAMES = st.text("abcdefgh_", min_size=1, max_size=6)
SHAPES = st.recursive(
    st.text(max_size=5),
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(NAMES, inner, min_size=1, max_size=3),
    max_leaves=8,
)


def request(
    verb: str, path: str, body: str = "", *, kind: str = "application/x-www-form-urlencoded", **headers: str
) -> Any:
    fields = Headers({"content-type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}})
    return connector.codec.decode(connector.table, Request(verb, BASES[0] + path, fields, body.encode()), BASES)


def answer(name: str, status: int, **body: Any) -> Any:
    response = Response(status, Headers(), json.dumps(body).encode())
    return connector.codec.answer(connector.table.by_name[name], response)


@given(st.dictionaries(NAMES, SHAPES, max_size=4))
def test_what_the_sdk_encodes_is_read_back_as_it_was(arguments: dict[str, Any]) -> None:
    pairs = [(name, str(value)) for name, value in _api_encode(arguments)]
    assert nest(pairs) == arguments
    assert flatten(arguments) == pairs


def test_brackets_without_an_index_make_a_list() -> None:
    assert nest([("expand[]", "a"), ("expand[]", "b")]) == {"expand": ["a", "b"]}


def test_numbers_as_metadata_keys_stay_keys() -> None:
    assert nest([("metadata[0]", "a"), ("items[0][metadata][1]", "b")]) == {
        "metadata": {"0": "a"},
        "items": [{"metadata": {"1": "b"}}],
    }


def test_a_form_becomes_an_operation_with_nested_arguments() -> None:
    decoded = request("POST", "/v1/subscriptions/sub_1", "items[0][id]=si_1&items[0][quantity]=2&metadata[a]=")
    assert decoded.operation.name == "subscriptions.update"
    assert decoded.arguments == {
        "subscription_exposed_id": "sub_1",
        "items": [{"id": "si_1", "quantity": "2"}],
        "metadata": {"a": ""},
    }


def test_the_account_that_a_call_is_meant_for_is_part_of_it() -> None:
    decoded = request("DELETE", "/v1/subscriptions/sub_1?prorate=false", stripe_account="acct_1")
    assert decoded.arguments == {"subscription_exposed_id": "sub_1", "prorate": "false", "$account": "acct_1"}
    out = connector.codec.encode(decoded.operation, decoded.arguments)
    assert (out.path, out.query, out.headers) == (
        "/v1/subscriptions/sub_1",
        {"prorate": "false"},
        {"Stripe-Account": "acct_1"},
    )


def test_v2_takes_json() -> None:
    decoded = request(
        "POST", "/v2/core/event_destinations", '{"name": "d", "enabled_events": ["*"]}', kind="application/json"
    )
    assert decoded.operation.name == "v2.core.event_destinations.create"
    assert decoded.arguments == {"name": "d", "enabled_events": ["*"]}


def test_what_no_table_knows_is_named_by_verb_and_path() -> None:
    decoded = request("POST", "/v1/brand/new", "a[b]=c")
    assert (decoded.known, decoded.operation.name, decoded.arguments) == (
        False,
        "POST /v1/brand/new",
        {"a": {"b": "c"}},
    )


@pytest.mark.parametrize(
    ("status", "error", "certainty", "missing"),
    [
        (400, {"type": "invalid_request_error", "code": "parameter_unknown"}, Certainty.REFUSED, False),
        (400, {"type": "idempotency_error"}, Certainty.REFUSED, False),
        (401, {"type": "invalid_request_error"}, Certainty.REFUSED, False),
        (402, {"type": "card_error", "code": "card_declined"}, Certainty.REFUSED, False),
        (404, {"type": "invalid_request_error", "code": "resource_missing"}, Certainty.REFUSED, True),
        (404, {"type": "invalid_request_error"}, Certainty.REFUSED, False),
        (409, {"type": "idempotency_error", "code": "idempotency_key_in_use"}, Certainty.UNKNOWN, False),
        (429, {"type": "invalid_request_error", "code": "lock_timeout"}, Certainty.REFUSED, False),
        (500, {"type": "api_error"}, Certainty.UNKNOWN, False),
    ],
)
def test_what_an_error_proves(status: int, error: dict[str, str], certainty: Certainty, missing: bool) -> None:
    got = answer("customers.update", status, error={**error, "message": "So it is."})
    assert (got.certainty, got.missing) == (certainty, missing)
    assert got.error.startswith(f"HTTP {status}")
    assert got.error.endswith("So it is.")


def test_a_404_of_a_proxy_is_no_proof_that_something_is_gone() -> None:
    response = Response(404, Headers(), b"<html>not here</html>")
    assert not connector.codec.answer(connector.table.by_name["customers.retrieve"], response).missing


def test_an_intent_that_was_declined_is_there_all_the_same() -> None:
    intent = {"id": "pi_1", "status": "requires_payment_method"}
    got = answer("payment_intents.create", 402, error={"type": "card_error", "payment_intent": intent})
    assert (got.certainty, got.value) == (Certainty.HAPPENED, intent)


def test_an_unrelated_error_in_progress_does_not_make_a_failure_look_unsent() -> None:
    seam = StripeClientSeam()
    with pytest.raises(RuntimeError) as caught:
        fail_while_handling(ConnectionRefusedError("somewhere else"))
    assert isinstance(caught.value.__context__, ConnectionRefusedError)
    assert not seam.never_left(caught.value)
    assert seam.never_left(OSError(ConnectionRefusedError()))


def fail_while_handling(unrelated: Exception) -> None:
    try:
        raise unrelated
    except ConnectionRefusedError:
        raise RuntimeError("the answer broke off")  # noqa: B904 - what an SDK does: no cause, only a context
