"""How rows lie in tables: text, numbers and null as they are, everything else as JSON."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from typing import Any

import msgspec

from agentguard.calls import Json
from agentguard.ledger.rows import ApprovalRow, CallRow, EventRow, FreezeRow, SessionRow, UndoRow

_encode = msgspec.json.Encoder(enc_hook=str).encode
_AS_JSON = frozenset(
    {"arguments", "snapshots", "answer", "look", "left", "back", "found", "data", "response", "resolution", "card"}
)


class _Look(msgspec.Struct, forbid_unknown_fields=True):
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
        self._plan = [(name, name in _AS_JSON) for name in self.fields]
        self.insert = f"INSERT INTO {table} ({self.names}) VALUES ({', '.join('?' * len(self.fields))})"  # noqa: S608 - no value is in the text

    def dump(self, row: msgspec.Struct) -> tuple[Any, ...]:
        """The values of *row*, in the order of `names`."""
        values: list[Any] = []
        for name, as_json in self._plan:
            value = getattr(row, name)
            if as_json:
                values.append("null" if value is None else dumps(value))
            elif value is None or (value.__class__ is str and value.isascii()):
                values.append(value)
            else:
                values.append(_plain(value))
        return tuple(values)

    def load(self, row: tuple[Any, ...]) -> Any:
        """The row that these values are. Raises ValueError where one of them is not known here."""
        try:
            values = {
                name: loads(value) if name in _AS_JSON else value for name, value in zip(self.fields, row, strict=True)
            }
        except TypeError as error:  # a damaged byte made a number of a text
            raise ValueError(f"a value is of another kind: {error}") from error
        loaded = msgspec.convert(values, self.kind, strict=False)
        if isinstance(loaded, UndoRow) and loaded.look is not None:
            msgspec.convert(loaded.look, _Look)
        elif isinstance(loaded, EventRow) and loaded.data and loaded.kind in _TOLD:
            msgspec.convert(loaded.data, _TOLD[loaded.kind])
        return loaded


class _UndoColumns(Columns):
    """Undos, with a checksum of each at the end of its `look`.

    A rollback sends what they say, and SQLite notices a damaged byte only in its own structures. An undo without one
    was written by an earlier version, or its session was purged.
    """

    def dump(self, row: msgspec.Struct) -> tuple[Any, ...]:
        """The values of *row*, in the order of `names`."""
        values = dict(zip(self.fields, super().dump(row), strict=True))
        begun = "{" if values["look"] == "null" else f"{values['look'][:-1]},"
        values["look"] = f'{begun}"sum":"{_sum(values)}"}}'
        return tuple(values.values())

    def load(self, row: tuple[Any, ...]) -> Any:
        """The row that these values are. Raises ValueError where they are not those that were written."""
        values = dict(zip(self.fields, row, strict=True))
        summed = _SUMMED.fullmatch(str(values["look"]))
        if summed is not None:
            values["look"] = "null" if summed[1] == "{" else f"{summed[1]}}}"
            if _sum(values) != summed[2]:
                raise ValueError(f"undo {values['n']} of call {values['seq']} is not what was written: it is damaged")
        return super().load(tuple(values.values()))


_SUMMED = re.compile(r'(.*?),?"sum":"([0-9a-f]{8})"\}', re.DOTALL)
_STAYS = ("session", "seq", "n", "name", "arguments", "look", "left", "back", "same_shape", "remains")
"""The columns of an undo that never change."""


def _sum(values: Mapping[str, Any]) -> str:
    text = "\0".join(str(values[name]) for name in _STAYS)
    return f"{zlib.crc32(text.encode(errors='surrogatepass')):08x}"


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
    UndoRow: _UndoColumns(UndoRow, "undo"),
    EventRow: Columns(EventRow, "event"),
    ApprovalRow: Columns(ApprovalRow, "approval"),
    FreezeRow: Columns(FreezeRow, "freeze"),
}
