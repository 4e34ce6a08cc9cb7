"""What is done to emulate's GitHub, and what may differ after it was taken back."""

from __future__ import annotations

from typing import Any

from agentguard import Outcome
from tests.peers.comparing import Case
from tests.peers.github_given import (
    HOOK,
    branch,
    closed,
    delete_readme,
    first,
    head_of,
    hooked,
    issue,
    locked,
    odd_issue,
    oddly_labelled,
    pull,
    raw,
    released,
    repo,
    request,
    reviewed,
    rewrite,
    two_bases,
)

EMPTY = {"milestone": None, "assignees": [], "labels": []}  # PyGithub writes "" for no milestone; emulate refuses it
OTHER_HOOK = {"url": "http://127.0.0.1:9/other", "content_type": "json"}

COMMITS = (r"refs\.refs/heads/main\.object\.sha", r"files\.refs/heads/main\.sha")

ISSUES = [
    Case(
        "github.issues.create",
        lambda c, _: repo(c).create_issue("New", "Something", labels=["fresh"]),
        outcome=Outcome.COMPENSATED,
        residue=(r"issues\.1", r"comments\.1", r"labels\.fresh"),
    ),
    Case("github.issues.update", lambda c, _: first(c).edit(title="Other", body="Text"), issue, note="title and body"),
    Case(
        "github.issues.update",
        lambda c, _: first(c).edit(state="closed"),
        issue,
        note="closed",
        residue=(r"issues\.1\.state_reason",),
    ),
    Case(
        "github.issues.update",
        lambda c, _: first(c).edit(state="open"),
        closed,
        note="reopened",
        residue=(r"issues\.1\.closed_at",),
    ),
    Case(
        "github.issues.update",
        lambda c, _: first(c).edit(labels=["later"], assignees=["hubot"], milestone=repo(c).get_milestone(2)),
        issue,
        note="labels, assignees and milestone",
    ),
    Case("github.issues.update", lambda c, _: raw(c, "PATCH", "/issues/1", **EMPTY), issue, note="emptied"),
    Case(
        "github.issues.createComment",
        lambda c, _: first(c).create_comment("Me too"),
        issue,
        outcome=Outcome.COMPENSATED,
    ),
    Case("github.issues.updateComment", lambda c, _: first(c).get_comment(1).edit("Second!"), issue),
    Case(
        "github.issues.deleteComment",
        lambda c, _: first(c).get_comment(1).delete(),
        issue,
        outcome=Outcome.COMPENSATED,
        residue=(r"comments\.1\.[12]",),
    ),
    Case("github.issues.addLabels", lambda c, _: first(c).add_to_labels("later"), issue),
    Case("github.issues.addLabels", lambda c, _: first(c).add_to_labels("bug", "later"), issue, note="one was there"),
    Case(
        "github.issues.addLabels",
        lambda c, _: first(c).add_to_labels("area/api", "good first ✨"),
        oddly_labelled,
        note="with a slash, spaces and a star in the name",
    ),
    Case(
        "github.issues.addLabels",
        lambda c, _: first(c).add_to_labels("fresh"),
        issue,
        outcome=Outcome.COMPENSATED,
        residue=(r"labels\.fresh",),
        note="one that the repository lacks",
    ),
    Case(
        "github.issues.removeLabel",
        lambda c, _: first(c).remove_from_labels("good first ✨"),
        odd_issue,
        note="odd name",
    ),
    Case(
        "github.issues.updateLabel",
        lambda c, _: repo(c).get_label("area/api").edit("area / API", "123456"),
        odd_issue,
        note="odd names",
    ),
    Case(
        "github.issues.update",
        lambda c, _: first(c).edit(state="closed", state_reason="not_planned"),
        closed,
        note="closed for another reason",
    ),
    Case("github.issues.setLabels", lambda c, _: first(c).set_labels("later"), issue),
    Case("github.issues.removeLabel", lambda c, _: first(c).remove_from_labels("bug"), issue),
    Case("github.issues.removeAllLabels", lambda c, _: first(c).delete_labels(), issue),
    Case(
        "github.issues.addAssignees",
        lambda c, _: first(c).add_to_assignees("hubot"),
        issue,
        outcome=Outcome.COMPENSATED,
    ),
    Case(
        "github.issues.removeAssignees",
        lambda c, _: first(c).remove_from_assignees("octo"),
        issue,
        outcome=Outcome.COMPENSATED,
    ),
    Case("github.issues.lock", lambda c, _: first(c).lock("off-topic"), issue),
    Case("github.issues.unlock", lambda c, _: first(c).unlock(), locked),
    Case("github.issues.createLabel", lambda c, _: repo(c).create_label("new", "00ff00", "Fresh"), issue),
    Case(
        "github.issues.updateLabel", lambda c, _: repo(c).get_label("bug").edit("defect", "00ff00", "A defect"), issue
    ),
    Case(
        "github.issues.deleteLabel",
        lambda c, _: repo(c).get_label("bug").delete(),
        issue,
        outcome=Outcome.COMPENSATED,
        residue=(r"labels\.bug\.id", r"issues\.1\.labels\.0\.id"),
    ),
    Case("github.issues.createMilestone", lambda c, _: repo(c).create_milestone("3.0", description="Next"), issue),
    Case("github.issues.updateMilestone", lambda c, _: repo(c).get_milestone(1).edit("1.1", "closed", "Late"), issue),
    Case(
        "github.issues.deleteMilestone",
        lambda c, _: repo(c).get_milestone(1).delete(),
        issue,
        outcome=Outcome.COMPENSATED,
        residue=(r"milestones\.[13]", r"issues\.1\.milestone.*"),
    ),
]

