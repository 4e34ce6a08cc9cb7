"""files.*: the three-step upload, the retired single-step one, and what can be done with a file."""

from __future__ import annotations

from typing import Any

from agentguard.sandbox.slack.workspace import Work, dict_of, fail, method


def show(stored: dict[str, Any]) -> dict[str, Any]:
    """A file without its bytes."""
    return {name: value for name, value in stored.items() if name != "content"}


def store(work: Work, identifier: str, name: str, title: str, content: str) -> dict[str, Any]:
    """Keep a file."""
    stored = {
        "id": identifier,
        "name": name,
        "title": title,
        "size": len(content),
        "user": work.me,
        "created": work.now(),
        "mimetype": "text/plain",
        "is_public": False,
        "public_url_shared": False,
        "channels": [],
        "shares": {},
        "permalink": f"https://acme.slack.com/files/{work.me}/{identifier}/{name}",
        "content": content,
    }
    work.state["files"][identifier] = stored
    return stored


def share(work: Work, stored: list[dict[str, Any]], channels: list[str]) -> None:
    """Post *stored* to *channels*, in one message each."""
    for wanted in channels:
        found = work.state["channels"].get(wanted)
        if found is None:
            raise fail("channel_not_found")
        if work.me not in found["members"]:
            raise fail("not_in_channel")
        ts = work.ts()
        message = {"type": "message", "user": work.me, "ts": ts, "text": work.get("initial_comment") or ""}
        if work.get("thread_ts"):
            message["thread_ts"] = work.get("thread_ts")
        found["messages"][ts] = message | {"files": [{"id": f["id"], "title": f["title"]} for f in stored]}
        for one in stored:
            one["channels"].append(wanted)
            one["shares"].setdefault("public", {}).setdefault(wanted, []).append({"ts": ts})


@method("files.getUploadURLExternal")
def get_url(work: Work) -> dict[str, Any]:
    length = int(work.need("length", "missing_argument"))
    identifier = work.new_id("F")
    ticket = {"id": identifier, "name": work.need("filename", "missing_argument"), "length": length, "content": None}
    work.get("alt_txt"), work.get("snippet_type")
    work.state["uploads"][identifier] = ticket | {"user": work.me}
    return {"file_id": identifier, "upload_url": f"{work.state['url']}/upload/v1/{identifier}"}


@method("files.completeUploadExternal")
def complete(work: Work) -> dict[str, Any]:
    made = []
    for wanted in work.need("files", "invalid_arguments"):
        ticket = work.state["uploads"].pop(wanted["id"], None)
        if ticket is None:
            raise fail("file_not_found")
        if ticket["content"] is None:
            raise fail("file_update_failed")
        made.append(store(work, ticket["id"], ticket["name"], wanted.get("title") or ticket["name"], ticket["content"]))
    channels = work.names("channels") + ([work.get("channel_id")] if work.get("channel_id") else [])
    share(work, made, channels)
    return {"files": [show(stored) for stored in made]}


@method("files.upload")
def upload(work: Work) -> dict[str, Any]:
    content = work.get("content") or work.get("file")
    if not content:
        raise fail("no_file_data")
    text = content.decode("latin-1") if isinstance(content, bytes) else str(content)
    name = work.get("filename") or "-"
    stored = store(work, work.new_id("F"), name, work.get("title") or name, text)
    work.get("filetype")
    share(work, [stored], work.names("channels"))
    return {"file": show(stored)}


@method("files.info")
def info(work: Work) -> dict[str, Any]:
    return {"file": show(find(work)), "comments": []}


def find(work: Work) -> dict[str, Any]:
    """The file that the call points at."""
    stored = work.state["files"].get(work.need("file", "file_not_found"))
    if stored is None:
        raise fail("file_not_found")
    return dict_of(stored)


@method("files.list")
def list_files(work: Work) -> dict[str, Any]:
    wanted, who = work.get("channel"), work.get("user")
    ts_from = float(work.get("ts_from") or 0)
    found = [
        show(f)
        for f in work.state["files"].values()
        if wanted in (None, "", *f["channels"]) and who in (None, "", f["user"]) and f["created"] >= ts_from
    ]
    return {"files": found, "paging": {"count": 100, "total": len(found), "page": 1, "pages": 1}}


@method("files.delete")
def delete(work: Work) -> dict[str, Any]:
    stored = find(work)
    if stored["user"] != work.me and work.is_bot:
        raise fail("cant_delete_file")
    del work.state["files"][stored["id"]]
    for channel in work.state["channels"].values():
        for ts, message in list(channel["messages"].items()):
            left = [f for f in message.get("files", ()) if f["id"] != stored["id"]]
            if "files" in message and not left and not message["text"]:
                del channel["messages"][ts]
            elif "files" in message and len(left) < len(message["files"]):
                gone = {"id": stored["id"], "mode": "tombstone"}
                message["files"] = [*left, gone]
    return {}


@method("files.sharedPublicURL", "files.revokePublicURL")
def public_url(work: Work) -> dict[str, Any]:
    stored = find(work)
    if work.is_bot:
        raise fail("not_allowed_token_type")
    public = work.method == "files.sharedPublicURL"
    if public and stored["public_url_shared"]:
        raise fail("already_public")
    stored["public_url_shared"] = public
    return {"file": show(stored)}
