from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from agentguard.policy import AmountAbove, Condition, Reading, Rule, Subject, Untold
from agentguard.policy.conditions import applies, holds

YES, NO, UNTOLD = True, False, None


def given(**arguments: Any) -> Subject:
    return Subject("notes", "notes.write", arguments=arguments)


def when(argument: str = "x", **asked: Any) -> Condition:
    names = {"in": "in_", "not": "not_", "any": "any_"}
    return Condition(argument=argument, **{names.get(name, name): value for name, value in asked.items()})


@pytest.mark.parametrize(
    ("condition", "value", "answer"),
    [
        (when(exists=True), "a", YES),
        (when(exists=True), None, NO),
        (when(exists=False), None, YES),
        (when(exists=False), "", NO),
        (when(equals="a"), "a", YES),
        (when(equals="a"), "b", NO),
        (when(equals="a"), None, NO),
        (when(equals="a"), ["a", "a"], YES),
        (when(equals="a"), ["a", "b"], UNTOLD),
        (when(equals=["a", "b"]), ["a", "b"], YES),
        (when(equals=True), "true", YES),
        (when(equals=True), 1, NO),
        (when(equals=5), "5", YES),
        (when(equals={"a": 1}), {"a": 1}, YES),
        (when(**{"in": ["a", "b"]}), "b", YES),
        (when(**{"in": ["a", "b"]}), ["a", "b"], YES),
        (when(**{"in": ["a", "b"]}), ["a", "c"], UNTOLD),
        (when(**{"in": ["a", "b"]}), "c", NO),
        (when(**{"in": ["a"]}), None, NO),
        (when(not_in=["a"]), "b", YES),
        (when(not_in=["a"]), "a", NO),
        (when(not_in=["a"]), ["a", "b"], UNTOLD),
        (when(not_in=["a"]), None, UNTOLD),
        (when(contains="secret"), "a secret plan", YES),
        (when(contains="secret"), "a plan", NO),
        (when(contains="a"), ["a", "b"], YES),
        (when(contains="a"), ["ab"], NO),
        (when(contains="a"), {"a": 1}, YES),
        (when(contains="a"), None, NO),
        (when(contains="5"), 5, NO),
        (when(matches="prod-.*"), "prod-eu", YES),
        (when(matches="prod-.*"), "nonprod-eu", NO),
        (when(matches="prod-.*"), ["prod-a", "prod-b"], YES),
        (when(matches="prod-.*"), ["prod-a", "dev"], UNTOLD),
        (when(matches="a*"), "a" * 5000, UNTOLD),
        (when(matches="a"), {"a": 1}, UNTOLD),
        (when(matches="a"), None, NO),
        (when(matches="[0-9]+"), 15, YES),
        (when(greater=10), 11, YES),
        (when(greater=10), 10, NO),
        (when(greater=10), "11.5", YES),
        (when(greater=10), "many", UNTOLD),
        (when(greater=10), True, UNTOLD),
        (when(greater=10), "NaN", UNTOLD),
        (when(greater=10), "9" * 500, UNTOLD),
        (when(greater=10), None, UNTOLD),
        (when(greater=10), [5, 20], UNTOLD),
        (when(greater=10), [15, 20], YES),
        (when(less=10), 9, YES),
        (when(less=10), 10, NO),
        (when(less=10), None, UNTOLD),
        (when(less=10, greater=5), 7, YES),
        (when(less=10, greater=5), 4, NO),
        (when(count_above=2), [1, 2, 3], YES),
        (when(count_above=2), [1, 2], NO),
        (when(count_above=0), "one", YES),
        (when(count_above=0), None, NO),
        (when(count_above=1), {"a": 1, "b": 2}, YES),
        (when(domain_in=["acme.com"]), "a@acme.com", YES),
        (when(domain_in=["acme.com"]), "a@acme.com, b@other.com", NO),
        (when(domain_in="acme.com"), "A <a@ACME.com>", YES),
        (when(domain_in=["acme.com"]), "a@eu.acme.com", NO),
        (when(domain_in=["*.acme.com"]), "a@eu.acme.com", YES),
        (when(domain_in=["*.acme.com"]), "a@acme.com", NO),
        (when(domain_in=["*.acme.com"]), "a@evilacme.com", NO),
        (when(domain_in=["acme.com"]), "nobody", NO),
        (when(domain_in=["acme.com"]), None, NO),
        (when(domain_not_in=["acme.com"]), "a@acme.com", NO),
        (when(domain_not_in=["acme.com"]), ["a@acme.com", "b@other.com"], YES),
        (when(domain_not_in=["acme.com"]), "nobody", YES),
        (when(domain_not_in=["acme.com"]), [{"email": "b@acme.com"}], NO),
        (when(domain_not_in=["acme.com"]), [{"name": "b"}], YES),
        (when(domain_not_in=["acme.com"]), 7, YES),
        (when(domain_not_in=["acme.com"]), None, NO),
    ],
)
def test_each_question_has_one_of_three_answers(condition: Condition, value: Any, answer: bool | None) -> None:
    assert holds(condition, given(x=value)) is answer
    opposite = None if answer is None else not answer
    assert holds(Condition(not_=condition), given(x=value)) is opposite


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("properties.stage", YES),
        ("inputs.id", YES),
        ("inputs.0.id", YES),
        ("inputs.1.id", NO),
        ("properties.other", NO),
        ("inputs.9.id", NO),
        ("name.with.dots", YES),
        ("name", NO),
    ],
)
def test_a_path_goes_into_objects_and_lists(path: str, answer: bool) -> None:
    arguments = {"properties": {"stage": "a"}, "inputs": [{"id": "a"}, {"name": "b"}], "name.with.dots": "a"}
    assert holds(when(path, equals="a"), given(**arguments)) is answer


