"""Looking a lost call of a declared API up: by its mark, or by what it says among what is new."""

from __future__ import annotations

from dataclasses import dataclass

from agentguard import Finder, read
from agentguard.calls import Call, Json, Read
from agentguard.connector import FinderFunction, dig
from agentguard.errors import HandlerError
from agentguard.operations import Operation
from agentguard_connectors.http.marks import UNMARKED, Mark
from agentguard_connectors.http.routes import Find


@dataclass(frozen=True, slots=True)
class Finding:
    """How the calls of a route are looked up."""

    find: Find
    listing: Operation
    keys: tuple[str, ...]
    """Fields of the answer that the undo needs, by which things are told apart."""
    mark: Mark | None
    """Where the calls carry the mark that is looked for; None where none is."""

    def needs_before(self, call: Call) -> bool:
        """Whether what was there before *call* has to be known."""
        return bool(self.find.same) and not self.marks(call)

    def marks(self, call: Call) -> bool:
        """Whether *call* is looked up by a mark."""
        return self.mark is not None and UNMARKED not in call.arguments

    def listed(self, call: Call, mark: str = "") -> Read:
        """The read that shows the things; without a mark, all of them."""
        known = {**call.arguments, "mark": mark}
        asked = {name: known[name] for name in self.listing.parameters}
        for name, text in self.find.query.items():
            if not mark and "{mark}" in text:
                continue
            for inside, value in known.items():
                text = text.replace("{" + inside + "}", str(value))
            asked[name] = text
        return read(self.listing.name, **asked)

    def items(self, answer: Json) -> list[Json]:
        """The list in an answer. Raises HandlerError where there is none, as when it was too long to be kept."""
        items = dig(answer, self.find.items) if self.find.items else answer
        if not isinstance(items, list):
            raise HandlerError(f"{self.find.read} gave no list, or one that was too long to be kept")
        return items


def finder_of(finding: Finding) -> FinderFunction:
    """The finder for calls of a route."""
    find = finding.find

    def by_mark(call: Call, mark: str) -> Finder:
        answer = yield finding.listed(call, mark).or_none()
        if answer is None:
            return None
        single = not find.items and isinstance(answer, dict)
        items = [answer] if single else finding.items(answer)
        found = [item for item in items if not find.mark or _at(item, find.mark) == mark]
        if len(found) > 1 or (single and not found):
            raise HandlerError(f"{len(found)} things have the mark of this one call in {find.mark}: it proves nothing")
        return found[0] if found else None

    def finder(call: Call, snapshots: list[Json], mark: str) -> Finder:
        if finding.marks(call):
            return (yield from by_mark(call, mark))
        if not find.same:
            raise HandlerError(
                f"the call carried no mark ({call.arguments[UNMARKED]}), and there is nothing else to find it by"
            )
        items = finding.items((yield finding.listed(call)))
        wanted = {name: call.arguments[name] for name in find.same}
        found = [i for i in items if all(n in i and i[n] == v for n, v in wanted.items())]
        if finding.keys:
            # The same may be said of something that was there before the call, and is not ours.
            known = [[dig(i, key) for key in finding.keys] for i in finding.items(snapshots[0])]
            found = [i for i in found if [dig(i, key) for key in finding.keys] not in known]
        if len(found) > 1:
            raise HandlerError(f"{len(found)} things are new and have the same {', '.join(find.same)}")
        if not found and UNMARKED in call.arguments and finding.mark is not None:
            # What is declared of the look-up by a mark need not hold for a look-up without one.
            raise HandlerError(f"nothing new has the same {', '.join(find.same)}, and the call carried no mark")
        return found[0] if found else None

    return finder


def _at(item: Json, path: str) -> Json:
    """What stands under *path* in *item*; None where there is nothing."""
    try:
        return dig(item, path)
    except KeyError:
        return None
