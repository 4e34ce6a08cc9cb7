"""A call whose answer was lost: what a rollback says of it is true, and nobody else's work is touched."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stripe
from agentguard_connectors.stripe import stripe as connector
from agentguard_connectors.stripe.finders import LISTED, SKEW, STEPS, TRACES
from agentguard_connectors.stripe.marks import MARKED, STAND_IN, with_mark

import agentguard
from agentguard import CallState, Outcome, Session
from agentguard.policy import Policy, Rule
from agentguard.rulings import Verdict
from agentguard.wire.http import Headers, Request, Response
from tests.boxes import Box
from tests.proving import differences
from tests.stripe import cases_catalog, cases_money, worlds
from tests.stripe.conftest import make_client
from tests.stripe.worlds import Case

ALL = cases_catalog.CASES + cases_money.CASES + cases_money.FOR_GOOD
LOOKED_FOR = [case for case in ALL if case.operation in (*TRACES, *LISTED, *STEPS)]
CREATED = [case for case in ALL if case.operation in (*TRACES, *LISTED)]


def named(case: Case) -> str:
    return case.operation


def lose(box: Box, operation: str, mode: str) -> None:
    """Lose the next answer to *operation*."""
    row = connector.table.by_name[operation]
    path = "/".join("[^/]+" if part.startswith("{") else re.escape(part) for part in row.path.strip("/").split("/"))
    box.fault(mode, verb=row.verb, path=f"^/{path}/?$")


def doubtful(box: Box, client: Any, session: Session, case: Case, mode: str, world: Any = None) -> Any:
    """Do what *case* says and lose its answer; return what was there before."""
    world = case.given(client.v1) if world is None else world
    if case.seeds:
        box.seed(**case.seeds(box.snapshot()))
    before = box.snapshot()
    lose(box, case.operation, mode)
    with pytest.raises(stripe.APIConnectionError):
        case.do(agentguard.wrap(client, session).v1, world)
    assert session.calls[-1].state is CallState.IN_DOUBT
    return before


def unexpected(case: Case, before: Any, after: Any) -> list[str]:
    changed = differences(before, after)
    return [path for path in changed if not any(re.fullmatch(pattern, path) for pattern in case.residue)]


@pytest.mark.parametrize("mode", ["drop_before", "drop_after"])
@pytest.mark.parametrize("case", ALL, ids=named)
def test_what_is_said_of_a_lost_call_is_true(
    case: Case, mode: str, stripe_box: Box, client: Any, session: Session
) -> None:
    before = doubtful(stripe_box, client, session, case, mode)
    report = session.rollback()
    outcomes = [result.outcome for result in report.outcomes]
    if mode == "drop_before":
        assert stripe_box.snapshot() == before
        assert all(outcome in (Outcome.IN_DOUBT, Outcome.ALREADY_UNDONE) for outcome in outcomes), str(report)
    elif report.ok:
        assert unexpected(case, before, stripe_box.snapshot()) == [], str(report)


@pytest.mark.parametrize("case", LOOKED_FOR, ids=named)
def test_a_lost_call_that_happened_is_taken_back(case: Case, stripe_box: Box, client: Any, session: Session) -> None:
    before = doubtful(stripe_box, client, session, case, "drop_after")
    report = session.rollback()
    for_good = case in cases_money.FOR_GOOD
    expected = Outcome.IRREVERSIBLE if for_good else case.outcome
    assert [result.outcome for result in report.outcomes] == [expected], str(report)
    assert session.calls[-1].state is CallState.COMMITTED
    if report.ok:
        assert unexpected(case, before, stripe_box.snapshot()) == []


@pytest.mark.parametrize("case", LOOKED_FOR, ids=named)
def test_a_lost_call_that_did_not_happen_is_known_not_to_have(
    case: Case, stripe_box: Box, client: Any, session: Session
) -> None:
    before = doubtful(stripe_box, client, session, case, "drop_before")
    report = session.rollback()
    assert session.calls[-1].state is CallState.NOT_APPLIED, str(report)
    assert stripe_box.snapshot() == before


@pytest.mark.parametrize("case", CREATED, ids=named)
def test_what_a_stranger_made_at_the_same_time_is_left_alone(
    case: Case, stripe_box: Box, client: Any, session: Session
) -> None:
    world = case.given(client.v1)
    doubtful(stripe_box, client, session, case, "drop_before", world)
    case.do(client.v1, world)
    before = stripe_box.snapshot()
    session.rollback()
    assert session.calls[-1].state is CallState.NOT_APPLIED
    assert stripe_box.snapshot() == before


def book(v1: Any, customer: str) -> Any:
    return v1.customers.balance_transactions.create(customer, params={"amount": -500, "currency": "usd"})


def enrol(v1: Any, customer: str) -> Any:
    return v1.customers.create(params={"name": "Ada"})


@pytest.mark.parametrize("mode", ["drop_before", "drop_after"])
@pytest.mark.parametrize(("do", "found_in"), [(book, "balance_transactions"), (enrol, "customers")])
def test_of_two_equal_calls_the_lost_one_is_told_from_the_other(
    mode: str, do: Any, found_in: str, stripe_box: Box, client: Any, session: Session
) -> None:
    customer = worlds.customer(client.v1).customer
    v1 = agentguard.wrap(client, session).v1
    do(v1, customer)
    stripe_box.fault(mode)
    with pytest.raises(stripe.APIConnectionError):
        do(v1, customer)
    report = session.rollback()
    assert report.ok, str(report)
    happened = mode == "drop_after"
    assert [call.state is CallState.COMMITTED for call in session.calls] == [True, happened]
    assert len(report.outcomes) == 1 + happened
    left = stripe_box.snapshot()[found_in].values()
    if do is book:
        assert [sum(entry["amount"] for entry in left), len(left)] == [0, 2 * (1 + happened)]
    else:
        assert [thing["id"] for thing in left if not thing.get("deleted")] == [customer]


CHANGED: dict[str, tuple[str, Any]] = {
    "customers.create": ("customers", {"email": "theirs@example.com"}),
    "coupons.create": ("coupons", {"name": "Theirs"}),
    "products.create": ("products", {"name": "Theirs"}),
    "webhook_endpoints.create": ("webhook_endpoints", {"url": "https://theirs.test"}),
}


@pytest.mark.parametrize("operation", CHANGED)
def test_what_somebody_wrote_into_what_a_lost_call_made_is_kept(
    operation: str, stripe_box: Box, client: Any, session: Session
) -> None:
    case = next(case for case in ALL if case.operation == operation)
    kind, change = CHANGED[operation]
    old = doubtful(stripe_box, client, session, case, "drop_after").get(kind, {})
    (made,) = stripe_box.snapshot()[kind].keys() - old.keys()
    getattr(client.v1, kind).update(made, params=change)
    before = stripe_box.snapshot()
    report = session.rollback()
    assert [result.outcome for result in report.outcomes] == [Outcome.CONFLICT], str(report)
    assert stripe_box.snapshot() == before


# Events that are not there yet


@pytest.fixture
def held(stripe_box: Box) -> Callable[[], None]:
    """Keep Stripe's events back from now on; call it to let them through."""
    stripe_box._call("events", {"held": True})
    return lambda: stripe_box._call("events", {"held": False})  # type: ignore[no-any-return]  # an answer of no use


