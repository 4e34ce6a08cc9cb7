"""HubSpot: CRM records of every type, associations, lists, properties and pipelines.

What was created is archived, which leaves a copy in HubSpot's recycling bin. An update gets back the values of the
properties that it changed, and of no others.
"""

from __future__ import annotations

from agentguard_connectors.hubspot import associations as associations
from agentguard_connectors.hubspot import batches as batches
from agentguard_connectors.hubspot import finders as finders
from agentguard_connectors.hubspot import lists as lists
from agentguard_connectors.hubspot import pipelines as pipelines
from agentguard_connectors.hubspot import properties as properties
from agentguard_connectors.hubspot import records as records
from agentguard_connectors.hubspot import schemas as schemas
from agentguard_connectors.hubspot import traces as traces
from agentguard_connectors.hubspot.base import hubspot

__all__ = ["hubspot"]
