"""Rich text, icons, covers, files and dates: what a request may say, and how Notion shows it again.

https://developers.notion.com/reference/rich-text, https://developers.notion.com/reference/file-object.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from agentguard.sandbox.notion.base import Data, invalid, one_of, only, typed

PLAIN = {
    "bold": False,
    "italic": False,
    "strikethrough": False,
    "underline": False,
    "code": False,
    "color": "default",
}
MENTIONS = ("user", "page", "database", "date", "template_mention", "custom_emoji")


def uuid(value: Any, where: str) -> str:
    try:
        return str(UUID(str(value)))
    except ValueError:
        raise invalid(f"body failed validation: {where} should be a valid uuid, instead was `{value}`.") from None


def rich_text(value: Any, where: str) -> list[Data]:
    """Rich text as Notion shows it."""
    items = typed(value, where, list)
    if len(items) > 100:
        raise invalid(f"body failed validation: {where}.length should be ≤ `100`, instead was `{len(items)}`.")
    return [_piece(item, f"{where}[{at}]") for at, item in enumerate(items)]


def _piece(item: Any, where: str) -> Data:
    only(item, where, "type", "text", "mention", "equation", "annotations", "plain_text", "href")
    kind = one_of({n: v for n, v in item.items() if n in ("type", "text", "mention", "equation")}, where, *_PIECES)
    given = only(item.get("annotations", {}), f"{where}.annotations", *PLAIN)
    inside, plain, href = _PIECES[kind](item[kind], f"{where}.{kind}")
    return {"type": kind, kind: inside, "annotations": {**PLAIN, **given}, "plain_text": plain, "href": href}


def _text(value: Any, where: str) -> tuple[Data, str, str | None]:
    only(value, where, "link", required=("content",))
    content = typed(value["content"], f"{where}.content", str)
    if len(content) > 2000:
        raise invalid(f"body failed validation: {where}.content.length should be ≤ `2000`.")
    link = value.get("link")
    if link is not None:
        only(link, f"{where}.link", required=("url",))
    return {"content": content, "link": link}, content, link and link["url"]


def _equation(value: Any, where: str) -> tuple[Data, str, str | None]:
    expression = typed(only(value, where, required=("expression",))["expression"], where, str)
    return {"expression": expression}, expression, None


def _mention(value: Any, where: str) -> tuple[Data, str, str | None]:
    kind = one_of(value, where, *MENTIONS)
    if kind == "date":
        shown = date(value[kind], where)
        return {"type": kind, kind: shown}, str(shown and shown["start"]), None
    if kind == "template_mention":
        return {"type": kind, kind: value[kind]}, "@Today", None
    which = uuid(only(value[kind], f"{where}.{kind}", "object", required=("id",))["id"], f"{where}.{kind}.id")
    return {"type": kind, kind: {"id": which}}, f"@{kind}", None


_PIECES = {"text": _text, "mention": _mention, "equation": _equation}


def plain(items: list[Data]) -> str:
    return "".join(item["plain_text"] for item in items)


def paragraph_text(words: str) -> list[Data]:
    """The simplest rich text."""
    return rich_text([{"text": {"content": words}}], "text") if words else []


def date(value: Any, where: str) -> Data | None:
    if value is None:
        return None
    only(value, where, "end", "time_zone", required=("start",))
    return {name: value.get(name) for name in ("start", "end", "time_zone")}


def icon(value: Any, where: str, uploads: Data) -> Data | None:
    """An icon. One that Notion keeps (`file`) is shown and cannot be set."""
    if value is None:
        return None
    kind = one_of(value, where, "emoji", "external", "custom_emoji", "file_upload")
    if kind == "emoji":
        return {"type": kind, kind: typed(value[kind], f"{where}.emoji", str)}
    if kind == "custom_emoji":
        which = only(value[kind], f"{where}.custom_emoji", "name", "url", required=("id",))["id"]
        return {"type": kind, kind: {"id": uuid(which, where), "name": "bufo", "url": "https://files.example/bufo.png"}}
    return file(value, where, uploads)


def file(value: Any, where: str, uploads: Data) -> Data | None:
    """A cover, or any other file: external, or an upload that is ready."""
    if value is None:
        return None
    kind = one_of(value, where, "external", "file_upload")
    if kind == "external":
        url = typed(only(value[kind], f"{where}.external", required=("url",))["url"], where, str)
        if not url.startswith(("https://", "http://")):
            raise invalid(f"body failed validation: {where}.external.url should be a URL.")
        return {"type": kind, kind: {"url": url}}
    upload = uploads.get(uuid(only(value[kind], f"{where}.file_upload", required=("id",))["id"], where))
    if upload is None or upload["status"] != "uploaded":
        raise invalid(f"body failed validation: {where}.file_upload.id should be that of an uploaded file.")
    upload["expiry_time"] = None
    return kept(f"https://files.example/{upload['id']}/{upload['filename']}")


def kept(url: str) -> Data:
    """A file that Notion keeps, at an address that is good for an hour."""
    return {"type": "file", "file": {"url": f"{url}?signature=c2lnbmVk", "expiry_time": "2030-01-01T00:00:00.000Z"}}
