"""What can be made to go wrong with a request to a stand-in: each way is one function, with its name for a mode.

A fault is armed by `POST /_sandbox/faults` with the fields of `Fault`, and waits for requests that it matches. What a
service says when it is asked too often, and what it makes of a part of a batch, it knows itself: see `Service`.
"""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentguard.sandbox.messages import Incoming, Reply

if TYPE_CHECKING:
    from agentguard.sandbox.server import Service

FAULTS = ("drop_before", "drop_after", "status_before", "status_after", "delay_before", "delay_after", "truncate")
"""The faults of an answer: before the request takes effect, or after it did and before the answer."""
PID = "sandbox-pid"
"""The header by which a client says which process `kill_after` kills, where the fault does not."""
DEATH_TAKES = 5.0
"""Seconds that a killed process may take to be gone."""


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong."""

    mode: str
    verb: str = "POST"
    """The verb of the requests that it waits for; `*` for all."""
    path: str = ".*"
    """A regular expression that is looked for in their path."""
    times: int = 1
    status: int = 0
    """Of an answer that is made up. By default 502, and what the service says by itself of too many requests."""
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 1.0
    """How long a delay takes, when a late request lands, when the client may ask again (`rate_limit`)."""
    pid: int = 0
    """The process that `kill_after` kills."""
    first: int = 1
    """How many items of a batch are done (`partial`)."""
    drop: bool = False
    """Whether the answer to `partial` is lost as well."""


class Dropped(Exception):
    """The connection is cut without an answer."""


Gone = Callable[[float], None]
"""Waits until the client has given up, for so many seconds at most."""
How = Callable[["Service", Incoming, Fault, Gone], Reply]


def fault_of(given: Any) -> Fault:
    """Read a fault; raises ValueError where there is no such mode or field, or the process is not to be killed."""
    if not isinstance(given, dict) or given.get("mode") not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}")
    known = [one.name for one in fields(Fault)]
    unknown = sorted(given.keys() - set(known))
    if unknown:
        raise ValueError(f"a fault has no {', '.join(unknown)}; it has {', '.join(known)}")
    fault = Fault(**given)
    if fault.pid:
        may_be_killed(fault.pid)
    return fault


def carry_out(fault: Fault, service: Service, call: Incoming, gone: Gone) -> Reply:
    """Answer one request, and have go wrong with it what *fault* says. Raises Dropped where no answer is sent."""
    return MODES[fault.mode](service, call, fault, gone)


def made_up(fault: Fault) -> Reply:
    """The answer of something between the client and the service."""
    return Reply(fault.status or 502, fault.body if fault.body is not None else {"message": "fault"}, fault.headers)


# Before it takes effect


def drop_before(service: Service, call: Incoming, fault: Fault, gone: Gone) -> Reply:
    """Do nothing, and cut the connection."""
    raise Dropped


def status_before(service: Service, call: Incoming, fault: Fault, gone: Gone) -> Reply:
    """Do nothing, and answer with an error."""
    return made_up(fault)


def delay_before(service: Service, call: Incoming, fault: Fault, gone: Gone) -> Reply:
    """Wait, and go on as ever."""
    time.sleep(fault.seconds)
    return service.fulfil(call)


def rate_limit(service: Service, call: Incoming, fault: Fault, gone: Gone) -> Reply:
    """Do nothing, and answer as the service does when it is asked too often."""
    reply = service.too_many(max(1, round(fault.seconds)))
    return replace(
        reply,
        status=fault.status or reply.status,
        body=reply.body if fault.body is None else fault.body,
        headers={**reply.headers, **fault.headers},
    )


# After it took effect


def drop_after(service: Service, call: Incoming, fault: Fault, gone: Gone) -> Reply:
    """Do what is asked for, and cut the connection."""
    service.fulfil(call)
    raise Dropped


def status_after(service: Service, call: Incoming, fault: Fault, gone: Gone) -> Reply:
    """Do what is asked for, and answer with an error."""
    service.fulfil(call)
    return made_up(fault)


def delay_after(service: Service, call: Incoming, fault: Fault, gone: Gone) -> Reply:
    """Do what is asked for, and wait before the answer."""
    reply = service.fulfil(call)
    time.sleep(fault.seconds)
    return reply


def truncate(service: Service, call: Incoming, fault: Fault, gone: Gone) -> Reply:
    """Do what is asked for, and cut the connection in the middle of the answer."""
    return replace(service.fulfil(call), cut=True)


def timeout_after(service: Service, call: Incoming, fault: Fault, gone: Gone) -> Reply:
    """Do what is asked for, and hold the answer until the client gives up, for 60 times `seconds` at most."""
    service.fulfil(call)
    gone(60 * fault.seconds)
    raise Dropped


def kill_after(service: Service, call: Incoming, fault: Fault, gone: Gone) -> Reply:
    """Do what is asked for, and kill a process before the answer: a crash between the effect and the answer to it."""
    try:
        pid = fault.pid or int(call.headers.get(PID, "0"))
        may_be_killed(pid)
    except ValueError as error:
        return Reply(400, {"message": f"kill_after: {error}; nothing was killed and nothing was changed"})
    service.fulfil(call)
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + DEATH_TAKES
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.001)
    raise Dropped


# Neither before nor after


def late(service: Service, call: Incoming, fault: Fault, gone: Gone) -> Reply:
    """Cut the connection at once, and do what is asked for later: a straggler."""
    service.fulfil_later(call, fault.seconds)
    raise Dropped


def stale_read(service: Service, call: Incoming, fault: Fault, gone: Gone) -> Reply:
    """Answer a read from the state before the last write; a write is done as ever, and the fault waits on."""
    with service.lock:
        made = len(service.effects)
        reply = service.fulfil(copy.deepcopy(call))
        if len(service.effects) > made:
            service.arm(replace(fault, times=1))
        elif service.earlier is not None:
            now, service.state = service.state, copy.deepcopy(service.earlier)
            try:
                reply = service.fulfil(call)
            finally:
                service.state = now
        return reply


def duplicate(service: Service, call: Incoming, fault: Fault, gone: Gone) -> Reply:
    """Do what is asked for twice, as when something on the way repeats a request; give the second answer."""
    with service.lock:
        service.fulfil(copy.deepcopy(call))
        return service.fulfil(call)


def partial(service: Service, call: Incoming, fault: Fault, gone: Gone) -> Reply:
    """Do the first items of a batch only, and say so, or lose the answer as well."""
    reply = service.fulfil(call, first=fault.first)
    if fault.drop:
        raise Dropped
    return reply


MODES: dict[str, How] = {
    how.__name__: how
    for how in (
        *(drop_before, drop_after, status_before, status_after, delay_before, delay_after, truncate),
        *(rate_limit, timeout_after, kill_after, late, stale_read, duplicate, partial),
    )
}
"""Every way in which a request can go wrong, by name."""


# Which processes a stand-in may kill


def may_be_killed(pid: int) -> None:
    """Raise ValueError unless *pid* descends from the process that started this one, and is not above this one.

    Anybody on this machine can reach a stand-in, and what it kills is of its own test only.
    """
    starter, own = os.getppid(), [os.getpid(), *ancestors(os.getpid())]
    if pid <= 1 or starter <= 1 or pid in own or starter not in ancestors(pid):
        raise ValueError(f"process {pid} is none of those that were started by the process that started this stand-in")


def ancestors(pid: int) -> Iterator[int]:
    """The parents of a process, its own first."""
    while (found := _process(pid)) and found[0] > 0:
        pid = found[0]
        yield pid


def alive(pid: int) -> bool:
    """Whether a process does anything still: one that waits to be taken notice of does not."""
    found = _process(pid)
    return found is not None and found[1] not in "ZX"


def _process(pid: int) -> tuple[int, str] | None:
    """The parent and the state of a process; None where there is none."""
    if Path("/proc/self/stat").exists():
        try:
            state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:
            return None
        return int(parent), state
    command = ["/bin/ps", "-o", "ppid=,state=", "-p", str(pid)]
    said = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - nothing in it is foreign
    found = said.stdout.split()
    return (int(found[0]), found[1][:1]) if found else None
