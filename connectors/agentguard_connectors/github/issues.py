"""Issues: https://docs.github.com/rest/issues. They cannot be deleted over REST; a new one is closed."""

from __future__ import annotations

from agentguard.calls import ABSENT, Call, Effect, Finder, Handler, Json, Read, forward, no_undo, read, unchanged, undo
from agentguard_connectors.github.hidden import marking
from agentguard_connectors.github.lost import ME, Sent, choose, numbered
from agentguard_connectors.github.service import github

NOTIFIED = "people who watch were notified"
ISSUE_FIELDS = ("title", "body", "state", "state_reason", "labels", "assignees", "assignee", "milestone", "type")


def look_at(owner: str, repo: str, issue_number: Json) -> Read:
    """Read an issue."""
    return read("issues.get", owner=owner, repo=repo, issue_number=int(issue_number)).through("issue")


def named(labels: list[Json] | None) -> list[str]:
    """The names in a list of labels, which may be names or objects."""
    return [str(one.get("name")) if isinstance(one, dict) else str(one) for one in labels or []]


def lowered(names: list[str]) -> list[str]:
    """Names as they are compared."""
    return sorted({name.lower() for name in names})


@github.guards("issues.create", effect=Effect.COMPENSABLE, remains=f"the closed issue; {NOTIFIED}")
def create_issue(owner: str, repo: str, labels: list[Json] | None, body: Json, mark: str | None) -> Handler:
    """Open an issue; it is closed again as not planned, and stays visible."""
    names = named(labels)
    kept = yield from made_labels(owner, repo, {"label_set": {}}, names)
    made = yield marking(body, mark)
    where = {"owner": owner, "repo": repo, "issue_number": made["number"]}
    close = undo("issues.update", **where, state="closed", state_reason="not_planned")
    yield close.on(look_at(**where), left={"state": "open"}, back={"state": "closed"}).leaving(
        "; ".join(filter(None, (f"issue #{made['number']} stays, closed as not planned", NOTIFIED, kept)))
    )


@github.finds("issues.create", authoritative=True)
def find_issue(owner: str, repo: str, title: Json, body: Json, mark: str | None, since: str) -> Finder:
    """Look for the issue with our mark among all that were opened since; without one, for the only one like it."""
    sent = Sent(mark, body, since)
    me = yield ME
    opened = yield from numbered(owner, repo, sent)

    def same(one: Json) -> bool:
        return (one["title"], one["body"] or "") == (title, body or "") and "pull_request" not in one

    found = choose(opened, sent, me, same=same)
    if found is None:
        return None
    return (yield read("issues.get", owner=owner, repo=repo, issue_number=found["number"]))


@github.guards("issues.update", effect=Effect.REVERSIBLE)
def update_issue(call: Call, owner: str, repo: str, issue_number: Json) -> Handler:
    """Edit an issue; the old title, text, state, labels, assignees and milestone come back."""
    given = call.arguments
    look = look_at(owner, repo, issue_number)
    before = yield look
    old: dict[str, Json] = {}
    new: dict[str, Json] = {}
    names: list[str] = []
    for name in ("title", "body", "milestone", "type"):
        if name in given:
            old[name], new[name] = before[name], given[name]
    if "labels" in given:
        names = named(given["labels"])
        old["labels"], new["label_names"] = before["labels"], lowered(names)
    if "assignees" in given or "assignee" in given:
        # An empty list, or an empty name, takes everybody off the issue.
        one = [given["assignee"]] if given.get("assignee") else []
        old["assignees"], new["assignee_names"] = before["assignees"], lowered(given.get("assignees") or one)
    if given.get("state") or given.get("state_reason"):
        old["state"] = before["state"]
        new["state"] = given.get("state") or before["state"]
        if before["state"] == "closed":
            old["state_reason"] = before["state_reason"]
    others = ", ".join(sorted(given.keys() - {"owner", "repo", "issue_number", *ISSUE_FIELDS}))
    if old:
        way_back = undo("issues.update", owner=owner, repo=repo, issue_number=int(issue_number), **old)
        remains = yield from made_labels(owner, repo, before, names)
        yield way_back.on(look, left=new, back=old, same_shape=True).leaving(remains)
    if others:
        yield no_undo(f"{others} cannot be put back")
    elif not old:
        yield unchanged("the call gave nothing to change")
    yield forward()


def made_labels(owner: str, repo: str, before: Json, names: list[str]) -> Finder:
    """Say which labels the call makes: one that the repository lacks comes into being when an issue gets it."""
    made = []
    for name in names:
        if name.lower() not in before["label_set"]:
            known = yield read("issues.getLabel", owner=owner, repo=repo, name=name).through("label").or_none()
            if known is None:
                made.append(name)
    return f"the repository keeps the new label {', '.join(made)}" if made else ""


@github.guards("issues.addLabels", effect=Effect.REVERSIBLE)
def add_labels(owner: str, repo: str, issue_number: Json, labels: list[Json] | None) -> Handler:
    """Put labels on an issue; those that were not on it are taken off."""
    look = look_at(owner, repo, issue_number)
    before = yield look
    new = [name for name in dict.fromkeys(named(labels)) if name.lower() not in before["label_set"]]
    if not new:
        yield unchanged()
    for name in new:
        key = name.lower()
        remains = yield from made_labels(owner, repo, before, [name])
        way_back = undo("issues.removeLabel", owner=owner, repo=repo, issue_number=int(issue_number), name=name)
        left, back = {"label_set": {key: True}}, {"label_set": {key: ABSENT}}
        yield way_back.on(look, left=left, back=back).leaving(remains)
    yield forward()


