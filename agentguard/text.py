"""Text of others, shown so that it cannot mislead: nothing hidden, nothing in disguise, nothing endless.

What an agent writes is read by people who have to decide about it. Here it loses what would move a cursor, begin a
line, change the direction of text, hide letters or pass for other letters; what is long is cut in the middle, with its
length.
`visible` is for any text on a screen. `shown` does more, for what people decide by.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

from agentguard.calls import Json

WIDTH = 78
"""Columns of a line in a terminal; lines are broken here, since a terminal would begin one with any text."""
LIMIT = 240
"""Columns that one value takes at most: four or five lines."""
_LABEL = 10

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_BLANK = frozenset(
    map(chr, (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F, 0x2800, 0x3164, 0xFFA0, 0x1D159))
) | frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
"""What Python calls printable and nobody sees: fillers, joiners, variation selectors."""
_PUNCTUATION = frozenset("\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f\uff5e\uff05")  # as Chinese and Japanese write it
_MIXED = frozenset(
    ("CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC", "LISU", "DESERET", "GOTHIC", "CANADIAN", "VAI", "OSAGE")
)
"""Alphabets with letters that look like Latin ones; nobody writes both in one word."""
_TWINS = frozenset(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04bb\u04cf\u0501\u051b\u051d\u04ae\u04af\u0474\u0475"
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0406\u0408\u0405\u050c\u051a\u051c\u04c0"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03bf\u03bd\u03c1\u03f2\u03f3"
)
"""Cyrillic and Greek letters that look like Latin ones."""
_ADDRESS = re.compile(r"@|\uff20|://|\w[.\u3002\uff0e\uff61]\w")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str) -> str:
    r"""Return *text* with what moves a cursor, turns text around or is not seen as escapes, such as `\u{202e}`.

    May be applied twice. An escape that somebody has typed looks the same, and hides nothing.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() and c not in _BLANK else escape(c) for c in text)


def escape(character: str) -> str:
    """One character as an escape."""
    return _SHORT.get(character) or f"\\u{{{ord(character):x}}}"


def shown(text: str, limit: int = LIMIT) -> str:
    """Text of others on one line, as a person may see it: nothing hidden, nothing in disguise, not endless."""
    return "".join(units(text, limit))


