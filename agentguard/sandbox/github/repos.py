"""Repositories of the GitHub stand-in and the people in them: https://docs.github.com/rest/repos and collaborators."""

from __future__ import annotations

from typing import Any

from agentguard.sandbox.github import shapes
from agentguard.sandbox.github.base import LEVELS, Data, fields, invalid, missing
from agentguard.sandbox.github.pulls import Pulls
from agentguard.sandbox.server import Incoming, Refuse, Reply, route

REPO = "/repos/{owner}/{repo}"
ROLES = {"pull": "read", "push": "write", **{level: level for level in LEVELS}}
EMPTY: Data = {
    "topics": [],
    "team_access": {},
    "labels": {},
    "milestones": {},
    "issues": {},
    "comments": {},
    "review_comments": {},
    "reviews": {},
    "releases": {},
    "hooks": {},
    "invitations": {},
    "workflows": {},
    "variables": {},
    "commit_comments": {},
    "commits": {},
    "blobs": {},
    "refs": {},
    "events": [],
    "last_number": 0,
    "last_milestone": 0,
}


class Repos(Pulls):
    """Repositories, collaborators and invitations."""

    def new_repo(self, call: Incoming, owner: str) -> Reply:
        names = ("visibility", "auto_init", "gitignore_template", "license_template", "team_id", "custom_properties")
        given = fields(call, *shapes.REPO_SETTINGS, *names, required=("name",))
        full_name = f"{owner}/{given['name']}"
        if full_name in self.state["repos"]:
            raise invalid("Repository", "name", "custom", "name already exists on this account")
        settings = {k: given.get(k, v) for k, v in shapes.REPO_SETTINGS.items()}
        repo: Data = {
            **settings,
            **{name: type(value)(value) for name, value in EMPTY.items()},
            "id": self.next_id(),
            "name": given["name"],
            "full_name": full_name,
            "owner": owner,
            "created_at": self.now(),
            "updated_at": self.now(),
            "private": given.get("private", given.get("visibility") == "private"),
            "collaborators": {self.login(call): "admin"},
        }
        if given.get("auto_init"):
            files = {"README.md": self.blob(repo, "")}
            repo["refs"]["refs/heads/main"] = self.add_commit(repo, "Initial commit", self.login(call), files, [])
        self.state["repos"][full_name] = repo
        self.effect("repository created", repo=full_name)
        return Reply(201, self.show_repo(call, repo))

    @route("POST", "/user/repos")
    def create_repo(self, call: Incoming) -> Reply:
        return self.new_repo(call, self.login(call))

    @route("POST", "/orgs/{org}/repos")
    def create_org_repo(self, call: Incoming) -> Reply:
        if self.state["users"].get(call["org"], {}).get("type") != "Organization":
            raise missing()
        return self.new_repo(call, call["org"])

    @route("GET", REPO)
    def get_repo(self, call: Incoming) -> Reply:
        return Reply(200, self.show_repo(call, self.repo(call)))

    @route("PATCH", REPO)
    def update_repo(self, call: Incoming) -> Reply:
        repo = self.repo(call, "admin")
        given = fields(call, *shapes.REPO_SETTINGS, "name", "visibility", "security_and_analysis")
        if "visibility" in given:
            given["private"] = given.pop("visibility") == "private"
        if "default_branch" in given:
            self.tip(repo, given["default_branch"])
        old = repo["full_name"]
        repo.update({k: v for k, v in given.items() if k in repo})
        if repo["name"] != old.split("/")[1]:
            repo["full_name"] = f"{repo['owner']}/{repo['name']}"
            if repo["full_name"] in self.state["repos"]:
                raise invalid("Repository", "name", "custom", "name already exists on this account")
            self.state["repos"][repo["full_name"]] = self.state["repos"].pop(old)
        self.event(call, repo, "repository edited", fields=sorted(given))
        return Reply(200, self.show_repo(call, repo))

    @route("DELETE", REPO)
    def delete_repo(self, call: Incoming) -> Reply:
        repo = self.repo(call, "admin")
        del self.state["repos"][repo["full_name"]]
        self.effect("repository deleted", repo=repo["full_name"])
        return Reply(204)

    @route("GET", f"{REPO}/topics")
    def get_topics(self, call: Incoming) -> Reply:
        return Reply(200, {"names": self.repo(call)["topics"]})

    @route("PUT", f"{REPO}/topics")
    def replace_topics(self, call: Incoming) -> Reply:
        repo = self.repo(call, "admin")
        repo["topics"] = [str(name).lower() for name in fields(call, "names").get("names", [])]
        self.event(call, repo, "topics replaced")
        return Reply(200, {"names": repo["topics"]})

    # Collaborators and invitations

    def person(self, call: Incoming) -> str:
        if call["username"] not in self.state["users"]:
            raise missing()
        return call["username"]

    def role(self, given: str) -> str:
        if given not in ROLES:
            raise invalid("Collaborator", "permission")
        return ROLES[given]

    @route("GET", f"{REPO}/collaborators")
    def list_collaborators(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        through_teams = {} if call.query.get("affiliation") == "direct" else repo["team_access"]
        return Reply(200, self.page(call, [self.user(login) for login in {**through_teams, **repo["collaborators"]}]))

    @route("GET", f"{REPO}/collaborators/{{username}}")
    def is_collaborator(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        if call["username"] not in {**repo["collaborators"], **repo["team_access"]}:
            raise missing()
        return Reply(204)

    @route("GET", f"{REPO}/collaborators/{{username}}/permission")
    def get_permission(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        role = repo["team_access"].get(self.person(call), "none" if repo["private"] else "read")
        role = max(role, repo["collaborators"].get(call["username"], "none"), key=("none", *LEVELS).index)
        coarse = {"triage": "read", "maintain": "write"}.get(role, role)
        user = {**self.user(call["username"]), "role_name": role}
        return Reply(200, {"permission": coarse, "role_name": role, "user": user})

    @route("PUT", f"{REPO}/collaborators/{{username}}")
    def add_collaborator(self, call: Incoming) -> Reply:
        repo = self.repo(call, "admin")
        login, role = self.person(call), self.role(fields(call, "permission").get("permission", "push"))
        if login in {**repo["collaborators"], **repo["team_access"]}:
            repo["collaborators"][login] = role
            self.event(call, repo, "collaborator changed", login=login)
            return Reply(204)
        for invitation in repo["invitations"].values():
            if invitation["invitee"] == login:
                return Reply(201, self.show_invitation(call, repo, invitation))
        invitation = {"id": self.next_id(), "invitee": login, "inviter": self.login(call), "permissions": role}
        invitation["created_at"] = self.now()
        repo["invitations"][str(invitation["id"])] = invitation
        self.event(call, repo, "invited", login=login)
        return Reply(201, self.show_invitation(call, repo, invitation))

    @route("DELETE", f"{REPO}/collaborators/{{username}}")
    def remove_collaborator(self, call: Incoming) -> Reply:
        repo = self.repo(call, "admin")
        if repo["collaborators"].pop(self.person(call), None) is not None:
            self.event(call, repo, "collaborator removed", login=call["username"])
        return Reply(204)

    def show_invitation(self, call: Incoming, repo: Data, invitation: Data) -> Data:
        here = f"{self.url_of(repo)}/invitations/{invitation['id']}"
        return {
            **{name: invitation[name] for name in ("id", "permissions", "created_at")},
            "node_id": f"RI_{invitation['id']}",
            "repository": self.show_repo(call, repo),
            "invitee": self.user(invitation["invitee"]),
            "inviter": self.user(invitation["inviter"]),
            "expired": False,
            "url": here,
            "html_url": here,
        }

    def invitation(self, call: Incoming, repo: Data) -> Data:
        found: Data | None = repo["invitations"].get(call["invitation"])
        if found is None:
            raise missing()
        return found

    @route("GET", f"{REPO}/invitations")
    def list_invitations(self, call: Incoming) -> Reply:
        repo = self.repo(call, "admin")
        found = [self.show_invitation(call, repo, i) for i in repo["invitations"].values()]
        return Reply(200, self.page(call, found))

    @route("PATCH", f"{REPO}/invitations/{{invitation}}")
    def update_invitation(self, call: Incoming) -> Reply:
        repo = self.repo(call, "admin")
        invitation = self.invitation(call, repo)
        role = str(fields(call, "permissions").get("permissions", invitation["permissions"]))
        invitation["permissions"] = self.role(role)
        self.event(call, repo, "invitation changed", id=invitation["id"])
        return Reply(200, self.show_invitation(call, repo, invitation))

    @route("PATCH", "/user/repository_invitations/{invitation}")
    def accept_invitation(self, call: Incoming) -> Reply:
        for repo in self.state["repos"].values():
            invitation = repo["invitations"].get(call["invitation"])
            if invitation is not None and invitation["invitee"] == self.login(call):
                repo["collaborators"][invitation["invitee"]] = invitation["permissions"]
                del repo["invitations"][call["invitation"]]
                self.event(call, repo, "invitation accepted", login=invitation["invitee"])
                return Reply(204)
        raise missing()

    @route("DELETE", f"{REPO}/invitations/{{invitation}}")
    def delete_invitation(self, call: Incoming) -> Reply:
        repo = self.repo(call, "admin")
        del repo["invitations"][str(self.invitation(call, repo)["id"])]
        self.event(call, repo, "invitation withdrawn", id=int(call["invitation"]))
        return Reply(204)

    # Hooks: https://docs.github.com/rest/repos/webhooks. A secret is never shown again.

    def show_hook(self, repo: Data, hook: Data) -> Data:
        here = f"{self.url_of(repo)}/hooks/{hook['id']}"
        config = {k: "********" if k == "secret" else v for k, v in hook["config"].items()}
        names = ("id", "name", "active", "events", "created_at", "updated_at")
        shown: dict[str, Any] = {**{name: hook[name] for name in names}, "config": config, "type": "Repository"}
        urls = {"url": here, "test_url": f"{here}/test", "ping_url": f"{here}/pings", "deliveries_url": f"{here}/x"}
        return {**shown, **urls, "last_response": {"code": None, "status": "unused", "message": None}}

    def hook(self, call: Incoming, repo: Data) -> Data:
        found: Data | None = repo["hooks"].get(call["hook"])
        if found is None:
            raise missing()
        return found

    @route("GET", f"{REPO}/hooks")
    def list_hooks(self, call: Incoming) -> Reply:
        repo = self.repo(call, "admin")
        return Reply(200, self.page(call, [self.show_hook(repo, hook) for hook in repo["hooks"].values()]))

    @route("POST", f"{REPO}/hooks")
    def create_hook(self, call: Incoming) -> Reply:
        repo = self.repo(call, "admin")
        given = fields(call, "name", "config", "events", "active")
        config = {"content_type": "form", "insecure_ssl": "0", **(given.get("config") or {})}
        if "url" not in config:
            raise Refuse(422, {"message": "Validation Failed", "errors": ["config.url is missing"]})
        hook: Data = {
            "id": self.next_id(),
            "name": "web",
            "config": config,
            "events": given.get("events", ["push"]),
            "active": given.get("active", True),
            "created_at": self.now(),
            "updated_at": self.now(),
        }
        repo["hooks"][str(hook["id"])] = hook
        self.event(call, repo, "hook created", id=hook["id"])
        return Reply(201, self.show_hook(repo, hook))

    @route("GET", f"{REPO}/hooks/{{hook}}")
    def get_hook(self, call: Incoming) -> Reply:
        repo = self.repo(call, "admin")
        return Reply(200, self.show_hook(repo, self.hook(call, repo)))

    @route("PATCH", f"{REPO}/hooks/{{hook}}")
    def update_hook(self, call: Incoming) -> Reply:
        repo = self.repo(call, "admin")
        hook = self.hook(call, repo)
        given = fields(call, "name", "config", "events", "add_events", "remove_events", "active")
        if "config" in given:
            hook["config"] = {"content_type": "form", "insecure_ssl": "0", **given["config"]}
        events = [*(given.get("events") or hook["events"]), *(given.get("add_events") or [])]
        hook["events"] = [e for e in dict.fromkeys(events) if e not in given.get("remove_events", [])]
        hook.update(active=given.get("active", hook["active"]), updated_at=self.now())
        self.event(call, repo, "hook edited", id=hook["id"])
        return Reply(200, self.show_hook(repo, hook))

    @route("DELETE", f"{REPO}/hooks/{{hook}}")
    def delete_hook(self, call: Incoming) -> Reply:
        repo = self.repo(call, "admin")
        del repo["hooks"][str(self.hook(call, repo)["id"])]
        self.event(call, repo, "hook deleted", id=int(call["hook"]))
        return Reply(204)
