"""What secrets look like by themselves: the forms that vendors give them, and how texts assign them.

The patterns are tried on everything that is written down, also on what strangers wrote: none may take more than linear
time, so that each repeat is bounded or ends where the match does. Where the form alone does not decide,
`agentguard.redaction` looks at what stands around a match.
"""

from __future__ import annotations

import base64
import binascii
import re

_TOKENS = (
    r"gh[opsru]_[A-Za-z0-9]{6}[\w.-]*\w",
    r"github_pat_\w{6,}",
    *(rf"{kind}k_(?:live|test|org)_\w{{4,}}" for kind in "sre"),
    r"rk_[A-Za-z0-9]{16,}",
    r"whsec_[\w+/=]{6,}",
    r"xox[a-z](?:\.xox[a-z])?-[\w-]{4,}",
    r"xapp-[\w-]{4,}",
    *(rf"{kind}[A-Z0-9]{{16}}" for kind in ("AKIA", "ASIA", "ABIA", "ACCA")),
    r"AIza[\w-]{20,}",
    r"ya29\.[\w.-]{6,}",
    r"GOCSPX-[\w-]{10,}",
    r"1//0[\w-]{20,}",
    r"gl(?:pat|dt|rt|ptt|ft|soat|cbt|agent)-[\w.-]{6,}",
    *(rf"{name}_(?:(?=[A-Za-z]*\d)[A-Za-z0-9]{{12,}}|[A-Za-z]{{24,}})" for name in ("npm", "hf", "ntn", "secret")),
    r"pypi-[\w-]{16,}",
    r"pat-[a-z]{2}\d-[0-9A-Za-z-]{16,}",
    r"SG\.[\w-]{10,}\.[\w-]{10,}",
    r"sk-(?=[\w-]{0,80}\d)[\w-]{20,}",
    r"lin_(?:api|oauth)_\w{16,}",
    r"shp(?:at|ca|pa|ss)_[0-9A-Za-z]{16,}",
    r"do[opr]_v1_[0-9a-f]{32,}",
    r"figd_[\w-]{16,}",
    r"re_[A-Za-z0-9]{6,12}_[A-Za-z0-9]{16,}",
    r"sq0[a-z]{3}-[\w-]{16,}",
    r"hv[sb]\.[\w-]{16,}",
    r"dapi[0-9a-f]{32}",
    r"ATATT3[\w=-]{16,}",
    r"PMAK-[\w-]{16,}",
    r"gsk_[A-Za-z0-9]{20,}",
    r"r8_[A-Za-z0-9]{20,}",
    r"sb[p]_[0-9a-f]{20,}",
    r"sb_secret_\w{10,}",
    r"eyJ[\w-]{5,4096}\.[\w-]{4,}(?:\.[\w-]*){1,3}",  # JWT and JWE: the first part is JSON in Base64
)
"""What the tokens of vendors look like; each begins with two plain characters."""


def _any_token() -> re.Pattern[str]:
    """A pattern for all tokens that gives most places of a text up at their first or second character."""
    # not within a word, but after a quoted character
    begins = r"(?:(?<![A-Za-z0-9]..)|(?<=%[0-9A-Fa-f]{2}..)|(?<=\\[nrt]..))"
    groups: dict[str, dict[str, list[str]]] = {}
    for form in _TOKENS:
        groups.setdefault(form[0], {}).setdefault(form[1], []).append(form[2:])
    firsts: list[str] = []
    for first, seconds in groups.items():
        tokens = (f"{second}{begins}(?:{'|'.join(rests)})" for second, rests in seconds.items())
        firsts.append(f"{first}(?:{'|'.join(tokens)})")
    return re.compile("|".join(firsts))


