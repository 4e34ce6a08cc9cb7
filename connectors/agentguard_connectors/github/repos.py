"""Repositories, their topics, webhooks and workflows: https://docs.github.com/rest/repos."""

from __future__ import annotations

from agentguard.calls import ABSENT, Call, Effect, Finder, Handler, Json, Risk, forward, no_undo, read, unchanged, undo
from agentguard_connectors.github.service import github
from agentguard_connectors.github.views import SETTINGS

WRITABLE = frozenset((*SETTINGS, "description", "homepage"))


def creates_repository(operation: str) -> None:
    """Guard one of the ways to make a repository."""

    @github.guards(operation, effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
    def create(call: Call) -> Handler:
        """Make a repository; it is deleted, unless somebody forked it or opened an issue in it."""
        made = yield forward()
        where = {"owner": made["owner"]["login"], "repo": made["name"]}
        look = read("repos.get", **where).through("new_repository")
        left = github.views["new_repository"](made)
        yield undo("repos.delete", **where).on(look, left=left, back=ABSENT)


creates_repository("repos.createForAuthenticatedUser")
creates_repository("repos.createInOrg")


@github.finds("repos.createForAuthenticatedUser")
def find_own_repository(name: str, since: str) -> Finder:
    """A name is unique among one's repositories. In an organisation it says nothing about who made it: no finder."""
    me = yield read("users.getAuthenticated").through("login")
    found = yield read("repos.get", owner=me, repo=name).or_none()
    return {**found, "forks_count": 0, "open_issues_count": 0} if found and found["created_at"] >= since else None


@github.guards("repos.update", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains="what a former visibility did")
def update_repository(call: Call, owner: str, repo: str) -> Handler:
    """Change a repository's settings or name; the old ones come back."""
    before = yield read("repos.get", owner=owner, repo=repo).through("repository")
    given = {name: value for name, value in call.arguments.items() if name not in ("owner", "repo")}
    now = given.pop("name", None) or repo
    if now != before["name"]:
        rename = undo("repos.update", owner=owner, repo=now, name=before["name"])
        yield rename.leaving("the other name goes on redirecting here until it is used again")
    remains = []
    if "private" in given or "visibility" in given:
        remains.append("a change of visibility loses stars and watchers, and shows what was hidden")
    old = {name: before[name] for name in given if name in WRITABLE and before[name] is not None}
    if others := sorted(given.keys() - old.keys()):
        yield no_undo(f"{', '.join(others)} cannot be put back")
    elif not old and now == before["name"]:
        yield unchanged("the call gave nothing to change")
    if "private" in old:
        old.pop("visibility", None)
    if old:
        look = read("repos.get", owner=owner, repo=now).through("repository")
        new = {name: "" if given[name] is None else given[name] for name in old}
        way_back = undo("repos.update", owner=owner, repo=now, **old)
        yield way_back.on(look, left=new, back=old, same_shape=True).leaving("; ".join(remains))
    yield forward()


github.irreversible(
    "repos.delete",
    "Delete a repository. There is no way back over the API; an owner can restore some within 90 days by hand.",
    risk=Risk.CRITICAL,
)
github.restores(
    "repos.replaceAllTopics", by="repos.getAllTopics", view="topics", summary="Replace the topics; the old ones return."
)


# Webhooks: https://docs.github.com/rest/repos/webhooks

github.creates(
    "repos.createWebhook",
    undone_by="repos.deleteWebhook",
    key={"hook_id": "id"},
    by="repos.getWebhook",
    view="hook",
    effect=Effect.COMPENSABLE,
    risk=Risk.HIGH,
    remains="events that were delivered meanwhile",
    summary="Make a webhook; it is deleted. What it delivered in the meantime has left.",
)


@github.guards("repos.updateWebhook", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains="a secret cannot be restored")
def update_webhook(call: Call, owner: str, repo: str, hook_id: Json, config: dict[str, Json] | None) -> Handler:
    """Change a webhook; its old address, events and state come back, and its secret has to be set again."""
    where = {"owner": owner, "repo": repo, "hook_id": int(hook_id)}
    before = yield read("repos.getWebhook", **where).through("hook_secret")
    old: dict[str, Json] = {}
    new: dict[str, Json] = {}
    remains = "events that were delivered meanwhile"
    if config is not None:
        old["config"] = before["config"]
        new["config"] = {name: value for name, value in config.items() if name != "secret"}
        if before["has_secret"]:
            remains += "; its secret has to be set again"
    if call.arguments.keys() & {"events", "add_events", "remove_events"}:
        old["events"] = before["events"]
        events = {*(call.arguments.get("events") or before["events"]), *(call.arguments.get("add_events") or [])}
        new["events"] = sorted(events - {*(call.arguments.get("remove_events") or [])})
    if "active" in call.arguments:
        old["active"], new["active"] = before["active"], call.arguments["active"]
    if old:
        look = read("repos.getWebhook", **where).through("hook")
        way_back = undo("repos.updateWebhook", **where, **old)
        yield way_back.on(look, left=new, back=old, same_shape=True).leaving(remains)
    else:
        yield unchanged("the call gave nothing to change")
    yield forward()


@github.guards("repos.deleteWebhook", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains="the webhook has a new id")
def delete_webhook(owner: str, repo: str, hook_id: Json) -> Handler:
    """Delete a webhook; it is made again without its secret, which GitHub does not show."""
    look = read("repos.getWebhook", owner=owner, repo=repo, hook_id=int(hook_id))
    before = yield look.through("hook_secret")
    lost = "; its secret has to be set again" if before["has_secret"] else ""
    kept = {name: before[name] for name in ("config", "events", "active")}
    again = undo("repos.createWebhook", owner=owner, repo=repo, name="web", **kept)
    yield again.leaving(f"a new webhook with a new id{lost}; events in between were not delivered")
    yield forward()


# Workflows: https://docs.github.com/rest/actions/workflows


def switches(operation: str, inverse: str, *, on: bool) -> None:
    """Guard one half of switching a workflow."""

    @github.guards(operation, effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
    def switch(owner: str, repo: str, workflow_id: Json) -> Handler:
        """Switch a workflow on or off; it is switched back."""
        where = {"owner": owner, "repo": repo, "workflow_id": workflow_id}
        look = read("actions.getWorkflow", **where).through("workflow")
        before = yield look
        active, off = {"state": "active"}, {"state": "disabled_manually"}
        if (before == active) is not on:
            remains = "" if before in (active, off) else f"it was {before['state']}, and is disabled by hand now"
            left, back = (active, off) if on else (off, active)
            yield undo(inverse, **where).on(look, left=left, back=back).leaving(remains)
        else:
            yield unchanged()
        yield forward()


switches("actions.enableWorkflow", "actions.disableWorkflow", on=True)
switches("actions.disableWorkflow", "actions.enableWorkflow", on=False)
github.irreversible(
    "actions.createWorkflowDispatch", "Start a workflow. What its jobs do cannot be taken back from here."
)
