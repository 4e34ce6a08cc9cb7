"""Redaction: secrets are taken out of everything before it is written down, and put back where an undo needs them.

A secret is replaced by a placeholder, `[redacted f3a90c5e71bd2846]`, which is random: a digest of a weak secret could
be guessed. Within one `Redactor` the same secret always has the same placeholder, so that values can still be
compared, and `reveal` puts the secret back; in another process nobody can. Three things give a secret away: the name
that it stands under (`secret_names`), its own form (`secret_forms`), and that a client holds it (`learn`). Nothing is
taken for a secret because it merely looks random: ids and digests do, and an undo needs those.

`reveal(clean(value)) == value` holds for every JSON value, also for one that has text like a placeholder in it: such
text gets a placeholder of its own. Nobody can have a secret put into an issue by writing its placeholder there.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
import threading
from codecs import utf_8_decode
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import quote

import msgspec

from agentguard.calls import Json
from agentguard.errors import Unrevealable, UsageError
from agentguard.secret_forms import (
    ASSIGNED,
    ASSIGNED_HINTS,
    BASE64,
    BOT_TOKEN,
    CARD,
    CLIENT_SECRET,
    CODE,
    HEADER_LINE,
    HOOK,
    HOOK_HINTS,
    NAME_BEFORE,
    PEM,
    PROSE,
    SCHEME,
    SCHEME_HINTS,
    SIGNED,
    TOKEN,
    TOKEN_SIGNS,
    USERINFO,
    VALUE,
    is_basic,
    is_card,
)
from agentguard.secret_names import LITERALS, OBJECT_IDS, Kind, is_id, kind_of

__all__ = ["Redactor", "Unrevealable", "shrink"]

_PLACEHOLDER = re.compile(r"\[redacted ([a-f][0-9a-f]{15})\]")  # a letter first: it is never read as a card number

_SECRET_HEADERS = re.compile(r"signature|^authentication$|client-cert", re.IGNORECASE)


class Redactor:
    """Takes secrets out and remembers them for as long as it lives. One serves many threads."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._placeholders: dict[tuple[type, Json], str] = {}
        self._remembered: dict[str, Json] = {}
        self._known: set[str] = set()
        self._known_pattern: re.Pattern[str] | None = None
        self._seen: dict[str, None] = {}
        self._seen_pattern: re.Pattern[str] | None = None
        self.learn(*secrets)

    def learn(self, *secrets: str) -> None:
        """Recognise these wherever they occur, also quoted for a URL or in Base64; short ones would hit words."""
        with self._lock:
            for secret in secrets:
                if len(secret) >= 6:
                    forms = (secret, quote(secret, safe=""), *(_base64(s) for s in (secret, f"{secret}:")))
                    self._known.update(forms)
            if self._known:
                self._known_pattern = _any_of(self._known)

    def clean(self, value: Json) -> Json:
        """Return *value* without its secrets; what holds none comes back as it is."""
        return self._clean(value, None, "")

    def clean_text(self, text: str) -> str:
        """Return a message or traceback without its secrets, also those that stood under a telling name before."""
        if self._seen_pattern is not None:
            text = self._seen_pattern.sub(self._hide_match, text)
        return self._scrub(text)

    def public(self, name: str) -> str:
        """Return *name*, by which the program finds something again. Raises UsageError where it holds a secret."""
        if self.clean_text(name) != name:
            raise UsageError(
                "a name that the program gave holds a secret, and names go on record as they are. Nothing was put on "
                "record and nothing was sent. Give it a name without one."
            )
        return name

    def clean_headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return header fields without their secrets."""
        cleaned: dict[str, str] = {}
        for name, value in headers.items():
            secret = _SECRET_HEADERS.search(name) and not is_id(name)
            cleaned[name] = (
                self._hide(value, literal=True) if secret and value else self._clean(value, kind_of(name), name)
            )
        return cleaned

    def reveal(self, value: Json) -> Json:
        """Put back what `clean` took out. Raises `Unrevealable` for a placeholder of another process."""
        if isinstance(value, str):
            whole = _PLACEHOLDER.fullmatch(value) if value.startswith("[redacted ") else None
            if whole:
                return self._remembered_as(whole)
            if "[redacted " in value:
                return _PLACEHOLDER.sub(lambda found: str(self._remembered_as(found)), value)
            return value
        if isinstance(value, dict):
            return {self.reveal(name): self.reveal(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.reveal(item) for item in value]
        return value

    def reveal_known(self, value: Json) -> Json:
        """Put back what this process has taken out, and leave the placeholders of others as they are."""
        if isinstance(value, str):
            return _PLACEHOLDER.sub(self._known_as, value) if "[redacted " in value else value
        if isinstance(value, dict):
            return {self.reveal_known(name): self.reveal_known(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.reveal_known(item) for item in value]
        return value

    def _known_as(self, found: re.Match[str]) -> str:
        try:
            return str(self._remembered_as(found))
        except Unrevealable:
            return found[0]

    def _remembered_as(self, found: re.Match[str]) -> Json:
        try:
            return self._remembered[found[1]]
        except KeyError:
            raise Unrevealable(
                f"{found[0]} stands for a secret that only the process which made the call knew. "
                "Nothing was sent. Undo this call by hand, with the secret from where you keep it."
            ) from None

    # Walking through JSON

    def _clean(self, value: Json, kind: Kind | None, name: str) -> Json:
        if isinstance(value, str):
            if kind is not None and _is_secret(value, kind):
                return self._hide(value, literal=True, seen=True)
            if len(value) < 6:
                return value
            if "[redacted " in value:
                value = _PLACEHOLDER.sub(self._hide_literal, value)
            return self._scrub(value, ids=is_id(name))
        if isinstance(value, dict):
            whole = kind if kind is Kind.GROUP else None
            named = value.get("name", value.get("key")) if "value" in value else None
            if whole is not None or not isinstance(named, str):
                named = "value"
            return {  # [{"name": "DB_PASSWORD", "value": "..."}]: the name says what the value is
                self._clean_name(key): self._clean_item(item, named if key == "value" else key, name, whole)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            if value and all(isinstance(item, list | tuple) and len(item) == 2 for item in value):
                return [self._clean_pair(item[0], item[1], kind) for item in value]
            return [self._clean(item, None if isinstance(item, dict) else kind, name) for item in value]
        if isinstance(value, int) and not isinstance(value, bool):
            return self._clean_number(value, kind, name)
        return value

    def _clean_pair(self, name: Json, item: Json, kind: Kind | None) -> list[Json]:
        """Headers and the like, as a list of pairs."""
        named = name if isinstance(name, str) else ""
        return [self._clean(name, kind, ""), self._clean(item, kind_of(named) or kind, named)]

    def _clean_item(self, item: Json, key: str, parent: str, whole: Kind | None = None) -> Json:
        kind = kind_of(key)
        if kind is None and key == "number" and "card" in parent:
            kind = Kind.DIGITS
        if kind is None and not isinstance(item, dict):
            kind = whole
        return self._clean(item, kind, key)

    def _clean_name(self, name: str) -> str:
        if len(name) < 12:
            return name
        if "[redacted " in name:
            name = _PLACEHOLDER.sub(self._hide_literal, name)
        return self._scrub(name)

    def _clean_number(self, value: int, kind: Kind | None, name: str) -> Json:
        if kind is Kind.EXACT or (kind is Kind.DIGITS and value > 99_999):
            return self._hide(value)
        if value > 999_999_999_999 and not is_id(name) and is_card(str(value)):
            return self._hide(value)
        return value

    # Looking into text. Cheap questions first: nearly every text holds nothing.

    def _scrub(self, text: str, *, ids: bool = False) -> str:
        if self._known_pattern is not None:
            text = self._known_pattern.sub(self._hide_match, text)
        if len(text) < 10:
            return self._scrub_assigned(text) if "=" in text or ":" in text else text
        if "-" in text and "-----BEGIN" in text:
            text = PEM.sub(self._hide_match, text)
        if len(text) < 50 or any(sign in text for sign in TOKEN_SIGNS):
            text = TOKEN.sub(self._hide_match, text)
        if "_" in text and "_secret_" in text:
            text = CLIENT_SECRET.sub(self._hide_match, text)
        if ":" in text:
            if ":AA" in text:
                text = BOT_TOKEN.sub(self._hide_match, text)
            if "://" in text:
                text = USERINFO.sub(self._hide_userinfo, text)
                if any(hint in text for hint in HOOK_HINTS):
                    text = HOOK.sub(self._hide_match, text)
        if "=" in text or ":" in text or "--" in text or "</" in text:
            text = self._scrub_assigned(text)
        if " " in text:
            lowered = text.lower()
            if any(hint in lowered for hint in SCHEME_HINTS):
                text = SCHEME.sub(self._hide_scheme, text)
        elif len(text) >= 24 and BASE64.match(text):
            text = self._scrub_base64(text)
        if not ids:
            text = CARD.sub(self._hide_card, text)
        return text

    def _scrub_assigned(self, text: str) -> str:
        if "?" in text or "&" in text:
            text = SIGNED.sub(lambda found: f"{found[1]}={self._hide(found[2])}", text)
        lowered = text.lower()
        if not any(hint in lowered for hint in ASSIGNED_HINTS):
            return text
        text = HEADER_LINE.sub(self._hide_group, text)
        return self._hide_assigned(text)

    def _scrub_base64(self, text: str) -> str:
        try:
            begin = text[:64]
            if len(text) > 64 and not ("\n" in begin or "\r" in begin):  # what is no text shows it soon, as a rule
                utf_8_decode(base64.b64decode(begin.translate(_URL_SAFE)), "strict", False)
            decoded = base64.b64decode(text.translate(_URL_SAFE), validate=False).decode()
        except (binascii.Error, UnicodeDecodeError):
            return text  # not Base64 after all, or not of a text
        return text if self._scrub(decoded) == decoded else self._hide(text)

    def _hide_match(self, found: re.Match[str]) -> str:
        return self._hide(found[0])

    def _hide_literal(self, found: re.Match[str]) -> str:
        return self._hide(found[0], literal=True)

    def _hide_group(self, found: re.Match[str]) -> str:
        name = "credentials" if found["credentials"] else "cookie"
        return _replace(found, name, self._hide)

    def _hide_userinfo(self, found: re.Match[str]) -> str:
        if found["password"]:
            return _replace(found, "password", self._hide)
        user = found["user"]
        return _replace(found, "user", self._hide) if len(user) >= 20 and any(map(str.isdigit, user)) else found[0]

    def _hide_scheme(self, found: re.Match[str]) -> str:
        scheme, value = found[1], found[2].rstrip(".:")
        if scheme.lower() == "basic" and not is_basic(value):
            return found[0]
        plain = value.isalpha() and (scheme != "Bearer" or len(value) < 8 or PROSE.match(value))
        if plain and (value.islower() or value.istitle()):
            return found[0]
        start = found.start(2) - found.start()
        return found[0][:start] + self._hide(value) + found[2][len(value) :]

    def _hide_assigned(self, text: str) -> str:
        # Not a substitution: behind a name that is none of a secret's, the search goes on within what it assigns.
        parts: list[str] = []
        done = at = 0
        while found := ASSIGNED.search(text, at):
            at = found.end()
            before = NAME_BEFORE.search(text, max(done, found.start() - 40), found.start())
            begin = before.start() if before else found.start()
            name = text[begin : found.end("tail")]
            told = found["sign"] or (name.startswith("--") if found["gap"] else text[begin - 1 : begin] == "<")
            sign = found["sign"] or "="
            value, kind = VALUE.match(text, at), kind_of(name)
            if not told or value is None or kind is None or not _assigns(value, kind, sign):
                continue
            group = "bare" if value["bare"] else "quoted"
            parts += (text[done : value.start(group)], self._hide(value[group], seen=True))
            done = at = value.end(group)
        return "".join([*parts, text[done:]]) if parts else text

    def _hide_card(self, found: re.Match[str]) -> str:
        before = found.string[max(0, found.start() - 2) : found.start()]
        inside = before[-1:].isalnum() or before[-1:] in ("_", "+") or (before[-1:] == "." and before[:1].isdigit())
        return found[0] if inside or not is_card(re.sub(r"[ -]", "", found[0])) else self._hide(found[0])

    def _hide(self, secret: Json, *, literal: bool = False, seen: bool = False) -> str:
        """Return the placeholder of *secret*; remember it as it was, without placeholders in it."""
        with self._lock:
            if isinstance(secret, str) and not literal:
                secret = _PLACEHOLDER.sub(lambda found: str(self._remembered.get(found[1], found[0])), secret)
            if seen and isinstance(secret, str) and len(secret) >= 8 and not secret.isalpha():
                self._remember_seen(secret)
            known = self._placeholders.get((type(secret), secret))
            if known is not None:
                return known
            name = secrets.choice("abcdef") + secrets.token_hex(8)[1:]
            self._remembered[name] = secret
            self._placeholders[type(secret), secret] = placeholder = f"[redacted {name}]"
            return placeholder

    def _remember_seen(self, secret: str) -> None:
        if secret not in self._seen:
            self._seen[secret] = None
            if len(self._seen) > 200:  # the oldest are forgotten; a longer list would make every message slow
                self._seen.pop(next(iter(self._seen)))
            self._seen_pattern = _any_of(self._seen)


def shrink(value: Json, limit: int = 65536) -> Json:
    """Keep what is stored of an answer below *limit* bytes: large parts give way to their size and SHA-256 digest."""
    if len(msgspec.json.encode(value)) <= limit:
        return value
    if isinstance(value, dict):
        smaller = {name: shrink(item, limit) for name, item in value.items()}
        sizes = {name: len(msgspec.json.encode(item)) for name, item in smaller.items()}
        excess = len(msgspec.json.encode(smaller)) - limit
        for name in sorted(sizes, key=sizes.__getitem__, reverse=True):
            if excess > 0 and sizes[name] > _STAND_IN_SIZE:
                smaller[name] = _stand_in(value[name])
                excess -= sizes[name] - _STAND_IN_SIZE
        return smaller if excess <= 0 else _stand_in(value)
    return _stand_in(value)


_STAND_IN_SIZE = 120  # of one stand-in, encoded


def _stand_in(value: Json) -> Json:
    body = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else msgspec.json.encode(value)
    return {"$large": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def _any_of(words: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)))


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode().rstrip("=")


_URL_SAFE = str.maketrans("-_", "+/")


def _replace(found: re.Match[str], group: str, hide: Callable[[str], str]) -> str:
    """The whole match with *group* in it hidden."""
    start, end = found.start(group) - found.start(), found.end(group) - found.start()
    return found[0][:start] + hide(found[group]) + found[0][end:]


def _is_secret(value: str, kind: Kind) -> bool:
    """Whether *value*, under a name of *kind*, is what the name promises."""
    if not value or value.lower() in LITERALS or not value.strip("*•x. "):
        return False
    if kind is Kind.DIGITS:
        return sum(map(str.isdigit, value)) >= 6
    return kind is Kind.EXACT or not OBJECT_IDS.match(value)


def _assigns(found: re.Match[str], kind: Kind, sign: str) -> bool:
    """Whether what is assigned to a secret's name is one, and not prose or a piece of a program."""
    value = found["quoted"] or found["bare"]
    if not _is_secret(value, kind) or _PLACEHOLDER.fullmatch(value):
        return False
    if found["quoted"]:  # for a token, not if it reads like words
        return kind is Kind.EXACT or len(value) >= 12 or not value.replace(" ", "").isalpha()
    after = found.string[found.end() : found.end() + 1]
    if (
        len(value) < 3
        or value.rstrip(".").lower() in LITERALS
        or after in ("(", "[")
        or CODE.match(value)
        or kind_of(value)
    ):
        return False
    if sign == "=":
        return True
    if not value.strip(".").isalpha():
        return (len(value) >= 6 or kind is Kind.EXACT) and not value.startswith(("http://", "https://"))
    return kind is Kind.EXACT and len(value) >= 6 and after in ("", "\n", "\r")
