"""What reaches the wire through a wrapped StripeClient: every write once, with a key, and nothing that was refused."""

from __future__ import annotations

import asyncio
import io
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
import stripe
from agentguard_connectors.stripe import stripe as connector
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

import agentguard
from agentguard import ApprovalRequired, CallState, Risk, Session, UnknownClient, UsageError
from tests.boxes import Box
from tests.stripe.conftest import make_client


def keys(box: Box, *verbs: str) -> list[str | None]:
    return [request["headers"].get("idempotency-key") for request in box.requests(*(verbs or ("POST",)))]


# Once


@pytest.mark.parametrize("fault", [{"mode": "drop_before"}, {"mode": "drop_after"}, {"mode": "status_before"}])
@pytest.mark.parametrize("where", ["client", "call"])
def test_a_write_that_fails_is_on_the_wire_once_whatever_retries_were_asked_for(
    stripe_box: Box, session: Session, fault: dict[str, Any], where: str
) -> None:
    client = make_client(stripe_box, max_network_retries=2 if where == "client" else 0)
    options: Any = {"max_network_retries": 2} if where == "call" else {}
    wrapped = agentguard.wrap(client, session)
    stripe_box.fault(**fault, times=5)
    with pytest.raises(stripe.StripeError):
        wrapped.v1.customers.create(params={"name": "Ada"}, options=options)
    assert len(stripe_box.requests("POST")) == 1
    assert [call.state for call in session.calls] == [CallState.IN_DOUBT]


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the SDK's own call of httpx
def test_a_write_in_an_event_loop_that_fails_is_on_the_wire_once(stripe_box: Box, session: Session) -> None:
    client = make_client(stripe_box, max_network_retries=2)
    wrapped = agentguard.wrap(client, session)
    stripe_box.fault("status_after", times=5)

    async def main() -> None:
        with pytest.raises(stripe.APIError):
            await wrapped.v1.customers.create_async(params={"name": "Ada"})
        await client._requestor._client.close_async()

    asyncio.run(main())
    assert len(stripe_box.requests("POST")) == 1
    assert len(stripe_box.effects()) == 1


def test_a_program_s_own_session_with_retries_repeats_reads_and_no_write(stripe_box: Box, session: Session) -> None:
    http = requests.Session()
    often = Retry(total=2, status_forcelist=[502], allowed_methods=None, raise_on_status=False, backoff_factor=0)
    http.mount("http://", HTTPAdapter(max_retries=often))
    client = make_client(stripe_box, http_client=stripe.RequestsClient(session=http))
    wrapped = agentguard.wrap(client, session)
    stripe_box.fault("status_before", times=5)
    with pytest.raises(stripe.APIError):
        wrapped.v1.customers.create(params={"name": "Ada"})
    assert len(stripe_box.requests("POST")) == 1
    stripe_box.fault("status_before", verb="GET", times=2)
    assert wrapped.v1.customers.list().data == []
    assert [request["path"] for request in stripe_box.requests("GET")] == ["/v1/account", *["/v1/customers"] * 3]
    http.close()


def test_a_read_is_still_repeated_by_the_sdk(
    stripe_box: Box, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stripe._http_client.HTTPClient.INITIAL_DELAY", 0.001)
    wrapped = agentguard.wrap(make_client(stripe_box, max_network_retries=2), session)
    stripe_box.fault("status_before", verb="GET", times=2)
    assert wrapped.v1.customers.list().data == []
    assert len(stripe_box.requests("GET")) == 3


def test_a_refused_write_is_not_sent(stripe_box: Box, client: Any, ledger: Path) -> None:
    charge = client.v1.charges.create(params={"amount": 5, "currency": "usd", "source": "tok_visa", "capture": False})
    before = len(stripe_box.requests("POST"))
    with agentguard.session(agent="t", intent="t", ledger=ledger) as session:
        wrapped = agentguard.wrap(client, session)
        for attempt in (
            lambda: wrapped.v1.charges.create(params={"amount": 5, "currency": "usd", "source": "tok_visa"}),
            lambda: wrapped.v1.payouts.create(params={"amount": 5, "currency": "usd"}),
            lambda: wrapped.raw_request("post", "/v1/refunds", charge=charge.id),
            lambda: wrapped.raw_request("post", "/v1/something/new", x="y"),
        ):
            with pytest.raises(ApprovalRequired):
                attempt()
    assert len(stripe_box.requests("POST")) == before


def test_a_connection_that_was_refused_is_known_not_to_have_happened(session: Session) -> None:
    client = stripe.StripeClient("sk_test_123", base_addresses={"api": "http://127.0.0.1:9"})
    with pytest.raises(stripe.APIConnectionError):
        agentguard.wrap(client, session).v1.customers.create(params={"name": "Ada"})
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED]


# Every way to write


