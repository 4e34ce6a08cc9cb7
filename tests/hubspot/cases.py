"""Every guarded operation of HubSpot, at least once."""

from __future__ import annotations

from tests.hubspot.association_cases import ASSOCIATIONS
from tests.hubspot.record_cases import RECORDS
from tests.hubspot.setup_cases import LISTS, PIPELINES, PROPERTIES, SCHEMAS

CASES = [*RECORDS, *ASSOCIATIONS, *LISTS, *PROPERTIES, *PIPELINES, *SCHEMAS]
