"""A stateful stand-in for HubSpot's CRM API: records and their types, associations, lists, properties and pipelines.

After the vendor's published descriptions: https://developers.hubspot.com/docs/api-reference/overview. What a request
may contain is checked and unknown fields are refused; errors have HubSpot's form.
"""

from __future__ import annotations

from typing import Any

from agentguard.sandbox.hubspot.associations import Associations
from agentguard.sandbox.hubspot.base import TOKEN
from agentguard.sandbox.hubspot.lists import Lists
from agentguard.sandbox.hubspot.records import Records
from agentguard.sandbox.hubspot.schema import Schema
from agentguard.sandbox.hubspot.schemas import Schemas
from agentguard.sandbox.hubspot.seed import state

__all__ = ["TOKEN", "HubSpot"]


class HubSpot(Associations, Records, Lists, Schema, Schemas):
    """The API of one account."""

    name = "hubspot"

    def fresh(self) -> dict[str, Any]:
        return state()
