from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agentguard.errors import ConfigError
from agentguard.policy import load_policy

RULE = '[[policy.rules]]\nthen = "ask"\n'
WHEN = '[[policy.rules]]\nthen = "ask"\nwhen = '
LIMIT = '[[policy.limits]]\nname = "a"\noperations = ["slack.*"]\n'

TOML = [
    ("[polcy]\n", "there is no key 'polcy'; there are actions, approvals, audit, "),
    ("policy = 5\n", "[policy]: Expected `object`, got `int`"),
    ("[policy]\nrule = []\n", "[policy]: there is no key 'rule'; there are rules, limits, currency"),
    ("[policy]\nrules = 5\n", "[policy] rules: Expected `array`, got `int`"),
    ("[policy]\nrules = [5]\n", "[policy] rules[0]: Expected `object`, got `int`"),
    ('[policy]\ncurrency = "dollars"\n', "[policy] currency: 'dollars' is no currency such as \"USD\""),
    ("[[policy.rules]]\n", "[policy] rules[0]: it says nothing; give then, risk, compensation or verify"),
    (f"{RULE}{RULE}operation = ['a']\n", "[policy] rules[1]: there is no key 'operation'; there are name, operations,"),
    (f"{RULE}operations = []\n", "[policy] rules[0].operations: an empty list or text matches nothing"),
    (f"{RULE}operations = ['']\n", "[policy] rules[0].operations: an empty list or text matches nothing"),
    (f"{RULE}operations = [5]\n", "[policy] rules[0].operations[0]: Expected `str`, got `int`"),
    (f"{RULE}operations = 5\n", "[policy] rules[0].operations: Expected `str | array`, got `int`"),
    (
        f"{RULE}operations = ['slack.*', 'github.repo.delete']\n",
        "[policy] rules[0].operations[1]: 'github.repo.delete' matches no operation; near it are github.repos.delete",
    ),
    (f"{RULE}operations = ['Github.*']\n", "[policy] rules[0].operations[0]: 'Github.*' matches no operation: no"),
    (f"{RULE}operations = ['*.nothing.at.all']\n", "[policy] rules[0].operations[0]: '*.nothing.at.all' matches no"),
    (f"{RULE}operations = ['github']\n", "[policy] rules[0].operations[0]: 'github' matches no operation"),
    (
        f"{RULE}operations = ['github.issues.get']\n",
        "[policy] rules[0].operations[0]: 'github.issues.get' matches only",
    ),
    (f"{RULE}effects = ['permanent']\n", "[policy] rules[0].effects[0]: Invalid value 'permanent'; there are read,"),
    (f"{RULE}risks = ['high', 'huge']\n", "[policy] rules[0].risks[1]: Invalid value 'huge'; there are low, medium,"),
    (f"{RULE}risk = ['high']\n", "[policy] rules[0].risk: Expected `str`, got `array`"),
    (f"{RULE}risk = 'HIGH'\n", "[policy] rules[0].risk: Invalid value 'HIGH'; there are low, medium, high, critical"),
    (
        "[[policy.rules]]\nthen = 'deny'\n",
        "[policy] rules[0].then: Invalid value 'deny'; there are allow, ask, hold, refuse",
    ),
    (
        f"{RULE}compensation = 'undo'\n",
        "[policy] rules[0].compensation: Invalid value 'undo'; there are handler, none,",
    ),
    (
        f"{RULE}operations = 'github.repos.delete'\ncompensation = 'snapshot'\n",
        '[policy] rules[0].compensation: it is "snapshot", and nothing takes github.repos.delete back; say "none"',
    ),
    (f"{RULE}verify = 'yes'\n", "[policy] rules[0].verify: Expected `bool`, got `str`"),
    (f"{RULE}name = 'a'\n{RULE}name = 'a'\n", "[policy]: two rules or limits are called 'a'"),
    (f"{WHEN}[]\n", "[policy] rules[0].when: an empty list or text matches nothing"),
    (f"{WHEN}{{argument = 'a'}}\n", "[policy] rules[0].when: nothing is asked; there are exists, equals, in, not_in"),
    (f"{WHEN}{{equals = 'a'}}\n", "[policy] rules[0].when.argument: equals is asked of an argument, and none is named"),
    (
        f"{WHEN}{{argument = 'a', is = 1}}\n",
        "[policy] rules[0].when: there is no key 'is'; there are argument, exists,",
    ),
    (f"{WHEN}{{argument = 'a..b', exists = true}}\n", "[policy] rules[0].when.argument: 'a..b' names no argument"),
    (f"{WHEN}{{argument = 'a', in = []}}\n", "[policy] rules[0].when.in: an empty list or text matches nothing"),
    (f"{WHEN}{{argument = 'a', matches = '('}}\n", "[policy] rules[0].when.matches: '(' is no regular expression"),
    (f"{WHEN}{{argument = 'a', matches = '^a'}}\n", "[policy] rules[0].when.matches: ^ is not taken: the whole text"),
    (f"{WHEN}{{argument = 'a', greater = '5'}}\n", "[policy] rules[0].when.greater: Expected `float`, got `str`"),
    (f"{WHEN}{{argument = 'a', greater = nan}}\n", "[policy] rules[0].when.greater: nan is no number"),
    (f"{WHEN}{{argument = 'a', count_above = -1}}\n", "[policy] rules[0].when.count_above: -1 is no number from 0 on"),
    (
        f"{WHEN}{{argument = 'to', domain_in = ['a@acme.com']}}\n",
        "[policy] rules[0].when.domain_in[0]: 'a@acme.com' is no",
    ),
    (
        f"{WHEN}{{argument = 'to', domain_not_in = ['*.']}}\n",
        "[policy] rules[0].when.domain_not_in[0]: '*.' is no domain",
    ),
    (
        f"{WHEN}[{{argument = 'a', exists = true}}, {{not = {{argument = 'a', foo = 1}}}}]\n",
        "[policy] rules[0].when[1].not: there is no key 'foo'; there are argument, exists",
    ),
    (f"{WHEN}{{any = [{{argument = 'a', less = 'b'}}]}}\n", "[policy] rules[0].when.any[0].less: Expected `float`"),
    (
        f"{WHEN}{{amount_above = {{value = 5}}}}\n",
        "[policy] rules[0].when.amount_above: there is no currency, which is",
    ),
    (
        f"{WHEN}{{amount_above = {{value = 5, currency = 'usd'}}}}\n",
        "[policy] rules[0].when.amount_above.currency: 'usd' is no currency",
    ),
    (
        f"{WHEN}{{amount_above = {{value = -5, currency = 'USD'}}}}\n",
        "[policy] rules[0].when.amount_above.value: -5.0 is no amount from 0 on",
    ),
    (
        f"{WHEN}{{amount_above = {{value = 5, currency = 'USD', unit = 'minor'}}}}\n",
        "[policy] rules[0].when.amount_above: there is no key 'unit'; there are value, currency, argument",
    ),
    (
        f"{WHEN}{{amount_above = {{value = 5, currency = 'USD', currency_argument = 'c'}}}}\n",
        "[policy] rules[0].when.amount_above.currency_argument: it goes with argument, which is not given",
    ),
    (
        f"{WHEN}{{argument = 'a', amount_above = {{value = 5, currency = 'USD'}}}}\n",
        "[policy] rules[0].when.argument: it is not used: nothing is asked of it here",
    ),
    (
        "[[policy.limits]]\noperations = ['slack.*']\ncount = 1\n",
        "[policy] limits[0]: there is no name, which is needed",
    ),
    (LIMIT, "[policy] limits[0]: nothing is limited; give count or amount"),
    (f"{LIMIT}count = 1\nper = 'week'\n", "[policy] limits[0].per: 'week' is neither \"session\" nor a duration"),
    (f"{LIMIT}count = 1.5\n", "[policy] limits[0].count: Expected `int | null`, got `float`"),
    (f"{LIMIT}count = -1\n", "[policy] limits[0].count: -1 is no number from 0 on"),
    (f"{LIMIT}amount = 5\n", "[policy] limits[0].currency: amount and currency go together"),
    (f"{LIMIT}amount = 5\ncurrency = 'USD'\neach = 'ids'\n", "[policy] limits[0].each: it goes with count"),
    (f"{LIMIT}count = 1\nthen = 'allow'\n", "[policy] limits[0].then: a limit asks, holds or refuses"),
    (f"{LIMIT}count = 1\n{LIMIT}count = 2\n", "[policy]: two rules or limits are called 'a'"),
    (
        f"{LIMIT.replace('slack', 'slak')}count = 1\n",
        "[policy] limits[0].operations[0]: 'slak.*' matches no operation: no",
    ),
    ("[unwind]\norder = 'FIFO'\n", "[unwind] order: 'FIFO' is not known; it is \"LIFO\""),
    ("[unwind]\non_failure = 'ignore'\n", '[unwind] on_failure: \'ignore\' is not known; it is "continue" or "stop"'),
    ("[unwind]\ntimeout = 'PT30S'\n", "[unwind] timeout: 'PT30S' is no duration; give seconds, or a text such as"),
    ("[unwind]\ntimeout = 0\n", "[unwind] timeout: 0 is no duration"),
    ("[unwind]\ntimeout = true\n", "[unwind] timeout: True is no duration"),
    ("[unwind]\nconcurrency = 0\n", "[unwind] concurrency: 0 is no number from 1 on"),
    (
        "[unwind]\nretries = 3\n",
        "[unwind]: there is no key 'retries'; there are order, on_failure, timeout, concurrency",
    ),
    ("[audit]\nretention = '90 days'\n", "[audit] retention: '90 days' is no duration"),
    ("[audit]\nintent = 1\n", "[audit] intent: Expected `bool`, got `int`"),
    ("[approvals]\nexpires = '-1h'\n", "[approvals] expires: '-1h' is no duration"),
    ("[approvals]\napprovers = ['']\n", "[approvals] approvers[0]: an approver needs a name"),
    ("[recovery]\nlease = 'soon'\n", "[recovery] lease: 'soon' is no duration"),
    ("[policy\n", "(at line 1, column 8)"),
    ("[policy]\n[policy]\n", "twice"),
]


