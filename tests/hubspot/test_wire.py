"""What reaches the wire: writes once, refused ones never, reads as the SDK sends them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hubspot.crm.contacts
import pytest
import requests
import urllib3
from hubspot import Client, HubSpot
from hubspot.crm.contacts import ApiException, SimplePublicObjectInputForCreate
from hubspot.discovery.discovery_base import DiscoveryBase
from urllib3.util.retry import Retry

import agentguard
from agentguard import ApprovalDenied, ApprovalRequired, CallState, Outcome
from agentguard.errors import SessionClosed, UnknownClient, UsageError
from agentguard.sandbox.hubspot import TOKEN
from tests.boxes import Box

ADA = {"properties": {"city": "Paris"}}
NEW = {"properties": {"email": "new@example.com"}}
EAGER = Retry(
    5, allowed_methods=None, status_forcelist=(500, 502, 503), backoff_factor=0, respect_retry_after_header=True
)
FAULTS = [
    ("drop_before", {}),
    ("drop_after", {}),
    ("truncate", {}),
    ("status_before", {"status": 502}),
    ("status_after", {"status": 500}),
    ("status_after", {"status": 503, "headers": {"retry-after": "0"}}),
    ("status_before", {"status": 429, "headers": {"retry-after": "0"}}),
    ("status_before", {"status": 307, "headers": {"location": "/crm/v3/objects/elsewhere"}}),
]
FAULT_IDS = [" ".join(str(part) for part in (mode, details.get("status", "")) if part) for mode, details in FAULTS]
WRITES = ("POST", "PUT", "PATCH", "DELETE")

PATHS: dict[str, Callable[[Any], Any]] = {
    "create": lambda c: c.crm.contacts.basic_api.create(NEW),
    "create with a model": lambda c: c.crm.contacts.basic_api.create(
        SimplePublicObjectInputForCreate(properties=NEW["properties"], associations=[])
    ),
    "create_with_http_info": lambda c: c.crm.contacts.basic_api.create_with_http_info(NEW),
    "create in a thread": lambda c: c.crm.contacts.basic_api.create(NEW, async_req=True).get(),
    "create_with_http_info in a thread": lambda c: c.crm.contacts.basic_api.create_with_http_info(
        NEW, async_req=True
    ).get(),
    "the body left unread": lambda c: c.crm.contacts.basic_api.create(NEW, _preload_content=False),
    "the API of all types": lambda c: c.crm.objects.basic_api.create("contacts", NEW),
    "call_api": lambda c: c.crm.contacts.basic_api.api_client.call_api(
        "/crm/v3/objects/contacts", "POST", body=NEW, response_types_map={}, auth_settings=["oauth2"]
    ),
    "the REST client": lambda c: c.crm.contacts.basic_api.api_client.rest_client.POST(
        f"{c.config['host']}/crm/v3/objects/contacts", headers={"Authorization": f"Bearer {TOKEN}"}, body=NEW
    ),
    "the pool manager": lambda c: c.crm.contacts.basic_api.api_client.rest_client.pool_manager.request(
        "POST",
        f"{c.config['host']}/crm/v3/objects/contacts",
        json=NEW,
        headers={"Authorization": f"Bearer {TOKEN}"},
    ),
    "api_request": lambda c: c.api_request({"method": "POST", "path": "/crm/v3/objects/contacts", "body": NEW}),
    "another API client of the same kind": lambda c: hubspot.crm.contacts.BasicApi(
        c.crm.contacts.basic_api.api_client
    ).create(NEW),
    "a copy of the client": lambda c: copy.copy(c).crm.contacts.basic_api.create(NEW),
}


def written(box: Box) -> list[tuple[str, str]]:
    """The requests that ask for a change, without the SDK's reads by POST."""
    seen = [(r["verb"], r["path"]) for r in box.requests(*WRITES)]
    return [(verb, path) for verb, path in seen if not path.endswith(("/batch/read", "/search"))]


@pytest.mark.parametrize("path", PATHS)
def test_every_path_to_a_write_is_recorded(path: str, hubspot_box: Box, client: HubSpot, session: Any) -> None:
    before = hubspot_box.snapshot()
    PATHS[path](agentguard.wrap(client, session))
    assert [(call.operation, call.state) for call in session.calls] == [
        ("hubspot.crm.objects.create", CallState.COMMITTED)
    ]
    assert written(hubspot_box) == [("POST", "/crm/v3/objects/contacts")]
    assert session.rollback().outcomes[0].outcome is Outcome.COMPENSATED
    assert hubspot_box.snapshot()["records"]["contacts"].keys() - before["records"]["contacts"].keys() == {"9001"}


