from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentguard.redaction import Redactor, Unrevealable, shrink

OWN = "the-clients-own-credential"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7canary\nq1w2e3\n-----END RSA PRIVATE KEY-----"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl_canary"

UNDER_A_NAME = {
    "password": "canary-1",
    "newPassword": "canary-2",
    "client_secret": "canary-3",
    "APIKey": "canary-4",
    "x-api-key": "canary-5",
    "bot_token": "canary-6",
    "refreshToken": "canary-7",
    "Authorization": "Bearer canary-8",
    "Set-Cookie": "sid=canary-9; Path=/",
    "private_key": "canary-10",
    "aws_secret_access_key": "canary-11",
    "card[cvc]": "317",
    "iban": "DE00 0000 1111 2222 77",
    "webhook_signing_secret": "canary-12",
}
BY_ITS_FORM = [
    "ghp_canaryA42F292c6912E7710c838347Ae178B4a",
    "gho_canaryB42F292c6912E7710c838347Ae178B4a",
    "github_pat_11ABCDEFG0_canaryC",
    "sk_live_canaryD4eC39HqLyjW",
    "sk_test_canaryE4eC39HqLyjW",
    "rk_live_canaryF4eC39HqLyjW",
    "whsec_canaryG4eC39HqLyjW",
    "xoxb-1111-2222-canaryH",
    "xoxp-1111-2222-canaryI",
    "xapp-1-A111-222-canaryJ",
    "AKIACANARYKKKKKKKKKK",
    "ASIACANARYLLLLLLLLLL",
    "AIzaSyCanaryM-0123456789abcdefghijklmno",
    "ya29.a0canaryN-0123456789",
    "glpat-canaryO0123456789",
    "npm_canaryP0123456789012345678901234567",
    "hf_canaryQabcdefghijklmnopqrstuvwxyz1",
    "pat-na1-canaryR0-1111-2222-3333-444444444444",
    "ntn_canaryS0123456789012345678901234567890",
    "secret_canaryT01234567890123456789012345678901",
    "SG.canaryU0123456789abcd.canaryV0123456789abcdefghijkl",
    "pi_3Mcanary_secret_canaryW",
    JWT,
    PEM,
    "4242 4242 4242 4242",
    "378282246310005",
    OWN,
]
assert len(UNDER_A_NAME) + len(BY_ITS_FORM) > 40

IN_A_TEXT: list[Callable[[str], str]] = [
    lambda secret: secret,
    lambda secret: f"see {secret}, please",
    lambda secret: f"{'a long text of plain words ' * 9}\n{secret}",
    lambda secret: f"https://user:{secret}@service.example/path",
    lambda secret: f"https://service.example/path?page=2&access_token={secret}&x=1",
    lambda secret: f"Authorization: Bearer {secret}\r\nAccept: */*",
    lambda secret: f"ValueError: login with password='{secret}' failed",
    lambda secret: json.dumps({"nested": json.dumps({"token": secret})}),
    lambda secret: base64.b64encode(f"[default]\napi_key = {secret}\n".encode()).decode(),
]

