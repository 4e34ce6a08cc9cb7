"""Pull requests and what is said about them: https://docs.github.com/rest/pulls."""

from __future__ import annotations

from agentguard.calls import ABSENT, Effect, Finder, Handler, Json, Risk, forward, read, unchanged, undo
from agentguard_connectors.github.service import github

NOTIFIED = "people who watch were notified"


@github.guards("pulls.create", effect=Effect.COMPENSABLE, remains=f"the closed pull request; {NOTIFIED}")
def create_pull(owner: str, repo: str) -> Handler:
    """Open a pull request; it is closed again, and stays visible."""
    made = yield forward()
    where = {"owner": owner, "repo": repo, "pull_number": made["number"]}
    look = read("pulls.get", **where).through("pull")
    close = undo("pulls.update", **where, state="closed")
    yield close.on(look, left={"state": "open"}, back={"state": "closed"}).leaving(
        f"pull request #{made['number']} stays, closed; {NOTIFIED}, and checks may have run"
    )


@github.finds("pulls.create")
def find_pull(owner: str, repo: str, head: str, base: str, since: str) -> Finder:
    """There is at most one open pull request between two branches, and it must be ours."""
    me = yield read("users.getAuthenticated").through("login")
    full = head if ":" in head else f"{owner}:{head}"
    found = yield read("pulls.list", owner=owner, repo=repo, head=full, base=base, state="open")
    return next((one for one in found if one["user"]["login"] == me and one["created_at"] >= since), None)


github.restores(
    "pulls.update",
    by="pulls.get",
    view="pull",
    summary="Edit, close or reopen a pull request; its old title, text, state and base come back.",
)
github.irreversible("pulls.merge", "Merge a pull request. A merge stays in the history and may have been deployed.")
github.irreversible("pulls.createReview", "Submit a review. A submitted review cannot be deleted.")


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

for creating in ("pulls.createReviewComment", "pulls.createReplyForReviewComment"):
    github.creates(
        creating,
        undone_by="pulls.deleteReviewComment",
        key={"comment_id": "id"},
        by="pulls.getReviewComment",
        view="comment",
        effect=Effect.COMPENSABLE,
        remains=NOTIFIED,
        summary="Comment on a line of a pull request; the comment is deleted.",
    )
github.restores(
    "pulls.updateReviewComment",
    by="pulls.getReviewComment",
    view="comment",
    summary="Edit a comment on a line; the old text comes back. The edit stays in the comment's history.",
)


@github.finds("pulls.createReviewComment")
def find_review_comment(owner: str, repo: str, pull_number: Json, body: str, path: str, since: str) -> Finder:
    """The one comment of ours at this file that says the same; two of them prove nothing."""
    me = yield read("users.getAuthenticated").through("login")
    where = {"owner": owner, "repo": repo, "pull_number": int(pull_number)}
    found = yield read("pulls.listReviewComments", **where, since=since, per_page=100)
    ours = [one for one in found if one["user"]["login"] == me and one["created_at"] >= since]
    same = [one for one in ours if (one["body"], one["path"]) == (body, path)]
    return same[0] if len(same) == 1 else None


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
