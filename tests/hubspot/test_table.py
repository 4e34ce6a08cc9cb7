"""The table of operations, against everything that the installed SDK can send."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import hubspot as sdk
import pytest
from agentguard_connectors.hubspot import hubspot

from agentguard import Effect, Risk
from agentguard.operations import Match

FOLDER = Path(sdk.__file__).parent
READING_POSTS = ("/search", "/batch/read", "/read", "/validate", "/idmapping")


def sites() -> Iterator[tuple[str, str, str]]:
    """Verb, path and method of every `call_api` in the SDK."""
    for path in sorted(FOLDER.rglob("api/*_api.py")):
        for function in re.split(r"\n    def ", path.read_text()):
            call = re.search(r'call_api\(\s*"([^"]+)",\s*"([A-Z]+)"', function)
            if call:
                yield call[2], call[1], f"{path.parent.parent.relative_to(FOLDER)}.{function.partition('(')[0]}"


SITES = list(sites())


def found(verb: str, path: str) -> Match | None:
    """The operation that a path of the SDK belongs to, with each parameter filled in."""
    return hubspot.table.match(verb, path.replace("{", "a").replace("}", "z"))


def test_the_sdk_has_as_many_methods_as_were_counted() -> None:
    assert len(SITES) == 644


def test_every_method_of_the_sdk_is_in_the_table() -> None:
    assert [site for site in SITES if found(*site[:2]) is None] == []


def test_every_operation_of_the_table_is_in_the_sdk() -> None:
    reached = {match.operation.name for site in SITES if (match := found(*site[:2]))}
    # The account's number is read with a request of our own.
    assert hubspot.table.by_name.keys() - reached == {"account_info.details"}


def test_a_method_is_a_read_if_and_only_if_it_changes_nothing() -> None:
    for verb, path, method in SITES:
        match = found(verb, path)
        assert match is not None
        reads = verb == "GET" or (verb == "POST" and path.endswith(READING_POSTS)) or method.endswith("get_page")
        reads = reads or "do_search" in method or "do_validate" in method
        assert match.operation.reads is reads, (verb, path, method)


@pytest.mark.parametrize("kind", ["contacts", "companies", "deals", "tickets", "notes", "tasks", "0-1", "p_custom"])
def test_all_types_of_records_are_one_operation(kind: str) -> None:
    match = hubspot.table.match("PATCH", f"/crm/v3/objects/{kind}/7")
    assert match is not None
    assert match.operation.name == "crm.objects.update"
    assert match.arguments == {"objectType": kind, "objectId": "7"}


def test_every_write_is_classified() -> None:
    writes = [row for row in hubspot.table.by_name.values() if not row.reads]
    unclassified = [row.name for row in writes if row.name not in hubspot.guarded and not (row.effect and row.risk)]
    assert unclassified == []
    assert all(row.effect is None for row in writes if row.name in hubspot.guarded)
    assert all(row.undo for row in writes if row.name not in hubspot.guarded)


@pytest.mark.parametrize("name", ["crm.objects.merge", "crm.objects.gdpr_delete"])
def test_what_cannot_be_taken_back_is_critical(name: str) -> None:
    assert hubspot.facts(hubspot.table.by_name[name]) == (Effect.IRREVERSIBLE, Risk.CRITICAL)


def test_the_operations_that_others_register_are_among_ours() -> None:
    others = {
        ("POST", "/crm/v3/objects/{kind}"),
        ("PATCH", "/crm/v3/objects/{kind}/7"),
        ("DELETE", "/crm/v3/objects/{kind}/7"),
    }
    kinds = ("contacts", "deals", "companies", "tickets", "notes", "calls", "emails", "meetings", "tasks")
    wanted = {(verb, path.replace("{kind}", kind)) for verb, path in others for kind in kinds}
    wanted |= {
        ("PUT", "/crm/v4/objects/contacts/1/associations/companies/2"),
        ("PUT", "/crm/v3/lists/1/memberships/add"),
        ("PUT", "/crm/v3/lists/1/memberships/remove"),
    }
    for verb, path in wanted:
        match = hubspot.table.match(verb, path)
        assert match is not None
        assert match.operation.name in hubspot.guarded
        assert hubspot.facts(match.operation)[0] in (Effect.REVERSIBLE, Effect.COMPENSABLE)
