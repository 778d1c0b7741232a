"""Somebody who may write to an encrypted store and has no key: what he changes is refused, and what he reads tells nothing.

He exchanges sealed values of two rows, puts in those of other columns and plain ones, flips bits, and exchanges blocks of
packs. Everything is read afterwards: it is as it was, or Damaged.
"""

from __future__ import annotations

import binascii
import random
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

import waycairn as wc
from programme.tally import Budget, Tally
from waycairn.catalog.protection import Protection, protection_of
from waycairn.catalog.tables import metadata
from waycairn.errors import Damaged
from waycairn.model.keys import DataKeys
from waycairn.wiring import open_core

__all__ = ["run"]

KEYS = DataKeys(1, {1: bytes(range(32))})
MARK = "planted where nobody may find it"
SIZE = 1_100_000
"""A chunk, and a block, of its own."""


def run(budget: Budget, folder: Path) -> Tally:
    tally = Tally("deceit")
    began = time.monotonic()
    pristine, victim = folder / "pristine", folder / "victim"
    _make(pristine)
    right = dict(_look(pristine))
    tally.bad += _tells(pristine)
    tally.delivered["looks at files"] += 1
    for number in range(budget.most or 10**9):
        if budget.is_spent or tally.bad:
            break
        shutil.rmtree(victim, ignore_errors=True)
        shutil.copytree(pristine, victim)
        told = _deceive(victim, budget.chance(f"deceit {number}"))
        if told is None:
            continue
        tally.delivered["deceits"] += 1
        for what, found in _look(victim):
            if not isinstance(found, Damaged) and found != right[what]:
                tally.bad.append(f"seed {budget.seed}, deceit {number}, {told}: {what} is {found!r:.100}")
    tally.seconds = time.monotonic() - began
    return tally


def _noise(seed: int) -> Any:
    return np.frombuffer(random.Random(seed).randbytes(SIZE), np.uint8)


def _make(place: Path) -> None:
    """Two rows of everything, of the same lengths."""
    with wc.Store(open_core(place, keys=KEYS)) as store:
        store.save("large", list(map(_noise, range(2))))
        for number in range(2):
            store.save("small", {MARK: number}, tags=[f"{MARK} {number}"], description=MARK, metadata={MARK: number})
            with store.run("job", key=f"{MARK} {number}", tags=[f"tag {MARK}"], metadata={MARK: MARK}) as run:
                for item in run.items([f"{MARK} {one}" for one in range(4)]):
                    with item:
                        run.step("step", str, item.value, returns=str)
                        if item.value.endswith("3"):
                            raise ValueError(MARK)
    with closing(sqlite3.connect(place / "catalog.db")) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


# -- looking -----------------------------------------------------------------------------------------------------------


def _look(place: Path) -> Iterator[tuple[str, Any]]:
    """Everything by name: what it is, or the error that tells that it is damaged."""
    store = _told(lambda: wc.Store(open_core(place, keys=KEYS, create=False)))
    if isinstance(store, Damaged):
        yield "store", store
        return
    with store:
        rows = store.core.catalog
        with closing(sqlite3.connect(place / "catalog.db")) as database:
            ids = [id_ for (id_,) in database.execute("SELECT id FROM runs ORDER BY num")]
            saved = database.execute("SELECT id, c.sequence FROM checkpoints c JOIN runs ON run = num").fetchall()
        for id_ in ids:
            yield f"run {id_}", _told(partial(rows.get_run, id_))
            yield f"failures of {id_}", _told(lambda id_=id_: sorted(map(repr, rows.failures(id_))))
            yield f"steps of {id_}", _told(lambda id_=id_: sorted(map(repr, rows.list_steps(id_))))
            yield f"items of {id_}", _told(lambda id_=id_: list(map(repr, rows.done_items(id_, "items"))))
            yield f"outputs of {id_}", _told(partial(rows.outputs, id_))
        for id_, sequence in saved:
            record = _told(partial(rows.get_checkpoint, id_, sequence))
            yield f"checkpoint {id_} {sequence}", record
            if not isinstance(record, Damaged):
                yield f"state {id_} {sequence}", _told(lambda record=record: _loaded(store, record))


def _loaded(store: wc.Store, record: Any) -> Any:
    found = store.core.load(record.checkpoint.stored)
    return [one.tobytes() for one in found] if isinstance(found, list) else found


def _told(look: Callable[[], Any]) -> Any:
    try:
        return look()
    except Damaged as error:
        return error


def _tells(place: Path) -> Iterator[str]:
    """What can be read without a key, and must not be."""
    for path in place.rglob("*"):
        if path.is_file() and MARK.encode() in path.read_bytes():
            yield f"{path.name} holds in the clear what is secret"
    with closing(sqlite3.connect(place / "catalog.db")) as database:
        for column in _sealed():
            found = [value for (value,) in database.execute(_select(column)) if value is not None]
            # The same value in two rows would be encrypted to the same, were a key to meet a nonce again.
            if len(set(map(_without_tag, found))) < len(found):
                yield f"{column} looks the same in two rows"
        for one, two in combinations(_raw_blocks(place, database), 2):
            if _xor(*one) == _xor(*two):
                yield "two blocks of a pack are encrypted with the same bytes"