def test_what_is_there_without_an_event_stays_in_doubt_until_the_event_comes(
    stripe_box: Box, client: Any, session: Session, held: Any
) -> None:
    case = next(case for case in ALL if case.operation == "customers.create")
    doubtful(stripe_box, client, session, case, "drop_after")
    before = stripe_box.snapshot()
    (result,) = session.rollback().outcomes
    assert result.outcome is Outcome.IN_DOUBT
    assert "no event tells yet" in result.detail
    assert stripe_box.snapshot() == before
    held()
    assert [result.outcome for result in session.rollback().outcomes] == [Outcome.COMPENSATED]


def test_what_a_stranger_made_without_an_event_yet_leaves_a_call_in_doubt(
    stripe_box: Box, client: Any, session: Session, held: Any
) -> None:
    case = next(case for case in ALL if case.operation == "customers.create")
    doubtful(stripe_box, client, session, case, "drop_before")
    client.v1.customers.create(params={"name": "Bo"})
    before = stripe_box.snapshot()
    assert [result.outcome for result in session.rollback().outcomes] == [Outcome.IN_DOUBT]
    held()
    assert session.rollback().ok
    assert session.calls[-1].state is CallState.NOT_APPLIED
    assert stripe_box.snapshot() == before


def test_a_payment_that_moved_on_without_an_event_yet_stays_in_doubt(
    stripe_box: Box, client: Any, session: Session, held: Any
) -> None:
    case = next(case for case in ALL if case.operation == "payment_intents.confirm")
    doubtful(stripe_box, client, session, case, "drop_after")
    (result,) = session.rollback().outcomes
    assert result.outcome is Outcome.IN_DOUBT
    assert "not as it was" in result.detail
    held()
    assert session.rollback().ok


