"""agentguard: an undo button for AI agents.

import agentguard

with agentguard.session(agent="onboarding", intent="Open the onboarding issue") as session:
    gh = agentguard.wrap(Github(auth=token), session)
    gh.get_repo("acme/hr").create_issue("Onboard Ashu")
session.rollback()

The names are imported when they are first used, so that a program which only might use agentguard starts as fast as
without it. A new public name goes into three lists below, which a test compares: the imports that type checkers read,
`_PUBLIC`, and `__all__`.
"""

# ruff: noqa: TC004 - naming the names in __all__ is no use of them at run time, and that is the only one

import sys
from types import ModuleType

TYPE_CHECKING = False  # type checkers take it for true by its name; importing `typing` for it would take longer
if TYPE_CHECKING:
    from agentguard.action import action
    from agentguard.alerts import Alert
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
        AnswerLost,
        ApprovalDenied,
        ApprovalExpired,
        ApprovalInvalid,
        ApprovalPending,
        ApprovalRequired,
        Blocked,
        ConfigError,
        Frozen,
        HandlerError,
        HeldNotSent,
        InDoubt,
        KeyReused,
        LedgerError,
        LimitReached,
        NoSuchApproval,
        NoSuchItem,
        NoSuchSession,
        NotAsSent,
        PlanChanged,
        Refused,
        RollbackStopped,
        SessionBusy,
        SessionClosed,
        SessionExists,
        SessionLost,
        SnapshotFailed,
        UnknownClient,
        UnknownConnector,
        UsageError,
        WrongSession,
    )
    from agentguard.opening import load, session, wrap
    from agentguard.plan import RollbackPlan
    from agentguard.queue import Item, resolve
    from agentguard.recovery import Recovered, recover
    from agentguard.report import CallOutcome, Card, Report
    from agentguard.resuming import Checkpoint
    from agentguard.session import Session

_PUBLIC = {
    "action": "action",
    "alerts": "Alert",
    "calls": "ABSENT Call CallState Effect Finder Handler Outcome Risk forward no_undo read unchanged undo",
    "connector": "Account Connector",
    "errors": (
        "AgentguardError AnswerLost ApprovalDenied ApprovalExpired ApprovalInvalid ApprovalPending "
        "ApprovalRequired Blocked ConfigError Frozen HandlerError HeldNotSent InDoubt KeyReused LedgerError "
        "LimitReached NoSuchApproval NoSuchItem NoSuchSession NotAsSent PlanChanged Refused RollbackStopped "
        "SessionBusy SessionClosed SessionExists SessionLost SnapshotFailed UnknownClient UnknownConnector "
        "UsageError WrongSession"
    ),
    "plan": "RollbackPlan",
    "opening": "load session wrap",
    "queue": "Item resolve",
    "recovery": "Recovered recover",
    "report": "CallOutcome Card Report",
    "resuming": "Checkpoint",
    "session": "Session",
}
"""The modules of the package, and the public names that each of them has."""

_MODULES = {name: module for module, names in _PUBLIC.items() for name in names.split()}

__all__ = [
    "ABSENT",
    "Account",
    "AgentguardError",
    "Alert",
    "AnswerLost",
    "ApprovalDenied",
    "ApprovalExpired",
    "ApprovalInvalid",
    "ApprovalPending",
    "ApprovalRequired",
    "Blocked",
    "Call",
    "CallOutcome",
    "CallState",
    "Card",
    "Checkpoint",
    "ConfigError",
    "Connector",
    "Effect",
    "Finder",
    "Frozen",
    "Handler",
    "HandlerError",
    "HeldNotSent",
    "InDoubt",
    "Item",
    "KeyReused",
    "LedgerError",
    "LimitReached",
    "NoSuchApproval",
    "NoSuchItem",
    "NoSuchSession",
    "NotAsSent",
    "Outcome",
    "PlanChanged",
    "Recovered",
    "Refused",
    "Report",
    "Risk",
    "RollbackPlan",
    "RollbackStopped",
    "Session",
    "SessionBusy",
    "SessionClosed",
    "SessionExists",
    "SessionLost",
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
    "recover",
    "resolve",
    "session",
    "unchanged",
    "undo",
    "wrap",
]


class _Package(ModuleType):
    """The package, whose names and modules are imported when somebody asks for them."""

    def __getattr__(self, name: str) -> object:
        from importlib import import_module

        if name in _MODULES:
            value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
            self.__dict__[name] = value
            return value
        if not name.startswith("_"):
            module = f"{__name__}.{name}"
            try:
                return import_module(module)
            except ModuleNotFoundError as error:
                if error.name != module:  # it is there, and something that it needs is not
                    raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=self)

    def __setattr__(self, name: str, value: object) -> None:
        # Importing a module puts it into its package. `session` and `action` are names of functions here.
        if name not in _MODULES or not isinstance(value, ModuleType):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *__all__})


sys.modules[__name__].__class__ = _Package
