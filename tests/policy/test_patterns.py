from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentguard.policy.addresses import addresses_in, domain_of, is_within
from agentguard.policy.patterns import Expression, like


@pytest.mark.parametrize(
    ("pattern", "text", "so"),
    [
        ("a.b", "a.b", True),
        ("a.b", "axb", False),
        ("*", "", True),
        ("*", "a.b.c", True),
        ("a.*", "a.b.c", True),
        ("a.*", "a.", True),
        ("a.*", "a", False),
        ("*.c", "a.b.c", True),
        ("a*c*e", "abcde", True),
        ("a*a", "a", False),
        ("a*ab*b", "aab", False),
        ("A.*", "a.b", False),
        ("[a]", "a", False),
        ("a?", "ab", False),
    ],
)
def test_a_star_stands_for_anything_and_nothing_else_does(pattern: str, text: str, so: bool) -> None:
    assert like(pattern, text) is so


@settings(deadline=None)  # the machine may be busy
@given(st.text("ab*", max_size=8), st.text("ab", max_size=12))
def test_a_star_is_what_it_is_in_a_regular_expression(pattern: str, text: str) -> None:
    assert like(pattern, text) is bool(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.DOTALL))


def test_many_stars_take_no_time() -> None:
    started = time.perf_counter()
    assert not like("*a" * 60 + "b", "a" * 20_000)
    assert time.perf_counter() - started < 10


ATOMS = st.sampled_from(
    ["a", "b", ".", r"\d", r"\w", r"\s", "[ab]", "[^a]", "[a-c1]", r"\.", "]", "}", "[]a]", r"[\]a]", "é"]
)
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{,2}", "{2,}", "*?", "+?"])).map(
            lambda two: f"({two[0]}){two[1]}"
        ),
        st.tuples(inner).map(lambda one: f"({one[0]}|)"),
    ),
    max_leaves=6,
)


@settings(deadline=None)  # the machine may be busy
@given(PATTERNS, st.text("abc1. \né]}", max_size=6))
def test_an_expression_matches_what_python_matches(pattern: str, text: str) -> None:
    try:
        mine = Expression(pattern)
    except ValueError as error:
        assert "repeats too much" in str(error) or "multiple repeat" in str(error)  # noqa: PT017 - either is right
        return
    assert mine.fits(text) is bool(re.fullmatch(pattern, text, re.DOTALL))


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(a*)*b", "(.*a){10}b", "a*a*a*a*a*a*b", "(?i)(A+)+B"])
def test_no_expression_runs_for_ever(pattern: str) -> None:
    machine = Expression(pattern)
    started = time.perf_counter()
    assert not machine.fits("a" * 3999 + "!")
    assert time.perf_counter() - started < 10


def test_case_is_ignored_where_the_expression_says_so() -> None:
    assert Expression("(?i)prod.*").fits("PRODUCTION")
    assert not Expression("prod.*").fits("PRODUCTION")
    assert Expression(r"\x61\u0062").fits("ab")
    assert Expression("a{").fits("a{")


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("a(", "no regular expression"),
        ("*a", "no regular expression"),
        ("a" * 201, "201 characters"),
        ("^a", "the whole text"),
        ("a$", "the whole text"),
        (r"(a)\1", "back references"),
        (r"\bword", "boundaries"),
        ("(?=a)b", r"only \(\?:"),
        ("(?P<name>a)", r"only \(\?:"),
        ("((a{90}){90}){90}", "repeats too much"),
        ("(){600}", "at most 500"),
        ("(((){400}){400}){400}", "repeats too much"),
        ("a++", "possessive"),
        (r"\N{DIGIT ONE}", "write the character"),
    ],
)
def test_an_expression_that_is_not_taken_says_why(pattern: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Expression(pattern)


@pytest.mark.parametrize(
    ("header", "inside"),
    [
        ("ashu@acme.com", True),
        ("Ashu <ashu@acme.com>, Team <team@acme.com>", True),
        ('"old@other.com" <ashu@acme.com>', True),
        ("ashu@acme.com, eve@evil.com", False),
        ("ashu@acme.com <eve@evil.com>", False),
        ("ashu@acme.com\n\teve@evil.com", False),
        ("ashu@acme.com;eve@evil.com", False),
        ("ashu@acme.com)eve@evil.com", False),
        ("group: ashu@acme.com, eve@evil.com;", False),
        ("=?utf-8?q?eve=40evil=2Ecom?=", False),
        ("=?utf-8?q?eve=40evil=2Ecom?= <ashu@acme.com>", True),
        ("eve@evil.com (ashu@acme.com)", False),
        ("ashu@acme.com(eve@evil.com", False),
        ("ashu@acme.com.evil.com", False),
        ("ashu@evil.com@acme.com", False),
        ("<ashu@acme.com", True),
        ("@acme.com", False),
        ("undisclosed-recipients:;", False),
        ("ashu@acme.com.", True),
        ("ashu@\u0410CME.com", False),
    ],
)
def test_an_address_is_inside_only_where_every_reading_of_it_is(header: str, inside: bool) -> None:
    found = addresses_in(header)
    assert found
    assert all(is_within(address, ["acme.com"]) for address in found) is inside


@settings(deadline=None)  # the machine may be busy
@given(st.text(max_size=60))
def test_any_text_can_be_read_for_addresses(text: str) -> None:
    assert bool(addresses_in(text)) is bool(text.strip())
    assert all(domain_of(address) is None or "@" in address for address in addresses_in(text))
