"""Every decoder, fed with what real stores hold and somebody damaged: a value, or one of our errors, soon, in little memory."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import sqlite3
import struct
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from programme import documents, full_store, isolation
from programme.full_store import STORE
from programme.isolation import isolated
from programme.tally import Budget, Tally
from waycairn.catalog import rows
from waycairn.catalog.columns import decode_json, decode_place, decode_text
from waycairn.catalog.shapes import NONSENSE
from waycairn.catalog.tables import runs
from waycairn.chunks import manifest, pack_file
from waycairn.chunks.pack_file import PackedBlock
from waycairn.chunks.sealing import DELTA, PLANES, RAW, ZSTD, Base, Member, compressed, seal_delta, seal_planes, unseal
from waycairn.codec import unbundle
from waycairn.codec.keys import single_key, unpack_keys
from waycairn.errors import WaycairnError
from waycairn.fanout import FlightLog, wire
from waycairn.model.encoded import Encoded
from waycairn.model.ids import ChunkId, PackId
from waycairn.model.tasks import Outcome
from waycairn.process.files import _read_owner

__all__ = ["mutated", "run"]

LIMIT = 10.0
"""Seconds that one input may take."""
SLOW = 1.0
"""Seconds of processor time."""
MEMORY = 300_000
"""KiB by which the process may grow over one input; a deep document takes stack."""
PACK = PackId("0" * 32)
INTERESTING = [0x00, 0x01, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xC0, 0xC1, 0xC4, 0xC6, 0xC7, 0xC9, 0xCB, 0xCF, 0xD3]
INTERESTING += [0xD4, 0xD7, 0xD8, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF, 0xFF, *range(32, 50), *range(64, 74)]
"""Where msgpack and our marks begin something else."""


@dataclass(frozen=True)
class Decoder:
    name: str
    corpus: Sequence[Any]
    """Inputs that it takes."""
    decode: Callable[[Any], Any]


# -- the decoders ------------------------------------------------------------------------------------------------------


def decoders(folder: Path) -> list[Decoder]:
    """With what lies in a store for them."""
    database = folder / STORE / "catalog.db"
    packs = [path.read_bytes() for path in (folder / STORE / "packs").rglob("*") if path.is_file()]
    owners = [path.read_bytes() for path in (folder / STORE / "owners").iterdir()]
    flights = [path.read_bytes() for path in (folder / STORE / "flights").iterdir()]
    with closing(sqlite3.connect(database)) as connection:

        def column(name: str, table: str) -> list[Any]:
            found = connection.execute(f'SELECT "{name}" FROM {table} WHERE "{name}" IS NOT NULL')
            return [value for (value,) in found]

        manifests = [
            value for table in ("checkpoints", "steps", "items", "queued") for value in column("manifest", table)
        ]
        bundles = [_document(value) for table in ("items", "queued") for value in column("manifest", table)]
        keys = column("keys", "items") + column("key", "failures")
        texts = [value for name in ("tags", "metadata", "launch", "owner", "error") for value in column(name, "runs")]
        places = column("place", "steps")
        listed = [
            Decoder(f"rows of {name}", connection.execute(_select(columns)).fetchall(), reader)
            for name, columns, reader in _ROWS
        ]
    saved = [_document(value) for value in manifests]
    return [
        *listed,
        Decoder(
            "documents", documents.SEEDS + [one for one in saved if one] + documents.CORPUS, documents.decode_anything
        ),
        Decoder("blocks of keys", keys, unpack_keys),
        Decoder("keys of rows", keys, lambda block: single_key(block, bytes(16))),
        Decoder("bundles", [one for one in bundles if one], _unbundle),
        Decoder("manifests", manifests, manifest.decode),
        Decoder("pack headers", [pack[:64] for pack in packs], lambda data: pack_file.read_header(data, "store", PACK)),
        Decoder("pack trailers", [pack[-64:] for pack in packs], lambda data: pack_file.read_trailer(data, 9999, PACK)),
        Decoder(
            "pack footers", [*map(_footer, packs), _footer_with_base()], lambda data: pack_file.read_footer(data, PACK)
        ),
        Decoder("blocks", [compressed(data * 9) for data in keys] + _planes(keys), _unseal),
        Decoder(
            "lists of running items", flights, lambda data: _with_file(data, lambda path: FlightLog(path, 2).close())
        ),
        Decoder("owner files", owners, lambda data: _with_file(data, _owner)),
        Decoder("JSON of columns", texts, _told_by_rows(decode_json)),
        Decoder("text of columns", [*texts, "\x1bnightly\\u0000"], _told_by_rows(decode_text)),
        Decoder("places", places, _told_by_rows(decode_place)),
        Decoder(
            "tasks on the wire", [wire.pack_tasks([(1, bytes(16), b"task"), (2, bytes(16), b"")])], wire.unpack_tasks
        ),
        Decoder("pauses on the wire", [wire.pack_hold(1.5)], wire.unpack_hold),
        Decoder("answers on the wire", _answers(), lambda data: wire.unpack_answer(data).outcomes()),
    ]


_ROWS: tuple[tuple[str, Any, Callable[[Any], Any]], ...] = (
    ("runs", rows.RUN_COLUMNS, rows.run_of),
    ("steps", rows.STEP_COLUMNS, rows.step_of),
    ("checkpoints", (runs.c.id, *rows.CHECKPOINT_COLUMNS), rows.checkpoint_of),
    ("blocks", rows.BLOCK_COLUMNS, rows.block_of),
    ("chunks", rows.CHUNK_COLUMNS, rows.chunk_of),
)


def _select(columns: Sequence[Any]) -> str:
    tables = sorted({column.table.name for column in columns})
    names = ", ".join(f'{column.table.name}."{column.name}"' for column in columns)
    joined = " JOIN runs ON runs.num = checkpoints.run" if len(tables) > 1 else ""
    return f"SELECT {names} FROM {tables[0]}{joined}"


def _told_by_rows(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """As a column of a row: what its decoder raises is told by the row's."""

    def reading(text: str) -> Any:
        with contextlib.suppress(*NONSENSE):
            read(text)

    return reading