@github.guards("issues.removeLabel", effect=Effect.REVERSIBLE)
def remove_label(owner: str, repo: str, issue_number: Json, name: str) -> Handler:
    """Take a label off an issue; it is put on again."""
    look = look_at(owner, repo, issue_number)
    before = yield look
    key = name.lower()
    if key in before["label_set"]:
        way_back = undo("issues.addLabels", owner=owner, repo=repo, issue_number=int(issue_number), labels=[name])
        yield way_back.on(look, left={"label_set": {key: ABSENT}}, back={"label_set": {key: True}})
    else:
        yield unchanged()
    yield forward()


@github.guards("issues.setLabels", effect=Effect.REVERSIBLE)
def set_labels(owner: str, repo: str, issue_number: Json, labels: list[Json] | None) -> Handler:
    """Replace the labels of an issue; the old ones come back."""
    names = named(labels)
    yield from replace_labels(owner, repo, issue_number, names)


@github.guards("issues.removeAllLabels", effect=Effect.REVERSIBLE)
def remove_all_labels(owner: str, repo: str, issue_number: Json) -> Handler:
    """Take all labels off an issue; they are put on again."""
    yield from replace_labels(owner, repo, issue_number, [])


def replace_labels(owner: str, repo: str, issue_number: Json, names: list[str]) -> Handler:
    """Let *names* be the issue's labels, and the former ones again afterwards."""
    look = look_at(owner, repo, issue_number)
    before = yield look
    wanted = lowered(names)
    if wanted != before["label_names"]:
        remains = yield from made_labels(owner, repo, before, names)
        where = {"owner": owner, "repo": repo, "issue_number": int(issue_number)}
        way_back = undo("issues.setLabels", **where, labels=before["labels"])
        yield way_back.on(look, left={"label_names": wanted}, back={"labels": before["labels"]}).leaving(remains)
    else:
        yield unchanged()
    yield forward()


@github.guards("issues.addAssignees", effect=Effect.COMPENSABLE, remains="the new assignees were notified")
def add_assignees(owner: str, repo: str, issue_number: Json, assignees: list[str] | None) -> Handler:
    """Assign people to an issue; those who were not assigned before are taken off again."""
    yield from change_assignees("issues.removeAssignees", owner, repo, issue_number, assignees, adding=True)


@github.guards("issues.removeAssignees", effect=Effect.COMPENSABLE, remains="they are notified that they are assigned")
def remove_assignees(owner: str, repo: str, issue_number: Json, assignees: list[str] | None) -> Handler:
    """Take people off an issue; they are assigned again."""
    yield from change_assignees("issues.addAssignees", owner, repo, issue_number, assignees, adding=False)


def change_assignees(
    inverse: str, owner: str, repo: str, issue_number: Json, assignees: list[str] | None, *, adding: bool
) -> Handler:
    """One undo for each person, because GitHub passes over those who cannot be assigned without saying so."""
    look = look_at(owner, repo, issue_number)
    before = yield look
    changed = [x for x in dict.fromkeys(assignees or []) if (x.lower() in before["assignee_set"]) is not adding]
    if not changed:
        yield unchanged()
    for login in changed:
        key = login.lower()
        there, away = {"assignee_set": {key: True}}, {"assignee_set": {key: ABSENT}}
        where = {"owner": owner, "repo": repo, "issue_number": int(issue_number)}
        way_back = undo(inverse, **where, assignees=[login])
        left, back = (there, away) if adding else (away, there)
        yield way_back.on(look, left=left, back=back).leaving(f"{login} was notified")
    yield forward()


@github.guards("issues.lock", effect=Effect.REVERSIBLE)
def lock_issue(owner: str, repo: str, issue_number: Json, lock_reason: str | None) -> Handler:
    """Lock the conversation; it is opened again, or gets its former reason back."""
    look = look_at(owner, repo, issue_number)
    before = yield look
    where = {"owner": owner, "repo": repo, "issue_number": int(issue_number)}
    left = {"locked": True, "active_lock_reason": lock_reason}
    back = {"locked": before["locked"], "active_lock_reason": before["active_lock_reason"]}
    if left != back:
        reason = {"lock_reason": before["active_lock_reason"]} if before["active_lock_reason"] else {}
        way_back = undo("issues.lock", **where, **reason) if before["locked"] else undo("issues.unlock", **where)
        yield way_back.on(look, left=left, back=back)
    else:
        yield unchanged()
    yield forward()


@github.guards("issues.unlock", effect=Effect.REVERSIBLE)
def unlock_issue(owner: str, repo: str, issue_number: Json) -> Handler:
    """Open a locked conversation; it is locked again for the same reason."""
    look = look_at(owner, repo, issue_number)
    before = yield look
    if before["locked"]:
        reason = {"lock_reason": before["active_lock_reason"]} if before["active_lock_reason"] else {}
        way_back = undo("issues.lock", owner=owner, repo=repo, issue_number=int(issue_number), **reason)
        back = {"locked": True, "active_lock_reason": before["active_lock_reason"]}
        yield way_back.on(look, left={"locked": False}, back=back)
    else:
        yield unchanged()
    yield forward()
