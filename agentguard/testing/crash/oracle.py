"""The oracle: what must hold after any crash, as functions that look at the services' own log and at the ledger only.

Each returns the violations it finds, as sentences. The log is written by the stand-ins, in another process, and
survives what kills the agent; a request in it is matched with a recorded call by verb, path and arguments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from agentguard import audit
from agentguard.calls import CallState, Outcome, matches
from agentguard.ledger.rows import CallRow, UndoRow, UndoState
from agentguard.ledger.sqlite import SqliteLedger
from agentguard.testing.crash.stage import Residue, Stage

SAID_TO_BE_DONE = (Outcome.RESTORED, Outcome.COMPENSATED)


@dataclass
class Arrived:
    """One request that reached a service, and what it changed there."""

    service: str
    verb: str
    path: str
    body: Any
    phase: str
    """`forward`, or the number of the rollback."""
    effects: list[str] = field(default_factory=list)
    name: str = ""
    """The operation, as the table of the service calls it."""
    reads: bool = False
    arguments: dict[str, Any] = field(default_factory=dict)
    number: int = 0
    """By which the service knows the request."""
    tried: str = ""
    """The reason that is on record with the call, where the request carries it: then nothing has to be guessed."""
    by: CallRow | UndoRow | None = None
    """The row of the ledger that it belongs to."""

    def __str__(self) -> str:
        return f"{self.service} {self.verb} {self.path} ({self.phase}, {len(self.effects)} effects)"


@dataclass
class ServiceLog:
    """What the services know: the requests in their order, and the whole state before and after."""

    arrived: list[Arrived]
    before: Any
    after: Any
    residue: Residue = field(default_factory=dict)
    takes_back: bool = False
    conflicts: str = ""
    """Why there are conflicts all the same, where there are."""
    drift: Mapping[str, Any] = field(default_factory=dict)
    """What somebody else wrote in between."""
    most: int | None = None
    """How many changes the work makes that is done once, where it was started again."""
    actions: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """What plain functions ask for, as `Stage.actions`."""


@dataclass
class LedgerView:
    """What the ledger holds, and what each rollback that came to its end has said."""

    calls: list[CallRow]
    undos: list[UndoRow]
    reports: list[dict[str, Any]]
    state: str = ""
    """Where the session stands at the end."""
    idle: dict[str, int] = field(default_factory=dict)
    """What a recovery did that had nothing left to do: events that it wrote."""
    faults: list[str] = field(default_factory=list)
    """What does not agree in the record of events."""

    @classmethod
    def read(cls, path: Path, session: str, reports: list[dict[str, Any]]) -> LedgerView:
        """Read the session's rows from the file."""
        store = SqliteLedger.at(path)
        try:
            calls, undos = store.calls(session), store.undos(session)
            state = store.session(session).state if calls or reports else ""
            return cls(calls, undos, reports, str(state), faults=audit.verify(store).faults)
        finally:
            store.close()


def check(log: ServiceLog, ledger: LedgerView) -> list[str]:
    """Every violation of every rule."""
    assign(log, ledger)
    return [violation for rule in RULES for violation in rule(log, ledger)]


# Which request belongs to which row


def read_log(
    stage: Stage, path: Path, start: int, phase: str, earlier: Iterable[Arrived] = ()
) -> tuple[list[Arrived], int]:
    """The requests in a stand-in's log file from byte *start* on, with their effects, and where the file ends.

    What a request has changed late, in a later phase, is added to it where it is among the *earlier*.
    """
    with path.open("rb") as file:
        file.seek(start)
        raw = file.read()
    found: list[Arrived] = []
    known = {(one.service, one.number): one for one in earlier}
    for line in raw.splitlines():
        entry = json.loads(line)
        service = entry["service"]
        if "request" in entry:
            request = entry["request"]
            body = {**request["query"], **(request["body"] if isinstance(request["body"], dict) else {})}
            one = Arrived(service, request["verb"], request["path"], body, phase, number=entry["number"])
            found.append(recognised(stage, one))
            known[service, one.number] = one
        elif (service, entry["of"]) in known:  # what was changed before the first phase is not looked at
            known[service, entry["of"]].effects.append(entry["effect"])
    return found, start + len(raw)