def test_what_somebody_deleted_since_has_happened(stripe_box: Box, client: Any, session: Session) -> None:
    case = next(case for case in ALL if case.operation == "coupons.create")
    doubtful(stripe_box, client, session, case, "drop_after")
    client.v1.coupons.delete(next(iter(stripe_box.snapshot()["coupons"])))
    assert [result.outcome for result in session.rollback().outcomes] == [Outcome.ALREADY_UNDONE]
    assert session.calls[-1].state is CallState.COMMITTED


def test_what_was_made_at_another_time_is_not_looked_at(stripe_box: Box, client: Any, session: Session) -> None:
    client.v1.customers.create(params={"name": "Old"})
    stripe_box._call("clock", {"advance": 2 * SKEW})
    client.v1.customers.create(params={"name": "New"})
    stripe_box._call("clock", {"advance": -2 * SKEW})
    case = next(case for case in ALL if case.operation == "customers.create")
    doubtful(stripe_box, client, session, case, "drop_before")
    session.rollback()
    for request in stripe_box.requests("GET"):
        if request["path"] in ("/v1/customers", "/v1/events"):
            period = int(request["query"]["created[lte]"]) - int(request["query"]["created[gte]"])
            assert period == 2 * SKEW


def test_a_period_with_too_much_in_it_proves_nothing(
    stripe_box: Box, client: Any, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentguard_connectors.stripe.finders.PAGES", 1)
    case = next(case for case in ALL if case.operation == "coupons.create")
    doubtful(stripe_box, client, session, case, "drop_before")
    for _other in range(101):
        client.v1.coupons.create(params={"percent_off": 7, "duration": "once"})
    (result,) = session.rollback().outcomes
    assert result.outcome is Outcome.IN_DOUBT
    assert "more than 100 entries" in result.detail


# Marks


def sent(box: Box, path: str) -> list[dict[str, Any]]:
    return [request["body"] for request in box.requests("POST") if request["path"].endswith(path)]


@pytest.mark.parametrize("case", [case for case in ALL if case.operation in MARKED], ids=named)
def test_what_no_event_tells_of_carries_its_key_in_its_metadata_and_is_otherwise_the_caller_s(
    case: Case, stripe_box: Box, client: Any, session: Session
) -> None:
    world = case.given(client.v1)
    case.do(client.v1, world)
    plain = stripe_box.requests("POST")[-1]
    case.do(agentguard.wrap(client, session).v1, world)
    guarded = stripe_box.requests("POST")[-1]
    key = session.calls[-1].key
    assert guarded["body"] == {**plain["body"], "metadata[agentguard]": key}
    assert guarded["headers"]["idempotency-key"] == key
    assert session.calls[-1].arguments["metadata"] == {"agentguard": STAND_IN}


def test_metadata_of_the_caller_s_own_is_kept_beside_the_mark(stripe_box: Box, client: Any, session: Session) -> None:
    params: Any = {"display_name": "Post & Co", "metadata": {"a": "1 & 2", "ü": "ö"}}
    made = agentguard.wrap(client, session).v1.shipping_rates.create(params=params)
    assert made.metadata.to_dict() == {"a": "1 & 2", "ü": "ö", "agentguard": session.calls[0].key}
    assert made.display_name == "Post & Co"


@pytest.mark.parametrize("metadata", [{"agentguard": "mine"}, {str(n): "x" for n in range(50)}, ""])
def test_an_entry_of_the_caller_s_own_wins_and_full_metadata_stays_as_it_is(
    metadata: Any, stripe_box: Box, client: Any, session: Session
) -> None:
    agentguard.wrap(client, session).v1.shipping_rates.create(params={"display_name": "Post", "metadata": metadata})
    (body,) = sent(stripe_box, "/shipping_rates")
    given = {f"metadata[{name}]": value for name, value in metadata.items()} if metadata else {"metadata": ""}
    assert body == {"display_name": "Post", **given}


def test_a_call_with_a_key_of_the_caller_s_own_carries_no_mark_and_proves_nothing_when_it_is_lost(
    stripe_box: Box, client: Any, session: Session
) -> None:
    stripe_box.fault("drop_after")
    with pytest.raises(stripe.APIConnectionError):
        agentguard.wrap(client, session).v1.shipping_rates.create(
            params={"display_name": "Post"}, options={"idempotency_key": "mine"}
        )
    assert sent(stripe_box, "/shipping_rates") == [{"display_name": "Post"}]
    (result,) = session.rollback().outcomes
    assert result.outcome is Outcome.IN_DOUBT
    assert "no mark" in result.detail
    # An unguarded program that repeats it finds the same parameters.
    again = client.v1.shipping_rates.create(params={"display_name": "Post"}, options={"idempotency_key": "mine"})
    assert [again.id] == list(stripe_box.snapshot()["shipping_rates"])


def test_a_marked_call_that_is_made_again_under_its_key_is_the_same_request(
    stripe_box: Box, client: Any, session: Session
) -> None:
    create = agentguard.wrap(client, session).v1.shipping_rates.create
    stripe_box.fault("drop_after")
    with pytest.raises(stripe.APIConnectionError):
        create(params={"display_name": "Post"})
    again = create(params={"display_name": "Post"})
    first, second = sent(stripe_box, "/shipping_rates")
    assert first == second
    assert [again.id] == list(stripe_box.snapshot()["shipping_rates"])
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED, CallState.COMMITTED]
    assert session.rollback().ok


