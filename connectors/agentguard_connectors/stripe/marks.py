"""A mark in the metadata of what a call creates, where Stripe tells of the creation in no event.

The mark is the call's own idempotency key. It is the same whenever the call is sent again under that key, as it has to
be: Stripe refuses a key that comes back with other parameters. The key is known only when the call is about to be sent,
so a handler asks for it by a stand-in, which the seam fills in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote

from agentguard.calls import Json
from agentguard.wire.http import Request

NAME = "agentguard"
"""The key in the metadata."""
STAND_IN = "$idempotency_key"
"""What stands for the mark in the arguments of a call; it is never sent."""
OUR_KEYS = "agentguard-"
"""What the guard's own idempotency keys begin with: those it repeats only for calls of the same session."""
MARKED = frozenset(
    {
        "checkout.sessions.create",
        "customers.balance_transactions.create",
        "shipping_rates.create",
        "subscription_items.create",
        "webhook_endpoints.create",
    }
)
"""Creations without an event that names the request behind them (https://docs.stripe.com/api/events/types)."""
MOST = 50
"""How many keys the metadata of an object may have (https://docs.stripe.com/api/metadata)."""

_PAIR = re.compile(
    rb"(?:^|(?<=&))metadata(?:\[|%%5B)%b(?:\]|%%5D)=%b(?:&|$)" % (NAME.encode(), quote(STAND_IN).encode())
)


def marked(operation: str, arguments: Mapping[str, Json]) -> Json:
    """The metadata of a call with the stand-in for a mark; None where the call goes without one.

    An entry of the caller's own wins, and so does metadata that is full or is no dict.
    """
    given = arguments.get("metadata")
    if operation not in MARKED or not isinstance(given, dict | None):
        return None
    metadata = given or {}
    return None if NAME in metadata or len(metadata) >= MOST else {**metadata, NAME: STAND_IN}


def mark_of(arguments: Mapping[str, Json], key: str | None) -> str | None:
    """The mark that a call with these arguments was sent with under *key*; None where it had none."""
    metadata = arguments.get("metadata")
    asked = isinstance(metadata, dict) and metadata.get(NAME) == STAND_IN
    return key if asked and key and key.startswith(OUR_KEYS) else None


def with_mark(request: Request) -> Request:
    """*request* with its idempotency key for the stand-in.

    Without a key of ours the entry is left out: one of the caller's own may come again from a program that is not
    guarded, and must find the same parameters then.
    """
    if not request.body or NAME.encode() not in request.body:
        return request
    key = request.headers.get("idempotency-key", "")
    pair = f"metadata[{NAME}]={quote(key)}".encode() if key.startswith(OUR_KEYS) else b""

    def filled(found: re.Match[bytes]) -> bytes:
        ampersand = b"&" if found[0].endswith(b"&") else b""
        return pair + ampersand if pair else b""

    body = _PAIR.sub(filled, request.body)
    return request if body == request.body else replace(request, body=body.rstrip(b"&"))