@pytest.mark.parametrize("path", PATHS)
def test_a_stopped_call_never_reaches_the_wire(path: str, hubspot_box: Box, client: HubSpot, ledger: Path) -> None:
    session = agentguard.session(agent="a", intent="i", ledger=ledger)
    guarded = agentguard.wrap(client, session)
    session.complete()
    with pytest.raises(SessionClosed):
        PATHS[path](guarded)
    assert hubspot_box.requests() == []


@pytest.mark.parametrize("approver", [None, lambda _card: False], ids=["nobody to ask", "denied"])
def test_what_is_not_approved_never_reaches_the_wire(
    approver: Any, hubspot_box: Box, client: HubSpot, ledger: Path
) -> None:
    with agentguard.session(agent="a", intent="i", ledger=ledger, approver=approver) as session:
        guarded = agentguard.wrap(client, session)
        merge = {"primaryObjectId": "101", "objectIdToMerge": "103"}
        for act in (
            lambda: guarded.crm.contacts.basic_api.archive("101"),
            lambda: guarded.crm.contacts.basic_api.merge(merge),
            lambda: guarded.crm.contacts.basic_api.merge(merge, async_req=True).get(),
            lambda: guarded.api_request({"method": "DELETE", "path": "/crm/v3/objects/contacts/101"}),
            lambda: guarded.api_request({"method": "POST", "path": "/some/new/path", "body": {"a": 1}}),
        ):
            with pytest.raises(ApprovalDenied if approver else ApprovalRequired):
                act()
    assert written(hubspot_box) == []
    assert {call.state for call in session.calls} == {CallState.REFUSED}


@pytest.mark.parametrize("retry", [None, EAGER], ids=["default retries", "eager retries"])
@pytest.mark.parametrize(("mode", "details"), FAULTS, ids=FAULT_IDS)
@pytest.mark.parametrize("verb", ["POST", "PATCH", "PUT", "DELETE"])
def test_a_write_whose_answer_is_lost_is_sent_once(
    hubspot_box: Box, session: Any, mode: str, details: dict[str, Any], verb: str, retry: Any
) -> None:
    acts: dict[str, Callable[[Any], Any]] = {
        "POST": lambda c: c.crm.contacts.basic_api.create(NEW),
        "PATCH": lambda c: c.crm.contacts.basic_api.update("101", ADA),
        "PUT": lambda c: c.crm.lists.lists_api.update_name("71", list_name="Readers"),
        "DELETE": lambda c: c.crm.lists.lists_api.remove("71"),
    }
    hubspot_box.fault(mode, verb=verb, times=9, **details)
    guarded = agentguard.wrap(HubSpot(access_token=TOKEN, host=hubspot_box.url, retry=retry), session)
    if (mode, verb) == ("truncate", "DELETE"):
        acts[verb](guarded)  # an answer without a body cannot be cut
    else:
        with pytest.raises(Exception, match=r".+"):
            acts[verb](guarded)
    assert len(written(hubspot_box)) == 1
    refused = details.get("status") in (307, 429)
    if (mode, verb) != ("truncate", "DELETE"):
        assert session.calls[0].state is (CallState.NOT_APPLIED if refused else CallState.IN_DOUBT)


@pytest.mark.parametrize(("mode", "details"), FAULTS, ids=FAULT_IDS)
def test_a_write_by_api_request_is_sent_once(
    hubspot_box: Box, client: HubSpot, session: Any, mode: str, details: dict[str, Any]
) -> None:
    hubspot_box.fault(mode, times=9, path="contacts", **details)
    guarded = agentguard.wrap(client, session)
    options = {"method": "POST", "path": "/crm/v3/objects/contacts", "body": NEW}
    if "status" in details and details["status"] != 307:
        assert guarded.api_request(options).status_code == details["status"]
    elif details.get("status") == 307:
        guarded.api_request(options)  # requests follows it, and the guard sees where to
        return
    else:
        with pytest.raises(requests.exceptions.RequestException):
            guarded.api_request(options)
    assert len(written(hubspot_box)) == 1


