"""Files, branches, pull requests, releases, repositories and the people in them, through PyGithub."""

from __future__ import annotations

from tests.github.clients import acting, raw
from tests.github.proof import (
    COMPENSATED,
    HISTORY,
    HR,
    MAIN,
    PULL,
    Proof,
    draft,
    hook,
    open_pull,
    pull,
    release,
    review_comment,
    sha_of,
)

CODE = [
    Proof(
        "github.repos.createOrUpdateFileContents",
        lambda gh: acting(gh).create_file("notes/today.md", "Note", "Buy milk"),
        outcome=COMPENSATED,
        residue=(HISTORY, MAIN),
        name="new",
    ),
    Proof(
        "github.repos.createOrUpdateFileContents",
        lambda gh: acting(gh).update_file(
            "README.md", "Say more", "# People", acting(gh).get_contents("README.md").sha
        ),
        outcome=COMPENSATED,
        residue=(HISTORY, MAIN),
        name="changed",
    ),
    Proof(
        "github.repos.createOrUpdateFileContents",
        lambda gh: acting(gh).create_file("x.md", "Note", "Buy milk", branch="plan"),
        outcome=COMPENSATED,
        residue=(HISTORY, r"repos\.acme/hr\.refs\.refs/heads/plan"),
        name="on a branch",
    ),
    Proof(
        "github.repos.createOrUpdateFileContents",
        lambda gh: acting(gh).update_file("run.sh", "m", "#!/bin/bash", acting(gh).get_contents("run.sh").sha),
        COMPENSATED,
        (HISTORY, MAIN),
        prepare=lambda gh: acting(gh).create_file("run.sh", "Make it run", "#!/bin/sh"),
        name="that is executable",
    ),
    Proof(
        "github.repos.deleteFile",
        lambda gh: acting(gh).delete_file("docs/guide.md", "Away", acting(gh).get_contents("docs/guide.md").sha),
        outcome=COMPENSATED,
        residue=(HISTORY, MAIN),
    ),
    Proof(
        "github.repos.deleteFile",
        lambda gh: acting(gh).delete_file("run.sh", "Away", acting(gh).get_contents("run.sh").sha),
        COMPENSATED,
        (HISTORY, MAIN),
        prepare=lambda gh: acting(gh).create_file("run.sh", "Make it run", "#!/bin/sh"),
        name="that is executable",
    ),
    Proof("github.git.createRef", lambda gh: acting(gh).create_git_ref("refs/heads/a/b", sha_of(gh, "main"))),
    Proof(
        "github.git.updateRef", lambda gh: acting(gh).get_git_ref("heads/main").edit(sha_of(gh, "plan")), COMPENSATED
    ),
    Proof(
        "github.git.deleteRef",
        lambda gh: acting(gh).get_git_ref("heads/plan").delete(),
        prepare=open_pull,
    ),
    Proof(
        "github.git.deleteRef",
        lambda gh: acting(gh).get_git_ref("tags/v0").delete(),
        COMPENSATED,
        prepare=release,
        name="of a release",
    ),
]

