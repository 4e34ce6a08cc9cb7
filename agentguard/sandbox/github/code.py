"""Files, commits and references of the GitHub stand-in: https://docs.github.com/rest/repos/contents and .../rest/git.

A commit holds the whole tree as path -> blob; a blob is base64. Names are what git itself would compute.
"""

from __future__ import annotations

import base64
import binascii

from agentguard.sandbox.github import shapes
from agentguard.sandbox.github.base import Base, Data, digest, fields, invalid, json_digest, missing
from agentguard.sandbox.server import Incoming, Refuse, Reply, route

REPO = "/repos/{owner}/{repo}"


class Code(Base):
    """What git keeps."""

    def branch_ref(self, repo: Data, given: str | None) -> str:
        return f"refs/heads/{(given or repo['default_branch']).removeprefix('refs/heads/')}"

    def resolve(self, repo: Data, name: str | None) -> str:
        """The commit that a branch, a tag or a SHA stands for."""
        name = name or repo["default_branch"]
        for ref in (name, f"refs/{name}", f"refs/heads/{name}", f"refs/tags/{name}"):
            if ref in repo["refs"]:
                return str(repo["refs"][ref])
        if name in repo["commits"]:
            return name
        raise Refuse(404, {"message": f"No commit found for the ref {name}"})

    def add_commit(self, repo: Data, message: str, author: str, files: Data, parents: list[str]) -> str:
        commit: Data = {"message": message, "author": author, "date": self.now(), "parents": parents, "files": files}
        commit["tree"] = json_digest("tree", files)
        sha = json_digest("commit", {**commit, "nonce": self.next_id()})
        repo["commits"][sha] = commit
        return sha

    def blob(self, repo: Data, encoded: str) -> str:
        try:
            raw = base64.b64decode(encoded)
        except (binascii.Error, ValueError):
            raise Refuse(422, {"message": "content is not valid Base64"}) from None
        sha = digest("blob", raw)
        repo["blobs"][sha] = base64.b64encode(raw).decode()
        return sha

    def show_file(self, repo: Data, path: str, sha: str, ref: str) -> Data:
        raw = repo["blobs"][sha]
        return shapes.content(self.url_of(repo), path, sha, raw, ref, len(base64.b64decode(raw)))

    # Files

    @route("GET", f"{REPO}/contents/{{+path}}")
    @route("GET", f"{REPO}/contents")
    def get_content(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        ref = call.query.get("ref") or repo["default_branch"]
        files = repo["commits"][self.resolve(repo, ref)]["files"]
        path = call.parameters.get("path", "").strip("/")
        if path in files:
            return Reply(200, self.show_file(repo, path, files[path], ref))
        inside = sorted(name for name in files if not path or name.startswith(f"{path}/"))
        if not inside:
            raise missing()
        shown = []
        for name in inside:
            rest = name.removeprefix(path).strip("/")
            if "/" not in rest:
                entry = self.show_file(repo, name, files[name], ref)
                shown.append({k: v for k, v in entry.items() if k not in ("content", "encoding")})
        return Reply(200, shown)

    @route("PUT", f"{REPO}/contents/{{+path}}")
    def put_content(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        given = fields(call, "content", "sha", "branch", "committer", "author", required=("message",))
        if "content" not in call.body:
            raise invalid("Contents", "content", "missing_field")
        ref, path = self.tip(repo, given.get("branch")), call["path"]
        parent = repo["refs"][ref]
        files = repo["commits"][parent]["files"]
        self.check_sha(path, files.get(path), given.get("sha"))
        sha = self.blob(repo, call.body["content"])
        commit = self.add_commit(repo, given["message"], self.login(call), {**files, path: sha}, [parent])
        repo["refs"][ref] = commit
        self.event(call, repo, "pushed", ref=ref, sha=commit)
        shown = {"content": self.show_file(repo, path, sha, ref.removeprefix("refs/heads/"))}
        shown["content"] = {k: v for k, v in shown["content"].items() if k not in ("content", "encoding")}
        shown["commit"] = shapes.commit(self.url_of(repo), commit, repo["commits"][commit])
        return Reply(200 if path in files else 201, shown)

    @route("DELETE", f"{REPO}/contents/{{+path}}")
    def delete_content(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        call.body = call.body or dict(call.query)
        given = fields(call, "branch", "committer", "author", required=("message", "sha"))
        ref = self.tip(repo, given.get("branch"))
        parent = repo["refs"][ref]
        files = dict(repo["commits"][parent]["files"])
        if call["path"] not in files:
            raise missing()
        self.check_sha(call["path"], files.pop(call["path"]), given["sha"])
        commit = self.add_commit(repo, given["message"], self.login(call), files, [parent])
        repo["refs"][ref] = commit
        self.event(call, repo, "pushed", ref=ref, sha=commit)
        shown = shapes.commit(self.url_of(repo), commit, repo["commits"][commit])
        return Reply(200, {"content": None, "commit": shown})

    def tip(self, repo: Data, branch: str | None) -> str:
        ref = self.branch_ref(repo, branch)
        if ref not in repo["refs"]:
            raise Refuse(404, {"message": f"Branch {branch} not found"})
        return ref

    def check_sha(self, path: str, there: str | None, given: str | None) -> None:
        if there is not None and given is None:
            raise Refuse(422, {"message": 'Invalid request.\n\n"sha" wasn\'t supplied.'})
        if given is not None and there != given:
            raise Refuse(409, {"message": f"{path} does not match {given}"})

    # References

    def full_ref(self, call: Incoming) -> str:
        return f"refs/{call['ref']}"

    @route("GET", f"{REPO}/git/ref/{{+ref}}")
    @route("GET", f"{REPO}/git/refs/{{+ref}}")
    def get_ref(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        name = self.full_ref(call)
        if name not in repo["refs"]:
            raise missing()
        return Reply(200, shapes.ref(self.url_of(repo), name, repo["refs"][name]))

    @route("GET", f"{REPO}/git/matching-refs/{{+ref}}")
    def matching_refs(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        found = [
            shapes.ref(self.url_of(repo), n, s) for n, s in repo["refs"].items() if n.startswith(self.full_ref(call))
        ]
        return Reply(200, self.page(call, found))

    @route("POST", f"{REPO}/git/refs")
    def create_ref(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        given = fields(call, required=("ref", "sha"))
        name = given["ref"]
        if not name.startswith("refs/") or name.count("/") < 2:
            raise Refuse(422, {"message": "Reference name must start with 'refs/' and have at least two slashes."})
        if name in repo["refs"]:
            raise Refuse(422, {"message": "Reference already exists"})
        if given["sha"] not in repo["commits"]:
            raise Refuse(422, {"message": "Object does not exist"})
        repo["refs"][name] = given["sha"]
        self.event(call, repo, "ref created", ref=name)
        return Reply(201, shapes.ref(self.url_of(repo), name, given["sha"]))

    @route("PATCH", f"{REPO}/git/refs/{{+ref}}")
    def update_ref(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        name = self.full_ref(call)
        given = fields(call, "force", required=("sha",))
        if name not in repo["refs"]:
            raise Refuse(422, {"message": "Reference does not exist"})
        if given["sha"] not in repo["commits"]:
            raise Refuse(422, {"message": "Object does not exist"})
        if not given.get("force") and repo["refs"][name] not in self.ancestors(repo, given["sha"]):
            raise Refuse(422, {"message": "Update is not a fast forward"})
        repo["refs"][name] = given["sha"]
        self.event(call, repo, "pushed", ref=name, sha=given["sha"])
        return Reply(200, shapes.ref(self.url_of(repo), name, given["sha"]))

    @route("DELETE", f"{REPO}/git/refs/{{+ref}}")
    def delete_ref(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        name = self.full_ref(call)
        if name not in repo["refs"]:
            raise Refuse(422, {"message": "Reference does not exist"})
        del repo["refs"][name]
        for issue in repo["issues"].values():
            if issue.get("pull") and name == f"refs/heads/{issue['pull']['head']}" and issue["state"] == "open":
                issue.update(state="closed", closed_at=self.now())
        for release in repo["releases"].values():
            if name == f"refs/tags/{release['tag_name']}":
                release.update(draft=True, latest=False)
        self.event(call, repo, "ref deleted", ref=name)
        return Reply(204)

    def ancestors(self, repo: Data, sha: str) -> set[str]:
        found: set[str] = set()
        waiting = [sha]
        while waiting:
            current = waiting.pop()
            if current not in found and current in repo["commits"]:
                found.add(current)
                waiting.extend(repo["commits"][current]["parents"])
        return found

    # Commits and branches

    @route("GET", f"{REPO}/git/commits/{{sha}}")
    def get_git_commit(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        sha = self.resolve(repo, call["sha"])
        return Reply(200, shapes.commit(self.url_of(repo), sha, repo["commits"][sha]))

    def folder(self, repo: Data, sha: str) -> tuple[str, Data]:
        """The folder that a commit or a tree stands for, and the files of the commit that it was found in."""
        for commit, stored in repo["commits"].items():
            files = stored["files"]
            folders = {"", *(f"{name[: at + 1]}" for name in files for at, letter in enumerate(name) if letter == "/")}
            for folder in folders:
                if sha in (self.tree_sha(files, folder), commit if not folder else ""):
                    return folder, files
        raise missing()

    def tree_sha(self, files: Data, folder: str) -> str:
        return json_digest("tree", {name: sha for name, sha in files.items() if name.startswith(folder)})

    @route("GET", f"{REPO}/git/trees/{{sha}}")
    def get_tree(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        folder, files = self.folder(repo, call["sha"])
        entries: Data = {}
        for name, sha in files.items():
            if name.startswith(folder):
                head, _, rest = name.removeprefix(folder).partition("/")
                mode = "100755" if name.endswith(".sh") else "100644"
                kind = {"type": "tree", "mode": "040000", "sha": self.tree_sha(files, f"{folder}{head}/")}
                entries[head] = {"path": head, **(kind if rest else {"type": "blob", "mode": mode, "sha": sha})}
        url = f"{self.url_of(repo)}/git/trees/{call['sha']}"
        return Reply(200, {"sha": call["sha"], "url": url, "truncated": False, "tree": list(entries.values())})

    def show_commit(self, repo: Data, sha: str) -> Data:
        url, author = self.url_of(repo), self.user(repo["commits"][sha]["author"])
        inner = shapes.commit(url, sha, repo["commits"][sha])
        return {
            **{name: inner[name] for name in ("sha", "node_id", "html_url", "parents")},
            "url": f"{url}/commits/{sha}",
            "comments_url": f"{url}/commits/{sha}/comments",
            "commit": {**inner, "comment_count": 0},
            "author": author,
            "committer": author,
            "files": [],
            "stats": {"total": 0, "additions": 0, "deletions": 0},
        }

    @route("GET", f"{REPO}/commits")
    def list_commits(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        chain = []
        sha = self.resolve(repo, call.query.get("sha"))
        while sha:
            chain.append(self.show_commit(repo, sha))
            sha = next(iter(repo["commits"][sha]["parents"]), "")
        return Reply(200, self.page(call, chain))

    @route("GET", f"{REPO}/commits/{{+sha}}")
    def get_commit(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        return Reply(200, self.show_commit(repo, self.resolve(repo, call["sha"])))

    @route("GET", f"{REPO}/branches/{{+branch}}")
    def get_branch(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        sha = repo["refs"].get(f"refs/heads/{call['branch']}")
        if sha is None:
            raise Refuse(404, {"message": "Branch not found"})
        here = f"{self.url_of(repo)}/branches/{call['branch']}"
        return Reply(
            200,
            {
                "name": call["branch"],
                "commit": self.show_commit(repo, sha),
                "_links": {"self": here, "html": here},
                "protected": False,
                "protection": {"enabled": False},
                "protection_url": f"{here}/protection",
            },
        )