def _document(data: bytes) -> bytes | None:
    return manifest.decode(data).whole


def _footer(pack: bytes) -> bytes:
    offset, length, _ = pack_file.read_trailer(pack[-64:], len(pack), PACK)
    return pack[offset : offset + length]


def _unbundle(data: bytes) -> None:
    for part in unbundle(data, documents.fetch):
        if part is not None:
            part.load(documents.TYPES)


def _footer_with_base() -> bytes:
    member, base = Member(9, ChunkId(bytes(32)), 100), (7, ChunkId(bytes(range(32))))
    return pack_file.footer([PackedBlock(DELTA, 4096, 100, 20, bytes(32), [member], base)])


def _planes(contents: Sequence[bytes]) -> list[bytes]:
    """Blocks of elements of several widths, and the difference of a content to nothing."""
    blocks = []
    for width, content in enumerate(contents[:8], 1):
        data = content * 9
        member = Member(1, ChunkId(bytes(32)), len(data))
        base = Base(2, ChunkId(bytes(32)), bytes(len(data)))
        found = (seal_planes(member, data, width), seal_delta(member, data, width, base))
        blocks += [bytes(sealed.parts[0]) for sealed in found if sealed is not None]
    return blocks


def _unseal(data: bytes) -> None:
    for codec in (RAW, ZSTD, PLANES, DELTA, 4):
        with contextlib.suppress(WaycairnError):
            unseal(codec, data, len(data) * 9, "a block", base=bytes(len(data) * 9))


def _answers() -> list[bytes]:
    encoded = Encoded(b"document", [memoryview(b"buffer")])
    outcomes = [Outcome(1, encoded), Outcome(2, error={"type": "ValueError"}, again=True, after=1.0)]
    return [wire.pack_ready(), wire.pack_broken({"type": "E", "message": "m"}), wire.pack_outcomes(outcomes, 0.5)]


def _with_file(data: bytes, read: Callable[[Path], Any]) -> None:
    path = Path("file")
    path.write_bytes(data)
    read(path)


