"""The SDKs' clients, pointed at the stand-in."""

from __future__ import annotations

from typing import Any

import github
import githubkit

from tests.boxes import Box

TOKEN = "ghp_" + "k3Jx9QpL2vTn8WzR5yBd7HmC1sFa4GuE6oXi"


def pygithub(box: Box, token: str = TOKEN, **options: Any) -> github.Github:
    """PyGithub without its pauses between requests."""
    options.setdefault("auth", github.Auth.Token(token))
    pauses = {"seconds_between_requests": None, "seconds_between_writes": None}
    return github.Github(base_url=box.url, **{"retry": None, **pauses, **options})


def kit(box: Box, token: str = TOKEN, **options: Any) -> githubkit.GitHub[Any]:
    """githubkit without a cache on disk."""
    return githubkit.GitHub(token, base_url=box.url, **{"http_cache": False, **options})


def acting(gh: github.Github) -> Any:
    """The repository that every test uses."""
    return gh.get_repo("acme/hr")


def raw(gh: github.Github, verb: str, path: str, body: Any = None) -> Any:
    """A request for which PyGithub has no method."""
    return gh.requester.requestJsonAndCheck(verb, path, input=body)[1]
