"""The same job of many small steps, made durable in several ways, each with the settings its makers advise.

A job is called as `job(place, steps, body)` in a new process; called again after a kill it goes on. `body(number, chain)`
gives the chain, longer by one link, so that the last chain tells whether each step went into it once and in order.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

Body = Callable[[int, str], str]
Job = Callable[[Path, int, Body], str]

START = "0-"
LINES = "lines.txt"
"""What a job with a growing output writes: a line for each step."""


def line(number: int, chain: str) -> str:
    return f"{number} {chain}\n"


def bare(_place: Path, steps: int, body: Body) -> str:
    chain = START
    for number in range(steps):
        chain = body(number, chain)
    return chain


def by_hand(place: Path, steps: int, body: Body) -> str:
    """What many write: a line into the file, then the progress, after each step. Not safe; it shows that the bench bites."""
    progress = place / "progress.json"
    try:
        begin, chain = json.loads(progress.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        begin, chain = 0, START
    with (place / LINES).open("a") as out:
        for number in range(begin, steps):
            chain = body(number, chain)
            out.write(line(number, chain))
            out.flush()
            progress.write_text(json.dumps([number + 1, chain]))
    return chain


def ours_step(place: Path, steps: int, body: Body) -> str:
    import waycairn as wc

    with wc.open(place / "store") as store, store.run("job", progress="off") as run:
        chain = START
        for number in range(steps):
            chain = run.step(f"step {number}", body, number, chain)
        return chain


def ours_each(place: Path, steps: int, body: Body, pace: str | None = None) -> str:
    import waycairn as wc

    with wc.open(place / "store") as store, store.run("job", progress="off", pace=pace) as run:
        state = run.state({"chain": START})
        out = run.output(place / LINES, append=True)
        for number in run.each(range(steps)):
            state["chain"] = body(number, state["chain"])
            out.write(line(number, state["chain"]))
        return state["chain"]


def ours_every_item(place: Path, steps: int, body: Body) -> str:
    return ours_each(place, steps, body, pace="every item")


def dbos(place: Path, steps: int, body: Body, *, wal: bool = False) -> str:
    """A workflow of durable steps; after a kill `launch` recovers it. SQLite, the default, in its default journal mode."""
    from dbos import DBOS, SetWorkflowID

    database = place / "dbos.sqlite"
    if wal:
        _set_wal(database)
    DBOS(
        config={
            "name": "bench",
            "system_database_url": f"sqlite:///{database}",
            "application_version": "1",
            "log_level": "ERROR",
            "run_admin_server": False,
        }
    )

    @DBOS.step()
    def step(number: int, chain: str) -> str:
        return body(number, chain)

    @DBOS.workflow()
    def job(count: int) -> str:
        chain = START
        for number in range(count):
            chain = step(number, chain)
        return chain

    DBOS.launch()
    if DBOS.list_workflows(workflow_ids=["job"]):
        handle = DBOS.retrieve_workflow("job")
    else:
        with SetWorkflowID("job"):
            handle = DBOS.start_workflow(job, steps)
    chain = handle.get_result(polling_interval_sec=0.01)
    DBOS.destroy()
    return chain


def dbos_wal(place: Path, steps: int, body: Body) -> str:
    """As above, on a database that was put into WAL mode beforehand, which it keeps: faster than the default."""
    return dbos(place, steps, body, wal=True)


def _set_wal(database: Path) -> None:
    import sqlite3

    connection = sqlite3.connect(database)
    connection.execute("pragma journal_mode=wal")
    connection.close()


class Chain(TypedDict):
    number: int
    chain: str


def langgraph(place: Path, steps: int, body: Body) -> str:
    """A step is a superstep; durability "sync": its checkpoint is written before the next one begins."""
    from langgraph.checkpoint.sqlite import SqliteSaver
    from langgraph.graph import StateGraph

    graph = StateGraph(Chain)
    graph.add_node("work", lambda at: {"number": at["number"] + 1, "chain": body(at["number"], at["chain"])})
    graph.set_entry_point("work")
    graph.add_conditional_edges("work", lambda at: "work" if at["number"] < steps else "__end__")
    thread = {"configurable": {"thread_id": "job"}, "recursion_limit": steps + 10}
    with SqliteSaver.from_conn_string(str(place / "langgraph.sqlite")) as saver:
        saver.setup()
        saver.conn.execute("pragma synchronous=full")
        compiled = graph.compile(checkpointer=saver)
        begun = compiled.get_state(thread).created_at is not None
        state = compiled.invoke(None if begun else {"number": 0, "chain": START}, thread, durability="sync")
    return state["chain"]


JOBS: dict[str, Job] = {
    "bare": bare,
    "by_hand": by_hand,
    "dbos": dbos,
    "dbos_wal": dbos_wal,
    "langgraph": langgraph,
    "ours.step": ours_step,
    "ours.every_item": ours_every_item,
    "ours.each": ours_each,
}
