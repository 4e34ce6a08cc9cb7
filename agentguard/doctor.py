"""What is wrong with a set-up, and the fix for each: files, SQLite, clients, keys, policy, clock, what is left open.

Each check is a function that yields findings; it looks and changes nothing.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from agentguard.calls import Json
from agentguard.errors import AgentguardError
from agentguard.ledger import DEFAULT, open_ledger
from agentguard.ledger.rows import SessionState


class Grade(StrEnum):
    """How bad a finding is."""

    FINE = "fine"
    WARNING = "warning"  # it works, and may not as well as it could
    WRONG = "wrong"  # a promise does not hold


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    check: str
    grade: Grade
    what: str
    fix: str = ""

    def to_dict(self) -> dict[str, Json]:
        """The same as JSON."""
        return {"check": self.check, "grade": self.grade.value, "what": self.what, "fix": self.fix or None}


def examine(ledger: str | None = None) -> list[Finding]:
    """Look at everything; a check that breaks is a finding as well."""
    findings: list[Finding] = []
    for check in CHECKS:
        name = check.__name__.removeprefix("check_").replace("_", " ")
        try:
            findings += check(name, ledger)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a set-up is what there is to find
            told = str(error) if isinstance(error, AgentguardError) else f"{type(error).__name__}: {error}"
            findings.append(Finding(name, Grade.WRONG, told, "see what the message says"))
    return findings


def check_versions(name: str, ledger: str | None) -> Iterator[Finding]:
    """Python and SQLite: the latter must not have the WAL-reset bug (https://sqlite.org/releaselog/3_51_3.html)."""
    import apsw

    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    what = f"Python {sys.version.split()[0]}, SQLite {apsw.sqlite_lib_version()} in apsw {apsw.apsw_version()}"
    if version < (3, 51, 3):
        yield Finding(name, Grade.WRONG, f"{what}: this SQLite can corrupt a ledger", "pip install --upgrade apsw")
    else:
        yield Finding(name, Grade.FINE, what)


def check_ledger_file(name: str, ledger: str | None) -> Iterator[Finding]:
    """The ledger's file and folder are for their owner alone, on a local file system."""
    path = _path(ledger)
    if not path.exists():
        yield Finding(name, Grade.WARNING, f"there is no ledger at {path} yet", "it is made by the first session")
        return
    for place, most in ((path.parent, 0o700), (path, 0o600)):
        mode = stat.S_IMODE(place.stat().st_mode)
        if mode & ~most:
            fix = f"chmod {most:o} {place}"
            yield Finding(name, Grade.WRONG, f"{place} can be read by others (mode {mode:o})", fix)
    kind = _file_system(path)
    if kind in ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p"):
        told = f"{path} is on {kind}, over which SQLite's WAL does not work"
        yield Finding(name, Grade.WRONG, told, "put the ledger on a local disk (AGENTGUARD_LEDGER)")
    open_ledger(path)
    yield Finding(
        name, Grade.FINE, f"{path} opens ({path.stat().st_size >> 10} KB on {kind or 'an unknown file system'})"
    )


def check_record(name: str, ledger: str | None) -> Iterator[Finding]:
    """The chain over the events verifies."""
    from agentguard.audit import verify

    if not _path(ledger).exists():
        return
    found = verify(open_ledger(_path(ledger)))
    if found.ok:
        yield Finding(name, Grade.FINE, f"the record of {found.events} events agrees")
    for fault in found.faults[:5]:
        yield Finding(name, Grade.WRONG, fault, "find out who wrote to the ledger; restore it from a backup")


def check_what_is_open(name: str, ledger: str | None) -> Iterator[Finding]:
    """No session waits for recovery, nothing for a person, nothing is frozen."""
    from agentguard import leases
    from agentguard.queue import queue

    if not _path(ledger).exists():
        return
    store = open_ledger(_path(ledger))
    gone = [s for s in store.unfinished() if not leases.lives(s.owner, s.lease_until)]
    if gone:
        told = f"{len(gone)} sessions were left by their processes ({gone[0].id})"
        yield Finding(name, Grade.WARNING, told, "agentguard recover")
    stuck = [s for s in store.sessions(1000) if s.state is SessionState.INTERRUPTED]
    if stuck:
        told = f"{len(stuck)} sessions wait to be resumed ({stuck[0].id})"
        yield Finding(name, Grade.WARNING, told, "start their agents again, or agentguard rollback SESSION")
    items = queue(store)
    if items:
        yield Finding(name, Grade.WARNING, f"{len(items)} things need a person", "agentguard queue")
    for row in store.people.freezes():
        what = "everything is" if row.scope == "*" else f"session {row.scope} is"
        fix = f"agentguard thaw {'--all' if row.scope == '*' else row.scope}"
        yield Finding(name, Grade.WARNING, f"{what} frozen by {row.by}: {row.why or 'no reason given'}", fix)


def check_configuration(name: str, ledger: str | None) -> Iterator[Finding]:
    """agentguard.toml is read, its policy loads, and its actions import."""
    from agentguard.config import import_actions, load_config
    from agentguard.gatekeeping import gatekeeper_for

    config = load_config()
    if config.path is None:
        fix = "write agentguard.toml (docs/cli.md, docs/policy.md)"
        yield Finding(name, Grade.WARNING, "no agentguard.toml: the defaults hold", fix)
        return
    gatekeeper = gatekeeper_for(None, None)
    import_actions()
    rules = len(gatekeeper.policy.rules) if gatekeeper.policy else 0
    yield Finding(name, Grade.FINE, f"{config.path} is read; {rules} rules")


def check_keys(name: str, ledger: str | None) -> Iterator[Finding]:
    """Decisions are signed, by keys that this process cannot read."""
    from agentguard.config import approval_terms
    from agentguard.keys import PREFIX, verifier_of

    keys = approval_terms().keys
    if not keys:
        told = "decisions of approvers are unsigned: whoever can write to the ledger could make one up"
        yield Finding(name, Grade.WARNING, told, "agentguard keys new NAME, and its line under [approvals.keys]")
        return
    usable = []
    for owner, public in keys.items():
        try:
            verifier_of(public)
        except ValueError:
            good = False
        else:
            good = public.startswith(PREFIX)
        if good:
            usable.append(owner)
        else:
            yield Finding(name, Grade.WRONG, f"the key of {owner} is none", "agentguard keys show FILE prints it")
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "agentguard" / "keys"
    for file in sorted(folder.glob("*.pem")) if folder.is_dir() else ():
        if os.access(file, os.R_OK):
            told = f"{file} can be read by this user; an agent that runs as it could sign its own approvals"
            yield Finding(name, Grade.WARNING, told, "keep private keys on the approvers' own machines")
    if usable:
        yield Finding(name, Grade.FINE, f"{len(usable)} keys may approve: {', '.join(sorted(usable))}")


def check_clients(name: str, ledger: str | None) -> Iterator[Finding]:
    """Each service that sessions in the ledger called has a client for a rollback in a fresh process."""
    from agentguard.config import client_for
    from agentguard.registry import seam_for

    if not _path(ledger).exists():
        return
    store = open_ledger(_path(ledger))
    open_sessions = [s.id for s in store.sessions(100) if s.state is not SessionState.ROLLED_BACK]
    names = {call.connector for session in open_sessions for call in store.calls(session)} - {"action"}
    for connector in sorted(names):
        try:
            found, seam = seam_for(client_for(connector), connector)
        except AgentguardError as error:
            fix = f'[clients] {connector} = "module:function" in agentguard.toml, or the usual variables'
            yield Finding(name, Grade.WRONG, f"no client for {connector}: {error}", fix)
            continue
        yield Finding(
            name, Grade.FINE, f"{found.title}: a client of {seam.sdk}; its retries of writes are off when wrapped"
        )


def check_clock(name: str, ledger: str | None) -> Iterator[Finding]:
    """The clock does not run behind what the ledger has: approvals expire by it."""
    if not _path(ledger).exists():
        return
    newest = open_ledger(_path(ledger)).sessions(1)
    if newest and newest[0].started_at > time.time() + 1:
        told = f"the newest session began {newest[0].started_at - time.time():.0f} s in the future"
        yield Finding(name, Grade.WRONG, told, "set the clock (timedatectl set-ntp true)")
    else:
        yield Finding(name, Grade.FINE, "the clock is not behind the ledger")


def _path(ledger: str | None) -> Path:
    from agentguard.config import ledger_location

    return Path(str(ledger_location(ledger) or DEFAULT).removeprefix("sqlite:///"))


def _file_system(path: Path) -> str:
    """The kind of file system that *path* is on; empty where that cannot be told."""
    try:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return ""
    here = str(path.resolve())
    inside = [(len(mount[1]), mount[2]) for mount in mounts if here.startswith(mount[1].rstrip("/") + "/")]
    return max(inside, default=(0, ""))[1]


CHECKS: tuple[Callable[[str, str | None], Iterator[Finding]], ...] = (
    check_versions,
    check_ledger_file,
    check_record,
    check_what_is_open,
    check_configuration,
    check_keys,
    check_clients,
    check_clock,
)
