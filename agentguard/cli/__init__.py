"""The program `agentguard`: look at what agents did, and take it back from any shell.

Exit codes: 0 done and well, 1 a rollback that is not ok (or was declined), 2 a mistake in the command or the
configuration. Whatever goes wrong is one line on stderr. rich and the SDKs are imported by the commands that use them,
so that `agentguard --help` is quick.
"""

from __future__ import annotations

import io
import logging
import os
import sys

import click

from agentguard.cli.connectors import connectors
from agentguard.cli.demo import demo
from agentguard.cli.rollback import rollback
from agentguard.cli.sessions import sessions
from agentguard.cli.show import show
from agentguard.errors import AgentguardError
from agentguard.report import visible


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="agentguard", message="agentguard %(version)s")
@click.pass_context
def program(context: click.Context) -> None:
    """An undo button for AI agents: see what they did, and take it back.

    The ledger is the one that --ledger, AGENTGUARD_LEDGER or agentguard.toml names, by default
    .agentguard/ledger.db in this folder.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (sessions, show, rollback, connectors, demo):
    program.add_command(command)


def main(arguments: list[str] | None = None) -> int:
    """Run the program and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal without Unicode still gets its report
    if not logging.getLogger("agentguard").handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_OneLine())
        logging.getLogger("agentguard").addHandler(handler)
    try:
        code = program.main(arguments, prog_name="agentguard", standalone_mode=False)
    except click.UsageError as error:
        asked = error.ctx.command_path if error.ctx else "agentguard"
        return _complain(f"{error.format_message()} Nothing was done. See `{asked} --help`.")
    except click.ClickException as error:
        return _complain(f"{error.format_message()} Nothing was done.")
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


class _OneLine(logging.Formatter):
    """What agentguard logs, as its errors are told."""

    def format(self, record: logging.LogRecord) -> str:
        told = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            told += f" ({type(record.exc_info[1]).__name__}: {record.exc_info[1]})"
        return f"agentguard: {visible(' '.join(told.removeprefix('agentguard: ').split()))}"


def _complain(message: str, code: int = 2) -> int:
    """Say in one line on stderr what happened; text of others in it cannot move the cursor."""
    sys.stderr.write(f"agentguard: {visible(' '.join(message.split()))}\n")
    return code
