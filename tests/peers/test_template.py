"""The connector to copy from, for a service that agentguard does not know, works as it stands."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import agentguard
from agentguard import Connector, Outcome
from agentguard.testing import contract
from tests.peers.stand_ins import from_npm

TEMPLATE = Path(__file__).parents[2] / "examples" / "resend_connector"
LATER = "2030-01-01T00:00:00Z"
MAIL = {"from": "hr@example.com", "to": ["ashu@example.com"], "subject": "Welcome", "html": "<p>Hello</p>"}


@pytest.fixture
def resend(monkeypatch: pytest.MonkeyPatch) -> Connector:
    monkeypatch.syspath_prepend(str(TEMPLATE))
    import agentguard_resend  # type: ignore[import-not-found]  # it is found where the line before says

    connector: Connector = agentguard_resend.resend
    return connector


def test_it_keeps_the_contract(resend: Connector) -> None:
    assert contract(resend, TEMPLATE / "cases") == []
    assert "agentguard_resend" in sys.modules


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with from_npm("resend") as stand_in:
        yield stand_in.url


@pytest.mark.peer
def test_it_takes_back_what_it_did(resend: Connector, service: str, ledger: Path) -> None:
    with httpx.Client(base_url=service, headers={"Authorization": "Bearer re_123"}) as plain:
        audience = plain.post("/audiences", json={"name": "Everybody"}).json()["id"]
        contact = plain.post(f"/audiences/{audience}/contacts", json={"email": "old@example.com"}).json()["id"]
        before = world(plain, audience)
        session = agentguard.session(agent="a", intent="b", ledger=ledger, approver=lambda _card: True)
        with session:
            client = agentguard.wrap(plain, session, resend)
            client.post("/audiences", json={"name": "Newcomers"}).raise_for_status()
            client.post(f"/audiences/{audience}/contacts", json={"email": "ashu@example.com"}).raise_for_status()
            client.delete(f"/audiences/{audience}/contacts/{contact}").raise_for_status()
            client.post("/emails", json={**MAIL, "scheduled_at": LATER}).raise_for_status()
            assert world(plain, audience) != before
        report = session.rollback()
        assert report.ok, str(report)
        assert [(r.operation, r.outcome) for r in report.outcomes] == [
            ("resend.emails.send", Outcome.COMPENSATED),
            ("resend.contacts.remove", Outcome.COMPENSATED),
            ("resend.contacts.create", Outcome.RESTORED),
            ("resend.audiences.create", Outcome.RESTORED),
        ]
        assert world(plain, audience) == before
        assert [mail["last_event"] for mail in plain.get("/emails").json()["data"]] == ["email.canceled"]


@pytest.mark.peer
def test_a_mail_that_has_gone_out_is_never_called_back(resend: Connector, service: str, ledger: Path) -> None:
    with httpx.Client(base_url=service, headers={"Authorization": "Bearer re_123"}) as plain:
        session = agentguard.session(agent="a", intent="b", ledger=ledger, approver=lambda _card: True)
        agentguard.wrap(plain, session, resend).post("/emails", json=MAIL).raise_for_status()
        report = session.rollback()
        assert [(r.outcome, r.detail) for r in report.outcomes] == [(Outcome.IRREVERSIBLE, "the mail has gone out")]


def world(plain: httpx.Client, audience: str) -> Any:
    """Audiences and contacts by name: ids are the residue of a removal."""
    audiences = sorted(item["name"] for item in plain.get("/audiences").json()["data"])
    return audiences, sorted(item["email"] for item in plain.get(f"/audiences/{audience}/contacts").json()["data"])