CODE = [
    Case(
        "github.repos.createOrUpdateFileContents",
        lambda c, _: repo(c).create_file("docs/new.md", "Add", "text\n"),
        outcome=Outcome.COMPENSATED,
        residue=COMMITS[:1],
        note="a new file",
    ),
    Case(
        "github.repos.createOrUpdateFileContents",
        lambda c, _: rewrite(c),
        outcome=Outcome.COMPENSATED,
        residue=COMMITS[:1],
        note="an old file",
    ),
    Case("github.repos.deleteFile", lambda c, _: delete_readme(c), outcome=Outcome.COMPENSATED, residue=COMMITS[:1]),
    Case(
        "github.repos.createOrUpdateFileContents",
        lambda c, _: repo(c).create_file("docs/über uns/#1.md", "Add", "text\n", branch="topic"),
        branch,
        outcome=Outcome.COMPENSATED,
        residue=(r"refs\.refs/heads/topic\.object\.sha",),
        note="an odd name, on a branch",
    ),
    Case(
        "github.repos.createOrUpdateFileContents",
        lambda c, _: repo(c).create_file("image.bin", "Add", bytes(range(256)) * 4),
        outcome=Outcome.COMPENSATED,
        residue=COMMITS[:1],
        note="bytes",
    ),
    Case(
        "github.git.createRef",
        lambda c, _: repo(c).create_git_ref("refs/heads/feature/x-1", head_of(c, "main")),
        note="with a slash",
    ),
    Case(
        "github.git.createRef",
        lambda c, _: repo(c).create_git_ref("refs/tags/v1.0", head_of(c, "main")),
        note="a tag",
    ),
    Case(
        "github.git.deleteRef",
        lambda c, _: raw(c, "DELETE", "/git/refs/heads/topic"),
        pull,
        note="of an open pull request",
    ),
    Case("github.git.createRef", lambda c, _: repo(c).create_git_ref("refs/heads/new", head_of(c, "main"))),
    Case(
        "github.git.updateRef",
        lambda c, _: raw(c, "PATCH", "/git/refs/heads/topic", sha=head_of(c, "main"), force=True),
        branch,
        Outcome.COMPENSATED,
    ),
    Case("github.git.deleteRef", lambda c, _: raw(c, "DELETE", "/git/refs/heads/topic"), branch),
    Case(
        "github.repos.createRelease",
        lambda c, _: repo(c).create_git_release("v1", "One", "The first"),
        outcome=Outcome.COMPENSATED,
    ),
    Case(
        "github.repos.updateRelease",
        lambda c, _: repo(c).get_release(1).update_release("Uno", "Otherwise", prerelease=True),
        released,
    ),
    Case(
        "github.repos.deleteRelease",
        lambda c, _: repo(c).get_release(1).delete_release(),
        released,
        outcome=Outcome.COMPENSATED,
        residue=(r"releases\.[12]", r"assets\.[12]"),
    ),
]