def test_a_read_is_repeated_as_the_program_asked(hubspot_box: Box, session: Any) -> None:
    hubspot_box.fault("status_before", verb="GET", times=2, status=503)
    guarded = agentguard.wrap(HubSpot(access_token=TOKEN, host=hubspot_box.url, retry=EAGER), session)
    assert guarded.crm.contacts.basic_api.get_by_id("101").id == "101"
    assert len(hubspot_box.requests("GET")) == 3
    assert session.calls == []


def test_reads_by_post_are_not_calls(hubspot_box: Box, client: HubSpot, session: Any) -> None:
    guarded = agentguard.wrap(client, session)
    found = guarded.crm.contacts.search_api.do_search({"query": "ada", "limit": 5})
    assert [record.id for record in found.results] == ["101"]
    inputs = {"inputs": [{"id": "101"}], "properties": ["city"], "propertiesWithHistory": []}
    assert guarded.crm.contacts.batch_api.read(inputs).results[0].properties["city"] == "London"
    assert len(guarded.crm.contacts.get_all()) == 3
    assert session.calls == []


def test_the_client_that_was_passed_stays_as_it_was(hubspot_box: Box, client: HubSpot, session: Any) -> None:
    before = dict(client.config)
    guarded = agentguard.wrap(client, session)
    assert isinstance(guarded, HubSpot)
    guarded.crm.contacts.basic_api.update("101", ADA)
    assert client.config == before
    assert "api_request" not in vars(client)
    client.crm.contacts.basic_api.create(NEW)
    client.api_request({"method": "PATCH", "path": "/crm/v3/objects/contacts/102", "body": ADA})
    assert len(session.calls) == 1


def test_api_objects_that_the_client_keeps_stay_as_they_were(hubspot_box: Box, session: Any) -> None:
    kept: dict[str, Any] = {}

    def factory(package: Any, name: str, config: Any) -> Any:
        key = f"{package.__name__}.{name}"
        return kept.setdefault(key, DiscoveryBase._default_api_factory(package, name, config))

    own = Client(access_token=TOKEN, host=hubspot_box.url, api_factory=factory)
    guarded = agentguard.wrap(own, session)
    guarded.crm.contacts.basic_api.update("101", ADA)
    bare = kept["hubspot.crm.contacts.BasicApi"]
    assert type(bare.api_client.rest_client.pool_manager) is urllib3.PoolManager
    own.crm.contacts.basic_api.update("102", ADA)
    assert len(session.calls) == 1


def test_a_proxy_of_the_program_is_used(hubspot_box: Box, session: Any) -> None:
    own = HubSpot(access_token=TOKEN, host=hubspot_box.url, proxy="http://127.0.0.1:9")
    guarded = agentguard.wrap(own, session)
    with pytest.raises(urllib3.exceptions.MaxRetryError, match="proxy"):
        guarded.crm.contacts.basic_api.create(NEW)
    assert hubspot_box.requests() == []
    assert session.calls[0].state is CallState.NOT_APPLIED


def test_a_call_that_found_nobody_to_talk_to_has_not_happened(session: Any) -> None:
    guarded = agentguard.wrap(HubSpot(access_token=TOKEN, host="http://127.0.0.1:9"), session)
    with pytest.raises(urllib3.exceptions.MaxRetryError):
        guarded.crm.contacts.basic_api.create(NEW)
    with pytest.raises(urllib3.exceptions.MaxRetryError):
        guarded.crm.contacts.basic_api.create(NEW, async_req=True).get()
    assert [call.state for call in session.calls] == [CallState.NOT_APPLIED, CallState.NOT_APPLIED]


def test_a_token_of_its_own_is_refused(hubspot_box: Box, client: HubSpot, session: Any) -> None:
    guarded = agentguard.wrap(client, session)
    other = {"in": "header", "key": "Authorization", "value": "Bearer pat-na1-somebody-else"}
    with pytest.raises(UsageError, match="a token of its own"):
        guarded.crm.contacts.basic_api.create(NEW, _request_auth=other)
    api = guarded.crm.contacts.basic_api
    api.api_client.configuration.access_token = "pat-na1-somebody-else"
    with pytest.raises(UsageError, match="a token of its own"):
        api.create(NEW)
    assert hubspot_box.requests() == []


