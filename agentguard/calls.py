"""The nouns of the library: call, read, undo, forward. Frozen, JSON, and free of any vendor's types.

Whatever is caught (an HTTP request, a plain function) becomes a `Call`: an operation and JSON arguments. A handler
answers it with a generator of steps: `read` takes a snapshot, `undo` registers the way back, `forward` lets the call
go. Everything in a step can be written to the ledger as it stands and run by another process on another machine.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from functools import total_ordering
from typing import Any, TypeAlias

Json: TypeAlias = Any
"""What `json.loads` can return: dict, list, str, int, float, bool or None."""


class Effect(StrEnum):
    """What a call does to the outside world."""

    READ = "read"  # changes nothing
    DRAFT = "draft"  # changes nothing that anybody else sees, or expires by itself
    REVERSIBLE = "reversible"  # an internal update; its undo restores the state exactly
    COMPENSABLE = "compensable"  # can be made good, but something remains visible
    IRREVERSIBLE = "irreversible"  # cannot be taken back


@total_ordering
class Risk(Enum):
    """How bad a wrong call would be. HIGH and CRITICAL ask a person first."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    def __lt__(self, other: Risk) -> bool:
        return _ORDER[self] < _ORDER[other]

    def __str__(self) -> str:
        return self.value


_ORDER = {risk: place for place, risk in enumerate(Risk)}


class Outcome(StrEnum):
    """What a rollback can truthfully say about one call."""

    RESTORED = "restored"  # the former state was read back from the service
    COMPENSATED = "compensated"  # a correcting action was accepted; something remains
    ALREADY_UNDONE = "already_undone"  # read from the service: there was nothing left to take back
    CONFLICT = "conflict"  # somebody changed it since; nothing was sent
    IN_DOUBT = "in_doubt"  # it is not known whether it happened
    FAILED = "failed"  # the undo was tried or prepared, and did not work
    IRREVERSIBLE = "irreversible"  # there is no undo

    @property
    def ok(self) -> bool:
        """Whether this outcome may be part of a successful rollback."""
        return self in (Outcome.RESTORED, Outcome.COMPENSATED, Outcome.ALREADY_UNDONE)


class CallState(StrEnum):
    """Where a recorded call stands."""

    REFUSED = "refused"  # never sent: not approved, or not allowed
    HELD = "held"  # not sent yet: it is when the session completes
    INTENT = "intent"  # durable, and perhaps sent
    COMMITTED = "committed"  # it happened
    NOT_APPLIED = "not_applied"  # it certainly did not happen
    IN_DOUBT = "in_doubt"  # sent, and no answer that settles it


class Certainty(Enum):
    """What an answer, or the lack of one, says about the effect."""

    HAPPENED = "happened"
    REFUSED = "refused"  # certainly not applied
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Call:
    """One thing that was asked for: `operation` as the vendor names it, without the service in front."""

    operation: str
    arguments: dict[str, Json]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service said, as JSON, and what that proves."""

    status: int
    value: Json
    certainty: Certainty
    missing: bool = False  # the service says that there is no such thing (or that we may not see it)
    error: str | None = None
    retry_after: float | None = None  # seconds, where the service says when to come again

    @property
    def transient(self) -> bool:
        """Whether the same request may fare better in a moment, and certainly did nothing this time."""
        return self.certainty is Certainty.REFUSED and (self.status == 429 or self.retry_after is not None)


@dataclass(frozen=True, slots=True)
class Read:
    """Look something up. `view` names a function of the connector that turns the answer into what is compared."""

    operation: str
    arguments: dict[str, Json]
    view: str | None = None
    optional: bool = False
    unneeded: bool = False

    def through(self, view: str) -> Read:
        """See the answer through a registered view of the connector."""
        return replace(self, view=view)

    def or_none(self) -> Read:
        """Receive None where the service says that there is no such thing, instead of giving the snapshot up."""
        return replace(self, optional=True)

    def if_allowed(self) -> Read:
        """Receive None where the service forbids this read (403): for what only makes an undo better."""
        return replace(self, unneeded=True)


ABSENT: dict[str, Json] = {"$absent": True}
"""In `Undo.on`: the read must say that the thing does not exist; inside a pattern: that this key is not there."""


@dataclass(frozen=True, slots=True)
class Users:
    """How to see what others have built on a thing since it was made."""

    look: Read
    """Its view returns what hangs on the thing: a dict from the path of each (`/repos/acme/hr/issues/3`) to words."""
    words: str
    """What they do with it, for people: "issues that bear it"."""


@dataclass(frozen=True, slots=True)
class Undo:
    """The way back, as data that a fresh process can run: operation, JSON arguments, and how to check and prove it."""

    operation: str
    arguments: dict[str, Json]
    look: Read | None = None
    left: Json = None
    back: Json = None
    same_shape: bool = False
    remains: str = ""
    then: Read | None = None
    fields: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    users: tuple[Users, ...] = ()
    renews: tuple[str, str] | None = None
    unseen: str = ""

    def on(self, look: Read, *, left: Json, back: Json, same_shape: bool = False, then: Read | None = None) -> Undo:
        """Say how to see the thing that is undone.

        Before the undo is sent, `look` must still show *left*: what this call left behind, with whatever tells the
        thing apart from another one of the same name (an id, a time of creation). Otherwise somebody else changed it
        and the undo is not sent (`conflict`). After it was sent, `look` must show *back*; only then is `restored`
        said. Both are compared as patterns: a dict matches when each of its keys does.

        With *same_shape* the call's own answer has the shape that `look` returns, and the keys of *left* are filled
        in again from it, because services normalise what they are given. Where the undo moves the thing, as one of a
        rename does, *then* is the read that shows *back* afterwards.
        """
        return replace(self, look=look, left=left, back=back, same_shape=same_shape, then=then)

    def by_field(self, *names: str, **parts: tuple[str, ...]) -> Undo:
        """Take back each field by itself: one that somebody changed since stays, and the others come back.

        Each of *names* is an argument of the undo, and under the same name a key of *left* and of *back*. Where they
        are called otherwise, *parts* maps an argument to the keys of *left* and *back* that show it. Dots go deeper:
        `properties.email`.
        """
        return replace(self, fields={**{name: (name,) for name in names}, **parts})

    def unless_used(self, look: Read, words: str) -> Undo:
        """Do not take away what others use: *look*, through its view, shows a dict of what hangs on the thing.

        It maps the path of each to words for people. What this session has made itself does not count. Anything else
        is a conflict that names it; *words* say what they are: "issues that bear it".
        """
        return replace(self, users=(*self.users, Users(look, words)))

    def renewing(self, old: str, path: str) -> Undo:
        """Say that this undo makes the thing again under a new id: *old* is the former one, the answer has the new one.

        *path* is where in the answer, dots going deeper. Undos of older calls about the thing then go to the new id.
        """
        return replace(self, renews=(old, path))

    def unlooked(self, why: str) -> Undo:
        """Say why no read can show the thing. The outcome says so: only the ledger keeps such an undo from a repeat."""
        return replace(self, unseen=why)

    def leaving(self, remains: str) -> Undo:
        """Name what stays visible after this undo. Its outcome is then `compensated`, never `restored`."""
        return replace(self, remains=remains)


@dataclass(frozen=True, slots=True)
class NoUndo:
    """Say of the call, or of a part of it, that there is no way back, or that none is needed."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True)
