"""The operations table: from a verb and a path to a row, and from a row to a path."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentguard.calls import Effect
from agentguard.operations import Operation, OperationTable

TABLE = OperationTable(
    [
        Operation("issues.list", "GET", "/repos/{owner}/{repo}/issues", Effect.READ),
        Operation("issues.get", "GET", "/repos/{owner}/{repo}/issues/{number}", Effect.READ),
        Operation("issues.comments", "GET", "/repos/{owner}/{repo}/issues/comments", Effect.READ),
        Operation("issues.update", "PATCH", "/repos/{owner}/{repo}/issues/{number}"),
        Operation("contents.put", "PUT", "/repos/{owner}/{repo}/contents/{+path}"),
    ]
)


@pytest.mark.parametrize(
    ("verb", "path", "name", "arguments"),
    [
        ("GET", "/repos/a/b/issues", "issues.list", {"owner": "a", "repo": "b"}),
        ("GET", "/repos/a/b/issues/", "issues.list", {"owner": "a", "repo": "b"}),
        ("GET", "/repos/a/b/issues/7", "issues.get", {"owner": "a", "repo": "b", "number": "7"}),
        ("GET", "/repos/a/b/issues/comments", "issues.comments", {"owner": "a", "repo": "b"}),
        ("PATCH", "/repos/a/b/issues/7", "issues.update", {"owner": "a", "repo": "b", "number": "7"}),
        ("PUT", "/repos/a/b/contents/x/y%20z", "contents.put", {"owner": "a", "repo": "b", "path": "x/y z"}),
        ("GET", "/repos/a%2Fc/b/issues", "issues.list", {"owner": "a/c", "repo": "b"}),
    ],
)
def test_a_path_finds_its_operation(verb: str, path: str, name: str, arguments: dict[str, str]) -> None:
    match = TABLE.match(verb, path)
    assert match is not None
    assert (match.operation.name, match.arguments) == (name, arguments)


@pytest.mark.parametrize(
    ("verb", "path"),
    [("DELETE", "/repos/a/b/issues/7"), ("GET", "/repos/a/b"), ("GET", "/repos/a//issues"), ("GET", "/"), ("PUT", "")],
)
def test_what_the_table_lacks_is_not_guessed(verb: str, path: str) -> None:
    assert TABLE.match(verb, path) is None


def test_a_row_fills_its_path_quoted_and_returns_the_rest() -> None:
    row = TABLE.by_name["contents.put"]
    path, rest = row.fill({"owner": "a", "repo": "b c", "path": "d/e f", "message": "m"})
    assert (path, rest) == ("/repos/a/b%20c/contents/d/e%20f", {"message": "m"})


def test_a_missing_path_argument_is_named() -> None:
    with pytest.raises(ValueError, match=r"issues\.update needs 'number'"):
        TABLE.by_name["issues.update"].fill({"owner": "a", "repo": "b"})


@pytest.mark.parametrize("second", [Operation("a", "GET", "/y"), Operation("b", "GET", "/x/{other}")])
def test_rows_that_collide_are_refused(second: Operation) -> None:
    with pytest.raises(ValueError, match="a"):
        OperationTable([Operation("a", "GET", "/x/{one}"), second])


def test_a_table_is_read_from_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "operations.jsonl"
    path.write_text('{"name":"a","verb":"GET","path":"/a","effect":"read"}\n{"name":"b","verb":"POST","path":"/b"}\n')
    table = OperationTable.load(path)
    assert table.by_name["a"].reads
    assert table.by_name["b"].effect is None
