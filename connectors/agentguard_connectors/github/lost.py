"""Looking for what a call made when its answer was lost.

By the mark in its text first. That a mark is nowhere proves that the call did not happen only where everything was read
in which it could be, and where nothing could have taken the mark out again. What proves neither raises `Unclear`: a
None from here would be believed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agentguard.calls import Finder, Json, Read, read
from agentguard_connectors.github.hidden import is_marked, mark_of

PAGE = 100
"""The most that GitHub lists at once."""
PAGES = 20
"""As many pages as are read."""
GAPS = 50
"""As many numbers as are looked at one by one."""
BEYOND = 3
"""Numbers after the newest that must be free before the list is believed to be whole."""
SKEW = timedelta(minutes=5)
"""How far GitHub's clock and ours may be apart."""
SOON = timedelta(hours=1)
"""After this time since the intent, nothing new can be the call's."""

ME = read("users.getAuthenticated").through("login").if_allowed()
"""Who the client is; None for the installation of an app, which may not ask."""


class Unclear(LookupError):
    """Nothing shows whether the call happened."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What is known of the call that is looked for."""

    mark: str | None
    body: Json
    since: str

    @property
    def marked(self) -> bool:
        """Whether it certainly went out with its mark. A text too large for the ledger does not tell."""
        return is_marked(self.body, self.mark)

    def around(self, time: str) -> bool:
        """Whether something of this *time* can be what the call made."""
        asked = datetime.fromisoformat(self.since)
        return asked - SKEW <= datetime.fromisoformat(time) <= asked + SOON

    @property
    def floor(self) -> str:
        """The earliest time, by GitHub's clock, at which the call can have happened."""
        return (datetime.fromisoformat(self.since) - SKEW).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_edited(one: Json) -> bool:
    """Whether a thing was changed after it was made."""
    return bool(one.get("updated_at") != one["created_at"])


def choose(
    found: Sequence[Json],
    sent: Sent,
    me: str | None,
    *,
    same: Callable[[Json], bool] = lambda _one: True,
    touched: Callable[[Json], bool] = is_edited,
    author: str = "user",
    made: str = "created_at",
) -> Json:
    """The one of *found* that the call made; None where it made none of them, if *found* is all that there is.

    *same* says whether a thing could be the call's where no mark tells; *touched* whether somebody may have taken a
    mark out of it. Raises Unclear.
    """
    with_mark = [one for one in found if is_marked(one.get("body"), sent.mark)]
    if len(with_mark) == 1:
        return with_mark[0]
    if with_mark:
        raise Unclear(f"{len(with_mark)} things carry its mark, and only one of them can be what it made")
    own = [one for one in found if me is None or ((one.get(author) or {}).get("login")) == me]
    bare = [one for one in own if mark_of(one.get("body")) is None and sent.around(one.get(made) or sent.since)]
    if not sent.marked:
        alike = [one for one in bare if same(one) and (one.get(made) or sent.since) >= sent.since]
        if len(alike) == 1 and me is not None:
            return alike[0]
        raise Unclear(f"it was sent without a mark, and {len(alike) or 'none'} of what was made since says the same")
    if any(touched(one) or str(sent.mark) in (one.get("body") or "") for one in bare):
        raise Unclear("it is not there by its mark, and somebody may have taken the mark out of what was made since")
    return None


def pages(listing: Read) -> Finder:
    """All that *listing* shows, page by page."""
    found: list[Json] = []
    for page in range(1, PAGES + 1):
        rows = yield read(listing.operation, **listing.arguments, per_page=PAGE, page=page)
        found += rows
        if len(rows) < PAGE:
            return found
    raise Unclear(f"there is more to look through than {PAGES} pages")


def numbered(owner: str, repo: str, sent: Sent) -> Finder:
    """All issues and pull requests, as issues, that were made since the call was.

    A list of issues may lag: one that is seconds old can be missing from it. But issues and pull requests of a
    repository share one row of numbers, so that each number which the list passes over, and the next ones after it,
    are read by themselves.
    """
    where = {"owner": owner, "repo": repo}
    found: dict[int, Json] = {}
    older = 0
    for page in range(1, PAGES + 1):
        listing = {**where, "state": "all", "sort": "created", "direction": "desc", "per_page": PAGE, "page": page}
        rows = yield read("issues.listForRepo", **listing)
        for one in rows:
            if one["created_at"] >= sent.floor:
                found[one["number"]] = one
            else:
                older = max(older, one["number"])
        if older or len(rows) < PAGE:
            break
    else:
        raise Unclear(f"there is more to look through than {PAGES} pages")
    passed_over = [number for number in range(older + 1, max(found, default=older)) if number not in found]
    if len(passed_over) > GAPS:
        raise Unclear(f"the list of issues leaves out more than {GAPS} numbers")
    for number in passed_over:
        yield from _add(found, where, number)
    free, number = 0, max(found, default=older)
    while free < BEYOND:
        number += 1
        free = 0 if (yield from _add(found, where, number)) else free + 1
        if len(found) > PAGE * PAGES:
            raise Unclear("issues are made faster than they can be looked through")
    return [one for one in found.values() if one["created_at"] >= sent.floor]


def _add(found: dict[int, Json], where: dict[str, Json], number: int) -> Finder:
    """Read the issue of this *number* itself, and whether there is one."""
    one = yield read("issues.get", **where, issue_number=number).or_none()
    if one is None:
        return False
    home = next((other["repository_url"] for other in found.values()), one["repository_url"])
    if (one["number"], one["repository_url"]) != (number, home):
        raise Unclear(f"issue #{number} was moved to another repository")
    found[number] = one
    return True