def test_every_way_to_write_passes_the_gate(stripe_box: Box, client: Any, session: Session) -> None:
    wrapped = agentguard.wrap(client, session)
    charge = wrapped.v1.charges.create(params={"amount": 9, "currency": "usd", "source": "tok_visa", "capture": False})
    charge.capture()
    for listed in wrapped.v1.charges.list().auto_paging_iter():
        listed.description = "seen"
        with pytest.warns(DeprecationWarning, match="save"):
            listed.save()
    with pytest.warns(DeprecationWarning, match="customers"):
        wrapped.customers.create(params={"name": "old alias"})
    answer = wrapped.raw_request("post", "/v1/customers", name="raw", metadata={"a": "b"})
    raw = wrapped.deserialize(answer, api_mode="V1")
    wrapped.v1.customers.list().create(name="from a list")
    wrapped.v1.customers.delete(raw.id)
    wrapped.with_stripe_context("acct_1").v1.customers.create(params={"name": "in a context"})
    destination = wrapped.v2.core.event_destinations.create(
        params={"name": "d", "type": "webhook_endpoint", "event_payload": "thin", "enabled_events": ["*"]}
    )
    wrapped.v2.core.event_destinations.delete(destination.id)
    assert [call.operation.removeprefix("stripe.") for call in session.calls] == [
        "charges.create",
        "charges.capture",
        "charges.update",
        "customers.create",
        "customers.create",
        "customers.create",
        "customers.delete",
        "customers.create",
        "v2.core.event_destinations.create",
        "v2.core.event_destinations.delete",
    ]
    assert all(str(key).startswith("agentguard-") for key in keys(stripe_box, "POST", "DELETE"))


def test_oauth_passes_the_gate(stripe_box: Box, session: Session) -> None:
    client = make_client(stripe_box, client_id="ca_1")
    with pytest.raises(stripe.StripeError):
        agentguard.wrap(client, session).oauth.deauthorize(params={"stripe_user_id": "acct_1"})
    assert [call.operation for call in session.calls] == ["stripe.oauth.deauthorize"]


def test_reads_leave_no_trace_in_the_ledger(stripe_box: Box, client: Any, session: Session) -> None:
    wrapped = agentguard.wrap(client, session)
    wrapped.v1.customers.list()
    wrapped.v1.invoices.create_preview(params={"customer": "cus_1"})
    with pytest.raises(stripe.InvalidRequestError):
        wrapped.v1.customers.retrieve("cus_0")
    assert wrapped.v1.quotes.pdf("qt_1").io.read() == b"%PDF-1.4 a quote"
    assert session.calls == []
    assert not any(str(key).startswith("agentguard-") for key in keys(stripe_box, "GET", "POST"))


def test_an_ungated_answer_is_the_sdk_s_own(stripe_box: Box, client: Any, session: Session) -> None:
    made = agentguard.wrap(client, session).v1.customers.create(params={"name": "Ada"})
    assert type(made) is stripe.Customer
    assert made.last_response.code == 200
    assert made.last_response.request_id.startswith("req_")
    assert made == client.v1.customers.retrieve(made.id)


def test_the_client_that_was_wrapped_stays_as_it_was(stripe_box: Box, client: Any, session: Session) -> None:
    parts = dict(vars(client))
    inner = client._requestor._client
    agentguard.wrap(client, session).v1.customers.create(params={"name": "guarded"})
    assert vars(client) == parts
    assert client._requestor._client is inner
    client.v1.customers.create(params={"name": "free"})
    assert len(session.calls) == 1
    assert not str(keys(stripe_box)[-1]).startswith("agentguard-")


def test_the_module_is_refused_with_what_to_do_instead(session: Session) -> None:
    with pytest.raises(UnknownClient, match="StripeClient"):
        agentguard.wrap(stripe, session)


def test_a_key_for_one_call_is_refused(stripe_box: Box, client: Any, session: Session) -> None:
    wrapped = agentguard.wrap(client, session)
    with pytest.raises(UsageError, match="key of its own"):
        wrapped.v1.customers.create(params={"name": "Ada"}, options={"api_key": "sk_test_other"})
    assert stripe_box.requests("POST") == []


# Keys


def test_a_call_repeated_after_it_failed_in_doubt_has_the_same_key_and_two_equal_calls_have_not(
    stripe_box: Box, client: Any, session: Session
) -> None:
    wrapped = agentguard.wrap(client, session)
    stripe_box.fault("drop_after")
    with pytest.raises(stripe.APIConnectionError):
        wrapped.v1.customers.create(params={"name": "Ada"})
    again = wrapped.v1.customers.create(params={"name": "Ada"})
    other = wrapped.v1.customers.create(params={"name": "Ada"})
    first, second, third = keys(stripe_box)
    assert first == second != third
    assert again.id != other.id
    assert len(stripe_box.snapshot()["customers"]) == 2


