"""A store that has something of all there is, for tests that go through the whole of the API: nothing that it can be asked for is
empty, and what is asked by id is there.

with everything(scene, tmp_path) as real:
    scene.ada.get(f"/runs/{real['run']}")
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import create_engine, text

from backups_served import backed_up, told
from serving import Scene, token_for
from waycairn.process import acting

MEMBER = "talk.jsonl"


class _Event(msgspec.Struct):
    seq: int


def everything(scene: Scene, place: Path) -> dict[str, list[str]]:
    """Values of parameters by name: each names something that is there. The first is the richest."""
    with acting("olga"):
        _batch(scene)
        _session(scene)
        _stream(scene, place)
    other = scene.run_of("vera", "of vera")
    backup = told(scene.store, {MEMBER: [b'{"text": "hello"}\n' * 20], "folder/more.txt": [b"more\n"]})
    runs = backed_up(scene, scene.run_of("olga", "for a backup"))
    token_for(scene.store, "vera")
    batch, session, stream = (str(scene.store.find(name).id) for name in ("batch", "session", "stream"))
    newest = [str(one.id) for run in (session, batch) for one in scene.store.checkpoints(run)]
    return {
        "run": [session, batch, stream, other, "batch"],
        "checkpoint": newest[:4],
        "to": newest[:4],
        "backup": [backup, runs["id"]],
        "job": [job["id"] for job in scene.ada.get("/jobs").json()["jobs"]],
        "stream": ["job"],
        "token": [one["id"] for one in scene.ada.get("/tokens?account=vera").json()["tokens"][:1]],
        "name": [MEMBER],
        "text": ["hello", "e"],
        "account": ["vera", "olga", "all"],
        "label": [scene.store.backup(one).record.label for one in (backup, runs["id"])],
    }


def _batch(scene: Scene) -> None:
    """Items that are done, and some that failed."""
    with scene.store.run("batch", key="2026", task="photos", tags=["a"]) as run:
        for item in run.items(range(8)):
            with item:
                if item.value % 3 == 1:
                    raise ValueError("too small")
                item.result({"number": item.value, "nan": float("nan")}) if hasattr(item, "result") else None


def _session(scene: Scene) -> None:
    """Steps with metrics, iterations, and checkpoints of which each differs from the one before."""
    for entry in range(2):
        with scene.store.run("session") as run:
            state = run.state({"at": 0, "name": "ä"})
            for step in run.steps(40 * (entry + 1)):
                state["at"] = step
                run.log(loss=float("nan") if step == 7 else 1 / (step + 1))
            run.session.iteration(entry + 1, metrics={"accuracy": 0.5}, error=ValueError("bad") if entry else None)
            run.checkpoint("milestone", tags=["first"], description=f"entry {entry}")


def _stream(scene: Scene, place: Path) -> None:
    """Lines that were read into a table, and some that could not be."""
    (place / "logs").mkdir()
    (place / "logs" / "a.jsonl").write_text('{"seq": 1}\n{"seq": 2}\nno json\n[1]\n{}\n')
    engine = create_engine(f"sqlite:///{place / 'sink.db'}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE rows (seq INTEGER)"))
    with suppress(StopIteration), scene.store.run("stream") as run:
        following: Any = run.follow(place / "logs" / "*.jsonl", sink=engine, name="job", schema=_Event, once=True)
        for batch in following:
            with batch as tx:
                tx.execute(text("INSERT INTO rows VALUES (:seq)"), [{"seq": event.seq} for event in batch.events])
    engine.dispose()
