"""A guarded read: what the proxy and the gate add to a call, in memory and over HTTP on loopback."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
from agentguard_connectors.http import Api, declare

import agentguard
from benchmarks import guarded, service, syncs
from benchmarks.measuring import Found, Setting, Spread, paired, timed, timed_finely


def measure(setting: Setting) -> Found:
    """Measure a method call, an attribute, a read answered in memory, and one over HTTP."""
    found = Found("A guarded read")
    with guarded.session(setting.new_folder("reads")) as session:
        _proxy(found, setting, session)
        _in_memory(found, setting, session)
        _over_http(found, setting, session)
    return found


def _proxy(found: Found, setting: Setting, session: agentguard.Session) -> None:
    plain, wrapped = guarded.client(), guarded.guarded_client(session)
    times = setting.choose(200_000, 2_000)
    repetitions = setting.choose(15, 3)
    statements = {"call": "client.ping()", "attribute": "client.timeout", "method": "client.ping"}
    kinds: dict[str, Callable[[], float]] = {}
    for name, statement in statements.items():
        kinds[f"plain {name}"] = partial(timed_finely, statement, {"client": plain}, times)
        kinds[f"guarded {name}"] = partial(timed_finely, statement, {"client": wrapped}, times)
    kinds["wrapper"] = partial(timed_finely, "client.ping()", {"client": _Wrapped(plain)}, times)
    results = setting.interleave(kinds, repetitions)
    for name, statement in statements.items():
        before, after = results[f"plain {name}"], results[f"guarded {name}"]
        found.add(f"`{statement}`, plain client", before, "ns")
        found.compare(f"`{statement}`, guarded client", after, "plain", before, "ns")
    added = [after - before for before, after in zip(results["plain call"], results["guarded call"], strict=True)]
    spread = found.add("a method call through the proxy: added", added, "ns")
    ratio = Spread.of(paired(results["guarded call"], results["plain call"])).median
    name = "a method that looks another one up and calls it"
    wrapper = found.compare(name, results["wrapper"], "plain", results["plain call"], "ns")
    found.hold("a method call through the proxy: nanoseconds added", spread.median, 1000)
    why = f"a method in Python that does nothing but look another one up and call it: {wrapper.median:.1f} times"
    found.hold("a method call through the proxy / a plain call", ratio, 10, bounded=why)


class _Wrapped:
    """The least that a proxy in Python does for a call, if it is to find what the method is by now."""

    def __init__(self, inner: object) -> None:
        self.inner = inner

    def ping(self, *args: Any, **kwargs: Any) -> Any:
        """Call the method of the same name."""
        return getattr(self.inner, "ping")(*args, **kwargs)  # noqa: B009 - by name, as one that knows no names has to


def _in_memory(found: Found, setting: Setting, session: agentguard.Session) -> None:
    plain, wrapped = guarded.client(), guarded.guarded_client(session)
    calls = setting.choose(300, 10)

    def read(client: httpx.Client) -> float:
        return timed(lambda: client.get("/things/1"), calls)

    read(plain), read(wrapped)
    results = setting.interleave(
        {"plain": lambda: read(plain), "guarded": lambda: read(wrapped)}, setting.choose(15, 3)
    )
    found.add("a read answered in memory, plain client", results["plain"])
    found.compare("a read answered in memory, guarded client", results["guarded"], "plain", results["plain"])
    if setting.syncs is None:
        found.absent("reads, writes, syncs and locks of files for a guarded read", "a call", syncs.ABSENT)
        found.hold("input and output of a guarded read", None, 0)
        return
    before = setting.syncs.counts()
    read(wrapped)
    done = setting.syncs.counts().since(before)
    touched = (done.reads + done.writes + done.syncs + done.locks) / calls
    found.add("reads, writes, syncs and locks of files for a guarded read", [touched], "a call")
    found.hold("input and output of a guarded read", touched, 0)


def _over_http(found: Found, setting: Setting, session: agentguard.Session) -> None:
    calls = setting.choose(100, 5)
    with service.running() as url:
        connector = declare(Api("bench", base=url, routes=guarded.API.routes))
        clients = {
            "plain": httpx.Client(base_url=url),
            "plain again": httpx.Client(base_url=url),
            "guarded": agentguard.wrap(httpx.Client(base_url=url), session, connector=connector),
        }

        def read(client: httpx.Client) -> float:
            return timed(lambda: client.get("/things/1"), calls)

        for client in clients.values():
            read(client)
        kinds = {name: partial(read, client) for name, client in clients.items()}
        results = setting.interleave(kinds, setting.choose(41, 3))
        for client in clients.values():
            client.close()
    found.add("a read over HTTP on loopback, plain client", results["plain"])
    same = found.compare("the same again: the noise", results["plain again"], "plain", results["plain"])
    ratio = found.compare("a read over HTTP on loopback, guarded client", results["guarded"], "plain", results["plain"])
    why = f"the gate's own time is that of the read in memory; two plain clients differ by {abs(same.median - 1):.1%}"
    found.hold("a read over HTTP on loopback, guarded / plain", ratio.median, 1.03, bounded=why)
