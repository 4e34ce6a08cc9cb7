"""What GitHub's answers look like: https://docs.github.com/rest, in the fields that PyGithub and githubkit ask for."""

from __future__ import annotations

from typing import Any

Data = dict[str, Any]

USER_LINKS = (
    "followers",
    "following{/other_user}",
    "gists{/gist_id}",
    "starred{/owner}{/repo}",
    "subscriptions",
    "orgs",
    "repos",
    "events{/privacy}",
    "received_events",
)

REPO_LINKS = {
    "archive": "{archive_format}{/ref}",
    "assignees": "assignees{/user}",
    "blobs": "git/blobs{/sha}",
    "branches": "branches{/branch}",
    "collaborators": "collaborators{/collaborator}",
    "comments": "comments{/number}",
    "commits": "commits{/sha}",
    "compare": "compare/{base}...{head}",
    "contents": "contents/{+path}",
    "contributors": "contributors",
    "deployments": "deployments",
    "downloads": "downloads",
    "events": "events",
    "forks": "forks",
    "git_commits": "git/commits{/sha}",
    "git_refs": "git/refs{/sha}",
    "git_tags": "git/tags{/sha}",
    "hooks": "hooks",
    "issue_comment": "issues/comments{/number}",
    "issue_events": "issues/events{/number}",
    "issues": "issues{/number}",
    "keys": "keys{/key_id}",
    "labels": "labels{/name}",
    "languages": "languages",
    "merges": "merges",
    "milestones": "milestones{/number}",
    "notifications": "notifications{?since,all,participating}",
    "pulls": "pulls{/number}",
    "releases": "releases{/id}",
    "stargazers": "stargazers",
    "statuses": "statuses/{sha}",
    "subscribers": "subscribers",
    "subscription": "subscription",
    "tags": "tags",
    "teams": "teams",
    "trees": "git/trees{/sha}",
}


def user(root: str, stored: Data) -> Data:
    """A user or organisation as it stands inside other answers."""
    url = f"{root}/users/{stored['login']}"
    names = {"orgs": "organizations"}
    links = {f"{names.get(link.split('{')[0], link.split('{')[0])}_url": f"{url}/{link}" for link in USER_LINKS}
    return {
        "login": stored["login"],
        "id": stored["id"],
        "node_id": f"U_{stored['id']}",
        "avatar_url": f"{root}/avatars/{stored['id']}",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{root}/{stored['login']}",
        **links,
        "type": stored["type"],
        "site_admin": False,
    }


def full_user(root: str, stored: Data) -> Data:
    """A user's own page."""
    return {
        **user(root, stored),
        **dict.fromkeys(("name", "company", "blog", "location", "email", "hireable", "bio")),
        **dict.fromkeys(("public_repos", "public_gists", "followers", "following", "private_gists"), 0),
        **dict.fromkeys(("total_private_repos", "owned_private_repos", "disk_usage", "collaborators"), 0),
        "two_factor_authentication": True,
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    }


def repo(root: str, stored: Data, owner: Data, role: str) -> Data:
    """A repository."""
    url = f"{root}/repos/{stored['full_name']}"
    html = f"{root}/{stored['full_name']}"
    ranks = ("pull", "triage", "push", "maintain", "admin")
    rank = {"read": 0, "triage": 1, "write": 2, "maintain": 3, "admin": 4}.get(role, 0)
    settings = {k: stored[k] for k in (*REPO_SETTINGS, "id", "name", "full_name", "created_at", "updated_at")}
    issues = sum(issue["state"] == "open" for issue in stored["issues"].values())
    return {
        **settings,
        "node_id": f"R_{stored['id']}",
        "owner": owner,
        "fork": False,
        "url": url,
        "html_url": html,
        **{f"{name}_url": f"{url}/{path}" for name, path in REPO_LINKS.items()},
        "git_url": f"{html}.git",
        "ssh_url": f"{html}.git",
        "clone_url": f"{html}.git",
        "svn_url": html,
        "mirror_url": None,
        "language": None,
        "license": None,
        "topics": stored["topics"],
        "disabled": False,
        "has_pages": False,
        "visibility": "private" if stored["private"] else "public",
        "pushed_at": stored["updated_at"],
        "size": 1,
        **dict.fromkeys(("forks", "forks_count", "network_count"), 0),
        **dict.fromkeys(("stargazers_count", "watchers", "watchers_count", "subscribers_count"), 0),
        **dict.fromkeys(("open_issues", "open_issues_count"), issues),
        "permissions": {name: at <= rank for at, name in enumerate(ranks)},
    }


