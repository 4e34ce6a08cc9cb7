"""Everything that agentguard itself raises. A vendor's exceptions pass through untouched.

AgentguardError
├── UsageError                 the program asks for something that cannot work
│   ├── UnknownClient          wrap() does not know this client
│   ├── UnknownConnector       no connector of that name is installed
│   ├── SessionClosed          the session no longer takes calls
│   ├── SessionBusy            the session belongs to another process, which lives
│   ├── WrongSession           the client was wrapped for another session
│   ├── PlanChanged            a rollback would not do what the plan says that it was given
│   ├── KeyReused              a name given with `once` is that of a different call
│   └── HandlerError           a connector's handler breaks the rules; names its file and line
├── ConfigError                agentguard.toml cannot be used
├── Blocked                    a call was stopped before anything was sent
│   ├── ApprovalRequired       a person has to agree and nobody was there to ask
│   ├── ApprovalDenied         a person said no
│   ├── ApprovalPending        a person was asked and has not answered yet; go on later in a resumed session
│   ├── ApprovalExpired        nobody answered in time
│   ├── ApprovalInvalid        the approval is not one for this call, now
│   ├── Refused                the policy does not allow this call
│   ├── LimitReached           a limit of the policy is used up
│   ├── Frozen                 somebody has stopped the session
│   ├── HeldNotSent            a held call could not be sent when the session completed
│   ├── NotAsSent              what was read back after a call is not what the call leaves
│   ├── SessionLost            another process has taken the session over
│   ├── InDoubt                it is the repeat of a call of which nobody knows whether it happened
│   ├── AnswerLost             it is the repeat of a call that happened, and whose answer is not on record
│   └── SnapshotFailed         the state before could not be read
├── Unrevealable               an undo needs a secret that was never written down
└── LedgerError                the ledger cannot be read or written
    ├── NoSuchApproval         there is no such request for approval
    ├── NoSuchItem             there is no such item in the recovery queue
    ├── NoSuchSession          there is no session of that name in this ledger
    └── SessionExists          a session of that name is there already

RollbackStopped (a KeyboardInterrupt): Ctrl-C has stopped a rollback after the undo that was under way.

Every message says what happened, what was not done and what to do next. Where none is given, the docstring is the
message.
"""

from __future__ import annotations


class AgentguardError(Exception):
    """Something went wrong in agentguard."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__)


class UsageError(AgentguardError):
    """The program asks for something that cannot work."""


class UnknownClient(UsageError):
    """No installed connector knows this client. Nothing was wrapped."""


class UnknownConnector(UsageError):
    """No connector of that name is installed. Nothing was wrapped."""


class SessionClosed(UsageError):
    """The session no longer takes calls. Nothing was sent."""


class SessionBusy(UsageError):
    """Another process, which lives, or another person has been at the session. Nothing was done."""


class PlanChanged(UsageError):
    """A rollback would not do what the plan says that it was given. Nothing was taken back."""


class KeyReused(UsageError):
    """The name given with `once` is that of a different call. Nothing was sent."""


class WrongSession(UsageError):
    """The client was wrapped for another session. Nothing was sent."""


class HandlerError(UsageError):
    """A connector's handler breaks the rules."""


class ConfigError(AgentguardError):
    """The configuration cannot be used."""


class Blocked(AgentguardError):
    """A call was stopped before anything was sent."""


class ApprovalRequired(Blocked):
    """A person has to agree to this call and nobody was there to ask. Nothing was sent."""


class ApprovalDenied(Blocked):
    """A person said no to this call. Nothing was sent."""


class ApprovalPending(Blocked):
    """A person was asked about this call and has not answered yet. Nothing was sent."""

    def __init__(self, message: str | None = None, approval: str = "") -> None:
        super().__init__(message)
        self.approval = approval
        """The name of the request, for `agentguard approve`."""


class ApprovalExpired(Blocked):
    """Nobody answered in time whether this call may be sent; that is no denial. Nothing was sent."""


class ApprovalInvalid(Blocked):
    """The approval is not one for this call, now. Nothing was sent."""


class Refused(Blocked):
    """The policy does not allow this call. Nothing was sent."""


class LimitReached(Blocked):
    """A limit of the policy is used up. Nothing was sent."""


class Frozen(Blocked):
    """Somebody has stopped the session. Nothing was sent."""


class HeldNotSent(Blocked):
    """A held call could not be sent when the session completed."""


class NotAsSent(Blocked):
    """What was read back after a call is not what the call leaves. The session was stopped."""


class SessionLost(Blocked):
    """Another process has taken the session over. Nothing was sent."""


class InDoubt(Blocked):
    """This repeats a call of which nobody knows whether it happened. Nothing was sent."""


class AnswerLost(Blocked):
    """This repeats a call that happened, and whose answer is not on record. Nothing was sent."""


class SnapshotFailed(Blocked):
    """The state before the call could not be read, so it could not be restored later. Nothing was sent."""


class Unrevealable(AgentguardError):
    """An undo needs a secret that was never written down. Nothing was sent."""


class LedgerError(AgentguardError):
    """The ledger cannot be read or written. Nothing was sent."""


class NoSuchApproval(LedgerError):
    """There is no such request for approval."""


class NoSuchItem(LedgerError):
    """There is no such item in the recovery queue."""


class NoSuchSession(LedgerError):
    """There is no session of that name in this ledger."""


class SessionExists(LedgerError):
    """A session of that name is in the ledger already. Nothing was started."""


class RollbackStopped(KeyboardInterrupt):
    """Ctrl-C has stopped a rollback after the undo that was under way. What was taken back is on record."""
