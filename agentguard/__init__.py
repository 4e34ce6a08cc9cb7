"""agentguard: an undo button for AI agents.

import agentguard

with agentguard.session(agent="onboarding", intent="Open the onboarding issue") as session:
    gh = agentguard.wrap(Github(auth=token), session)
    gh.get_repo("acme/hr").create_issue("Onboard Ashu")
session.rollback()
"""

from agentguard.action import action
from agentguard.calls import (
    ABSENT,
    Call,
    CallState,
    Effect,
    Finder,
    Handler,
    Outcome,
    Risk,
    forward,
    no_undo,
    read,
    unchanged,
    undo,
)
from agentguard.connector import Account, Connector
from agentguard.errors import (
    AgentguardError,
    ApprovalDenied,
    ApprovalRequired,
    Blocked,
    ConfigError,
    HandlerError,
    LedgerError,
    NoSuchSession,
    SessionClosed,
    SessionExists,
    SnapshotFailed,
    UnknownClient,
    UnknownConnector,
    UsageError,
    WrongSession,
)
from agentguard.report import CallOutcome, Card, Report
from agentguard.session import Session, load, session, wrap

__all__ = [
    "ABSENT",
    "Account",
    "AgentguardError",
    "ApprovalDenied",
    "ApprovalRequired",
    "Blocked",
    "Call",
    "CallOutcome",
    "CallState",
    "Card",
    "ConfigError",
    "Connector",
    "Effect",
    "Finder",
    "Handler",
    "HandlerError",
    "LedgerError",
    "NoSuchSession",
    "Outcome",
    "Report",
    "Risk",
    "Session",
    "SessionClosed",
    "SessionExists",
    "SnapshotFailed",
    "UnknownClient",
    "UnknownConnector",
    "UsageError",
    "WrongSession",
    "action",
    "forward",
    "load",
    "no_undo",
    "read",
    "session",
    "unchanged",
    "undo",
    "wrap",
]
