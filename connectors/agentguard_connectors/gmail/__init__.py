"""Gmail: mail, drafts, labels and settings. What was mailed cannot be unsent; a correction follows it.

`gmail` is the connector. Importing this package registers the handlers and imports no SDK.
"""

from __future__ import annotations

from agentguard_connectors.gmail import (
    addresses as addresses,
)
from agentguard_connectors.gmail import (
    drafts as drafts,
)
from agentguard_connectors.gmail import (
    labels as labels,
)
from agentguard_connectors.gmail import (
    messages as messages,
)
from agentguard_connectors.gmail import (
    removing as removing,
)
from agentguard_connectors.gmail import (
    sending as sending,
)
from agentguard_connectors.gmail import (
    settings as settings,
)
from agentguard_connectors.gmail import (
    threads as threads,
)
from agentguard_connectors.gmail.facts import recipients
from agentguard_connectors.gmail.service import gmail

gmail.recipients = recipients
HANDLERS = (addresses, drafts, labels, messages, removing, sending, settings, threads)
"""The modules that guard operations."""

__all__ = ["HANDLERS", "gmail"]
