"""A list that grows by a 1 KB message a turn, saved whole at each turn: stored bytes against distinct bytes."""

import json
import random
import string
import time
from pathlib import Path
from typing import Any

from measuring import arguments, report, scratch, skip

import waycairn as wc

RANDOM = random.Random(7)
WORDS = ["".join(RANDOM.choices(string.ascii_lowercase, k=RANDOM.randint(3, 9))) for _ in range(4000)]


def messages(count: int) -> list[dict[str, str]]:
    return [
        {
            "role": "user" if number % 2 else "assistant",
            "id": str(number),
            "content": " ".join(RANDOM.choices(WORDS, k=140)),
        }
        for number in range(count)
    ]


def size(place: Path) -> int:
    return sum(path.stat().st_size for path in place.rglob("*") if path.is_file())


def ours(turns: list[dict[str, str]]) -> dict[str, Any]:
    place = scratch("growth")
    with wc.open(place) as store:
        started = time.perf_counter()
        with store.run("chat", pace=0) as run:
            state = run.state({"messages": []})
            for message in turns:
                state["messages"].append(message)
                run.checkpoint(force=True)
        taken = time.perf_counter() - started
        listed = store.checkpoints("chat")
        assert store.load(listed[0].id) == {"messages": turns}
        assert store.load(listed[-1].id) == {"messages": turns[:1]}
    return {"stored_bytes": size(place), "seconds": round(taken, 2)}


def langgraph(turns: list[dict[str, str]]) -> dict[str, Any] | None:
    try:
        from langgraph.checkpoint.base import empty_checkpoint
        from langgraph.checkpoint.base.id import uuid6
        from langgraph.checkpoint.sqlite import SqliteSaver
    except ImportError:
        return None
    place = scratch("growth-langgraph")
    with SqliteSaver.from_conn_string(str(place / "c.db")) as saver:
        config: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}
        started = time.perf_counter()
        for number in range(len(turns)):
            checkpoint = empty_checkpoint()
            checkpoint["id"] = str(uuid6(clock_seq=number))
            version = f"{number + 1:032}.0"
            checkpoint["channel_values"] = {"messages": turns[: number + 1]}
            checkpoint["channel_versions"] = {"messages": version}
            metadata = {"source": "loop", "step": number, "parents": {}}
            config = saver.put(config, checkpoint, metadata, {"messages": version})
        taken = time.perf_counter() - started
    return {"stored_bytes": size(place), "seconds": round(taken, 2)}


def main() -> None:
    for count in (500,) if arguments().quick else (500, 2000):
        turns = messages(count)
        raw = sum(len(json.dumps(turn)) for turn in turns)
        mine = ours(turns)
        report("growth", turns=count, raw_bytes=raw, **mine, ratio=round(mine["stored_bytes"] / raw, 2))
        if count > 500:
            continue  # the peer stores two gigabytes there
        peer = langgraph(turns)
        if peer is None:
            skip("growth/langgraph", "langgraph-checkpoint-sqlite is not installed")
        else:
            report("growth/langgraph", turns=count, **peer, ratio=round(peer["stored_bytes"] / raw, 1))


if __name__ == "__main__":
    main()