PULLS = [
    Case(
        "github.pulls.create",
        lambda c, _: repo(c).create_pull(base="main", head="topic", title="New", body="Text"),
        branch,
        outcome=Outcome.COMPENSATED,
        residue=(r"pulls\.1", r"(reviews|review_comments)\.1"),
    ),
    Case("github.pulls.update", lambda c, _: request(c).edit(title="Other", body="Text"), pull, note="title and body"),
    Case("github.pulls.update", lambda c, _: request(c).edit(state="closed"), pull, note="closed"),
    Case("github.pulls.update", lambda c, _: request(c).edit(base="old"), two_bases, note="onto another branch"),
    Case(
        "github.pulls.merge",
        lambda c, _: request(c).merge(),
        pull,
        outcome=Outcome.IRREVERSIBLE,
        residue=(r"pulls\.1\..*", *COMMITS, r"files\.refs/heads/main\.tree", r"repository\..*"),
    ),
    Case(
        "github.pulls.createReview",
        lambda c, _: request(c).create_review(body="Fine", event="APPROVE"),
        pull,
        outcome=Outcome.IRREVERSIBLE,
        residue=(r"reviews\.1\.1",),
    ),
    Case(
        "github.pulls.createReviewComment",
        lambda c, _: request(c).create_review_comment(
            "Why?", repo(c).get_commit(head_of(c, "topic")), "topic.txt", line=1
        ),
        pull,
        outcome=Outcome.COMPENSATED,
    ),
    Case("github.pulls.updateReviewComment", lambda c, _: request(c).get_review_comment(1).edit("How?"), reviewed),
    Case(
        "github.pulls.deleteReviewComment",
        lambda c, _: request(c).get_review_comment(1).delete(),
        reviewed,
        outcome=Outcome.COMPENSATED,
        residue=(r"review_comments\.1\.[12]",),
    ),
]

SETTINGS = [
    Case(
        "github.repos.createWebhook",
        lambda c, _: repo(c).create_hook("web", HOOK, ["push"]),
        outcome=Outcome.COMPENSATED,
    ),
    Case(
        "github.repos.updateWebhook",
        lambda c, _: repo(c).get_hook(1).edit("web", OTHER_HOOK, events=["push"]),
        hooked,
        outcome=Outcome.COMPENSATED,
    ),
    Case(
        "github.repos.deleteWebhook",
        lambda c, _: repo(c).get_hook(1).delete(),
        hooked,
        outcome=Outcome.COMPENSATED,
        residue=(r"hooks\.[12]",),
    ),
    Case("github.repos.replaceAllTopics", lambda c, _: repo(c).replace_topics(["new", "newer"])),
    Case("github.repos.update", lambda c, _: repo(c).edit(description="After", has_wiki=False)),
    Case(
        "github.repos.update",
        lambda c, _: repo(c).edit(homepage="https://example.com"),
        note="a field that was empty",
        residue=(r"repository\.homepage",),
    ),
    Case("github.repos.createForAuthenticatedUser", lambda c, _: c.get_user().create_repo("other")),
    Case("github.repos.createInOrg", lambda c, _: c.get_organization("acme").create_repo("other")),
    Case("github.repos.delete", lambda c, _: repo(c).delete(), outcome=Outcome.IRREVERSIBLE, residue=(r".*",)),
]

# The same operations as githubkit asks for them: operation, namespace, method, arguments after owner and repo
KIT: list[tuple[str, str, str, tuple[Any, ...], dict[str, Any]]] = [
    ("github.issues.update", "issues", "update", (1,), {"title": "Other", "labels": ["later"], "milestone": None}),
    ("github.issues.updateComment", "issues", "update_comment", (1,), {"body": "Second!"}),
    ("github.issues.addLabels", "issues", "add_labels", (1,), {"labels": ["later"]}),
    ("github.issues.removeLabel", "issues", "remove_label", (1, "bug"), {}),
    ("github.issues.lock", "issues", "lock", (1,), {"lock_reason": "spam"}),
    ("github.issues.createLabel", "issues", "create_label", (), {"name": "new", "color": "00ff00"}),
    ("github.issues.createMilestone", "issues", "create_milestone", (), {"title": "3.0"}),
    ("github.repos.replaceAllTopics", "repos", "replace_all_topics", (), {"names": ["new"]}),
    ("github.repos.update", "repos", "update", (), {"description": "After"}),
    ("github.git.deleteRef", "git", "delete_ref", ("heads/topic",), {}),
]
