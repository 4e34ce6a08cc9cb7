"""Who may do what, and what one follows: https://docs.github.com/rest/collaborators and .../rest/activity.

Access is given by invitation. One that was accepted in the meantime can no longer be withdrawn, and shows as absent:
the undo therefore looks at the person's access as well.
"""

from __future__ import annotations

from agentguard.calls import ABSENT, Effect, Finder, Handler, Json, Read, Risk, forward, no_undo, read, unchanged, undo
from agentguard_connectors.github.service import github

ROLES = {"pull": "read", "push": "write", "read": "read", "write": "write"}
INVITED = "the person was sent an invitation"
INDIRECT = (
    "the person had access through a team or the organisation, or was not among the first hundred collaborators; the "
    "access of their own that they have now stays"
)


def collaborator_at(owner: str, repo: str, username: str) -> Read:
    """Whether somebody is a collaborator."""
    return read("repos.checkCollaborator", owner=owner, repo=repo, username=username).through("present")


@github.guards("repos.addCollaborator", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=INVITED)
def add_collaborator(owner: str, repo: str, username: str, permission: str | None) -> Handler:
    """Give somebody access; the invitation is withdrawn, accepted access removed, a role changed back."""
    where = {"owner": owner, "repo": repo}
    if (yield collaborator_at(owner, repo, username).or_none()) is not None:
        look = read("repos.getCollaboratorPermissionLevel", **where, username=username).through("role")
        before = yield look
        new = permission or "push"
        left, back = {"role": ROLES.get(new, new)}, {"role": before["role"]}
        listing = read("repos.listCollaborators", **where, affiliation="direct", per_page=100)
        direct = username.lower() in (yield listing.through("logins"))
        if not direct:
            # Owners, members of a team and whoever the organisation lets in are collaborators without an entry.
            yield no_undo(INDIRECT)
        if left != back:
            way_back = undo("repos.addCollaborator", **where, username=username, permission=before["role"])
            yield way_back.on(look, left=left, back=back)
        elif direct:
            yield unchanged()
        yield forward()
        return
    listing = read("repos.listInvitations", **where, per_page=100).through("invitations")
    listed = yield listing
    before = {at: one for at, one in listed.items() if is_for(one, username)}
    if not before:
        remove = undo("repos.removeCollaborator", **where, username=username)
        yield remove.on(collaborator_at(owner, repo, username), left={"there": True}, back=ABSENT)
    made = yield forward()
    at = str(made["id"]) if isinstance(made, dict) and "id" in made else ""
    if at and not before and len(listed) >= 100:
        yield no_undo("more than a hundred invitations were open, and it is not known whether this one was among them")
    elif at and not before:
        withdraw = undo("repos.deleteInvitation", **where, invitation_id=made["id"])
        yield withdraw.on(listing, left={at: {"role": made["permissions"]}}, back={at: ABSENT}).leaving(INVITED)
    elif before and made["permissions"] != before.get(at, {}).get("role"):
        # Somebody else had invited this person. That invitation is theirs; only what it gives is put back.
        role = before[at]["role"]
        change = undo("repos.updateInvitation", **where, invitation_id=made["id"], permissions=role)
        yield change.on(listing, left={at: {"role": made["permissions"]}}, back={at: {"role": role}})
    elif before:
        yield unchanged("the person was invited before")


@github.finds("repos.addCollaborator")
def find_invitation(owner: str, repo: str, username: str, permission: str | None, since: str) -> Finder:
    """Among the open invitations, the one to this person that we sent since."""
    me = yield read("users.getAuthenticated").through("login")
    found = yield read("repos.listInvitations", owner=owner, repo=repo, per_page=100)
    ours = [one for one in found if (one.get("inviter") or {}).get("login") == me]
    sent = [one for one in ours if one["created_at"] >= since and (one.get("invitee") or {}).get("login")]
    made = next((one for one in sent if one["invitee"]["login"].lower() == username.lower()), None)
    given = permission or "push"
    return made and {**made, "permissions": ROLES.get(given, given)}


def is_for(invitation: Json, username: str) -> bool:
    """Whether an invitation is for this person."""
    return str(invitation["login"]).lower() == username.lower()


@github.guards("repos.removeCollaborator", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains="a new invitation")
def remove_collaborator(owner: str, repo: str, username: str) -> Handler:
    """Take somebody's access away; they are invited again, and have to accept.

    https://docs.github.com/rest/collaborators/collaborators#remove-a-repository-collaborator: it does more than that.
    """
    where = {"owner": owner, "repo": repo, "username": username}
    if (yield collaborator_at(owner, repo, username).or_none()) is not None:
        before = yield read("repos.getCollaboratorPermissionLevel", **where).through("role")
        again = undo("repos.addCollaborator", **where, permission=before["role"])
        yield again.leaving(
            "a new invitation, which has to be accepted; they are no longer assigned to issues here, their star and "
            "their forks of a private repository are gone"
        )
    else:
        listing = read("repos.listInvitations", owner=owner, repo=repo, per_page=100).through("invitations")
        mine = [one for one in (yield listing).values() if is_for(one, username)]
        if not mine:
            yield unchanged("the person had no access and no invitation")
        for invitation in mine:
            again = undo("repos.addCollaborator", **where, permission=invitation["role"])
            yield again.leaving("the person is invited a second time")
    yield forward()


