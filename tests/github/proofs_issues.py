"""Issues and what is said about them, labels, milestones, variables and gists, through PyGithub."""

from __future__ import annotations

from github import InputFileContent

from tests.github.clients import acting, raw
from tests.github.proof import (
    COMPENSATED,
    HISTORY,
    HR,
    ISSUE,
    Proof,
    comment,
    commit_comment,
    issue,
    milestone,
    sha_of,
)

ISSUES = [
    Proof(
        "github.issues.create",
        lambda gh: acting(gh).create_issue("Onboard", "Today", labels=["bug"], assignees=["colleague"]),
        COMPENSATED,
        (HISTORY, r"repos\.acme/hr\.issues\.2"),
    ),
    Proof(
        "github.issues.update",
        lambda gh: issue(gh).edit(
            title="Hi", body="New", labels=["urgent"], assignees=["agent"], milestone=milestone(gh)
        ),
    ),
    Proof(
        "github.issues.update",
        lambda gh: issue(gh).edit(state="closed", state_reason="not_planned"),
        residue=(HISTORY, rf"{ISSUE}\.state_reason"),
        name="closing",
    ),
    Proof(
        "github.issues.update",
        lambda gh: issue(gh).edit(state="open"),
        prepare=lambda gh: issue(gh).edit(state="closed", state_reason="not_planned"),
        name="reopening",
    ),
    Proof(
        "github.issues.update",
        lambda gh: issue(gh).edit(labels=["bug", "brand new"]),
        COMPENSATED,
        (HISTORY, r"repos\.acme/hr\.labels\.brand new"),
        name="with a label that it makes",
    ),
    Proof("github.issues.addLabels", lambda gh: issue(gh).add_to_labels("urgent", "Onboarding", "bug")),
    Proof("github.issues.removeLabel", lambda gh: issue(gh).remove_from_labels("bug")),
    Proof("github.issues.setLabels", lambda gh: issue(gh).set_labels("urgent", "onboarding")),
    Proof("github.issues.removeAllLabels", lambda gh: issue(gh).delete_labels()),
    Proof("github.issues.addAssignees", lambda gh: issue(gh).add_to_assignees("agent", "outsider"), COMPENSATED),
    Proof("github.issues.removeAssignees", lambda gh: issue(gh).remove_from_assignees("colleague"), COMPENSATED),
    Proof("github.issues.lock", lambda gh: issue(gh).lock("spam")),
    Proof(
        "github.issues.lock",
        lambda gh: issue(gh).lock("resolved"),
        prepare=lambda gh: issue(gh).lock("spam"),
        name="for another reason",
    ),
    Proof("github.issues.unlock", lambda gh: issue(gh).unlock(), prepare=lambda gh: issue(gh).lock("spam")),
]

TALK = [
    Proof("github.issues.createComment", lambda gh: issue(gh).create_comment("Yes"), COMPENSATED),
    Proof(
        "github.issues.updateComment",
        lambda gh: comment(gh).edit("Bye"),
    ),
    Proof(
        "github.issues.deleteComment",
        lambda gh: comment(gh).delete(),
        COMPENSATED,
        (HISTORY, r"repos\.acme/hr\.comments\.\d+"),
    ),
    Proof("github.reactions.createForIssue", lambda gh: issue(gh).create_reaction("heart")),
    Proof("github.reactions.createForIssueComment", lambda gh: comment(gh).create_reaction("+1")),
    Proof(
        "github.reactions.deleteForIssue",
        lambda gh: issue(gh).delete_reaction(issue(gh).get_reactions()[0].id),
        COMPENSATED,
        (HISTORY, rf"{ISSUE}\.reactions\.0\.id"),
        prepare=lambda gh: issue(gh).create_reaction("heart"),
    ),
    Proof(
        "github.reactions.deleteForIssueComment",
        lambda gh: comment(gh).delete_reaction(comment(gh).get_reactions()[0].id),
        COMPENSATED,
        (HISTORY, r"repos\.acme/hr\.comments\.630\.reactions\.0\.id"),
        prepare=lambda gh: comment(gh).create_reaction("heart"),
    ),
    Proof("github.issues.createLabel", lambda gh: acting(gh).create_label("Later", "C0FFEE", "One day")),
    Proof("github.issues.updateLabel", lambda gh: acting(gh).get_label("bug").edit("bug", "000000", "Dark")),
    Proof(
        "github.issues.updateLabel",
        lambda gh: acting(gh).get_label("bug").edit("defect", "000000", "Dark"),
        name="with a new name",
    ),
    Proof(
        "github.issues.deleteLabel",
        lambda gh: acting(gh).get_label("bug").delete(),
        COMPENSATED,
        (HISTORY, r"repos\.acme/hr\.labels\.bug\.id"),
    ),
    Proof("github.issues.createMilestone", lambda gh: acting(gh).create_milestone("Second", "open", "Later")),
    Proof(
        "github.issues.updateMilestone",
        lambda gh: milestone(gh).edit("Other", "closed", "None"),
    ),
    Proof(
        "github.issues.deleteMilestone",
        lambda gh: milestone(gh).delete(),
        COMPENSATED,
        (HISTORY, r"repos\.acme/hr\.milestones\.\d"),
    ),
]

NOTES = [
    Proof("github.actions.createRepoVariable", lambda gh: acting(gh).create_variable("SPEED", "slow")),
    Proof("github.actions.updateRepoVariable", lambda gh: acting(gh).get_variable("REGION").edit("south")),
    Proof(
        "github.actions.updateRepoVariable",
        lambda gh: raw(gh, "PATCH", f"{HR}/actions/variables/REGION", {"name": "AREA", "value": "south"}),
        name="with a new name",
    ),
    Proof(
        "github.actions.deleteRepoVariable",
        lambda gh: acting(gh).delete_variable("REGION"),
        residue=(HISTORY, r"repos\.acme/hr\.variables\.REGION\.created_at"),
    ),
    Proof(
        "github.repos.createCommitComment",
        lambda gh: acting(gh).get_commit(sha_of(gh, "main")).create_comment("Well done"),
        COMPENSATED,
    ),
    Proof(
        "github.repos.updateCommitComment",
        lambda gh: commit_comment(gh).edit("Better not"),
        prepare=lambda gh: acting(gh).get_commit(sha_of(gh, "main")).create_comment("Well done"),
    ),
    Proof(
        "github.repos.deleteCommitComment",
        lambda gh: commit_comment(gh).delete(),
        COMPENSATED,
        (HISTORY, r"repos\.acme/hr\.commit_comments\.\d+"),
        prepare=lambda gh: acting(gh).get_commit(sha_of(gh, "main")).create_comment("Well done"),
    ),
    Proof(
        "github.gists.create",
        lambda gh: gh.get_user().create_gist(False, {"a.txt": InputFileContent("text")}, "Words"),
        COMPENSATED,
        residue=(),
    ),
]
