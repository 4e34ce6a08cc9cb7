"""Comments, reactions, labels and milestones: https://docs.github.com/rest/issues/comments and the pages beside it."""

from __future__ import annotations

from agentguard.calls import (
    ABSENT,
    Call,
    Effect,
    Finder,
    Handler,
    Json,
    Read,
    Risk,
    as_sent,
    forward,
    no_undo,
    read,
    unchanged,
    undo,
)
from agentguard_connectors.github.hidden import marking
from agentguard_connectors.github.lost import ME, PAGE, Sent, Unclear, choose, pages
from agentguard_connectors.github.service import github

NOTIFIED = "people who were mentioned or watch were notified"


@github.guards("issues.createComment", effect=Effect.COMPENSABLE, remains=NOTIFIED)
def create_comment(owner: str, repo: str, body: Json, mark: str | None) -> Handler:
    """Comment on an issue or pull request; the comment is deleted."""
    made = yield marking(body, mark)
    where = {"owner": owner, "repo": repo, "comment_id": made["id"]}
    look = read("issues.getComment", **where).through("comment")
    left = github.views["comment"](made)
    yield undo("issues.deleteComment", **where).on(look, left=left, back=ABSENT).leaving(NOTIFIED)


github.restores(
    "issues.updateComment",
    by="issues.getComment",
    view="comment",
    summary="Edit a comment; the old text comes back. The edit stays in the comment's history.",
)


@github.finds("issues.createComment", authoritative=True)
def find_comment(owner: str, repo: str, issue_number: Json, body: Json, mark: str | None, since: str) -> Finder:
    """Look for the comment with our mark; without one, for the only one of ours that says the same."""
    sent = Sent(mark, body, since)
    me = yield ME
    where = {"owner": owner, "repo": repo, "issue_number": int(issue_number)}
    found = yield from pages(read("issues.listComments", **where, since=sent.floor))
    return choose(found, sent, me, same=lambda one: one["body"] == body)


@github.guards("issues.deleteComment", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains="a new comment of yours")
def delete_comment(owner: str, repo: str, comment_id: Json) -> Handler:
    """Delete a comment; its text is posted again, as a new comment of the caller's."""
    read_it = read("issues.getComment", owner=owner, repo=repo, comment_id=int(comment_id))
    old = yield read_it.through("whole_comment")
    again = undo("issues.createComment", owner=owner, repo=repo, issue_number=old["on"], body=old["body"])
    yield again.leaving("a new comment at the end, in your name, with a new id; reactions are lost")
    yield forward()


# Reactions: https://docs.github.com/rest/reactions/reactions


def reacts(what: str, key: str) -> None:
    """Guard both halves for one kind of thing that can be reacted to."""
    listing, deleting, creating = f"reactions.listFor{what}", f"reactions.deleteFor{what}", f"reactions.createFor{what}"

    @github.guards(creating, effect=Effect.REVERSIBLE)
    def create(owner: str, repo: str, content: str, **given: Json) -> Handler:
        """React; the reaction is taken away, unless it was there before."""
        where = {"owner": owner, "repo": repo, key: int(given[key])}
        look = read(listing, **where, content=content, per_page=PAGE).through("reactions")
        before = yield look
        made = yield forward()
        at = str(made["id"])
        if at in before["ids"]:
            yield unchanged("the reaction was there before")
        elif before["complete"]:
            away = undo(deleting, **where, reaction_id=made["id"])
            yield away.on(look, left={"ids": {at: content}}, back={"complete": True, "ids": {at: ABSENT}})
        else:
            yield no_undo("there were more than a hundred of its kind, and it is not known whether it was there before")

    @github.finds(creating, authoritative=True)
    def find(owner: str, repo: str, content: str, **given: Json) -> Finder:
        """Somebody has at most one reaction of a kind to a thing; whether it was there before, the snapshot tells."""
        me = yield ME
        if me is None:
            raise Unclear("this client may not ask whose account it is for, so that its reactions cannot be told")
        found = yield from pages(read(listing, owner=owner, repo=repo, content=content, **{key: int(given[key])}))
        return next((one for one in found if (one.get("user") or {}).get("login") == me), None)

    @github.guards(deleting, effect=Effect.COMPENSABLE, remains="the reaction has a new id")
    def delete(owner: str, repo: str, reaction_id: Json, **given: Json) -> Handler:
        """Take a reaction away; it is made again."""
        where = {"owner": owner, "repo": repo, key: int(given[key])}
        look = read(listing, **where, per_page=PAGE).through("reactions")
        before = yield look
        content, by = before["ids"].get(str(reaction_id)), before["by"].get(str(reaction_id))
        if content is not None:
            one = read(listing, **where, content=content, per_page=PAGE).through("reactions")
            left, back = {"people": {by: ABSENT}}, {"people": {by: True}}
            yield undo(creating, **where, content=content).on(one, left=left, back=back).leaving("it has a new id")
        else:
            yield no_undo("the reaction was not among the first hundred, so it is not known what it was")
        yield forward()


reacts("Issue", "issue_number")
reacts("IssueComment", "comment_id")


# Labels: https://docs.github.com/rest/issues/labels


def label_at(owner: str, repo: str, name: str) -> Read:
    """Read a label of a repository."""
    return read("issues.getLabel", owner=owner, repo=repo, name=name).through("label")


