"""The Notion stand-in in a process of its own, and the SDK's clients for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from notion_client import AsyncClient, Client

from tests.boxes import Box, start_boxes


@pytest.fixture(scope="session")
def notion_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """The stand-in, beside this process."""
    with start_boxes(tmp_path_factory.mktemp("notion") / "log.jsonl", "notion") as running:
        yield running["notion"]


@pytest.fixture
def box(notion_server: Box) -> Box:
    """The stand-in, as new."""
    return notion_server.reset()


@pytest.fixture
def notion(box: Box) -> Iterator[Any]:
    """The SDK's client, as the connection's bot."""
    client = Client(auth="ntn_agent_token", base_url=box.url)
    yield client
    client.close()


@pytest.fixture
def ada(box: Box) -> Iterator[Any]:
    """A client that acts as a person of the workspace."""
    client = Client(auth="ntn_colleague", base_url=box.url)
    yield client
    client.close()


@pytest.fixture
async def anotion(box: Box) -> AsyncIterator[Any]:
    """The SDK's asynchronous client."""
    client = AsyncClient(auth="ntn_agent_token", base_url=box.url)
    yield client
    await client.aclose()
