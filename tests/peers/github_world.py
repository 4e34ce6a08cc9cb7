"""What can be read from emulate's GitHub, as one dictionary."""

from __future__ import annotations

import uuid
from typing import Any

from github import Auth, Github, GithubException
from githubkit import GitHub

REPO = "/repos/octo/site"
DROPPED = ("node_id", "updated_at", "pushed_at", "reactions", "timeline_url", "author_association")
"""Told by every write anew, or the same for all objects. Addresses and timestamps of the last change say nothing."""


def token() -> str:
    """A token that was not used before: emulate counts 5000 requests an hour for each, and takes any."""
    return f"ghp_{uuid.uuid4().hex}"


def connect(url: str) -> Github:
    """A client that sends each request once."""
    return Github(
        auth=Auth.Token(token()), base_url=url, retry=None, seconds_between_requests=None, seconds_between_writes=None
    )


def connect_kit(url: str) -> GitHub[Any]:
    """A githubkit client that sends each request once."""
    return GitHub(token(), base_url=url, auto_retry=False, http_cache=False)


def world(client: Github) -> dict[str, Any]:
    """Everything of octo/site, and what acme and the user show."""

    def get(path: str, key: str = "") -> Any:
        try:
            _headers, data = client.requester.requestJsonAndCheck("GET", path)
        except GithubException as error:
            if error.status != 404:
                raise
            return None
        return {str(item[key]): tidy(item) for item in data} if key else tidy(data)

    def each(things: Any, path: str, key: str) -> dict[str, Any]:
        return {name: get(path.format(name), key) for name in things}

    repo = get(REPO)
    if repo is None:
        return {"repositories": get("/user/repos", "full_name")}
    issues = get(f"{REPO}/issues?state=all&per_page=100", "number")
    pulls = get(f"{REPO}/pulls?state=all&per_page=100", "number")
    refs = get(f"{REPO}/git/matching-refs/heads", "ref") | get(f"{REPO}/git/matching-refs/tags", "ref")
    releases = get(f"{REPO}/releases", "id")
    return {
        "repository": repo,
        "repositories": sorted(get("/user/repos", "full_name")),
        "issues": issues,
        "comments": each(issues, REPO + "/issues/{}/comments", "id"),
        "pulls": pulls,
        "reviews": each(pulls, REPO + "/pulls/{}/reviews", "id"),
        "review_comments": each(pulls, REPO + "/pulls/{}/comments", "id"),
        "labels": get(f"{REPO}/labels?per_page=100", "name"),
        "milestones": get(f"{REPO}/milestones?state=all", "number"),
        "refs": refs,
        "files": {ref: get(f"{REPO}/git/trees/{ref.removeprefix('refs/heads/')}?recursive=1") for ref in refs},
        "releases": releases,
        "assets": each(releases, REPO + "/releases/{}/assets", "id"),
        "hooks": get(f"{REPO}/hooks", "id"),
        "collaborators": get(f"{REPO}/collaborators", "login"),
        "commit_comments": get(f"{REPO}/comments", "id"),
        "topics": get(f"{REPO}/topics"),
        "secrets": get(f"{REPO}/actions/secrets"),
        "org": get("/orgs/acme"),
        "org_hooks": get("/orgs/acme/hooks", "id"),
        "org_teams": get("/orgs/acme/teams", "slug"),
        "user": get("/user"),
    }


def tidy(value: Any) -> Any:
    """Drop addresses and timestamps of the last change; name people and repositories instead of repeating them."""
    if isinstance(value, list):
        return [tidy(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {k: v for k, v in value.items() if k not in DROPPED and k != "url" and not k.endswith("_url")}
    return {key: item if key == "config" else nested(item) for key, item in kept.items()}


def nested(value: Any) -> Any:
    """Tidy what stands inside something: what is listed for itself, by name only."""
    if isinstance(value, dict):
        for name in ("login", "full_name", "open_issues"):
            if name in value:
                return value.get("title", value[name])
    if isinstance(value, list):
        return [nested(item) for item in value]
    return tidy(value)