def _without_tag(value: Any) -> bytes:
    data = value if isinstance(value, bytes) else binascii.a2b_base64(value.strip('"'))
    return bytes(data[:-16])


def _raw_blocks(place: Path, database: sqlite3.Connection) -> Iterator[tuple[bytes, bytes]]:
    """The beginning of each chunk that lies in a pack as it is: plain, and encrypted."""
    found = database.execute("SELECT pack, offset FROM blocks WHERE pack NOTNULL AND codec = 0 ORDER BY number")
    for plain, (pack, offset) in zip(map(_noise, range(2)), found, strict=True):
        yield bytes(plain[:64]), (place / "packs" / pack[:2] / pack).read_bytes()[offset : offset + 64]


def _xor(one: bytes, two: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, two, strict=True))


# -- deceiving ---------------------------------------------------------------------------------------------------------


def _deceive(place: Path, chance: random.Random) -> str | None:
    """What was done; None if there was nothing to do it to."""
    if chance.random() < 0.03:
        return _deceive_packs(place, chance)
    with closing(sqlite3.connect(place / "catalog.db", isolation_level=None)) as database:
        found = {column: [*database.execute(_select(column, keyed=True))] for column in _sealed()}
        column, rows = chance.choice([(one, rows) for one, rows in found.items() if any(value for _, value in rows)])
        at, value = chance.choice([row for row in rows if row[1] is not None])
        act = chance.choice([_of_another_row, _of_another_column, _in_the_clear, _with_a_flipped_bit, _cut_short])
        new = act(chance, column, value, dict(rows), partial(_stored, database, at))
        if new is None or new == value:
            return None
        database.execute(f'UPDATE {column.table.name} SET "{column.name}" = ? WHERE "{_key(column)}" = ?', (new, at))
        return f"{act.__name__.strip('_').replace('_', ' ')}: {column}"


def _of_another_row(chance: random.Random, _column: Any, _value: Any, rows: dict[Any, Any], _: Any) -> Any:
    return chance.choice([value for value in rows.values() if value is not None])


def _of_another_column(chance: random.Random, column: Any, _value: Any, _rows: Any, stored: Any) -> Any:
    """Of the same row where there is one like it."""
    alike = [one for one in _sealed() if one is not column and type(one.type) is type(column.type)]
    beside = [one for one in alike if one.table is column.table]
    return stored(chance.choice(beside or alike))


def _in_the_clear(chance: random.Random, _column: Any, value: Any, _rows: Any, _: Any) -> Any:
    plain = chance.choice(['{"a":1}', "[]", '"text"', "text", ""])
    return plain.encode() if isinstance(value, bytes) else plain


def _with_a_flipped_bit(chance: random.Random, _column: Any, value: Any, _rows: Any, _: Any) -> Any:
    data = bytearray(value if isinstance(value, bytes) else value.encode())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(7)
    with suppress(UnicodeDecodeError):
        return bytes(data) if isinstance(value, bytes) else data.decode()
    return None


def _cut_short(chance: random.Random, _column: Any, value: Any, _rows: Any, _: Any) -> Any:
    return value[: chance.randrange(len(value))]


def _stored(database: sqlite3.Connection, at: Any, column: Any) -> Any:
    found = dict(database.execute(_select(column, keyed=True)))
    return found.get(at) or next((value for value in found.values() if value is not None), None)


def _deceive_packs(place: Path, chance: random.Random) -> str | None:
    with closing(sqlite3.connect(place / "catalog.db")) as database:
        found = database.execute("SELECT pack, offset, stored_length FROM blocks WHERE pack NOTNULL").fetchall()
    if len(found) < 2:
        return None
    (pack, at, length), (other, begins, size) = chance.sample(found, 2)
    path, source = (place / "packs" / name[:2] / name for name in (pack, other))
    content, length = bytearray(path.read_bytes()), min(length, size)
    content[at : at + length] = source.read_bytes()[begins : begins + length]
    path.write_bytes(content)
    return f"block of pack {other} at byte {begins} for that of {pack} at {at}"


def _sealed() -> Iterator[Any]:
    for table in metadata.sorted_tables:
        if table.name not in {"meta", "blocks"}:
            yield from (column for column in table.c if protection_of(column) is Protection.SEALED)


def _key(column: Any) -> str:
    return "oid" if column.table.dialect_options["sqlite"]["with_rowid"] else "sequence"


def _select(column: Any, *, keyed: bool = False) -> str:
    return f'SELECT {_key(column) + ", " if keyed else ""}"{column.name}" FROM {column.table.name}'
