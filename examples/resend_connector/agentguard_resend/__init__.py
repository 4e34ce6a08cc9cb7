"""Resend (https://resend.com/docs/api-reference) through httpx: a connector in one file, to copy from.

A service needs three things: a table of its operations (`operations.jsonl`), a seam that puts the gate under its SDK
(here: any httpx client, so the seam that comes with agentguard will do), and a handler for each operation that can be
taken back.
"""

from __future__ import annotations

from pathlib import Path

from agentguard_connectors.http.seams import AsyncHttpxSeam, HttpxSeam

from agentguard import ABSENT, Connector, Effect, Handler, Risk, forward, no_undo, read, undo
from agentguard.calls import Json

resend = Connector(
    "resend",
    title="Resend",
    table=Path(__file__).with_name("operations.jsonl"),
    seams=[HttpxSeam(), AsyncHttpxSeam()],
    idempotency_header="Idempotency-Key",
)


FIELDS = ("name", "email", "first_name", "last_name", "unsubscribed")


@resend.view
def last_event(email: Json) -> Json:
    return {"last_event": email["last_event"].removeprefix("email.")}


@resend.view
def by_id(listed: Json) -> Json:
    shown = {item["id"]: {name: item[name] for name in FIELDS if name in item} for item in listed["data"]}
    # What stands on another page is not there, and is not gone either.
    return {**shown, "more": True} if listed.get("has_more") else shown


@resend.guards("emails.send", effect=Effect.COMPENSABLE, risk=Risk.HIGH, remains="it stays listed as canceled")
def send_email(scheduled_at: str | None) -> Handler:
    """Send a mail; while it is only scheduled it is canceled. What has been sent cannot be called back."""
    if scheduled_at is None:
        yield no_undo("the mail has gone out")
    sent = yield forward()
    if scheduled_at is not None:
        look = read("emails.get", id=sent["id"]).through("last_event")
        back = undo("emails.cancel", id=sent["id"]).on(
            look, left={"last_event": "scheduled"}, back={"last_event": "canceled"}
        )
        yield back.leaving("it stays listed as canceled")


@resend.guards("audiences.create", effect=Effect.REVERSIBLE)
def create_audience() -> Handler:
    """Create an audience; it is removed."""
    made = yield forward()
    look = read("audiences.list").through("by_id")
    yield undo("audiences.remove", id=made["id"]).on(
        look, left={made["id"]: {"name": made["name"]}, "more": ABSENT}, back={made["id"]: ABSENT, "more": ABSENT}
    )


@resend.guards("contacts.create", effect=Effect.REVERSIBLE)
def create_contact(audience_id: str, email: str) -> Handler:
    """Add a contact; it is removed, unless it was there before."""
    look = read("contacts.list", audience_id=audience_id).through("by_id")
    before = yield look
    made = yield forward()
    if made["id"] in before or "more" in before:
        yield no_undo("the contact may have been there before, and its former fields are not on record")
        return
    yield undo("contacts.remove", audience_id=audience_id, id=made["id"]).on(
        look, left={made["id"]: {"email": email}, "more": ABSENT}, back={made["id"]: ABSENT, "more": ABSENT}
    )


@resend.guards("contacts.remove", effect=Effect.COMPENSABLE, remains="the contact has a new id")
def remove_contact(audience_id: str, id: str) -> Handler:  # noqa: A002 - what the API calls it
    """Remove a contact; it is added again, under a new id, and unsubscribed if it was."""
    contacts = yield read("contacts.list", audience_id=audience_id).through("by_id")
    if id in contacts:
        fields = {name: value for name, value in contacts[id].items() if value}
        again = undo("contacts.create", audience_id=audience_id, **fields)
        yield again.leaving("the contact has a new id")
    else:
        yield no_undo("the contact was not among those that were listed, so that it is not on record")
    yield forward()
