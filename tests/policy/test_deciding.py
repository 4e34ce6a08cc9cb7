from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentguard.calls import Effect, Risk
from agentguard.errors import ConfigError
from agentguard.policy import (
    DEFAULT,
    AmountAbove,
    Approvals,
    Audit,
    Compensation,
    Condition,
    Duration,
    Limit,
    Policy,
    Reading,
    Rule,
    Subject,
    Untold,
    Unwind,
    Used,
    Verdict,
    load_policy,
)
from agentguard.policy.conditions import applies
from agentguard.policy.model import strictness
from tests.policy.conftest import subject

DELETE, POST = "github.repos.delete", "slack.chat.postMessage"


@pytest.mark.parametrize(
    ("risk", "verdict"),
    [
        (Risk.LOW, Verdict.ALLOW),
        (Risk.MEDIUM, Verdict.ALLOW),
        (Risk.HIGH, Verdict.ASK),
        (Risk.CRITICAL, Verdict.ASK),
    ],
)
def test_without_a_rule_the_risk_decides(risk: Risk, verdict: Verdict) -> None:
    decision = Policy().decide(subject(POST, risk=risk))
    assert (decision.verdict, decision.risk, decision.rule, decision.place) == (verdict, risk, DEFAULT, "")
    assert decision.reason == f"it is of {risk} risk"


def test_a_read_is_allowed_whatever_the_rules_say() -> None:
    policy = Policy([Rule(then="refuse")], [Limit(name="none", operations="*", count=0, then="refuse")])
    assert policy.decide(subject("github.issues.get")).verdict is Verdict.ALLOW


def test_the_first_rule_that_is_for_the_call_decides() -> None:
    policy = Policy([Rule(name="a", operations="slack.*", then="ask"), Rule(name="b", then="hold")])
    assert policy.decide(subject(POST)).rule == "a"
    assert policy.decide(subject(DELETE)).rule == "b"
    assert Policy(policy.rules[::-1]).decide(subject(POST)).rule == "b"


def test_a_rule_that_allows_first_wins_over_one_that_asks_later() -> None:
    policy = Policy([Rule(operations=DELETE, then="allow"), Rule(operations="github.*", then="ask")])
    decision = policy.decide(subject(DELETE))
    assert (decision.verdict, decision.rule, decision.place) == (Verdict.ALLOW, "rule 1", "rules[0]")


def test_a_rule_that_refuses_wins_wherever_it_stands() -> None:
    policy = Policy([Rule(then="allow"), Rule(name="never", operations=DELETE, then="refuse", reason="We keep them")])
    decision = policy.decide(subject(DELETE))
    assert (decision.verdict, decision.rule, decision.reason) == (Verdict.REFUSE, "never", "We keep them")
    assert policy.decide(subject(POST)).verdict is Verdict.ALLOW


@pytest.mark.parametrize(("risk", "verdict"), [("low", "allow"), ("medium", "allow"), ("high", "ask")])
def test_a_rule_can_change_the_risk_and_leave_the_rest_to_it(risk: str, verdict: str) -> None:
    for operation in (DELETE, POST):
        decision = Policy([Rule(risk=Risk(risk))]).decide(subject(operation))
        assert (decision.risk.value, decision.verdict.value) == (risk, verdict)


def test_rules_choose_by_the_risk_that_the_connector_sees() -> None:
    policy = Policy([Rule(risks=[Risk.LOW], risk=Risk.CRITICAL), Rule(risks=[Risk.CRITICAL], then="refuse")])
    assert policy.decide(subject(POST)).verdict is Verdict.ASK
    assert policy.decide(subject(DELETE)).verdict is Verdict.REFUSE


def test_rules_choose_by_effect() -> None:
    policy = Policy([Rule(effects=[Effect.IRREVERSIBLE], then="hold")])
    assert policy.decide(subject(DELETE)).verdict is Verdict.HOLD
    assert policy.decide(subject(POST)).rule == DEFAULT


def test_a_rule_says_how_a_call_is_taken_back_and_whether_it_is_looked_at() -> None:
    decision = Policy([Rule(operations=POST, compensation=Compensation.DELETE, verify=True)]).decide(subject(POST))
    assert (decision.verdict, decision.compensation, decision.verify) == ("allow", "delete", True)
    decision = Policy().decide(subject(POST))
    assert (decision.compensation, decision.verify) == ("handler", False)


# What the call does not show

