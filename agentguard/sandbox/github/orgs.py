"""Organisations of the GitHub stand-in: invitations and memberships, https://docs.github.com/rest/orgs/members."""

from __future__ import annotations

from agentguard.sandbox.github import shapes
from agentguard.sandbox.github.base import Base, Data, fields, invalid, missing
from agentguard.sandbox.server import Incoming, Refuse, Reply, route

ORG = "/orgs/{org}"


class Orgs(Base):
    """Who belongs to an organisation."""

    def org(self, call: Incoming, admin: bool = False) -> Data:
        found: Data | None = self.state["orgs"].get(call["org"])
        if found is None:
            raise missing()
        if admin and found["members"].get(self.login(call)) != "admin":
            raise Refuse(403, {"message": "You must be an admin to do this."})
        return found

    @route("GET", ORG)
    def get_org(self, call: Incoming) -> Reply:
        self.org(call)
        url = f"{self.url}/orgs/{call['org']}"
        return Reply(200, {**shapes.full_user(self.url, self.state["users"][call["org"]]), "url": url})

    def show_org_invitation(self, invitation: Data) -> Data:
        return {
            **invitation,
            "node_id": f"OI_{invitation['id']}",
            "inviter": self.user(invitation["inviter"]),
            "team_count": 0,
            "invitation_teams_url": f"{self.url}/invitations/{invitation['id']}/teams",
        }

    @route("GET", f"{ORG}/invitations")
    def list_org_invitations(self, call: Incoming) -> Reply:
        found = [self.show_org_invitation(i) for i in self.org(call, admin=True)["invitations"].values()]
        return Reply(200, self.page(call, found))

    @route("POST", f"{ORG}/invitations")
    def create_org_invitation(self, call: Incoming) -> Reply:
        org = self.org(call, admin=True)
        given = fields(call, "invitee_id", "email", "role", "team_ids")
        login = next((u["login"] for u in self.state["users"].values() if u["id"] == given.get("invitee_id")), None)
        if login is None and not given.get("email"):
            raise invalid("OrganizationInvitation", "invitee_id")
        if login in org["members"]:
            raise invalid("OrganizationInvitation", "data", "unprocessable", "Invitee is already a part of this org")
        role = given.get("role", "direct_member")
        invitation = {"id": self.next_id(), "login": login, "email": given.get("email"), "role": role}
        invitation |= {"inviter": self.login(call), "created_at": self.now()}
        org["invitations"][str(invitation["id"])] = invitation
        self.effect("invited", org=call["org"], login=login)
        return Reply(201, self.show_org_invitation(invitation))

    @route("DELETE", f"{ORG}/invitations/{{invitation}}")
    def cancel_org_invitation(self, call: Incoming) -> Reply:
        if self.org(call, admin=True)["invitations"].pop(call["invitation"], None) is None:
            raise missing()
        self.effect("invitation cancelled", org=call["org"])
        return Reply(204)

    def invitation_of(self, org: Data, login: str) -> str | None:
        return next((at for at, invitation in org["invitations"].items() if invitation["login"] == login), None)

    @route("GET", f"{ORG}/memberships/{{username}}")
    def get_membership(self, call: Incoming) -> Reply:
        org = self.org(call)
        at = self.invitation_of(org, call["username"])
        if call["username"] not in org["members"] and at is None:
            raise missing()
        state, role = ("pending", "member") if at else ("active", org["members"][call["username"]])
        url = f"{self.url}/orgs/{call['org']}"
        return Reply(
            200,
            {
                "url": f"{url}/memberships/{call['username']}",
                "state": state,
                "role": role,
                "organization_url": url,
                "organization": {"login": call["org"], "id": self.state["users"][call["org"]]["id"], "url": url},
                "user": self.user(call["username"]),
            },
        )

    @route("DELETE", f"{ORG}/memberships/{{username}}")
    def remove_membership(self, call: Incoming) -> Reply:
        org = self.org(call, admin=True)
        at = self.invitation_of(org, call["username"])
        if at is not None:
            del org["invitations"][at]
        elif org["members"].pop(call["username"], None) is None:
            raise missing()
        self.effect("membership removed", org=call["org"], login=call["username"])
        return Reply(204)