TOKEN = _any_token()
TOKEN_SIGNS = ("_", "-", ".", "A", "1//0", "dapi")
"""One of these is in every token."""
CLIENT_SECRET = re.compile(r"\b[a-z]{2,6}_[A-Za-z0-9_]{4,}_secret_\w{4,}")  # Stripe: pi_..._secret_...
BOT_TOKEN = re.compile(r"(?<!\d)\d{8,10}:AA[\w-]{33}(?![\w-])")  # Telegram
PEM = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)
USERINFO = re.compile(r"(?<=://)(?P<user>[^/?#\s@:\"'<>]*)(?::(?P<password>[^/?#\s\"'<>]+))?@")
HOOK = re.compile(
    r"(?<=hooks\.slack\.com/)\w+/[\w/-]+|(?<=/api/webhooks/)\d+/[\w-]{20,}|(?<=api\.telegram\.org/)bot[\w:-]+"
)
SIGNED = re.compile(
    r"(?<=[?&;])((?:x-amz-|x-goog-)?sig(?:nature)?|code(?==\w*\d))=(?!\[redacted )([^&#\s\"'<>]{8,})", re.IGNORECASE
)
SCHEME = re.compile(r"\b(bearer|basic|digest|negotiate)\s+(?!\[redacted)([\w.~+/=:-]{6,})", re.IGNORECASE)
PROSE = re.compile(
    r"(?:access|accounts?|auth|authentication|authorization|credentials?|format|headers?|plan|price|realm|schem[ae]"
    r"|security|support|tokens?|values?)\Z",
    re.IGNORECASE,
)
"""What follows the name of an authentication scheme where people write about it."""
HEADER_LINE = re.compile(
    r"\b(?:(?:proxy-)?authorization\\?[\"']?\s*[:=]\s*\\?[\"']?"
    r"(?:aws4-hmac-sha256|apikey|basic|bearer|digest|negotiate|token)\s+(?P<credentials>[^\r\n\"'\\]+)"
    r"|(?:set-)?cookie\\?[\"']?\s*[:=]\s*\\?[\"']?(?P<cookie>[\w!#$%&*+.^`|~-]+=[^\r\n\"'\\]+))",
    re.IGNORECASE,
)
ASSIGNED = re.compile(
    r"(?:pass|pwd|secret|token|key|credential|cookie|auth|jwt|otp|cvc|cvv|iban|ssn)(?P<tail>[\w-]{0,30})"
    r"(?:\\?[\"'\]]?\s{0,3}(?P<sign>=>|:=|=|:)(?!=)\s{0,3}|(?P<closes>>)|(?P<gap> ))",
    re.IGNORECASE,
)
"""`name=`, `"name":`, `<name>`; and `--name `, which the caller has to tell from prose."""
VALUE = re.compile(
    r"[bru]{0,2}\\?(?P<mark>[\"'])(?P<quoted>(?:(?!\\?(?P=mark)).){1,4096})|(?P<bare>[^\s&\"'`,;<>()\[\]{}\\]+)",
    re.DOTALL,
)
"""What is assigned, right behind the sign."""
ASSIGNED_HINTS = (
    "pass",
    "pwd",
    "secret",
    "token",
    "key",
    "credential",
    "cookie",
    "auth",
    "jwt",
    "otp",
    "cvc",
    "cvv",
    "iban",
    "ssn",
)
SCHEME_HINTS = ("bearer", "basic", "digest", "negotiate")
HOOK_HINTS = ("hooks.slack.com/", "/api/webhooks/", "api.telegram.org/")
NAME_BEFORE = re.compile(r"(?:\b(?:access|api|private|secret) )?[\w-]*\Z", re.IGNORECASE)
CODE = re.compile(r"[$%<{*]|(?:[A-Za-z_]+\.)+[A-Za-z_]+\Z")
"""What stands behind a secret's name in a program or template: a variable, a placeholder, an attribute."""
CARD = re.compile(r"[2-6](?:\d{13,15}|\d{3}([ -])\d{4}\1\d{4}\1\d{4}|\d{3}([ -])\d{6}\2\d{4,5})(?!\w|[.-]\d)")
ISSUED = re.compile(  # who issues cards with which first digits, and how long they are (ISO/IEC 7812)
    r"4\d{15}\Z|5[1-5]\d{14}\Z|2(?:2[2-9]|[3-6]\d|7[01])\d{13}\Z|2720\d{12}\Z|3[47]\d{13}\Z"
    r"|(?:6011|65\d\d|64[4-9]\d)\d{12}\Z|3(?:0[0-5]|[68]\d)\d{11}\Z|35(?:2[89]|[3-8]\d)\d{12}\Z|62\d{14}\Z"
)
BASE64 = re.compile(r"[A-Za-z0-9+/_-][A-Za-z0-9+/_\r\n-]+={0,2}[\r\n]{0,2}\Z")


def is_basic(value: str) -> bool:
    """Whether *value* is user and password as RFC 7617 encodes them."""
    try:
        return b":" in base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except binascii.Error:
        return False


def is_card(digits: str) -> bool:
    """Whether *digits* have an issuer's first digits, the length of its cards and a right check digit (Luhn)."""
    if not ISSUED.match(digits):
        return False
    doubled = (int(d) * 2 if at % 2 else int(d) for at, d in enumerate(reversed(digits)))
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0