@pytest.mark.parametrize(("text", "place"), TOML, ids=range(len(TOML)))
def test_a_mistake_is_refused_with_its_place(tmp_path: Path, text: str, place: str) -> None:
    path = tmp_path / "agentguard.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load_policy(path)
    told = str(raised.value)
    assert told.startswith(f"{path}: ")
    assert told.endswith(("Nothing was started. Correct the policy.", "Nothing was started. Correct the file."))
    assert place in told if place[0] not in "[t" or place == "twice" else told.startswith(f"{path}: {place}"), told


def policies(**policy: Any) -> dict[str, Any]:
    return {"policies": {"slack.post_message": policy}}


POST = 'agentSafety.policies["slack.post_message"]'
DOCUMENTS: list[tuple[Any, str]] = [
    ([], "agentSafety: it is an object, not list"),
    ({"rules": []}, "agentSafety: there is no key 'rules'; there are policies, limits, unwind, audit, approvals"),
    ({"policies": []}, "agentSafety.policies: it is an object, not list"),
    ({"policies": {"slack.post_message": 5}}, f"{POST}: it is an object, not int"),
    (
        {"policies": {"fax.send": {"approval": "AUTO"}}},
        "agentSafety.policies[\"fax.send\"]: 'fax.send' matches no operation",
    ),
    ({"policies": {"github.remove_repository": {"risk": "LOW"}}}, 'agentSafety.policies["github.remove_repository"]: '),
    (policies(risk="SEVERE"), f"{POST}.risk: 'SEVERE' is not known; there are LOW, MEDIUM, HIGH, CRITICAL"),
    (policies(approval="NEVER"), f"{POST}.approval: 'NEVER' is not known; there are AUTO, MANUAL, HOLD, REFUSE"),
    (policies(approval=True), f"{POST}.approval: True is not known"),
    (policies(compensation="MAGIC"), f"{POST}.compensation: 'MAGIC' is not known; there are HANDLER, NONE, SNAPSHOT,"),
    (policies(aproval="AUTO"), f"{POST}: there is no key 'aproval'; there are risk, approval, compensation, reason"),
    (policies(), f"{POST}: it says nothing"),
    (policies(risk="LOW", reason=5), f"{POST}.reason: Expected `str`, got `int`"),
    (
        {"policies": {"github.delete_repository": {"compensation": "DELETE"}}},
        'agentSafety.policies["github.delete_repository"].compensation: it is "delete", and nothing takes',
    ),
    ({"unwind": {"order": "LIFO"}}, "agentSafety.unwind: there is no key 'order'; there are strategy, onCompensation"),
    ({"unwind": {"strategy": "FIFO"}}, "agentSafety.unwind.strategy: 'FIFO' is not known; it is \"LIFO\""),
    ({"unwind": {"onCompensationFailure": "PANIC"}}, "agentSafety.unwind.onCompensationFailure: 'PANIC' is not known"),
    ({"unwind": {"timeout": "30 s"}}, "agentSafety.unwind.timeout: '30 s' is no duration"),
    ({"audit": {"captureSnapshot": "yes"}}, "agentSafety.audit.captureSnapshot: Expected `bool`, got `str`"),
    ({"audit": {"retention": "P90D"}}, "agentSafety.audit.retention: 'P90D' is no duration"),
    ({"limits": [{"name": "a", "operations": ["slack.*"]}]}, "agentSafety.limits[0]: nothing is limited"),
    ({"limits": {}}, "agentSafety.limits: it is a list, not dict"),
    ({"approvals": {"mustDiffer": 1}}, "agentSafety.approvals.mustDiffer: Expected `bool`, got `int`"),
]


@pytest.mark.parametrize(("document", "place"), DOCUMENTS, ids=range(len(DOCUMENTS)))
def test_a_mistake_in_a_document_is_refused_with_its_place(tmp_path: Path, document: Any, place: str) -> None:
    path = tmp_path / "policy.json"
    path.write_text(json.dumps({"agentSafety": document}))
    with pytest.raises(ConfigError) as raised:
        load_policy(path)
    assert str(raised.value).startswith(f"{path}: {place}")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "line 1 column 2"),
        ("[]", "a policy is an object, not list"),
        ('{"agentSafety": {}, "policy": {}}', "there is no key 'policy' beside agentSafety"),
        ('{"agentSafety": {"policies": {"a": 1, "a": 2}}}', "the key 'a' stands in one object twice"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_json_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "policy.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load_policy(path)
    assert told in str(raised.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml cannot be read"):
        load_policy(tmp_path / "gone.toml")
    (tmp_path / "latin.toml").write_bytes(b"# \xe9")
    with pytest.raises(ConfigError, match=r"latin\.toml cannot be read"):
        load_policy(tmp_path / "latin.toml")
