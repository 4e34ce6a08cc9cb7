"""The correction trail of a session, for the people whom its work concerned: what changed, why it was corrected, how.

It is made of what the ledger holds and of nothing else. Its sentences are ours; what others wrote stands in them as
quotations (`Theirs`) and is escaped by each rendering. The names of operations, for whoever looks into it, come last.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from agentguard.calls import ABSENT, Json, Outcome
from agentguard.ledger.rows import CallRow, EventRow, SessionRow, UndoRow
from agentguard.report import CallOutcome
from agentguard.text import Sentence, Theirs, bullet, in_lines, moment, plain
from agentguard.trail import Change, Review, causes_of, changes_of, reviews_of

FIELDS = 8
"""How many fields of one change are told; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What an agent's session changed, and what became of that."""

    session: str
    agent: str
    user: str | None
    intent: str
    state: str
    started_at: float
    causes: list[str]
    changes: list[Change]
    reviews: list[Review]
    record: str
    """The ledger that it is told from."""
    events: list[int] = field(default_factory=list)
    """The first and the last event of the session."""
    purged: bool = False

    @property
    def ok(self) -> bool:
        """Whether everything that was to be taken back was."""
        return not any(change.standing == "open" for change in self.changes)

    def to_dict(self) -> dict[str, Json]:
        """The same as plain data."""
        return {"ok": self.ok, **asdict(self)}

    def json(self) -> str:
        """The same as JSON. ASCII only: the format escapes what misleads."""
        return json.dumps(self.to_dict(), indent=2, default=str)

    def text(self) -> str:
        """The same for a terminal or a letter."""
        lines: list[str] = []
        for title, items in self._sections():
            lines += [title, *(line.rstrip() for item in items for line in in_lines(item)), ""]
        return "\n".join(lines).rstrip("\n")

    __str__ = text

    def markdown(self) -> str:
        """The same as Markdown."""
        parts: list[str] = []
        for level, (title, items) in enumerate(self._sections()):
            parts.append(f"{'##' if level else '#'} {title}\n")
            parts.append("\n".join(bullet(item) for item in items) + "\n")
        return "\n".join(parts).rstrip("\n")

    def _sections(self) -> list[tuple[str, list[Sentence]]]:
        """The whole as titles and sentences; a sentence that begins with a blank belongs to the one before."""
        found: list[tuple[str, list[Sentence]]] = [("What an agent did, and how it was corrected", self._summary())]
        found.append(("Why it was corrected", [_cause(cause) for cause in self.causes] or [("It was not.",)]))
        for standing, title in _TITLES.items():
            told = [line for change in self.changes if change.standing == standing for line in _about(change)]
            if told:
                found.append((title, told))
        reviews = [_reviewed(review) for review in self.reviews]
        found.append(("Who has looked at it", reviews or [("No person, as far as the record says.",)]))
        found.append(("Where the record is", self._where()))
        if self.changes:
            found.append(("For whoever looks into it", [_technical(change) for change in self.changes]))
        return found

    def _summary(self) -> list[Sentence]:
        whom: Sentence = (" for ", Theirs(self.user)) if self.user else ()
        begun = (f"On {moment(self.started_at)} the agent ", Theirs(self.agent), " began to work", *whom)
        lines: list[Sentence] = [(*begun, ". Its task: ", Theirs(self.intent), ".") if self.intent else (*begun, ".")]
        done = [change for change in self.changes if change.standing not in ("not_done", "waiting")]
        counts = [(sum(change.standing == name for change in done), words) for name, words in _COUNTS.items()]
        told = ", ".join(f"{count} {words}" for count, words in counts if count)
        lines.append((f"It changed {_things(len(done))}" + (f": {told}." if told else "."),))
        if self.purged:
            lines.append(("The details were removed from the record since; what is left of it is below.",))
        return lines

    def _where(self) -> list[Sentence]:
        span = f", events {self.events[0]} to {self.events[-1]}" if self.events else ""
        return [
            (
                "In the ledger ",
                Theirs(self.record or "of this program"),
                ", session ",
                Theirs(self.session),
                f"{span}.",
            ),
            ("The command agentguard show shows it; agentguard audit verify shows whether it was changed since.",),
        ]


_TITLES = {
    "open": "What could not be put back",
    "corrected": "What was made good, and what remains of it",
    "restored": "What was put back as it was",
    "kept": "What was left as the agent made it",
    "waiting": "What the agent has asked for, and what is not done yet",
    "not_done": "What the agent tried, and what did not happen",
}
_COUNTS = {
    "restored": "put back as before",
    "corrected": "made good, with something that remains",
    "open": "not put back",
    "kept": "left as the agent made it",
}


