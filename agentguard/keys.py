"""Keys with which people sign their decisions: Ed25519 (RFC 8032), by the `cryptography` package.

The private key stays with the person who approves, in a file that the agent's process cannot read; agentguard.toml
holds the public one. What is signed is the canonical JSON of `signed_text`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from agentguard.errors import ConfigError, UsageError
from agentguard.ledger.chain import canonical
from agentguard.ledger.rows import ApprovalRow

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

PREFIX = "ed25519:"


def signed_text(approval: ApprovalRow) -> bytes:
    """What the signature of a decision covers."""
    parts = {
        "id": approval.id,
        "session": approval.session,
        "digest": approval.digest,
        "card": hashlib.sha256(canonical(approval.card)).hexdigest(),
        "decision": str(approval.state.value),
        "by": approval.decided_by,
        "at": approval.decided_at,
        "why": approval.why,
        "expires": approval.expires_at,
    }
    return json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()


def new_key(path: Path) -> str:
    """Make a private key in a new file for its owner alone; return the public one. Raises UsageError."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(f"there is a key at {path} already. Nothing was written. Choose another name.") from None
    with os.fdopen(file, "wb") as out:
        out.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return public_of(key)


def load_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key. Raises UsageError where the file is none."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(
            f"{path} is no private key that can be read ({error}). Nothing was signed. Name the file that `agentguard "
            "keys new` has made."
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{path} is not an Ed25519 key. Nothing was signed. Make one with `agentguard keys new`.")
    return key


def public_of(key: Ed25519PrivateKey) -> str:
    """The public key, as agentguard.toml has it."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return PREFIX + base64.b64encode(raw).decode()


def verifier_of(public: str) -> Ed25519PublicKey:
    """The key that stands in agentguard.toml as *public*. Raises ValueError where it is none."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(base64.b64decode(public.removeprefix(PREFIX), validate=True))


def sign(approval: ApprovalRow, key: Ed25519PrivateKey) -> str:
    """The signature of the decision in *approval*."""
    return base64.b64encode(key.sign(signed_text(approval))).decode()


def signed_by(approval: ApprovalRow, keys: dict[str, str]) -> str | None:
    """Which of *keys* has signed the decision in *approval*, by the name of its owner; None where none has.

    The one who decided must be the owner of the key: nobody signs for somebody else.
    """
    from cryptography.exceptions import InvalidSignature

    public = keys.get(approval.decided_by or "")
    if public is None or approval.signature is None or approval.key != approval.decided_by:
        return None
    try:
        verifier = verifier_of(public)
    except ValueError as error:
        raise ConfigError(
            f"[approvals] keys: the key of {approval.decided_by} is none ({error}). Nothing was sent. "
            "`agentguard keys show` prints it as it has to be."
        ) from error
    try:
        verifier.verify(base64.b64decode(approval.signature), signed_text(approval))
    except (InvalidSignature, ValueError):
        return None
    return approval.decided_by
