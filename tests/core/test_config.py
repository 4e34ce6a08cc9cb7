from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentguard import config
from agentguard.errors import ConfigError
from agentguard.ledger import DEFAULT


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("AGENTGUARD_CONFIG", "AGENTGUARD_LEDGER", "GITHUB_TOKEN", "STRIPE_API_KEY", "SLACK_BOT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def write(folder: Path, text: str) -> Path:
    path = folder / "agentguard.toml"
    path.write_text(text)
    return path


def test_without_a_file_everything_has_its_usual_place() -> None:
    assert config.load_config() == config.Config()
    assert config.ledger_location() == DEFAULT


def test_the_file_is_found_in_a_folder_above(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(project, 'ledger = "work/ledger.db"')
    inner = project / "src" / "deep"
    inner.mkdir(parents=True)
    monkeypatch.chdir(inner)
    assert config.load_config().path == path
    assert config.ledger_location() == str(project / "work" / "ledger.db")


def test_the_ledger_is_where_the_nearest_voice_says(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, 'ledger = "sqlite:///from-file.db"')
    assert config.ledger_location() == str(project / "from-file.db")
    monkeypatch.setenv("AGENTGUARD_LEDGER", "/from/environment.db")
    assert config.ledger_location() == "/from/environment.db"
    assert config.ledger_location(Path("explicit.db")) == Path("explicit.db")


def test_the_environment_can_name_the_file(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = project / "other.toml"
    other.write_text('[actions]\nmodules = ["a.b"]')
    monkeypatch.setenv("AGENTGUARD_CONFIG", str(other))
    assert config.load_config().modules == ["a.b"]
    monkeypatch.setenv("AGENTGUARD_CONFIG", str(project / "gone.toml"))
    with pytest.raises(ConfigError, match=r"AGENTGUARD_CONFIG names .*gone\.toml"):
        config.load_config()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('legder = "x"', "there is no key 'legder'; there are ledger, clients, connectors, actions"),
        ("ledger = 5", "ledger: Expected `str"),
        ('[actions]\nmodule = ["x"]', r"\[actions\]: there is no key 'module'; there are modules"),
        ("[actions]\nmodules = [5]", r"\[actions\] modules\[0\]: Expected `str`, got `int`"),
        ("[clients]\ngithub = 5", r"\[clients\].*: Expected `str`, got `int`"),
        ("[clients\n", "line 1"),
    ],
)
def test_a_mistake_is_refused_with_its_place(project: Path, text: str, place: str) -> None:
    path = write(project, text)
    with pytest.raises(ConfigError, match=place) as raised:
        config.load_config()
    assert str(raised.value).startswith(str(path))


def test_a_factory_beside_the_file_makes_the_client(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "my_clients.py").write_text("class Made:\n    @staticmethod\n    def github(): return 'a client'\n")
    write(project, '[clients]\ngithub = "my_clients:Made.github"')
    assert config.client_for("github") == "a client"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('github = "my_broken_clients"', 'is not of the form "module:function"'),
        ('github = "no_such_module:github"', "'no_such_module' cannot be imported"),
        ('github = "my_broken_clients:missing"', "has no attribute 'missing'"),
        ('github = "my_broken_clients:fails"', "failed with KeyError: 'VAULT'"),
        ('github = "my_broken_clients:nothing"', "returned None"),
        ('githup = "my_broken_clients:nothing"', "no connector of that name"),
    ],
)
def test_a_factory_that_does_not_work_is_named(project: Path, entry: str, message: str) -> None:
    (project / "my_broken_clients.py").write_text("def fails(): return {}['VAULT']\ndef nothing(): return None\n")
    write(project, f"[clients]\n{entry}")
    with pytest.raises(ConfigError, match=message) as raised:
        config.client_for("github")
    assert "[clients]" in str(raised.value)
    assert "Nothing was sent" in str(raised.value)


@pytest.mark.parametrize(
    ("connector", "variable"), [("github", "GITHUB_TOKEN"), ("stripe", "STRIPE_API_KEY"), ("slack", "SLACK_BOT_TOKEN")]
)
def test_without_a_factory_the_environment_has_to_hold_the_credentials(
    connector: str, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=rf"{variable} is not set.*\[clients\]"):
        config.client_for(connector)
    monkeypatch.setenv(variable, "canary-credential")
    client: Any = config.client_for(connector)
    assert type(client).__module__.split(".")[0] in ("github", "stripe", "slack_sdk")


def test_modules_of_actions_are_imported_or_named(project: Path) -> None:
    (project / "my_actions.py").write_text("imported = True\n")
    write(project, '[actions]\nmodules = ["my_actions"]')
    config.import_actions()
    write(project, '[actions]\nmodules = ["my_actionz"]')
    with pytest.raises(ConfigError, match=r"\[actions\] modules: 'my_actionz' cannot be imported"):
        config.import_actions()
