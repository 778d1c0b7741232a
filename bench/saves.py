"""A 10 KB state saved durably, hashed and verified; beside raw SQLite and LangGraph's SqliteSaver, in one run.

Every contender commits with WAL and synchronous=FULL, one save a commit. Rounds alternate, so that a slow minute of
the disk hits all of them; the ratio is the median of the ratios of the rounds.
"""

import base64
import random
import sqlite3

from measuring import arguments, median, report, scratch, skip, timings

import waycairn as wc

SIZE = 10_240


def text(number: int) -> str:
    """10,240 characters of which half the bytes are random, as in peers' measurements."""
    return base64.b64encode(random.Random(number).randbytes(SIZE * 3 // 4)).decode()


def texts(count: int) -> list[str]:
    """As many different ones, so that no save is cheap because an earlier one held the same bytes."""
    return [text(number) for number in range(count)]


def raw(contents: list[str], round_number: int) -> dict[str, float]:
    """The floor: one 10 KB row a commit."""
    db = sqlite3.connect(scratch(f"raw-{round_number}") / "x.db", isolation_level=None)
    db.execute("pragma journal_mode=wal")
    db.execute("pragma synchronous=full")
    db.execute("create table t(id integer primary key, state blob)")

    def put(number: int) -> None:
        db.execute("begin immediate")
        db.execute("insert into t(state) values(?)", (contents[number].encode(),))
        db.execute("commit")

    figures = timings(put, len(contents))
    db.close()
    return figures


def ours(contents: list[str], round_number: int) -> tuple[dict[str, float], dict[str, float]]:
    with wc.open(scratch(f"ours-{round_number}")) as store, store.run("bench", pace=0) as run:
        state = run.state({"messages": "", "step": 0})

        def put(number: int) -> None:
            state["messages"] = contents[number]
            state["step"] = number
            run.checkpoint(force=True)

        figures = timings(put, len(contents))
        newest = run.checkpoints(limit=1)[0]

        def load(_number: int) -> None:
            found = store.core.catalog.latest_checkpoint(newest.run, role="state")
            assert store.core.load(found.checkpoint.stored)["step"] == len(contents) - 1

        return figures, timings(load, 300)


def langgraph(contents: list[str], round_number: int) -> tuple[dict[str, float], dict[str, float]] | None:
    try:
        from langgraph.checkpoint.base import empty_checkpoint
        from langgraph.checkpoint.base.id import uuid6
        from langgraph.checkpoint.sqlite import SqliteSaver
    except ImportError:
        return None
    with SqliteSaver.from_conn_string(str(scratch(f"langgraph-{round_number}") / "c.db")) as saver:
        saver.setup()
        saver.conn.execute("pragma synchronous=full")
        config = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
        newest = dict(config)

        def put(number: int) -> None:
            nonlocal newest
            checkpoint = empty_checkpoint()
            checkpoint["id"] = str(uuid6(clock_seq=number))
            checkpoint["channel_values"] = {"messages": contents[number], "step": number}
            versions = {"messages": f"{number + 1:032}.0", "step": f"{number + 1:032}.0"}
            checkpoint["channel_versions"] = versions
            newest = saver.put(newest, checkpoint, {"source": "loop", "step": number, "parents": {}}, versions)

        figures = timings(put, len(contents))

        def load(_number: int) -> None:
            assert saver.get_tuple(config).checkpoint["channel_values"]["step"] == len(contents) - 1

        return figures, timings(load, 300)


def main() -> None:
    contents = texts(500 if arguments().quick else 3000)
    rounds = []
    for number in range(arguments().rounds):
        floor = raw(contents, number)
        mine, load = ours(contents, number)
        peer = langgraph(contents, number)
        rounds.append((floor, mine, peer, load))
    floor_ratio = median([mine["per_s"] / floor["per_s"] for floor, mine, _, _ in rounds])
    report(
        "saves",
        ours=rounds[-1][1],
        raw=rounds[-1][0],
        ours_over_raw=round(floor_ratio, 3),
        ours_load_latest=rounds[-1][3],
    )
    if rounds[-1][2] is None:
        skip("saves/langgraph", "langgraph-checkpoint-sqlite is not installed")
        return
    report(
        "saves/langgraph",
        langgraph=rounds[-1][2][0],
        ours_over_langgraph=round(median([mine["per_s"] / peer[0]["per_s"] for _, mine, peer, _ in rounds]), 3),
        langgraph_load_latest=rounds[-1][2][1],
    )


if __name__ == "__main__":
    main()
