"""Whatever an agent writes, the approver reads what the call does on lines of their own."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import msgspec
import pytest

from agentguard import Card
from agentguard.calls import Effect, Risk
from agentguard.text import LIMIT, columns, oddities, plain, shown, visible
from tests.people.reading import LABELS, RENDERINGS, card, nothing_unseen, of_json, of_text, values
from tests.people.texts import MISLEADING

texts = pytest.mark.parametrize("text", MISLEADING.values(), ids=MISLEADING)
renderings = pytest.mark.parametrize("rendering", RENDERINGS)


def everywhere(text: str) -> Card:
    """A card in which everything but target, amount and recipients is *text*."""
    asked = card().arguments
    return card(
        arguments={**asked, "description": text, text: "x", "metadata": {text: [text, {"deep": text}]}},
        before=[{"description": "Two chairs", "metadata": {}}, [text], {text: text}],
        summary="Refund.",
        undo=f"refunds.cancel {json.dumps({'note': text})}",
        agent=text,
        intent=text,
        reason=text,
        rule=text,
        account=f"https://api.stripe.com/{text}",
    )


@renderings
@texts
def test_target_amount_and_recipient_stay_on_their_own_lines(text: str, rendering: str) -> None:
    write, read = RENDERINGS[rendering]
    nothing_unseen(write(everywhere(text)))
    rows = read(everywhere(text))
    assert {label for label, _value in rows} <= LABELS
    assert values(rows, "target") == ['"pi_3Qz"']
    assert values(rows, "amount") == ["2500 eur (in the unit that the service counts)"]
    assert values(rows, "to") == ['"ashu@acme.example"']
    assert values(rows, "risk") == ["high, irreversible"]
    assert values(rows, "operation") == ["stripe.refunds.create"]
    assert len(values(rows, "undo")) == len(values(rows, "intent")) == len(values(rows, "reason")) == 1
    assert len(rows) < 24


@renderings
@texts
def test_a_target_an_amount_and_a_recipient_that_mislead_are_quoted(text: str, rendering: str) -> None:
    sent = {"amount": "2500", "currency": text, "to": [text, "ashu@acme.example"]}
    misleading = card(target=text, operation=f"POST /v1/{text}", arguments=sent, recipients=["b@acme.example", text])
    write, read = RENDERINGS[rendering]
    nothing_unseen(write(misleading))
    rows = read(misleading)
    for label, written in (("target", [plain(text)]), ("to", ['"b@acme.example"', plain(text)])):
        assert values(rows, label) == [escaped(one, rendering) for one in written]
    (amount,) = values(rows, "amount")
    assert amount.startswith('"2500 ')
    assert amount.endswith(" (in the unit that the service counts)")
    assert len(values(rows, "operation")) == 1


def escaped(text: str, rendering: str) -> str:
    """A text of others, as it has to be read in a rendering."""
    return shown(text).replace("`", "\\u{60}") if rendering in ("Markdown", "Slack") else shown(text)


@texts
def test_json_has_every_value_whole(text: str) -> None:
    read = of_json(everywhere(text))
    assert read["arguments"]["description"] == text
    assert read["unchecked"] == {"agent": text, "intent": text, "reason": text}
    assert (read["target"], read["recipients"], read["undo"][:14]) == (
        "pi_3Qz",
        ["ashu@acme.example"],
        "refunds.cancel",
    )


@texts
def test_a_card_from_the_ledger_reads_as_the_one_that_was_put_there(text: str) -> None:
    stored = json.loads(json.dumps(asdict(everywhere(text)), default=str))
    assert str(msgspec.convert(stored, Card, strict=False)) == str(everywhere(text))


@texts
def test_no_text_takes_more_than_a_few_lines(text: str) -> None:
    assert columns(shown(text)) <= LIMIT + 40
    assert len(str(card(reason=text)).split("\n")) <= len(str(card(reason="x")).split("\n")) + 6


@pytest.mark.parametrize(
    ("name", "kind"),
    {
        "turns the text around": "text direction marks",
        "isolates": "text direction marks",
        "hides letters of no width": "invisible characters",
        "fills with blanks that count as letters": "invisible characters",
        "hides a text in tags": "invisible characters",
        "hides bytes in variation selectors": "invisible characters",
        "colours the terminal": "control characters",
        "writes to the clipboard": "control characters",
        "is half of a pair": "control characters",
        "piles up marks": "piled up marks",
        "writes in full width": "look-alike letters",
        "writes in bold letters of mathematics": "look-alike letters",
        "mixes alphabets": "look-alike letters",
        "uses a domain of another alphabet": "look-alike letters",
        "writes a whole word in another alphabet": "look-alike letters",
        "uses another dot and slash": "look-alike letters",
    }.items(),
)
def test_what_nobody_would_notice_is_warned_of_first(name: str, kind: str) -> None:
    rows = of_text(card(arguments={"note": MISLEADING[name]}, intent=MISLEADING[name]))
    assert rows[0][0] == "warning"
    assert any(kind in text and "the arguments, the agent's words" in text for text in values(rows, "warning"))


@pytest.mark.parametrize(
    "text",
    [
        "Two chairs, 25 € each (net)",
        "Onboard Ashu\n\tLaptop, badge, mail.",
        "Příliš žluťoučký kůň, naïve café, Straße",
        "Скидка для клиента: два стула",
        "Έκπτωση για τον πελάτη",  # noqa: RUF001 - it is what people write
        "椅子を二脚、返金します。（至急！）",  # noqa: RUF001 - likewise
        "हिन्दी में लिखा हुआ",
        "שלום עולם",
        "5 µm, 10² m, 🎉",
    ],
)
def test_what_people_write_is_left_alone(text: str) -> None:
    assert oddities(text) == set()
    assert shown(text) == text.replace("\n", "\\n").replace("\t", "\\t")
    assert values(of_text(card(arguments={"note": text})), "warning") == []


def test_escapes_are_as_the_documents_say() -> None:
    assert visible("a\u202eb\x1b[0m\n") == "a\\u{202e}b\\u{1b}[0m\\n"
    assert shown("x" + " " * 37 + "y") == "x[37 spaces]y"
    assert shown("\u0430cme.example") == "\\u{430}cme.example"
    both = "\u0441\u043a\u0438\u0434\u043a\u0430 \u043e\u0442 p\u0430ypal"
    assert shown(both) == both.replace("p\u0430ypal", "p\\u{430}ypal")
    assert "… (10010 characters) …" in shown(MISLEADING["pads with 10,000 characters"])


def test_changes_are_shown_field_by_field() -> None:
    shown_card = card(
        arguments={
            "title": "New",
            "labels": ["a"],
            "properties": {"jobtitle": "Engineer", "city": "Pune"},
            "state": "open",
        },
        before=[{"title": "Old", "state": "open", "properties": {"jobtitle": None}, "author": "ashu"}],
    )
    rows = of_text(shown_card)
    assert values(rows, "change") == ['"title": "Old" -> "New"', '"properties.jobtitle": null -> "Engineer"']
    assert values(rows, "sends") == ['"labels": ["a"]', '"properties.city": "Pune"', '"state": "open", as it is']
    assert values(rows, "before") == []


def test_a_snapshot_of_something_else_is_shown_as_it_is() -> None:
    rows = of_text(card(before=[{"balance": 7}, None]))
    assert values(rows, "before") == ['{"balance": 7}']


def test_many_arguments_and_recipients_are_counted() -> None:
    to = [f"p{n}@acme.example" for n in range(500)]
    rows = of_text(card(arguments={"to": to, **{f"field{n}": n for n in range(100)}}))
    assert len(values(rows, "to")) == len(values(rows, "sends")) == 21
    assert values(rows, "to")[-1] == "and 480 more, 500 in all"


def test_a_recipient_is_an_address_and_not_the_name_it_gives_itself() -> None:
    rows = of_text(card(arguments={"mail": {"to": '"boss@acme.example" <x@evil.example>, b@acme.example'}}))
    assert values(rows, "to") == ['"x@evil.example"', '"b@acme.example"']


@pytest.mark.parametrize("given", ["a@acme.example, x", "a@b@c, \nx", "(a@acme.example)"])
def test_a_list_of_recipients_that_is_not_plain_is_shown_whole(given: str) -> None:
    assert values(of_text(card(arguments={"to": given})), "to") == [shown(plain(given))]


@pytest.mark.parametrize(
    ("arguments", "amounts"),
    [
        ({"amount": 2500}, ["2500 (its currency is not in the call)"]),
        ({"unit_amount": 2500, "currency": "jpy"}, ["2500 jpy (in the unit that the service counts)"]),
        ({"price_data": {"unit_amount": 5, "currency": "eur"}}, ["5 eur (in the unit that the service counts)"]),
        ({"amount": "1.00 EUR, approved"}, ['"1.00 EUR, approved" (its currency is not in the call)']),
        ({"amount": True, "amounts": 3, "surprice": 1}, []),
    ],
)
def test_amounts_are_read_from_the_arguments(arguments: dict[str, Any], amounts: list[str]) -> None:
    assert values(of_text(card(arguments=arguments)), "amount") == amounts


def test_what_the_connector_reads_comes_before_what_the_arguments_say() -> None:
    rows = of_text(card(amounts=["25.00 EUR"], recipients=["cus_1"]))
    assert values(rows, "amount") == ["25.00 EUR"]
    assert values(rows, "to") == ['"cus_1"']


def test_the_request_its_rule_and_its_time_are_on_the_card() -> None:
    whole = card(digest="ab" * 32, rule="refunds (agentguard.toml:3)", expires_at=1_800_000_000.0, id="ap-1")
    rows = of_text(whole)
    assert rows[-6:-2] == [
        ("rule", "refunds (agentguard.toml:3)"),
        ("until", "2027-01-15 08:00:00 UTC"),
        ("digest", "ab" * 32),
        ("request", "ap-1"),
    ]
    assert of_json(whole)["expires_at"] == 1_800_000_000.0


def test_an_undo_is_told_and_that_there_is_none_is_told() -> None:
    assert values(of_text(card()), "undo") == ["none: this cannot be taken back"]
    there = card(effect=Effect.COMPENSABLE, risk=Risk.LOW, undo='issues.update {"state": "closed"}')
    assert values(of_text(there), "undo") == ['issues.update {"state": "closed"}']


def test_a_value_that_is_nested_without_end_is_shown() -> None:
    nested: Any = "deep"
    for _ in range(400):
        nested = [nested]
    assert "nested too deep to show" in str(card(arguments={"x": nested}))
