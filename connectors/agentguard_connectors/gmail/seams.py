"""Where the gate goes in google-api-python-client.

A service is a `Resource` built from a discovery document; it hands its `_http` and its `_requestBuilder` to each
resource and request made from it. The twin has a gated `_http`, so that whatever is built from it is gated, and a
request builder of ours, because `execute` takes another http and a number of retries.

The gate sits outside an `AuthorizedHttp`: tokens are fetched behind it, and a request that was turned away for an old
token is sent again with a new one as the one call that it is.
"""

from __future__ import annotations

import copy
import json
import re
import sys
import uuid
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode, urlsplit

from agentguard.errors import Blocked
from agentguard.scopes import Told
from agentguard.wire.http import SAFE_VERBS, Headers, Outgoing
from agentguard.wire.seam import Gate, Seam
from agentguard_connectors.gmail.codec import REMAKES_HEADER, raw_of, related
from agentguard_connectors.gmail.mail import to_bytes

RESOURCE = "googleapiclient.discovery.Resource"
CREDENTIALS = ("token", "access_token", "refresh_token", "_refresh_token", "client_secret", "id_token", "_id_token")
LARGE = 1_000_000
"""From how many characters of `raw` on a mail of ours is uploaded."""
NAMED = "$named:"
"""In front of a label's name, where an undo cannot know the id that a label has when it is made again."""


remade: ContextVar[dict[str, str]] = ContextVar("agentguard_gmail_remade")
"""While a request of ours is under way: the new ids of what undos have made again, by the old ones."""


def with_old_ids(body: bytes) -> bytes:
    """The answer to a request of ours with the old ids, which is what undos of earlier calls compare with."""
    for old, new in remade.get({}).items():
        body = body.replace(f'"{new}"'.encode(), f'"{old}"'.encode())
    return body


class GmailSeam(Seam):
    """google-api-python-client: a Gmail service, or a resource of one."""

    sdk = "google-api-python-client"
    # httplib2 is not safe for threads: docs/thread_safety.md of google-api-python-client.
    concurrent = False
    packages = ("googleapiclient",)
    clients = (RESOURCE,)

    def takes(self, client: object) -> bool:
        """Whether *client* is a Resource of the Gmail API."""
        return super().takes(client) and api_of(client) == ("gmail", "v1")

    def why_not(self, client: object) -> str | None:
        """Name the API of a Resource that is not Gmail's."""
        if not super().takes(client):
            return None
        name, version = api_of(client)
        return f"this is a client of the {name} API ({version}), and of Google's APIs only gmail v1 can be guarded."

    def twin(self, client: Any, gate: Gate) -> Any:
        """Copy the service with a gated http."""
        http_class = _gated_http()

        def gated(http: Any) -> Any:
            return http if isinstance(http, http_class) else http_class(http, gate)

        twin = copy.copy(client)
        twin._http = gated(client._http)
        twin._requestBuilder = _builder(client._requestBuilder, gated)
        if "new_batch_http_request" in vars(client):
            twin.__dict__["new_batch_http_request"] = _batches(client.new_batch_http_request, gated)
        return twin

    def bases(self, client: Any) -> tuple[str, ...]:
        """The API's address; the same over TLS, which the SDK forces for uploads; where Google takes batches."""
        base = str(client._baseUrl).rstrip("/")
        split = urlsplit(base)
        others = [f"https://{split.netloc}{split.path}"]
        if (split.hostname or "").endswith(".googleapis.com"):
            others.append("https://www.googleapis.com")
        return tuple(dict.fromkeys([base, *others]))

    def secrets(self, client: Any) -> list[str]:
        """What its credentials hold, and its developer key."""
        credentials = getattr(client._http, "credentials", None)
        held = [getattr(credentials, name, None) for name in CREDENTIALS]
        return [value for value in (*held, client._developerKey) if isinstance(value, str) and value]

    def issue(self, twin: Any, out: Outgoing) -> None:
        """Send through the service's http, which adds authentication."""
        base = str(twin._baseUrl).rstrip("/")
        remakes = json.loads(out.headers.get(REMAKES_HEADER, "{}"))
        known: dict[str, str] = vars(twin).setdefault("_agentguard_remade", {})
        out = with_new_ids(out, known)
        token = remade.set(known)
        try:
            made = self._request(twin, base, out)
        finally:
            remade.reset(token)
        known.update({old: made[name] for name, old in remakes.items() if name in made})

    def _request(self, twin: Any, base: str, out: Outgoing) -> Any:
        """Make one request, and those that it needs before; return what was made."""
        body = in_known_thread(twin, base, out, with_label_ids(twin, base, out))
        path, kind, data = form_of(out.path, body)
        query = [("alt", "json"), *((name, _text(value)) for name, value in pairs(out.query))]
        if path != out.path:
            query.append(("uploadType", "multipart"))
        if twin._developerKey:
            query.append(("key", twin._developerKey))
        headers = {"accept": "application/json", **out.headers}
        if data is not None:
            headers["content-type"] = kind
        headers["content-length"] = str(len(data or b""))
        answer, content = twin._http.request(f"{base}{path}?{urlencode(query)}", out.verb, data, headers)
        return json.loads(content) if content and out.verb == "POST" and answer.status < 300 else {}

    def never_left(self, error: BaseException) -> bool:
        """Whether no connection came about, or no token could be had, without which nothing is sent."""
        from google.auth.exceptions import GoogleAuthError

        from agentguard.wire.httplib2 import never_left

        return never_left(error) or isinstance(error, GoogleAuthError)


