"""The gate for urllib: neutral requests and responses made from urllib's, and urllib's made from neutral ones.

urllib has no transport to put in place of another, so an SDK's seam overrides the method of the SDK that opens one
request. urllib raises `HTTPError` for every status from 400 up; that is an answer like any other, and the SDK's own
code expects the exception.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from email.message import Message
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request as NativeRequest

from agentguard.wire.http import Headers, Request, Response
from agentguard.wire.seam import Gate


def send_through(gate: Gate, native: NativeRequest, send: Callable[[NativeRequest], Response]) -> Response:
    """Take *native* through the gate; *send* opens one urllib request, once. Raises `HTTPError` as urllib would."""

    def transmit(changed: Request) -> Response:
        try:
            return send(native_request(native, changed))
        except HTTPError as error:
            with error:
                return Response(error.code, Headers(dict(error.headers.items())), error.read())

    answer = gate.send(neutral_request(native), transmit)
    if answer.status >= 400:
        raise native_error(native.full_url, answer)
    return answer


def neutral_request(native: NativeRequest) -> Request:
    """A urllib request in neutral form. Only bytes have a body here: urllib's other kinds can be read once."""
    body = native.data if isinstance(native.data, bytes) else b"" if native.data is None else None
    return Request(native.get_method(), native.full_url, Headers(dict(native.header_items())), body)


def native_request(native: NativeRequest, changed: Request) -> NativeRequest:
    """The urllib request for *changed*, a form of *native*."""
    data: Any = changed.body or native.data
    headers = dict(changed.headers)
    return NativeRequest(changed.url, data=data, headers=headers, method=changed.verb)  # noqa: S310 - the SDK's own URL


def native_headers(response: Response) -> Message:
    """The headers of *response* as urllib gives them out."""
    message = Message()
    for name, value in response.headers.items():
        message[name.title()] = value
    return message


def native_error(url: str, response: Response) -> HTTPError:
    """The exception that urllib raises for an answer of status 400 or more."""
    return HTTPError(url, response.status, "", native_headers(response), io.BytesIO(response.body))


def never_left(error: BaseException) -> bool:
    """Whether *error* came before a connection stood: the name did not resolve, or the connection was refused."""
    if isinstance(error, HTTPError):
        return False
    cause = error.reason if isinstance(error, URLError) else error
    return isinstance(cause, ConnectionRefusedError | socket.gaierror)
