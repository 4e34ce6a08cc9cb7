"""Decisions that come from outside the shell: a button in Slack, or a webhook with a signature.

Neither function listens on anything: give it the bytes and headers that your own server has got. What comes in is not
believed before its HMAC-SHA256 was checked over the bytes as they came, in constant time, and it is not older than five
minutes. Who may decide, and whether a signature by a key is asked for, is checked as for everybody; a request is
decided once, so that what is sent again decides nothing. A server of the standard library:

    class Inbox(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(min(int(self.headers["Content-Length"]), 100_000))
            try:
                slack_interaction(ledger, body, self.headers, secret, {"U0ASHU": "ashu"})
            except agentguard.AgentguardError as error:
                self.send_error(403, explain=str(error))
            else:
                self.send_response(200)
                self.end_headers()
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs

import msgspec

from agentguard.asking import Terms
from agentguard.calls import Json
from agentguard.config import approval_terms
from agentguard.deciding import as_decided, card_of_request, decide, decide_signed
from agentguard.errors import ApprovalInvalid, UsageError
from agentguard.ledger import Ledger
from agentguard.ledger.rows import ApprovalRow

OLDEST = 300.0
"""Seconds after which what was sent counts no more, as Slack recommends; clocks may differ by as much."""
_LISTS = "`agentguard approvals` lists what waits"
SIGNATURE = "X-Agentguard-Signature"
SECTION = 3000
"""The most characters that Slack takes in one section."""
SECTIONS = 45
"""The most sections; Slack takes 50 blocks in one message."""


class _Decision(msgspec.Struct, forbid_unknown_fields=True):
    """What a webhook says."""

    request: str
    decision: Literal["approve", "deny"]
    by: str
    at: float
    why: str = ""
    signature: str | None = None
    """By the Ed25519 key of who decides, over what `keys.signed_text` says."""


class _User(msgspec.Struct):
    id: str


class _Pressed(msgspec.Struct):
    action_id: str
    value: str = ""


class _Interaction(msgspec.Struct):
    """What Slack sends when a button is pressed, as far as it matters here."""

    type: str
    user: _User
    actions: list[_Pressed] = []


def slack_blocks(request: ApprovalRow) -> list[dict[str, Json]]:
    """The card of a request as blocks of a Slack message, with a button for each decision.

    A card that is too long for one message has none: nobody agrees to what they cannot see whole.
    """
    sections = [""]
    for line in card_of_request(request).slack().splitlines():
        if sections[-1] and len(sections[-1]) + len(line) + 1 > SECTION:
            sections.append("")
        sections[-1] += f"\n{line}" if sections[-1] else line
    if len(sections) > SECTIONS or any(len(text) > SECTION for text in sections):
        told = f"The request {request.id} is too long to be shown here. Look at it with `agentguard approvals`."
        return [{"type": "section", "text": {"type": "plain_text", "text": told}}]
    shown = [{"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}} for text in sections]
    return [*shown, {"type": "actions", "elements": [_button(request, *b) for b in (_APPROVE, _DENY)]}]


_APPROVE, _DENY = ("approve", "Approve", "primary"), ("deny", "Deny", "danger")


def _button(request: ApprovalRow, action: str, text: str, style: str) -> dict[str, Json]:
    label = {"type": "plain_text", "text": text}
    return {"type": "button", "action_id": action, "value": request.id, "text": label, "style": style}


def slack_interaction(
    ledger: Ledger,
    body: bytes,
    headers: Mapping[str, str],
    signing_secret: str,
    approvers: Mapping[str, str],
    *,
    terms: Terms | None = None,
) -> ApprovalRow:
    """Apply the decision of a button that was pressed in Slack; return the request as it is then.

    *approvers* are the names of those who may press it, by the id that Slack has for them. The decision carries no
    signature by a key: where the configuration asks for one, it does not count. Raises ApprovalInvalid for whatever is
    not from Slack, too old, or by somebody else, and as `deciding.decide` does.
    """
    given = _headers(headers)
    sent = given.get("x-slack-request-timestamp", "")
    _check(f"v0:{sent}:".encode() + body, given.get("x-slack-signature", ""), signing_secret, "v0=", "Slack")
    _check_age(float(sent) if sent.isascii() and sent.isdigit() else math.nan)
    try:
        payload = parse_qs(body.decode("ascii"), strict_parsing=True, max_num_fields=10)["payload"]
        pressed = msgspec.json.decode(payload[0], type=_Interaction)
    except (ValueError, KeyError, msgspec.MsgspecError) as error:
        raise _invalid(f"what Slack has sent is no interaction ({error})", "Look at the app's request URL") from error
    chosen = [action for action in pressed.actions if action.action_id in ("approve", "deny")]
    if pressed.type != "block_actions" or len(chosen) != 1 or len(payload) != 1:
        raise _invalid("what Slack has sent is no press of one of the two buttons", "Post the card with slack_blocks()")
    name = approvers.get(pressed.user.id)
    if not name:
        raise _invalid(f"Slack's user {pressed.user.id} is not one of those who may decide", "Ask one of them")
    approve = chosen[0].action_id == "approve"
    return decide(ledger, chosen[0].value, approve=approve, by=name, why="", terms=terms or approval_terms())


def webhook(
    ledger: Ledger, body: bytes, headers: Mapping[str, str], secret: str, *, terms: Terms | None = None
) -> ApprovalRow:
    """Apply the decision of a webhook as `webhook_message` makes it; return the request as it is then.

    Whoever has the *secret* can say that anybody has decided, unless the configuration asks for signatures: then the
    message has to carry one by the key of who decides. Raises ApprovalInvalid for whatever is forged, altered or too
    old, and as `deciding.decide` does.
    """
    _check(body, _headers(headers).get(SIGNATURE.lower(), ""), secret, "sha256=", "the webhook")
    try:
        given = msgspec.json.decode(body, type=_Decision)
    except msgspec.MsgspecError as error:
        raise _invalid(f"the webhook's message is no decision ({error})", "Make it with webhook_message()") from error
    _check_age(given.at)
    terms = terms or approval_terms()
    approve = given.decision == "approve"
    if given.signature is None:
        return decide(ledger, given.request, approve=approve, by=given.by, why=given.why, terms=terms)
    return decide_signed(
        ledger,
        given.request,
        approve=approve,
        by=given.by,
        why=given.why,
        at=given.at,
        signature=given.signature,
        terms=terms,
    )


def webhook_message(
    request: ApprovalRow, *, approve: bool, by: str, secret: str, why: str = "", key: Path | None = None
) -> tuple[bytes, dict[str, str]]:
    """The body and headers with which a decision is sent to `webhook`; with *key*, signed by who decides.

    For the machine of the one who decides. What the key signs are the digest and the expiry that *request* has: take
    them from where the agent cannot write.
    """
    at = time.time()
    message: dict[str, Json] = {
        "request": request.id,
        "decision": "approve" if approve else "deny",
        "by": by,
        "why": why,
        "at": at,
    }
    if key is not None:
        from agentguard.keys import load_key, sign

        made = as_decided(request, approve=approve, by=by, why=why, at=at)
        message["signature"] = sign(made, load_key(key))
    body = json.dumps(message).encode()
    headers = {"Content-Type": "application/json", SIGNATURE: f"sha256={_hmac(body, _secret(secret))}"}
    return body, headers


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _check(signed: bytes, signature: str, secret: str, prefix: str, who: str) -> None:
    expected = prefix + _hmac(signed, _secret(secret))
    if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace")):
        raise _invalid(f"what has come in is not signed with the secret of {who}", "Compare the secret on both sides")


def _check_age(sent: float) -> None:
    if not abs(time.time() - sent) <= OLDEST:  # so that what is no number is refused as well
        raise _invalid(
            f"what has come in does not say that it was sent within {OLDEST:g} seconds", "Send the decision again"
        )


def _secret(secret: str) -> bytes:
    if not secret:
        raise UsageError("the secret of the inbox is empty. Nothing was decided. Set it, on both sides.")
    return secret.encode()


def _hmac(signed: bytes, secret: bytes) -> str:
    return hmac.new(secret, signed, hashlib.sha256).hexdigest()


def _invalid(what: str, then: str) -> ApprovalInvalid:
    return ApprovalInvalid(f"{what}. Nothing was decided. {then}.")