PULLS = [
    Proof("github.pulls.create", open_pull, COMPENSATED, (HISTORY, PULL)),
    Proof("github.pulls.update", lambda gh: pull(gh).edit("Other", "Text", base="main"), prepare=open_pull),
    Proof("github.pulls.update", lambda gh: pull(gh).edit(state="closed"), prepare=open_pull, name="closing"),
    Proof(
        "github.pulls.update",
        lambda gh: pull(gh).edit(state="open"),
        prepare=lambda gh: open_pull(gh).edit(state="closed"),
        name="reopening",
    ),
    Proof(
        "github.pulls.requestReviewers",
        lambda gh: pull(gh).create_review_request(["colleague"]),
        COMPENSATED,
        prepare=open_pull,
    ),
    Proof(
        "github.pulls.removeRequestedReviewers",
        lambda gh: pull(gh).delete_review_request(["colleague"]),
        COMPENSATED,
        prepare=lambda gh: open_pull(gh).create_review_request(["colleague"]),
    ),
    Proof(
        "github.pulls.createReviewComment",
        lambda gh: pull(gh).create_review_comment("Hm", acting(gh).get_commit(sha_of(gh, "plan")), "plan.md", line=1),
        COMPENSATED,
        prepare=open_pull,
    ),
    Proof(
        "github.pulls.createReplyForReviewComment",
        lambda gh: pull(gh).create_review_comment_reply(pull(gh).get_review_comments()[0].id, "Because"),
        COMPENSATED,
        prepare=review_comment,
    ),
    Proof(
        "github.pulls.updateReviewComment",
        lambda gh: pull(gh).get_review_comments()[0].edit("What for?"),
        prepare=review_comment,
    ),
    Proof(
        "github.pulls.deleteReviewComment",
        lambda gh: pull(gh).get_review_comments()[0].delete(),
        COMPENSATED,
        (HISTORY, r"repos\.acme/hr\.review_comments\.\d+"),
        prepare=review_comment,
    ),
]

RELEASES = [
    Proof("github.repos.createRelease", lambda gh: acting(gh).create_git_release("v1", "One", "First"), COMPENSATED),
    Proof(
        "github.repos.createRelease",
        lambda gh: acting(gh).create_git_release("v1", "One", "First", draft=True),
        name="as a draft",
    ),
    Proof(
        "github.repos.updateRelease",
        lambda gh: acting(gh).get_release("v0").update_release("Naught", "Other words", prerelease=True),
        prepare=release,
    ),
    Proof(
        "github.repos.updateRelease",
        lambda gh: raw(gh, "PATCH", f"{HR}/releases/{draft(gh).id}", {"body": "Other words"}),
        prepare=lambda gh: acting(gh).create_git_release("v1", "One", "First", draft=True),
        name="that is a draft",
    ),
    Proof(
        "github.repos.updateRelease",
        lambda gh: raw(gh, "PATCH", f"{HR}/releases/{acting(gh).get_release('v0').id}", {"draft": True}),
        COMPENSATED,
        prepare=lambda gh: (release(gh), acting(gh).create_git_release("v1", "One", "First")),
        name="that is not the latest",
    ),
    Proof(
        "github.repos.uploadReleaseAsset",
        lambda gh: acting(gh).get_release("v0").upload_asset(__file__, "Source", "text/x-python"),
        COMPENSATED,
        prepare=release,
    ),
    Proof(
        "github.repos.updateReleaseAsset",
        lambda gh: acting(gh).get_release("v0").assets[0].update_asset("b.py", "Other"),
        prepare=lambda gh: release(gh).upload_asset(__file__, "Source", "text/x-python"),
    ),
    Proof(
        "github.repos.deleteRelease",
        lambda gh: acting(gh).get_release("v0").delete_release(),
        COMPENSATED,
        (HISTORY, r"repos\.acme/hr\.releases\.\d+"),
        prepare=release,
    ),
    Proof(
        "github.repos.deleteRelease",
        lambda gh: acting(gh).get_release("v0").delete_release(),
        COMPENSATED,
        (HISTORY, r"repos\.acme/hr\.releases\.100[35]"),
        prepare=lambda gh: (release(gh), acting(gh).create_git_release("v1", "One", "First")),
        name="that is not the latest",
    ),
]

