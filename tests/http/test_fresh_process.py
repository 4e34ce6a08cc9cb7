"""An agent that called a declared API dies, and `agentguard rollback` takes it back from another process."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentguard.errors import UnknownConnector
from agentguard.registry import connector
from tests.boxes import Box
from tests.cli.conftest import Run, agentguard, folder, one_line, run

__all__ = ["agentguard", "folder", "run"]

APIS = """
import os
import httpx
from agentguard_connectors.http import Api, Route, declare

BASE = os.environ["NOTES_BOX"] + "/v1"
crm = declare(Api("crm", base=BASE, routes=(
    Route("POST /notes", undo="DELETE /notes/{result.id}", look="GET /notes/{result.id}"),
)))
client = httpx.Client
other = "no connector"
"""

AGENT = """
import os
import agentguard
from my_apis import BASE, client

with agentguard.session(agent="writer", intent="Write notes") as session:
    agentguard.wrap(client(), session, connector="crm").post(f"{BASE}/notes", json={"title": "one"})
    os._exit(9)
"""


def configure(folder: Path, crm: str = "my_apis:crm", name: str = "crm") -> None:
    (folder / "my_apis.py").write_text(APIS)
    (folder / "agentguard.toml").write_text(
        f'ledger = "ledger.db"\n[connectors]\n{name} = "{crm}"\n[clients]\n{name} = "my_apis:client"\n'
    )


def test_a_fresh_process_takes_back_what_was_sent_to_a_declared_api(
    folder: Path, run: Run, agentguard: Run, box: Box
) -> None:
    configure(folder)
    died = run("-c", AGENT, NOTES_BOX=box.url)
    assert died.returncode == 9, died.stderr
    assert len(box.snapshot()["notes"]) == 1
    rolled_back = agentguard("rollback", "last", "--yes", NOTES_BOX=box.url)
    assert rolled_back.returncode == 0, rolled_back.stderr
    assert "restored" in rolled_back.stdout
    assert box.snapshot()["notes"] == {}


@pytest.mark.parametrize(
    ("crm", "said"),
    [
        ("my_apis:none", "[connectors] crm: module 'my_apis' has no attribute 'none'"),
        ("my_apis:other", "[connectors] crm: my_apis:other is not a Connector"),
        ("my_apis", '[connectors] crm is "my_apis", which is not of the form "module:attribute"'),
        ("gone:crm", "[connectors] crm: 'gone' cannot be imported"),
    ],
)
def test_a_connector_that_is_not_there_is_named_and_nothing_is_sent(
    folder: Path, run: Run, agentguard: Run, box: Box, crm: str, said: str
) -> None:
    configure(folder)
    run("-c", AGENT, NOTES_BOX=box.url)
    configure(folder, crm)
    failed = agentguard("rollback", "last", "--yes", NOTES_BOX=box.url)
    assert failed.returncode != 0
    one_line(failed.stderr, said, "Nothing was sent")
    assert box.requests("DELETE") == []


def test_a_connector_goes_by_its_own_name(folder: Path, run: Run, box: Box) -> None:
    configure(folder, name="sales")
    said = run("-c", "from agentguard.registry import connector; connector('sales')", NOTES_BOX=box.url)
    assert "[connectors] sales: my_apis:crm is called 'crm'" in said.stderr


def test_an_unknown_connector_is_told_where_it_could_stand() -> None:
    with pytest.raises(UnknownConnector, match=r"'nobody' is installed or named in agentguard\.toml"):
        connector("nobody")
