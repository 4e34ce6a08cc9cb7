"""Pull requests and what is said about them: https://docs.github.com/rest/pulls."""

from __future__ import annotations

from agentguard.calls import ABSENT, Effect, Finder, Handler, Json, Risk, forward, read, unchanged, undo
from agentguard_connectors.github.hidden import marking
from agentguard_connectors.github.lost import ME, Sent, Unclear, choose, numbered, pages
from agentguard_connectors.github.service import github

NOTIFIED = "people who watch were notified"


@github.guards("pulls.create", effect=Effect.COMPENSABLE, remains=f"the closed pull request; {NOTIFIED}")
def create_pull(owner: str, repo: str, body: Json, issue: Json, mark: str | None) -> Handler:
    """Open a pull request; it is closed again, and stays visible."""
    # One that is made of an issue takes the issue's text, and none of its own.
    made = yield marking(body, mark) if issue is None else forward()
    where = {"owner": owner, "repo": repo, "pull_number": made["number"]}
    look = read("pulls.get", **where).through("pull")
    close = undo("pulls.update", **where, state="closed")
    yield close.on(look, left={"state": "open"}, back={"state": "closed"}).leaving(
        f"pull request #{made['number']} stays, closed; {NOTIFIED}, and checks may have run"
    )


@github.finds("pulls.create", authoritative=True)
def find_pull(owner: str, repo: str, head: str, base: str, body: Json, mark: str | None, since: str) -> Finder:
    """Look for the pull request with our mark; without one, for the only open one of ours between the two branches."""
    sent = Sent(mark, body, since)
    me = yield ME
    if sent.marked:
        opened = yield from numbered(owner, repo, sent)
        found = choose([one for one in opened if "pull_request" in one], sent, me)
        if found is None:
            return None
        return (yield read("pulls.get", owner=owner, repo=repo, pull_number=found["number"]))
    full = head if ":" in head else f"{owner}:{head}"
    listed = yield read("pulls.list", owner=owner, repo=repo, head=full, base=base, state="open")
    for one in listed:
        if me is not None and one["user"]["login"] == me and one["created_at"] >= since:
            return one
    raise Unclear("it was sent without a mark, and no open pull request between the two branches is this client's")


github.restores(
    "pulls.update",
    by="pulls.get",
    view="pull",
    summary="Edit, close or reopen a pull request; its old title, text, state and base come back.",
)
github.irreversible("pulls.merge", "Merge a pull request. A merge stays in the history and may have been deployed.")


@github.guards("pulls.createReview", effect=Effect.IRREVERSIBLE, risk=Risk.HIGH)
def create_review(body: Json, mark: str | None) -> Handler:
    """Submit a review. A submitted review cannot be deleted."""
    # A review without words is one of its comments, or a bare approval, and does not begin to say something.
    yield marking(body, mark) if body else forward()


@github.finds("pulls.createReview", authoritative=True)
def find_review(owner: str, repo: str, pull_number: Json, body: Json, mark: str | None, since: str) -> Finder:
    """Look for the review with our mark; without one, for the only one of ours that says the same."""
    sent = Sent(mark, body, since)
    me = yield ME
    found = yield from pages(read("pulls.listReviews", owner=owner, repo=repo, pull_number=int(pull_number)))

    def same(one: Json) -> bool:
        return (one["body"] or "") == (body or "")

    # GitHub does not tell whether a review was edited.
    return choose(found, sent, me, same=same, touched=lambda _one: True, made="submitted_at")


