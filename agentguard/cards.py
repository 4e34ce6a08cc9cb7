"""The card of a call that waits for a yes.

A card has two parts. What the call does is read from the exact call: each thing on a line of its own, behind a label of
ours. What the agent says about it comes after that, marked as unchecked. Whatever was written by others is quoted and
goes through text.py, so that it cannot look like a line of the card; each rendering adds the escapes of its format.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agentguard.calls import Call, Effect, Json, Risk
from agentguard.text import LIMIT, code, laid_out, moment, oddities, plain, shown, visible

if TYPE_CHECKING:
    from agentguard.connector import Connector

__all__ = ["Card", "people_in", "read_from", "shown", "visible"]

ROWS = 20
"""How many recipients, amounts, changes or arguments are shown; the rest is counted."""
_CURRENCY = re.compile(r"-?[\d.,]+(?: [A-Za-z]{3})?")
_MONEY = re.compile(r"(?:^|_)(?:amount|total|price)(?:_|$)")
_TO = frozenset(
    [
        *("to", "cc", "bcc", "recipient", "recipients", "channel", "channels", "user", "users", "assignees"),
        *("reviewers", "team_reviewers", "receipt_email", "delegateemail", "forwardingemail"),
    ]
)
"""Arguments that say who gets to see it, in lower case."""
_RECORD = ("rule", "until", "digest", "request")


@dataclass(frozen=True, slots=True)
class Card:
    """A call as the person who has to agree to it sees it. Secrets are redacted; nothing was sent yet.

    `str(card)` is for a terminal; there are `markdown()`, `slack()`, `html()` and `json()` as well. *recipients* and
    *amounts* are what the service's connector reads from the call; where they are empty, the arguments are looked at.
    """

    operation: str
    target: str
    account: str
    arguments: dict[str, Json]
    effect: Effect
    risk: Risk
    summary: str
    before: list[Json]
    undo: str
    agent: str
    intent: str
    reason: str | None = None
    recipients: list[str] = field(default_factory=list)
    amounts: list[str] = field(default_factory=list)
    digest: str = ""
    rule: str = ""
    expires_at: float | None = None
    id: str = ""

    def __str__(self) -> str:
        lines = [line for label, text in self.facts() for line in laid_out(label, text)]
        lines.append("  The agent's own words, not checked:")
        lines += [line for label, text in self.words() for line in laid_out(label, text, "> ")]
        return "\n".join(lines)

    def facts(self) -> list[tuple[str, str]]:
        """What the call does, as labels and texts. The texts are not escaped yet."""
        changed, sent, seen = _compared(self.arguments, self.before)
        others = [plain(snapshot) for at, snapshot in enumerate(self.before) if at not in seen and snapshot is not None]
        rows = [
            ("operation", self.operation if re.fullmatch(r"[\w.+-]+", self.operation) else plain(self.operation)),
            ("target", plain(self.target)),
            ("account", self.account),
            *_some("amount", self._moved()),
            *_some("to", [plain(to) for to in self._to()]),
            ("risk", f"{self.risk}, {self.effect}"),
            ("what", self.summary),
            *_some("change", changed),
            *_some("sends", sent),
            *_some("before", others),
            ("undo", "none: this cannot be taken back" if self.undo == "none" else self.undo),
            ("rule", self.rule),
            ("until", "" if self.expires_at is None else moment(self.expires_at)),
            ("digest", self.digest),
            ("request", self.id),
        ]
        rows = [(label, text) for label, text in rows if text or label not in _RECORD]
        warnings = [("warning", text) for text in self.warnings()]
        return [*warnings, *rows]

    def words(self) -> list[tuple[str, str]]:
        """What the agent says about it. Nobody has checked that."""
        said = [("agent", self.agent), ("intent", self.intent), ("reason", self.reason)]
        return [(label, plain(text)) for label, text in said if text]

    def warnings(self) -> list[str]:
        """What in the texts a person would not notice."""
        about: dict[str, list[Json]] = {
            "the target": [self.operation, self.target, self.account],
            "the recipients": self._to(),
            "the arguments": [self.arguments],
            "what was there before": self.before,
            "the agent's words": [self.agent, self.intent, self.reason or ""],
        }
        found: dict[str, list[str]] = {}
        for where, values in about.items():
            for kind in {kind for value in values for text in _texts(value) for kind in oddities(text)}:
                found.setdefault(kind, []).append(where)
        return [f"{kind} in {', '.join(places)}; shown as \\u{{...}}" for kind, places in sorted(found.items())]

    def markdown(self) -> str:
        """The card for CommonMark, as GitHub shows it. All values are code, which nothing in them can end."""
        rows = [f"- **{label}**: {code(text)}" for label, text in self.facts()]
        words = [f"- *{label}*: {code(text)}" for label, text in self.words()]
        return "\n".join([*rows, "", "The agent's own words, not checked:", "", *words])

    def slack(self) -> str:
        """The card for Slack's mrkdwn: nobody is mentioned, nothing is linked."""
        rows = [f"*{label}*  {_entities(code(text))}" for label, text in self.facts()]
        words = [f">_{label}_  {_entities(code(text))}" for label, text in self.words()]
        return "\n".join([*rows, "The agent's own words, not checked:", *words])

    def html(self) -> str:
        """The card as a fragment of HTML without styles: two tables with a row for each label."""

        def table(kind: str, rows: list[tuple[str, str]]) -> str:
            cells = (
                f'<tr><th scope="row">{label}</th><td><bdi>{html.escape(shown(text))}</bdi></td></tr>'
                for label, text in rows
            )
            return f'<table class="agentguard-{kind}">{"".join(cells)}</table>'

        note = '<p class="agentguard-unchecked">The agent&#x27;s own words, not checked:</p>'
        return table("facts", self.facts()) + note + table("words", self.words())

    def json(self) -> str:
        """The card as JSON, all values whole. ASCII only: the format escapes what misleads."""
        return json.dumps(self.to_dict(), default=str)

    def to_dict(self) -> dict[str, Json]:
        """The card as plain data. The texts are as the call has them, to be escaped by whoever shows them."""
        return {
            "id": self.id,
            "operation": self.operation,
            "target": self.target,
            "account": self.account,
            "amounts": self._moved(),
            "recipients": self._to(),
            "risk": str(self.risk),
            "effect": self.effect.value,
            "summary": self.summary,
            "arguments": self.arguments,
            "before": self.before,
            "undo": None if self.undo == "none" else self.undo,
            "rule": self.rule,
            "digest": self.digest,
            "expires_at": self.expires_at,
            "warnings": self.warnings(),
            "unchecked": {"agent": self.agent, "intent": self.intent, "reason": self.reason},
        }

    def _to(self) -> list[str]:
        return self.recipients or list(dict.fromkeys(people_in(self.arguments)))

    def _moved(self) -> list[str]:
        return [_quiet(amount) for amount in self.amounts] or list(_money(self.arguments))