WEBHOOK = r"repos\.acme/hr\.hooks\.\d+"
REPOS = [
    Proof(
        "github.repos.createForAuthenticatedUser",
        lambda gh: gh.get_user().create_repo("sandbox", private=True, auto_init=True),
        residue=(),
    ),
    Proof("github.repos.createInOrg", lambda gh: gh.get_organization("acme").create_repo("archive"), residue=()),
    Proof(
        "github.repos.update",
        lambda gh: acting(gh).edit(
            description="Other", has_wiki=False, allow_squash_merge=False, default_branch="plan"
        ),
    ),
    Proof("github.repos.update", lambda gh: acting(gh).edit(name="people"), COMPENSATED, name="with a new name"),
    Proof("github.repos.replaceAllTopics", lambda gh: acting(gh).replace_topics(["papers", "a-z"])),
    Proof("github.repos.createWebhook", hook, COMPENSATED),
    Proof(
        "github.repos.updateWebhook",
        lambda gh: acting(gh).get_hooks()[0].edit("web", {"url": "https://example.com/x"}, ["issues"], active=False),
        COMPENSATED,
        prepare=hook,
    ),
    Proof(
        "github.repos.deleteWebhook",
        lambda gh: acting(gh).get_hooks()[0].delete(),
        COMPENSATED,
        (HISTORY, WEBHOOK),
        prepare=hook,
    ),
    Proof("github.actions.disableWorkflow", lambda gh: acting(gh).get_workflow("tests.yml").disable()),
    Proof(
        "github.actions.enableWorkflow",
        lambda gh: acting(gh).get_workflow("tests.yml").enable(),
        prepare=lambda gh: acting(gh).get_workflow("tests.yml").disable(),
    ),
]

PEOPLE = [
    Proof("github.repos.addCollaborator", lambda gh: acting(gh).add_to_collaborators("outsider", "pull"), COMPENSATED),
    Proof(
        "github.repos.addCollaborator",
        lambda gh: acting(gh).add_to_collaborators("colleague", "admin"),
        name="with another role",
    ),
    Proof(
        "github.repos.removeCollaborator",
        lambda gh: acting(gh).remove_from_collaborators("colleague"),
        COMPENSATED,
        (HISTORY, r"repos\.acme/hr\.collaborators\.colleague", r"repos\.acme/hr\.invitations\.\d+"),
    ),
    Proof(
        "github.repos.updateInvitation",
        lambda gh: raw(
            gh, "PATCH", f"{HR}/invitations/{acting(gh).get_pending_invitations()[0].id}", {"permissions": "admin"}
        ),
        prepare=lambda gh: acting(gh).add_to_collaborators("outsider", "pull"),
    ),
    Proof(
        "github.repos.deleteInvitation",
        lambda gh: acting(gh).remove_invitation(acting(gh).get_pending_invitations()[0].id),
        COMPENSATED,
        (HISTORY, r"repos\.acme/hr\.invitations\.\d+"),
        prepare=lambda gh: acting(gh).add_to_collaborators("outsider", "pull"),
    ),
    Proof(
        "github.orgs.createInvitation",
        lambda gh: gh.get_organization("acme").invite_user(user=gh.get_user("outsider")),
        COMPENSATED,
        residue=(),
    ),
    Proof(
        "github.orgs.createInvitation",
        lambda gh: gh.get_organization("acme").invite_user(email="new@example.com"),
        COMPENSATED,
        residue=(),
        name="by mail",
    ),
    Proof(
        "github.activity.starRepoForAuthenticatedUser",
        lambda gh: gh.get_user().add_to_starred(acting(gh)),
        residue=(),
    ),
    Proof(
        "github.activity.unstarRepoForAuthenticatedUser",
        lambda gh: gh.get_user().remove_from_starred(acting(gh)),
        residue=(),
        prepare=lambda gh: gh.get_user().add_to_starred(acting(gh)),
    ),
    Proof(
        "github.activity.setRepoSubscription",
        lambda gh: raw(gh, "PUT", f"{HR}/subscription", {"subscribed": True}),
        residue=(),
    ),
    Proof(
        "github.activity.deleteRepoSubscription",
        lambda gh: raw(gh, "DELETE", f"{HR}/subscription"),
        residue=(),
        prepare=lambda gh: raw(gh, "PUT", f"{HR}/subscription", {"ignored": True}),
    ),
]
