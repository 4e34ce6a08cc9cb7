"""Only the GitHub stand-in runs for these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.boxes import Box, start_boxes


@pytest.fixture(scope="session")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Box]]:
    """The GitHub stand-in, in one process beside this one."""
    with start_boxes(tmp_path_factory.mktemp("sandbox") / "log.jsonl", "github") as running:
        yield running