_known: dict[str, list[tuple[str, re.Pattern[str], str, bool]]] = {}


def operations(stage: Stage, service: str) -> list[tuple[str, re.Pattern[str], str, bool]]:
    """Verb, path, name and whether it reads, for each operation; the longest literal path first."""
    if service not in _known:
        _known[service] = _operations(stage, service)
    return _known[service]


def _operations(stage: Stage, service: str) -> list[tuple[str, re.Pattern[str], str, bool]]:
    table = stage.connector(service).table
    rows = []
    for row in table.by_name.values():
        pattern = re.sub(
            r"\\\{(\\\+)?(\w+)\\\}", lambda m: f"(?P<{m[2]}>{'.+' if m[1] else '[^/]+'})", re.escape(row.path)
        )
        rows.append((row.path.count("{"), row.verb, re.compile(stage.prefixes.get(service, "") + pattern + "/?"), row))
    rows.sort(key=lambda found: found[0])
    return [(verb, pattern, row.name, row.reads) for _count, verb, pattern, row in rows]


def recognised(stage: Stage, one: Arrived) -> Arrived:
    """Name the operation of a request, from the table of its service."""
    for verb, pattern, name, reads in operations(stage, one.service):
        found = pattern.fullmatch(one.path) if verb == one.verb or one.service in stage.any_verb else None
        if found:
            one.name, one.reads = name, reads
            one.arguments = {**one.body, **{key: unquote(value) for key, value in found.groupdict().items()}}
            return one
    one.name, one.reads = f"{one.verb} {one.path}", one.verb == "GET"
    return one


def fit(log: ServiceLog, one: Arrived, service: str, row: CallRow | UndoRow) -> int | None:
    """How well a request is what a row of the ledger asks for; None where it is something else."""
    asks = log.actions.get(row.name) if service == "action" else (service, row.name)
    if (one.service, one.name) != asks:
        return None
    asked = {key.partition("[")[0]: value for key, value in one.arguments.items() if key != "token"}
    both = [key for key in asked.keys() & row.arguments.keys() if _plain(row.arguments[key]) and _plain(asked[key])]
    if any(str(asked[key]).lower() != str(row.arguments[key]).lower() for key in both):
        return None
    return len(both) - len(asked.keys() ^ row.arguments.keys())


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | bool) and "[redacted" not in str(value)


def assign(log: ServiceLog, ledger: LedgerView) -> None:
    """Find the row for each write: calls in their order, each for one request only; else the undo it may be."""
    free, sent = list(ledger.calls), set[int]()
    services = {call.seq: call.connector for call in ledger.calls}
    for one in writes(log):
        one.by = None
        if one.phase == "forward" or one.tried:
            same = [call for call in free if not one.tried or call.reason == one.tried]
            # Of equal calls one may have happened and the other not: as the ledger says of them.
            same.sort(key=lambda call: (call.state is CallState.COMMITTED) is not bool(one.effects))
            one.by = next((call for call in same if fit(log, one, call.connector, call) is not None), None)
            if one.by is not None:
                free.remove(one.by)
                sent.add(one.by.seq)
        if one.by is None and not one.tried and (one.phase != "forward" or log.takes_back):
            taken = {id(other.by) for other in log.arrived if other.effects}  # what was refused is sent again
            fits = [(fit(log, one, services[undo.seq], undo), undo) for undo in ledger.undos if undo.name]
            best = max((found for found, _undo in fits if found is not None), default=None)
            undos = [undo for found, undo in fits if found is not None and found == best]
            # Undos of equal calls look the same: the newest that has none yet, of a call that was sent before, and
            # is said to be done.
            undos.sort(key=lambda undo: (undo.seq in sent, undo.outcome in SAID_TO_BE_DONE))
            one.by = next((u for u in reversed(undos) if id(u) not in taken), undos[-1] if undos else None)


def writes(log: ServiceLog) -> Iterator[Arrived]:
    """The requests that may change something."""
    return (one for one in log.arrived if not one.reads)