def test_an_undo_carries_no_mark(stripe_box: Box, client: Any, session: Session) -> None:
    world = worlds.two_items(client.v1)
    agentguard.wrap(client, session).v1.subscription_items.delete(world.second)
    assert session.rollback().ok
    assert not any("metadata[agentguard]" in body for body in sent(stripe_box, "/subscription_items"))


def test_an_event_loop_sends_the_mark_as_well(stripe_box: Box, client: Any, session: Session) -> None:
    import asyncio
    import warnings

    async def main() -> None:
        await agentguard.wrap(client, session).v1.shipping_rates.create_async(params={"display_name": "Post"})
        await client._requestor._client.close_async()

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Use 'content=", DeprecationWarning)  # the SDK's own call of httpx
        asyncio.run(main())
    assert sent(stripe_box, "/shipping_rates")[0]["metadata[agentguard]"] == session.calls[0].key


@pytest.mark.parametrize("mode", ["", "drop_before", "drop_after"])
def test_a_held_call_carries_its_mark_when_it_is_sent(mode: str, stripe_box: Box, client: Any, ledger: Path) -> None:
    held = Policy([Rule(name="later", operations="stripe.shipping_rates.create", then=Verdict.HOLD)])
    session = agentguard.session(agent="t", intent="t", ledger=ledger, policy=held)
    agentguard.wrap(client, session).v1.shipping_rates.create(params={"display_name": "Post", "metadata": {"a": "b"}})
    assert sent(stripe_box, "/shipping_rates") == []
    if mode:
        stripe_box.fault(mode)
        with pytest.raises(agentguard.HeldNotSent):
            session.complete()
    else:
        session.complete()
    (call,) = session.calls
    marks = {"metadata[a]": "b", "metadata[agentguard]": call.key}
    assert sent(stripe_box, "/shipping_rates") == [{"display_name": "Post", **marks}]
    assert session.rollback().ok
    assert session.calls[0].state is (CallState.NOT_APPLIED if mode == "drop_before" else CallState.COMMITTED)
    assert not any(rate["active"] for rate in stripe_box.snapshot().get("shipping_rates", {}).values())


@pytest.mark.parametrize(
    ("key", "body", "becomes"),
    [
        ("agentguard-1", b"metadata[agentguard]=%24idempotency_key&a=b", b"metadata[agentguard]=agentguard-1&a=b"),
        ("agentguard-1", b"a=b&metadata%5Bagentguard%5D=%24idempotency_key", b"a=b&metadata[agentguard]=agentguard-1"),
        ("mine", b"a=b&metadata%5Bagentguard%5D=%24idempotency_key&c=d", b"a=b&c=d"),
        ("", b"metadata[agentguard]=%24idempotency_key", b""),
        ("agentguard-1", b"a=metadata[agentguard]=%24idempotency_key", b"a=metadata[agentguard]=%24idempotency_key"),
        ("agentguard-1", b"metadata[agentguard]=mine", b"metadata[agentguard]=mine"),
    ],
)
def test_the_stand_in_is_never_sent(key: str, body: bytes, becomes: bytes) -> None:
    headers = Headers({"idempotency-key": key} if key else {})
    assert with_mark(Request("POST", "http://127.0.0.1/v1/x", headers, body)).body == becomes


