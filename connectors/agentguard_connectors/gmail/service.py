"""The connector itself, before its handlers are registered."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentguard.connector import Account, Connector
from agentguard.errors import AgentguardError
from agentguard_connectors.gmail.codec import GmailCodec
from agentguard_connectors.gmail.seams import GmailSeam


class Unproven(AgentguardError):
    """What was looked for shows neither that a call happened nor that it did not."""


def client(environment: Mapping[str, str]) -> Any:
    """Make a Gmail service from Google's application default credentials, or from an access token.

    GMAIL_API_URL points it at another address than Google's.
    """
    from googleapiclient.discovery import build  # type: ignore[import-untyped] # it comes without types
    from googleapiclient.discovery_cache import get_static_doc  # type: ignore[import-untyped] # likewise

    credentials = None
    if environment.get("GMAIL_ACCESS_TOKEN"):
        from google.oauth2.credentials import Credentials

        credentials = Credentials(token=environment["GMAIL_ACCESS_TOKEN"])  # type: ignore[no-untyped-call]  # untyped
    url = environment.get("GMAIL_API_URL")
    if not url:
        return build("gmail", "v1", credentials=credentials, static_discovery=True)
    import json

    from googleapiclient.discovery import build_from_document

    document = json.loads(get_static_doc("gmail", "v1"))
    return build_from_document({**document, "rootUrl": f"{url.rstrip('/')}/"}, credentials=credentials)


gmail = Connector(
    "gmail",
    title="Gmail",
    table=Path(__file__).parent / "operations.jsonl",
    seams=[GmailSeam()],
    codec=GmailCodec(),
    account=Account(("GOOGLE_APPLICATION_CREDENTIALS", "GMAIL_ACCESS_TOKEN", "GMAIL_API_URL"), client),
)