def test_a_token_that_is_renewed_is_used(hubspot_box: Box, session: Any) -> None:
    guarded = agentguard.wrap(HubSpot(access_token="expired-token", host=hubspot_box.url), session)
    with pytest.raises(ApiException, match="401"):
        guarded.crm.contacts.basic_api.create(NEW)
    guarded.access_token = TOKEN
    guarded.crm.lists.lists_api.update_name("71", list_name="Readers")
    assert session.rollback().ok
    assert hubspot_box.snapshot()["lists"]["71"]["name"] == "Newsletter"


def test_another_host_is_an_unknown_write(hubspot_box: Box, client: HubSpot, session: Any) -> None:
    guarded = agentguard.wrap(client, session)
    other = hubspot_box.url.replace("127.0.0.1", "localhost")
    guarded.api_request({"method": "POST", "base_url": other, "path": "/crm/v3/objects/contacts", "body": NEW})
    assert session.calls[0].risk is agentguard.Risk.HIGH
    assert session.rollback().outcomes[0].outcome is Outcome.IRREVERSIBLE


def test_nothing_secret_is_written_down(hubspot_box: Box, ledger: Path) -> None:
    with agentguard.session(agent="a", intent="i", ledger=ledger, approver=lambda _card: True) as session:
        own = HubSpot(access_token=TOKEN, api_key="developer-key-1234", host=hubspot_box.url, base_url=hubspot_box.url)
        guarded = agentguard.wrap(own, session)
        guarded.crm.contacts.basic_api.update("101", {"properties": {"jobtitle": f"holds {TOKEN}"}})
        guarded.api_request({"method": "POST", "path": "/crm/v3/unknown?hapikey=developer-key-1234", "body": {"a": 1}})
    kept = b"".join(path.read_bytes() for path in ledger.parent.iterdir())
    assert TOKEN.encode() not in kept
    assert b"developer-key-1234" not in kept


def test_threads_of_the_sdk_do_not_mix_calls_up(hubspot_box: Box, client: HubSpot, session: Any) -> None:
    guarded = agentguard.wrap(client, session)
    api = guarded.crm.contacts.basic_api
    pending = [api.create({"properties": {"email": f"{n}@example.com"}}, async_req=True) for n in range(8)]
    made = {answer.get().id for answer in pending}
    assert len(made) == 8
    assert len(session.calls) == 8
    report = session.rollback()
    assert {outcome.outcome for outcome in report.outcomes} == {Outcome.COMPENSATED}
    api.api_client.close()


def test_a_reason_holds_for_a_thread_of_the_sdk(hubspot_box: Box, client: HubSpot, session: Any) -> None:
    guarded = agentguard.wrap(client, session)
    with session.because("she asked for it", 0.9):
        guarded.crm.contacts.basic_api.create(NEW, async_req=True).get()
    assert (session.calls[0].reason, session.calls[0].confidence) == ("she asked for it", 0.9)


def test_a_thread_of_the_sdk_is_refused_like_any_other(hubspot_box: Box, client: HubSpot, ledger: Path) -> None:
    session = agentguard.session(agent="a", intent="i", ledger=ledger)
    guarded = agentguard.wrap(client, session)
    pending = guarded.crm.contacts.basic_api.archive("101", async_req=True)
    with pytest.raises(ApprovalRequired):
        pending.get()
    assert written(hubspot_box) == []


def test_a_part_of_a_client_is_not_taken(client: HubSpot, session: Any) -> None:
    with pytest.raises(UnknownClient, match="Wrap the client itself"):
        agentguard.wrap(client.crm.contacts.basic_api, session)


def test_the_error_of_the_sdk_reaches_the_program(hubspot_box: Box, client: HubSpot, session: Any) -> None:
    guarded = agentguard.wrap(client, session)
    with pytest.raises(ApiException) as caught:
        guarded.crm.contacts.basic_api.create({"properties": {"shoe_size": "44"}})
    assert caught.value.status == 400
    assert "PROPERTY_DOESNT_EXIST" in caught.value.body
    assert session.calls[0].state is CallState.NOT_APPLIED
    assert "VALIDATION_ERROR" in (session.calls[0].error or "")


def test_a_body_that_is_left_unread_can_be_read(hubspot_box: Box, client: HubSpot, session: Any) -> None:
    guarded = agentguard.wrap(client, session)
    raw = guarded.crm.contacts.basic_api.create(NEW, _preload_content=False)
    assert b"new@example.com" in raw.read()
