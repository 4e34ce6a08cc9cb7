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
`POST seed` and `POST faults`.
"""

from __future__ import annotations

import copy
import json
import re
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

FAULTS = ("drop_before", "drop_after", "status_before", "status_after", "delay_before", "delay_after", "truncate")
"""What can be made to go wrong: before the request takes effect, or after it did and before the answer."""


@dataclass
class Incoming:
    """One request, decoded."""

    verb: str
    path: str
    query: dict[str, Any]
    headers: dict[str, str]
    body: Any
    raw: bytes
    parameters: dict[str, str] = field(default_factory=dict)
    target: str = ""
    """Path and query as they were sent; `query` has only the last of a name that repeats."""

    def __getitem__(self, name: str) -> str:
        return self.parameters[name]


@dataclass
class Reply:
    """One answer. `body` is sent as JSON, unless it is bytes or None."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class Refuse(Exception):
    """Raise from a route to answer with an error and leave the state as it was before the request."""

    def __init__(self, status: int, body: Any = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.reply = Reply(status, body, headers or {})


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

    def effect(self, kind: str, **details: Any) -> None:
        """Put on record that something was changed."""
        self._write({"effect": kind, **details}, self.effects)

    # The outside

    def reset(self) -> None:
        """Begin again, with an empty log."""
        with self.lock:
            self.state = self.fresh()
            self.requests.clear()
            self.effects.clear()
            self.faults.clear()

    def handle(self, call: Incoming) -> Reply:
        """Answer one request; a refused one leaves no trace in the state."""
        for verb, pattern, method in self._routes:
            found = pattern.match(call.path) if verb == call.verb else None
            if found:
                call.parameters = {name: unquote(value) for name, value in found.groupdict().items()}
                kept = copy.deepcopy(self.state)
                try:
                    self.before(call)
                    return method(self, call)
                except Refuse as refused:
                    self.state = kept
                    return refused.reply
        return self.not_found(call)

    def control(self, call: Incoming) -> Reply:
        """Answer `/_sandbox/...`."""
        action = call.path.removeprefix("/_sandbox/")
        if action == "snapshot":
            return Reply(200, self.visible())
        if action == "log":
            return Reply(200, {"requests": self.requests, "effects": self.effects})
        if action == "reset":
            self.reset()
        elif action == "seed":
            self.state.update(call.body)
        elif action == "faults":
            if call.body.get("mode") not in FAULTS:
                return Reply(400, {"message": f"mode must be one of {', '.join(FAULTS)}"})
            self.faults.append({"times": 1, "verb": "POST", "path": ".*", **call.body})
        else:
            return Reply(404, {"message": f"no such control: {action}"})
        return Reply(200, {"ok": True})

    def fault_for(self, call: Incoming) -> dict[str, Any] | None:
        """Use up one armed fault that this request matches."""
        for fault in self.faults:
            if fault["times"] and fault["verb"] in (call.verb, "*") and re.search(fault["path"], call.path):
                fault["times"] -= 1
                return fault
        return None

    def note_request(self, call: Incoming) -> None:
        """Put on record that a request arrived, whatever becomes of it."""
        entry = {"verb": call.verb, "path": call.path, "query": call.query, "body": call.body}
        self._write({"request": entry}, None)
        self.requests.append({**entry, "headers": call.headers})

    def _write(self, entry: dict[str, Any], memory: list[dict[str, Any]] | None) -> None:
        if memory is not None:
            memory.append(entry)
        if self._log_file is not None:
            with self._log_file.open("a") as log:
                log.write(json.dumps({"service": self.name, "at": time.time(), **entry}, default=str) + "\n")


class _Dropped(Exception):
    """The connection is cut without an answer."""


def serve(service: Service, port: int = 0) -> ThreadingHTTPServer:
    """Start answering for *service* on 127.0.0.1, in threads of this process; port 0 takes a free one."""
    server = ThreadingHTTPServer(("127.0.0.1", port), _handler_for(service))
    server.daemon_threads = True
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, name=f"sandbox-{service.name}", daemon=True).start()
    return server


def _handler_for(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            call = self.incoming()
            try:
                reply = self.reply_to(call)
            except _Dropped:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.write(reply)

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
                fault = service.fault_for(call) or {"mode": ""}
            self.interfere(fault, "before")
            if fault["mode"] == "status_before":
                return Reply(
                    fault.get("status", 502), fault.get("body", {"message": "fault"}), fault.get("headers", {})
                )
            with service.lock:
                reply = service.handle(call)
            self.interfere(fault, "after")
            if fault["mode"] == "status_after":
                return Reply(
                    fault.get("status", 502), fault.get("body", {"message": "fault"}), fault.get("headers", {})
                )
            if fault["mode"] == "truncate":
                self.write(reply, cut=True)
                raise _Dropped
            return reply

        def interfere(self, fault: dict[str, Any], moment: str) -> None:
            if fault["mode"] == f"drop_{moment}":
                raise _Dropped
            if fault["mode"] == f"delay_{moment}":
                time.sleep(fault.get("seconds", 1.0))

        def write(self, reply: Reply, cut: bool = False) -> None:
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
                self.wfile.write(body[: len(body) // 2] if cut else body)
                self.wfile.flush()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by http.server
            """Keep the terminal quiet: requests are in the service's own log."""

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer  # noqa: N815 - named by http.server

    return Handler


def decode(raw: bytes, headers: dict[str, str]) -> Any:
    """A body as JSON or flat form; None where it is empty or something else."""
    kind = headers.get("content-type", "").split(";")[0].strip()
    if not raw:
        return None
    if kind == "application/x-www-form-urlencoded":
        return dict(parse_qsl(raw.decode(), keep_blank_values=True))
    try:
        return json.loads(raw)
    except ValueError:
        return None