def units(text: str, limit: int = LIMIT) -> list[str]:
    """The same in pieces, between which a line may be broken."""
    collapsed = re.sub(" {3,}", lambda run: f"[{len(run[0])} spaces]", text)
    if len(collapsed) > 8 * limit:
        parts = [_pieces(collapsed[: 4 * limit]), _pieces(collapsed[-4 * limit :])]
    else:
        whole = _pieces(collapsed)
        if sum(map(columns, whole)) <= limit:
            return whole
        parts = [whole, whole]
    head = list(_up_to(parts[0], limit * 2 // 3))
    tail = list(_up_to(parts[1][::-1], limit // 6))[::-1]
    return [*head, " … ", f"({len(text)} characters)", " … ", *tail]


def oddities(text: str) -> set[str]:
    """What is in *text* that a person would not notice, in words."""
    return {kind for kind in _odd(text).values() if kind}


def columns(text: str) -> int:
    """How wide a terminal shows *text*."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _pieces(text: str) -> list[str]:
    if text.isascii() and text.isprintable():
        return list(text)
    odd = _odd(text)
    found: list[str] = []
    for at, c in enumerate(text):
        if at in odd:
            found.append(escape(c))
        elif found and unicodedata.category(c)[0] == "M":
            found[-1] += c  # it stays on its letter, also where the line is broken
        else:
            found.append(c)
    return found


def _up_to(pieces: list[str], limit: int) -> Iterator[str]:
    for piece in pieces:
        limit -= columns(piece)
        if limit < 0:
            return
        yield piece


def _odd(text: str) -> dict[int, str]:
    """The places of characters that are shown as escapes, and why; "" where that needs no warning."""
    if text.isascii() and text.isprintable():
        return {}
    odd: dict[int, str] = {}
    marks = 2  # on nothing there can be no mark: it would sit on what stands before
    for at, c in enumerate(text):
        if c in _BIDI:
            odd[at] = "text direction marks"
        elif not c.isprintable() or c in _BLANK:
            space = c in _SHORT or unicodedata.category(c) == "Zs"
            control = unicodedata.category(c) in ("Cc", "Cs")
            odd[at] = "" if space else "control characters" if control else "invisible characters"
        elif unicodedata.category(c) in ("Mn", "Me"):
            marks += 1
            if marks > 2:
                odd[at] = "piled up marks"
            continue
        elif ord(c) > 0xFF and _passes_for_ascii(c):
            odd[at] = "look-alike letters"
        marks = 2 if at in odd else 0
    alike = [*_mixed(text), *_twins(text)]
    return odd | {at: "look-alike letters" for at in alike if at not in odd}


@lru_cache(4096)
def _passes_for_ascii(c: str) -> bool:
    plain = unicodedata.normalize("NFKC", c)
    return len(plain) == 1 and plain.isascii() and c not in _PUNCTUATION


@lru_cache(4096)
def _script(c: str) -> str:
    return unicodedata.name(c, "").partition(" ")[0] if c.isalpha() else ""


def _mixed(text: str) -> Iterator[int]:
    """Letters of another alphabet in a Latin word; in addresses also all else that is not plain."""
    for word in re.finditer(r"\w+", text):
        if not word[0].isascii() and any(_script(c) == "LATIN" for c in word[0]):
            yield from (word.start() + at for at, c in enumerate(word[0]) if _script(c) in _MIXED)
    for token in re.finditer(r"\S+", text):
        if token[0].isascii() or not _ADDRESS.search(token[0]):
            continue
        latin = any(c.isascii() and c.isalpha() for c in token[0])
        for at, c in enumerate(token[0]):
            script = _script(c)
            if not c.isascii() and (not c.isalpha() or script == "LATIN" or (latin and script in _MIXED)):
                yield token.start() + at


def _twins(text: str) -> Iterator[int]:
    """Letters that look like Latin ones, where nothing else in *text* is of their alphabet."""
    for script in ("CYRILLIC", "GREEK"):
        places = [at for at, c in enumerate(text) if not c.isascii() and _script(c) == script]
        if all(text[at] in _TWINS for at in places):
            yield from places


def plain(value: Json, depth: int = 12) -> str:
    """A value of others as JSON, in which a text cannot pass for something else. Not escaped yet."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, dict | list) and depth == 0:
        return "(nested too deep to show)"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{plain(str(name))}: {plain(item, depth - 1)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(plain(item, depth - 1) for item in value) + "]"
    return json.dumps(value, default=str)


def code(text: str) -> str:
    """Text of others as code in Markdown, which nothing in it can end."""
    return "`" + shown(text).replace("`", "\\u{60}") + "`"


def moment(seconds: float) -> str:
    """A point in time, for people."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def laid_out(label: str, text: str, mark: str = "  ") -> Iterator[str]:
    """A label and a value as lines of a terminal; a line that goes on has a bar where others have their label."""
    return broken(units(text), f"{mark}{label:<{_LABEL}}  ", f"{mark}{'':<{_LABEL}}| ")


def broken(pieces: list[str], head: str, more: str) -> Iterator[str]:
    """Pieces of text as lines of a terminal: the first behind *head*, others behind *more*, broken at blanks."""
    line: list[str] = []
    for piece in pieces:
        if columns(head) + sum(map(columns, line)) + columns(piece) > WIDTH:
            spaces = [at for at, char in enumerate(line) if char == " " and at > len(line) // 2]
            cut = spaces[-1] + 1 if spaces else len(line)
            yield head + "".join(line[:cut])
            line, head = line[cut:], more
        line.append(piece)
    yield head + "".join(line)


class Theirs(str):
    """Text in a sentence that is not ours."""

    __slots__ = ()


Sentence = tuple[str, ...]
"""Our words and theirs, in turn. One that begins with a blank belongs to the one before."""


def in_lines(sentence: Sentence) -> Iterator[str]:
    """A sentence as an item of a list in a terminal or a letter."""
    inner = sentence[0].startswith(" ")
    parts = (units(plain(part)) if isinstance(part, Theirs) else units(part, 10 * LIMIT) for part in sentence)
    pieces = [piece for part in parts for piece in part]
    head, more = ("      ", "        ") if inner else ("  - ", "    ")
    return broken(pieces[1:] if inner else pieces, head, more)


def bullet(sentence: Sentence) -> str:
    """A sentence as an item of a list in Markdown."""
    parts = [code(part or '""') if isinstance(part, Theirs) else _prose(part) for part in sentence]
    return ("  - " if sentence[0].startswith(" ") else "- ") + "".join(parts).lstrip()


def _prose(text: str) -> str:
    """Our words, in which there may be a sign that Markdown takes for its own."""
    return re.sub(r"([\\`*_\[\]<>#|~&])", r"\\\1", shown(text, 10 * LIMIT))