REPO_SETTINGS: Data = {
    "description": None,
    "homepage": None,
    "private": False,
    "default_branch": "main",
    "archived": False,
    "has_issues": True,
    "has_projects": True,
    "has_wiki": True,
    "has_discussions": False,
    "has_downloads": True,
    "is_template": False,
    "allow_forking": True,
    "allow_squash_merge": True,
    "allow_merge_commit": True,
    "allow_rebase_merge": True,
    "allow_auto_merge": False,
    "allow_update_branch": False,
    "delete_branch_on_merge": False,
    "use_squash_pr_title_as_default": False,
    "squash_merge_commit_title": "COMMIT_OR_PR_TITLE",
    "squash_merge_commit_message": "COMMIT_MESSAGES",
    "merge_commit_title": "MERGE_MESSAGE",
    "merge_commit_message": "PR_TITLE",
    "web_commit_signoff_required": False,
}


def label(url: str, stored: Data) -> Data:
    """A label of a repository."""
    return {
        **{name: stored[name] for name in ("id", "name", "color", "description")},
        "node_id": f"LA_{stored['id']}",
        "url": f"{url}/labels/{stored['name']}",
        "default": False,
        "archived_at": None,
        "archived_by": None,
    }


def milestone(url: str, stored: Data, creator: Data) -> Data:
    """A milestone of a repository."""
    here = f"{url}/milestones/{stored['number']}"
    names = ("id", "number", "title", "state", "description", "due_on", "created_at", "updated_at", "closed_at")
    return {
        **{name: stored[name] for name in names},
        "node_id": f"MI_{stored['id']}",
        "url": here,
        "html_url": here,
        "labels_url": f"{here}/labels",
        "creator": creator,
        "open_issues": 0,
        "closed_issues": 0,
    }


ROLLUP = ("+1", "-1", "laugh", "confused", "heart", "hooray", "eyes", "rocket")


def rollup(url: str, reactions: list[Data]) -> Data:
    """How many reactions of each kind a thing has."""
    counts = {kind: sum(r["content"] == kind for r in reactions) for kind in ROLLUP}
    return {"url": f"{url}/reactions", "total_count": len(reactions), **counts}


def comment(url: str, stored: Data, author: Data) -> Data:
    """A comment on an issue or pull request."""
    here = f"{url}/issues/comments/{stored['id']}"
    return {
        **{name: stored[name] for name in ("id", "body", "created_at", "updated_at")},
        "node_id": f"IC_{stored['id']}",
        "url": here,
        "html_url": here,
        "issue_url": f"{url}/issues/{stored['issue']}",
        "user": author,
        "author_association": "MEMBER",
        "reactions": rollup(here, stored["reactions"]),
    }


def commit(url: str, sha: str, stored: Data) -> Data:
    """A commit as the git database shows it."""
    who = {"name": stored["author"], "email": f"{stored['author']}@example.com", "date": stored["date"]}
    return {
        "sha": sha,
        "node_id": f"C_{sha}",
        "url": f"{url}/git/commits/{sha}",
        "html_url": f"{url}/commit/{sha}",
        "author": who,
        "committer": who,
        "message": stored["message"],
        "tree": {"sha": stored["tree"], "url": f"{url}/git/trees/{stored['tree']}"},
        "parents": [
            {"sha": p, "url": f"{url}/git/commits/{p}", "html_url": f"{url}/commit/{p}"} for p in stored["parents"]
        ],
        "verification": {"verified": False, "reason": "unsigned", "signature": None, "payload": None},
    }


def content(url: str, path: str, sha: str, raw: str, ref: str, size: int) -> Data:
    """A file of a repository; *raw* in base64."""
    here = f"{url}/contents/{path}?ref={ref}"
    git = f"{url}/git/blobs/{sha}"
    return {
        "type": "file",
        "encoding": "base64",
        "size": size,
        "name": path.rsplit("/", 1)[-1],
        "path": path,
        "content": raw,
        "sha": sha,
        "url": here,
        "git_url": git,
        "html_url": here,
        "download_url": None,
        "_links": {"git": git, "self": here, "html": here},
    }


def ref(url: str, name: str, sha: str) -> Data:
    """A reference; *name* in full, `refs/heads/main`."""
    return {
        "ref": name,
        "node_id": f"REF_{name}",
        "url": f"{url}/git/{name}",
        "object": {"type": "commit", "sha": sha, "url": f"{url}/git/commits/{sha}"},
    }


def release(url: str, stored: Data, author: Data) -> Data:
    """A release of a repository."""
    here = f"{url}/releases/{stored['id']}"
    names = ("id", "tag_name", "target_commitish", "name", "body", "draft", "prerelease", "created_at", "published_at")
    return {
        **{name: stored[name] for name in names},
        "node_id": f"RE_{stored['id']}",
        "url": here,
        "html_url": here,
        "assets_url": f"{here}/assets",
        "upload_url": f"{here}/assets{{?name,label}}",
        "tarball_url": None,
        "zipball_url": None,
        "author": author,
        "assets": [asset(url, one, author) for one in stored["assets"].values()],
    }


def asset(url: str, stored: Data, uploader: Data) -> Data:
    """A file of a release."""
    here = f"{url}/releases/assets/{stored['id']}"
    links = {"url": here, "browser_download_url": here, "node_id": f"RA_{stored['id']}"}
    return {**stored, **links, "state": "uploaded", "download_count": 0, "digest": None, "uploader": uploader}
