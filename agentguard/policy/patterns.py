"""Patterns that cannot be made to run for ever: `*` in names, and regular expressions without backtracking.

The arguments of a call are written by an agent, and a pattern that Python's `re` searches for minutes would stop the
program that it is to protect. So `Expression` takes a part of the language (no look-around, no back references) and
follows all ways through the pattern at once: the time is at most length of the text times length of the pattern.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

LONGEST_PATTERN = 200
LONGEST_TEXT = 4000
MOST_STATES = 500


def like(pattern: str, text: str) -> bool:
    """Tell whether *text* is *pattern*, in which `*` stands for any characters, dots and slashes too."""
    first, *rest = pattern.split("*")
    if not rest:
        return text == pattern
    *middle, last = rest
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


@dataclass(frozen=True, slots=True)
class _State:
    """A step of the machine: what one character has to be, or (without *atom*) where to go without any."""

    atom: re.Pattern[str] | None
    next: tuple[int, ...]


class Expression:
    """A regular expression that has to match the whole of a text. Raises ValueError where it cannot be used."""

    def __init__(self, pattern: str) -> None:
        if len(pattern) > LONGEST_PATTERN:
            raise ValueError(f"the pattern has {len(pattern)} characters; at most {LONGEST_PATTERN} are taken")
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        self.pattern = pattern
        reader = _Reader(pattern)
        self._states = reader.states
        self._start = reader.whole()

    def fits(self, text: str) -> bool:
        """Tell whether the whole of *text* matches. Raises ValueError where it is longer than LONGEST_TEXT."""
        if len(text) > LONGEST_TEXT:
            raise ValueError(f"the text has {len(text)} characters; at most {LONGEST_TEXT} are looked at")
        at = self._reached([self._start])
        seen: dict[tuple[frozenset[int], str], frozenset[int]] = {}
        for character in text:
            key = at, character
            if key not in seen:
                seen[key] = self._reached([self._states[s].next[0] for s in at if self._takes(s, character)])
            at = seen[key]
            if not at:
                return False
        return _END in at

    def _takes(self, state: int, character: str) -> bool:
        atom = self._states[state].atom
        return atom is not None and atom.fullmatch(character) is not None

    def _reached(self, begin: list[int]) -> frozenset[int]:
        """All states that can be reached from *begin* without a character."""
        found, waiting = set(begin), list(begin)
        while waiting:
            state = self._states[waiting.pop()]
            if state.atom is None:
                new = [step for step in state.next if step not in found]
                found.update(new)
                waiting += new
        return frozenset(found)


_END = 0
_Tree = tuple[Any, ...]
"""("atom", pattern), ("all", [trees]), ("one", [trees]) or ("times", tree, least, most or None)."""


class _Reader:
    """Reads a pattern into a tree, and builds the states of the tree from its end to its beginning."""

    def __init__(self, pattern: str) -> None:
        self.states = [_State(None, ())]
        self.ignoring = pattern.startswith("(?i)")
        self.pattern = pattern.removeprefix("(?i)")
        self.at = 0
        self.built = 0

    def whole(self) -> int:
        tree = self._either()
        if self.at < len(self.pattern):
            raise ValueError(f"an unmatched ')' at {self.at}")
        return self._build(tree, _END)

    def _either(self) -> _Tree:
        ways = [self._row()]
        while self._next("|"):
            ways.append(self._row())
        return ("one", ways) if len(ways) > 1 else ways[0]

    def _row(self) -> _Tree:
        row = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            row.append(self._repeated(self._atom()))
        return ("all", row)

    def _repeated(self, tree: _Tree) -> _Tree:
        found = re.compile(r"([*+?])|\{(\d*)(,?)(\d*)\}").match(self.pattern, self.at)
        if found is None or found[0] == "{}":
            return tree
        self.at = found.end()
        if self.pattern[self.at : self.at + 1] == "+":
            raise ValueError("possessive repeats are not taken")
        self._next("?")  # lazy or greedy: the whole has to match in either case
        if found[1]:
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[found[1]]
            return ("times", tree, least, most)
        least = int(found[2] or 0)
        return ("times", tree, least, (int(found[4]) if found[4] else None) if found[3] else least)

    def _atom(self) -> _Tree:
        here = self.pattern[self.at]
        if here == "(":
            self.at += 1
            if self._next("?") and not self._next(":"):
                raise ValueError("of the groups with (? only (?:...) is taken, and (?i) at the beginning")
            inner = self._either()
            self._next(")")
            return inner
        if here in "^$":
            raise ValueError(f"{here} is not taken: the whole text has to match in any case")
        end = self.at + 1
        if here == "\\":
            following = self.pattern[self.at + 1 : self.at + 2]
            if following.isdigit() or following in "AbBZ":
                raise ValueError(f"\\{following} is not taken: neither back references nor boundaries are")
            end += 1 + {"x": 2, "u": 4, "U": 8}.get(following, 0)
            if following == "N":
                raise ValueError("\\N is not taken: write the character itself")
        elif here == "[":
            end = self._class_end()
        text = self.pattern[self.at : end]
        self.at = end
        if here == "{":
            text = "\\{"
        return ("atom", re.compile(text, re.DOTALL | (re.IGNORECASE if self.ignoring else 0)))

    def _class_end(self) -> int:
        at = self.at + 1
        if self.pattern[at] == "^":
            at += 1
        if self.pattern[at] == "]":
            at += 1
        while self.pattern[at] != "]":
            at += 2 if self.pattern[at] == "\\" else 1
        return at + 1

    def _next(self, character: str) -> bool:
        if self.pattern[self.at : self.at + 1] != character:
            return False
        self.at += 1
        return True

    def _build(self, tree: _Tree, then: int) -> int:
        """Add the states of *tree*, to be followed by the state *then*, and return the first of them."""
        self.built += 1
        if self.built > 10 * MOST_STATES:  # repeats of nothing add no states
            raise ValueError("the pattern repeats too much: its {n,m} multiply")
        match tree:
            case ("atom", re.Pattern() as atom):
                return self._add(atom, (then,))
            case ("all", [*row]):
                for part in reversed(row):
                    then = self._build(part, then)
                return then
            case ("one", [*ways]):
                return self._add(None, tuple(self._build(way, then) for way in ways))
            case ("times", inner, int(least), most):
                if max(least, most or 0) > MOST_STATES:
                    raise ValueError(f"a repeat is of at most {MOST_STATES}")
                if most is None:
                    loop = self._add(None, ())
                    self.states[loop] = _State(None, (self._build(inner, loop), then))
                    then = loop
                else:
                    last = then
                    for _ in range(most - least):
                        then = self._add(None, (self._build(inner, then), last))
                for _ in range(least):
                    then = self._build(inner, then)
                return then
        raise AssertionError(tree)

    def _add(self, atom: re.Pattern[str] | None, following: tuple[int, ...]) -> int:
        if len(self.states) >= MOST_STATES:
            raise ValueError("the pattern repeats too much: its {n,m} multiply")
        self.states.append(_State(atom, following))
        return len(self.states) - 1
