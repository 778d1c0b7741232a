"""Follows logs/app.jsonl below a folder into the table `rows` of sink.db there.

python following_job.py FOLDER [BATCH] [follow | once] [RUN]
"""

import logging
import sys
from pathlib import Path

import msgspec
from sqlalchemy import create_engine, text

import waycairn as wc


class Event(msgspec.Struct):
    seq: int


def main(folder: Path, batch_size: int, *, once: bool, name: str = "job") -> None:
    engine = create_engine(f"sqlite:///{folder / 'sink.db'}")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS rows (seq INTEGER)"))
    with wc.open(folder / "store") as store, store.run(name) as run:
        for batch in run.follow(
            folder / "logs" / "*.jsonl",
            sink=engine,
            name="job",
            schema=Event,
            batch=batch_size,
            every="20ms",
            once=once,
        ):
            with batch as tx:
                tx.execute(text("INSERT INTO rows VALUES (:seq)"), [{"seq": event.seq} for event in batch.events])
    engine.dispose()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    folder, size, how, name = [*sys.argv[1:], *["100", "once", "job"][len(sys.argv) - 2 :]]
    main(Path(folder), int(size), once=how == "once", name=name)
