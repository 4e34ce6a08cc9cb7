"""Intent first, seen from outside: in the system calls of a process, and in what a killed one leaves behind."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import agentguard
from agentguard import CallState
from agentguard.ledger.sqlite import SqliteLedger
from tests.boxes import Box
from tests.proving import differences

GITHUB = """
import github
client = github.Github(auth=github.Auth.Token("t-of-agent"), base_url=sys.argv[2], seconds_between_writes=None)
do = lambda: client.get_repo("acme/hr").get_label("bug").edit("bug", "abcdef")
"""
GITHUBKIT = """
import githubkit
client = githubkit.GitHub("t-of-agent", base_url=sys.argv[2])
do = lambda: client.rest.issues.update_label("acme", "hr", "bug", color="abcdef")
"""
STRIPE = """
import stripe
client = stripe.StripeClient("sk_test_durable", base_addresses={"api": sys.argv[2]})
do = lambda: client.v1.customers.create(params={"name": "Ashu"})
"""
SLACK = """
import slack_sdk
client = slack_sdk.WebClient("xoxb-durable", base_url=sys.argv[2] + "/api/")
do = lambda: client.chat_postMessage(channel="C0GENERAL", text="hello")
"""
SLACK_ASYNC = """
import asyncio
from slack_sdk.web.async_client import AsyncWebClient
client = AsyncWebClient("xoxb-durable", base_url=sys.argv[2] + "/api/")
do = lambda: asyncio.run(client.chat_postMessage(channel="C0GENERAL", text="hello"))
"""
SDKS = {
    "PyGithub": ("github", GITHUB, "PATCH"),
    "githubkit": ("github", GITHUBKIT, "PATCH"),
    "stripe": ("stripe", STRIPE, "POST"),
    "slack": ("slack", SLACK, "POST"),
    "slack async": ("slack", SLACK_ASYNC, "POST"),
}
RUN = """
import sys, agentguard
{make}
with agentguard.session(agent="a", intent="b", id="s", ledger=sys.argv[1]) as session:
    client = agentguard.wrap(client, session)
    do()
"""


@pytest.mark.parametrize("sdk", SDKS)
@pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is not installed: the order of system calls is unseen"
)
def test_the_ledger_is_synced_before_the_request_leaves(
    sdk: str, boxes: dict[str, Box], ledger: Path, tmp_path: Path
) -> None:
    service, make, verb = SDKS[sdk]
    trace = tmp_path / "trace"
    strace = ["strace", "-f", "-y", "-s", "64", "-o", str(trace)]
    strace += ["-e", "trace=pwrite64,fdatasync,fsync,sendto,sendmsg,write"]
    command = [*strace, sys.executable, "-c", RUN.format(make=make), str(ledger), boxes[service].reset().url]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    events = [found for line in trace.read_text().splitlines() if (found := event(line, verb))]
    sends = [at for at, what in enumerate(events) if what == "send"]
    assert len(sends) == 1, events
    before = events[: sends[0]]
    assert "wal" in before, "nothing was written to the ledger before the request left"
    assert before[len(before) - 1 - before[::-1].index("wal") :].count("sync"), f"not synced before it left: {before}"


def event(line: str, verb: str) -> str | None:
    """What one line of the trace is about: a write to the ledger's journal, a sync of it, the request."""
    if re.search(r"pwrite64\(\d+<[^>]*ledger\.db-wal>", line):
        return "wal"
    if re.search(r"f(data)?sync\(\d+<[^>]*ledger\.db-wal>", line):
        return "sync"
    return "send" if re.search(rf'(sendto|sendmsg|write)\(.*"{verb} /', line) else None


@pytest.mark.parametrize("sdk", SDKS)
def test_a_process_killed_inside_a_call_leaves_the_intent(sdk: str, boxes: dict[str, Box], ledger: Path) -> None:
    service, make, verb = SDKS[sdk]
    box = boxes[service].reset()
    box.fault("delay_after", verb=verb, path="labels|customers|chat.postMessage", seconds=5)
    process = subprocess.Popen([sys.executable, "-c", RUN.format(make=make), str(ledger), box.url])
    deadline = time.monotonic() + 30
    while not box.effects() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert len(box.effects()) == 1
    (call,) = SqliteLedger(ledger).calls("s")
    assert call.state is CallState.INTENT
    assert call.arguments
    if verb == "PATCH":  # what could be known before the call is in the ledger, too
        (undo,) = SqliteLedger(ledger).undos("s")
        assert undo.arguments["color"] != "abcdef"


def test_eight_threads_and_one_session(boxes: dict[str, Box], ledger: Path) -> None:
    import slack_sdk
    import stripe

    slack_box, stripe_box = boxes["slack"].reset(), boxes["stripe"].reset()
    before = slack_box.snapshot()
    with agentguard.session(agent="a", intent="b", ledger=ledger) as session:
        slack = agentguard.wrap(slack_sdk.WebClient("xoxb-threads", base_url=f"{slack_box.url}/api/"), session)
        charge = agentguard.wrap(stripe.StripeClient("sk_test_t", base_addresses={"api": stripe_box.url}), session)

        def work(thread: int) -> None:
            for n in range(3):
                slack.chat_postMessage(channel="C0GENERAL", text=f"{thread}/{n}")
                charge.v1.customers.create(params={"name": f"{thread}/{n}"})

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(session.calls) == 48
        assert {call.state for call in session.calls} == {CallState.COMMITTED}
        assert len({call.key for call in session.calls if call.key}) == 24
        report = session.rollback()
    assert report.ok, str(report)
    assert differences(before, slack_box.snapshot()) == []
    assert all(customer.get("deleted") for customer in stripe_box.snapshot()["customers"].values())


async def test_twenty_tasks_and_one_session(boxes: dict[str, Box], ledger: Path) -> None:
    from slack_sdk.web.async_client import AsyncWebClient

    box = boxes["slack"].reset()
    before = box.snapshot()
    async with agentguard.session(agent="a", intent="b", ledger=ledger) as session:
        slack = agentguard.wrap(AsyncWebClient("xoxb-tasks", base_url=f"{box.url}/api/"), session)
        await asyncio.gather(*(slack.chat_postMessage(channel="C0GENERAL", text=f"hello {n}") for n in range(20)))
    assert sorted(call.arguments["text"] for call in session.calls) == sorted(f"hello {n}" for n in range(20))
    report = await session.arollback()
    assert report.ok, str(report)
    assert differences(before, box.snapshot()) == []
