"""How rows lie in tables: text, numbers and null as they are, everything else as JSON."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from agentguard.calls import Json
from agentguard.ledger.rows import ApprovalRow, CallRow, EventRow, FreezeRow, SessionRow, UndoRow

_encode = msgspec.json.Encoder(enc_hook=str).encode
_AS_JSON = frozenset(
    {"arguments", "snapshots", "answer", "look", "left", "back", "found", "data", "response", "resolution", "card"}
)


class _Look(msgspec.Struct):
    """What is in `UndoRow.look`: a rollback goes by it."""

    operation: str
    arguments: dict[str, Json]
    view: str | None


class _Savepoint(msgspec.Struct):
    name: str
    seq: int


class _Checkpoint(msgspec.Struct):
    name: str


class _LateAnswer(msgspec.Struct):
    state: str


_TOLD = {"savepoint": _Savepoint, "checkpoint": _Checkpoint, "late answer": _LateAnswer}
"""What the data of an event must hold where something is decided by it."""


class Columns:
    """How one kind of row lies in its table."""

    def __init__(self, kind: type[Any], table: str) -> None:
        self.kind = kind
        self.table = table
        self.fields = [field.name for field in msgspec.structs.fields(kind)]
        self.names = ", ".join(f'"{name}"' for name in self.fields)
        self.insert = f"INSERT INTO {table} ({self.names}) VALUES ({', '.join('?' * len(self.fields))})"  # noqa: S608 - no value is in the text

    def dump(self, row: msgspec.Struct) -> tuple[Any, ...]:
        """The values of *row*, in the order of `names`."""
        return tuple(
            dumps(value) if name in _AS_JSON else _plain(value)
            for name in self.fields
            for value in (getattr(row, name),)
        )

    def load(self, row: tuple[Any, ...]) -> Any:
        """The row that these values are. Raises msgspec.ValidationError where one of them is not known here."""
        values = {
            name: loads(value) if name in _AS_JSON else value for name, value in zip(self.fields, row, strict=True)
        }
        loaded = msgspec.convert(values, self.kind, strict=False)
        if isinstance(loaded, UndoRow) and loaded.look is not None:
            msgspec.convert(loaded.look, _Look)
        elif isinstance(loaded, EventRow) and loaded.data and loaded.kind in _TOLD:
            msgspec.convert(loaded.data, _TOLD[loaded.kind])
        return loaded


def dumps(value: Json) -> str:
    """JSON as the ledger keeps it."""
    try:
        return _encode(value).decode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can escape and UTF-8 cannot hold
        return json.dumps(value, default=str)


def loads(text: str) -> Json:
    """What `dumps` wrote."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return json.loads(text)


def _plain(value: Any) -> Any:
    value = getattr(value, "value", value)
    if isinstance(value, str) and not value.isascii():
        return value.encode(errors="replace").decode()
    return int(value) if isinstance(value, bool) else value


COLUMNS = {
    SessionRow: Columns(SessionRow, "session"),
    CallRow: Columns(CallRow, "call"),
    UndoRow: Columns(UndoRow, "undo"),
    EventRow: Columns(EventRow, "event"),
    ApprovalRow: Columns(ApprovalRow, "approval"),
    FreezeRow: Columns(FreezeRow, "freeze"),
}
