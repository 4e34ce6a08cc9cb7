"""`agentguard demo`: an agent at work on stand-ins of six services, a failure, and the way back.

The SDKs are the real ones, the requests real HTTP, the stand-ins a process of their own. Nothing that is shown was
known before: the calls come from the ledger, the outcomes from the rollback, the comparison from the stand-ins' own
snapshots. The demo exits with 0 only if those three agree.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agentguard.calls import Json, Outcome
from agentguard.cli.common import console, example, json_option, print_json, print_report, safe
from agentguard.cli.comparing import Difference, differences
from agentguard.cli.demo_agent import SDKS, SERVICES, plain_clients, set_up, steps
from agentguard.cli.show import call_json
from agentguard.errors import AgentguardError, UsageError
from agentguard.report import Card, Report

if TYPE_CHECKING:
    from rich.console import Console

    from agentguard.session import Session


@click.command(epilog=example("agentguard demo"))
@click.option("--ledger", metavar="PATH", help="Keep the record of the demo in this ledger.")
@json_option
def demo(ledger: str | None, as_json: bool) -> int:
    """See an agent fail and its work taken back."""
    missing = [name for module, name in SDKS.items() if find_spec(module) is None]
    if missing:
        raise UsageError(
            f"the demo needs the SDKs of its six services; missing: {', '.join(missing)}. Nothing was started. "
            'Install them: pip install "agentguard[all]".'
        )
    with tempfile.TemporaryDirectory(prefix="agentguard-demo-") as folder, stand_ins() as urls:
        story = Story(urls, Path(ledger or Path(folder) / "ledger.db"), None if as_json else console())
        story.run()
    if as_json:
        print_json(story.to_dict())
    elif ledger and not story.faults:
        click.echo(f"\nThe record: agentguard show last --ledger {ledger}")
    return 1 if story.faults else 0


@contextmanager
def stand_ins() -> Iterator[dict[str, str]]:
    """Run the stand-ins in a process of their own and yield their URLs."""
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"  # this program's own requests only go there
    command = [sys.executable, "-m", "agentguard.sandbox", *SERVICES]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own module
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            line = process.stdout.readline()
            if not line:
                raise AgentguardError(f"the stand-ins did not start: {process.stderr.read()[-300:]}. Nothing was sent.")
            yield json.loads(line)
        finally:
            process.terminate()


@dataclass
class Story:
    """One run of the demo: what is done, what is shown, and what was found out."""

    urls: dict[str, str]
    ledger: Path
    out: Console | None
    calls: list[Json] = field(default_factory=list)
    failure: str = ""
    report: Report | None = None
    changed: dict[str, list[Difference]] = field(default_factory=dict)
    remains: dict[str, list[Difference]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0
    asked: str = ""

    def run(self) -> None:
        """Tell the whole story."""
        import agentguard

        began = time.monotonic()
        clients = plain_clients(self.urls)
        known = set_up(clients)
        before = self.snapshots()

        self.say(f"Six real SDKs, wrapped; stand-ins of {listed(SERVICES.values())} on this machine.")
        intent = "Set up Ashu, who starts on Monday"
        self.head("The agent works", intent)
        session = agentguard.session(
            agent="onboarding", intent=intent, ledger=self.ledger, on_error="leave", approver=self.approve
        )
        todo = steps({name: agentguard.wrap(client, session) for name, client in clients.items()}, known)
        try:
            with session:
                for reason, step in todo:
                    with session.because(reason):
                        self.watch(session, step)
        except AgentguardError:
            raise
        except Exception as error:  # noqa: BLE001 - the failure that the story is about, whatever the SDK calls it
            self.failure = session.calls[-1].error or f"{type(error).__name__}: {error}"
            if len(session.calls) != len(todo):
                self.faults.append("a step failed that should not")
            self.note(f"FAILED: {self.failure}", "bold red")
        during = self.snapshots()

        self.head("The way back", "session.rollback()")
        self.report = session.rollback(cause=self.failure)
        after = self.snapshots()
        self.changed = {name: differences(before[name], during[name]) for name in SERVICES}
        self.remains = {name: differences(before[name], after[name]) for name in SERVICES}
        self.calls = [call_json(call, []) for call in session.calls]
        self.check(session)
        self.seconds = time.monotonic() - began
        if self.out is not None:
            self.show(self.out, self.report)

    def approve(self, card: Card) -> bool:
        """Agree to what is of high risk, and say so: here nobody is asked."""
        self.asked = str(card.risk)
        return True

    def watch(self, session: Session, step: Callable[[], object]) -> None:
        """Take one of the agent's steps and show what it put on record."""
        seen = len(session.calls)
        try:
            step()
        finally:
            for call in session.calls[seen:]:
                self.tell(call.seq, call.reason or "", call.operation)
            if self.asked:
                self.note(
                    f"of {self.asked} risk: a person is asked before it is sent. Here the demo says yes", "yellow"
                )
                self.asked = ""

    def tell(self, seq: int, reason: str, operation: str) -> None:
        """One line for one call."""
        if self.out is not None:
            from rich.text import Text

            self.out.print(Text.assemble((f"  {seq:>2}  ", "dim"), f"{reason:<28}", safe(operation, "dim")))

    def head(self, title: str, beside: str) -> None:
        """Begin a part of the story."""
        if self.out is not None:
            from rich.text import Text

            self.out.print(Text.assemble("\n", (title.upper(), "bold cyan"), "  ", (beside, "dim"), "\n"))

    def note(self, text: str, style: str) -> None:
        """Print something about the line above."""
        if self.out is not None:
            from rich.padding import Padding

            self.out.print(Padding(safe(text, style), (0, 0, 0, 5), expand=False))

    def say(self, text: str, style: str = "") -> None:
        """Print a sentence."""
        if self.out is not None:
            self.out.print(text, style=style)

    def snapshots(self) -> dict[str, Json]:
        """The whole state of each stand-in, as it tells it itself."""
        return {name: _get(f"{self.urls[name]}/_sandbox/snapshot") for name in SERVICES}

    def check(self, session: Session) -> None:
        """Compare what the rollback says with what the services show."""
        assert self.report is not None
        if not self.failure:
            self.faults.append("the last step did not fail")
        if not self.report.ok:
            self.faults.append("the rollback is not ok")
        for name in SERVICES:
            results = [r.outcome for r in self.report.outcomes if r.operation.startswith(f"{name}.")]
            if not results or not self.changed[name]:
                self.faults.append(f"the agent changed nothing in {name}")
            if self.remains[name] and Outcome.COMPENSATED not in results:
                self.faults.append(f"{name} is not as before, and the report does not say so")
        happened = {call.seq for call in session.calls if call.state.value == "committed"}
        if happened != {result.seq for result in self.report.outcomes}:
            self.faults.append("the report does not name every call that happened")

    def show(self, out: Console, report: Report) -> None:
        """Print the report, and the services before and after."""
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        print_report(out, report)
        self.head("Before and after", "the services' own snapshots")
        for name in SERVICES:
            left, done = self.remains[name], count(len(self.changed[name]), "change")
            now = Text("as before", style="green") if not left else Text(count(len(left), "trace"), style="yellow")
            out.print(
                Text.assemble(
                    (f"  {SERVICES[name]:<9}", "bold"), f"{done} by the agent; now ", now, ":" if left else ""
                )
            )
            traces = Table.grid(padding=(0, 1))
            for difference in left:
                told = safe(difference.path).append(": ").append_text(safe(difference.detail, "dim"))
                traces.add_row(Text(difference.kind, style="yellow"), told)
            if left:
                out.print(Padding(traces, (0, 0, 0, 10), expand=False))
        if self.faults:
            out.print("\nThe demo did NOT go as it should:", style="bold red")
            for fault in self.faults:
                out.print(f"  {fault}", style="red")
            return
        out.print("\nChecked: the report names every call that happened, and a service differs only", style="bold")
        out.print(f"where the report says that something remains. ({self.seconds:.1f} s)", style="bold")

    def to_dict(self) -> dict[str, Json]:
        """The run as JSON."""
        assert self.report is not None
        return {
            "ok": not self.faults,
            "faults": self.faults,
            "calls": self.calls,
            "failure": self.failure,
            "report": self.report.to_dict(),
            "services": {
                name: {
                    "changed_by_agent": len(self.changed[name]),
                    "remains": [{"kind": d.kind, "path": d.path, "detail": d.detail} for d in self.remains[name]],
                }
                for name in SERVICES
            },
            "seconds": round(self.seconds, 3),
        }


def count(number: int, thing: str) -> str:
    """A number and what is counted."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def listed(names: Iterable[str]) -> str:
    """Names as a sentence has them."""
    *others, last = names
    return f"{', '.join(others)} and {last}"


def _get(url: str) -> Json:
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - the stand-in that this program started
        return json.load(response)
