"""Issues of the GitHub stand-in, their labels, assignees and locks: https://docs.github.com/rest/issues."""

from __future__ import annotations

from typing import Any

from agentguard.sandbox.github import shapes
from agentguard.sandbox.github.base import Base, Data, fields, invalid, missing
from agentguard.sandbox.server import Incoming, Refuse, Reply, route

ISSUE = "/repos/{owner}/{repo}/issues/{number}"


class Issues(Base):
    """Issues; a pull request is one, too."""

    def issue(self, call: Incoming, repo: Data) -> Data:
        found: Data | None = repo["issues"].get(call["number"])
        if found is None:
            raise missing()
        return found

    def show_issue(self, repo: Data, issue: Data) -> Data:
        url = self.url_of(repo)
        here = f"{url}/issues/{issue['number']}"
        names = ("id", "number", "title", "body", "state", "state_reason", "locked", "active_lock_reason")
        assignees = [self.user(login) for login in issue["assignees"]]
        milestone = repo["milestones"].get(str(issue["milestone"]))
        shown = {
            **{name: issue[name] for name in (*names, "created_at", "updated_at", "closed_at")},
            "node_id": f"I_{issue['id']}",
            "url": here,
            "html_url": f"{here}#html",
            "repository_url": url,
            "labels_url": f"{here}/labels{{/name}}",
            "comments_url": f"{here}/comments",
            "events_url": f"{here}/events",
            "timeline_url": f"{here}/timeline",
            "user": self.user(issue["user"]),
            "labels": [shapes.label(url, repo["labels"][name]) for name in issue["labels"]],
            "assignee": assignees[0] if assignees else None,
            "assignees": assignees,
            "milestone": milestone and shapes.milestone(url, milestone, self.user(milestone["creator"])),
            "comments": sum(c["issue"] == issue["number"] for c in repo["comments"].values()),
            "author_association": "MEMBER",
            "reactions": shapes.rollup(here, issue["reactions"]),
            "closed_by": None,
        }
        if issue.get("pull"):
            pull = f"{url}/pulls/{issue['number']}"
            shown["pull_request"] = {"url": pull, "html_url": pull, "diff_url": pull, "patch_url": pull}
        return shown

    def new_issue(self, call: Incoming, repo: Data, title: str, body: str | None) -> Data:
        repo["last_number"] += 1
        now = self.now()
        issue: Data = {
            "id": self.next_id(),
            "number": repo["last_number"],
            "title": title,
            "body": body,
            "user": self.login(call),
            "state": "open",
            "state_reason": None,
            "locked": False,
            "active_lock_reason": None,
            "labels": [],
            "assignees": [],
            "milestone": None,
            "reactions": [],
            "created_at": now,
            "updated_at": now,
            "closed_at": None,
        }
        repo["issues"][str(issue["number"])] = issue
        return issue

    def label_names(self, repo: Data, given: Any) -> list[str]:
        """The names in a list of labels; one that the repository lacks is made, as on GitHub."""
        given = given.get("labels") if isinstance(given, dict) else given
        names = [item["name"] if isinstance(item, dict) else str(item) for item in given or []]
        for name in names:
            if name.lower() not in (known.lower() for known in repo["labels"]):
                repo["labels"][name] = {"id": self.next_id(), "name": name, "color": "ededed", "description": None}
        return list(dict.fromkeys(next(k for k in repo["labels"] if k.lower() == name.lower()) for name in names))

    def apply(self, call: Incoming, repo: Data, issue: Data, given: Data) -> None:
        if "title" in given:
            issue["title"] = str(given["title"])
        if "body" in given:
            issue["body"] = given["body"]
        if "labels" in given:
            issue["labels"] = self.label_names(repo, given["labels"] or [])
        assignees = given.get("assignees", [given["assignee"]] if given.get("assignee") else None)
        if assignees is not None:
            if unknown := [login for login in assignees if login not in repo["collaborators"]]:
                raise invalid("Issue", "assignees", "invalid", f"{unknown[0]} cannot be assigned")
            issue["assignees"] = list(assignees)
        if "milestone" in given:
            if given["milestone"] is not None and str(given["milestone"]) not in repo["milestones"]:
                raise invalid("Issue", "milestone")
            issue["milestone"] = None if given["milestone"] is None else int(given["milestone"])
        if given.get("state") is not None:
            self.set_state(issue, given["state"], given.get("state_reason"))
        issue["updated_at"] = self.now()

    def set_state(self, issue: Data, state: str, reason: str | None) -> None:
        if state not in ("open", "closed"):
            raise invalid("Issue", "state")
        if reason not in (None, "completed", "not_planned", "duplicate", "reopened"):
            raise invalid("Issue", "state_reason")
        if state == "closed":
            issue["closed_at"] = issue["closed_at"] or self.now()
            issue["state_reason"] = None if issue.get("pull") else reason or "completed"
        elif issue["state"] == "closed":
            issue["closed_at"] = None
            issue["state_reason"] = None if issue.get("pull") else "reopened"
        issue["state"] = state

    @route("GET", "/repos/{owner}/{repo}/issues")
    def list_issues(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        wanted = call.query.get("state", "open")
        found = [i for i in repo["issues"].values() if wanted in ("all", i["state"])]
        found = [i for i in found if i["number"] not in self.state["unlisted"]]
        if creator := call.query.get("creator"):
            found = [i for i in found if i["user"] == creator]
        if since := call.query.get("since"):
            found = [i for i in found if i["updated_at"] >= since]
        if labels := call.query.get("labels"):
            found = [i for i in found if set(labels.split(",")) <= set(i["labels"])]
        if milestone := call.query.get("milestone"):
            found = [i for i in found if str(i["milestone"]) == milestone]
        found.sort(key=lambda i: i["number"], reverse=call.query.get("direction", "desc") == "desc")
        return Reply(200, [self.show_issue(repo, i) for i in self.page(call, found)])

    @route("POST", "/repos/{owner}/{repo}/issues")
    def create_issue(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        if not repo["has_issues"]:
            raise Refuse(410, {"message": "Issues are disabled for this repo"})
        names = ("body", "assignee", "assignees", "milestone", "labels", "type")
        given = fields(call, *names, required=("title",))
        issue = self.new_issue(call, repo, str(given["title"]), given.get("body"))
        self.apply(call, repo, issue, given)
        issue["updated_at"] = issue["created_at"]
        self.event(call, repo, "issue opened", number=issue["number"])
        return Reply(201, self.show_issue(repo, issue))

    @route("GET", ISSUE)
    def get_issue(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        return Reply(200, self.show_issue(repo, self.issue(call, repo)))

    @route("PATCH", ISSUE)
    def update_issue(self, call: Incoming) -> Reply:
        repo = self.repo(call, "triage")
        issue = self.issue(call, repo)
        names = ("title", "body", "state", "state_reason", "assignee", "assignees", "milestone", "labels", "type")
        given = fields(call, *names)
        self.apply(call, repo, issue, given)
        self.event(call, repo, "issue edited", number=issue["number"], fields=sorted(given))
        return Reply(200, self.show_issue(repo, issue))

    # Labels of an issue

    def show_labels(self, repo: Data, issue: Data) -> list[Data]:
        return [shapes.label(self.url_of(repo), repo["labels"][name]) for name in issue["labels"]]

    @route("GET", f"{ISSUE}/labels")
    def list_issue_labels(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        return Reply(200, self.show_labels(repo, self.issue(call, repo)))

    @route("POST", f"{ISSUE}/labels")
    def add_labels(self, call: Incoming) -> Reply:
        repo = self.repo(call, "triage")
        issue = self.issue(call, repo)
        issue["labels"] = list(dict.fromkeys([*issue["labels"], *self.label_names(repo, call.body)]))
        self.event(call, repo, "labeled", number=issue["number"])
        return Reply(200, self.show_labels(repo, issue))

    @route("PUT", f"{ISSUE}/labels")
    def set_labels(self, call: Incoming) -> Reply:
        repo = self.repo(call, "triage")
        issue = self.issue(call, repo)
        issue["labels"] = self.label_names(repo, call.body)
        self.event(call, repo, "labeled", number=issue["number"])
        return Reply(200, self.show_labels(repo, issue))

    @route("DELETE", f"{ISSUE}/labels")
    def remove_all_labels(self, call: Incoming) -> Reply:
        repo = self.repo(call, "triage")
        issue = self.issue(call, repo)
        issue["labels"] = []
        self.event(call, repo, "unlabeled", number=issue["number"])
        return Reply(204)

    @route("DELETE", f"{ISSUE}/labels/{{name}}")
    def remove_label(self, call: Incoming) -> Reply:
        repo = self.repo(call, "triage")
        issue = self.issue(call, repo)
        kept = [name for name in issue["labels"] if name.lower() != call["name"].lower()]
        if kept == issue["labels"]:
            raise Refuse(404, {"message": "Label does not exist"})
        issue["labels"] = kept
        self.event(call, repo, "unlabeled", number=issue["number"])
        return Reply(200, self.show_labels(repo, issue))

    # Assignees and locks

    @route("POST", f"{ISSUE}/assignees")
    def add_assignees(self, call: Incoming) -> Reply:
        repo = self.repo(call, "triage")
        issue = self.issue(call, repo)
        new = [login for login in fields(call, "assignees").get("assignees", []) if login in repo["collaborators"]]
        issue["assignees"] = list(dict.fromkeys([*issue["assignees"], *new]))
        self.event(call, repo, "assigned", number=issue["number"])
        return Reply(201, self.show_issue(repo, issue))

    @route("DELETE", f"{ISSUE}/assignees")
    def remove_assignees(self, call: Incoming) -> Reply:
        repo = self.repo(call, "triage")
        issue = self.issue(call, repo)
        gone = fields(call, "assignees").get("assignees", [])
        issue["assignees"] = [login for login in issue["assignees"] if login not in gone]
        self.event(call, repo, "unassigned", number=issue["number"])
        return Reply(200, self.show_issue(repo, issue))

    @route("PUT", f"{ISSUE}/lock")
    def lock_issue(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        issue = self.issue(call, repo)
        reason = fields(call, "lock_reason").get("lock_reason")
        if reason not in (None, "off-topic", "too heated", "resolved", "spam"):
            raise invalid("Issue", "lock_reason")
        issue.update(locked=True, active_lock_reason=reason)
        self.event(call, repo, "locked", number=issue["number"])
        return Reply(204)

    @route("DELETE", f"{ISSUE}/lock")
    def unlock_issue(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        issue = self.issue(call, repo)
        issue.update(locked=False, active_lock_reason=None)
        self.event(call, repo, "unlocked", number=issue["number"])
        return Reply(204)
