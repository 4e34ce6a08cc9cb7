"""A stateful stand-in for a web service: routes over plain JSON state, a log of requests and effects, and faults.

It runs in a process of its own, keeps its own log and shares no code with what it is used to test. A service is a
subclass of `Service` with methods marked by `route`:

    class Notes(Service):
        name = "notes"

        @route("POST", "/notes")
        def create(self, call: Incoming) -> Reply:
            ...
            self.effect("note created", id=note["id"])
            return Reply(201, note)

Beside its routes every service answers on `/_sandbox/`: `GET snapshot` (the whole state), `GET log`, `POST reset`,
`POST seed` and `POST faults` (see faults.py).
"""

from __future__ import annotations

import copy
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from agentguard.sandbox.faults import FAULTS, Dropped, Fault, carry_out, fault_of
from agentguard.sandbox.messages import Incoming, Refuse, Reply, decode

__all__ = ["FAULTS", "Incoming", "Refuse", "Reply", "Service", "decode", "route", "run", "serve"]

Route = Callable[[Any, Incoming], Reply]


def route(verb: str, path: str) -> Callable[[Route], Route]:
    """Mark a method as the answer to *verb* and *path*; `{name}` takes a segment, `{+name}` the rest."""

    def mark(method: Route) -> Route:
        method.__dict__.setdefault("routes", []).append((verb, _pattern(path)))
        return method

    return mark


def _pattern(path: str) -> re.Pattern[str]:
    escaped = re.escape(path)
    escaped = re.sub(r"\\\{\\\+(\w+)\\\}", r"(?P<\1>.+)", escaped)
    return re.compile("^" + re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", escaped) + "/?$")


class Service:
    """One stand-in. State is JSON in `self.state`, so that it can be shown, compared and put back."""

    name = ""

    def __init__(self, log: Path | None = None) -> None:
        self.lock = threading.RLock()
        self.url = ""
        self.state: dict[str, Any] = {}
        self.requests: list[dict[str, Any]] = []
        self.effects: list[dict[str, Any]] = []
        self.faults: list[dict[str, Any]] = []
        self.earlier: dict[str, Any] | None = None
        """The state before the last change."""
        self._waiting: list[Incoming] = []
        """Requests that land later."""
        self._arrived = 0
        self._serving: dict[str, Any] = {}
        """What is on record with each effect of the request that is being answered."""
        self._log_file = log
        self._routes: list[tuple[str, re.Pattern[str], Route]] = []
        for cls in type(self).__mro__:
            for method in vars(cls).values():
                for verb, pattern in getattr(method, "routes", ()):
                    self._routes.append((verb, pattern, method))
        self.reset()

    # For subclasses

    def fresh(self) -> dict[str, Any]:
        """The state to begin with."""
        return {}

    def not_found(self, call: Incoming) -> Reply:
        """The service's answer where nothing is."""
        return Reply(404, {"message": "Not Found"})

    def before(self, call: Incoming) -> None:
        """Check what every request needs, authentication above all. Raise `Refuse` to turn it away."""

    def visible(self) -> dict[str, Any]:
        """The state that a snapshot shows; subclasses leave out what is only book-keeping."""
        return self.state

    def too_many(self, seconds: int) -> Reply:
        """The service's answer to a client that has asked too often and may ask again in so many seconds."""
        return Reply(429, {"message": "Too Many Requests"}, {"retry-after": str(seconds)})

    def part_of(self, call: Incoming, first: int) -> Reply:
        """Do the *first* items of a batch, and answer for the others as for items that failed."""
        raise NotImplementedError

    def effect(self, kind: str, **details: Any) -> None:
        """Put on record that something was changed."""
        self.effects.append({"effect": kind, **details, **self._serving})

    # The outside

    def reset(self) -> None:
        """Begin again, with an empty log; what was to land later does not."""
        with self.lock:
            self.state = self.fresh()
            self.earlier = None
            for kept in (self.requests, self.effects, self.faults, self._waiting):
                kept.clear()

    def fulfil(self, call: Incoming, *, first: int | None = None, late: bool = False) -> Reply:
        """Do what a request asks for, or the *first* items of it, and put on record what it has changed."""
        with self.lock:
            made, self._serving = len(self.effects), {"of": call.number} | ({"late": True} if late else {})
            try:
                return self.handle(call) if first is None else self.part_of(call, first)
            finally:
                self._serving = {}
                for effect in self.effects[made:]:
                    self._write(effect)

    def fulfil_later(self, call: Incoming, seconds: float) -> None:
        """Do what a request asks for in so many seconds, if nobody begins again before."""

        def land() -> None:
            with self.lock:
                if any(call is waiting for waiting in self._waiting):
                    self._waiting[:] = [waiting for waiting in self._waiting if waiting is not call]
                    self.fulfil(call, late=True)

        with self.lock:
            self._waiting.append(call)
        timer = threading.Timer(seconds, land)
        timer.daemon = True
        timer.start()

    def handle(self, call: Incoming) -> Reply:
        """Answer one request; a refused one leaves no trace in the state."""
        for verb, pattern, method in self._routes:
            found = pattern.match(call.path) if verb == call.verb else None
            if found:
                call.parameters = {name: unquote(value) for name, value in found.groupdict().items()}
                kept, made = copy.deepcopy(self.state), len(self.effects)
                try:
                    self.before(call)
                    reply = method(self, call)
                except Refuse as refused:
                    self.state, reply = kept, refused.reply
                    del self.effects[made:]
                if len(self.effects) > made:
                    self.earlier = kept
                return reply
        return self.not_found(call)

    def control(self, call: Incoming) -> Reply:
        """Answer `/_sandbox/...`."""
        action = call.path.removeprefix("/_sandbox/")
        if action == "snapshot":
            return Reply(200, self.visible())
        if action == "log":
            return Reply(200, {"requests": self.requests, "effects": self.effects, "waiting": len(self._waiting)})
        if action == "reset":
            self.reset()
        elif action == "seed":
            self.earlier = copy.deepcopy(self.state)
            self.state.update(call.body)
        elif action == "faults":
            try:
                self.arm(fault_of(call.body))
            except ValueError as error:
                return Reply(400, {"message": f"{error}; no fault was armed"})
        else:
            return Reply(404, {"message": f"no such control: {action}"})
        return Reply(200, {"ok": True})

    def arm(self, fault: Fault) -> None:
        """Have *fault* wait for requests, the longest armed first. Raises ValueError where it can never happen."""
        if fault.mode == "partial" and type(self).part_of is Service.part_of:
            raise ValueError(f"{self.name} has no batches, of which a part could be done")
        with self.lock:
            self.faults.append(asdict(fault))

    def fault_for(self, call: Incoming) -> dict[str, Any] | None:
        """Use up one armed fault that this request matches."""
        for fault in self.faults:
            if fault["times"] and fault["verb"] in (call.verb, "*") and re.search(fault["path"], call.path):
                fault["times"] -= 1
                return fault
        return None

    def note_request(self, call: Incoming) -> None:
        """Put on record that a request arrived, whatever becomes of it."""
        self._arrived += 1
        call.number = self._arrived
        entry = {"verb": call.verb, "path": call.path, "query": call.query, "body": call.body}
        self._write({"request": entry, "number": call.number})
        self.requests.append({**entry, "headers": call.headers, "number": call.number})

    def _write(self, entry: dict[str, Any]) -> None:
        if self._log_file is not None:
            with self._log_file.open("a") as log:
                log.write(json.dumps({"service": self.name, "at": time.time(), **entry}, default=str) + "\n")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # with the usual five, clients that come at once are turned away


def serve(service: Service, port: int = 0) -> ThreadingHTTPServer:
    """Start answering for *service* on 127.0.0.1, in threads of this process; port 0 takes a free one."""
    server = _Server(("127.0.0.1", port), _handler_for(service))
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, name=f"sandbox-{service.name}", daemon=True).start()
    return server


