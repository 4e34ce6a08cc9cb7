"""Variables, comments on commits, and gists of the GitHub stand-in: https://docs.github.com/rest/actions/variables."""

from __future__ import annotations

from agentguard.sandbox.github import shapes
from agentguard.sandbox.github.base import Data, fields, missing
from agentguard.sandbox.github.code import Code
from agentguard.sandbox.server import Incoming, Refuse, Reply, route

REPO = "/repos/{owner}/{repo}"
VARIABLES = f"{REPO}/actions/variables"


class Notes(Code):
    """Small things that are kept beside the code."""

    def variable(self, call: Incoming, repo: Data) -> Data:
        found: Data | None = repo["variables"].get(call["name"].upper())
        if found is None:
            raise missing()
        return found

    @route("GET", f"{VARIABLES}/{{name}}")
    def get_variable(self, call: Incoming) -> Reply:
        return Reply(200, self.variable(call, self.repo(call, "write")))

    @route("POST", VARIABLES)
    def create_variable(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        given = fields(call, required=("name", "value"))
        name = given["name"].upper()
        if name in repo["variables"]:
            raise Refuse(409, {"message": "Already exists - Variable already exists"})
        times = {"created_at": self.now(), "updated_at": self.now()}
        repo["variables"][name] = {"name": name, "value": given["value"], **times}
        self.event(call, repo, "variable created", name=name)
        return Reply(201, {})

    @route("PATCH", f"{VARIABLES}/{{name}}")
    def update_variable(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        old = self.variable(call, repo)
        given = fields(call, "name", "value")
        name = (given.get("name") or old["name"]).upper()
        del repo["variables"][old["name"]]
        repo["variables"][name] = {**old, "name": name, "value": given.get("value", old["value"])}
        self.event(call, repo, "variable edited", name=name)
        return Reply(204)

    @route("DELETE", f"{VARIABLES}/{{name}}")
    def delete_variable(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        del repo["variables"][self.variable(call, repo)["name"]]
        self.event(call, repo, "variable deleted", name=call["name"])
        return Reply(204)

    # Comments on commits: https://docs.github.com/rest/commits/comments

    def show_commit_comment(self, repo: Data, comment: Data) -> Data:
        here = f"{self.url_of(repo)}/comments/{comment['id']}"
        links = {"url": here, "html_url": here, "node_id": f"CC_{comment['id']}"}
        return {**comment, **links, "user": self.user(comment["user"]), "author_association": "MEMBER"}

    def commit_comment(self, call: Incoming, repo: Data) -> Data:
        found: Data | None = repo["commit_comments"].get(call["comment"])
        if found is None:
            raise missing()
        return found

    @route("POST", f"{REPO}/commits/{{sha}}/comments")
    def create_commit_comment(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        given = fields(call, "path", "position", "line", required=("body",))
        now = self.now()
        comment: Data = {
            "id": self.next_id(),
            "commit_id": self.resolve(repo, call["sha"]),
            "user": self.login(call),
            **{name: given.get(name) for name in ("body", "path", "position", "line")},
            "created_at": now,
            "updated_at": now,
        }
        repo["commit_comments"][str(comment["id"])] = comment
        self.event(call, repo, "commit commented", id=comment["id"])
        return Reply(201, self.show_commit_comment(repo, comment))

    @route("GET", f"{REPO}/commits/{{sha}}/comments")
    def list_commit_comments(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        found = [c for c in repo["commit_comments"].values() if c["commit_id"] == self.resolve(repo, call["sha"])]
        return Reply(200, self.page(call, [self.show_commit_comment(repo, c) for c in found]))

    @route("GET", f"{REPO}/comments/{{comment}}")
    def get_commit_comment(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        return Reply(200, self.show_commit_comment(repo, self.commit_comment(call, repo)))

    @route("PATCH", f"{REPO}/comments/{{comment}}")
    def update_commit_comment(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        comment = self.commit_comment(call, repo)
        comment.update(body=fields(call, required=("body",))["body"], updated_at=self.now())
        self.event(call, repo, "commit comment edited", id=comment["id"])
        return Reply(200, self.show_commit_comment(repo, comment))

    @route("DELETE", f"{REPO}/comments/{{comment}}")
    def delete_commit_comment(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        del repo["commit_comments"][str(self.commit_comment(call, repo)["id"])]
        self.event(call, repo, "commit comment deleted", id=int(call["comment"]))
        return Reply(204)

    # Gists: https://docs.github.com/rest/gists/gists

    def show_gist(self, gist: Data) -> Data:
        here = f"{self.url}/gists/{gist['id']}"
        names = ("url", "forks_url", "commits_url", "git_pull_url", "git_push_url", "html_url", "comments_url")
        files = {name: {"filename": name, "size": len(f["content"]), **f} for name, f in gist["files"].items()}
        user = shapes.user(self.url, self.state["users"][gist["owner"]])
        return {**gist, **dict.fromkeys(names, here), "files": files, "owner": user, "user": None}

    @route("POST", "/gists")
    def create_gist(self, call: Incoming) -> Reply:
        given = fields(call, "description", "public", required=("files",))
        gist: Data = {"id": f"{self.next_id():032x}", "owner": self.login(call), "files": given["files"]}
        gist |= {"description": given.get("description"), "public": given.get("public", False)}
        gist |= {"created_at": self.now(), "updated_at": self.now(), "comments": 0}
        self.state["gists"][gist["id"]] = gist
        self.effect("gist created", id=gist["id"])
        return Reply(201, self.show_gist(gist))

    @route("GET", "/gists")
    def list_gists(self, call: Incoming) -> Reply:
        """The caller's own gists, newest first, without what is in them."""
        mine = [gist for gist in self.state["gists"].values() if gist["owner"] == self.login(call)]
        recent = [gist for gist in mine if gist["updated_at"] >= call.query.get("since", "")]
        shown = []
        for gist in self.page(call, recent[::-1]):
            whole = self.show_gist(gist)
            files = {name: {k: v for k, v in f.items() if k != "content"} for name, f in whole["files"].items()}
            shown.append({**whole, "files": files})
        return Reply(200, shown)

    @route("GET", "/gists/{gist}")
    def get_gist(self, call: Incoming) -> Reply:
        if call["gist"] not in self.state["gists"]:
            raise missing()
        return Reply(200, self.show_gist(self.state["gists"][call["gist"]]))

    @route("DELETE", "/gists/{gist}")
    def delete_gist(self, call: Incoming) -> Reply:
        if self.state["gists"].get(call["gist"], {}).get("owner") != self.login(call):
            raise missing()
        del self.state["gists"][call["gist"]]
        self.effect("gist deleted", id=call["gist"])
        return Reply(204)
