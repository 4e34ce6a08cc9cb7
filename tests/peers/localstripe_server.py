"""Run localstripe on 127.0.0.1: `python -m tests.peers.localstripe_server`. Prints its URL when it answers.

Its own starter listens on every interface and pickles its state into the temporary folder after each write, to find
it there at the next start. One thing is put right: Stripe says what a 404 means in `code`, and localstripe leaves it
out (https://docs.stripe.com/error-codes#resource-missing); without it no deletion could be told from a wrong URL.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web
from localstripe.resources import store
from localstripe.server import app


@web.middleware
async def say_what_is_missing(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.Response]]
) -> web.StreamResponse:
    """Add the code that Stripe gives for an object that does not exist."""
    response = await handler(request)
    if response.status != 404 or response.content_type != "application/json":
        return response
    error = json.loads(response.text or "{}")["error"]
    return web.json_response({"error": {"code": "resource_missing", **error}}, status=404)


def main() -> None:
    """Serve until the process is ended."""
    store.dump_to_disk = lambda: None
    app.middlewares.insert(0, say_what_is_missing)
    listening = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    web.run_app(app, sock=listening, access_log=None, print=None)


if __name__ == "__main__":
    main()