def run(service: Service) -> None:
    """Answer for *service* until the input of this program ends; print its URL first."""
    serve(service)
    print(service.url, flush=True)
    sys.stdin.read()


def _handler_for(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            call = self.incoming()
            with suppress(Dropped):  # no answer is sent
                reply = self.reply_to(call)
                self.write(reply)
                if not reply.cut:
                    return
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

        def incoming(self) -> Incoming:
            length = int(self.headers.get("content-length") or 0)
            raw = self.read_chunks() if self.headers.get("transfer-encoding") == "chunked" else self.rfile.read(length)
            split = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = dict(parse_qsl(split.query, keep_blank_values=True))
            body = decode(raw, headers)
            return Incoming(self.command, split.path, query, headers, body, raw, target=self.path)

        def read_chunks(self) -> bytes:
            parts = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return b"".join(parts)

        def reply_to(self, call: Incoming) -> Reply:
            if call.path.startswith("/_sandbox/"):
                with service.lock:
                    return service.control(call)
            with service.lock:
                service.note_request(call)
                armed = service.fault_for(call)
            if armed is None:
                return service.fulfil(call)
            return carry_out(Fault(**armed), service, call, self.wait_until_gone)

        def wait_until_gone(self, seconds: float) -> None:
            self.connection.settimeout(seconds)
            with suppress(OSError):  # a connection that was reset has ended as well, and so has one that took too long
                while self.connection.recv(4096):
                    continue

        def write(self, reply: Reply) -> None:
            body = reply.body if isinstance(reply.body, bytes) else b""
            if reply.body is not None and not isinstance(reply.body, bytes):
                body = json.dumps(reply.body).encode()
            self.send_response(reply.status)
            headers = {"content-type": "application/json; charset=utf-8", **reply.headers}
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[: len(body) // 2] if reply.cut else body)
                self.wfile.flush()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by http.server
            """Keep the terminal quiet: requests are in the service's own log."""

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer  # noqa: N815 - named by http.server

    return Handler