SURVIVORS: dict[str, Any] = {
    "token": "tok_visa",
    "payment_method": "pm_card_visa",
    "source": "src_1MzCanary",
    "id": "re_3MmlLrLkdIwHu7ix0snN0B15",
    "payment_intent": "pi_3MtwBwLkdIwHu7ix28a3tqPa",
    "idempotency_key": "agentguard-0123456789-0",
    "next_page_token": "CAEQAA1234567890",
    "pageToken": "CAEQAA1234567890",
    "nextSyncToken": "CPDAlvWDx70CEPDAlvWDx70CGAU=",
    "sync_token": "CPDAlvWDx70CEPDAlvWDx70CGAU=",
    "continuation_token": "abc123def456",
    "client_request_token": "abc123def456",
    "token_count": 512,
    "max_tokens": "4096",
    "tokens": [1, 2, 3],
    "token_type": "bearer",
    "sha": "e83c5163316f89bfbde7d9ab23ca2e25604af290",
    "node_id": "MDU6SXNzdWUxMjM0NTY3ODkwMTIzNDU2Nzg5MA==",
    "email": "ashu@acme.example",
    "phone": "+4915112345678",
    "public_key": "2Sg8iYjAxxmI2LvUXpJjkYrMxURPc8r+dB7TJyvv1234",
    "publishable_key": "pk_live_0123456789",
    "key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ ashu@laptop",
    "key_id": "568250167242549743",
    "secret_name": "DEPLOY_KEY",
    "secret": False,
    "password": None,
    "has_password": True,
    "privacy": "secret",
    "secret_scanning": {"status": "enabled"},
    "authorization": {"id": "iauth_1MzCanary", "amount": 300},
    "card": "card_1MzCanary",
    "card_id": 4242424242424242,
    "last4": "4242",
    "fingerprint": "Xt5EWLLDS7FJjR1c",
    "cvc_check": "pass",
    "ts": "1712345678.123456",
    "permalink": "https://acme.slack.com/archives/C024BE91L/p1712345678123456",
    "uuid": "4242e456-4242-4242-4242-426614174000",
    "url": "https://api.github.com/repos/acme/hr/issues?page=2&per_page=100",
    "clone": "git@github.com:acme/hr.git",
    "ssh": "ssh://git@github.com:22/acme/hr",
    "etag": 'W/"a18c3bded88eb22dfa6f92f0e5be96f4"',
    "labels": ["token", "secret", "good first issue"],
    "title": "Basic plan",
    "heading": "Bearer authentication",
    "body": "The secret: be kind. Reset your password: https://example.com/reset, token: see wiki.",
    "code": "def login(token: str, password=None): return os.environ['TOKEN'], settings.secret",
    "env": "TOKEN=$TOKEN password=${PASSWORD} npm_config_registry npm_package_name",
    "prose": "-- the password is long; <b>token</b> ring, a--secret garden",
    "slug": "risk-management-of-all-the-things-2024-in-long",
    "content": base64.b64encode(b"# Human resources\n\nNothing secret here: only words.\n").decode(),
    "authors": ["monkey", "key"],
    "cookie_consent": "yes",
}


@pytest.mark.parametrize("secret", BY_ITS_FORM)
def test_a_secret_is_recognised_by_its_form_wherever_it_stands(secret: str) -> None:
    redactor = Redactor([OWN])
    for place in IN_A_TEXT:
        text = place(secret)
        value = {"arguments": [{"deep": [text]}], text: "as a name"}
        cleaned = redactor.clean(value)
        assert secret not in json.dumps(cleaned), f"in {text}"
        assert text not in json.dumps(cleaned), f"in {text}"
        assert redactor.reveal(cleaned) == value
        assert secret not in redactor.clean_text(text)


@pytest.mark.parametrize("name", UNDER_A_NAME)
def test_a_secret_is_recognised_by_the_name_that_it_stands_under(name: str) -> None:
    redactor = Redactor()
    secret = UNDER_A_NAME[name]
    value = {"outer": [{"inner": {name: secret, "plain": "stays"}}]}
    cleaned = redactor.clean(value)
    assert secret not in json.dumps(cleaned)
    assert cleaned["outer"][0]["inner"]["plain"] == "stays"
    assert redactor.reveal(cleaned) == value


def test_no_planted_secret_survives_in_one_value_of_them_all() -> None:
    redactor = Redactor([OWN])
    value = {"arguments": UNDER_A_NAME, "notes": BY_ITS_FORM, "texts": [f(s) for f in IN_A_TEXT for s in BY_ITS_FORM]}
    cleaned = json.dumps(redactor.clean(value))
    shown = re.sub(r"\[redacted \w+\]", "", cleaned)  # a random placeholder may hold a card's three digits
    for secret in (*UNDER_A_NAME.values(), *BY_ITS_FORM):
        assert secret not in shown
    assert "canary" not in cleaned.lower().replace("mcanary", "")
    assert redactor.reveal(json.loads(cleaned)) == value


@pytest.mark.parametrize("name", SURVIVORS)
def test_what_an_undo_needs_survives(name: str) -> None:
    value = {name: SURVIVORS[name]}
    assert Redactor([OWN]).clean(value) == value


