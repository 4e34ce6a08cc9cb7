"""The peers: `python -m benchmarks.peers KIND FOLDER` is a worker, run by a Python that has them installed.

Each is used as its own documentation says, and does as little as it can: a step with 1 KB that does nothing. They are
not the same thing as agentguard. DBOS writes once after a step, so that one which was cut off runs again; LangGraph
writes a checkpoint between nodes; neither has a way back. What is compared is what it costs to have a step on record.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypedDict

from benchmarks.workers import Block, Meter, Taken, answer

KILOBYTE = "x" * 1024


@contextmanager
def dbos(folder: Path, *, wal: bool = False) -> Iterator[Block]:
    """A step of a DBOS workflow with the SQLite file that is its default (docs.dbos.dev, "Database Connections").

    With *wal* the file is in WAL mode, which DBOS leaves to whoever makes it.
    """
    package: Any = import_module("dbos")
    path = folder / "dbos.sqlite"
    if wal:
        made = sqlite3.connect(path)
        made.execute("PRAGMA journal_mode = WAL")
        made.close()
    package.DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{path}", "log_level": "ERROR"})

    @package.DBOS.step()  # type: ignore[untyped-decorator]  # it is imported by name
    def step(text: str) -> None:
        """Do nothing."""

    @package.DBOS.workflow()  # type: ignore[untyped-decorator]  # likewise
    def steps(times: int) -> Taken:
        meter = Meter()  # within the workflow, whose own beginning and end are no part of a step
        for _ in range(times):
            step(KILOBYTE)
        return meter.taken()

    package.DBOS.launch()
    try:
        yield steps
    finally:
        package.DBOS.destroy()


@contextmanager
def dbos_wal(folder: Path) -> Iterator[Block]:
    """The same in WAL mode."""
    with dbos(folder, wal=True) as steps:
        yield steps


@contextmanager
def langgraph(folder: Path) -> Iterator[Block]:
    """A node with a state of 1 KB and a SqliteSaver, each on the disk before the next (`durability="sync"`)."""
    graphs: Any = import_module("langgraph.graph")
    saver: Any = import_module("langgraph.checkpoint.sqlite").SqliteSaver
    # Not a class, whose annotations would be texts here.
    state: Any = TypedDict("state", {"left": int, "first": bool, "text": str})
    meter = Meter()
    taken: Taken = 0.0, 0

    def node(given: dict[str, Any]) -> dict[str, Any]:
        nonlocal taken
        if given["first"]:
            meter.set_back()
        taken = meter.taken()
        return {"left": given["left"] - 1, "first": False, "text": KILOBYTE}

    builder = graphs.StateGraph(state)
    builder.add_node("step", node)
    builder.add_edge(graphs.START, "step")
    builder.add_conditional_edges("step", lambda given: "step" if given["left"] >= 0 else graphs.END)
    threads = iter(range(1_000_000))
    with saver.from_conn_string(str(folder / "checkpoints.sqlite")) as checkpointer:
        graph = builder.compile(checkpointer=checkpointer)

        def steps(times: int) -> Taken:
            # One node more: what is measured goes from the beginning of the first to that of the last.
            config = {"configurable": {"thread_id": str(next(threads))}, "recursion_limit": times + 10}
            graph.invoke({"left": times, "first": True, "text": KILOBYTE}, config, durability="sync")
            return taken

        yield steps


PEERS = {
    "DBOS step": (dbos, "dbos"),
    "DBOS step, WAL": (dbos_wal, "dbos"),
    "LangGraph node": (langgraph, "langgraph"),
}


def main(kind: str, folder: Path) -> None:
    """Be a worker that does one of them."""
    peer, package = PEERS[kind]
    with peer(folder) as block:
        answer({kind: block}, f"{package} {version(package)}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