UNSHOWN = Condition(argument="size", greater=5)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["allow"], "ask"),  # the default of a call of high risk
        (["allow", "hold!"], "hold"),
        (["ask", "hold!"], "hold"),
        (["hold", "ask!"], "hold"),
        (["hold", "allow!"], "hold"),
        (["ask", "allow", "allow!"], "ask"),
        (["allow", "allow!"], "allow"),
        (["refuse", "allow!"], "refuse"),
        (["allow!", "refuse"], "refuse"),
        (["allow!", "hold"], "allow"),
    ],
)
def test_what_a_call_does_not_show_is_held_against_it(verdicts: list[str], expected: str) -> None:
    rules = [
        Rule(then=Verdict(verdict.rstrip("!")), **({} if verdict.endswith("!") else {"when": UNSHOWN}))
        for verdict in verdicts
    ]
    decision = Policy(rules).decide(subject(DELETE))
    assert decision.verdict == expected


def test_the_reason_says_that_something_was_not_shown() -> None:
    decision = Policy([Rule(name="big", when=UNSHOWN, then="hold")]).decide(subject(POST))
    assert (decision.verdict, decision.rule) == (Verdict.HOLD, "big")
    assert "does not show" in decision.reason


# Limits


def used(count: int = 0, amount: str | None = "0") -> Any:
    return lambda _limit: Used(count, None if amount is None else Decimal(amount))


def test_a_limit_of_calls_asks_when_it_is_reached() -> None:
    policy = Policy(limits=[Limit(name="posts", operations="slack.*", count=2)])
    assert policy.decide(subject(POST), used(1)).verdict is Verdict.ALLOW
    decision = policy.decide(subject(POST), used(2))
    assert (decision.verdict, decision.rule, decision.place) == (Verdict.ASK, "posts", "limits[0]")
    assert "2 went before, this is 1 more, and 2 calls may go per session" in decision.reason
    assert policy.decide(subject("notion.pages.create"), used(9)).rule == DEFAULT


def test_a_limit_makes_nothing_milder() -> None:
    policy = Policy([Rule(then="hold")], [Limit(name="posts", operations="*", count=0, then="ask")])
    assert policy.decide(subject(POST)).verdict is Verdict.HOLD


def test_of_several_limits_the_strictest_counts() -> None:
    limits = [Limit(name=word, operations="*", count=0, then=Verdict(word)) for word in ("ask", "refuse", "hold")]
    assert Policy(limits=limits).decide(subject(POST)).rule == "refuse"


def test_a_limit_can_count_what_one_call_names() -> None:
    policy = Policy(limits=[Limit(name="bulk", operations="gmail.*", count=100, each="ids", then="refuse")])
    bulk = "gmail.users.messages.batchModify"
    assert policy.decide(subject(bulk, {"ids": ["x"] * 100})).verdict is Verdict.ALLOW
    assert policy.decide(subject(bulk, {"ids": ["x"] * 101})).verdict is Verdict.REFUSE
    assert policy.decide(subject(bulk, {"ids": ["x"] * 60}), used(41)).verdict is Verdict.REFUSE


def refund(**arguments: Any) -> Subject:
    return subject("stripe.refunds.create", arguments, risk=Risk.LOW)


MONEY = Limit(name="money", operations="stripe.refunds.create", amount=500, currency="USD", then="hold")


@pytest.mark.parametrize(
    ("arguments", "before", "verdict"),
    [
        ({"amount": 50000, "currency": "usd"}, "0", "allow"),
        ({"amount": "50001", "currency": "usd"}, "0", "hold"),
        ({"amount": 10000, "currency": "usd"}, "400.00", "allow"),
        ({"amount": 10000, "currency": "usd"}, "400.01", "hold"),
        ({"amount": 1, "currency": "eur"}, "0", "hold"),
        ({"amount": 1}, "0", "hold"),
        ({"charge": "ch_1"}, "0", "hold"),
        ({"amount": 1, "currency": "usd"}, None, "hold"),
    ],
)
def test_a_limit_of_money_counts_in_whole_units(arguments: dict[str, Any], before: str | None, verdict: str) -> None:
    assert Policy(limits=[MONEY]).decide(refund(**arguments), used(0, before)).verdict == verdict


def test_the_policy_can_say_in_what_currency_an_amount_is_that_does_not_say_it() -> None:
    policy = Policy(limits=[MONEY], currency="USD")
    assert policy.decide(refund(amount=50000)).verdict is Verdict.ALLOW
    assert policy.decide(refund(amount=50001)).verdict is Verdict.HOLD
    assert policy.decide(refund(amount=50000, currency="eur")).verdict is Verdict.HOLD
    assert policy.decide(refund()).verdict is Verdict.HOLD
    assert Policy(limits=[MONEY], currency="JPY").decide(refund(amount=50000)).verdict is Verdict.HOLD


def test_a_limit_that_cannot_be_counted_is_reached() -> None:
    def broken(_limit: Limit) -> Used:
        raise OSError("the ledger is locked")

    decision = Policy(limits=[Limit(name="posts", operations="*", count=9, then="refuse")]).decide(
        subject(POST), broken
    )
    assert decision.verdict is Verdict.REFUSE
    assert "OSError: the ledger is locked" in decision.reason


