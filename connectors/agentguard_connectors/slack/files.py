"""files.*: uploads in three steps (an address, the bytes, completion) or in the retired single one, and deletion."""

from __future__ import annotations

from agentguard.calls import ABSENT, Effect, Handler, Json, Risk, Undo, forward, read, unchanged, undo
from agentguard_connectors.slack.service import slack

READ = "people may have opened or downloaded it; a comment that it was shared with stays"
WAS_PUBLIC = "whoever had the public link could open it"


def deletion(file: str, remains: str = READ) -> Undo:
    """The undo of an upload."""
    look = read("files.info", file=file).through("file")
    return undo("files.delete", file=file).on(look, left={"id": file}, back=ABSENT).leaving(remains)


@slack.guards("files.completeUploadExternal", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains=READ)
def complete_upload(files: Json) -> Handler:
    """Finish an upload and share it; the files are deleted again."""
    made = files if isinstance(files, list) else []
    for wanted in made:
        yield deletion(wanted["id"])
    if not made:
        yield unchanged("it names no file")
    yield forward()


@slack.guards("files.upload", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains=READ)
def upload() -> Handler:
    """Upload a file in one step; it is deleted again."""
    made = yield forward()
    yield deletion(made["file"]["id"])


slack.irreversible("files.delete", "The bytes are gone, and with them the file's id, shares and comments.")


@slack.guards("files.sharedPublicURL", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=WAS_PUBLIC)
def make_public(file: str) -> Handler:
    """Make a link with which anybody can open a file; it is revoked again."""
    look = read("files.info", file=file).through("file")
    if (yield look).get("public_url_shared"):
        yield unchanged("it was public before")
    else:
        way_back = undo("files.revokePublicURL", file=file)
        shared = {"public_url_shared": True}
        yield way_back.on(look, left=shared, back={"public_url_shared": False}).leaving(WAS_PUBLIC)
    yield forward()


@slack.guards("files.revokePublicURL", effect=Effect.COMPENSABLE, risk=Risk.LOW, remains="the link may be another")
def make_private(file: str) -> Handler:
    """Revoke a file's public link; a link is made again, if there was one.

    https://docs.slack.dev/reference/methods/files.revokePublicURL names no error for a file that was not public.
    """
    look = read("files.info", file=file).through("file")
    if (yield look).get("public_url_shared"):
        way_back = undo("files.sharedPublicURL", file=file)
        shared = {"public_url_shared": False}
        back = {"public_url_shared": True}
        yield way_back.on(look, left=shared, back=back).leaving("the public link may be another one")
    else:
        yield unchanged("it was not public before")
    yield forward()