# Keys that grow old, other processes, resumed agents


def test_a_call_that_is_made_again_a_day_later_is_not_sent_under_the_old_key(
    stripe_box: Box, client: Any, session: Session
) -> None:
    create = agentguard.wrap(client, session).v1.customers.create
    stripe_box.fault("drop_before")
    with pytest.raises(stripe.APIConnectionError):
        create(params={"name": "Ada"})
    age: Any = lambda db: db.execute("UPDATE call SET created_at = created_at - 24 * 3600")  # noqa: E731 - one statement
    session.ledger.database.write("age", age, durable=True)  # type: ignore[attr-defined]  # the SQLite ledger's own
    stripe_box._call("clock", {"advance": 24 * 3600})
    create(params={"name": "Ada"})
    first, second = (request["headers"]["idempotency-key"] for request in stripe_box.requests("POST"))
    assert first != second
    stripe_box._call("clock", {"advance": -24 * 3600})
    assert session.rollback().ok
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED, CallState.COMMITTED]


AGENT = """
import os, sys
import agentguard
from agentguard_connectors.stripe import stripe
client = stripe.account.client(os.environ)
with agentguard.session(agent="a", intent="i", ledger=sys.argv[1], approver=lambda _card: True) as session:
    v1 = agentguard.wrap(client, session).v1
    v1.customers.create(params={"name": "Ada", "metadata": {"a": "1"}})
    try:
        v1.%s
    except Exception:
        os._exit(9)
"""


@pytest.mark.parametrize("mode", ["drop_before", "drop_after"])
@pytest.mark.parametrize(
    ("call", "path"),
    [
        ('coupons.create(params={"percent_off": 5, "duration": "once"})', "/coupons$"),
        ('charges.create(params={"amount": 5, "currency": "usd", "source": "tok_visa"})', "/charges$"),
        ('webhook_endpoints.create(params={"url": "https://a.test/", "enabled_events": ["*"]})', "/webhook_endpoints$"),
    ],
    ids=["coupon", "charge", "endpoint"],
)
def test_another_process_finds_out_what_became_of_it(
    call: str, path: str, mode: str, stripe_box: Box, tmp_path: Path
) -> None:
    environment = {**os.environ, "STRIPE_API_KEY": "sk_test_123", "STRIPE_API_BASE": stripe_box.url}
    environment["AGENTGUARD_LEDGER"] = str(tmp_path / "ledger.db")

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        )

    stripe_box.fault(mode, path=path)
    died = run("-c", AGENT % call, environment["AGENTGUARD_LEDGER"])
    assert died.returncode == 9, died.stderr
    rolled_back = run("-m", "agentguard", "rollback", "last", "--yes")
    assert rolled_back.returncode == 0, rolled_back.stdout + rolled_back.stderr
    state = stripe_box.snapshot()
    assert all(customer.get("deleted") for customer in state["customers"].values())
    assert state.get("coupons", {}) == state.get("webhook_endpoints", {}) == {}
    assert len(state.get("charges", {})) == (mode == "drop_after" and "charges" in path)
    assert all(charge["refunded"] for charge in state.get("charges", {}).values())


def test_a_resumed_agent_gets_the_object_as_the_sdk_gives_it(
    stripe_box: Box, client: Any, ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentguard.ledger.sqlite.leases.is_gone", lambda owner: True)

    def make() -> Any:
        session = agentguard.session(agent="a", intent="i", id="s1", ledger=ledger, on_crash="resume")
        v1 = agentguard.wrap(client, session).v1
        customer = v1.customers.create(params={"name": "Ada"})
        return customer, v1.shipping_rates.create(params={"display_name": "Post"})

    for path in ("/customers$", "/shipping_rates$"):
        stripe_box.fault("drop_after", path=path)
        with pytest.raises(stripe.APIConnectionError):
            make()
    customer, rate = make()
    assert (type(customer), type(rate)) == (stripe.Customer, stripe.ShippingRate)
    assert (customer.name, rate.display_name) == ("Ada", "Post")
    assert [len(stripe_box.snapshot()[kind]) for kind in ("customers", "shipping_rates")] == [1, 1]


# Where the failure was


@pytest.mark.parametrize("base", ["http://127.0.0.1:1", "https://nowhere.invalid"], ids=["refused", "no such name"])
def test_a_call_that_reached_nobody_certainly_did_nothing(base: str, session: Session) -> None:
    client = stripe.StripeClient("sk_test_123", base_addresses={"api": base})
    with pytest.raises(stripe.APIConnectionError):
        agentguard.wrap(client, session).v1.customers.create(params={"name": "Ada"})
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED]


