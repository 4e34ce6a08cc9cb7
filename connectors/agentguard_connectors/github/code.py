"""Files and references: https://docs.github.com/rest/repos/contents and https://docs.github.com/rest/git/refs.

A file is known by the name of its blob, which can be computed before the call is sent. GitHub checks that name when a
file is replaced or deleted, so that these undos cannot overwrite what somebody else wrote in the meantime.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from agentguard.calls import ABSENT, Effect, Finder, Handler, Json, Read, Risk, forward, read, unchanged, undo
from agentguard_connectors.github.service import github


def blob_name(encoded: str) -> str:
    """The name that git gives to a content in base64: SHA-1 over its kind, its size and itself."""
    try:
        raw = base64.b64decode(encoded)
    except (binascii.Error, ValueError):
        return ""  # GitHub will refuse the call
    return hashlib.sha1(b"blob %d\0" % len(raw) + raw, usedforsecurity=False).hexdigest()


def file_at(owner: str, repo: str, path: str, branch: str | None) -> Read:
    """Read a file, on a branch or on the default one."""
    ref = {"ref": branch} if branch else {}
    return read("repos.getContent", owner=owner, repo=repo, path=path, **ref).through("file")


def content_of(owner: str, repo: str, before: Json) -> Finder:
    """The content of a file. Above a megabyte it does not come with the file: it is read as a blob."""
    if before["content"] is None:
        before = yield read("git.getBlob", owner=owner, repo=repo, file_sha=before["sha"]).through("file")
    return before["content"]


KEPT = "both commits stay in the branch's history, and what runs on a push has run"


@github.guards("repos.createOrUpdateFileContents", effect=Effect.COMPENSABLE, remains=KEPT)
def put_file(owner: str, repo: str, path: str, message: str | None, content: str | None, branch: str | None) -> Handler:
    """Write a file; its old content comes back in another commit, or a new file is deleted."""
    look = file_at(owner, repo, path, branch)
    before = yield look.or_none()
    new = blob_name(content or "")
    where = {"owner": owner, "repo": repo, "path": path, **({"branch": branch} if branch else {})}
    words = f"Take back: {message or path}"
    if before is None:
        remove = undo("repos.deleteFile", **where, message=words, sha=new)
        yield remove.on(look, left={"sha": new}, back=ABSENT).leaving(KEPT)
    elif before["sha"] != new:
        old = yield from content_of(owner, repo, before)
        remains = yield from what_remains(owner, repo, path, branch)
        way_back = undo("repos.createOrUpdateFileContents", **where, message=words, content=old, sha=new)
        yield way_back.on(look, left={"sha": new}, back={"sha": before["sha"]}).leaving(remains)
    else:
        yield unchanged("the file had this content before")
    yield forward()


def what_remains(owner: str, repo: str, path: str, branch: str | None) -> Finder:
    """What remains, and what is lost of a file's mode, which stands only in the tree of its folder.

    This API writes ordinary files.
    """
    where = {"owner": owner, "repo": repo}
    branch = branch or (yield read("repos.get", **where).through("repository"))["default_branch"]
    tip = yield ref_at(owner, repo, f"heads/{branch}")
    *folders, name = path.strip("/").split("/")
    entries = yield read("git.getTree", **where, tree_sha=tip["sha"]).through("tree")
    for folder in folders:
        entries = yield read("git.getTree", **where, tree_sha=entries[folder]["sha"]).through("tree")
    mode = entries[name]["mode"]
    return KEPT if mode == "100644" else f"{KEPT}; the file comes back as an ordinary one; its mode was {mode}"


@github.guards("repos.deleteFile", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains=KEPT)
def delete_file(owner: str, repo: str, path: str, message: str | None, branch: str | None) -> Handler:
    """Delete a file; its content comes back in another commit."""
    look = file_at(owner, repo, path, branch)
    before = yield look
    old = yield from content_of(owner, repo, before)
    remains = yield from what_remains(owner, repo, path, branch)
    where = {"owner": owner, "repo": repo, "path": path, **({"branch": branch} if branch else {})}
    again = undo("repos.createOrUpdateFileContents", **where, message=f"Take back: {message or path}", content=old)
    yield again.on(look, left=ABSENT, back={"sha": before["sha"]}).leaving(remains)
    yield forward()


def ref_at(owner: str, repo: str, ref: str) -> Read:
    """Read a reference."""
    return read("git.getRef", owner=owner, repo=repo, ref=ref.removeprefix("refs/")).through("ref")


@github.guards("git.createRef", effect=Effect.REVERSIBLE)
def create_ref(owner: str, repo: str, ref: str, sha: str) -> Handler:
    """Make a branch or tag; it is deleted, if nobody moved it."""
    look = ref_at(owner, repo, ref)
    if (yield look.or_none()) is None:
        way_back = undo("git.deleteRef", owner=owner, repo=repo, ref=ref.removeprefix("refs/"))
        yield way_back.on(look, left={"sha": sha}, back=ABSENT)
    else:
        yield unchanged("a reference of this name was there before")
    yield forward()


MOVED = "what runs on a push has run, and pull requests that it merged or closed stay so"


@github.guards("git.updateRef", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains=MOVED)
def update_ref(owner: str, repo: str, ref: str, sha: str) -> Handler:
    """Move a branch or tag; it is moved back, if nobody moved it further."""
    look = ref_at(owner, repo, ref)
    before = yield look
    if before["sha"] != sha:
        way_back = undo("git.updateRef", owner=owner, repo=repo, ref=ref, sha=before["sha"], force=True)
        yield way_back.on(look, left={"sha": sha}, back=before).leaving(MOVED)
    else:
        yield unchanged()
    yield forward()


@github.guards("git.deleteRef", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def delete_ref(owner: str, repo: str, ref: str) -> Handler:
    """Delete a branch or tag; it is made again, with the pull requests that it closed or the release of the tag."""
    look = ref_at(owner, repo, ref)
    before = yield look
    if ref.startswith("heads/"):
        branch = ref.removeprefix("heads/")
        for end in ({"head": f"{owner}:{branch}"}, {"base": branch}):
            listing = read("pulls.list", owner=owner, repo=repo, state="open", per_page=100, **end)
            for number in (yield listing.through("issues_of")):
                where = {"owner": owner, "repo": repo, "pull_number": number}
                base = {"base": branch} if "base" in end else {}
                reopen = undo("pulls.update", **where, state="open")
                pull = read("pulls.get", **where).through("pull")
                yield reopen.on(pull, left={"state": "closed"}, back={"state": "open", **base})
    elif ref.startswith("tags/"):
        yield from publish_again(owner, repo, ref.removeprefix("tags/"))
    again = undo("git.createRef", owner=owner, repo=repo, ref=f"refs/{ref}", sha=before["sha"])
    yield again.on(look, left=ABSENT, back=before)
    yield forward()


def publish_again(owner: str, repo: str, tag: str) -> Handler:
    """Publish the release of a tag again: GitHub makes a draft of it when its tag is deleted."""
    where = {"owner": owner, "repo": repo}
    release = yield read("repos.getReleaseByTag", **where, tag=tag).or_none()
    if release is not None:
        latest = yield from was_latest(owner, repo, release["id"])
        look = read("repos.getRelease", **where, release_id=release["id"]).through("release")
        publish = {"tag_name": tag, "draft": False, "make_latest": latest}
        way_back = undo("repos.updateRelease", **where, release_id=release["id"], **publish)
        yield way_back.on(look, left={"draft": True}, back={"draft": False, "tag_name": tag}).leaving(
            f"the release of {tag} was a draft for a while, and people who watch are notified again"
        )


def was_latest(owner: str, repo: str, release_id: int) -> Finder:
    """Whether a release is the latest one, as calls take it. One that is published becomes so unless told otherwise."""
    latest = yield read("repos.getLatestRelease", owner=owner, repo=repo).or_none()
    return "true" if latest is not None and latest["id"] == release_id else "false"