def correction(
    session: SessionRow,
    calls: Iterable[CallRow],
    undos: Iterable[UndoRow],
    events: Iterable[EventRow],
    outcomes: Sequence[CallOutcome] = (),
    *,
    summaries: Mapping[str, str] | None = None,
    titles: Mapping[str, str] | None = None,
    record: str = "",
) -> Correction:
    """Tell the correction of *session* from its rows.

    *outcomes* are those of a report, where the rows do not say it yet. *summaries* has what handlers say about their
    operations (by the full name), *titles* the names of services, *record* the place of the ledger.
    """
    happened = sorted(events, key=lambda event: event.id)
    rows = list(calls)
    told = {result.seq: result for result in outcomes}
    return Correction(
        session=session.id,
        agent=session.agent,
        user=session.user,
        intent=session.intent,
        state=session.state.value,
        started_at=session.started_at,
        causes=causes_of(session, happened),
        changes=changes_of(session, rows, undos, happened, told, summaries or {}, titles or {}),
        reviews=reviews_of(rows, happened),
        record=record,
        events=[happened[0].id, happened[-1].id] if happened else [],
        purged=any(event.kind == "purged" for event in happened),
    )


# The sentences

_ASKED = ("asked for", "agentguard rollback")


def _cause(cause: str) -> Sentence:
    if cause in _ASKED:
        return ("Somebody asked for it.",)
    return ("The reason on record: ", Theirs(cause), ".")


def _about(change: Change) -> list[Sentence]:
    whom: Sentence = (" (", Theirs(change.target), ")") if change.target else ()
    if change.to:
        names = [part for to in change.to[:3] for part in (", ", Theirs(to))][1:]
        whom = (" to ", *names, f" and {len(change.to) - 3} more" if len(change.to) > 3 else "")
    lines: list[Sentence] = [(f"{change.service}: {change.what}", *whom, ". ", *_became(change))]
    for each in change.fields[:FIELDS]:
        before = ("; before it was " if each.exact else "; the correction makes it ", *_value(each.back))
        lines.append((" ", Theirs(each.name), ": the agent made it ", *_value(each.agent), *before, "."))
    if len(change.fields) > FIELDS:
        lines.append((f" And {len(change.fields) - FIELDS} more.",))
    return lines


def _became(change: Change) -> Sentence:
    if change.outcome == Outcome.COMPENSATED:
        return ("It was made good. What remains: ", Theirs(change.remains or change.detail or "it is not said"), ".")
    if change.outcome == Outcome.IRREVERSIBLE:
        why: Sentence = (" Why: ", Theirs(change.detail)) if change.detail else ()
        return ("It cannot be taken back.", *why)
    if change.standing in ("not_done", "waiting"):
        return ("It was not done." if change.standing == "not_done" else "It is done when the agent has finished.",)
    return (_WORDS[Outcome(change.outcome)] if change.outcome else "Nobody has taken it back.",)


_WORDS = {
    Outcome.RESTORED: "It is as it was before; that was looked up.",
    Outcome.ALREADY_UNDONE: "There was nothing left to put back.",
    Outcome.CONFLICT: "Somebody else has changed it since, and their change was left alone. A person has to decide.",
    Outcome.IN_DOUBT: "It is not known whether it happened. It was not done a second time. A person has to look.",
    Outcome.FAILED: "It was to be put back, and that did not work. A person has to look.",
}


def _reviewed(review: Review) -> Sentence:
    which = f" (number {review.seq})" if review.seq is not None else ""
    why: Sentence = (", because: ", Theirs(review.why)) if review.why else ()
    return (f"{moment(review.at)}: ", Theirs(review.by), f" {review.did}{which}", *why, ".")


def _technical(change: Change) -> Sentence:
    back = ", ".join(change.undone_by) or "none"
    events = f"; events {', '.join(map(str, change.events))}" if change.events else ""
    detail: Sentence = ("; ", Theirs(change.detail)) if change.detail else ()
    state = change.outcome or change.standing
    facts: Sentence = ("; undo: ", Theirs(back), f"; {state}{events}")
    return (f"Number {change.seq}, {moment(change.at)}: ", Theirs(change.operation), *facts, *detail, ".")


def _value(value: Json) -> Sentence:
    if value is None or value == ABSENT or value == "":
        return ("nothing",)
    return (Theirs(value if isinstance(value, str) else plain(value)),)


def _things(count: int) -> str:
    return "nothing" if not count else "one thing" if count == 1 else f"{count} things"
