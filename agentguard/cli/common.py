"""What the commands share: the ledger, session names, and text that is safe to show."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from agentguard.calls import CallState, Json, Outcome
from agentguard.config import ledger_location
from agentguard.errors import NoSuchSession, UsageError
from agentguard.ledger import Ledger, open_ledger
from agentguard.ledger.rows import SessionRow
from agentguard.report import Report, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

F = TypeVar("F", bound=Callable[..., Any])

STATES = {
    CallState.REFUSED: "stopped, never sent",
    CallState.HELD: "held, sent when the session completes",
    CallState.INTENT: "perhaps sent, no result on record",
    CallState.COMMITTED: "happened",
    CallState.NOT_APPLIED: "did not happen",
    CallState.IN_DOUBT: "IN DOUBT: sent, and no answer",
}
STYLES = {
    Outcome.RESTORED: "green",
    Outcome.COMPENSATED: "yellow",
    Outcome.ALREADY_UNDONE: "green",
    Outcome.CONFLICT: "bold red",
    Outcome.IN_DOUBT: "bold red",
    Outcome.FAILED: "bold red",
    Outcome.IRREVERSIBLE: "bold red",
}


def ledger_option(command: F) -> F:
    """Add `--ledger`."""
    option = click.option("--ledger", metavar="PATH", help="The ledger: a path or a sqlite:/// URL.")
    return option(command)


def json_option(command: F) -> F:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, in the shape that docs/cli.md gives.")(
        command
    )


def example(line: str) -> str:
    """The end of a command's help: an example, which a test runs as it stands there. It is not wrapped."""
    return f"\b\nExample:\n  {line}"


def existing_ledger(explicit: str | None) -> Ledger | None:
    """Open the ledger; None where there is none yet at the usual place. Makes no new one."""
    location = str(ledger_location(explicit))
    path = location.removeprefix("sqlite:///")
    if "://" in path or Path(path).is_file():
        return open_ledger(location)
    if Path(path).is_dir():
        raise UsageError(f"{path} is a folder, and a ledger is a file. Nothing was done. Name a file in it.")
    if explicit:
        raise UsageError(f"there is no ledger at {location}. Nothing was done. Check the path.")
    return None


def required_ledger(explicit: str | None) -> Ledger:
    """Open the ledger, which has to be there. Makes no new one."""
    ledger = existing_ledger(explicit)
    if ledger is None:
        raise UsageError(
            f"there is no ledger at {ledger_location(explicit)}. Nothing was done. Name it with --ledger or "
            "AGENTGUARD_LEDGER."
        )
    return ledger


def find_session(explicit: str | None, wanted: str) -> tuple[Ledger, SessionRow]:
    """Find a session by its name, the beginning of it that no other has, or "last"."""
    ledger = existing_ledger(explicit)
    if ledger is None:
        raise NoSuchSession(
            f"there is no session {wanted!r}: there is no ledger at {ledger_location(explicit)}. Nothing was done. "
            "Name the ledger with --ledger or AGENTGUARD_LEDGER."
        )
    try:
        return ledger, ledger.session(wanted)
    except NoSuchSession:
        every = ledger.sessions(2**31)
        found = [row for row in every if row.id.startswith(wanted)] if wanted else []
        if wanted == "last" and every:
            found = every[:1]
        if len(found) == 1:
            return ledger, found[0]
        if not found:
            raise NoSuchSession(
                f"there is no session {wanted!r} in {ledger_location(explicit)}. Nothing was done. `agentguard "
                "sessions` lists them."
            ) from None
    shown = ", ".join(row.id for row in found[:3])
    raise UsageError(
        f"{len(found)} sessions begin with {wanted!r} ({shown}{', ...' if len(found) > 3 else ''}). "
        "Nothing was done. Give more of the name."
    )


def agreed(question: str) -> bool:
    """Ask on the terminal; Ctrl-C and the end of the input are no yes."""
    try:
        return click.confirm(question)
    except click.Abort:
        return False


def console() -> Console:
    """A console that takes all text as it is: nothing in a ledger is markup."""
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False, soft_wrap=False)


def safe(text: object, style: str = "") -> Text:
    """Recorded text on one line, with control characters escaped."""
    from rich.text import Text

    return Text(visible(" ".join(str(text).split())), style=style)


def words(state: str) -> str:
    """A state as people say it."""
    return state.replace("_", " ")


def moment(seconds: float | None, *, date: bool = True) -> str:
    """A point in time, UTC, to the second; for people."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S" if date else "%H:%M:%S")


def iso(seconds: float | None) -> str | None:
    """A point in time as JSON has it."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def print_json(value: Json) -> None:
    """Print JSON. ASCII only: control characters of others are escaped by the format itself."""
    click.echo(json.dumps(value, indent=2, default=str))


def print_report(out: Console, report: Report) -> None:
    """Print what a rollback came to, newest call first."""
    from rich.padding import Padding
    from rich.text import Text

    for result in report.outcomes:
        word = words(result.outcome.value)
        line = Text.assemble(
            (f"{word if result.outcome.ok else word.upper():<15}", STYLES[result.outcome]),
            safe(result.operation),
            "  ",
            safe(result.target, "dim"),
        )
        out.print(Padding(line, (0, 0, 0, 2), expand=False), overflow="fold")
        if result.detail:
            out.print(Padding(safe(result.detail, "dim"), (0, 0, 0, 17), expand=False), overflow="fold")
    out.print(verdict(report))


def verdict(report: Report) -> Text:
    """The last line of a report: what may be believed of it."""
    from rich.text import Text

    if not report.outcomes:
        return Text("There was nothing to take back.", style="bold")
    count = len(report.outcomes)
    calls = "1 call" if count == 1 else f"{count} calls"
    bad = [result for result in report.outcomes if not result.outcome.ok]
    if bad:
        return Text(f"NOT everything was taken back: {len(bad)} of {calls} need a person.", style="bold red")
    remains = sum(result.outcome is Outcome.COMPENSATED for result in report.outcomes)
    if remains:
        return Text(f"Taken back: {calls}, {remains} of them with something that remains (above).", style="bold yellow")
    return Text(f"Taken back: {calls}, and nothing of them remains.", style="bold green")
