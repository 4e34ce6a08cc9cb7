"""Variables of workflows, comments on commits, and gists: small things with simple ways back.

https://docs.github.com/rest/actions/variables: a variable can be read, unlike a secret, and so it can be restored.
"""

from __future__ import annotations

from agentguard.calls import ABSENT, Call, Effect, Finder, Handler, Json, Read, Risk, forward, read, unchanged, undo
from agentguard.wire.codec import BODY
from agentguard_connectors.github.hidden import marking
from agentguard_connectors.github.lost import ME, Sent, choose, pages
from agentguard_connectors.github.service import github

NOTIFIED = "people who were mentioned or watch were notified"


def variable_at(owner: str, repo: str, name: str) -> Read:
    """Read a variable of a repository."""
    return read("actions.getRepoVariable", owner=owner, repo=repo, name=name).through("variable")


@github.guards("actions.createRepoVariable", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def create_variable(owner: str, repo: str, name: str, value: str) -> Handler:
    """Set a new variable for workflows; it is deleted."""
    look = variable_at(owner, repo, name)
    if (yield look.or_none()) is None:
        way_back = undo("actions.deleteRepoVariable", owner=owner, repo=repo, name=name)
        yield way_back.on(look, left={"value": value}, back=ABSENT)
    else:
        yield unchanged("a variable of this name was there before")
    yield forward()


@github.guards("actions.updateRepoVariable", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def update_variable(call: Call, owner: str, repo: str, name: str) -> Handler:
    """Change a variable for workflows; its old name and value come back."""
    # The name stands in the path and may stand in the body, where a new one renames the variable.
    given = {"value": call.arguments.get("value"), **(call.arguments.get(BODY) or {})}
    before = yield variable_at(owner, repo, name)
    now = given.get("name") or name
    where = {"owner": owner, "repo": repo, "name": now}
    back = {"name": before["name"], "value": before["value"]}
    if now.upper() != before["name"]:
        way_back = undo("actions.updateRepoVariable", **where, **{BODY: back})
        yield way_back.on(variable_at(owner, repo, before["name"]), left=ABSENT, back=back)
    elif given["value"] not in (None, before["value"]):
        way_back = undo("actions.updateRepoVariable", **where, value=before["value"])
        yield way_back.on(variable_at(owner, repo, now), left={"value": given["value"]}, back=back)
    else:
        yield unchanged()
    yield forward()


@github.guards("actions.deleteRepoVariable", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def delete_variable(owner: str, repo: str, name: str) -> Handler:
    """Delete a variable for workflows; it is set again."""
    look = variable_at(owner, repo, name)
    before = yield look
    again = undo("actions.createRepoVariable", owner=owner, repo=repo, **before)
    yield again.on(look, left=ABSENT, back=before)
    yield forward()


@github.guards("repos.createCommitComment", effect=Effect.COMPENSABLE, remains=NOTIFIED)
def create_commit_comment(owner: str, repo: str, body: Json, mark: str | None) -> Handler:
    """Comment on a commit; the comment is deleted."""
    made = yield marking(body, mark)
    where = {"owner": owner, "repo": repo, "comment_id": made["id"]}
    look = read("repos.getCommitComment", **where).through("comment")
    left = github.views["comment"](made)
    yield undo("repos.deleteCommitComment", **where).on(look, left=left, back=ABSENT).leaving(NOTIFIED)


@github.finds("repos.createCommitComment", authoritative=True)
def find_commit_comment(owner: str, repo: str, commit_sha: str, body: Json, mark: str | None, since: str) -> Finder:
    """Look for the comment with our mark; without one, for the only one of ours that says the same."""
    sent = Sent(mark, body, since)
    me = yield ME
    found = yield from pages(read("repos.listCommentsForCommit", owner=owner, repo=repo, commit_sha=commit_sha))
    return choose(found, sent, me, same=lambda one: one["body"] == body)


github.restores(
    "repos.updateCommitComment",
    by="repos.getCommitComment",
    view="comment",
    summary="Edit a comment on a commit; the old text comes back.",
)


@github.guards("repos.deleteCommitComment", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains="a new comment")
def delete_commit_comment(owner: str, repo: str, comment_id: Json) -> Handler:
    """Delete a comment on a commit; its text is posted again, as a new comment of the caller's."""
    look = read("repos.getCommitComment", owner=owner, repo=repo, comment_id=int(comment_id))
    old = yield look.through("commit_comment")
    yield undo("repos.createCommitComment", owner=owner, repo=repo, **old).leaving(
        "a new comment in your name, with a new id; reactions are lost"
    )
    yield forward()


@github.guards("gists.create", effect=Effect.COMPENSABLE, remains="it could be read in the meantime")
def create_gist() -> Handler:
    """Publish a gist; it is deleted."""
    made = yield forward()
    look = read("gists.get", gist_id=made["id"]).through("gist")
    left = github.views["gist"](made)
    away = undo("gists.delete", gist_id=made["id"])
    yield away.on(look, left=left, back=ABSENT).leaving("whoever had its address could read it in the meantime")


@github.finds("gists.create")
def find_gist(files: Json, description: Json, since: str) -> Finder:
    """Look for the one gist of ours since that holds the same files."""
    wanted = {name: (one or {}).get("content") for name, one in (files or {}).items()}
    listed = yield from pages(read("gists.list", since=since))
    likely = [one for one in listed if one["created_at"] >= since and one["files"].keys() == wanted.keys()]
    same = []
    for one in likely:
        whole = yield read("gists.get", gist_id=one["id"])
        seen = github.views["gist"](whole)
        if (seen["files"], seen["description"]) == (wanted, description or ""):
            same.append(whole)
    return {**same[0], "comments": 0} if len(same) == 1 else None