def test_any_takes_one_that_is_so_and_knows_when_it_cannot_tell() -> None:
    either = Condition(any_=[when("x", equals="a"), when("y", greater=5)])
    assert holds(either, given(x="a")) is YES
    assert holds(either, given(x="b", y=6)) is YES
    assert holds(either, given(x="b", y=1)) is NO
    assert holds(either, given(x="b")) is UNTOLD


def test_all_that_a_condition_asks_has_to_be_so() -> None:
    both = Condition(argument="x", matches="a.*", not_=when("y", exists=True))
    assert holds(both, given(x="ab")) is YES
    assert holds(both, given(x="ab", y=1)) is NO
    assert holds(both, given(x="b")) is NO


def paying(*amount: Any, raises: Exception | None = None, **arguments: Any) -> Subject:
    def tell(_call: Any) -> Any:
        if raises:
            raise raises
        return amount or None

    return Subject("bank", "bank.pay", arguments=arguments, reading=Reading(amount=tell))


@pytest.mark.parametrize(
    ("subject", "answer"),
    [
        (paying(Decimal("500.01"), "USD"), YES),
        (paying(Decimal(500), "usd"), NO),
        (paying(Decimal(-900), "USD"), YES),
        (paying(Decimal(1), "EUR"), UNTOLD),
        (paying(), NO),
        (paying(raises=Untold("the invoice decides")), UNTOLD),
        (paying(raises=KeyError("amount")), UNTOLD),
        (paying(Decimal("NaN"), "USD"), UNTOLD),
        (given(amount=900, currency="USD"), UNTOLD),
    ],
)
def test_an_amount_that_the_service_tells_is_compared_in_one_currency(subject: Subject, answer: bool | None) -> None:
    assert holds(Condition(amount_above=AmountAbove(value=500, currency="USD")), subject) is answer


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ({"price": {"value": "500.50"}, "unit": "usd"}, YES),
        ({"price": {"value": 500}, "unit": "USD"}, NO),
        ({"price": {"value": 900}, "unit": "EUR"}, UNTOLD),
        ({"price": {"value": 900}}, UNTOLD),
        ({"unit": "USD"}, UNTOLD),
        ({"price": {"value": "a lot"}, "unit": "USD"}, UNTOLD),
    ],
)
def test_an_amount_can_stand_in_an_argument(arguments: dict[str, Any], answer: bool | None) -> None:
    above = AmountAbove(value=500, currency="USD", argument="price.value", currency_argument="unit")
    assert holds(Condition(amount_above=above), given(**arguments)) is answer


def test_an_argument_without_a_currency_is_in_that_of_the_rule() -> None:
    above = AmountAbove(value="0.30", currency="USD", argument="price")
    assert holds(Condition(amount_above=above), given(price=0.31)) is YES
    assert holds(Condition(amount_above=above), given(price="0.3")) is NO


def call(**more: Any) -> Subject:
    known = {"account": "https://api.stripe.com#acct_live", "target": "acme/hr", "agent": "a", "environment": "prod"}
    return Subject("stripe", "stripe.refunds.create", **{**known, **more})


@pytest.mark.parametrize(
    ("rule", "answer"),
    [
        ({"operations": "stripe.*"}, YES),
        ({"operations": ["github.*", "*.refunds.create"]}, YES),
        ({"operations": "stripe.refunds"}, NO),
        ({"accounts": "*#acct_live"}, YES),
        ({"accounts": "*#acct_test"}, NO),
        ({"targets": "acme/*"}, YES),
        ({"targets": ["acme", "other/*"]}, NO),
        ({"agents": ["a", "b"]}, YES),
        ({"agents": "c*"}, NO),
        ({"environments": ["prod*"]}, YES),
        ({"environments": ["staging"]}, NO),
    ],
)
def test_a_rule_is_for_what_it_names(rule: dict[str, Any], answer: bool) -> None:
    assert applies(Rule(**rule, then="ask"), call()) is answer


def test_an_account_or_environment_that_nobody_knows_is_not_taken_for_another() -> None:
    assert applies(Rule(accounts="*#acct_live", then="ask"), call(account="")) is UNTOLD
    assert applies(Rule(environments="prod", then="ask"), call(environment="")) is UNTOLD
    assert applies(Rule(operations="github.*", environments="prod", then="ask"), call(environment="")) is NO


@pytest.mark.parametrize(
    ("reading", "arguments", "outside"),
    [
        (Reading(), {}, UNTOLD),
        (Reading(), {"body": "hi"}, UNTOLD),
        (Reading(), {"to": "a@acme.com"}, NO),
        (Reading(), {"to": "a@acme.com", "cc": ["b@other.com"]}, YES),
        (Reading(lambda _call: []), {"to": "b@other.com"}, NO),
        (Reading(lambda _call: ["b@other.com"]), {"to": "a@acme.com"}, YES),
    ],
)
def test_to_stands_for_all_to_whom_a_call_writes(reading: Reading, arguments: dict[str, Any], outside: Any) -> None:
    call = Subject("mail", "mail.send", arguments=arguments, reading=reading)
    for name in ("to", "cc", "bcc", "recipients"):
        assert holds(when(name, domain_not_in=["acme.com"]), call) is outside
    assert holds(when("to", count_above=99), call) is (UNTOLD if outside is UNTOLD else NO)


def test_a_reading_that_breaks_down_tells_nothing() -> None:
    def broken(_call: Any) -> list[str]:
        raise KeyError("raw")

    call = Subject("mail", "mail.send", arguments={"to": "a@acme.com"}, reading=Reading(broken))
    assert holds(when("to", domain_in=["acme.com"]), call) is UNTOLD
