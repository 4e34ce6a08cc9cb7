"""Slack: the operations of its Web API, and how those that can be taken back are.

`slack` is the connector. Importing this package registers the handlers and imports no SDK.
"""

from __future__ import annotations

from agentguard_connectors.slack import chat, conversations, files, lost, marks, membership, people, views
from agentguard_connectors.slack.facts import recipients
from agentguard_connectors.slack.service import slack

slack.recipients = recipients
HANDLERS = (chat, conversations, files, marks, membership, people)
"""The modules that guard operations."""

__all__ = ["HANDLERS", "lost", "slack", "views"]
