"""google-api-python-client against emulate's Gmail, whose authors have never seen this library."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.gmail.world import service_at
from tests.peers import gmail_cases as cases
from tests.peers.comparing import Case, check
from tests.peers.stand_ins import StandIn, from_npm

pytestmark = pytest.mark.peer

SEED = {"google": {"users": [{"email": "agent@example.com", "name": "Agent"}]}}


@pytest.fixture(scope="module")
def _google() -> Iterator[StandIn]:
    with from_npm("google", SEED) as running:
        yield running


@pytest.fixture
def service(_google: StandIn) -> Iterator[Any]:
    """A bare Gmail service of emulate's, with a new mailbox."""
    with service_at(_google.reset().url) as made:
        yield made


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.name)
def test_a_call_is_taken_back_as_the_report_says(case: Case, service: Any, ledger: Path) -> None:
    check(case, service, partial(world, service), ledger)


def world(service: Any) -> dict[str, Any]:
    """Everything in the mailbox, by id."""
    users = service.users()
    found = users.messages().list(userId="me", includeSpamTrash=True, maxResults=500).execute().get("messages", [])
    messages = [users.messages().get(userId="me", id=one["id"], format="full").execute() for one in found]
    drafts = users.drafts().list(userId="me").execute().get("drafts", [])
    return {
        "messages": {one["id"]: {**one, "historyId": None, "labelIds": sorted(one["labelIds"])} for one in messages},
        "drafts": {one["id"]: one for one in drafts},
        "labels": {one["id"]: one for one in users.labels().list(userId="me").execute()["labels"]},
        "filters": {one["id"]: one for one in users.settings().filters().list(userId="me").execute().get("filter", [])},
    }
