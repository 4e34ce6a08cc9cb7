"""Pull requests of the GitHub stand-in, their merge and their comments: https://docs.github.com/rest/pulls."""

from __future__ import annotations

from agentguard.sandbox.github import shapes
from agentguard.sandbox.github.base import Data, fields, invalid, missing
from agentguard.sandbox.github.code import Code
from agentguard.sandbox.github.issues import Issues
from agentguard.sandbox.server import Incoming, Refuse, Reply, route

PULLS = "/repos/{owner}/{repo}/pulls"
PULL = f"{PULLS}/{{number}}"
COMMENT = f"{PULLS}/comments/{{comment}}"


class Pulls(Issues, Code):
    """Pull requests, which share their numbers with issues."""

    def pull(self, call: Incoming, repo: Data) -> Data:
        issue = self.issue(call, repo)
        if not issue.get("pull"):
            raise missing()
        return issue

    def show_pull(self, call: Incoming, repo: Data, issue: Data) -> Data:
        url, pull = self.url_of(repo), issue["pull"]
        here, talk = f"{url}/pulls/{issue['number']}", f"{url}/issues/{issue['number']}"
        shown = self.show_issue(repo, issue)
        names = ("id", "number", "title", "body", "state", "locked", "active_lock_reason", "user", "labels", "comments")
        more = ("milestone", "assignee", "assignees", "author_association", "created_at", "updated_at", "closed_at")
        owner = self.user(repo["owner"])
        whole = self.show_repo(call, repo)

        def end(branch: str, sha: str) -> Data:
            label = f"{repo['owner']}:{branch}"
            return {"label": label, "ref": branch, "sha": sha, "user": owner, "repo": whole}

        links = {
            "self": here,
            "html": here,
            "issue": talk,
            "comments": f"{talk}/comments",
            "review_comments": f"{here}/comments",
            "review_comment": f"{url}/pulls/comments{{/number}}",
            "commits": f"{here}/commits",
            "statuses": f"{url}/statuses/{pull['head_sha']}",
        }
        comments = [c for c in repo["review_comments"].values() if c["pull"] == issue["number"]]
        return {
            **{name: shown[name] for name in (*names, *more)},
            "node_id": f"PR_{issue['id']}",
            "url": here,
            **dict.fromkeys(("html_url", "diff_url", "patch_url"), here),
            "issue_url": talk,
            **{f"{k}_url": v for k, v in links.items() if k in ("comments", "review_comments", "review_comment")},
            "commits_url": links["commits"],
            "statuses_url": links["statuses"],
            "_links": {name: {"href": link} for name, link in links.items()},
            "head": end(pull["head"], repo["refs"].get(f"refs/heads/{pull['head']}", pull["head_sha"])),
            "base": end(pull["base"], repo["refs"].get(f"refs/heads/{pull['base']}", pull["base_sha"])),
            "draft": pull["draft"],
            "auto_merge": None,
            "merged": pull["merged_at"] is not None,
            "merged_at": pull["merged_at"],
            "merged_by": owner if pull["merged_at"] else None,
            "merge_commit_sha": pull["merge_sha"],
            "mergeable": issue["state"] == "open",
            "mergeable_state": "clean",
            "rebaseable": True,
            "maintainer_can_modify": pull["maintainer_can_modify"],
            "requested_reviewers": [self.user(login) for login in pull["reviewers"]],
            "requested_teams": [],
            "review_comments": len(comments),
            "commits": 1,
            "additions": 1,
            "deletions": 0,
            "changed_files": 1,
        }

    @route("GET", PULLS)
    def list_pulls(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        wanted, head = call.query.get("state", "open"), call.query.get("head", "").split(":")[-1]
        found = [i for i in repo["issues"].values() if i.get("pull") and wanted in ("all", i["state"])]
        found = [i for i in found if head in ("", i["pull"]["head"])]
        found = [i for i in found if call.query.get("base") in (None, i["pull"]["base"])]
        return Reply(200, [self.show_pull(call, repo, i) for i in self.page(call, found)])

    @route("POST", PULLS)
    def create_pull(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        names = ("title", "body", "draft", "maintainer_can_modify", "head_repo", "issue")
        given = fields(call, *names, required=("head", "base"))
        head, base = given["head"].split(":")[-1], given["base"]
        for name, branch in (("head", head), ("base", base)):
            if f"refs/heads/{branch}" not in repo["refs"]:
                raise invalid("PullRequest", name)
        for issue in repo["issues"].values():
            pull = issue.get("pull")
            if pull and issue["state"] == "open" and (pull["head"], pull["base"]) == (head, base):
                words = f"A pull request already exists for {repo['owner']}:{head}."
                raise invalid("PullRequest", "head", "custom", words)
        if not given.get("title") and not given.get("issue"):
            raise invalid("PullRequest", "title", "missing_field")
        issue = self.new_issue(call, repo, str(given.get("title")), given.get("body"))
        issue["pull"] = {
            "head": head,
            "head_sha": self.resolve(repo, head),
            "base": base,
            "base_sha": self.resolve(repo, base),
            "draft": bool(given.get("draft")),
            "merged_at": None,
            "merge_sha": None,
            "reviewers": [],
            "maintainer_can_modify": given.get("maintainer_can_modify", False),
        }
        self.event(call, repo, "pull request opened", number=issue["number"])
        return Reply(201, self.show_pull(call, repo, issue))

    @route("GET", PULL)
    def get_pull(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        return Reply(200, self.show_pull(call, repo, self.pull(call, repo)))

    @route("PATCH", PULL)
    def update_pull(self, call: Incoming) -> Reply:
        repo = self.repo(call, "triage")
        issue = self.pull(call, repo)
        given = fields(call, "title", "body", "state", "base", "maintainer_can_modify")
        pull = issue["pull"]
        if given.get("state") == "open" and f"refs/heads/{pull['head']}" not in repo["refs"]:
            raise invalid("PullRequest", "state", "custom", "state cannot be changed. The branch was deleted.")
        if pull["merged_at"] and given.get("state") == "open":
            raise invalid("PullRequest", "state", "custom", "state cannot be changed. It was merged.")
        if "base" in given:
            self.tip(repo, given["base"])
            pull["base"] = given["base"]
        pull["maintainer_can_modify"] = given.get("maintainer_can_modify", pull["maintainer_can_modify"])
        self.apply(call, repo, issue, {k: v for k, v in given.items() if k in ("title", "body", "state")})
        self.event(call, repo, "pull request edited", number=issue["number"], fields=sorted(given))
        return Reply(200, self.show_pull(call, repo, issue))

    @route("GET", f"{PULL}/merge")
    def is_merged(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        if self.pull(call, repo)["pull"]["merged_at"] is None:
            raise missing()
        return Reply(204)

    @route("PUT", f"{PULL}/merge")
    def merge(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        issue = self.pull(call, repo)
        pull = issue["pull"]
        given = fields(call, "commit_title", "commit_message", "sha", "merge_method")
        if issue["state"] != "open":
            raise Refuse(405, {"message": "Pull Request is not mergeable"})
        head, base = self.resolve(repo, pull["head"]), self.resolve(repo, pull["base"])
        if given.get("sha") not in (None, head):
            raise Refuse(409, {"message": "Head branch was modified. Review and try the merge again."})
        files = {**repo["commits"][base]["files"], **repo["commits"][head]["files"]}
        words = given.get("commit_title") or f"Merge pull request #{issue['number']}"
        sha = self.add_commit(repo, words, self.login(call), files, [base, head])
        repo["refs"][f"refs/heads/{pull['base']}"] = sha
        pull.update(merged_at=self.now(), merge_sha=sha)
        issue.update(state="closed", closed_at=self.now())
        self.event(call, repo, "merged", number=issue["number"], sha=sha)
        return Reply(200, {"sha": sha, "merged": True, "message": "Pull Request successfully merged"})

    # Reviewers: https://docs.github.com/rest/pulls/review-requests

    @route("GET", f"{PULL}/requested_reviewers")
    def list_reviewers(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        users = [self.user(login) for login in self.pull(call, repo)["pull"]["reviewers"]]
        return Reply(200, {"users": users, "teams": []})

    @route("POST", f"{PULL}/requested_reviewers")
    @route("DELETE", f"{PULL}/requested_reviewers")
    def change_reviewers(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        issue = self.pull(call, repo)
        given = fields(call, "reviewers", "team_reviewers").get("reviewers", [])
        if unknown := [login for login in given if login not in repo["collaborators"]]:
            raise invalid("PullRequest", "reviewers", "custom", f"{unknown[0]} is not a collaborator")
        old = issue["pull"]["reviewers"]
        new = list(dict.fromkeys([*old, *given])) if call.verb == "POST" else [x for x in old if x not in given]
        issue["pull"]["reviewers"] = new
        self.event(call, repo, "review requested", number=issue["number"])
        return Reply(201 if call.verb == "POST" else 200, self.show_pull(call, repo, issue))

    # Comments on the diff: https://docs.github.com/rest/pulls/comments

    def show_review_comment(self, repo: Data, comment: Data) -> Data:
        url = self.url_of(repo)
        here = f"{url}/pulls/comments/{comment['id']}"
        pull = f"{url}/pulls/{comment['pull']}"
        names = (
            "id",
            "body",
            "path",
            "line",
            "side",
            "commit_id",
            "start_line",
            "start_side",
            "created_at",
            "updated_at",
        )
        return {
            **{name: comment[name] for name in names},
            "node_id": f"PRRC_{comment['id']}",
            "url": here,
            "html_url": here,
            "pull_request_url": pull,
            "pull_request_review_id": None,
            "diff_hunk": "@@",
            "original_commit_id": comment["commit_id"],
            "author_association": "MEMBER",
            "user": self.user(comment["user"]),
            "reactions": shapes.rollup(here, []),
            **({"in_reply_to_id": comment["in_reply_to_id"]} if comment.get("in_reply_to_id") else {}),
            "_links": {name: {"href": link} for name, link in (("self", here), ("html", here), ("pull_request", pull))},
        }

    def review_comment(self, call: Incoming, repo: Data) -> Data:
        found: Data | None = repo["review_comments"].get(call["comment"])
        if found is None:
            raise missing()
        return found

    @route("GET", f"{PULL}/comments")
    def list_review_comments(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        found = [c for c in repo["review_comments"].values() if str(c["pull"]) == call["number"]]
        found = [c for c in found if c["updated_at"] >= call.query.get("since", "")]
        return Reply(200, [self.show_review_comment(repo, c) for c in self.page(call, found)])

    @route("POST", f"{PULL}/comments")
    def create_review_comment(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        issue = self.pull(call, repo)
        names = ("position", "side", "line", "start_line", "start_side", "in_reply_to", "subject_type")
        given = fields(call, *names, required=("body", "commit_id", "path"))
        if given["commit_id"] not in repo["commits"]:
            raise invalid("PullRequestReviewComment", "commit_id")
        now = self.now()
        comment: Data = {
            **{name: given[name] for name in ("body", "path", "commit_id")},
            "line": given.get("line", given.get("position")),
            "side": given.get("side", "RIGHT"),
            "start_line": given.get("start_line"),
            "start_side": given.get("start_side"),
            "id": self.next_id(),
            "pull": issue["number"],
            "user": self.login(call),
            "created_at": now,
            "updated_at": now,
        }
        repo["review_comments"][str(comment["id"])] = comment
        self.event(call, repo, "review commented", id=comment["id"])
        return Reply(201, self.show_review_comment(repo, comment))

    @route("POST", f"{PULL}/comments/{{comment}}/replies")
    def reply_to_review_comment(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        first = self.review_comment(call, repo)
        body = fields(call, required=("body",))["body"]
        times = dict.fromkeys(("created_at", "updated_at"), self.now())
        answers = first.get("in_reply_to_id") or first["id"]
        own = {"id": self.next_id(), "body": body, "user": self.login(call), "in_reply_to_id": answers}
        reply = {**first, **own, **times}
        repo["review_comments"][str(reply["id"])] = reply
        self.event(call, repo, "review commented", id=reply["id"])
        return Reply(201, self.show_review_comment(repo, reply))

    @route("GET", COMMENT)
    def get_review_comment(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        return Reply(200, self.show_review_comment(repo, self.review_comment(call, repo)))

    @route("PATCH", COMMENT)
    def update_review_comment(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        comment = self.review_comment(call, repo)
        comment.update(body=fields(call, required=("body",))["body"], updated_at=self.now())
        self.event(call, repo, "review comment edited", id=comment["id"])
        return Reply(200, self.show_review_comment(repo, comment))

    @route("DELETE", COMMENT)
    def delete_review_comment(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        del repo["review_comments"][str(self.review_comment(call, repo)["id"])]
        self.event(call, repo, "review comment deleted", id=int(call["comment"]))
        return Reply(204)

    def show_repo(self, call: Incoming, repo: Data) -> Data:
        role = repo["collaborators"].get(self.login(call), "read")
        return shapes.repo(self.url, repo, self.user(repo["owner"]), role)
