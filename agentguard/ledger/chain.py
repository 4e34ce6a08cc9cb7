"""The chain over the events: an edit, a removal, an insertion or a swap anywhere in it is found.

    hash = SHA-256(hash of the event before, id, session, seq, n, kind, at, digest)
    digest = SHA-256(salt, data)

The parts are put together as JSON, so that no two lists of parts look the same. The salt keeps purged data from being
guessed by its digest. What a chain cannot show by itself is that its end was cut off, or that all of it was written
anew: an anchor, the hash of the newest event kept elsewhere, shows both.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

PURGED = "{}"
"""What stands for data that was taken away."""
FIRST = "0" * 64
"""What stands for the hash before the first event."""


@dataclass(frozen=True, slots=True)
class Link:
    """One event as the chain sees it, with the text of its data as it is stored."""

    id: int
    session: str
    seq: int | None
    n: int | None
    kind: str
    at: float
    data: str
    salt: str | None
    digest: str | None
    hash: str | None


def new_salt() -> str:
    """64 random bits."""
    try:
        return _salts.pop()
    except IndexError:
        drawn = os.urandom(512).hex()  # the operating system is asked for many at once
        _salts.extend(drawn[at : at + 16] for at in range(16, len(drawn), 16))
        return drawn[:16]


_salts: list[str] = []
os.register_at_fork(after_in_child=_salts.clear)


def digest_of(salt: str, data: str) -> str:
    """The digest of an event's data."""
    return hashlib.sha256(f"{salt}{data}".encode()).hexdigest()


def hash_of(before: str, parts: tuple[Any, ...], digest: str) -> str:
    """The hash of an event: *parts* are its id, session, seq, n, kind and time."""
    return hashlib.sha256(canonical([before, *parts, digest])).hexdigest()


def canonical(value: Any) -> bytes:
    """JSON without spaces, and with names in order: one spelling for one value."""
    try:
        return _encode(value)
    except UnicodeEncodeError:  # half of a surrogate pair, which no UTF-8 can hold
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
        return text.encode(errors="surrogatepass")


_encode = msgspec.json.Encoder(enc_hook=str, order="sorted").encode


def breaks(links: Iterable[Link], unchained: int, anchors: dict[int, str]) -> Iterator[str]:
    """Say where the chain is broken. *unchained* events at the beginning are older than the chain.

    *anchors* are hashes by the id of their event, which must be there and be the same.
    """
    links = list(links)
    purged = {link.session: link.id for link in links if link.kind == "purged"}
    before = FIRST
    last = 0
    missing = dict(anchors)
    for place, link in enumerate(links, 1):
        where = f"event {link.id}"
        if link.id != last + 1:
            yield f"{where} follows event {last}: what was between them is gone"
        last = link.id
        wanted = missing.pop(link.id, None)
        if link.hash is None or link.digest is None:
            if place > unchained:
                yield f"{where} has no hash"
            if wanted is not None:
                yield f"{where} is not what was anchored"
            continue
        if place <= unchained:
            yield f"{where} has a hash and is older than the chain"
        parts = (link.id, link.session, link.seq, link.n, link.kind, link.at)
        if hash_of(before, parts, link.digest) != link.hash:
            yield f"{where} was changed, or one before it"
        if link.salt is None:
            if link.data != PURGED:
                yield f"the data of {where} was changed: it has no salt, and is not purged"
            elif purged.get(link.session, 0) < link.id:
                yield f"the data of {where} is gone, and its session was not purged since"
        elif digest_of(link.salt, link.data) != link.digest:
            yield f"the data of {where} was changed"
        if wanted is not None and wanted != link.hash:
            yield f"{where} is not what was anchored"
        before = link.hash
    for gone in missing:
        yield f"event {gone} was anchored and is gone: the end of the ledger was cut off"
