"""A 10 KB state saved durably, hashed and verified; beside raw SQLite and LangGraph's SqliteSaver, in one run.

Every contender commits with WAL and synchronous=FULL, one save a commit. They take turns of 100 saves, so that a slow
moment of the machine hits all of them. Then the newest of 10,000 checkpoints is loaded again and again.
"""

import base64
import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import ExitStack

from measuring import arguments, report, scratch, skip, summary

import waycairn as wc
from waycairn.codec import decode, encode

SIZE = 10_240
TURN = 100
LOADS = 1000


def text(number: int) -> str:
    """10,240 characters of which half the bytes are random, as in peers' measurements."""
    return base64.b64encode(random.Random(number).randbytes(SIZE * 3 // 4)).decode()


class Raw:
    """The floor: one 10 KB row a commit."""

    def __init__(self, stack: ExitStack) -> None:
        self.db = sqlite3.connect(scratch("raw") / "x.db", isolation_level=None)
        stack.callback(self.db.close)
        self.db.execute("pragma journal_mode=wal")
        self.db.execute("pragma synchronous=full")
        self.db.execute("create table t(id integer primary key, state blob)")

    def put(self, _number: int, content: str) -> None:
        self.db.execute("begin immediate")
        self.db.execute("insert into t(state) values(?)", (content.encode(),))
        self.db.execute("commit")


class Ours:
    def __init__(self, stack: ExitStack) -> None:
        self.store = stack.enter_context(wc.open(scratch("ours")))
        self.run = stack.enter_context(self.store.run("bench", pace=0))
        self.state = self.run.state({"messages": "", "step": 0})

    def put(self, number: int, content: str) -> None:
        self.state["messages"] = content
        self.state["step"] = number
        self.run.checkpoint(force=True)

    def load(self) -> int:
        found = self.store.core.catalog.latest_checkpoint(self.run.id, role="state")
        return self.store.core.load(found.checkpoint.stored)["step"]


class LangGraph:
    def __init__(self, stack: ExitStack) -> None:
        from langgraph.checkpoint.base import empty_checkpoint
        from langgraph.checkpoint.base.id import uuid6
        from langgraph.checkpoint.sqlite import SqliteSaver

        self.empty, self.new_id = empty_checkpoint, uuid6
        self.saver = stack.enter_context(SqliteSaver.from_conn_string(str(scratch("langgraph") / "c.db")))
        self.saver.setup()
        self.saver.conn.execute("pragma synchronous=full")
        self.thread = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
        self.newest = dict(self.thread)

    def put(self, number: int, content: str) -> None:
        checkpoint = self.empty()
        checkpoint["id"] = str(self.new_id(clock_seq=number))
        checkpoint["channel_values"] = {"messages": content, "step": number}
        versions = {"messages": f"{number + 1:032}.0", "step": f"{number + 1:032}.0"}
        checkpoint["channel_versions"] = versions
        about = {"source": "loop", "step": number, "parents": {}}
        self.newest = self.saver.put(self.newest, checkpoint, about, versions)

    def load(self) -> int:
        return self.saver.get_tuple(self.thread).checkpoint["channel_values"]["step"]


def contenders(stack: ExitStack) -> dict[str, Raw | Ours | LangGraph]:
    found = {"raw": Raw(stack), "ours": Ours(stack)}
    try:
        found["langgraph"] = LangGraph(stack)
    except ImportError:
        skip("saves/langgraph", "langgraph-checkpoint-sqlite is not installed")
    return found


def timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main() -> None:
    count, many = (1000, 1000) if arguments().quick else (6000, 10_000)
    contents = [text(number) for number in range(2000)]  # more than any cache of ours remembers as the same
    with ExitStack() as stack:
        found = contenders(stack)
        took: dict[str, list[float]] = {name: [] for name in found}
        for start in range(0, count, TURN):
            for name, contender in found.items():
                for number in range(start, start + TURN):
                    took[name].append(timed(lambda: contender.put(number, contents[number % 2000])))  # noqa: B023
        figures = {name: summary(times) for name, times in took.items()}
        ours = figures["ours"]["per_s"]
        ratios = {f"ours_over_{name}": round(ours / figures[name]["per_s"], 3) for name in found if name != "ours"}
        report("saves", **figures, **ratios)

        loads: dict[str, list[float]] = {}
        for name, contender in found.items():
            if name == "raw":
                continue
            for number in range(count, many):
                contender.put(number, contents[number % 2000])
            assert contender.load() == many - 1
            loads[name] = [timed(contender.load) for _ in range(LOADS)]
        document = encode(found["ours"].state).document
        decoding = summary([timed(lambda: decode(document, None)) for _ in range(LOADS)])
        report("saves/load_latest", of=many, **{name: summary(times) for name, times in loads.items()}, decode=decoding)


if __name__ == "__main__":
    main()