@github.guards("repos.updateInvitation", effect=Effect.REVERSIBLE, risk=Risk.MEDIUM)
def update_invitation(owner: str, repo: str, invitation_id: Json, permissions: str | None) -> Handler:
    """Change what an open invitation gives; it is changed back."""
    look = read("repos.listInvitations", owner=owner, repo=repo, per_page=100).through("invitations")
    at = str(invitation_id)
    before = (yield look).get(at)
    if before is not None and permissions not in (None, before["role"]):
        where = {"owner": owner, "repo": repo, "invitation_id": int(invitation_id)}
        way_back = undo("repos.updateInvitation", **where, permissions=before["role"])
        yield way_back.on(look, left={at: {"role": permissions}}, back={at: before})
    else:
        yield no_undo("the invitation was not among the first hundred") if before is None else unchanged()
    yield forward()


@github.guards("repos.deleteInvitation", effect=Effect.COMPENSABLE, risk=Risk.MEDIUM, remains="a second invitation")
def delete_invitation(owner: str, repo: str, invitation_id: Json) -> Handler:
    """Withdraw an invitation; the person is invited again."""
    look = read("repos.listInvitations", owner=owner, repo=repo, per_page=100).through("invitations")
    before = (yield look).get(str(invitation_id))
    if before is not None:
        who = {"owner": owner, "repo": repo, "username": before["login"], "permission": before["role"]}
        yield undo("repos.addCollaborator", **who).leaving("the person is invited a second time")
    else:
        yield no_undo("the invitation was not among the first hundred, so it is not known whom it was for")
    yield forward()


@github.guards("orgs.createInvitation", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains=INVITED)
def invite(org: str) -> Handler:
    """Invite somebody into an organisation; the invitation is withdrawn, if it was not accepted."""
    made = yield forward()
    if made.get("login"):
        # Over the membership, because an invitation that was accepted shows there, and not among the invitations.
        look = read("orgs.getMembershipForUser", org=org, username=made["login"]).through("membership")
        away = undo("orgs.removeMembershipForUser", org=org, username=made["login"])
        yield away.on(look, left={"state": "pending"}, back=ABSENT).leaving(INVITED)
    else:
        yield undo("orgs.cancelInvitation", org=org, invitation_id=made["id"]).leaving(INVITED)


# What one follows


@github.guards("activity.starRepoForAuthenticatedUser", effect=Effect.REVERSIBLE)
def star(owner: str, repo: str) -> Handler:
    """Star a repository; the star is taken away."""
    look = read("activity.checkRepoIsStarredByAuthenticatedUser", owner=owner, repo=repo).through("present")
    if (yield look.or_none()) is None:
        away = undo("activity.unstarRepoForAuthenticatedUser", owner=owner, repo=repo)
        yield away.on(look, left={"there": True}, back=ABSENT)
    else:
        yield unchanged()
    yield forward()


@github.guards("activity.unstarRepoForAuthenticatedUser", effect=Effect.REVERSIBLE)
def unstar(owner: str, repo: str) -> Handler:
    """Take a star away; it is given again. The list of stars shows the new date."""
    look = read("activity.checkRepoIsStarredByAuthenticatedUser", owner=owner, repo=repo).through("present")
    if (yield look.or_none()) is not None:
        again = undo("activity.starRepoForAuthenticatedUser", owner=owner, repo=repo)
        yield again.on(look, left=ABSENT, back={"there": True})
    else:
        yield unchanged()
    yield forward()


def watches(operation: str) -> None:
    """Guard one of the ways to change whether a repository is watched."""

    @github.guards(operation, effect=Effect.REVERSIBLE)
    def watch(owner: str, repo: str, subscribed: bool | None, ignored: bool | None) -> Handler:
        """Change whether a repository is watched; it is changed back."""
        look = read("activity.getRepoSubscription", owner=owner, repo=repo).through("subscription")
        before = yield look.or_none()
        left: Json = {"subscribed": bool(subscribed), "ignored": bool(ignored)}
        if operation == "activity.deleteRepoSubscription":
            left = ABSENT
        if before is not None and before != left:
            again = undo("activity.setRepoSubscription", owner=owner, repo=repo, **before)
            yield again.on(look, left=left, back=before)
        elif before is None and left != ABSENT:
            away = undo("activity.deleteRepoSubscription", owner=owner, repo=repo)
            yield away.on(look, left=left, back=ABSENT)
        else:
            yield unchanged()
        yield forward()


watches("activity.setRepoSubscription")
watches("activity.deleteRepoSubscription")