def test_a_fault_in_the_policy_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_rule: Rule, _subject: Subject) -> bool:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr("agentguard.policy.deciding.applies", broken)
    decision = Policy([Rule(then="allow")]).decide(subject(POST))
    assert (decision.verdict, decision.rule) == (Verdict.REFUSE, "a fault in the policy")
    assert "ZeroDivisionError: a fault of ours" in decision.reason


# The policy as a whole


def test_the_version_is_that_of_the_content_and_not_of_the_file() -> None:
    rule = {"operations": ["slack.*"], "then": "ask"}
    first = load_policy({"policy": {"rules": [rule]}})
    assert first.version == Policy([Rule(operations="slack.*", then="ask")], source="elsewhere.toml").version
    assert len(first.version) == 64
    changes: list[Policy] = [
        Policy([Rule(operations="slack.*", then="hold")]),
        Policy([Rule(operations="slack.*", then="ask", reason="why")]),
        Policy([Rule(operations="slack.*", then="ask")], currency="USD"),
        Policy([Rule(operations="slack.*", then="ask")], unwind=Unwind(timeout=Duration("30s"))),
        Policy([Rule(operations="slack.*", then="ask")], audit=Audit(snapshots=False)),
        Policy([Rule(operations="slack.*", then="ask")], approvals=Approvals(must_differ=False)),
        Policy([Rule(operations="slack.*", then="ask")], [Limit(name="a", operations="*", count=1)]),
        Policy(),
    ]
    assert len({first.version, *(policy.version for policy in changes)}) == len(changes) + 1


def test_what_is_written_in_python_can_be_written_into_a_file() -> None:
    condition = Condition(argument="a", in_=[1, "b"], not_=Condition(argument="c", exists=True))
    rules = [
        Rule(name="a", operations=["stripe.*"], risks=[Risk.HIGH], when=condition, then="hold", verify=True),
        Rule(when=Condition(amount_above=AmountAbove(value="0.5", currency="USD")), risk=Risk.LOW),
        Rule(when=[Condition(any_=[Condition(argument="to", domain_in="acme.com"), condition])], then="ask"),
    ]
    limits = [Limit(name="b", operations="gmail.*", per="1d", count=3, each="recipients", then="hold")]
    policy = Policy(rules, limits, "EUR", Unwind(timeout=Duration("90s")), Audit(retention=Duration("90d")))
    assert load_policy(policy.to_dict()).version == policy.version


def test_a_policy_made_in_python_is_checked_when_it_is_asked_to_be() -> None:
    with pytest.raises(ConfigError, match=r"rules\[1\]\.operations\[0\]: 'github.repo.delete' matches no operation"):
        Policy([Rule(then="ask"), Rule(operations="github.repo.delete", then="ask")]).check()
    with pytest.raises(ConfigError, match=r"limits\[0\]\.operations\[0\]: 'crm\.x' matches no operation: no connector"):
        Policy(limits=[Limit(name="a", operations="crm.x", count=1)]).check()
    assert Policy([Rule(operations=["github.*", "*.delete", "action.notes.add"], then="ask")]).check().rules


