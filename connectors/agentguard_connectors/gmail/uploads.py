"""The gated http of a Gmail service, with resumable uploads held back until they are whole.

A resumable upload is a request that opens it and one for each chunk; the last chunk is what sends the mail. None of
them alone shows what is about to happen. So the opening and the chunks are answered here, and the whole goes out as
one multipart upload, which Gmail takes up to the same size (`mediaUpload` in its discovery document).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import httplib2

from agentguard.errors import AgentguardError, Blocked
from agentguard.wire.http import SAFE_VERBS, Headers, Response
from agentguard.wire.httplib2 import GatedHttp, read_body
from agentguard_connectors.gmail.codec import query_of, related, without
from agentguard_connectors.gmail.seams import new_upload, not_a_repeat, with_old_ids


@dataclass(slots=True)
class Upload:
    """A resumable upload under way."""

    uri: str
    verb: str
    headers: dict[str, str]
    metadata: bytes
    media: bytes = b""
    sent: bool = False


class GmailHttp(GatedHttp):
    """The http of a guarded Gmail service."""

    def __init__(self, inner: Any, gate: Any) -> None:
        super().__init__(inner, gate)
        self._self_uploads: dict[str, Upload] = {}

    def request(
        self, uri: str, method: str = "GET", body: Any = None, headers: Any = None, *args: Any, **kwargs: Any
    ) -> tuple[httplib2.Response, bytes]:
        """Let a read pass; collect an upload; let the guard decide on everything else."""
        not_a_repeat(method, headers)
        query = query_of(uri)
        upload = self._self_uploads.get(query.get("upload_id", ""))
        if upload is not None:
            return self._chunk(upload, query["upload_id"], body, Headers(headers or {}), *args, **kwargs)
        if query.get("uploadType") == "resumable" and "upload_id" not in query and method not in SAFE_VERBS:
            return self._open(uri, method, body, Headers(headers or {}))
        if method not in SAFE_VERBS and "fields" in query:
            # An answer that was cut down may lack the id that the undo needs.
            uri = without(uri, "fields")
        return super().request(uri, method, body, headers, *args, **kwargs)

    def seen(self, answer: Response) -> Response:
        """The answer to a request of ours in the ids that the ledger knows."""
        return replace(answer, body=with_old_ids(answer.body))

    def _open(self, uri: str, method: str, body: Any, headers: Headers) -> tuple[httplib2.Response, bytes]:
        location = new_upload(uri)
        self._self_uploads[query_of(location)["upload_id"]] = Upload(uri, method, headers, read_body(body))
        return httplib2.Response({"status": "200", "location": location}), b""

    def _chunk(
        self, upload: Upload, name: str, body: Any, headers: Headers, *args: Any, **kwargs: Any
    ) -> tuple[httplib2.Response, bytes]:
        if upload.sent:
            raise Blocked(
                "this upload was sent, and it is not known whether it arrived. It was not sent again; what is known "
                "of it is in the ledger."
            )
        place = re.fullmatch(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", headers.get("content-range", ""))
        if place is not None and place[1] is not None:
            upload.media = upload.media[: int(place[1])] + read_body(body)
        if place is not None and (place[1] is None or place[3] == "*" or len(upload.media) < int(place[3])):
            so_far = {"range": f"0-{len(upload.media) - 1}"} if upload.media else {}
            return httplib2.Response({"status": "308", **so_far}), b""
        kind = upload.headers.get("x-upload-content-type", "message/rfc822")
        metadata, media = Headers({"content-type": "application/json"}), Headers({"content-type": kind})
        content_type, whole = related([(metadata, upload.metadata), (media, upload.media)])
        kept = {n: v for n, v in upload.headers.items() if not n.startswith("x-upload-")}
        kept |= {"content-type": content_type, "content-length": str(len(whole))}
        uri = without(upload.uri, "uploadType", "fields", uploadType="multipart")
        try:
            answer, content = super().request(uri, upload.verb, whole, kept, *args, **kwargs)
        except AgentguardError:
            raise  # nothing was sent: it may be tried again
        except BaseException:
            upload.sent = True
            raise
        upload.sent = answer.status >= 500
        if not upload.sent:
            del self._self_uploads[name]
        return answer, content
