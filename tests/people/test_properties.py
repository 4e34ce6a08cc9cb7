"""What holds for every text, not only for those that somebody has thought of."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentguard.text import LIMIT, columns, laid_out, plain, shown, visible
from tests.people.reading import LABELS, RENDERINGS, card, nothing_unseen, of_json, values
from tests.people.texts import MISLEADING

nasty = st.sampled_from(sorted({c for text in MISLEADING.values() for c in text} | set("\n\r\t\x1b`<>&|*_[]\"'\\ ")))
anything = st.text(
    st.one_of(st.characters(), st.characters(categories=["Cs", "Cc", "Cf", "Mn", "Mc", "Zs", "Zl"]), nasty)
)
pieces = st.lists(st.sampled_from(sorted(MISLEADING.values())) | anything, max_size=4).map("".join)
values_of_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | anything,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(anything, inner, max_size=4),
    max_leaves=12,
)
thorough = settings(max_examples=400, deadline=None)


@thorough
@given(pieces)
def test_what_is_visible_can_go_to_a_screen_and_stays_as_it_is(text: str) -> None:
    once = visible(text)
    assert "\n" not in once
    assert all(c.isprintable() for c in once)
    assert visible(once) == once
    once.encode()


@thorough
@given(pieces)
def test_what_is_shown_is_short_and_on_one_line(text: str) -> None:
    once = shown(text)
    nothing_unseen(once)
    assert "\n" not in once
    assert columns(once) <= LIMIT + 40
    assert visible(once) == once


@thorough
@given(pieces)
def test_lines_hold_what_is_shown_and_begin_as_ours(text: str) -> None:
    first, *more = laid_out("target", text)
    assert first.startswith("  target      ")
    assert all(line.startswith("            | ") for line in more)
    assert first[14:] + "".join(line[14:] for line in more) == shown(text)
    assert max(columns(line) for line in (first, *more)) <= 78
    assert len(more) < 6


@thorough
@given(values_of_json)
def test_a_quoted_value_can_be_read_in_one_way(value: Any) -> None:
    assert json.loads(plain(value), strict=False) == value


@thorough
@given(st.text(st.characters(max_codepoint=126, min_codepoint=32), max_size=60))
def test_short_plain_text_is_left_alone(text: str) -> None:
    assert visible(text) == text
    assert shown(text) == text or "   " in text


@pytest.mark.parametrize("rendering", RENDERINGS)
@settings(max_examples=150, deadline=None)
@given(st.dictionaries(anything, values_of_json, max_size=4), st.lists(values_of_json, max_size=3), pieces, pieces)
def test_every_card_can_be_read(
    rendering: str, arguments: dict[str, Any], before: list[Any], target: str, said: str
) -> None:
    made = card(arguments=arguments, before=before, target=target, agent=said, intent=said, reason=said)
    write, read = RENDERINGS[rendering]
    nothing_unseen(write(made))
    rows = read(made)
    assert {label for label, _value in rows} <= LABELS
    assert len(values(rows, "target")) == len(values(rows, "risk")) == len(values(rows, "undo")) == 1
    assert of_json(made)["arguments"] == arguments
