"""What Stripe shows of an object, the way it is compared, and what has to be written to bring old values back.

Three rules of Stripe's v1 carry all of it (https://docs.stripe.com/api/metadata): what an update does not name stays;
metadata is merged key by key, and an empty string deletes a key; an empty string empties any other field.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from agentguard.calls import ABSENT, Call, Effect, Handler, Json, NoUndo, Risk, forward, no_undo, read, unchanged, undo
from agentguard_connectors.stripe.base import stripe

MANNERS = ("expand", "off_session", "payment_behavior", "proration_behavior", "proration_date")
"""Arguments that say how an update is done, and change nothing by themselves."""


@stripe.view
def shown(thing: Json) -> Json:
    """Flatten metadata into keys of its own, and show what is expanded as the id that it stands for."""
    if not isinstance(thing, dict):
        return thing
    flat = {name: reference(value) for name, value in thing.items() if name != "metadata"}
    metadata = thing.get("metadata") or {}
    return {**flat, **{f"metadata[{key}]": value for key, value in metadata.items()}}


def reference(value: Json) -> Json:
    """The id of an expanded object; anything else as it is."""
    return value["id"] if isinstance(value, dict) and "id" in value and "object" in value else value


def emptied(value: Json) -> Json:
    """*value* as an update takes it: what is empty is written as an empty string, for None would not be sent."""
    if value is None or value in ({}, []):
        return ""
    if isinstance(value, dict):
        return {name: emptied(inner) for name, inner in value.items()}
    return [emptied(inner) for inner in value] if isinstance(value, list) else value


def alike(value: Json, old: Json) -> Json:
    """*value*, which came out of a form as text, with the type that *old* has."""
    if isinstance(old, bool):
        return {"true": True, "false": False}.get(str(value).lower(), value)
    if isinstance(old, int) and str(value).lstrip("-").isdecimal():
        return int(value)
    if isinstance(old, dict) and isinstance(value, dict):
        return {name: alike(inner, old.get(name)) for name, inner in value.items()}
    return None if value == "" else value


@dataclass(slots=True)
class Plan:
    """What an update changes: to write back, to expect before and after that, and what cannot be written."""

    written: dict[str, Json] = field(default_factory=dict)
    left: dict[str, Json] = field(default_factory=dict)
    back: dict[str, Json] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)

    def apart(self) -> list[Plan]:
        """The values to write and the fields to empty, each as a plan of its own.

        Which fields may be emptied Stripe's reference does not say. Where one may not, the whole request is refused,
        which must not keep the other values from coming back.
        """
        cleared = {name for name, value in self.written.items() if value == ""}
        plans = []
        for chosen in (cleared, self.written.keys() - cleared):
            seen = {*chosen, *(key for key in self.back if key.startswith("metadata[") and "metadata" in chosen)}
            left, back = ({key: part[key] for key in part if key in seen} for part in (self.left, self.back))
            if chosen:
                plans.append(Plan({name: self.written[name] for name in self.written if name in chosen}, left, back))
        return plans

    def no_way(self) -> NoUndo:
        """Say which of the changes stay."""
        return no_undo(f"what {', '.join(self.lost)} changed stays: Stripe takes no old value for it")


def plan(
    given: Mapping[str, Json],
    before: Mapping[str, Json],
    fields: Collection[str],
    *,
    fixed: Collection[str] = (),
    parts: Mapping[str, Collection[str]] | None = None,
) -> Plan:
    """Work out how to take an update with the arguments *given* back.

    *before* is the object as `shown`. *fields* can be written as they are shown, *fixed* ones too but never emptied,
    and of the dicts in *parts* only the named parts.
    """
    result = Plan()
    for name, value in given.items():
        if name in MANNERS or name.startswith("$"):
            continue
        if name == "metadata":
            _plan_metadata(result, value, before)
        elif name in (parts or {}) and isinstance(before.get(name), dict):
            old = {part: before[name].get(part) for part in (parts or {})[name]}
            named = [part for part in old if not isinstance(value, dict) or part in value]
            result.written[name] = {part: emptied(old[part]) for part in named}
            # All of the parts are compared: whether Stripe left the others alone is seen, not assumed.
            result.back[name], result.left[name] = old, alike(value, old)
        elif name in before and (name in fields or (name in fixed and before[name] not in (None, "", {}, []))):
            result.written[name], result.back[name] = emptied(before[name]), before[name]
            result.left[name] = alike(value, before[name])
        else:
            result.lost.append(name)
    return result


def _plan_metadata(result: Plan, value: Json, before: Mapping[str, Json]) -> None:
    known = {name[9:-1]: old for name, old in before.items() if name.startswith("metadata[")}
    named = value if isinstance(value, dict) else dict.fromkeys(known, "")
    for key, new in named.items():
        result.left[f"metadata[{key}]"] = ABSENT if new == "" else new
        result.back[f"metadata[{key}]"] = known.get(key, ABSENT)
    if named:
        result.written["metadata"] = {key: known.get(key, "") for key in named}


def restoring(
    operation: str,
    summary: str,
    *,
    fields: Collection[str] = (),
    fixed: Collection[str] = (),
    parts: Mapping[str, Collection[str]] | None = None,
    risk: Risk = Risk.LOW,
    telling: Mapping[str, str] | None = None,
) -> None:
    """Register an update whose undo writes back the old values of what it names; see `updating`."""

    def handler(call: Call) -> Handler:
        yield from updating(call, fields=fields, fixed=fixed, parts=parts, telling=telling)

    handler.__doc__ = summary
    handler.__qualname__ = f"restoring({operation!r})"
    stripe.guards(operation, effect=Effect.REVERSIBLE, risk=risk)(handler)


def updating(
    call: Call,
    *,
    fields: Collection[str] = (),
    fixed: Collection[str] = (),
    parts: Mapping[str, Collection[str]] | None = None,
    remains: str = "",
    same: Collection[str] = (),
    telling: Mapping[str, str] | None = None,
    manner: Mapping[str, Json] | None = None,
) -> Handler:
    """Write back the old values of what *call* names. Read by `retrieve` beside it.

    *telling* says what remains where an argument was given that tells somebody something. *manner* is sent with the
    undo. The fields in *same*, which the call does not name, have to be as they were.
    """
    path = {name: call.arguments[name] for name in stripe.table.by_name[call.operation].parameters}
    look = read(f"{call.operation.rpartition('.')[0]}.retrieve", **path).through("shown")
    before = yield look
    given = {name: value for name, value in call.arguments.items() if name not in path}
    way_back = plan(given, before, fields, fixed=fixed, parts=parts)
    told = [text for name, text in (telling or {}).items() if name in given]
    for part in way_back.apart():
        step = undo(call.operation, **path, **part.written, **(manner or {}))
        alone = {name: before[name] for name in same}
        step = step.on(look, left={**part.left, **alone}, back={**part.back, **alone}, same_shape=True)
        yield step.leaving("; ".join(filter(None, (remains, *told))))
    if way_back.lost:
        yield way_back.no_way()
    elif not way_back.written:
        yield unchanged("the call gave nothing to change")
    yield forward()


def kept(made: Json, fields: Collection[str]) -> dict[str, Json]:
    """Those of *fields*, and all metadata, that a new object shows: what must still be so before it is deleted."""
    seen = shown(made)
    return {name: value for name, value in seen.items() if name in fields or name.startswith("metadata[")}


def creating(
    operation: str,
    summary: str,
    *,
    key: str,
    undone_by: str = "",
    writes: Mapping[str, Json] | None = None,
    manner: Mapping[str, Json] | None = None,
    fields: Collection[str] = (),
    back: Json = None,
    effect: Effect = Effect.REVERSIBLE,
    risk: Risk = Risk.LOW,
    remains: str = "",
) -> None:
    """Register a creation that is taken back by deleting (or, with *writes*, by updating) what was made.

    *key* names the new id for the operation that takes it back and for the one that reads it. *fields* are compared
    before that. *back* is what shows that it worked: by default that it is gone. *manner* is sent with the undo.
    """
    family = operation.rpartition(".")[0]
    undone_by = undone_by or f"{family}.{'update' if writes else 'delete'}"
    by = f"{family}.retrieve"

    def handler(call: Call) -> Handler:
        made = yield forward()
        known = {**call.arguments, key: made["id"]}
        path = {name: known[name] for name in stripe.table.by_name[by].parameters}
        names = stripe.table.by_name[undone_by].parameters
        way_back = undo(undone_by, **{name: known[name] for name in names}, **(writes or {}), **(manner or {}))
        proof = back if back is not None else (dict(writes) if writes else ABSENT)
        left = kept(made, (*fields, *(writes or {})))
        yield way_back.on(read(by, **path).through("shown"), left=left, back=proof).leaving(remains)

    handler.__doc__ = summary
    handler.__qualname__ = f"creating({operation!r})"
    stripe.guards(operation, effect=effect, risk=risk, remains=remains)(handler)