def api_of(client: Any) -> tuple[str, str]:
    """Name and version of the API that a Resource was built for, from its discovery document."""
    document = getattr(client, "_rootDesc", None) or {}
    return str(document.get("name", "unknown")), str(document.get("version", "?"))


def pairs(query: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Query arguments one by one; a list is a name that repeats."""
    for name, value in query.items():
        for item in value if isinstance(value, list) else [value]:
            yield name, item


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def with_new_ids(out: Outgoing, known: dict[str, str]) -> Outgoing:
    """*out* with the new ids of what an undo has made again, as undos of earlier calls know only the old ones."""
    headers = {name: value for name, value in out.headers.items() if name != REMAKES_HEADER}

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: renamed(item) for name, item in value.items()}
        if isinstance(value, list):
            return [renamed(item) for item in value]
        return known.get(value, value) if isinstance(value, str) else value

    path = "/".join(known.get(part, part) for part in out.path.split("/"))
    return replace(out, path=path, query=renamed(out.query), body=renamed(out.body), headers=headers)


def with_label_ids(twin: Any, base: str, out: Outgoing) -> Any:
    """The body of *out* with the ids of labels that it names: a label that was made again has a new one.

    A name that no label has is left as it is, and Gmail refuses it.
    """
    wanted = out.body.get("addLabelIds") if isinstance(out.body, dict) else None
    if not any(str(label).startswith(NAMED) for label in wanted or ()):
        return out.body
    user = re.match(r"/gmail/v1/users/[^/]+", out.path)
    assert user is not None, out.path
    _answer, content = twin._http.request(f"{base}{user[0]}/labels?alt=json", "GET", None, {})
    ids = {label["name"]: label["id"] for label in json.loads(content).get("labels", [])}
    return {**out.body, "addLabelIds": [ids.get(label.removeprefix(NAMED), label) for label in wanted or ()]}


def in_known_thread(twin: Any, base: str, out: Outgoing, body: Any) -> Any:
    """*body* without a thread that is gone: Gmail would refuse the mail, and makes a thread of its headers anyway."""
    if out.verb == "GET" or not isinstance(body, dict):
        return body
    inside = body["message"] if isinstance(body.get("message"), dict) else body
    thread = inside.get("threadId")
    if not thread:
        return body
    user = re.match(r"/gmail/v1/users/[^/]+", out.path)
    assert user is not None, out.path
    answer, _content = twin._http.request(f"{base}{user[0]}/threads/{thread}?alt=json&format=minimal", "GET", None, {})
    if answer.status != 404:
        return body
    kept = {name: value for name, value in inside.items() if name != "threadId"}
    return {**body, "message": kept} if inside is not body else kept


def form_of(path: str, body: Any) -> tuple[str, str, bytes | None]:
    """Path, media type and content of a request of ours: a large mail goes as an upload."""
    raw = raw_of(body) if isinstance(body, dict) else None
    if not isinstance(raw, str) or len(raw) < LARGE:
        return path, "application/json", json.dumps(body).encode() if body is not None else None
    inside = body.get("message", body)
    metadata = {name: value for name, value in inside.items() if name != "raw"}
    told = json.dumps({**body, "message": metadata} if "message" in body else metadata).encode()
    mail = to_bytes(raw) or b""
    json_part, mail_part = Headers({"content-type": "application/json"}), Headers({"content-type": "message/rfc822"})
    kind, content = related([(json_part, told), (mail_part, mail)])
    return f"/upload{path}", kind, content


def _gated_http() -> type[Any]:
    from agentguard_connectors.gmail.uploads import GmailHttp

    return GmailHttp


def repeats(verb: str, headers: Any, wanted: int) -> int:
    """How often a request may be repeated by the SDK: as often as asked for if it only reads, else never."""
    meant = Headers(headers or {}).get("x-http-method-override", verb).upper()
    return wanted if meant in SAFE_VERBS else 0


def not_a_repeat(verb: str, headers: Any, frames: int = 2) -> None:
    """Stop the SDK from sending a write again, where a request was made without the twin's request builder."""
    caller = sys._getframe(frames)
    again = caller.f_code.co_name in ("_retry_request", "next_chunk") and caller.f_locals.get("retry_num")
    if again and not repeats(verb, headers, 1):
        raise Blocked(
            "the SDK wanted to send a write a second time (num_retries), without knowing whether the first one "
            "happened. It was not sent again; what is known of the first is in the ledger."
        )


def _builder(builder: Any, gated: Callable[[Any], Any]) -> Any:
    """The service's request builder, made to use a gated http and to repeat reads only."""
    from googleapiclient.http import HttpRequest  # type: ignore[import-untyped] # it comes without types

    if not (isinstance(builder, type) and issubclass(builder, HttpRequest)):
        return builder

    class Request(builder):  # type: ignore[misc] # the class is the caller's choice
        def execute(self, http: Any = None, num_retries: int = 0) -> Any:
            allowed = repeats(self.method, self.headers, num_retries)
            with Told():
                return super().execute(http=http and gated(http), num_retries=allowed)

        def next_chunk(self, http: Any = None, num_retries: int = 0) -> Any:
            with Told():
                return super().next_chunk(http=http and gated(http), num_retries=0)

    return named_like(builder, Request)


def named_like(kind: type[Any], ours: type[Any]) -> type[Any]:
    """A class of ours under the name of the one that it stands in for."""
    ours.__name__, ours.__qualname__, ours.__module__ = kind.__name__, kind.__qualname__, kind.__module__
    return ours


def _batches(make: Callable[..., Any], gated: Callable[[Any], Any]) -> Callable[..., Any]:
    """`new_batch_http_request`, whose batches use a gated http whatever they are executed with."""
    from googleapiclient.http import BatchHttpRequest

    class Batch(BatchHttpRequest):  # type: ignore[misc] # the SDK comes without types
        def execute(self, http: Any = None) -> None:
            super().execute(http=http and gated(http))

    kind = named_like(BatchHttpRequest, Batch)

    def new_batch_http_request(callback: Any = None) -> Any:
        batch = make(callback=callback)
        batch.__class__ = kind
        return batch

    return new_batch_http_request


def new_upload(uri: str) -> str:
    """The address that a resumable upload of ours goes on at."""
    return f"{uri}&{urlencode({'upload_id': f'agentguard-{uuid.uuid4().hex}'})}"