def asks(operation: str, inverse: str, *, adding: bool) -> None:
    """Guard one half of asking people for a review."""

    @github.guards(operation, effect=Effect.COMPENSABLE, remains="the people asked were notified")
    def change(
        owner: str, repo: str, pull_number: Json, reviewers: list[str] | None, team_reviewers: list[str] | None
    ) -> Handler:
        """Change who is asked to review; it is changed back."""
        where = {"owner": owner, "repo": repo, "pull_number": int(pull_number)}
        look = read("pulls.listRequestedReviewers", **where).through("reviewers")
        before = yield look
        quiet = True
        for kind, names in (("reviewers", reviewers), ("team_reviewers", team_reviewers)):
            for name in names or []:
                key = name.lower()
                if (key in before[kind]) is not adding:
                    with_name, without = {kind: {key: True}}, {kind: {key: ABSENT}}
                    left, back = (with_name, without) if adding else (without, with_name)
                    # The names of people are asked for even where only a team is meant.
                    way_back = undo(inverse, **where, **{"reviewers": [], kind: [name]})
                    yield way_back.on(look, left=left, back=back).leaving(f"{name} was notified")
                    quiet = False
        if quiet:
            yield unchanged()
        yield forward()


asks("pulls.requestReviewers", "pulls.removeRequestedReviewers", adding=True)
asks("pulls.removeRequestedReviewers", "pulls.requestReviewers", adding=False)


# Comments on the diff: https://docs.github.com/rest/pulls/comments


def comments(operation: str) -> None:
    """Guard one of the ways to comment on a line."""

    @github.guards(operation, effect=Effect.COMPENSABLE, remains=NOTIFIED)
    def create(owner: str, repo: str, body: Json, mark: str | None) -> Handler:
        """Comment on a line of a pull request; the comment is deleted."""
        made = yield marking(body, mark)
        where = {"owner": owner, "repo": repo, "comment_id": made["id"]}
        look = read("pulls.getReviewComment", **where).through("comment")
        left = github.views["comment"](made)
        yield undo("pulls.deleteReviewComment", **where).on(look, left=left, back=ABSENT).leaving(NOTIFIED)

    @github.finds(operation, authoritative=True)
    def find(
        owner: str,
        repo: str,
        pull_number: Json,
        body: Json,
        path: Json,
        comment_id: Json,
        mark: str | None,
        since: str,
    ) -> Finder:
        """Look for the comment with our mark; without one, for the only one of ours that says the same there."""
        sent = Sent(mark, body, since)
        me = yield ME
        where = {"owner": owner, "repo": repo, "pull_number": int(pull_number)}
        found = yield from pages(read("pulls.listReviewComments", **where, since=sent.floor))

        def same(one: Json) -> bool:
            place = one["path"] == path if path else str(one.get("in_reply_to_id")) == str(comment_id)
            return place and one["body"] == body

        return choose(found, sent, me, same=same)


comments("pulls.createReviewComment")
comments("pulls.createReplyForReviewComment")
github.restores(
    "pulls.updateReviewComment",
    by="pulls.getReviewComment",
    view="comment",
    summary="Edit a comment on a line; the old text comes back. The edit stays in the comment's history.",
)


@github.guards("pulls.deleteReviewComment", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains="a new comment")
def delete_review_comment(owner: str, repo: str, comment_id: Json) -> Handler:
    """Delete a comment on a line; its text is posted again, as a new comment of the caller's."""
    look = read("pulls.getReviewComment", owner=owner, repo=repo, comment_id=int(comment_id))
    old = yield look.through("whole_comment")
    where = {"owner": owner, "repo": repo, "pull_number": old["on"], "body": old["body"]}
    if old["in_reply_to_id"]:
        again = undo("pulls.createReplyForReviewComment", **where, comment_id=old["in_reply_to_id"])
    else:
        line = {"line": old["line"], "start_line": old["start_line"], "commit_id": old["commit_id"]}
        if old["line"] is None:
            first = old["original_start_line"]
            line = {"line": old["original_line"], "start_line": first, "commit_id": old["original_commit_id"]}
        if line["start_line"]:
            line["start_side"] = old["start_side"]
        place = {**line, "side": old["side"]} if line["line"] else {**line, "subject_type": "file"}
        kept = {name: value for name, value in place.items() if value is not None}
        again = undo("pulls.createReviewComment", **where, path=old["path"], **kept)
    yield again.leaving("a new comment in your name, with a new id; replies and reactions are lost")
    yield forward()
