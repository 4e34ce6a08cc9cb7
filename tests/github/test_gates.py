"""The gates for httpx and requests by themselves: any client, any body, over real HTTP."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from agentguard.wire import httpx as for_httpx
from agentguard.wire import requests as for_requests
from agentguard.wire.http import Headers, Request, Response
from agentguard.wire.seam import AsyncTransmit, Gate, Transmit
from tests.boxes import Box

LABELS = "/repos/acme/hr/labels"
AUTH = {"authorization": "Bearer agent-token"}


class Refused(Exception):
    """The gate stays shut."""


class Open(Gate):
    """Lets everything through, with a header and, if given, another body; keeps what it saw."""

    def __init__(self, body: bytes | None = None, replay: Response | None = None, shut: bool = False) -> None:
        self.seen: list[Request] = []
        self.body = body
        self.replay = replay
        self.shut = shut

    def passes(self, verb: str, url: str) -> bool:
        return verb == "GET"

    def changed(self, request: Request) -> Request:
        self.seen.append(request)
        if self.shut:
            raise Refused
        body = request.body if self.body is None else self.body
        return Request(request.verb, request.url, Headers({**request.headers, "x-mark": "ours"}), body)

    def send(self, request: Request, transmit: Transmit) -> Response:
        changed = self.changed(request)
        return self.replay or transmit(changed)

    async def asend(self, request: Request, transmit: AsyncTransmit) -> Response:
        changed = self.changed(request)
        return self.replay or await transmit(changed)


def label(name: str) -> bytes:
    return json.dumps({"name": name}).encode()


def arrived(box: Box) -> list[dict[str, Any]]:
    return [request for request in box.requests() if request["verb"] != "GET"]


def pieces(content: bytes) -> Iterator[bytes]:
    yield content[:3]
    yield content[3:]


BODIES = {
    "bytes": lambda: label("x"),
    "text": lambda: label("x").decode(),
    "a file": lambda: io.BytesIO(label("x")),
    "an iterator": lambda: pieces(label("x")),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_httpx_sends_every_kind_of_body_once(github_box: Box, body: Any) -> None:
    gate = Open()
    bare = httpx.Client(base_url=github_box.url, headers=AUTH)
    with for_httpx.twin_client(bare, gate) as client:
        answer = client.post(LABELS, content=body(), headers={"content-type": "application/json"})
    assert answer.status_code == 201
    assert answer.json()["name"] == "x"
    assert answer.elapsed.total_seconds() >= 0
    assert [request.body for request in gate.seen] == [label("x")]
    assert [(r["body"], r["headers"]["x-mark"]) for r in arrived(github_box)] == [({"name": "x"}, "ours")]


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_requests_sends_every_kind_of_body_once(github_box: Box, body: Any) -> None:
    gate = Open()
    session = for_requests.twin_session(requests.Session(), gate)
    answer = session.post(
        github_box.url + LABELS, data=body(), headers={**AUTH, "content-type": "application/json"}, timeout=5
    )
    assert answer.status_code == 201
    assert answer.json()["name"] == "x"
    assert [request.body for request in gate.seen] == [label("x")]
    assert [(r["body"], r["headers"]["x-mark"]) for r in arrived(github_box)] == [({"name": "x"}, "ours")]


async def test_httpx_sends_an_asynchronous_body_once(github_box: Box) -> None:
    async def body() -> AsyncIterator[bytes]:
        for piece in pieces(label("x")):
            yield piece

    gate = Open()
    bare = httpx.AsyncClient(base_url=github_box.url, headers=AUTH)
    async with for_httpx.twin_client(bare, gate) as client:
        answer = await client.post(LABELS, content=body(), headers={"content-type": "application/json"})
        assert (await client.get("/repos/acme/hr")).json()["name"] == "hr"
    assert answer.status_code == 201
    assert [request.body for request in gate.seen] == [label("x")]
    assert len(arrived(github_box)) == 1


def test_a_body_that_the_gate_changes_is_the_one_that_is_sent(github_box: Box) -> None:
    with for_httpx.twin_client(httpx.Client(base_url=github_box.url, headers=AUTH), Open(label("longer"))) as client:
        assert client.post(LABELS, json={"name": "x"}).json()["name"] == "longer"
    session = for_requests.twin_session(requests.Session(), Open(label("even longer")))
    made = session.post(github_box.url + LABELS, json={"name": "x"}, headers=AUTH, timeout=5)
    assert made.json()["name"] == "even longer"


def test_nothing_is_sent_through_a_shut_gate_and_reads_pass(github_box: Box) -> None:
    with for_httpx.twin_client(httpx.Client(base_url=github_box.url, headers=AUTH), Open(shut=True)) as client:
        with pytest.raises(Refused):
            client.delete("/repos/acme/hr")
        with pytest.raises(Refused), client.stream("POST", LABELS, json={"name": "x"}):
            pass
        assert client.get("/repos/acme/hr").json()["name"] == "hr"
    session = for_requests.twin_session(requests.Session(), Open(shut=True))
    with pytest.raises(Refused):
        session.delete(github_box.url + "/repos/acme/hr", headers=AUTH, timeout=5)
    assert session.get(github_box.url + "/repos/acme/hr", headers=AUTH, timeout=5).json()["name"] == "hr"
    assert arrived(github_box) == []


def test_the_clients_that_were_copied_stay_as_they_were(github_box: Box) -> None:
    gate = Open(shut=True)
    bare = httpx.Client(base_url=github_box.url, headers=AUTH, mounts={"http://elsewhere": httpx.HTTPTransport()})
    twin = for_httpx.twin_client(bare, gate)
    session = requests.Session()
    for_requests.twin_session(session, gate)
    assert bare.post(LABELS, json={"name": "x"}).status_code == 201
    assert session.post(github_box.url + LABELS, json={"name": "y"}, headers=AUTH, timeout=5).status_code == 201
    assert all(isinstance(transport, for_httpx.GatedTransport) for transport in twin._mounts.values() if transport)
    assert not any(isinstance(transport, for_httpx.GatedTransport) for transport in bare._mounts.values())
    assert gate.seen == []
    bare.close()


def test_an_answer_on_record_comes_out_as_the_librarys_own_object(github_box: Box) -> None:
    kept = Response(201, Headers({"content-type": "application/json; charset=utf-8"}), '{"name": "ü"}'.encode())
    with for_httpx.twin_client(httpx.Client(base_url=github_box.url), Open(replay=kept)) as client:
        assert client.post(LABELS, json={}).json() == {"name": "ü"}
    session = for_requests.twin_session(requests.Session(), Open(replay=kept))
    answer = session.post(github_box.url + LABELS, json={}, timeout=5)
    assert (answer.status_code, answer.json(), answer.text) == (201, {"name": "ü"}, '{"name": "ü"}')
    assert arrived(github_box) == []


def test_writes_are_not_repeated_and_reads_are(github_box: Box) -> None:
    session = requests.Session()
    everything = Retry(3, backoff_factor=0, status_forcelist=[502], allowed_methods=None)
    session.mount("http://", HTTPAdapter(max_retries=everything))
    twin = for_requests.twin_session(session, Open())
    github_box.fault("status_before", verb="*", status=502, times=2)
    assert twin.post(github_box.url + LABELS, json={"name": "x"}, headers=AUTH, timeout=5).status_code == 502
    assert twin.get(github_box.url + "/repos/acme/hr", headers=AUTH, timeout=5).status_code == 200
    assert len(arrived(github_box)) == 1


def test_a_compressed_answer_is_read_by_the_gate_and_by_the_program() -> None:
    packed = gzip.compress(b'{"name": "x"}')

    def handle(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(packed))

    read: list[Response] = []

    class Reading(Open):
        def send(self, request: Request, transmit: Transmit) -> Response:
            read.append(transmit(request))
            return read[0]

    with for_httpx.twin_client(httpx.Client(transport=httpx.MockTransport(handle)), Reading()) as client:
        assert client.post("http://127.0.0.1/x").json() == {"name": "x"}
    assert read[0].json() == {"name": "x"}


def test_only_an_error_before_the_connection_stood_proves_that_nothing_left(github_box: Box) -> None:
    with httpx.Client(base_url=github_box.url) as client, pytest.raises(httpx.ConnectError) as refused:
        client.get("http://127.0.0.1:9")
    github_box.fault("drop_before")
    with httpx.Client(base_url=github_box.url) as client, pytest.raises(httpx.RemoteProtocolError) as dropped:
        client.post("/x")
    assert for_httpx.never_left(refused.value)
    assert not for_httpx.never_left(dropped.value)
    with pytest.raises(requests.ConnectionError) as refused_too:
        requests.get("http://127.0.0.1:9", timeout=5)
    github_box.fault("drop_before")
    with pytest.raises(requests.ConnectionError) as dropped_too:
        requests.post(github_box.url + "/x", timeout=5)
    assert for_requests.never_left(refused_too.value)
    assert not for_requests.never_left(dropped_too.value)
