"""Releases: https://docs.github.com/rest/releases/releases. Publishing one makes its tag, if there is none."""

from __future__ import annotations

from agentguard.calls import (
    ABSENT,
    Call,
    Effect,
    Finder,
    Handler,
    Json,
    Risk,
    as_sent,
    forward,
    no_undo,
    read,
    unchanged,
    undo,
)
from agentguard_connectors.github.code import ref_at, was_latest
from agentguard_connectors.github.hidden import marking
from agentguard_connectors.github.lost import ME, Sent, choose, pages
from agentguard_connectors.github.service import github

FIELDS = ("tag_name", "target_commitish", "name", "body", "draft", "prerelease")


@github.guards("repos.createRelease", effect=Effect.COMPENSABLE, remains="people who watch were notified")
def create_release(
    owner: str,
    repo: str,
    tag_name: str,
    target_commitish: str | None,
    draft: bool | None,
    body: Json,
    mark: str | None,
) -> Handler:
    """Publish a release; it is deleted, with the tag that it made."""
    where = {"owner": owner, "repo": repo}
    if not draft and (yield ref_at(owner, repo, f"tags/{tag_name}").or_none()) is None:
        target = target_commitish or (yield read("repos.get", **where).through("repository"))["default_branch"]
        commit = yield read("repos.getCommit", **where, ref=target).through("commit")
        tag = undo("git.deleteRef", **where, ref=f"tags/{tag_name}")
        yield tag.on(ref_at(owner, repo, f"tags/{tag_name}"), left=commit, back=ABSENT)
    made = yield marking(body, mark)
    look = read("repos.getRelease", **where, release_id=made["id"]).through("release")
    away = undo("repos.deleteRelease", **where, release_id=made["id"])
    left = github.views["release"](made)
    remains = "" if draft else "people who watch were notified"
    yield away.on(look, left=left, back=ABSENT).leaving(remains)


@github.finds("repos.createRelease", authoritative=True, exact=True)
def find_release(call: Call, owner: str, repo: str, tag_name: str, body: Json, mark: str | None, since: str) -> Finder:
    """Look for the release with our mark, drafts included; without one, for the only one of this tag that we made."""
    sent = Sent(mark, body, since)
    me = yield ME
    found = yield from pages(read("repos.listReleases", owner=owner, repo=repo))
    # `created_at` of a published release is the time of its commit, and not every GitHub tells when one was edited.
    dated = [{**one, "made": max(one["created_at"], one.get("published_at") or "")} for one in found]

    def same(one: Json) -> bool:
        return bool(one["tag_name"] == tag_name)

    chosen = choose(dated, sent, me, same=same, touched=same, author="author", made="made")
    if chosen is None:
        return None
    new = {"name": None, "body": None, "draft": False, "prerelease": False, **call.arguments}
    if call.arguments.get("generate_release_notes"):
        # GitHub writes the name, and notes after the text.
        new |= {name: chosen[name] for name in ("name", "body") if (chosen[name] or "").startswith(new[name] or "")}
    return {**as_sent({name: value for name, value in chosen.items() if name != "made"}, new), "assets": []}


@github.guards("repos.updateRelease", effect=Effect.REVERSIBLE)
def update_release(call: Call, owner: str, repo: str, release_id: Json) -> Handler:
    """Edit a release; its old tag, title, text and state come back."""
    where = {"owner": owner, "repo": repo, "release_id": int(release_id)}
    look = read("repos.getRelease", **where).through("release")
    before = yield look
    names = [name for name in FIELDS if name in call.arguments]
    if names and "tag_name" not in names and (before["draft"] or call.arguments.get("draft")):
        # GitHub takes the tag away from a draft whose edit does not name it, and the undo is one as well.
        names.append("tag_name")
    remains = []
    if before["draft"] and call.arguments.get("draft") is False:
        remains.append("it was published for a while: people who watch were notified, and a tag it made stays")
    elif call.arguments.get("tag_name") not in (None, before["tag_name"]):
        remains.append("a tag it made stays")
    latest = {}
    if not before["draft"] and call.arguments.get("draft"):
        remains.append("it was a draft for a while, and people who watch are notified again")
        latest = {"make_latest": (yield from was_latest(owner, repo, int(release_id)))}
    others = ", ".join(sorted(call.arguments.keys() - {"owner", "repo", "release_id", *FIELDS}))
    if others:
        yield no_undo(f"{others} cannot be put back")
    elif not names:
        yield unchanged("the call gave nothing to change")
    if names:
        old = {name: before[name] for name in names}
        new = {name: call.arguments.get(name, before[name]) for name in names}
        way_back = undo("repos.updateRelease", **where, **old, **latest)
        yield way_back.on(look, left=new, back=old, same_shape=True).leaving("; ".join(remains))
    yield forward()


github.creates(
    "repos.uploadReleaseAsset",
    undone_by="repos.deleteReleaseAsset",
    key={"asset_id": "id"},
    by="repos.getReleaseAsset",
    view="asset",
    effect=Effect.COMPENSABLE,
    remains="it could be downloaded in the meantime",
    summary="Upload a file to a release; it is deleted.",
)
github.restores(
    "repos.updateReleaseAsset",
    by="repos.getReleaseAsset",
    view="asset",
    summary="Rename a file of a release; its old name and label come back.",
)
github.irreversible("repos.deleteReleaseAsset", "Delete a file of a release. Its content is not kept here.")


@github.guards("repos.deleteRelease", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains="its files are lost")
def delete_release(owner: str, repo: str, release_id: Json) -> Handler:
    """Delete a release; it is made again with its tag and text, and without its files."""
    where = {"owner": owner, "repo": repo}
    before = yield read("repos.getRelease", **where, release_id=int(release_id)).through("release")
    lost = f"; its {before['files']} uploaded files are lost" if before["files"] else ""
    latest = "false" if before["draft"] else (yield from was_latest(owner, repo, int(release_id)))
    again = undo("repos.createRelease", **where, **{name: before[name] for name in FIELDS}, make_latest=latest)
    yield again.leaving(f"a new release with a new id and date; people who watch are notified{lost}")
    yield forward()
