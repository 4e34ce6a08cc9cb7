"""The GitHub connector: its table, its seams, its codec, and the account that a fresh process uses."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentguard.calls import Read, read
from agentguard.connector import Account, Connector
from agentguard_connectors.github.codec import GitHubCodec
from agentguard_connectors.github.seams import GithubkitSeam, PyGithubSeam


class GitHubConnector(Connector):
    """GitHub, with the one write that SDKs make for themselves."""

    def reads(self, verb: str, path: str) -> bool:
        """Whether this request certainly changes nothing, or only renews the SDK's own short-lived token.

        https://docs.github.com/rest/apps/apps#create-an-installation-access-token-for-an-app: an SDK that signs in as
        an app sends this by itself, between any two calls. The token expires within an hour.
        """
        return super().reads(verb, path) or (verb == "POST" and path.endswith("/access_tokens"))


def client_from(environment: Mapping[str, str]) -> Any:
    """A PyGithub client, or a githubkit client where PyGithub is not installed."""
    token, url = environment["GITHUB_TOKEN"], environment.get("GITHUB_API_URL") or "https://api.github.com"
    try:
        import github as pygithub
    except ImportError:
        from githubkit import GitHub

        return GitHub(token, base_url=url)
    return pygithub.Github(auth=pygithub.Auth.Token(token), base_url=url)


github = GitHubConnector(
    "github",
    title="GitHub",
    table=Path(__file__).with_name("operations.jsonl"),
    seams=[PyGithubSeam(), GithubkitSeam()],
    codec=GitHubCodec(),
    account=Account(("GITHUB_TOKEN", "GITHUB_API_URL"), client_from),
)


NEEDS = {
    "repos.getWebhook": "repos.listWebhooks",  # 404 to everybody who is not an administrator
    "repos.getRelease": "repos.listCollaborators",  # a draft is 404 to everybody who may not push
    "repos.getReleaseAsset": "repos.listCollaborators",  # so are its files
}
"""Reads that must succeed before something is believed to be gone, where seeing the repository is not enough."""


def witness(look: Read) -> Read | None:
    """For something in a repository that is not found: the repository must be visible.

    https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api: GitHub says 404 for what the token may
    not see, as well as for what is not there.
    """
    if look.operation == "repos.get":
        return look  # nothing shows whether a repository is gone or hidden: it is not believed
    if "owner" in look.arguments and "repo" in look.arguments:
        needs = NEEDS.get(look.operation, "repos.get")
        return read(needs, owner=look.arguments["owner"], repo=look.arguments["repo"])
    if "org" in look.arguments:
        return read("orgs.get", org=look.arguments["org"])
    return None


github.witness = witness
