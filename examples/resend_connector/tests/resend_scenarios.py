"""What agents do with Resend in the crash tests, and what may remain of it."""

from __future__ import annotations

import dataclasses
import os
from functools import partial

import httpx
from agentguard_resend import resend

from agentguard import Handler, forward
from agentguard.sandbox.faults import PID
from agentguard.testing.crash import Residue, Scenario, Stage, World, of_a_module

LATER = "2030-01-01T00:00:00Z"
MAIL = {"from": "hr@example.com", "to": ["ashu@example.com"], "subject": "Welcome", "html": "<p>Hello</p>"}


def client_of(service: str, url: str) -> httpx.Client:
    """A plain client; it tells the stand-in which process may be killed between an effect and its answer."""
    return httpx.Client(base_url=url, headers={"Authorization": "Bearer re_123", PID: str(os.getpid())})


def welcome(world: World) -> None:
    """Make an audience with one contact, and schedule a mail."""
    api = world["resend"]
    audience = api.post("/audiences", json={"name": "Newcomers"}).json()["id"]
    api.post(f"/audiences/{audience}/contacts", json={"email": "ashu@example.com"})
    api.post("/emails", json={**MAIL, "scheduled_at": LATER})


def farewell(world: World) -> None:
    """Remove a contact that was there before, put another in its place, and send a mail that cannot be called back."""
    api = world["resend"]
    api.delete("/audiences/everybody/contacts/c0")
    api.post("/audiences/everybody/contacts", json={"email": "ashu@example.com"})
    api.post("/emails", json=MAIL)


CANCELED: Residue = {r"resend\.emails\.\w+": lambda mail: mail["last_event"] == "canceled"}
NEW_ID: Residue = {
    r"resend\.audiences\.everybody\.contacts\.\w+": lambda contact: (
        contact is None or contact["email"] == "bo@example.com"
    )
}


def audience_forgotten() -> None:
    """The handler of a new audience says that there is nothing to take back."""
    from agentguard import unchanged

    def forgetful() -> Handler:
        yield forward()
        yield unchanged("nothing was changed")

    name = "audiences.create"
    resend.guarded[name] = dataclasses.replace(resend.guarded[name], handler=forgetful)


STAGE = Stage(
    scenarios={
        scenario.name: scenario
        for scenario in (
            Scenario("welcome", ("resend",), welcome, CANCELED),
            Scenario("farewell", ("resend",), farewell, NEW_ID),
        )
    },
    client=client_of,
    stand_ins=partial(of_a_module, name="resend", module="resend_stand_in"),
    connectors={"resend": "agentguard_resend:resend"},
    mistakes={"audience_forgotten": audience_forgotten},
)