@pytest.mark.parametrize(
    "text",
    [
        "DB_PASSWORD=hunter22",
        "postgres://app:hunter22@db.example:5432/app",
        '{"password": "hunter22"}',
        "{'db': {'password': 'hunter22'}}",
        r"{\"password\": \"hunter22\"}",
        "password: hunter22",
        "author: password=hunter22",
        "deploy --password hunter22 --region eu",
        "<password>hunter22</password>",
        "api key: hunter22",
        "{'api_key': b'hunter22'}",
        "key=token=hunter22&x=1",
        "task-2024-and-then-glpat-hunter22",
        "X-Api-Key: hunter22",
        "Cookie: sid=hunter22; theme=dark",
        "GET /files?sig=hunter22hunter22&page=1",
        "https://hooks.slack.com/services/T000/B000/hunter22hunter22",
        "curl -H 'Authorization: token hunter22'",
    ],
)
def test_a_text_that_assigns_a_secret_is_told_without_it(text: str) -> None:
    redactor = Redactor()
    assert "hunter22" not in redactor.clean_text(text)
    assert redactor.clean_text(redactor.clean_text(text)) == redactor.clean_text(text)


def test_an_exception_that_repeats_a_password_is_told_without_it() -> None:
    redactor = Redactor()
    redactor.clean({"password": "hunter22"})
    assert "hunter22" not in redactor.clean_text("LoginError: hunter22 is not the password of ashu")


def test_headers_are_cleaned_by_name_and_by_form() -> None:
    redactor = Redactor([OWN])
    given = {
        "Authorization": "token canary",
        "Proxy-Authorization": "Basic dXNlcjpjYW5hcnk=",
        "Cookie": "sid=canary",
        "X-Hub-Signature-256": "sha256=canary",
        "X-Trace": OWN,
        "Idempotency-Key": "agentguard-1",
        "WWW-Authenticate": "Basic realm=hr",
    }
    cleaned = redactor.clean_headers(given)
    assert "canary" not in str(cleaned)
    assert OWN not in str(cleaned)
    assert cleaned["Idempotency-Key"] == "agentguard-1"
    assert cleaned["WWW-Authenticate"] == "Basic realm=hr"


def test_headers_as_a_list_of_pairs_are_cleaned_too() -> None:
    cleaned = Redactor().clean({"headers": [["X-Api-Key", "canary"], ["Accept", "text/plain"]]})
    assert cleaned["headers"][0] != ["X-Api-Key", "canary"]
    assert cleaned["headers"][1] == ["Accept", "text/plain"]


def test_a_client_s_credential_is_recognised_quoted_and_in_base64() -> None:
    redactor = Redactor()
    redactor.learn("p@ss/word+1", "short")
    assert redactor.clean("?x=p%40ss%2Fword%2B1") != "?x=p%40ss%2Fword%2B1"
    assert redactor.clean("p@ss/word+1") != "p@ss/word+1"
    basic = base64.b64encode(b"p@ss/word+1:").decode()
    assert basic not in redactor.clean_text(f"x {basic} y")
    assert redactor.clean("too short a word") == "too short a word"


def test_the_same_secret_has_the_same_placeholder_and_another_one_has_not() -> None:
    redactor = Redactor()
    first, again, other = (redactor.clean({"password": p})["password"] for p in ("one", "one", "two"))
    assert first == again != other
    assert Redactor().clean({"password": "one"})["password"] != first


def test_a_placeholder_says_nothing_about_the_secret() -> None:
    placeholders = {Redactor().clean({"password": "0000"})["password"] for _ in range(20)}
    assert len(placeholders) == 20


def test_numbers_come_back_as_numbers() -> None:
    redactor = Redactor()
    value = {"cvc": 317, "number": 4242424242424242, "credentials": {"user": "u", "port": 22}, "items": (1, 2)}
    cleaned = redactor.clean(value)
    told = re.sub(r"\[redacted [0-9a-f]+\]", "", str(cleaned))  # a placeholder may hold any digits
    assert "317" not in told
    assert "4242" not in told
    assert redactor.reveal(cleaned) == {**value, "items": [1, 2]}


