"""Comments, users, search, uploads and tokens."""

from __future__ import annotations

from typing import Any

from agentguard.sandbox.notion import texts
from agentguard.sandbox.notion.base import Data, invalid, missing, one_of, only
from agentguard.sandbox.notion.databases import Databases
from agentguard.sandbox.server import Incoming, Reply, route


class Talk(Databases):
    """What is beside the content."""

    # Comments: https://developers.notion.com/reference/comment-object

    def own_comment(self, call: Incoming) -> Data:
        """A comment that the caller may change: one of its own."""
        comment = self.find("comments", call["comment_id"])
        if comment["created_by"]["id"] != self.me(call):
            raise missing("comment", comment["id"])
        return comment

    def words(self, body: Data) -> list[Data]:
        if ("rich_text" in body) == ("markdown" in body):
            raise invalid("body failed validation: exactly one of body.rich_text or body.markdown should be defined.")
        if "markdown" in body:
            return texts.paragraph_text(body["markdown"])
        return texts.rich_text(body["rich_text"], "body.rich_text")

    @route("POST", "/v1/comments")
    def create_comment(self, call: Incoming) -> Reply:
        body = self.body(call, "attachments", "display_name", "parent", "rich_text", "markdown", "discussion_id")
        if ("parent" in body) == ("discussion_id" in body):
            raise invalid("body failed validation: exactly one of body.parent or body.discussion_id should be defined.")
        if "parent" in body:
            kind = one_of(body["parent"], "body.parent", "page_id", "block_id")
            node = self.node(body["parent"][kind], f"body.parent.{kind}")
            self.editable(node)
            parent, thread = {"type": kind, kind: node["id"]}, self.new_id()
        else:
            thread = texts.uuid(body["discussion_id"], "body.discussion_id")
            others = [one for one in self.state["comments"].values() if one["discussion_id"] == thread]
            if not others:
                raise missing("discussion", thread)
            parent = others[0]["parent"]
        who = body.get("display_name") or {"type": "integration"}
        name = who["custom"]["name"] if who["type"] == "custom" else "Agent"
        outside = {"object": "comment", "id": self.new_id(), "parent": parent, "discussion_id": thread}
        shown = {"display_name": {"type": who["type"], "resolved_name": name}, "attachments": []}
        comment = {**outside, **self.stamp(call), "rich_text": self.words(body), **shown}
        self.state["comments"][comment["id"]] = comment
        self.effect("comment created", id=comment["id"])
        return Reply(200, comment)

    def hidden(self, comment: Data) -> bool:
        """Whether its discussion was resolved, which people do in the app: the API shows open ones only."""
        return comment["discussion_id"] in self.state.get("resolved", ())

    @route("GET", "/v1/comments")
    def list_comments(self, call: Incoming) -> Reply:
        node = self.node(call.query.get("block_id"), "query.block_id")
        here = [one for one in self.state["comments"].values() if node["id"] in one["parent"].values()]
        return self.listed(call, [one for one in here if not self.hidden(one)], "comment")

    @route("GET", "/v1/comments/{comment_id}")
    def get_comment(self, call: Incoming) -> Reply:
        comment = self.find("comments", call["comment_id"])
        if self.hidden(comment):
            raise missing("comment", comment["id"])
        return Reply(200, comment)

    @route("PATCH", "/v1/comments/{comment_id}")
    def update_comment(self, call: Incoming) -> Reply:
        body = self.body(call, "rich_text", "markdown")
        comment = self.own_comment(call)
        comment["rich_text"] = self.words(body)
        self.touch(call, comment, "comment updated")
        return Reply(200, comment)

    @route("DELETE", "/v1/comments/{comment_id}")
    def delete_comment(self, call: Incoming) -> Reply:
        """Delete a comment; the first one of a discussion takes the others along."""
        comment = self.own_comment(call)
        known = self.state["comments"]
        thread = [one for one in known.values() if one["discussion_id"] == comment["discussion_id"]]
        for one in thread if thread[0] is comment else [comment]:
            del known[one["id"]]
        self.effect("comment deleted", id=comment["id"])
        return Reply(200, comment)

    # Users and search

    @route("GET", "/v1/users")
    def list_users(self, call: Incoming) -> Reply:
        return self.listed(call, list(self.state["users"].values()), "user")

    @route("GET", "/v1/users/me")
    def get_me(self, call: Incoming) -> Reply:
        return Reply(200, self.state["users"][self.me(call)])

    @route("GET", "/v1/users/{user_id}")
    def get_user(self, call: Incoming) -> Reply:
        return Reply(200, self.find("users", call["user_id"]))

    @route("POST", "/v1/search")
    def search(self, call: Incoming) -> Reply:
        body = self.body(call, "query", "sort", "filter", "start_cursor", "page_size")
        wanted = body.get("query", "").lower()
        pages = [one for one in self.indexed(self.state["pages"].values()) if not self.trashed(one)]
        sources = [one for one in self.indexed(self.state["data_sources"].values()) if not one["in_trash"]]
        kind = only(body.get("filter", {}), "body.filter", "property", "value").get("value")
        found: list[Any] = [
            (one, one["values"].get("title", []), self.show_page) for one in pages if kind != "data_source"
        ]
        found += [(one, one["title"], self.show_source) for one in sources if kind != "page"]
        hits = [show(one) for one, title, show in found if wanted in texts.plain(title).lower()]
        return self.listed(call, hits, "page_or_data_source")

    @route("POST", "/v1/blocks/meeting_notes/query")
    def query_meeting_notes(self, call: Incoming) -> Reply:
        self.body(call, "filter", "sort", "limit")
        return self.listed(call, [], "block")

    @route("GET", "/v1/custom_emojis")
    def list_emojis(self, call: Incoming) -> Reply:
        return self.listed(call, [], "custom_emoji")

    # Uploads: https://developers.notion.com/reference/file-upload

    @route("POST", "/v1/file_uploads")
    def create_upload(self, call: Incoming) -> Reply:
        body = self.body(call, "mode", "filename", "content_type", "number_of_parts", "external_url")
        mode = body.get("mode", "single_part")
        needed = {"single_part": (), "multi_part": ("filename", "number_of_parts"), "external_url": ("external_url",)}
        if mode not in needed:
            raise invalid("body failed validation: body.mode should be `single_part`, `multi_part` or `external_url`.")
        only(body, "body", *body, required=needed[mode])
        which = self.new_id()
        state = {"status": "pending", "expiry_time": "2030-01-01T00:00:00.000Z", "in_trash": False, "archived": False}
        about = {
            "filename": body.get("filename", "file"),
            "content_type": body.get("content_type"),
            "content_length": None,
        }
        parts = {"number_of_parts": {"total": body["number_of_parts"], "sent": 0}} if mode == "multi_part" else {}
        upload = {"object": "file_upload", "id": which, **self.stamp(call), **state, **about, **parts}
        self.state["file_uploads"][which] = upload
        self.effect("upload begun", id=which)
        return Reply(200, upload)

    @route("GET", "/v1/file_uploads")
    def list_uploads(self, call: Incoming) -> Reply:
        return self.listed(call, list(self.state["file_uploads"].values()), "file_upload")

    @route("GET", "/v1/file_uploads/{file_upload_id}")
    def get_upload(self, call: Incoming) -> Reply:
        return Reply(200, self.find("file_uploads", call["file_upload_id"]))

    @route("POST", "/v1/file_uploads/{file_upload_id}/send")
    def send_upload(self, call: Incoming) -> Reply:
        upload = self.find("file_uploads", call["file_upload_id"])
        if b'name="file"' not in call.raw:
            raise invalid("body failed validation: body.file should be defined, instead was `undefined`.")
        upload["content_length"] = len(call.raw)
        if "number_of_parts" in upload:
            upload["number_of_parts"]["sent"] += 1
        else:
            upload["status"] = "uploaded"
        self.effect("bytes sent", id=upload["id"])
        return Reply(200, upload)

    @route("POST", "/v1/file_uploads/{file_upload_id}/complete")
    def complete_upload(self, call: Incoming) -> Reply:
        upload = self.find("file_uploads", call["file_upload_id"])
        parts = upload.get("number_of_parts")
        if parts is None or parts["sent"] != parts["total"]:
            raise invalid("The upload is not a multi-part upload whose parts have all been sent.")
        upload["status"] = "uploaded"
        self.effect("upload complete", id=upload["id"])
        return Reply(200, upload)

    # Tokens

    @route("POST", "/v1/oauth/token")
    def get_token(self, call: Incoming) -> Reply:
        self.body(call, "code", "redirect_uri", "external_account", "refresh_token", required=("grant_type",))
        self.effect("token given out")
        return Reply(200, {"access_token": "ntn_given_out", "token_type": "bearer", "bot_id": self.new_id()})

    @route("POST", "/v1/oauth/introspect")
    def introspect(self, call: Incoming) -> Reply:
        self.body(call, required=("token",))
        return Reply(200, {"active": True, "scope": "read_content", "iat": 1_750_000_000})

    @route("POST", "/v1/oauth/revoke")
    def revoke(self, call: Incoming) -> Reply:
        self.body(call, required=("token",))
        self.effect("token revoked")
        return Reply(200, {})
