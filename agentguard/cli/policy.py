"""`agentguard policy`: check a policy file, ask it about a call, and show what is in force."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agentguard.cli.common import console, example, json_option, print_json, safe

if TYPE_CHECKING:
    from agentguard.policy import Decision, Policy, Subject


@click.group()
def policy() -> None:
    """Check what agents may do, and show it.

    FILE is a TOML or JSON file, by default the agentguard.toml that applies here.
    """


def _check(
    file: Path | None,
    operation: str | None,
    given: str | None,
    agent: str,
    account: str,
    target: str,
    environment: str,
    as_json: bool,
) -> int:
    """Check a policy file, and with --call what it says about a call.

    Exits with 0 when the file is right and the call would go, with 1 when the call would be asked about, held or
    refused, and with 2 when the file or the call is wrong.
    """
    if operation is None and (given or agent or account or target or environment):
        raise click.UsageError("what is it about? Name an operation with --call.")
    found = _load(file)
    if operation is None:
        if as_json:
            print_json({"file": found.source or None, "version": found.version, **_counts(found)})
        else:
            counts = _counts(found)
            click.echo(f"{found.source or 'no file'}: {counts['rules']} rules and {counts['limits']} limits, all right")
            click.echo(f"version {found.version}")
        return 0
    subject = _subject(operation, given or "{}", agent=agent, account=account, target=target, environment=environment)
    decision = found.decide(subject)
    limits = [limit.name for limit in found.limits_of(subject.operation)]
    if as_json:
        print_json({"operation": subject.operation, **decision.to_dict(), "limits": limits, "version": found.version})
    else:
        _explain(subject, decision, limits)
    return 0 if decision.verdict.value == "allow" else 1


def _show(file: Path | None, as_json: bool) -> None:
    """Show the policy that is in force, with every default filled in."""
    found = _load(file)
    if as_json:
        print_json({"file": found.source or None, "version": found.version, **found.to_dict()})
        return
    out = console()
    out.print(safe(found.source or "no file: the defaults", "bold"))
    out.print(safe(f"version {found.version}", "dim"))
    whole = found.to_dict()
    for at, rule in enumerate(whole["policy"]["rules"]):
        out.print(safe(f"{at + 1}. {rule.pop('name', '') or found.place(at)}", "bold"))
        _rows(rule)
    out.print(safe("otherwise: low and medium risk go, high and critical ask", "bold"))
    for limit in whole["policy"]["limits"]:
        out.print(safe(f"limit {limit.pop('name')}", "bold"))
        _rows({"per": "session", "then": "ask", **limit})
    for name in ("unwind", "audit", "approvals", "recovery"):
        out.print(safe(name, "bold"))
        _rows(whole[name])


# Attached by hand: a command that stands in a module under its own name counts as one of `agentguard` itself.
_FILE = click.Argument(["file"], required=False, type=click.Path(path_type=Path))
for _name, _function, _example, _options in (
    (
        "check",
        _check,
        "agentguard policy check --call github.repos.delete --agent cleaner",
        [
            click.Option(
                ["--call", "operation"], metavar="OPERATION", help="An operation, or a tool that a policy knows."
            ),
            click.Option(["--args", "given"], metavar="JSON", help="The arguments of the call, as a JSON object."),
            click.Option(["--agent"], default="", help="The agent that makes the call."),
            click.Option(["--account"], default="", help="The account that the call goes to."),
            click.Option(["--target"], default="", help="What the call is about."),
            click.Option(["--environment"], default="", help="The environment, such as production."),
        ],
    ),
    ("show", _show, "agentguard policy show", []),
):
    _made = click.Command(
        _name, callback=_function, params=[_FILE, *_options], help=_function.__doc__, epilog=example(_example)
    )
    policy.add_command(json_option(_made))


def _load(file: Path | None) -> Policy:
    from agentguard.config import load_config
    from agentguard.policy import Policy, load_policy

    path = file or load_config().path
    return load_policy(path) if path is not None else Policy()


def _counts(found: Policy) -> dict[str, int]:
    return {"rules": len(found.rules), "limits": len(found.limits)}


def _subject(operation: str, given: str, **known: str) -> Subject:
    """The call that is asked about, with what its connector says of it. Raises UsageError."""
    from agentguard.calls import Call
    from agentguard.entries import target_of
    from agentguard.errors import UsageError
    from agentguard.policy import Reading, Subject
    from agentguard.policy.operations import aliases
    from agentguard.registry import connector

    try:
        arguments: Any = json.loads(given)
    except ValueError as error:
        raise UsageError(
            f'--args is no JSON: {error}. Nothing was asked. Give an object: \'{{"owner": "acme"}}\'.'
        ) from error
    if not isinstance(arguments, dict):
        raise UsageError(f"--args is a JSON object, not {type(arguments).__name__}. Nothing was asked. Give one.")
    alias = aliases().get(operation)
    name = alias.operations[0] if alias else operation
    service = connector(name.partition(".")[0])
    row = service.table.by_name.get(name.partition(".")[2])
    if row is None:
        raise UsageError(f"{service.title} has no operation {operation!r}. Nothing was asked. Correct the name.")
    effect, risk = service.facts(row, arguments)
    return Subject(
        service.name,
        name,
        arguments=arguments,
        effect=effect,
        risk=max(risk, service.graver(Call(row.name, arguments))),
        reading=Reading.of(service),
        **{**known, "target": known.get("target") or target_of(row, arguments)},
    )


def _explain(subject: Subject, decision: Decision, limits: list[str]) -> None:
    style = {"allow": "bold green", "ask": "bold yellow", "hold": "bold yellow"}.get(decision.verdict.value, "bold red")
    out = console()
    out.print(safe(f"{decision.verdict.value.upper()}  {subject.operation}", style))
    facts = {
        "risk": f"{decision.risk}" + (f" (by itself {subject.risk})" if decision.risk is not subject.risk else ""),
        "effect": subject.effect.value,
        "rule": decision.rule,
        "place": decision.place,
        "why": decision.reason,
        "undo": decision.compensation.value,
        "limits": f"{', '.join(limits)} (with nothing used so far)" if limits else "",
    }
    _rows({name: value for name, value in facts.items() if value})


def _rows(facts: dict[str, Any]) -> None:
    from rich.padding import Padding
    from rich.text import Text

    out = console()
    width = max((len(name) for name in facts), default=0) + 2
    for name, value in facts.items():
        told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        line = Text.assemble((f"{name:<{width}}", "dim"), safe(told))
        out.print(Padding(line, (0, 0, 0, 2), expand=False), overflow="fold")
