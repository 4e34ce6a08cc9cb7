"""What the documents say is true: their code runs, and their generated parts are up to date."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import github
import pytest
import slack_sdk
import stripe

import agentguard
from tests import generated
from tests.boxes import Box

ROOT = Path(__file__).parents[1]


def blocks(path: Path, language: str = "python") -> list[str]:
    """The code blocks of a document."""
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), re.DOTALL)


def test_the_readme_runs(
    boxes: dict[str, Box], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it stands there, but for where the services are."""

    class LocalGithub(github.Github):
        def __init__(self, **options: Any) -> None:
            super().__init__(base_url=boxes["github"].reset().url, seconds_between_writes=None, **options)

    class LocalSlack(slack_sdk.WebClient):
        def __init__(self, **options: Any) -> None:
            super().__init__(base_url=f"{boxes['slack'].reset().url}/api/", **options)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GITHUB_TOKEN", "a-token-of-the-agent")
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-readme")
    monkeypatch.setattr(github, "Github", LocalGithub)
    monkeypatch.setattr(slack_sdk, "WebClient", LocalSlack)
    boxes["stripe"].reset()
    client = stripe.StripeClient("sk_test_readme", base_addresses={"api": boxes["stripe"].url})
    customer = client.v1.customers.create(params={"name": "Ashu"})
    example, session, action = blocks(ROOT / "README.md")

    exec(compile(example, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "taken back" in printed
    assert (tmp_path / ".agentguard" / "ledger.db").exists()

    session = session.replace("cus_1", customer.id).replace('"terminal"', "lambda card: True")
    names: dict[str, Any] = {"agentguard": agentguard, "stripe_client": client}
    exec(compile(session, "README.md", "exec"), names)
    assert "stripe.customers.update" in capsys.readouterr().out
    assert [call.reason for call in names["session"].calls][:1] == ["the customer was charged twice"]

    names = {"agentguard": agentguard, "rows": {}}
    exec(compile(action, "README.md", "exec"), names)
    with agentguard.session(agent="a", intent="b") as s:
        names["insert_row"]("Ashu")
        assert names["rows"] == {0: "Ashu"}
    assert s.rollback().ok
    assert names["rows"] == {}


@pytest.mark.parametrize(
    "path", [*sorted(ROOT.glob("docs/**/*.md")), ROOT / "README.md"], ids=lambda p: str(p.relative_to(ROOT))
)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text())
    assert [target for target in targets if not (path.parent / target).exists()] == []


@pytest.mark.parametrize("part", generated.PARTS)
def test_generated_parts_are_up_to_date(part: str) -> None:
    _path, is_so, should_be = generated.render(part)
    assert is_so == should_be, "run `make generate`"