@pytest.mark.parametrize("make", [stripe.RequestsClient, stripe.UrllibClient], ids=["requests", "urllib"])
def test_a_call_for_which_no_tls_came_about_certainly_did_nothing(make: Any, stripe_box: Box, session: Session) -> None:
    client = stripe.StripeClient(
        "sk_test_123", base_addresses={"api": stripe_box.url.replace("http:", "https:")}, http_client=make()
    )
    with pytest.raises(stripe.APIConnectionError):
        agentguard.wrap(client, session).v1.customers.create(params={"name": "Ada"})
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED]
    assert stripe_box.snapshot() == {}


def test_a_connection_that_was_closed_after_the_request_was_taken_is_in_doubt(session: Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for _connection in range(2):  # the account is read first
                connection, _address = server.accept()
                connection.recv(65536)
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        base = f"http://127.0.0.1:{server.getsockname()[1]}"
        client = stripe.StripeClient("sk_test_123", base_addresses={"api": base}, max_network_retries=0)
        with pytest.raises(stripe.APIConnectionError):
            agentguard.wrap(client, session).v1.customers.create(params={"name": "Ada"})
    assert [call.state for call in session.calls] == [CallState.IN_DOUBT]


@pytest.mark.parametrize("mode", ["drop_before", "drop_after", "truncate"])
def test_an_answer_that_broke_off_is_in_doubt(mode: str, stripe_box: Box, client: Any, session: Session) -> None:
    stripe_box.fault(mode)
    with pytest.raises(stripe.StripeError):
        agentguard.wrap(client, session).v1.customers.create(params={"name": "Ada"})
    assert [call.state for call in session.calls] == [CallState.IN_DOUBT]


@pytest.mark.parametrize(
    ("status", "code", "state"),
    [
        (429, "rate_limit", CallState.NOT_APPLIED),
        (429, "lock_timeout", CallState.NOT_APPLIED),
        (400, "parameter_missing", CallState.NOT_APPLIED),
        (409, "idempotency_key_in_use", CallState.IN_DOUBT),
        (500, None, CallState.IN_DOUBT),
        (503, None, CallState.IN_DOUBT),
    ],
)
def test_what_an_error_proves_and_when_to_come_again(
    status: int, code: str | None, state: CallState, stripe_box: Box, client: Any, session: Session
) -> None:
    body = {"error": {"type": "api_error", "code": code, "message": "no"}}
    headers = {"retry-after": "7"} if status in (429, 503) else {}
    stripe_box.fault("status_before", status=status, body=body, headers=headers)
    with pytest.raises(stripe.StripeError):
        agentguard.wrap(client, session).v1.customers.create(params={"name": "Ada"})
    assert [call.state for call in session.calls] == [state]
    response = Response(status, Headers(headers), b"{}")
    answer = connector.codec.answer(connector.table.by_name["customers.create"], response)
    assert answer.retry_after == (7.0 if headers else None)


def test_a_request_that_is_still_at_work_under_the_same_key_is_in_doubt_and_settled_later(
    stripe_box: Box, session: Session
) -> None:
    stripe_box._call("slow", {"path": "/v1/customers$", "seconds": 1.0})
    hasty = make_client(stripe_box, http_client=stripe.RequestsClient(timeout=0.3), max_network_retries=0)
    create = agentguard.wrap(hasty, session).v1.customers.create
    for _attempt in range(2):  # the second one finds the key in use
        with pytest.raises(stripe.StripeError):
            create(params={"name": "Ada"})
    assert [call.state for call in session.calls] == [CallState.IN_DOUBT] * 2
    assert [call.status for call in session.calls] == [None, 409]
    threading.Event().wait(1.0)
    create(params={"name": "Ada"})
    assert len(stripe_box.snapshot()["customers"]) == 1
    assert session.rollback().ok
    assert all(customer["deleted"] for customer in stripe_box.snapshot()["customers"].values())