@pytest.mark.parametrize(
    ("make", "place"),
    [
        (lambda: Rule(then="maybe"), "rules[0].then: Invalid value 'maybe'; there are allow, ask, hold, refuse"),
        (lambda: Rule(operations=[5], then="ask"), "rules[0].operations[0]: Expected `str`, got `int`"),
        (lambda: Rule(risks=["huge"], then="ask"), "rules[0].risks[0]: Invalid value 'huge'; there are low, medium"),
        (lambda: Rule(when={"argument": "a", "equal": 1}, then="ask"), "rules[0].when"),
        (
            lambda: Rule(when=Condition(argument="a", equals=object()), then="ask"),
            "rules[0]: it holds what is not JSON",
        ),
    ],
)
def test_what_a_file_could_not_hold_is_refused_in_python_too(make: Any, place: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Policy([make()])
    assert str(raised.value).startswith(place)


def test_rules_cannot_be_changed() -> None:
    policy = Policy([Rule(operations=["slack.*"], then="ask")])
    with pytest.raises(AttributeError):
        policy.rules[0].then = Verdict.ALLOW  # type: ignore[misc]  # it is what is tested
    assert isinstance(policy.rules, tuple)
    assert isinstance(policy.rules[0].operations, tuple)


# Whatever the policy and the call

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "id"]), inner, max_size=2),
    max_leaves=5,
)
NAMES = st.sampled_from(["a", "b", "a.b", "to", "recipients", "amount", "ids"])
LEAVES = st.one_of(
    st.builds(lambda n, v: Condition(argument=n, equals=v), NAMES, VALUES),
    st.builds(lambda n, v: Condition(argument=n, in_=v), NAMES, st.lists(VALUES.filter(bool), min_size=1, max_size=2)),
    st.builds(lambda n, v: Condition(argument=n, not_in=v), NAMES, st.lists(st.integers(), min_size=1, max_size=2)),
    st.builds(lambda n, v: Condition(argument=n, exists=v), NAMES, st.booleans()),
    st.builds(lambda n, v: Condition(argument=n, contains=v), NAMES, st.text(max_size=3)),
    st.builds(lambda n, v: Condition(argument=n, matches=v), NAMES, st.sampled_from(["a*", "(a|b)+", ".*", "[^a]"])),
    st.builds(lambda n, v: Condition(argument=n, greater=v), NAMES, st.integers(-5, 5)),
    st.builds(lambda n, v: Condition(argument=n, less=v), NAMES, st.floats(-5, 5)),
    st.builds(lambda n, v: Condition(argument=n, count_above=v), NAMES, st.integers(0, 3)),
    st.builds(lambda n: Condition(argument=n, domain_in="acme.com"), NAMES),
    st.builds(lambda n: Condition(argument=n, domain_not_in=["acme.com"]), NAMES),
    st.just(Condition(amount_above=AmountAbove(value=1, currency="USD"))),
    st.builds(lambda n: Condition(amount_above=AmountAbove(value=1, currency="USD", argument=n)), NAMES),
)
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(lambda c: Condition(not_=c), inner)
        | st.builds(lambda c: Condition(any_=c), st.lists(inner, min_size=1, max_size=2))
    ),
    max_leaves=3,
)
PATTERNS = st.sampled_from(["*", "bank.*", "bank.pay", "*.send", "mail.*"])
RULES = st.builds(
    lambda operations, when, then, risk: Rule(
        operations=operations,
        **({"when": when} if when else {}),
        **({"then": then} if then else {"risk": risk}),
    ),
    PATTERNS,
    st.none() | CONDITIONS,
    st.none() | st.sampled_from(list(Verdict)),
    st.sampled_from(list(Risk)),
)
LIMITS = st.lists(
    st.tuples(PATTERNS, st.integers(0, 3), st.sampled_from(["ask", "hold", "refuse"]), st.none() | NAMES), max_size=2
).map(
    lambda given: [
        Limit(name=f"limit {at}", operations=o, count=c, then=Verdict(t), each=e, amount=c, currency="USD")
        for at, (o, c, t, e) in enumerate(given)
    ]
)


def _odd(answer: Any) -> Any:
    def read(_call: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return read


READINGS = st.builds(
    Reading,
    st.none()
    | st.sampled_from([["a@acme.com"], ["a@x.com"], [], "nobody", [None], Untold("?"), ValueError("?")]).map(_odd),
    st.none()
    | st.sampled_from(
        [None, (Decimal(5), "USD"), (Decimal("NaN"), "USD"), ("5", "USD"), (Decimal(1), "EUR"), 5, KeyError("?")]
    ).map(_odd),
)
CALLS = st.builds(
    Subject,
    st.just("bank"),
    st.sampled_from(["bank.pay", "mail.send", "x"]),
    st.sampled_from(["", "acct"]),
    st.text(max_size=3),
    st.dictionaries(st.sampled_from(["a", "b", "to", "amount", "ids"]), VALUES, max_size=3),
    st.sampled_from([effect for effect in Effect if effect is not Effect.READ]),
    st.sampled_from(list(Risk)),
    st.text(max_size=2),
    st.text(max_size=2),
    READINGS,
)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(RULES, max_size=5), LIMITS, CALLS)
def test_deciding_never_raises_and_never_lets_pass_what_is_refused(
    rules: list[Rule], limits: list[Limit], call: Subject
) -> None:
    policy = Policy(rules, limits)
    decision = policy.decide(call)
    try:
        refused = any(rule.then is Verdict.REFUSE and applies(rule, call) is not False for rule in rules)
    except Exception:  # noqa: BLE001 - a reading that breaks its promise: then nothing goes
        refused = True
    assert (decision.verdict is Verdict.REFUSE) or not refused
    without = Policy(rules).decide(call)
    assert strictness(decision.verdict) >= strictness(without.verdict)
    assert msgspec.json.encode(decision.to_dict())
    assert len(policy.version) == 64


@settings(deadline=None)  # the machine may be busy
@given(st.lists(RULES, max_size=5), CALLS)
def test_a_further_rule_that_refuses_lets_no_more_pass(rules: list[Rule], call: Subject) -> None:
    stricter = Policy([*rules, Rule(operations="bank.*", then="refuse")]).decide(call)
    assert strictness(stricter.verdict) >= strictness(Policy(rules).decide(call).verdict)