def of(log: ServiceLog, row: CallRow | UndoRow, effective: bool = True) -> list[Arrived]:
    """The requests of one row, those with an effect or all."""
    return [one for one in log.arrived if one.by is row and (one.effects or not effective)]


# The rules


def a_read_changes_nothing(log: ServiceLog, ledger: LedgerView) -> Iterable[str]:
    for one in log.arrived:
        if one.reads and one.effects:
            yield f"a read changed something: {one}"


def intent_before_effect(log: ServiceLog, ledger: LedgerView) -> Iterable[str]:
    """Each write belongs to one row that was there before; a second send of a call has none left."""
    for one in writes(log):
        if one.by is None:
            yield f"not in the ledger, or sent more than once: {one}"


def nothing_is_lost_or_invented(log: ServiceLog, ledger: LedgerView) -> Iterable[str]:
    """What the ledger says of a call is what the service knows of it."""
    for call in ledger.calls:
        happened = bool(of(log, call))
        if call.state in (CallState.NOT_APPLIED, CallState.REFUSED) and happened and not _repeated(call, ledger):
            yield f"call {call.seq} {call.name} is {call.state} and has happened"
        if call.state is CallState.COMMITTED and not happened and not _repeated(call, ledger):
            yield f"call {call.seq} {call.name} is committed and has not happened"


def _repeated(call: CallRow, ledger: LedgerView) -> bool:
    """Whether another call has the same idempotency key: the service does it once, and answers both."""
    return bool(call.key) and sum(other.key == call.key for other in ledger.calls) > 1


def undone_once(log: ServiceLog, ledger: LedgerView) -> Iterable[str]:
    for undo in ledger.undos:
        done = of(log, undo)
        if len(done) > 1:
            yield f"the undo {undo.n} of call {undo.seq} ({undo.name}) has happened {len(done)} times"
        if undo.outcome in SAID_TO_BE_DONE and undo.name and not done:
            yield f"the undo {undo.n} of call {undo.seq} ({undo.name}) is {undo.outcome} and never happened"
        if undo.outcome is Outcome.CONFLICT and done:
            yield f"the undo {undo.n} of call {undo.seq} ({undo.name}) is in conflict and was done"


def nothing_undone_that_never_happened(log: ServiceLog, ledger: LedgerView) -> Iterable[str]:
    calls = {call.seq: call for call in ledger.calls}
    for undo in ledger.undos:
        done, call = of(log, undo), calls[undo.seq]
        happened = of(log, call) or (_repeated(call, ledger) and ledger.calls)
        if done and not happened:
            yield f"call {undo.seq} {call.name} never happened and was undone by {done[0]}"


def undo_intent_before_undo(log: ServiceLog, ledger: LedgerView) -> Iterable[str]:
    for undo in ledger.undos:
        if undo.state is UndoState.PLANNED and of(log, undo, effective=False):
            yield f"the undo {undo.n} of call {undo.seq} ({undo.name}) was sent and is only planned in the ledger"


def every_effect_is_reported(log: ServiceLog, ledger: LedgerView) -> Iterable[str]:
    told = {result["seq"] for report in ledger.reports[-1:] for result in report["outcomes"]}
    for call in ledger.calls:
        if of(log, call) and call.seq not in told and not _repeated(call, ledger):
            yield f"call {call.seq} {call.name} has happened and the report does not name it"


def ok_means_as_before(log: ServiceLog, ledger: LedgerView) -> Iterable[str]:
    if log.drift or not ledger.reports or not ledger.reports[-1]["ok"]:
        return
    for path, value in changes(log.before, log.after):
        if not any(re.fullmatch(pattern, path) and settled(value) for pattern, settled in log.residue.items()):
            yield f"the report is ok and {path} is not as before: {json.dumps(value)[:200]}"


GONE = object()


