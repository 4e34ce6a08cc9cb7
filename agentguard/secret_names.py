"""Names that say that what stands under them is secret, and those that only sound so.

The last word of a name decides: `client_secret` is one, `secret_name` is not. Names come as the services spell them:
`apiKey`, `api-key`, `card[number]`, `X-Auth-Token`.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import lru_cache


class Kind(Enum):
    """How a secret stands under its name, and so what is taken for one."""

    EXACT = "exact"  # any text or number: a password, a security code
    TEXT = "text"  # a text, unless it is the id of something: a token
    GROUP = "group"  # likewise, or a dict of such under any names: credentials, cookies
    AUTH = "auth"  # likewise, or the name of a method, like "oauth"
    DIGITS = "digits"  # digits, many of them: a card or bank account number


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_EXACT = _set("password passwords passwd passphrase passcode pwd secret cvc cvv csc otp totp ssn")
_TEXT = _set("token tokens jwt apikey apikeys authorization")
_GROUP = _set("secrets credential credentials cookie cookies")
_DIGITS = frozenset({("card", "number"), ("cc", "number"), ("credit", "card"), ("account", "number"), ("id", "number")})
_KEYS = _set(
    "access account admin api app application auth client encryption hmac master private secret session shared signing"
    " subscription"
)
_JOINED = re.compile(
    r"(?:password|passwd|clientsecret|secretkey|privatekey|(?P<text>(?:access|auth|refresh|bearer|bot|user|id)token"
    r"|api-?key|accesskey|authkey))\Z"
)
_MODIFIERS = _set(
    "again base64 confirm confirmation data digest encoded hash header json pem plain plaintext raw repeat string"
    " text value"
)
_NOT_SECRET_TOKENS = _set(
    "change completion concurrency continuation continue count cursor cursors delta end eos etag first"
    " idempotency input last max min next num output page pagination paging pad prev previous prompt reasoning resume"
    " scroll skip start stop sync total unknown used version"
)

LITERALS = _set(
    "0 1 bearer basic bool boolean bytes digest empty enabled disabled expired false hidden incorrect int integer"
    " invalid missing na nil no none null number oauth oauth2 object off on optional redacted required sha256 str"
    " string text true undefined unknown unset wrong yes"
)
"""What may stand where a secret stands and is none."""

OBJECT_IDS = re.compile(r"(?:tok|btok|pm|src|card|ba|ct|cpt|iauth|cus|acct|evt|seti|spt)_[A-Za-z0-9_]+\Z")
"""Ids of objects that Stripe takes under names like `token`. They open nothing without the account's key."""


@lru_cache(4096)
def kind_of(name: str) -> Kind | None:
    """Tell how a secret stands under *name*; None for a name that promises none."""
    words = tuple(word.lower() for word in _WORDS.findall(name[:200]))
    while len(words) > 1 and (words[-1] in _MODIFIERS or words[-1].isdigit()):
        words = words[:-1]
    if not words:
        return None
    last, before = words[-1], words[-2] if len(words) > 1 else ""
    if last in ("token", "tokens") and (before in _NOT_SECRET_TOKENS or words[-3:-1] == ("client", "request")):
        return None
    if last in _EXACT or words == ("pass",):
        return Kind.EXACT
    if last in _GROUP:
        return Kind.GROUP
    if last in _TEXT or (last in ("key", "keys") and before in _KEYS):
        return Kind.TEXT
    if (before, last) in _DIGITS or last == "iban" or words[-3:] == ("social", "security", "number"):
        return Kind.DIGITS
    if (before, last) in (("security", "code"), ("authorization", "code"), ("auth", "code")):
        return Kind.EXACT
    if last == "auth":
        return Kind.AUTH
    joined = _JOINED.search("".join(words))
    return None if joined is None else Kind.TEXT if joined["text"] else Kind.EXACT


@lru_cache(4096)
def is_id(name: str) -> bool:
    """Whether *name* is that of an id, which may have the digits of a card number by chance."""
    words = _WORDS.findall(name[-60:])
    return bool(words) and words[-1].lower() in ("id", "ids", "ts", "timestamp", "sha", "cursor")
