"""What emulate's GitHub holds before something is done to it, and how what is there is found."""

from __future__ import annotations

from typing import Any

from github import Github
from github.Issue import Issue
from github.PullRequest import PullRequest
from github.Repository import Repository

from tests.peers.github_world import REPO

HOOK = {"url": "http://127.0.0.1:9/none", "content_type": "json"}

# Preparing: with the bare client


def issue(client: Github) -> Issue:
    """An issue with a label, an assignee, a milestone and a comment."""
    site = repo(client)
    for name in ("bug", "later"):
        site.create_label(name, "aa0000", f"What {name} means")
    milestone = site.create_milestone("1.0", description="The first")
    site.create_milestone("2.0")
    found = site.create_issue("Broken", "It is.", labels=["bug"], assignees=["octo"], milestone=milestone)
    found.create_comment("First!")
    return found


def oddly_labelled(client: Github) -> None:
    """The same issue, in a repository with labels of odd names."""
    issue(client)
    for name in ("area/api", "good first ✨"):
        repo(client).create_label(name, "00aa00")


def odd_issue(client: Github) -> None:
    """The same issue, with such labels on it."""
    oddly_labelled(client)
    first(client).add_to_labels("area/api", "good first ✨")


def closed(client: Github) -> None:
    """The same issue, closed."""
    issue(client).edit(state="closed", state_reason="completed")


def locked(client: Github) -> None:
    """The same issue, locked."""
    issue(client).lock("spam")


def branch(client: Github) -> None:
    """A second branch, with a commit that the first one lacks."""
    site = repo(client)
    site.create_git_ref("refs/heads/topic", site.get_branch("main").commit.sha)
    site.create_file("topic.txt", "Add a file", "new\n", branch="topic")


def pull(client: Github) -> PullRequest:
    """A pull request from the second branch."""
    branch(client)
    return repo(client).create_pull(base="main", head="topic", title="A topic", body="Please.")


def two_bases(client: Github) -> None:
    """A pull request, and another branch that it could go to."""
    pull(client)
    repo(client).create_git_ref("refs/heads/old", head_of(client, "main"))


def reviewed(client: Github) -> None:
    """A pull request with a reviewer asked for and a comment on its code."""
    request = pull(client)
    request.create_review_request(reviewers=["hubot"])
    commit = repo(client).get_branch("topic").commit
    request.create_review_comment("Why?", commit, "topic.txt", line=1)


def released(client: Github) -> None:
    """A release."""
    repo(client).create_git_release("v1", "One", "The first")


def hooked(client: Github) -> None:
    """A web hook."""
    repo(client).create_hook("web", HOOK, ["issues"])


def issue_and_branch(client: Github) -> None:
    """An issue, and a second branch."""
    issue(client)
    branch(client)


# Reading: with the guarded client


def repo(client: Github) -> Repository:
    """The repository that everything happens in."""
    return client.get_repo("octo/site")


def first(client: Github) -> Issue:
    """The issue that was prepared."""
    return repo(client).get_issue(1)


def request(client: Github) -> PullRequest:
    """The pull request that was prepared."""
    return repo(client).get_pull(1)


def raw(client: Github, verb: str, path: str, **body: Any) -> object:
    """Send one request through PyGithub. emulate's `url` of a ref has no route, so `GitRef` cannot be used."""
    return client.requester.requestJsonAndCheck(verb, REPO + path, input=body or None)


def rewrite(client: Github) -> object:
    """Write the readme anew."""
    site = repo(client)
    return site.update_file("README.md", "Rewrite", "other\n", site.get_readme().sha)


def delete_readme(client: Github) -> object:
    """Delete the readme."""
    site = repo(client)
    return site.delete_file("README.md", "Not needed", site.get_readme().sha)


def head_of(client: Github, name: str) -> str:
    """Where a branch points."""
    return repo(client).get_branch(name).commit.sha
