"""Pipelines and their stages.

https://developers.hubspot.com/docs/api-reference/crm-pipelines-v3/guide. An archived pipeline or stage comes back, with
its id, when it is updated with `archived: false`; that field is refused for anything else.
"""

from __future__ import annotations

from agentguard.calls import ABSENT, Call, Effect, Handler, Json, Read, Risk, forward, no_undo, read, unchanged, undo
from agentguard_connectors.hubspot.base import hubspot, is_there, picked

ARCHIVED = "an archived copy stays in HubSpot"
NEW_STAGES = "the stages that were replaced come back with new ids; records that were in them are in none"


@hubspot.view
def pipeline(answer: Json) -> Json:
    """A pipeline and its stages; ABSENT where it is archived."""
    shown = picked(answer, ("id", "label", "displayOrder", "stages"))
    if "stages" in shown:
        stages = [stage for stage in shown["stages"] if not stage.get("archived")]
        shown["stages"] = [{**stage_of(stage), "id": stage["id"]} for stage in stages]
    return shown


@hubspot.view
def layout(answer: Json) -> Json:
    """A pipeline and its stages without their ids."""
    shown = pipeline(answer)
    if "stages" in shown:
        shown["stages"] = [{name: value for name, value in s.items() if name != "id"} for s in shown["stages"]]
    return shown


@hubspot.view
def stage_of(answer: Json) -> Json:
    """What defines a stage; ABSENT where it is archived."""
    return picked(answer, ("label", "displayOrder", "metadata"))


def _place(call: Call) -> dict[str, Json]:
    names = ("objectType", "pipelineId", "stageId")
    return {name: call.arguments[name] for name in names if name in call.arguments}


def _pipeline(place: dict[str, Json], view: str = "pipeline") -> Read:
    return read("crm.pipelines.get_by_id", **place).through(view)


def _stage(place: dict[str, Json]) -> Read:
    return read("crm.pipelines.stages.get_by_id", **place).through("stage_of")


@hubspot.guards("crm.pipelines.create", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains=ARCHIVED)
def create(call: Call) -> Handler:
    """Create a pipeline; it is archived again."""
    made = yield forward()
    place = {"objectType": call.arguments["objectType"], "pipelineId": made["id"]}
    way_back = undo("crm.pipelines.archive", **place)
    left = layout(made)
    yield way_back.on(_pipeline(place, "layout"), left=left, back=ABSENT).leaving(ARCHIVED)


@hubspot.guards("crm.pipelines.archive", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def archive(call: Call) -> Handler:
    """Archive a pipeline; it is restored with its stages."""
    place = _place(call)
    before = yield _pipeline(place).or_none()
    if is_there(before):
        way_back = undo("crm.pipelines.update", **place, archived=False)
        yield way_back.on(_pipeline(place), left=ABSENT, back=before)
    else:
        yield unchanged("it is archived already, or was never there")
    yield forward()


@hubspot.guards("crm.pipelines.update", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def update(call: Call) -> Handler:
    """Rename, move or restore a pipeline; it is as before."""
    place = _place(call)
    before = yield _pipeline(place).or_none()
    old = {name: before[name] for name in ("label", "displayOrder") if name in call.arguments and is_there(before)}
    if not is_there(before) and call.arguments.get("archived") is False:
        left = {"id": str(place["pipelineId"])}
        yield undo("crm.pipelines.archive", **place).on(_pipeline(place), left=left, back=ABSENT)
    elif old:
        new = {name: call.arguments[name] for name in old}
        way_back = undo("crm.pipelines.update", **place, **old)
        yield way_back.on(_pipeline(place), left=new, back=old, same_shape=True)
    elif is_there(before):
        yield unchanged("the call gave nothing to change")
    else:
        yield no_undo("it could not be seen before the call")
    yield forward()


@hubspot.guards("crm.pipelines.replace", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=NEW_STAGES)
def replace(call: Call) -> Handler:
    """Replace a pipeline and all its stages; the old ones are put in their place."""
    place = _place(call)
    look = _pipeline(place, "layout")
    before = yield look
    old = {name: before[name] for name in ("label", "displayOrder", "stages")}
    new = {name: call.arguments.get(name) for name in old}
    way_back = undo("crm.pipelines.replace", **place, **old)
    yield way_back.on(look, left=new, back=old, same_shape=True).leaving(NEW_STAGES)
    yield forward()


@hubspot.guards("crm.pipelines.stages.create", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains=ARCHIVED)
def create_stage(call: Call) -> Handler:
    """Create a stage; it is archived again."""
    made = yield forward()
    place = {**_place(call), "stageId": made["id"]}
    way_back = undo("crm.pipelines.stages.archive", **place)
    yield way_back.on(_stage(place), left=stage_of(made), back=ABSENT).leaving(ARCHIVED)


@hubspot.guards("crm.pipelines.stages.archive", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def archive_stage(call: Call) -> Handler:
    """Archive a stage; it is restored."""
    place = _place(call)
    before = yield _stage(place).or_none()
    if is_there(before):
        way_back = undo("crm.pipelines.stages.update", **place, archived=False)
        yield way_back.on(_stage(place), left=ABSENT, back=before)
    else:
        yield unchanged("it is archived already, or was never there")
    yield forward()


@hubspot.guards("crm.pipelines.stages.update", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def update_stage(call: Call) -> Handler:
    """Change or restore a stage; it is as before."""
    place = _place(call)
    before = yield _stage(place).or_none()
    fields = ("label", "displayOrder", "metadata")
    old = {name: before[name] for name in fields if name in call.arguments and is_there(before) and name in before}
    if not is_there(before) and call.arguments.get("archived") is False:
        yield undo("crm.pipelines.stages.archive", **place).on(_stage(place), left={}, back=ABSENT)
    elif old:
        new = {name: call.arguments[name] for name in old}
        back = {**old}
        if "metadata" in old:
            added = [name for name in new["metadata"] or {} if name not in (old["metadata"] or {})]
            back["metadata"] = {**(old["metadata"] or {}), **dict.fromkeys(added, ABSENT)}
        way_back = undo("crm.pipelines.stages.update", **place, **old)
        yield way_back.on(_stage(place), left=new, back=back, same_shape=True)
    elif is_there(before):
        yield unchanged("the call gave nothing to change")
    else:
        yield no_undo("it could not be seen before the call")
    yield forward()


@hubspot.guards("crm.pipelines.stages.replace", effect=Effect.REVERSIBLE, risk=Risk.LOW)
def replace_stage(call: Call) -> Handler:
    """Replace what defines a stage; the old definition is put in its place, as a whole."""
    place = _place(call)
    before = yield _stage(place)
    # What the call does not mention it clears: all of the old definition goes back.
    new = {name: call.arguments.get(name) for name in before}
    way_back = undo("crm.pipelines.stages.replace", **place, **before)
    yield way_back.on(_stage(place), left=new, back=before, same_shape=True)
    yield forward()
