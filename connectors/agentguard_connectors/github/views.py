"""What is compared: pure functions from GitHub's answers to the fields that calls write, in the shape they are written.

Texts that are empty and texts that were never set are the same to GitHub; they are the same here.
"""

from __future__ import annotations

from typing import Any

from agentguard.calls import Json
from agentguard_connectors.github.service import github


@github.view
def issue(answer: Json) -> Json:
    """An issue. Names are there as GitHub spells them, and in lower case for comparing: it takes them in any case."""
    labels = [label if isinstance(label, str) else label["name"] for label in answer.get("labels", [])]
    assignees = [user["login"] for user in answer.get("assignees") or []]
    shown = {
        "title": answer["title"],
        "body": answer.get("body") or "",
        "state": answer["state"],
        "milestone": (answer.get("milestone") or {}).get("number"),
        "type": (answer.get("type") or {}).get("name"),
        "labels": sorted(labels),
        "assignees": sorted(assignees),
        "label_names": sorted(name.lower() for name in labels),
        "label_set": {name.lower(): True for name in labels},
        "assignee_names": sorted(login.lower() for login in assignees),
        "assignee_set": {login.lower(): True for login in assignees},
        "locked": answer.get("locked", False),
        "active_lock_reason": answer.get("active_lock_reason"),
    }
    # An open issue's reason says only whether it was ever closed, and cannot be written.
    return {**shown, "state_reason": answer.get("state_reason")} if answer["state"] == "closed" else shown


@github.view
def issues_of(answer: Json) -> Json:
    """The numbers of the issues in a list."""
    return [one["number"] for one in answer]


@github.view
def comment(answer: Json) -> Json:
    """What a comment, or the body of a review, says."""
    return {"body": answer["body"] or ""}


@github.view
def whole_comment(answer: Json) -> Json:
    """What is needed to say it again."""
    names = (
        *("path", "line", "side", "start_line", "start_side", "commit_id", "in_reply_to_id"),
        *("original_line", "original_start_line", "original_commit_id"),
    )
    parent = answer.get("issue_url") or answer.get("pull_request_url") or "/0"
    return {"body": answer["body"], "on": int(parent.rsplit("/", 1)[1]), **{n: answer.get(n) for n in names}}


@github.view
def label(answer: Json) -> Json:
    """A label of a repository."""
    return {"name": answer["name"], "color": answer["color"].lower(), "description": answer.get("description") or ""}


@github.view
def milestone(answer: Json) -> Json:
    """A milestone."""
    names = ("title", "state", "due_on")
    return {**{name: answer.get(name) for name in names}, "description": answer.get("description") or ""}


@github.view
def new_milestone(answer: Json) -> Json:
    """What shows that nobody has begun to use a new milestone."""
    return {**milestone(answer), "open_issues": answer["open_issues"]}


@github.view
def reactions(answer: Json) -> Json:
    """A list of reactions: what, by their ids, and who, and whether these are all."""
    return {
        "complete": len(answer) < 100,
        "ids": {str(one["id"]): one["content"] for one in answer},
        "people": {one["user"]["login"]: True for one in answer if one.get("user")},
        "by": {str(one["id"]): one["user"]["login"] for one in answer if one.get("user")},
    }


@github.view
def file(answer: Json) -> Json:
    """A file's blob and content; a folder has neither. Also for a blob by itself."""
    if isinstance(answer, list):
        return {"sha": None, "content": None, "type": "dir"}
    content = answer["content"].replace("\n", "") if answer.get("encoding") == "base64" else None
    return {"sha": answer["sha"], "content": content, "type": answer.get("type", "file")}


@github.view
def tree(answer: Json) -> Json:
    """What is in a folder."""
    return {entry["path"]: {"mode": entry["mode"], "sha": entry["sha"]} for entry in answer["tree"]}


@github.view
def ref(answer: Json) -> Json:
    """What a reference points at."""
    return {"sha": answer["object"]["sha"]}


@github.view
def commit(answer: Json) -> Json:
    """A commit's name."""
    return {"sha": answer["sha"]}


@github.view
def pull(answer: Json) -> Json:
    """A pull request."""
    return {
        "title": answer["title"],
        "body": answer.get("body") or "",
        "state": answer["state"],
        "base": answer["base"]["ref"],
        "maintainer_can_modify": answer.get("maintainer_can_modify", False),
    }


