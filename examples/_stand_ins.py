"""What the stories share: stand-ins of the services in a process of their own, a ledger, and a way to be found wrong.

Nothing here belongs to agentguard's way of working. With accounts of your own you need none of it: make your client as
you always do, and wrap it.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from agentguard.testing.stand_ins import Box, start_boxes


@dataclass(frozen=True)
class Stage:
    """Where a story happens."""

    folder: Path
    services: dict[str, Box]

    @property
    def ledger(self) -> Path:
        """Where agentguard keeps its record."""
        return self.folder / "ledger.db"

    def url(self, service: str) -> str:
        """The address of a stand-in."""
        return self.services[service].url

    def snapshot(self, service: str) -> dict[str, Any]:
        """The whole state of a service, as it tells it itself."""
        return self.services[service].snapshot()


@contextmanager
def stand_ins(*names: str) -> Iterator[Stage]:
    """Run the stand-ins called *names* until the block is left; each story has a folder and a ledger of its own."""
    with tempfile.TemporaryDirectory(prefix="agentguard-story-") as folder:
        settings = Path(folder) / "agentguard.toml"
        # A request to a stand-in has landed at once or never; a real service is given 30 seconds.
        settings.write_text('[recovery]\nsend_deadline = "0.2s"\n')
        os.environ["AGENTGUARD_CONFIG"] = str(settings)  # not whichever agentguard.toml is found from here
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
        with start_boxes(Path(folder) / "requests.jsonl", *names) as services:
            yield Stage(Path(folder), services)


def github_client(url: str, who: str) -> Any:
    """A GitHub client for the login *who*; it need not be as patient as PyGithub is with GitHub itself."""
    from github import Auth, Github

    return Github(auth=Auth.Token(who), base_url=url, seconds_between_requests=None, seconds_between_writes=None)


def gmail_client(url: str) -> Any:
    """A Gmail service as google-api-python-client builds it, at *url* in place of Google's address."""
    from google.oauth2.credentials import Credentials
    from googleapiclient.discovery import build_from_document  # type: ignore[import-untyped]  # has no types
    from googleapiclient.discovery_cache import get_static_doc  # type: ignore[import-untyped]  # likewise

    document = {**json.loads(get_static_doc("gmail", "v1")), "rootUrl": f"{url}/"}
    credentials: Any = Credentials  # google-auth types what it returns, not what it takes
    return build_from_document(document, credentials=credentials("ya29.story"))


def mail(to: str, subject: str, text: str) -> dict[str, str]:
    """A mail, as Gmail's methods take it."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "agent@example.com", to, subject
    made.set_content(text)
    return {"raw": base64.urlsafe_b64encode(made.as_bytes()).decode()}


def check(truth: bool, sentence: str) -> None:
    """Say *sentence*, which the service's own state has to bear out; end the story with 1 where it does not."""
    if not truth:
        sys.exit(f"NOT SO: {sentence}")
    print(f"Checked: {sentence}")