class Forward:
    """Let the call go, once, with extra headers or with some of its arguments changed if need be."""

    headers: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, Json] = field(default_factory=dict)

    def changing(self, **arguments: Json) -> Forward:
        """Send *arguments* in place of the caller's of the same names; the ledger shows what was sent.

        For marks of ours that the caller did not give, such as an id by which a lost call can be found. The
        connector's codec must know how to write them into the request (`RestCodec.rewrite`). When the call is looked
        up later, finder and handler are given the changed arguments.
        """
        return replace(self, arguments=arguments)


Step: TypeAlias = Read | Undo | NoUndo | Forward
Handler: TypeAlias = Generator[Step, Any, None]
"""What a handler returns: yields reads, undos and exactly one forward; receives JSON back.

A handler that registers no undo says why: `unchanged()` or `no_undo(reason)`. Silence counts as irreversible.
"""
Finder: TypeAlias = Generator[Read, Any, Json]
"""What a finder returns: yields reads; returns the answer that the lost call would have had, or None."""
View: TypeAlias = Callable[[Json], Json]


def read(operation: str, /, **arguments: Json) -> Read:
    """Look something up through the same client; as a step in a handler this is a snapshot and goes on record."""
    return Read(operation, arguments)


def undo(operation: str, /, **arguments: Json) -> Undo:
    """Register the call that takes this one back."""
    return Undo(operation, arguments)


def unchanged(reason: str = "the call changed nothing: it was in that state before") -> NoUndo:
    """Say that the call finds the state that it asks for already, as a read has shown: nothing is to be undone."""
    return NoUndo(Outcome.ALREADY_UNDONE, reason)


def no_undo(reason: str) -> NoUndo:
    """Say that this call, or the part of it that *reason* names, cannot be taken back, although others can."""
    return NoUndo(Outcome.IRREVERSIBLE, reason)


def forward(**headers: str) -> Forward:
    """Send the call. Yields its answer as JSON. Underscores in header names become hyphens."""
    return Forward({name.replace("_", "-"): value for name, value in headers.items()})


def matches(pattern: Json, value: Json) -> bool:
    """Tell whether *value* shows what *pattern* asks for: dicts by the pattern's keys, everything else by equality.

    A key whose pattern is `ABSENT` must not be there.
    """
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            k not in value if v == ABSENT else k in value and matches(v, value[k]) for k, v in pattern.items()
        )
    return bool(pattern == value)


def as_sent(found: Json, sent: Json) -> Json:
    """What was *found* later, with what was *sent* under the same names: what it was before anybody else changed it.

    Where both say the same, *found* is kept: services write numbers for texts, trim, and sort. What was not sent, or
    has another shape, stays as it was found.
    """
    if sent is None:
        return None if found else found
    if isinstance(sent, dict) and isinstance(found, dict):
        return {name: as_sent(value, sent[name]) if name in sent else value for name, value in found.items()}
    if isinstance(sent, list) and isinstance(found, list):
        if any(isinstance(item, dict | list) for item in (*sent, *found)):
            return list(map(as_sent, found, sent)) if len(sent) == len(found) else found
        return found if sorted(map(_plain, sent)) == sorted(map(_plain, found)) else sent
    if isinstance(sent, dict | list) or isinstance(found, dict | list):
        return found
    return found if found == sent or _plain(found) == _plain(sent) else sent


def _plain(value: Json) -> str:
    text = "" if value is None else str(value).replace("\r\n", "\n").strip()
    return text.lower() if isinstance(value, bool) else text