@github.view
def reviewers(answer: Json) -> Json:
    """Who was asked to review."""
    return {
        "reviewers": {user["login"].lower(): True for user in answer["users"]},
        "team_reviewers": {team["slug"].lower(): True for team in answer["teams"]},
    }


@github.view
def release(answer: Json) -> Json:
    """A release."""
    names = ("tag_name", "target_commitish", "draft", "prerelease")
    texts = {name: answer.get(name) or "" for name in ("name", "body")}
    return {**{name: answer[name] for name in names}, **texts, "files": len(answer.get("assets", []))}


@github.view
def asset(answer: Json) -> Json:
    """A file of a release."""
    return {"name": answer["name"], "label": answer.get("label") or "", "state": answer["state"]}


@github.view
def topics(answer: Json) -> Json:
    """A repository's topics, in order."""
    return {"names": sorted(answer["names"])}


@github.view
def repository(answer: Json) -> Json:
    """A repository's settings."""
    texts = {name: answer.get(name) or "" for name in ("description", "homepage")}
    return {**{name: answer.get(name) for name in SETTINGS}, **texts}


SETTINGS = (
    *("name", "private", "visibility", "default_branch", "archived", "is_template", "allow_forking"),
    *("has_issues", "has_projects", "has_wiki", "has_discussions", "has_downloads", "has_pull_requests"),
    *("allow_squash_merge", "allow_merge_commit", "allow_rebase_merge", "allow_auto_merge", "allow_update_branch"),
    *("delete_branch_on_merge", "use_squash_pr_title_as_default", "web_commit_signoff_required"),
    *("squash_merge_commit_title", "squash_merge_commit_message", "merge_commit_title", "merge_commit_message"),
    *("pull_request_creation_policy",),
)


@github.view
def new_repository(answer: Json) -> Json:
    """What shows that nobody has begun to use a new repository."""
    return {name: answer[name] for name in ("id", "full_name", "forks_count", "open_issues_count")}


@github.view
def present(_answer: Json) -> Json:
    """Something that is only there or not there."""
    return {"there": True}


@github.view
def role(answer: Json) -> Json:
    """What somebody may do in a repository."""
    return {"role": answer.get("role_name") or answer.get("permission")}


@github.view
def invitations(answer: Json) -> Json:
    """Open invitations by their ids."""
    return {str(one["id"]): invited(one) for one in answer}


def invited(one: Any) -> dict[str, Json]:
    """Whom an invitation is for, and as what."""
    login = (one.get("invitee") or {}).get("login") or one.get("login") or one.get("email")
    return {"login": login, "role": one.get("permissions") or one.get("role")}


@github.view
def membership(answer: Json) -> Json:
    """Whether somebody belongs to an organisation, or is only invited."""
    return {"state": answer["state"], "role": answer["role"]}


@github.view
def hook(answer: Json) -> Json:
    """A webhook without its secret, which GitHub never shows."""
    config = {name: value for name, value in answer["config"].items() if name != "secret"}
    return {"config": config, "events": sorted(answer["events"]), "active": answer["active"]}


@github.view
def hook_secret(answer: Json) -> Json:
    """A webhook, and whether it has a secret."""
    return {**hook(answer), "has_secret": bool(answer["config"].get("secret"))}


@github.view
def subscription(answer: Json) -> Json:
    """Whether a repository is watched."""
    return {"subscribed": answer["subscribed"], "ignored": answer["ignored"]}


@github.view
def workflow(answer: Json) -> Json:
    """Whether a workflow runs."""
    return {"state": answer["state"]}


@github.view
def variable(answer: Json) -> Json:
    """A variable of a repository's workflows."""
    return {"name": answer["name"], "value": answer["value"]}


@github.view
def commit_comment(answer: Json) -> Json:
    """What is needed to comment on a commit again."""
    place = {name: answer[name] for name in ("path", "position") if answer.get(name) is not None}
    return {"commit_sha": answer["commit_id"], "body": answer["body"], **place}


@github.view
def gist(answer: Json) -> Json:
    """A gist: its text by file, its description, and how many comments others have made."""
    files = {name: file["content"] for name, file in answer["files"].items()}
    return {"files": files, "description": answer["description"] or "", "comments": answer["comments"]}


@github.view
def logins(answer: Json) -> Json:
    """Who is in a list of people."""
    return {one["login"].lower(): True for one in answer}


@github.view
def login(answer: Json) -> Json:
    """Somebody's login."""
    return answer["login"]
