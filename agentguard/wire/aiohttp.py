"""The gate for aiohttp: neutral requests made from the arguments of `ClientSession.request`, and what an error proves.

An SDK's seam overrides the method of the SDK that calls `ClientSession.request`, because the session may be the
program's own, used for other things too. aiohttp repeats a GET by itself when a kept connection turns out to be closed
(`IDEMPOTENT_METHODS` in aiohttp/client.py); a request that changes something must therefore be sent as POST.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

from agentguard.wire.http import Headers, Request


def neutral_request(verb: str, url: str, arguments: Mapping[str, Any]) -> Request:
    """What `session.request(verb, url, **arguments)` will send; a body with files in it is left unread."""
    headers = Headers(arguments.get("headers") or {})
    data, value = arguments.get("data"), arguments.get("json")
    body: bytes | None = b""
    if value is not None:
        headers.setdefault("content-type", "application/json")
        body = json.dumps(value).encode()
    elif isinstance(data, bytes | bytearray):
        headers.setdefault("content-type", "application/octet-stream")
        body = bytes(data)
    elif isinstance(data, str):
        body = data.encode()
    elif isinstance(data, Mapping) and all(isinstance(part, str | int | float) for part in data.values()):
        headers["content-type"] = "application/x-www-form-urlencoded"
        body = urlencode(dict(data)).encode()
    elif data:
        body = None
    return Request(verb, with_query(url, arguments.get("params")), headers, body)


def with_query(url: str, parameters: Mapping[str, Any] | None) -> str:
    """*url* with *parameters* added to its query, as aiohttp does it."""
    if not parameters:
        return url
    split = urlsplit(url)
    return urlunsplit(split._replace(query="&".join(filter(None, (split.query, urlencode(dict(parameters)))))))


def usable_here(session: Any) -> bool:
    """Whether *session* can be used in the event loop that runs now; one of another loop would wait for ever."""
    if session is None or session.closed:
        return False
    return getattr(session, "_loop", None) is asyncio.get_running_loop()


def never_left(error: BaseException) -> bool:
    """Whether *error* came before a connection stood: refused, no such name, no route, no TLS."""
    from aiohttp import ClientConnectorError

    return isinstance(error, ClientConnectorError)
