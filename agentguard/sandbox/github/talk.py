"""Comments, reactions, labels and milestones of the GitHub stand-in: https://docs.github.com/rest/issues/comments."""

from __future__ import annotations

from agentguard.sandbox.github import shapes
from agentguard.sandbox.github.base import Base, Data, fields, invalid, missing
from agentguard.sandbox.server import Incoming, Reply, route

REPO = "/repos/{owner}/{repo}"
COMMENT = f"{REPO}/issues/comments/{{comment}}"


class Talk(Base):
    """What people say, and what it is sorted by."""

    def comment(self, call: Incoming, repo: Data) -> Data:
        found: Data | None = repo["comments"].get(call["comment"])
        if found is None:
            raise missing()
        return found

    def show_comment(self, repo: Data, comment: Data) -> Data:
        return shapes.comment(self.url_of(repo), comment, self.user(comment["user"]))

    @route("GET", f"{REPO}/issues/{{number}}/comments")
    def list_comments(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        found = [c for c in repo["comments"].values() if str(c["issue"]) == call["number"]]
        if since := call.query.get("since"):
            found = [c for c in found if c["updated_at"] >= since]
        return Reply(200, [self.show_comment(repo, c) for c in self.page(call, found)])

    @route("POST", f"{REPO}/issues/{{number}}/comments")
    def create_comment(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        if call["number"] not in repo["issues"]:
            raise missing()
        given = fields(call, required=("body",))
        now = self.now()
        comment: Data = {
            "id": self.next_id(),
            "issue": int(call["number"]),
            "user": self.login(call),
            "body": given["body"],
            "created_at": now,
            "updated_at": now,
            "reactions": [],
        }
        repo["comments"][str(comment["id"])] = comment
        self.event(call, repo, "commented", number=comment["issue"], id=comment["id"])
        return Reply(201, self.show_comment(repo, comment))

    @route("GET", COMMENT)
    def get_comment(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        return Reply(200, self.show_comment(repo, self.comment(call, repo)))

    @route("PATCH", COMMENT)
    def update_comment(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        comment = self.comment(call, repo)
        comment.update(body=fields(call, required=("body",))["body"], updated_at=self.now())
        self.event(call, repo, "comment edited", id=comment["id"])
        return Reply(200, self.show_comment(repo, comment))

    @route("DELETE", COMMENT)
    def delete_comment(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        del repo["comments"][str(self.comment(call, repo)["id"])]
        self.event(call, repo, "comment deleted", id=int(call["comment"]))
        return Reply(204)

    # Reactions: https://docs.github.com/rest/reactions/reactions

    def reacted(self, call: Incoming, repo: Data) -> Data:
        if "comment" in call.parameters:
            return self.comment(call, repo)
        if call["number"] not in repo["issues"]:
            raise missing()
        found: Data = repo["issues"][call["number"]]
        return found

    def show_reaction(self, reaction: Data) -> Data:
        names = ("id", "content", "created_at")
        shown = {name: reaction[name] for name in names}
        return {**shown, "node_id": f"REA_{reaction['id']}", "user": self.user(reaction["user"])}

    @route("GET", f"{REPO}/issues/{{number}}/reactions")
    @route("GET", f"{COMMENT}/reactions")
    def list_reactions(self, call: Incoming) -> Reply:
        wanted = call.query.get("content")
        found = [r for r in self.reacted(call, self.repo(call))["reactions"] if wanted in (None, r["content"])]
        return Reply(200, [self.show_reaction(r) for r in self.page(call, found)])

    @route("POST", f"{REPO}/issues/{{number}}/reactions")
    @route("POST", f"{COMMENT}/reactions")
    def create_reaction(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        reactions = self.reacted(call, repo)["reactions"]
        content = fields(call, required=("content",))["content"]
        if content not in shapes.ROLLUP:
            raise invalid("Reaction", "content")
        for reaction in reactions:
            if (reaction["user"], reaction["content"]) == (self.login(call), content):
                return Reply(200, self.show_reaction(reaction))
        made = {"id": self.next_id(), "user": self.login(call), "content": content, "created_at": self.now()}
        reactions.append(made)
        self.event(call, repo, "reacted", id=made["id"])
        return Reply(201, self.show_reaction(made))

    @route("DELETE", f"{REPO}/issues/{{number}}/reactions/{{reaction}}")
    @route("DELETE", f"{COMMENT}/reactions/{{reaction}}")
    def delete_reaction(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        reactions = self.reacted(call, repo)["reactions"]
        for reaction in reactions:
            if str(reaction["id"]) == call["reaction"]:
                reactions.remove(reaction)
                self.event(call, repo, "reaction removed", id=reaction["id"])
                return Reply(204)
        raise missing()

    # Labels: https://docs.github.com/rest/issues/labels

    def label(self, call: Incoming, repo: Data) -> Data:
        for name, found in repo["labels"].items():
            if name.lower() == call["name"].lower():
                return dict(found)
        raise missing()

    @route("GET", f"{REPO}/labels")
    def list_labels(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        return Reply(200, self.page(call, [shapes.label(self.url_of(repo), x) for x in repo["labels"].values()]))

    @route("POST", f"{REPO}/labels")
    def create_label(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        given = fields(call, "color", "description", required=("name",))
        if given["name"].lower() in (name.lower() for name in repo["labels"]):
            raise invalid("Label", "name", "already_exists")
        color = self.color(given.get("color") or "ededed")
        label = {"id": self.next_id(), "name": given["name"], "color": color, "description": given.get("description")}
        repo["labels"][given["name"]] = label
        self.event(call, repo, "label created", name=given["name"])
        return Reply(201, shapes.label(self.url_of(repo), label))

    def color(self, given: str) -> str:
        if len(given) != 6 or set(given.lower()) - set("0123456789abcdef"):
            raise invalid("Label", "color")
        return given.lower()

    @route("GET", f"{REPO}/labels/{{name}}")
    def get_label(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        return Reply(200, shapes.label(self.url_of(repo), self.label(call, repo)))

    @route("PATCH", f"{REPO}/labels/{{name}}")
    def update_label(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        label = self.label(call, repo)
        given = fields(call, "new_name", "color", "description")
        old, new = label["name"], given.get("new_name") or label["name"]
        if new.lower() != old.lower() and new.lower() in (name.lower() for name in repo["labels"]):
            raise invalid("Label", "name", "already_exists")
        label.update(name=new, color=self.color(given.get("color") or label["color"]))
        label["description"] = given.get("description", label["description"])
        repo["labels"] = {label["name"] if k == old else k: label if k == old else v for k, v in repo["labels"].items()}
        for issue in repo["issues"].values():
            issue["labels"] = [new if name == old else name for name in issue["labels"]]
        self.event(call, repo, "label edited", name=new)
        return Reply(200, shapes.label(self.url_of(repo), label))

    @route("DELETE", f"{REPO}/labels/{{name}}")
    def delete_label(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        name = self.label(call, repo)["name"]
        del repo["labels"][name]
        for issue in repo["issues"].values():
            issue["labels"] = [other for other in issue["labels"] if other != name]
        self.event(call, repo, "label deleted", name=name)
        return Reply(204)

    # Milestones: https://docs.github.com/rest/issues/milestones

    def milestone(self, call: Incoming, repo: Data) -> Data:
        found: Data | None = repo["milestones"].get(call["number"])
        if found is None:
            raise missing()
        return found

    def show_milestone(self, repo: Data, milestone: Data) -> Data:
        inside = [one["state"] for one in repo["issues"].values() if one["milestone"] == milestone["number"]]
        counts = {f"{state}_issues": inside.count(state) for state in ("open", "closed")}
        return {**shapes.milestone(self.url_of(repo), milestone, self.user(milestone["creator"])), **counts}

    def apply_milestone(self, repo: Data, milestone: Data, given: Data) -> None:
        for name in ("title", "description", "due_on", "state"):
            if name in given:
                milestone[name] = given[name]
        if any(m is not milestone and m["title"] == milestone["title"] for m in repo["milestones"].values()):
            raise invalid("Milestone", "title", "already_exists")
        if milestone["state"] not in ("open", "closed"):
            raise invalid("Milestone", "state")
        milestone["closed_at"] = (milestone["closed_at"] or self.now()) if milestone["state"] == "closed" else None
        milestone["updated_at"] = self.now()

    @route("GET", f"{REPO}/milestones")
    def list_milestones(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        wanted = call.query.get("state", "open")
        found = [m for m in repo["milestones"].values() if wanted in ("all", m["state"])]
        return Reply(200, [self.show_milestone(repo, m) for m in self.page(call, found)])

    @route("POST", f"{REPO}/milestones")
    def create_milestone(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        given = fields(call, "state", "description", "due_on", required=("title",))
        repo["last_milestone"] += 1
        milestone: Data = {
            "id": self.next_id(),
            "number": repo["last_milestone"],
            "creator": self.login(call),
            "title": "",
            "description": None,
            "due_on": None,
            "state": "open",
            "closed_at": None,
            "created_at": self.now(),
        }
        self.apply_milestone(repo, milestone, given)
        repo["milestones"][str(milestone["number"])] = milestone
        self.event(call, repo, "milestone created", number=milestone["number"])
        return Reply(201, self.show_milestone(repo, milestone))

    @route("GET", f"{REPO}/milestones/{{number}}")
    def get_milestone(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        return Reply(200, self.show_milestone(repo, self.milestone(call, repo)))

    @route("PATCH", f"{REPO}/milestones/{{number}}")
    def update_milestone(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        milestone = self.milestone(call, repo)
        self.apply_milestone(repo, milestone, fields(call, "title", "state", "description", "due_on"))
        self.event(call, repo, "milestone edited", number=milestone["number"])
        return Reply(200, self.show_milestone(repo, milestone))

    @route("DELETE", f"{REPO}/milestones/{{number}}")
    def delete_milestone(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        milestone = self.milestone(call, repo)
        del repo["milestones"][call["number"]]
        for issue in repo["issues"].values():
            if issue["milestone"] == milestone["number"]:
                issue["milestone"] = None
        self.event(call, repo, "milestone deleted", number=milestone["number"])
        return Reply(204)
