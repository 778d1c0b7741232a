"""A job that commits numbered rows through a sink, one batch after the other, until it has all of them. It is killed at
crash points; run again it goes on from its ledger.

    python streams_victim.py KIND ADDRESS FOLDER EPOCH COUNT
"""

import sys
from pathlib import Path

import sqlalchemy as sa
from msgspec.structs import replace

from streams_case import NOW, a_generation, a_step, rows
from waycairn.streams.callback_sink import CallbackSink
from waycairn.streams.file_sink import FileSink
from waycairn.streams.own_database import own_engine
from waycairn.streams.records import Counts, Holder
from waycairn.streams.sinks import EngineSink

BATCH = 10


def sink_of(kind, address, folder):
    if kind == "engine":
        return EngineSink(sa.create_engine(address))
    engine = own_engine(folder / "ledger.db")
    if kind == "file":
        return FileSink(folder / "out.txt", engine)

    def deliver(events, key):
        with (folder / "delivered.txt").open("a") as file:
            file.write(f"{key} {' '.join(map(str, events))}\n")

    return CallbackSink(deliver, engine)


def write(batch, kind, numbers):
    if kind == "engine":
        batch.user.insert_many(rows, [(number, f"word {number}") for number in numbers])
    elif kind == "file":
        for number in numbers:
            batch.user.write(f"word {number}\n")
    else:
        batch.user.deliver(numbers, 1, numbers[0])


def main(kind, address, folder, epoch, count):
    sink = sink_of(kind, address, Path(folder))
    standing = sink.open("logs", Holder("run1", int(epoch)), parser="json", now=NOW)
    generation = standing.generations[0] if standing.generations else a_generation()
    is_new = not standing.generations
    while generation.offset < int(count):
        then = replace(generation, offset=generation.offset + BATCH)
        batch = sink.begin()
        write(batch, kind, range(generation.offset + 1, then.offset + 1))
        moved = {} if is_new else {1: generation.offset}
        batch.commit(a_step([then], moved, counts=Counts(events=BATCH)))
        generation, is_new = then, False
    sink.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