def _owner(path: Path) -> None:
    with path.open("rb") as file:
        _read_owner(file.fileno())


# -- damage ------------------------------------------------------------------------------------------------------------


def mutated(chance: random.Random, seeds: Sequence[bytes]) -> bytes:
    """One of them with a few bytes changed, removed, repeated, or replaced by a piece of another."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.choice([1, 1, 1, 2, 4])):
        if not data:
            break
        at = chance.randrange(len(data))
        match chance.randrange(7):
            case 0:
                data[at] = chance.randrange(256)
            case 1:
                data[at] = chance.choice(INTERESTING)
            case 2:
                del data[at : at + chance.randrange(1, 9)]
            case 3:
                data[at:at] = data[chance.randrange(len(data)) :][: chance.randrange(1, 40)]
            case 4:
                other = chance.choice(seeds)
                data[at : at + chance.randrange(9)] = other[chance.randrange(len(other) + 1) :][
                    : chance.randrange(1, 40)
                ]
            case 5:
                data[at : at + 4] = struct.pack(">I", chance.choice([0, 2**16, 2**31 - 1, 2**32 - 1]))
            case 6:
                data[at] ^= 1 << chance.randrange(8)
    return bytes(data)


def _mutated_row(chance: random.Random, seeds: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """One column as it could come out of a damaged page: other bits, another type, or nothing."""
    row = list(chance.choice(seeds))
    at = chance.randrange(len(row))
    others = [None, -1, 2**62, 0.5, "", b"", "x", b"\x00", "[]", "{}", "null", float("inf"), chance.choice(seeds)[at]]
    value = row[at]
    if isinstance(value, bytes) and chance.random() < 0.6:
        row[at] = mutated(chance, [value or b"\0"])
    elif isinstance(value, str) and chance.random() < 0.6:
        row[at] = mutated(chance, [value.encode() or b"\0"]).decode("utf-8", "replace")
    else:
        row[at] = chance.choice(others)
    return tuple(row)


def damaged(chance: random.Random, corpus: Sequence[Any]) -> Any:
    """Of the same kind as the inputs."""
    if isinstance(corpus[0], tuple):
        return _mutated_row(chance, corpus)
    if isinstance(corpus[0], str):
        return mutated(chance, [text.encode() for text in corpus]).decode("utf-8", "replace")
    return mutated(chance, corpus)


# -- running them ------------------------------------------------------------------------------------------------------


def run(budget: Budget, folder: Path) -> Tally:
    tally = Tally("decoders")
    began = time.monotonic()
    store = folder / "store"
    full_store.build(store)
    every = decoders(_rested(store))
    most = budget.most or 10**9
    seed = budget.chance("inputs").getrandbits(32)
    scratch = folder / "scratch"
    scratch.mkdir()

    def attempt(number: int) -> str:
        os.chdir(scratch)
        return _try(every[number % len(every)], f"{seed} {number}")

    for number, told in isolated(range(most), attempt, LIMIT):
        tally.delivered["damaged inputs"] += 1
        if told:
            tally.bad.append(f"{every[number % len(every)].name}, input {seed} {number}: {told}")
        if budget.is_spent or len(tally.bad) >= isolation.HOPELESS:
            break
    tally.seconds = time.monotonic() - began
    return tally


def _rested(folder: Path) -> Path:
    """With all rows in the database."""
    import waycairn as wc

    with contextlib.chdir(folder), wc.open(STORE):
        pass
    return folder


def _try(decoder: Decoder, seed: str) -> str:
    """What is wrong; empty for a value, or one of our errors."""
    given = damaged(random.Random(seed), decoder.corpus)
    memory, clock = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            decoder.decode(given)
    except WaycairnError:
        pass
    except Exception:
        return f"{given!r:.500}\n{traceback.format_exc()}"
    if (took := time.process_time() - clock) > SLOW:
        return f"{given!r:.500} took {took:.1f} s"
    if (grew := resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) > MEMORY:
        return f"{given!r:.500} took {grew} KiB"
    return ""
