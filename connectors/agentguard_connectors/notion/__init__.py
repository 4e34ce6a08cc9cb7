"""Notion: pages, blocks, databases, data sources, comments and views, through notion-client.

`notion` is the connector. Importing this package registers the handlers and imports no SDK.
"""

from __future__ import annotations

from agentguard_connectors.notion import blocks, comments, databases, finders, pages, saved_views, tokens, views
from agentguard_connectors.notion.service import notion

HANDLERS = (blocks, comments, databases, pages, saved_views, tokens)
"""The modules that guard operations."""

__all__ = ["HANDLERS", "finders", "notion", "views"]
