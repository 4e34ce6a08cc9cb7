"""The program `agentguard`: look at what agents did, and take it back from any shell.

Exit codes: 0 done and well, 1 a rollback that is not ok (or was declined), 2 a mistake in the command or the
configuration. Whatever goes wrong is one line on stderr. A command is imported when it is run, and rich and the SDKs by
the commands that use them, so that `agentguard --help` is quick.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO

import click

from agentguard.cli.lazy import Lazy, LazyGroup
from agentguard.errors import AgentguardError, RollbackStopped

COMMANDS = {
    "approvals": Lazy("agentguard.cli.approvals:approvals", "List requests for approval that wait for a person."),
    "approve": Lazy("agentguard.cli.approvals:approve", "Agree that exactly this call may be sent, once."),
    "audit": Lazy("agentguard.cli.audit:audit", "Verify, anchor and export the record of what happened."),
    "connectors": Lazy("agentguard.cli.connectors:connectors", "List services and what can be taken back."),
    "demo": Lazy("agentguard.cli.demo:demo", "See an agent fail and its work taken back."),
    "deny": Lazy("agentguard.cli.approvals:deny", "Say no to a call."),
    "doctor": Lazy("agentguard.cli.doctor:doctor", "Find what is wrong with this set-up, and say the fix."),
    "freeze": Lazy("agentguard.cli.freeze:freeze", "Stop a session: no further call of it is sent."),
    "keys": Lazy("agentguard.cli.keys:keys", "Make and show the keys with which people sign their decisions."),
    "plan": Lazy("agentguard.cli.plan:plan", "Show what a rollback would do, and do nothing."),
    "policy": Lazy("agentguard.cli.policy:policy", "Check what agents may do, and show it."),
    "purge": Lazy("agentguard.cli.audit:purge", "Take the payloads of ended sessions away; the chain still verifies."),
    "queue": Lazy("agentguard.cli.queue:queue", "List what needs a person: doubts, conflicts and undos that failed."),
    "recover": Lazy("agentguard.cli.recover:recover", "Recover sessions whose process is gone."),
    "resolve": Lazy("agentguard.cli.queue:resolve", "Decide about an item of the queue."),
    "report": Lazy(
        "agentguard.cli.report:report", "Tell in plain words what a session changed, and what became of it."
    ),
    "rollback": Lazy("agentguard.cli.rollback:rollback", "Take a session's calls back, newest first."),
    "sessions": Lazy("agentguard.cli.sessions:sessions", "List recorded sessions, newest first."),
    "undo": Lazy("agentguard.cli.plan:undo", "Take one call back."),
    "thaw": Lazy("agentguard.cli.freeze:thaw", "Let a frozen session go on."),
    "show": Lazy("agentguard.cli.show:show", "Show what a session did, and what came of it."),
}
"""Every command, with the first sentence of its own help. This is the place for a new one; a test compares them."""


@click.group(
    cls=LazyGroup,
    commands_in=COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="agentguard", message="agentguard %(version)s")
@click.pass_context
def program(context: click.Context) -> None:
    """An undo button for AI agents: see what they did, and take it back.

    The ledger is the one that --ledger, AGENTGUARD_LEDGER or agentguard.toml names, by default
    .agentguard/ledger.db in this folder.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
    else:
        _log_in_lines()


def main(arguments: list[str] | None = None) -> int:
    """Run the program and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Unicode still gets its report
    try:
        code = program.main(arguments, prog_name="agentguard", standalone_mode=False)
    except click.UsageError as error:
        asked = error.ctx.command_path if error.ctx else "agentguard"
        return _complain(f"{_sentence(error)} Nothing was done. See `{asked} --help`.")
    except click.ClickException as error:
        return _complain(f"{_sentence(error)} Nothing was done.")
    except RollbackStopped as stopped:
        return _complain(str(stopped).splitlines()[0], 1)
    except (click.Abort, KeyboardInterrupt):
        return _complain("interrupted. What was taken back so far is on record: run the same command again.", 1)
    except AgentguardError as error:
        return _complain(str(error))
    except Exception as error:
        if "AGENTGUARD_TRACEBACK" in os.environ:
            raise
        fault = f"a fault in agentguard: {type(error).__name__}: {error}. What was done so far is in the ledger."
        return _complain(f"{fault} Run it with AGENTGUARD_TRACEBACK=1 to see where.", 1)
    return code if isinstance(code, int) else 0


def _log_in_lines() -> None:
    """Say what agentguard logs as its errors are told, unless the program that runs this has its own way."""
    import logging

    from agentguard.report import visible

    class OneLine(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            told = record.getMessage()
            if record.exc_info and record.exc_info[1] is not None:
                told += f" ({type(record.exc_info[1]).__name__}: {record.exc_info[1]})"
            return f"agentguard: {visible(' '.join(told.removeprefix('agentguard: ').split()))}"

    class ToStderr(logging.StreamHandler[TextIO]):
        def emit(self, record: logging.LogRecord) -> None:
            self.stream = sys.stderr  # whatever that is by now: the former one may be closed, and is not flushed
            super().emit(record)

    log = logging.getLogger("agentguard")
    if not log.handlers:
        handler = ToStderr(sys.stderr)
        handler.setFormatter(OneLine())
        log.addHandler(handler)


def _sentence(error: click.ClickException) -> str:
    """What click says, as a sentence: some of its messages end in a full stop, or a question, and some do not."""
    told = error.format_message()
    return told if told.endswith((".", "?")) else f"{told}."


def _complain(message: str, code: int = 2) -> int:
    """Say in one line on stderr what happened; text of others in it cannot move the cursor."""
    from agentguard.report import visible

    sys.stderr.write(f"agentguard: {visible(' '.join(message.split()))}\n")
    return code
