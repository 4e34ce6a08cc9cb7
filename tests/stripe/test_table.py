"""The table of Stripe's operations against the installed SDK, and what is said about each operation."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import stripe as sdk
from agentguard_connectors.stripe import stripe as connector
from agentguard_connectors.stripe.finders import EVENTS

from agentguard import Effect, Risk

PACKAGE = Path(sdk.__file__).parent
OTHERS_UNDO = [
    "billing.meter_events.create",
    "charges.create",
    "coupons.create",
    "coupons.delete",
    "customers.create",
    "customers.delete",
    "invoices.create",
    "payment_methods.attach",
    "payment_methods.detach",
    "refunds.create",
]


def requests_in(path: Path) -> Iterator[tuple[str, str]]:
    """Verb and path of each `self._request(...)` in a service of the SDK."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or len(node.args) < 2:
            continue
        verb, where = node.args[0], node.args[1]
        if node.func.attr not in ("_request", "_request_async", "_request_stream") or not isinstance(
            verb, ast.Constant
        ):
            continue
        if isinstance(where, ast.Constant):
            yield verb.value.upper(), where.value
        elif isinstance(where, ast.Call) and isinstance(where.func, ast.Attribute):
            assert isinstance(where.func.value, ast.Constant)
            yield verb.value.upper(), re.sub(r"{\w+}", "x", where.func.value.value)


def test_every_request_of_the_installed_sdk_is_in_the_table() -> None:
    services = sorted(PACKAGE.rglob("_*_service.py"))
    sites = {site for path in services for site in requests_in(path)}
    assert len(sites) > 600
    assert [site for site in sorted(sites) if connector.table.match(*site) is None] == []


def test_only_what_certainly_changes_nothing_is_called_a_read() -> None:
    reads = [operation for operation in connector.table.by_name.values() if operation.reads]
    assert [op.name for op in reads if op.verb != "GET"] == ["invoices.create_preview"]
    assert all(connector.reads(op.verb, op.path) for op in reads)
    writes = [operation for operation in connector.table.by_name.values() if not operation.reads]
    assert not any(connector.reads(op.verb, op.path) for op in writes)


def test_every_write_without_a_handler_says_what_is_known_about_taking_it_back() -> None:
    for operation in connector.table.by_name.values():
        if operation.name in connector.guarded:
            assert operation.effect is None, operation.name
        elif not operation.reads:
            assert operation.effect, operation.name
            assert operation.risk, operation.name
            assert operation.undo, operation.name


def test_money_that_leaves_for_good_is_critical() -> None:
    for name in ("payouts.create", "transfers.create", "topups.create", "v2.money_management.outbound_payments.create"):
        assert connector.facts(connector.table.by_name[name]) == (Effect.IRREVERSIBLE, Risk.CRITICAL)


@pytest.mark.parametrize(
    "name",
    ["charges.create", "charges.capture", "invoices.pay", "payment_intents.confirm", "refunds.create"],
)
def test_whatever_moves_money_asks_a_person(name: str) -> None:
    assert connector.guarded[name].risk is Risk.HIGH


def test_what_others_undo_is_guarded_here() -> None:
    assert set(OTHERS_UNDO) <= set(connector.guarded)


def test_every_handler_says_in_a_sentence_what_it_does() -> None:
    for guarded in connector.guarded.values():
        assert guarded.summary.endswith("."), guarded.operation
        assert guarded.where.endswith(")"), guarded.operation


def test_importing_the_connector_imports_no_sdk() -> None:
    import subprocess
    import sys

    code = "import sys, agentguard_connectors.stripe; print('stripe' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


def test_the_documentation_lists_every_guarded_operation_as_it_is() -> None:
    text = (Path(__file__).parents[2] / "docs" / "connectors" / "stripe.md").read_text()
    listed = dict(re.findall(r"^\| `([\w.]+)` \| (.*) \|$", text, re.MULTILINE))
    assert listed == {
        name: f"{guarded.effect} | {guarded.risk} | {guarded.summary}" for name, guarded in connector.guarded.items()
    }


def test_every_event_that_is_looked_for_is_one_that_stripe_sends() -> None:
    known = (PACKAGE / "params" / "_webhook_endpoint_create_params.py").read_text()
    for kinds in EVENTS.values():
        assert all(f'"{kind}"' in known or f"'{kind}'" in known for kind in kinds)
