"""No secret reaches the disk or a screen, wherever it stood: arguments, headers, addresses, answers, exceptions."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

import agentguard
from agentguard import Outcome
from tests.boxes import Box
from tests.core.notes import notes
from tests.core.test_redaction import BY_ITS_FORM, UNDER_A_NAME

OWN = "the-clients-own-credential"


def on_disk(folder: Path) -> bytes:
    """Everything in the ledger's folder: the database, its journal, its lock."""
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


def leaked(text: bytes, secrets: list[str]) -> list[str]:
    # A card's three digits stand in every other timestamp: as a JSON string they would be the card's.
    return [secret for secret in secrets if (secret if len(secret) > 6 else f'"{secret}"').encode() in text]


def test_forty_planted_secrets_leave_no_trace(
    box: Box, ledger: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG, logger="agentguard")
    secrets = [*UNDER_A_NAME.values(), *BY_ITS_FORM]
    assert len(secrets) > 40
    headers = {"authorization": f"Bearer {OWN}", "x-api-key": UNDER_A_NAME["x-api-key"]}
    with httpx.Client(base_url=f"{box.url}/v1/", headers=headers) as plain:
        s = agentguard.session(
            agent="tester",
            intent=f"use {BY_ITS_FORM[0]}",
            ledger=ledger,
            approver=lambda card: "[redacted" in str(card),
        )
        guarded = agentguard.wrap(plain, s, notes)
        # In arguments, in the answers that repeat them, and in the snapshots and undos that come of those.
        for n, secret in enumerate(BY_ITS_FORM, 1):
            with s.because(f"the key is {secret}"):
                guarded.post(
                    "notes", json={"title": f"note {n}", "body": f"see {secret}, please", "nested": [{"x": secret}]}
                )
            guarded.patch(f"notes/{n}", json={"body": "changed"})
        for name, secret in UNDER_A_NAME.items():
            guarded.post("notes", json={"title": "named", name: secret})
        # In addresses, of calls that are known and of one that is not.
        guarded.patch(f"notes/1?access_token={UNDER_A_NAME['bot_token']}", json={"body": "again"})
        guarded.post(
            f"unlisted?api_key={UNDER_A_NAME['APIKey']}", json={"authorization": UNDER_A_NAME["Authorization"]}
        )
        # In exceptions: of the transport, and of the program.
        box.fault("drop_after")
        with pytest.raises(httpx.TransportError):
            guarded.post("notes", json={"title": "lost", "password": UNDER_A_NAME["password"]})
        failed = RuntimeError(f"login with password='{UNDER_A_NAME['password']}' and {BY_ITS_FORM[3]} failed")
        report = s.rollback(cause=failed)
    assert leaked(on_disk(ledger.parent), [*secrets, OWN]) == []
    assert leaked(caplog.text.encode(), [*secrets, OWN]) == []
    assert leaked(str(report).encode(), [*secrets, OWN]) == []
    monkeypatch.setenv("AGENTGUARD_LEDGER", str(ledger))
    for command in (["show", s.id], ["show", s.id, "--json"], ["sessions"], ["rollback", s.id, "--yes", "--json"]):
        said = subprocess.run([sys.executable, "-m", "agentguard", *command], capture_output=True, check=False)
        assert leaked(said.stdout + said.stderr, [*secrets, OWN]) == [], command
        assert said.stdout + said.stderr


def test_the_process_that_made_the_call_restores_a_secret_and_no_other_can(
    box: Box, client: httpx.Client, guarded: httpx.Client, session: agentguard.Session, ledger: Path
) -> None:
    client.post("notes", json={"title": "a", "body": f"key {BY_ITS_FORM[3]}"})
    guarded.patch("notes/1", json={"body": "gone"})
    other = agentguard.load(session.id, ledger=ledger)
    other.use(client, notes)
    report = other.rollback()
    assert [r.outcome for r in report.outcomes] == [Outcome.FAILED]
    assert "never stored" in report.outcomes[0].detail
    assert box.snapshot()["notes"]["1"]["body"] == "gone"
    assert [r.outcome for r in session.rollback().outcomes] == [Outcome.RESTORED]
    assert box.snapshot()["notes"]["1"]["body"] == f"key {BY_ITS_FORM[3]}"
