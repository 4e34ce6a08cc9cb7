"""Reviews of pull requests of the GitHub stand-in: https://docs.github.com/rest/pulls/reviews."""

from __future__ import annotations

from agentguard.sandbox.github.base import Data, fields, invalid
from agentguard.sandbox.github.pulls import PULL, Pulls
from agentguard.sandbox.server import Incoming, Reply, route

STATES = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}


class Reviews(Pulls):
    """What people think of a pull request as a whole."""

    def show_review(self, repo: Data, review: Data) -> Data:
        pull = f"{self.url_of(repo)}/pulls/{review['pull']}"
        here = f"{pull}/reviews/{review['id']}"
        names = ("id", "body", "state", "commit_id", *(("submitted_at",) if review["submitted_at"] else ()))
        return {
            **{name: review[name] for name in names},
            "node_id": f"PRR_{review['id']}",
            "user": self.user(review["user"]),
            "html_url": here,
            "pull_request_url": pull,
            "author_association": "MEMBER",
            "_links": {"html": {"href": here}, "pull_request": {"href": pull}},
        }

    @route("GET", f"{PULL}/reviews")
    def list_reviews(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        found = [r for r in repo["reviews"].values() if str(r["pull"]) == call["number"]]
        seen = [r for r in found if r["submitted_at"] or r["user"] == self.login(call)]
        return Reply(200, [self.show_review(repo, r) for r in self.page(call, seen)])

    @route("POST", f"{PULL}/reviews")
    def create_review(self, call: Incoming) -> Reply:
        """One without an event is pending, and seen by its author only."""
        repo = self.repo(call)
        issue = self.pull(call, repo)
        given = fields(call, "commit_id", "body", "event", "comments")
        event, body = given.get("event"), given.get("body") or ""
        if event not in (None, "", *STATES) or (event in ("COMMENT", "REQUEST_CHANGES") and not body):
            raise invalid("PullRequestReview", "event")
        review: Data = {
            "id": self.next_id(),
            "pull": issue["number"],
            "user": self.login(call),
            "body": body,
            "state": STATES[event] if event else "PENDING",
            "commit_id": given.get("commit_id") or issue["pull"]["head_sha"],
            "submitted_at": self.now() if event else None,
        }
        repo["reviews"][str(review["id"])] = review
        self.event(call, repo, "reviewed", number=issue["number"], id=review["id"])
        return Reply(200, self.show_review(repo, review))
