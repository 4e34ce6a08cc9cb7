"""What the association API shows: which records a record is associated with, and by which types.

https://developers.hubspot.com/docs/api-reference/crm-associations-v4/guide. Between two records there is an unlabeled
type and any number of labels. Creating adds labels; deleting the unlabeled type deletes the labels, too.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import Any

from agentguard.calls import ABSENT, Json, Read, Undo, read
from agentguard_connectors.hubspot.base import hubspot

PAGE = 500
"""The most that one page shows."""
TOO_MANY = f"the record has more than {PAGE} associations, and it was not read back"


@dataclass
class Links:
    """What one record is associated with, by id: the types under `category/id`."""

    shown: dict[str, dict[str, bool]] = field(default_factory=dict)
    whole: bool = True
    """Whether one page shows all of it, so that it can be looked at again."""


def key_of(spec: Json) -> str:
    """A type as requests (`associationTypeId`) and answers (`typeId`) name it, in one form."""
    category = spec.get("associationCategory") or spec.get("category")
    return f"{category}/{spec.get('associationTypeId') or spec.get('typeId')}"


def spec_of(key: str) -> Json:
    """A type as requests name it."""
    category, _, number = key.partition("/")
    return {"associationCategory": category, "associationTypeId": int(number)}


def _linked(entries: list[Json]) -> dict[str, dict[str, bool]]:
    return {str(entry["toObjectId"]): {key_of(t): True for t in entry["associationTypes"]} for entry in entries}


@hubspot.view
def links(answer: Json) -> Json:
    """What a record is associated with: the other's id, and `id/category/number` for each type."""
    if (answer.get("paging") or {}).get("next"):
        raise ValueError(f"more than {PAGE} associations: not all can be seen at once")
    return {key: True for other, types in _linked(answer["results"]).items() for key in there(other, types)}


def look_at(object_type: str, record: str, other: str) -> Read:
    """See what a record is associated with."""
    arguments = {"objectType": object_type, "objectId": record, "toObjectType": other, "limit": PAGE}
    return read("crm.associations.v4.get_page", **arguments).through("links")


def all_links(object_type: str, record: str, other: str) -> Generator[Read, Any, Links]:
    """Read all pages."""
    found = Links()
    cursor: dict[str, Json] = {}
    while True:
        page = yield read(
            "crm.associations.v4.get_page",
            objectType=object_type,
            objectId=record,
            toObjectType=other,
            limit=PAGE,
            **cursor,
        )
        found.shown |= _linked(page["results"])
        following = (page.get("paging") or {}).get("next")
        if not following:
            return found
        cursor = {"after": following["after"]}
        found.whole = False


def visible_links(object_type: str, other: str, records: list[str]) -> Generator[Read, Any, dict[str, Links] | None]:
    """Read the associations of several records; None where the token has not the scope for the *other* type."""
    answer = yield _batch_read(object_type, other, records).or_none()
    return None if answer is None else (yield from _all_of(answer, object_type, other, records))


def batch_links(object_type: str, other: str, records: list[str]) -> Generator[Read, Any, dict[str, Links]]:
    """Read the associations of several records; of those that have many, all pages."""
    answer = yield _batch_read(object_type, other, records)
    return (yield from _all_of(answer, object_type, other, records))


def _batch_read(object_type: str, other: str, records: list[str]) -> Read:
    inputs = [{"id": str(record)} for record in dict.fromkeys(records)]
    return read("crm.associations.v4.batch.get_page", fromObjectType=object_type, toObjectType=other, inputs=inputs)


def _all_of(answer: Json, object_type: str, other: str, records: list[str]) -> Generator[Read, Any, dict[str, Links]]:
    found = {str(record): Links() for record in records}
    for result in answer["results"]:
        record = str(result["from"]["id"])
        if (result.get("paging") or {}).get("next"):
            found[record] = yield from all_links(object_type, record, other)
        else:
            found[record] = Links(_linked(result["to"]), len(result["to"]) <= PAGE)
    return found


def seen_on(way_back: Undo, look: Read, known: Links, *, left: Json, back: Json) -> Undo:
    """Check *way_back* on *look*, where one page shows all."""
    return way_back.on(look, left=left, back=back) if known.whole else way_back.leaving(TOO_MANY)


def gone(other: str) -> Json:
    """The pattern of a record that is not associated with *other*."""
    return {other: ABSENT}


def there(other: str, types: Iterable[str]) -> Json:
    """The pattern of a record that is associated with *other* by *types*."""
    return {other: True, **{f"{other}/{key}": True for key in types}}


def without(other: str, types: Iterable[str]) -> Json:
    """The pattern of a record that is not associated with *other* by *types*."""
    return {f"{other}/{key}": ABSENT for key in types}
