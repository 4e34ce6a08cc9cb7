"""The agent of the demo: six plain clients, and what it does with them to set up a new hire. The last step fails."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from email.message import EmailMessage
from typing import Any

SDKS = {
    "hubspot": "hubspot-api-client",
    "github": "PyGithub",
    "stripe": "stripe",
    "notion_client": "notion-client",
    "googleapiclient": "google-api-python-client",
    "slack_sdk": "slack-sdk",
}
"""What each import package is installed as."""

SERVICES = {
    "hubspot": "HubSpot",
    "github": "GitHub",
    "stripe": "Stripe",
    "notion": "Notion",
    "gmail": "Gmail",
    "slack": "Slack",
}
"""The stand-ins, in the order in which the agent uses them."""

Step = tuple[str, Callable[[], object]]


def plain_clients(urls: dict[str, str]) -> dict[str, Any]:
    """The clients, as any program makes them, but for where the services are."""
    from github import Auth, Github
    from google.oauth2.credentials import Credentials
    from googleapiclient.discovery import build_from_document  # type: ignore[import-untyped]  # has no types
    from googleapiclient.discovery_cache import get_static_doc  # type: ignore[import-untyped]  # likewise
    from hubspot import HubSpot  # type: ignore[import-untyped]  # likewise
    from notion_client import Client
    from slack_sdk import WebClient
    from stripe import StripeClient

    from agentguard.sandbox.hubspot import TOKEN

    credentials: Any = Credentials  # google-auth types what it returns, not what it takes
    quick: dict[str, Any] = {"retry": None, "seconds_between_requests": None, "seconds_between_writes": None}
    gmail = {**json.loads(get_static_doc("gmail", "v1") or ""), "rootUrl": f"{urls['gmail']}/"}
    return {
        "hubspot": HubSpot(access_token=TOKEN, host=urls["hubspot"], base_url=urls["hubspot"]),
        "github": Github(auth=Auth.Token("demo-token"), base_url=urls["github"], **quick),
        "stripe": StripeClient("sk_test_demo", base_addresses={"api": urls["stripe"]}),
        "notion": Client(auth="ntn_demo", base_url=urls["notion"]),
        "gmail": build_from_document(gmail, credentials=credentials("ya29.demo")),
        "slack": WebClient("xoxb-demo", base_url=f"{urls['slack']}/api/"),
    }


def set_up(clients: dict[str, Any]) -> dict[str, str]:
    """Prepare what was there before the agent came; returns what it needs to know."""
    stripe = clients["stripe"].v1
    product = stripe.products.create({"name": "Seat"})
    monthly = {"currency": "eur", "unit_amount": 1900, "recurring": {"interval": "month"}}
    price = stripe.prices.create({"product": product.id, **monthly})
    contact = clients["hubspot"].crm.contacts.basic_api.create(
        {"properties": {"email": "ashu@acme.example", "lifecyclestage": "lead"}}
    )
    pages = clients["notion"].search(filter={"property": "object", "value": "page"})["results"]
    home = next(page for page in pages if page["parent"]["type"] == "workspace")
    return {"price": price.id, "contact": contact.id, "home": home["id"]}


def steps(clients: dict[str, Any], known: dict[str, str]) -> list[Step]:
    """What the agent does, step by step: its reason, and the call of an SDK."""
    contacts = clients["hubspot"].crm.contacts.basic_api
    repo = clients["github"].get_repo("acme/hr")
    stripe, slack = clients["stripe"].v1, clients["slack"]
    made: dict[str, Any] = {}

    def open_issue() -> None:
        made["issue"] = repo.create_issue("Onboard Ashu", "Laptop, badge, mail.")

    def open_account() -> None:
        made["customer"] = stripe.customers.create({"email": "ashu@acme.example"})

    def order_seat() -> None:
        later = {"collection_method": "send_invoice", "days_until_due": 14}
        stripe.subscriptions.create({"customer": made["customer"].id, "items": [{"price": known["price"]}], **later})

    def write_page() -> None:
        title = {"title": [{"text": {"content": "Ashu's first week"}}]}
        clients["notion"].pages.create(parent={"page_id": known["home"]}, properties={"title": title})

    def send_welcome() -> None:
        body = {"raw": welcome("ashu@acme.example")}
        clients["gmail"].users().messages().send(userId="me", body=body).execute()

    return [
        (
            "Mark the hire in the CRM",
            lambda: contacts.update(known["contact"], {"properties": {"jobtitle": "Engineer"}}),
        ),
        ("Add Ashu's page", lambda: repo.create_file("people/ashu.md", "Add Ashu", "# Ashu\n")),
        ("Open the onboarding issue", open_issue),
        ("Label it", lambda: made["issue"].add_to_labels("onboarding")),
        ("Open a billing account", open_account),
        ("Order a seat", order_seat),
        ("Plan the first week", write_page),
        ("Welcome Ashu", send_welcome),
        ("Tell the team", lambda: slack.chat_postMessage(channel="C0GENERAL", text="Ashu starts on Monday!")),
        ("Tell payroll", lambda: slack.chat_postMessage(channel="C0PAYROLL", text="Ashu starts on Monday.")),
    ]


def welcome(to: str) -> str:
    """The welcome mail, as Gmail takes it."""
    mail = EmailMessage()
    mail["To"], mail["Subject"] = to, "Welcome to Acme"
    mail.set_content("We look forward to Monday.")
    return base64.urlsafe_b64encode(mail.as_bytes()).decode()