def read_from(connector: Connector, call: Call) -> tuple[list[str], list[str]]:
    """Whom *call* writes to and how much money it moves, as its connector reads it; for `recipients` and `amounts`."""
    from agentguard.policy import Reading

    reading = Reading.of(connector)
    to: list[str] = []
    amounts: list[str] = []
    try:
        to = list(reading.recipients(call)) if reading.recipients else []
    except Exception as why:  # noqa: BLE001 - a card is shown in any case, and says what it could not read
        to = [f"not known: {why}"]
    try:
        moved = reading.amount(call) if reading.amount else None
        amounts = [f"{moved[0]} {moved[1].upper()}"] if moved else []
    except Exception as why:  # noqa: BLE001 - likewise
        given = call.arguments.get("amount")
        amounts = [f"not known: {why}" if given is None else f"{given} in the unit that the service counts ({why})"]
    return to, amounts


def _some(label: str, texts: list[str]) -> Iterator[tuple[str, str]]:
    yield from ((label, text) for text in texts[:ROWS])
    if len(texts) > ROWS:
        yield label, f"and {len(texts) - ROWS} more, {len(texts)} in all"


def _compared(arguments: dict[str, Json], before: list[Json]) -> tuple[list[str], list[str], set[int]]:
    """What changes, what is sent besides, and which snapshots say so."""
    changed: list[str] = []
    sent: list[str] = []
    seen: set[int] = set()

    def compare(path: str, new: Json, olds: dict[int, Json]) -> None:
        if isinstance(new, dict) and new and any(isinstance(old, dict) for old in olds.values()):
            for name, item in new.items():
                inner = {n: old[name] for n, old in olds.items() if isinstance(old, dict) and name in old}
                compare(f"{path}.{name}" if path else str(name), item, inner)
            return
        if not olds:
            sent.append(f"{plain(path)}: {_legible(new)}")
            return
        seen.update(olds)
        old = next(iter(olds.values()))
        if old == new:
            sent.append(f"{plain(path)}: {plain(new)}, as it is")
        else:
            changed.append(f"{plain(path)}: {shown(plain(old), LIMIT // 3)} -> {shown(plain(new), LIMIT // 2)}")

    for name, value in arguments.items():
        compare(name, value, {n: s[name] for n, s in enumerate(before) if isinstance(s, dict) and name in s})
    return changed, sent, seen


def _legible(value: Json) -> str:
    """A value as JSON; a text in Base64, such as a mail, as what it says."""
    if isinstance(value, str) and len(value) >= 40 and re.fullmatch(r"[\w+/-]+=*", value, re.ASCII):
        try:
            text = base64.b64decode(value.replace("-", "+").replace("_", "/") + "=" * (-len(value) % 4)).decode()
        except ValueError:
            return plain(value)
        if sum(c.isprintable() or c in "\r\n\t" for c in text) > 0.9 * len(text):
            return f"in Base64: {plain(text)}"
    return plain(value)


def _money(arguments: dict[str, Json]) -> Iterator[str]:
    for name, value in arguments.items():
        if _MONEY.search(name) and isinstance(value, int | float | str) and not isinstance(value, bool):
            currency = arguments.get("currency")
            of = "its currency is not in the call" if currency is None else "in the unit that the service counts"
            yield f"{_quiet(str(value) if currency is None else f'{value} {currency}')} ({of})"
        elif isinstance(value, dict):
            yield from _money({"currency": arguments.get("currency"), **value})


def people_in(arguments: dict[str, Json], depth: int = 2) -> Iterator[str]:
    """Who gets to see what a call does, as far as the names of its arguments tell."""
    for name, value in arguments.items():
        if name.lower() in _TO:
            for given in value if isinstance(value, list) else [value]:
                if isinstance(given, str) and given:
                    yield from _addresses(given)
                elif isinstance(given, dict):
                    yield plain(given)
        elif isinstance(value, dict) and depth:
            yield from people_in(value, depth - 1)


def _addresses(text: str) -> Iterator[str]:
    """The addresses in a header, without the names that they give themselves; any other text as it is."""
    from email.utils import getaddresses  # which takes a while to import, and is needed when somebody is asked

    parsed = getaddresses([text]) if "@" in text else []
    whole = parsed and all("@" in address and address in text for _name, address in parsed)
    yield from (address for _name, address in parsed) if whole else [text]


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        yield plain(value)


def _quiet(text: str) -> str:
    return text if _CURRENCY.fullmatch(text) else plain(text)


def _entities(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
