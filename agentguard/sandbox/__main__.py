"""`python -m agentguard.sandbox github slack`: run stand-ins until interrupted; prints their URLs as one JSON line."""

from __future__ import annotations

import json
import signal
import sys
from importlib import import_module
from pathlib import Path

from agentguard.sandbox.server import Service, serve

SERVICES = {
    "github": "agentguard.sandbox.github:GitHub",
    "stripe": "agentguard.sandbox.stripe:Stripe",
    "slack": "agentguard.sandbox.slack:Slack",
    "gmail": "agentguard.sandbox.gmail:Gmail",
    "notion": "agentguard.sandbox.notion:Notion",
    "hubspot": "agentguard.sandbox.hubspot:HubSpot",
}


def start(name: str, log: Path | None = None, port: int = 0) -> Service:
    """Start the stand-in called *name* in this process and return it; its address is its `url`."""
    module, _, attribute = SERVICES[name].partition(":")
    service: Service = getattr(import_module(module), attribute)(log)
    serve(service, port)
    return service


def main(arguments: list[str]) -> int:
    """Run the named services, all by default. `--log FILE` appends every request and effect as JSON lines."""
    log = None
    if "--log" in arguments:
        at = arguments.index("--log")
        log = Path(arguments[at + 1])
        del arguments[at : at + 2]
    unknown = [name for name in arguments if name not in SERVICES]
    if unknown:
        print(f"no stand-in for {', '.join(unknown)}; there are {', '.join(SERVICES)}", file=sys.stderr)
        return 2
    running = {name: start(name, log) for name in arguments or SERVICES}
    print(json.dumps({name: service.url for name, service in running.items()}), flush=True)
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