def changes(before: Any, after: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted paths at which two states differ, with what is there now; None where it is gone."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before.keys() | after.keys():
            # What has no members yet is as good as not there: a collection comes with its first one.
            old, new = before.get(key, GONE), after.get(key, GONE)
            if old is GONE and isinstance(new, dict) and all(isinstance(item, dict) for item in new.values()):
                old = {}
            yield from changes(old, new, f"{path}.{key}".strip("."))
    elif before != after:
        yield path, None if after is GONE else after


def nobody_else_is_blamed(log: ServiceLog, ledger: LedgerView) -> Iterable[str]:
    """Where nobody else was there, there is nothing to be in conflict with."""
    for report in () if log.drift or log.conflicts else ledger.reports[-1:]:
        for result in report["outcomes"]:
            if result["outcome"] == Outcome.CONFLICT:
                yield f"call {result['seq']} {result['operation']} is in conflict with nobody: {result['detail']}"


def drift_is_left_alone(log: ServiceLog, ledger: LedgerView) -> Iterable[str]:
    """What somebody else wrote is there afterwards."""
    if not matches(log.drift, log.after):
        yield f"what somebody else wrote was overwritten: {json.dumps(log.after)[:300]}"


def nothing_new_the_next_time(log: ServiceLog, ledger: LedgerView) -> Iterable[str]:
    """Once a rollback has come to its end, the next one has nothing to write and says the same."""
    phases = [report["phase"] for report in ledger.reports]
    for one in writes(log):
        if one.phase in phases[1:]:
            yield f"a further rollback wrote: {one}"
    if len({json.dumps(_told(report)) for report in ledger.reports}) > 1:
        yield f"two rollbacks say different things: {[_told(report) for report in ledger.reports]}"


def _told(report: dict[str, Any]) -> dict[str, Any]:
    return {result["seq"]: result["outcome"] for result in report["outcomes"]}


def no_doubt_is_left_behind(log: ServiceLog, ledger: LedgerView) -> Iterable[str]:
    """A session that is over holds no call of which nobody has found out, or been told to."""
    if ledger.state in ("open", "rolling_back"):
        yield f"the session is {ledger.state} after it was recovered"
    for call in ledger.calls:
        if call.state is CallState.INTENT:
            yield f"call {call.seq} {call.name} still stands as perhaps sent"


def recovery_comes_to_rest(log: ServiceLog, ledger: LedgerView) -> Iterable[str]:
    """Once everything is recovered, a further pass sends nothing and writes nothing."""
    for what, count in ledger.idle.items():
        if count:
            yield f"a recovery that had nothing left to do wrote {count} {what}"


def the_record_proves_itself(log: ServiceLog, ledger: LedgerView) -> Iterable[str]:
    """The chain over the events is whole, and the rows are what the events tell."""
    return (f"the record does not agree: {fault}" for fault in ledger.faults)


def done_once_when_started_again(log: ServiceLog, ledger: LedgerView) -> Iterable[str]:
    """Work that is done a second time, in a resumed session, changes nothing a second time."""
    made = sum(len(one.effects) for one in log.arrived if one.phase == "forward")
    if log.most is not None and made > log.most:
        yield f"the work was started again and made {made} changes instead of {log.most}"


def newest_first(log: ServiceLog, ledger: LedgerView) -> Iterable[str]:
    """What is about one thing is undone newest first."""
    calls = {call.seq: call for call in ledger.calls}
    sent = [(one.by.seq, one.phase) for one in log.arrived if isinstance(one.by, UndoRow) and one.effects]
    for at, (seq, phase) in enumerate(sent):
        for later, other in sent[at + 1 :]:
            same = calls[seq].target == calls[later].target and calls[seq].name == calls[later].name
            if phase == other and later > seq and same and calls[seq].target:
                yield f"call {seq} {calls[seq].name} was undone before call {later}, which came after it"


RULES: tuple[Callable[[ServiceLog, LedgerView], Iterable[str]], ...] = (
    a_read_changes_nothing,
    intent_before_effect,
    nothing_is_lost_or_invented,
    undone_once,
    nothing_undone_that_never_happened,
    undo_intent_before_undo,
    every_effect_is_reported,
    ok_means_as_before,
    nobody_else_is_blamed,
    drift_is_left_alone,
    nothing_new_the_next_time,
    no_doubt_is_left_behind,
    recovery_comes_to_rest,
    the_record_proves_itself,
    done_once_when_started_again,
    newest_first,
)
