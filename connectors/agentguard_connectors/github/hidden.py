"""The hidden comment by which a call is known when its answer was lost.

Markdown lets HTML through, and GitHub renders no HTML comment (https://github.github.com/gfm/#html-comment). So a text
in Markdown can carry a mark of ours at its end, which a list of issues, comments or releases shows again. Nothing that
is not Markdown gets one: no title, no commit message, no file, no name.
"""

from __future__ import annotations

import re
from typing import TypeGuard

from agentguard.calls import Forward, Json, forward

AT_THE_END = re.compile(r"<!-- agentguard:(ag-[0-9a-z]+) -->\s*\Z")
FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
LONGEST = 65_536
"""As many characters as GitHub takes for an issue or a comment."""


def hidden(mark: str) -> str:
    """The comment that carries *mark*."""
    return f"<!-- agentguard:{mark} -->"


def mark_of(body: Json) -> str | None:
    """The mark at the end of a text. One further up came with a text that was copied."""
    found = AT_THE_END.search(body) if isinstance(body, str) else None
    return found[1] if found else None


def is_marked(body: Json, mark: str | None) -> TypeGuard[str]:
    """Whether *body* ends with *mark*."""
    return mark is not None and mark_of(body) == mark


def marking(body: Json, mark: str | None) -> Forward:
    """Let a call go with *mark* at the end of its text; as it is where the mark would show or change what is meant."""
    if mark is None or not takes_mark(body) or is_marked(body, mark):
        return forward()
    marked = f"{body}\n\n{hidden(mark)}" if body else hidden(mark)
    return forward().changing(body=marked) if len(marked) <= LONGEST else forward()


def takes_mark(body: Json) -> bool:
    """Whether a hidden comment can follow *body* unseen, and without changing what programs read in it."""
    if body is None:
        return True
    return isinstance(body, str) and not is_command(body) and not ends_in_code(body)


def is_command(body: str) -> bool:
    """Whether *body* is one line that speaks to a program, such as `/deploy`: some take nothing but the bare words."""
    words = body.strip()
    return words[:1] in ("/", "@", "!") and "\n" not in words


def ends_in_code(body: str) -> bool:
    """Whether a fence of code is open at the end, in which a comment would be shown as it stands."""
    opened = ""
    for line in body.splitlines():
        found = FENCE.fullmatch(line)
        if found is None:
            continue
        fence, rest = found[1], found[2].strip()
        if not opened:
            opened = "" if fence[0] == "`" and "`" in rest else fence
        elif fence.startswith(opened) and not rest:
            opened = ""
    return bool(opened)
