"""How rows lie in tables: text, numbers and null as they are, everything else as JSON."""

from __future__ import annotations

import json
import re
import zlib
from operator import attrgetter, itemgetter
from typing import Any

import msgspec

from agentguard.calls import Json
from agentguard.ledger.rows import ApprovalRow, CallRow, EventRow, FreezeRow, SessionRow, UndoRow

_encode = msgspec.json.Encoder(enc_hook=str).encode
_AS_JSON = frozenset(
    {"arguments", "snapshots", "answer", "look", "left", "back", "found", "data", "response", "resolution", "card"}
)
_AS_IT_IS = frozenset(
    {"seq", "n", "ordinal", "token", "attempt", "status", "confidence", "started_at", "ended_at", "lease_until"}
    | {"created_at", "settled_at", "updated_at", "requested_at", "expires_at", "decided_at"}
)
"""Columns of numbers."""


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
        self._values = attrgetter(*self.fields)
        self._json = [place for place, name in enumerate(self.fields) if name in _AS_JSON]
        self._other = [place for place, name in enumerate(self.fields) if name not in _AS_JSON | _AS_IT_IS]
        self.insert = f"INSERT INTO {table} ({self.names}) VALUES ({', '.join('?' * len(self.fields))})"  # noqa: S608 - no value is in the text

    def dump(self, row: msgspec.Struct) -> tuple[Any, ...]:
        """The values of *row*, in the order of `names`."""
        return tuple(self._dumped(row))

    def _dumped(self, row: msgspec.Struct) -> list[Any]:
        values = list(self._values(row))
        for place in self._json:
            value = values[place]
            values[place] = "null" if value is None else dumps(value)
        for place in self._other:
            value = values[place]
            if value is not None and not (value.__class__ is str and value.isascii()):
                values[place] = _plain(value)
        return values

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

    def __init__(self, kind: type[Any], table: str) -> None:
        super().__init__(kind, table)
        self._look = self.fields.index("look")
        self._stays = itemgetter(*map(self.fields.index, _STAYS))

    def dump(self, row: msgspec.Struct) -> tuple[Any, ...]:
        """The values of *row*, in the order of `names`."""
        values = self._dumped(row)
        look = values[self._look]
        begun = "{" if look == "null" else f"{look[:-1]},"
        values[self._look] = f'{begun}"sum":"{_sum(self._stays(values))}"}}'
        return tuple(values)

    def load(self, row: tuple[Any, ...]) -> Any:
        """The row that these values are. Raises ValueError where they are not those that were written."""
        values = list(row)
        summed = _SUMMED.fullmatch(str(values[self._look]))
        if summed is not None:
            values[self._look] = "null" if summed[1] == "{" else f"{summed[1]}}}"
            stays = self._stays(values)
            if _sum(stays) != summed[2]:
                raise ValueError(f"undo {stays[2]} of call {stays[1]} is not what was written: it is damaged")
        return super().load(tuple(values))


_SUMMED = re.compile(r'(.*?),?"sum":"([0-9a-f]{8})"\}', re.DOTALL)
_STAYS = ("session", "seq", "n", "name", "arguments", "look", "left", "back", "same_shape", "remains")
"""The columns of an undo that never change."""


def _sum(values: tuple[Any, ...]) -> str:
    text = "\0".join(map(str, values))
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