@github.guards("issues.createLabel", effect=Effect.REVERSIBLE)
def create_label(owner: str, repo: str, name: str, color: str | None, description: str | None) -> Handler:
    """Make a label; it is deleted."""
    look = label_at(owner, repo, name)
    if (yield look.or_none()) is None:
        way_back = undo("issues.deleteLabel", owner=owner, repo=repo, name=name)
        given = {"color": color and color.lower(), "description": description}
        left = {"name": name, **{key: value for key, value in given.items() if value is not None}}
        yield way_back.on(look, left=left, back=ABSENT, same_shape=True)
    else:
        yield unchanged("a label of this name was there before")
    yield forward()


@github.guards("issues.updateLabel", effect=Effect.REVERSIBLE)
def update_label(
    owner: str, repo: str, name: str, new_name: str | None, color: str | None, description: str | None
) -> Handler:
    """Change a label; its old name, colour and description come back."""
    before = yield label_at(owner, repo, name)
    now = new_name or name
    if now != before["name"]:
        rename = undo("issues.updateLabel", owner=owner, repo=repo, name=now, new_name=before["name"])
        if now.lower() == before["name"].lower():
            look = label_at(owner, repo, now)
            yield rename.on(look, left={"name": now}, back={"name": before["name"]})
        else:
            look = label_at(owner, repo, before["name"])
            yield rename.on(look, left=ABSENT, back={"name": before["name"]})
    given = {"color": color and color.lower(), "description": description}
    new = {key: value for key, value in given.items() if value is not None and value != before[key]}
    if new:
        old = {key: before[key] for key in new}
        paint = undo("issues.updateLabel", owner=owner, repo=repo, name=now, **old)
        yield paint.on(label_at(owner, repo, now), left=new, back=old)
    elif now == before["name"]:
        yield unchanged()
    yield forward()


@github.guards("issues.deleteLabel", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains="the label has a new id")
def delete_label(owner: str, repo: str, name: str) -> Handler:
    """Delete a label; it is made again and put back on the issues that had it."""
    look = label_at(owner, repo, name)
    before = yield look
    numbers: list[int] = []
    page: list[int] = [0] * PAGE
    listing = {"owner": owner, "repo": repo, "labels": name, "state": "all", "per_page": PAGE}
    while len(page) == PAGE and len(numbers) < 10 * PAGE:
        page = yield read("issues.listForRepo", **listing, page=len(numbers) // PAGE + 1).through("issues_of")
        numbers += page
    key = before["name"].lower()
    for number in numbers:
        where = {"owner": owner, "repo": repo, "issue_number": number}
        left, back = {"label_set": {key: ABSENT}}, {"label_set": {key: True}}
        put_on = undo("issues.addLabels", **where, labels=[before["name"]])
        yield put_on.on(read("issues.get", **where).through("issue"), left=left, back=back)
    more = "; issues beyond the first thousand stay without it" if len(numbers) >= 10 * PAGE else ""
    again = undo("issues.createLabel", owner=owner, repo=repo, **before)
    yield again.on(look, left=ABSENT, back=before).leaving(f"the label has a new id{more}")
    yield forward()


# Milestones: https://docs.github.com/rest/issues/milestones

github.creates(
    "issues.createMilestone",
    undone_by="issues.deleteMilestone",
    key={"milestone_number": "number"},
    by="issues.getMilestone",
    view="new_milestone",
    summary="Make a milestone; it is deleted, unless there are open issues in it. Its number is used up.",
)
github.restores(
    "issues.updateMilestone",
    by="issues.getMilestone",
    view="milestone",
    summary="Change a milestone; its old title, description, date and state come back.",
)


@github.finds("issues.createMilestone")
def find_milestone(call: Call, owner: str, repo: str, title: str, since: str) -> Finder:
    """A milestone's title is unique in its repository; somebody else may have made it."""
    me = yield read("users.getAuthenticated").through("login")
    found = yield from pages(read("issues.listMilestones", owner=owner, repo=repo, state="all", direction="desc"))
    ours = [one for one in found if one["creator"]["login"] == me and one["created_at"] >= since]
    made = next((one for one in ours if one["title"] == title), None)
    if made is None:
        return None
    due = call.arguments.get("due_on") or ""
    same_day = due[:10] == (made["due_on"] or "")[:10]  # GitHub keeps the day, and a time of its own
    new = {"state": "open", "description": None, "open_issues": 0}
    return as_sent(made, {**new, **call.arguments, "due_on": made["due_on"] if same_day else due})


@github.guards("issues.deleteMilestone", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains="it has a new number")
def delete_milestone(owner: str, repo: str, milestone_number: Json) -> Handler:
    """Delete a milestone; it is made again with a new number, and issues have to be put into it again."""
    where = {"owner": owner, "repo": repo}
    before = yield read("issues.getMilestone", **where, milestone_number=int(milestone_number)).through("milestone")
    listing = {**where, "milestone": str(milestone_number), "state": "all", "per_page": PAGE}
    numbers = yield read("issues.listForRepo", **listing).through("issues_of")
    inside = f"; not put into it again: issues {', '.join(f'#{number}' for number in numbers)}" if numbers else ""
    again = {name: value for name, value in before.items() if value is not None}
    yield undo("issues.createMilestone", **where, **again).leaving(f"a new milestone with a new number{inside}")
    yield forward()
