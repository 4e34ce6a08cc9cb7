"""`agentguard doctor`: what is wrong with a set-up, and the fix."""

from __future__ import annotations

import click

from agentguard.cli.common import console, example, json_option, ledger_option, print_json, safe
from agentguard.doctor import Grade, examine

STYLES = {Grade.FINE: "green", Grade.WARNING: "yellow", Grade.WRONG: "bold red"}


@click.command(epilog=example("agentguard doctor"))
@ledger_option
@json_option
def doctor(ledger: str | None, as_json: bool) -> int:
    """Find what is wrong with this set-up, and say the fix.

    Exits with 1 when something is wrong; what could be better is no reason.
    """
    findings = examine(ledger)
    wrong = any(finding.grade is Grade.WRONG for finding in findings)
    if as_json:
        print_json({"ok": not wrong, "findings": [finding.to_dict() for finding in findings]})
        return int(wrong)

    from rich.text import Text

    out = console()
    for finding in findings:
        line = Text.assemble((f"{finding.grade.value:<8}", STYLES[finding.grade]), safe(finding.what))
        out.print(line, overflow="fold")
        if finding.fix:
            out.print(safe(f"        fix: {finding.fix}", "dim"), overflow="fold")
    return int(wrong)
