"""What a proof of an undo says, and the things in the stand-in that proofs work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agentguard import Outcome
from tests.boxes import Box
from tests.github.clients import acting, pygithub, raw

HR = "/repos/acme/hr"
HISTORY = r"repos\.acme/hr\.events"
ISSUE = r"repos\.acme/hr\.issues\.1"
MAIN = r"repos\.acme/hr\.refs\.refs/heads/main"
PULL = r"repos\.acme/hr\.issues\.2"
RESTORED, COMPENSATED = Outcome.RESTORED, Outcome.COMPENSATED


@dataclass
class Proof:
    """What is done, and what may remain after it was undone."""

    operation: str
    do: Callable[[Any], object]
    outcome: Outcome = RESTORED
    residue: tuple[str, ...] = (HISTORY,)
    prepare: Callable[[Any], object] | None = None
    name: str = ""
    client: Callable[[Box], Any] = field(default=pygithub)

    def __str__(self) -> str:
        return f"{self.operation} {self.name}".strip()


def issue(gh: Any) -> Any:
    return acting(gh).get_issue(1)


def comment(gh: Any) -> Any:
    return issue(gh).get_comment(630)


def milestone(gh: Any) -> Any:
    return acting(gh).get_milestone(1)


def sha_of(gh: Any, branch: str) -> str:
    return str(acting(gh).get_git_ref(f"heads/{branch}").object.sha)


def open_pull(gh: Any) -> Any:
    return acting(gh).create_pull(base="main", head="plan", title="Plan", body="A plan")


def pull(gh: Any) -> Any:
    return acting(gh).get_pull(2)


def review_comment(gh: Any) -> Any:
    opened = open_pull(gh)
    return opened.create_review_comment("Why?", acting(gh).get_commit(sha_of(gh, "plan")), "plan.md", line=1)


def commit_comment(gh: Any) -> Any:
    at = raw(gh, "GET", f"{HR}/commits/{sha_of(gh, 'main')}/comments")[0]["id"]
    return acting(gh).get_comment(at)


def release(gh: Any) -> Any:
    return acting(gh).create_git_release("v0", "Zero", "The first")


def draft(gh: Any) -> Any:
    return next(one for one in acting(gh).get_releases() if one.draft)


def hook(gh: Any, **config: str) -> Any:
    return acting(gh).create_hook("web", {"url": "https://example.com/in", **config}, ["push"], True)
