"""Releases of the GitHub stand-in: https://docs.github.com/rest/releases/releases."""

from __future__ import annotations

from agentguard.sandbox.github import shapes
from agentguard.sandbox.github.base import Data, fields, invalid, missing
from agentguard.sandbox.github.code import Code
from agentguard.sandbox.server import Incoming, Reply, route

RELEASES = "/repos/{owner}/{repo}/releases"
FIELDS = ("tag_name", "target_commitish", "name", "body", "draft", "prerelease")
OTHER = ("discussion_category_name", "generate_release_notes", "make_latest")


class Releases(Code):
    """Releases; publishing one makes its tag."""

    def release(self, call: Incoming, repo: Data) -> Data:
        found: Data | None = repo["releases"].get(call["release"])
        if found is None:
            raise missing()
        return found

    def show_release(self, repo: Data, release: Data) -> Data:
        return shapes.release(self.url_of(repo), release, self.user(release["author"]))

    def apply_release(self, repo: Data, release: Data, given: Data) -> None:
        newly = release["draft"] or not release["published_at"]
        release.update({name: given[name] for name in FIELDS if given.get(name) is not None})
        for other in repo["releases"].values():
            if other is not release and other["tag_name"] == release["tag_name"] and not other["draft"]:
                raise invalid("Release", "tag_name", "already_exists")
        if release["draft"]:
            return
        if not release["prerelease"] and given.get("make_latest", "true" if newly else "false") == "true":
            for other in repo["releases"].values():
                other["latest"] = False
            release["latest"] = True
        release["published_at"] = release["published_at"] or self.now()
        tag = f"refs/tags/{release['tag_name']}"
        if tag not in repo["refs"]:
            repo["refs"][tag] = self.resolve(repo, release["target_commitish"])

    @route("GET", RELEASES)
    def list_releases(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        return Reply(200, self.page(call, [self.show_release(repo, r) for r in repo["releases"].values()]))

    @route("POST", RELEASES)
    def create_release(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        given = fields(call, *FIELDS, *OTHER, required=("tag_name",))
        release: Data = {
            "id": self.next_id(),
            "author": self.login(call),
            "created_at": self.now(),
            "published_at": None,
            "target_commitish": repo["default_branch"],
            "name": None,
            "body": None,
            "draft": False,
            "assets": {},
            "prerelease": False,
            "latest": False,
        }
        self.apply_release(repo, release, given)
        repo["releases"][str(release["id"])] = release
        self.event(call, repo, "release created", id=release["id"])
        return Reply(201, self.show_release(repo, release))

    @route("GET", f"{RELEASES}/tags/{{+tag}}")
    def get_release_by_tag(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        for release in repo["releases"].values():
            if release["tag_name"] == call["tag"] and not release["draft"]:
                return Reply(200, self.show_release(repo, release))
        raise missing()

    @route("GET", f"{RELEASES}/latest")
    def get_latest_release(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        found = [r for r in repo["releases"].values() if not r["draft"] and not r["prerelease"]]
        if not found:
            raise missing()
        return Reply(200, self.show_release(repo, max(found, key=lambda r: (r["latest"], r["created_at"], r["id"]))))

    @route("GET", f"{RELEASES}/{{release}}")
    def get_release(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        return Reply(200, self.show_release(repo, self.release(call, repo)))

    @route("PATCH", f"{RELEASES}/{{release}}")
    def update_release(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        release = self.release(call, repo)
        given = fields(call, *FIELDS, *OTHER)
        if release["draft"] and not given.get("tag_name"):
            release["tag_name"] = f"untagged-{release['id']:020x}"
        self.apply_release(repo, release, given)
        self.event(call, repo, "release edited", id=release["id"])
        return Reply(200, self.show_release(repo, release))

    @route("DELETE", f"{RELEASES}/{{release}}")
    def delete_release(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        del repo["releases"][str(self.release(call, repo)["id"])]
        self.event(call, repo, "release deleted", id=int(call["release"]))
        return Reply(204)

    # Files of a release: https://docs.github.com/rest/releases/assets

    def asset(self, call: Incoming, repo: Data) -> tuple[Data, Data]:
        for release in repo["releases"].values():
            if call["asset"] in release["assets"]:
                return release, release["assets"][call["asset"]]
        raise missing()

    def show_asset(self, repo: Data, release: Data, asset: Data) -> Data:
        return shapes.asset(self.url_of(repo), asset, self.user(release["author"]))

    @route("POST", f"{RELEASES}/{{release}}/assets")
    def upload_asset(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        release = self.release(call, repo)
        name = call.query.get("name", "")
        if not name or name in (one["name"] for one in release["assets"].values()):
            raise invalid("ReleaseAsset", "name", "already_exists" if name else "missing_field")
        asset: Data = {"id": self.next_id(), "name": name, "label": call.query.get("label"), "size": len(call.raw)}
        asset["content_type"] = call.headers.get("content-type", "application/octet-stream")
        asset |= {"created_at": self.now(), "updated_at": self.now()}
        release["assets"][str(asset["id"])] = asset
        self.event(call, repo, "file uploaded", id=asset["id"], size=asset["size"])
        return Reply(201, self.show_asset(repo, release, asset))

    @route("GET", f"{RELEASES}/assets/{{asset}}")
    def get_asset(self, call: Incoming) -> Reply:
        repo = self.repo(call)
        return Reply(200, self.show_asset(repo, *self.asset(call, repo)))

    @route("PATCH", f"{RELEASES}/assets/{{asset}}")
    def update_asset(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        release, asset = self.asset(call, repo)
        asset.update(fields(call, "name", "label"), updated_at=self.now())
        self.event(call, repo, "file renamed", id=asset["id"])
        return Reply(200, self.show_asset(repo, release, asset))

    @route("DELETE", f"{RELEASES}/assets/{{asset}}")
    def delete_asset(self, call: Incoming) -> Reply:
        repo = self.repo(call, "write")
        release, asset = self.asset(call, repo)
        del release["assets"][str(asset["id"])]
        self.event(call, repo, "file deleted", id=asset["id"])
        return Reply(204)
