"""The renderings of a card, read again by programs that are not ours, as those read them who show them."""

from __future__ import annotations

import json
import re
import unicodedata
from html.parser import HTMLParser
from typing import Any

from markdown_it import MarkdownIt

from agentguard import Card
from agentguard.calls import Effect, Json, Risk

LABELS = {
    *("operation", "target", "account", "amount", "to", "risk", "what", "change", "sends", "before", "undo"),
    *("rule", "until", "digest", "request", "warning", "agent", "intent", "reason"),
}
UNSEEN = re.compile(
    "[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\u00ad\u034f\u115f\u1160\u3164\uffa0\u2800"
    "\ufe00-\ufe0f\U000e0000-\U000e0fff]"
)
Rows = list[tuple[str, str]]


def card(**given: Any) -> Card:
    """A card of a refund, but for what is *given*."""
    usual: dict[str, Any] = {
        "operation": "stripe.refunds.create",
        "target": "pi_3Qz",
        "account": "https://api.stripe.com#acct_1 live",
        "arguments": {"payment_intent": "pi_3Qz", "amount": 2500, "currency": "eur", "to": "ashu@acme.example"},
        "effect": Effect.IRREVERSIBLE,
        "risk": Risk.HIGH,
        "summary": "Money that was refunded comes back only through a new payment.",
        "before": [],
        "undo": "none",
        "agent": "billing",
        "intent": "Refund the double charge",
    }
    return Card(**{**usual, **given})


def nothing_unseen(text: str) -> None:
    """Check that *text* can be sent to a screen as it is."""
    assert [c for c in text if not c.isprintable() and c != "\n"] == []
    assert not UNSEEN.search(text)
    assert not re.search("[\u0300-\u036f\u0489\u20d0-\u20f0]{3}", text)
    text.encode()


def of_text(shown: Card) -> Rows:
    """The rows of the text, with the lines that go on put together."""
    rows: Rows = []
    for line in str(shown).split("\n"):
        if line == "  The agent's own words, not checked:":
            continue
        assert sum(unicodedata.category(c) not in ("Mn", "Me") for c in line) <= 78
        label, middle, value = line[2:12].strip(), line[12:14], line[14:]
        assert line[:2] in ("  ", "> ")
        if label:
            assert middle == "  "
            rows.append((label, value))
        else:
            assert middle == "| "
            rows[-1] = rows[-1][0], rows[-1][1] + value
    return rows


def of_markdown(shown: Card) -> Rows:
    """The rows of the Markdown, as a parser of CommonMark sees them; nothing in it is live."""
    rows: Rows = []
    allowed = {"text", "strong_open", "strong_close", "em_open", "em_close", "code_inline"}
    for token in MarkdownIt("gfm-like", {"linkify": False, "html": True}).parse(shown.markdown()):
        assert token.type.removesuffix("_open").removesuffix("_close") in (
            *("bullet_list", "list_item", "paragraph", "inline"),
        ), token
        if token.type != "inline" or token.content == "The agent's own words, not checked:":
            continue
        parts = token.children or []
        assert {part.type for part in parts} <= allowed, token.content
        code = [part.content for part in parts if part.type == "code_inline"]
        words = [part.content for part in parts if part.type == "text" and part.content.strip(" :")]
        assert len(code) == len(words) == 1
        rows.append((words[0], code[0]))
    return rows


def of_slack(shown: Card) -> Rows:
    """The rows of the mrkdwn: a label and code on each line, and no control sequence of Slack's."""
    rows: Rows = []
    for line in shown.slack().split("\n"):
        if line == "The agent's own words, not checked:":
            continue
        found = re.fullmatch(r"(?:\*(\w+)\*|>_(\w+)_)  `([^`<>]*)`", line)
        assert found, line
        assert not re.search("&(?!amp;|lt;|gt;)", found[3])
        value = found[3].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        rows.append((found[1] or found[2], value))
    return rows


class _Tables(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.rows: Rows = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ("table", "tr", "th", "td", "bdi", "p")
        assert {name for name, _value in attrs} <= {"class", "scope"}
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def handle_data(self, data: str) -> None:
        if self.open[-1] == "th":
            self.rows.append((data, ""))
        elif self.open[-1] == "bdi":
            self.rows[-1] = self.rows[-1][0], self.rows[-1][1] + data
        else:
            assert (self.open[-1], data) == ("p", "The agent's own words, not checked:")


def of_html(shown: Card) -> Rows:
    """The rows of the HTML, as a browser's parser sees them."""
    parser = _Tables()
    parser.feed(shown.html())
    parser.close()
    assert parser.open == []
    return parser.rows


def of_json(shown: Card) -> dict[str, Json]:
    """The JSON, which is ASCII."""
    text = shown.json()
    assert text.isascii()
    assert text.isprintable()
    read: dict[str, Json] = json.loads(text)
    return read


RENDERINGS = {"text": (str, of_text), "Markdown": (Card.markdown, of_markdown), "Slack": (Card.slack, of_slack)}
RENDERINGS["HTML"] = (Card.html, of_html)


def values(rows: Rows, label: str) -> list[str]:
    """What stands behind *label*."""
    return [value for name, value in rows if name == label]