def test_a_key_of_the_caller_s_own_is_kept(stripe_box: Box, client: Any, session: Session) -> None:
    wrapped = agentguard.wrap(client, session)
    wrapped.v1.customers.create(params={"name": "Ada"}, options={"idempotency_key": "mine"})
    wrapped.v1.customers.create(params={"name": "Ada"}, options={"headers": {"idempotency-key": "in a header"}})
    wrapped.raw_request("post", "/v1/customers", name="Ada", idempotency_key="raw")
    context = wrapped.with_stripe_context("acct_1")
    context.v1.customers.create(params={"name": "Ada"}, options={"idempotency_key": "there"})
    assert keys(stripe_box) == ["mine", "in a header", "raw", "there"]


# All of it


def writes() -> list[tuple[str, str]]:
    rows = [row for row in connector.table.by_name.values() if not row.reads and not row.path.startswith("/oauth")]
    return [(row.verb.lower(), row.fill(dict.fromkeys(row.parameters, "x_1"))[0]) for row in rows]


def test_every_write_there_is_goes_once_when_its_answer_is_lost(stripe_box: Box, session: Session) -> None:
    wrapped = agentguard.wrap(make_client(stripe_box, max_network_retries=2), session)
    for verb in ("POST", "DELETE"):
        stripe_box.fault("drop_after", verb=verb, times=10_000)
    for verb, path in writes():
        with pytest.raises(stripe.APIConnectionError):
            wrapped.raw_request(verb, path)
    sent = [(request["verb"].lower(), request["path"]) for request in stripe_box.requests("POST", "DELETE")]
    assert sent == writes()
    assert len(set(keys(stripe_box, "POST", "DELETE"))) == len(sent) > 350


def test_no_write_of_high_risk_goes_without_a_person(stripe_box: Box, client: Any, ledger: Path) -> None:
    with agentguard.session(agent="t", intent="t", ledger=ledger) as session:
        wrapped = agentguard.wrap(client, session)
        for verb, path in writes():
            with suppress(ApprovalRequired, stripe.StripeError):
                wrapped.raw_request(verb, path)
        sent = stripe_box.requests("POST", "DELETE")
    table = [connector.table.match(request["verb"], request["path"]) for request in sent]
    assert table
    assert max(connector.facts(match.operation)[1] for match in table if match) < Risk.HIGH


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the SDK's own call of httpx
@pytest.mark.parametrize("make", [lambda: stripe.HTTPXClient(allow_sync_methods=True), stripe.UrllibClient])
def test_the_sdk_s_other_http_clients_are_guarded_as_well(stripe_box: Box, session: Session, make: Any) -> None:
    client = make_client(stripe_box, http_client=make(), max_network_retries=2)
    wrapped = agentguard.wrap(client, session)
    made = wrapped.v1.customers.create(params={"name": "Ada", "metadata": {"a": "b"}})
    stripe_box.fault("status_after", times=5)
    with pytest.raises(stripe.APIError):
        wrapped.v1.customers.update(made.id, params={"name": "Bo"})
    assert len(stripe_box.requests("POST")) == 2
    assert session.rollback().ok
    client._requestor._client.close()


def test_a_file_is_described_and_not_kept(stripe_box: Box, client: Any, session: Session) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        agentguard.wrap(client, session).v1.files.create(
            params={"purpose": "dispute_evidence", "file": io.BytesIO(b"a secret letter")}
        )
    (call,) = session.calls
    assert call.operation == "stripe.files.create"
    assert "letter" not in str(call)


def test_a_write_that_streams_its_answer_is_guarded(stripe_box: Box, client: Any, session: Session) -> None:
    wrapped = agentguard.wrap(client, session)
    answer = wrapped._requestor.request_stream("post", "/v1/customers", {"name": "Ada"}, base_address="api")
    assert json.loads(answer.io.read())["name"] == "Ada"
    assert [call.operation for call in session.calls] == ["stripe.customers.create"]


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")  # the SDK's own call of httpx
def test_streams_work_in_an_event_loop(stripe_box: Box, client: Any, session: Session) -> None:
    wrapped = agentguard.wrap(client, session)

    async def main() -> list[bytes]:
        pdf = await wrapped.v1.quotes.pdf_async("qt_1")
        read = await pdf.read_async()
        made = await wrapped._requestor.request_stream_async(
            "post", "/v1/customers", {"name": "Ada"}, base_address="api"
        )
        written = await made.read_async()
        await client._requestor._client.close_async()
        return [read, written]

    read, written = asyncio.run(main())
    assert read == b"%PDF-1.4 a quote"
    assert json.loads(written)["name"] == "Ada"
    assert [call.operation for call in session.calls] == ["stripe.customers.create"]


def test_the_http_client_of_a_wrapped_client_is_guarded_by_itself(
    stripe_box: Box, client: Any, session: Session
) -> None:
    http = agentguard.wrap(client, session)._requestor._client
    headers = {"Authorization": "Bearer sk_test_123", "Content-Type": "application/x-www-form-urlencoded"}
    _body, status, _headers = http.request("post", f"{stripe_box.url}/v1/customers", headers, "name=Ada")
    assert status == 200
    assert [call.operation for call in session.calls] == ["stripe.customers.create"]
