"""A part of the same through githubkit, synchronous and asynchronous."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.github.proof import (
    COMPENSATED,
    HISTORY,
    MAIN,
    PULL,
    Proof,
)

AT = {"owner": "acme", "repo": "hr"}
KIT = [
    Proof("github.issues.create", lambda gh: gh.rest.issues.create(**AT, title="A"), COMPENSATED, (HISTORY, PULL)),
    Proof(
        "github.issues.update",
        lambda gh: gh.rest.issues.update(**AT, issue_number=1, title="Hi", labels=["urgent"], milestone=1),
    ),
    Proof("github.issues.addLabels", lambda gh: gh.rest.issues.add_labels(**AT, issue_number=1, labels=["urgent"])),
    Proof("github.issues.removeLabel", lambda gh: gh.rest.issues.remove_label(**AT, issue_number=1, name="bug")),
    Proof("github.issues.lock", lambda gh: gh.rest.issues.lock(**AT, issue_number=1, lock_reason="spam")),
    Proof(
        "github.issues.createComment",
        lambda gh: gh.rest.issues.create_comment(**AT, issue_number=1, body="Yes").parsed_data.id,
        COMPENSATED,
    ),
    Proof("github.issues.createLabel", lambda gh: gh.rest.issues.create_label(**AT, name="new").parsed_data.id),
    Proof("github.issues.createMilestone", lambda gh: gh.rest.issues.create_milestone(**AT, title="x").parsed_data.id),
    Proof(
        "github.reactions.createForIssue",
        lambda gh: gh.rest.reactions.create_for_issue(**AT, issue_number=1, content="heart").parsed_data.id,
    ),
    Proof(
        "github.repos.createOrUpdateFileContents",
        lambda gh: (
            gh.rest.repos.create_or_update_file_contents(
                **AT, path="a b/ü.md", message="m", content="eA=="
            ).parsed_data.commit.sha
        ),
        outcome=COMPENSATED,
        residue=(HISTORY, MAIN),
    ),
    Proof(
        "github.git.createRef",
        lambda gh: gh.rest.git.create_ref(
            **AT, ref="refs/heads/x/y", sha=gh.rest.git.get_ref(**AT, ref="heads/main").parsed_data.object_.sha
        ),
    ),
    Proof(
        "github.pulls.create",
        lambda gh: gh.rest.pulls.create(**AT, title="P", head="plan", base="main").parsed_data.number,
        COMPENSATED,
        (HISTORY, PULL),
    ),
    Proof(
        "github.repos.createRelease",
        lambda gh: gh.rest.repos.create_release(**AT, tag_name="v9").parsed_data.id,
        COMPENSATED,
    ),
    Proof("github.repos.update", lambda gh: gh.rest.repos.update(**AT, description="x").parsed_data.id),
    Proof("github.repos.replaceAllTopics", lambda gh: gh.rest.repos.replace_all_topics(**AT, names=["b", "a"])),
    Proof(
        "github.repos.createWebhook",
        lambda gh: gh.rest.repos.create_webhook(**AT, config={"url": "https://example.com"}).parsed_data.id,
        COMPENSATED,
    ),
    Proof("github.actions.disableWorkflow", lambda gh: gh.rest.actions.disable_workflow(**AT, workflow_id=640)),
    Proof(
        "github.repos.addCollaborator",
        lambda gh: gh.rest.repos.add_collaborator(**AT, username="outsider", permission="push").parsed_data.id,
        COMPENSATED,
    ),
    Proof(
        "github.repos.createInOrg",
        lambda gh: gh.rest.repos.create_in_org(org="acme", name="new").parsed_data.id,
        residue=(),
    ),
    Proof(
        "github.activity.starRepoForAuthenticatedUser",
        lambda gh: gh.rest.activity.star_repo_for_authenticated_user(**AT),
        residue=(),
    ),
]


def in_a_loop(call: Callable[[Any], Any]) -> Callable[[Any], object]:
    """Let an asynchronous call run to its end."""

    async def main(gh: Any) -> object:
        async with gh:
            return (await call(gh)).parsed_data

    return lambda gh: asyncio.run(main(gh))


ASYNC = [
    Proof(
        "github.issues.create",
        in_a_loop(lambda gh: gh.rest.issues.async_create(**AT, title="A")),
        COMPENSATED,
        (HISTORY, PULL),
    ),
    Proof(
        "github.issues.update",
        in_a_loop(lambda gh: gh.rest.issues.async_update(**AT, issue_number=1, title="Hi", labels=["urgent"])),
    ),
    Proof(
        "github.issues.createComment",
        in_a_loop(lambda gh: gh.rest.issues.async_create_comment(**AT, issue_number=1, body="Yes")),
        COMPENSATED,
    ),
    Proof(
        "github.repos.createOrUpdateFileContents",
        in_a_loop(
            lambda gh: gh.rest.repos.async_create_or_update_file_contents(
                **AT, path="x.md", message="m", content="eA=="
            )
        ),
        outcome=COMPENSATED,
        residue=(HISTORY, MAIN),
    ),
    Proof(
        "github.pulls.create",
        in_a_loop(lambda gh: gh.rest.pulls.async_create(**AT, title="P", head="plan", base="main")),
        COMPENSATED,
        (HISTORY, PULL),
    ),
    Proof("github.issues.setLabels", in_a_loop(lambda gh: gh.rest.issues.async_set_labels(**AT, issue_number=1))),
]
