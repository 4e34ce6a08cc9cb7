"""Mail addresses and their domains, read so that a trick in the text makes an address strange, never harmless.

Parsers of mail headers disagree, and the service's own is not ours. So what any reading finds counts, and a text in
which none finds an address stands for itself: it is in no domain.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.headerregistry import Address, UniqueAddressHeader
from email.policy import default
from email.utils import getaddresses

from agentguard.calls import Json

_PLAIN = re.compile(r"[^\s@<>\"(),:;\\\[\]]+@([^\s@<>\"(),:;\\\[\]]+)")

_LOOSE = re.compile(r"[^\s@<>(),:;\"]+@[^\s@<>(),:;\"]+")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def addresses_in(text: str) -> list[str]:
    """All addresses in a header such as `Ashu <ashu@acme.com>, team@acme.com`; what is none is returned as it is."""
    if not text.strip():
        return []
    if all(_PLAIN.fullmatch(part.strip()) for part in text.split(",")):
        return [part.strip() for part in text.split(",")]
    found = [address for _name, address in getaddresses([text]) if address]
    try:
        header: UniqueAddressHeader = default.header_factory("to", text)
        known: tuple[Address, ...] = header.addresses
        found += [address.addr_spec for address in known]
    except Exception:  # noqa: BLE001 - what this parser raises for broken headers is not documented
        found.append(text)
    found += _LOOSE.findall(_QUOTED.sub(" ", text))
    return list(dict.fromkeys(found)) or [text]


def addresses_of(value: Json) -> list[str]:
    """All addresses in an argument: a text, a list of texts, or objects that have an `email` or `address`."""
    if value is None:
        return []
    if isinstance(value, str):
        return addresses_in(value)
    if isinstance(value, dict):
        named = [value[key] for key in ("email", "address", "emailAddress") if value.get(key)]
        return addresses_of(named) if named else [str(value)]
    if isinstance(value, list | tuple):
        return [address for entry in value for address in addresses_of(entry)]
    return [str(value)]


def domain_of(address: str) -> str | None:
    """The domain of an address, in lower case; None where it is not one plain address."""
    found = _PLAIN.fullmatch(address.strip())
    return found[1].lower().rstrip(".") if found else None


def is_within(address: str, domains: Iterable[str]) -> bool:
    """Tell whether *address* is in one of *domains*; `*.acme.com` stands for the domains below acme.com."""
    domain = domain_of(address)
    if domain is None:
        return False
    for known in domains:
        wanted = known.lower()
        if domain == wanted or (wanted.startswith("*.") and domain.endswith(wanted[1:])):
            return True
    return False