def test_a_card_is_found_in_a_text_without_spaces() -> None:
    assert "4242424242424242" not in Redactor().clean("card-4242424242424242-expired")
    assert "4242424242424242" not in Redactor().clean("https://pay.example/x?number=4242424242424242")


def test_a_variable_is_secret_when_its_name_says_so() -> None:
    redactor = Redactor()
    cleaned = redactor.clean([{"name": "DB_PASSWORD", "value": "canary"}, {"name": "REGION", "value": "eu-west"}])
    assert cleaned[0]["value"] != "canary"
    assert cleaned[1]["value"] == "eu-west"


def test_another_process_cannot_reveal_and_says_what_to_do() -> None:
    cleaned = Redactor().clean({"url": "https://u:canary@x.example"})
    with pytest.raises(Unrevealable, match="Nothing was sent"):
        Redactor().reveal(cleaned)


def test_nobody_gets_a_secret_written_out_by_writing_its_placeholder() -> None:
    redactor = Redactor()
    placeholder = redactor.clean({"password": "canary"})["password"]
    body = {"body": f"please show {placeholder}"}
    assert redactor.reveal(redactor.clean(body)) == body


names = st.sampled_from([*UNDER_A_NAME, *SURVIVORS, "credentials", "name", "value", "x"])
texts = st.one_of(
    st.text(max_size=30),
    st.sampled_from([*BY_ITS_FORM, *(f(s) for f in IN_A_TEXT for s in BY_ITS_FORM), "[redacted a123456789abcdef]"]),
    st.lists(st.sampled_from([*BY_ITS_FORM, "password=", "token: ", "?", "&", "://", "@", " ", "\n"])).map("".join),
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), texts),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names | texts, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)  # a busy machine is no fault
@given(values)
def test_reveal_is_the_exact_inverse_of_clean(value: Any) -> None:
    redactor = Redactor([OWN])
    redactor.clean({"password": "hunter22", "token": 5})
    cleaned = redactor.clean(value)
    assert redactor.reveal(json.loads(json.dumps(cleaned))) == value
    assert redactor.clean(value) == cleaned


@pytest.mark.parametrize(
    "piece",
    [
        "sk-",
        "eyJ",
        "task-",
        "token='",
        "token=",
        "password: ",
        "bearer ",
        "://a:",
        "x:",
        "a\n",
        "npm_",
        "[redacted ",
        "4242 ",
    ],
)
def test_a_stranger_s_text_cannot_keep_it_busy(piece: str) -> None:
    hostile = piece * (400_000 // len(piece)) + "!"  # what takes more than linear time runs into the timeout
    redactor = Redactor([OWN])
    assert redactor.reveal(redactor.clean(hostile)) == hostile


def test_threads_agree_on_placeholders() -> None:
    redactor = Redactor()
    found: list[Any] = []
    work = [{"password": f"canary-{n % 10}", "url": f"https://u:canary-{n % 10}@x.example"} for n in range(200)]
    threads = [threading.Thread(target=lambda: found.append(redactor.clean(work))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(result == found[0] for result in found)
    assert redactor.reveal(found[0]) == work


def test_small_values_are_stored_as_they_are() -> None:
    value = {"a": ["x" * 100]}
    assert shrink(value) is value


def test_a_large_string_gives_way_to_its_size_and_digest() -> None:
    shrunk = shrink({"id": 5, "content": "ü" * 40_000, "title": "kept"})
    assert shrunk["id"] == 5
    assert shrunk["title"] == "kept"
    assert shrunk["content"]["$large"] == 80_000
    assert len(shrunk["content"]["sha256"]) == 64


def test_a_body_of_many_small_parts_is_shrunk_too() -> None:
    shrunk = shrink({"id": 5, "items": [{"n": n, "text": "x" * 50} for n in range(2_000)], "meta": {"page": 1}})
    assert shrunk["id"] == 5
    assert shrunk["meta"] == {"page": 1}
    assert shrunk["items"]["$large"] > 65_536
    assert shrink("x" * 100, limit=50)["$large"] == 100
    assert shrink({f"k{n}": "x" * 20 for n in range(100)}, limit=500)["$large"] > 500
