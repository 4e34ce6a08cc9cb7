"""The operations table knows every method of the installed SDK, and which of them only read."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import slack_sdk
import slack_sdk.web
from agentguard_connectors.slack import slack

from agentguard.calls import Effect, Risk

WRITES_DECLARED_AS_GET = {
    "admin.conversations.restrictAccess.addGroup",
    "admin.conversations.restrictAccess.removeGroup",
    "admin.emoji.add",
    "admin.emoji.addAlias",
    "admin.emoji.remove",
    "admin.emoji.rename",
    "admin.teams.settings.setDefaultChannels",
    "admin.teams.settings.setIcon",
    "auth.revoke",
    "conversations.declineSharedInvite",
    "conversations.inviteShared",
    "dnd.setSnooze",
    "files.remote.share",
    "groups.createChild",
    "users.deletePhoto",
}
"""Methods that the SDK sends as GET in its asynchronous client although they change something."""
READ_NAMES = re.compile(r"(get|list)([A-Z]\w*)?|export|info|lookup|search|test|userInfo|validate")
READS_NAMED_LIKE_WRITES = {"assistant.search.context"}
"""It searches for context."""
WRITES_NAMED_LIKE_READS = {"files.getUploadURLExternal", "admin.users.unsupportedVersions.export"}


def declared() -> dict[str, set[str]]:
    """The methods that the SDK's sources name, with the verbs that they are declared with."""
    found: dict[str, set[str]] = {}
    folder = Path(slack_sdk.web.__file__).parent
    for name in ("client.py", "async_client.py", "legacy_client.py"):
        for node in ast.walk(ast.parse((folder / name).read_text())):
            called = (
                isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "api_call"
            )
            if called and node.args and isinstance(node.args[0], ast.Constant):
                verbs = [
                    k.value.value for k in node.keywords if k.arg == "http_verb" and isinstance(k.value, ast.Constant)
                ]
                found.setdefault(str(node.args[0].value), set()).update(verbs or ["POST"])
    return found


METHODS = declared()


def test_the_sdk_names_as_many_methods_as_it_did() -> None:
    assert len(METHODS) >= 340


@pytest.mark.parametrize("name", sorted(METHODS))
def test_the_table_knows_the_method_and_whether_it_reads(name: str) -> None:
    operation = slack.table.by_name[name]
    assert (operation.verb, operation.path) == ("POST", f"/{name}")
    if name in WRITES_DECLARED_AS_GET | WRITES_NAMED_LIKE_READS:
        assert not operation.reads
    elif METHODS[name] == {"GET"} or name in READS_NAMED_LIKE_WRITES:
        assert operation.reads
    else:
        assert operation.reads == bool(READ_NAMES.fullmatch(name.rpartition(".")[2]))
    for verb in ("GET", "POST"):
        assert slack.reads(verb, f"/api/{name}") == operation.reads


def test_methods_beyond_the_sdk_are_our_own_two() -> None:
    assert slack.table.by_name.keys() - METHODS.keys() == {"files.upload.bytes", "incoming-webhook"}


def test_every_operation_is_classified_in_exactly_one_place() -> None:
    for name, operation in slack.table.by_name.items():
        if name in slack.guarded:
            assert (operation.effect, operation.risk, operation.undo) == (None, None, ""), name
        else:
            assert operation.effect is not None, name
            assert operation.reads or (operation.risk and operation.undo), name


def test_administrators_deletions_are_critical() -> None:
    for name, operation in slack.table.by_name.items():
        if re.match(r"admin\..*\.(delete|bulkDelete)$", name):
            assert slack.facts(operation)[1] is Risk.CRITICAL, name
        elif name.startswith("admin.") and not operation.reads and operation.effect is not Effect.DRAFT:
            assert slack.facts(operation)[1] >= Risk.HIGH, name


def test_what_nobody_knows_is_no_read() -> None:
    assert not slack.reads("GET", "/api/conversations.somethingNew")
    assert not slack.reads("GET", "/")


@pytest.mark.parametrize(
    "operation",
    [
        "chat.postMessage",
        "chat.update",
        "chat.delete",
        "conversations.create",
        "files.upload",
        "usergroups.create",
        "reactions.add",
        "stars.add",
        "conversations.rename",
        "conversations.setTopic",
        "conversations.setPurpose",
        "users.profile.set",
        "usergroups.update",
        "usergroups.users.update",
        "conversations.archive",
        "conversations.invite",
        "conversations.kick",
        "conversations.join",
        "conversations.leave",
        "conversations.close",
        "conversations.open",
        "usergroups.enable",
        "usergroups.disable",
        "files.delete",
    ],
)
def test_what_people_expect_to_be_undone_is_guarded(operation: str) -> None:
    assert operation in slack.guarded


def test_the_documentation_says_what_becomes_of_every_guarded_operation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "connectors" / "slack.md").read_text()
    assert [name for name in slack.guarded if f"`{name}`" not in page] == []
