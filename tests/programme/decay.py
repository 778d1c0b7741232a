"""The ways in which a stored thing decays, and the places where it can: files by their parts, rows by their columns."""

from __future__ import annotations

import random
import sqlite3
import struct
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from programme.full_store import STORE
from waycairn.chunks.pack_file import HEADER_SIZE, TRAILER_SIZE, read_footer, read_trailer

__all__ = ["Decay", "decays_of"]

PAGE = 4096
LOG_HEAD, FRAME = 32, 24 + PAGE
FLIP, CUT, ZERO, SWAP, GARBAGE = "bit flips", "truncations", "zeroed tails", "swaps", "garbage appended"
Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Decay:
    """One fault; its text is enough to do it again."""

    kind: str
    structure: str
    file: str
    """Of the store's folder, or `table.column`."""
    at: int
    """Bit or byte; of a column: the number of the row."""
    other: str | int = 0
    """The file or place to exchange with; of a column: the bit or byte."""
    size: int = 0
    """Of what is exchanged."""

    def __str__(self) -> str:
        return f"{self.kind} in {self.structure}: {self.file} at {self.at}, {self.other}"

    def apply(self, folder: Path, files: Files) -> bool:
        """Whether anything is other than before: a tail may be zeros already, two pages alike."""
        if self.file not in files:
            return _change_row(folder / STORE / "catalog.db", self)
        path, content = folder / self.file, files[self.file]
        new = self._decayed(content, files)
        path.write_bytes(new)
        if isinstance(self.other, str) and not self.size:
            (folder / self.other).write_bytes(content)
        return new != content

    def _decayed(self, content: bytes, files: Files) -> bytes:
        if self.kind != SWAP:
            return changed(content, self.kind, self.at)
        if isinstance(self.other, int):
            return _exchanged(content, self.at, self.other, self.size)
        return files[self.other]


def changed(content: bytes, kind: str, at: int) -> bytes:
    """The content with that bit flipped, or cut or zeroed from that byte on, or with garbage behind it."""
    if kind == FLIP:
        whole = bytearray(content)
        whole[at // 8] ^= 1 << at % 8
        return bytes(whole)
    if kind == CUT:
        return content[:at]
    if kind == ZERO:
        return content[:at] + bytes(len(content) - at)
    return content + random.Random(at).randbytes(1 + at % 5000)


def _exchanged(content: bytes, one: int, other: int, size: int) -> bytes:
    whole = bytearray(content)
    whole[one : one + size], whole[other : other + size] = content[other : other + size], content[one : one + size]
    return bytes(whole)


# -- where --------------------------------------------------------------------------------------------------------


def decays_of(files: Files, chance: random.Random, most: int) -> dict[str, list[Decay]]:
    """By structure: every bit, every boundary, every pair, or a choice of that many of each."""
    groups: dict[str, list[Decay]] = {}
    for name, content in files.items():
        for structure, start, end in parts_of(name, content):
            groups.setdefault(structure, []).extend(
                Decay(FLIP, structure, name, bit) for bit in _some(range(start * 8, end * 8), chance, most)
            )
        structure = whole_of(name)
        bounds = boundaries(name, content)
        groups[f"{structure}, cut"] = [Decay(CUT, structure, name, at) for at in bounds]
        groups[f"{structure}, zeroed"] = [Decay(ZERO, structure, name, at) for at in bounds if at < len(content)]
        groups[f"{structure}, longer"] = [Decay(GARBAGE, structure, name, at) for at in range(3)]
    groups["packs exchanged"] = list(_pack_swaps(files))
    groups["pages exchanged"] = list(_page_swaps(files, chance))
    if f"{STORE}/catalog.db-wal" not in files:
        groups |= _row_decays(files, chance, most)
    return {name: chance.sample(decays, min(len(decays), most)) for name, decays in groups.items() if decays}


def _some(bits: range, chance: random.Random, most: int) -> Sequence[int]:
    return bits if len(bits) <= most else chance.sample(bits, most)


def whole_of(name: str) -> str:
    """The structure that a file is."""
    path = name.removeprefix(f"{STORE}/")
    if path == name:
        return "output files"
    if "/" in path:
        return path.split("/")[0]
    return path


def commits_in(log: bytes) -> list[int]:
    """Where the log could have ended: behind the last frame of each commit, which says how large the database is."""
    ends = range(LOG_HEAD + FRAME, len(log) + 1, FRAME)
    return [LOG_HEAD, *(end for end in ends if log[end - FRAME + 4 : end - FRAME + 8] != bytes(4))]


def parts_of(name: str, content: bytes) -> list[tuple[str, int, int]]:
    """Structure, first byte, end."""
    structure = whole_of(name)
    if structure == "packs":
        return list(_parts_of_pack(name, content))
    if structure == "catalog.db":
        return [("database header", 0, 100), ("database pages", 100, len(content))]
    if structure == "catalog.db-wal":
        return [("log header", 0, LOG_HEAD), ("log frames", LOG_HEAD, len(content))]
    return [(structure, 0, len(content))] if content else []


def _parts_of_pack(name: str, content: bytes) -> list[tuple[str, int, int]]:
    offset, length, _ = read_trailer(content[-TRAILER_SIZE:], len(content), Path(name).name)
    blocks = read_footer(content[offset : offset + length], Path(name).name)
    parts = [("pack header", 0, HEADER_SIZE), ("pack footer", offset, offset + length)]
    parts.append(("pack trailer", offset + length, len(content)))
    end = HEADER_SIZE
    for block in sorted(blocks, key=lambda block: block.offset):
        parts.append(("pack padding", end, block.offset))
        end = block.offset + block.stored_length
        parts.append(("pack blocks" if block.codec else "raw pack blocks", block.offset, end))
    return [*parts, ("pack padding", end, offset)]


def boundaries(name: str, content: bytes) -> list[int]:
    """Where its parts begin and end, a byte before and behind; pages and frames are parts."""
    edges = {0, len(content) // 2, len(content)}
    for _, start, end in parts_of(name, content):
        edges |= {start, end}
    if name.endswith(".db"):
        edges |= set(range(0, len(content), PAGE))
    if name.endswith("-wal"):
        edges |= set(range(LOG_HEAD, len(content), FRAME))
    around = {edge + step for edge in edges for step in (-1, 0, 1)}
    return sorted(at for at in around if 0 <= at < len(content))


def _pack_swaps(files: Files) -> list[Decay]:
    packs = [name for name in files if whole_of(name) == "packs"]
    pairs = [(one, other) for one in packs for other in packs if one < other]
    exchanged = [Decay(SWAP, "packs", one, 0, other) for one, other in pairs]
    replaced = [Decay(SWAP, "packs", one, 0, other, 1) for one in packs for other in packs if one != other]
    return exchanged + replaced


def _page_swaps(files: Files, chance: random.Random) -> list[Decay]:
    """Two pages of the database, two frames of the log."""
    swaps = []
    for name, first, size in ((f"{STORE}/catalog.db", 0, PAGE), (f"{STORE}/catalog.db-wal", LOG_HEAD, FRAME)):
        places = range(first, len(files.get(name, b"")) - size + 1, size)
        pairs = [(one, other) for one in places for other in places if one < other]
        swaps += [
            Decay(SWAP, "pages", name, one, other, size) for one, other in chance.sample(pairs, min(len(pairs), 500))
        ]
    return swaps


# -- rows ---------------------------------------------------------------------------------------------------------


def _row_decays(files: Files, chance: random.Random, most: int) -> dict[str, list[Decay]]:
    """Columns as SQLite keeps them: blobs and text by their bits and ends, numbers by their bits."""
    groups: dict[str, list[Decay]] = {}
    with closing(sqlite3.connect(":memory:")) as database:
        database.deserialize(_without_log(files[f"{STORE}/catalog.db"]))
        for table in _tables(database):
            rows = database.execute(f'SELECT * FROM "{table}" ORDER BY {_key_of(database, table)}')
            columns = [column[0] for column in rows.description]
            for number, row in enumerate(rows):
                for column, value in zip(columns, row, strict=True):
                    if value is not None:
                        name = f"{table}.{column}"
                        groups.setdefault(name, []).extend(_decays_of_value(name, number, value, chance, most))
    return groups


def _without_log(content: bytes) -> bytes:
    """A database in memory has no log; two bytes of the header say which kind it is."""
    return content[:18] + b"\x01\x01" + content[20:]


def _tables(database: sqlite3.Connection) -> list[str]:
    return [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]


def _key_of(database: sqlite3.Connection, table: str) -> str:
    """The columns of its primary key, as in SQL."""
    columns = database.execute(f'PRAGMA table_info("{table}")')
    return ", ".join(f'"{name}"' for _, name, _, _, _, part in columns if part)


def _decays_of_value(name: str, row: int, value: object, chance: random.Random, most: int) -> list[Decay]:
    size = len(_bytes_of(value))
    decays = [Decay(FLIP, name, name, row, bit) for bit in _some(range(size * 8), chance, most)]
    if isinstance(value, bytes) and size > 1:
        places = sorted({0, 1, 2, 6, size // 2, size - 1} & set(range(size)))
        decays += [Decay(kind, name, name, row, place) for place in places for kind in (CUT, ZERO)]
    return decays


def _bytes_of(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    return struct.pack("<q" if isinstance(value, int) else "<d", value)


def _like(value: object, content: bytes) -> object:
    if isinstance(value, bytes | str):
        return content
    return struct.unpack("<q" if isinstance(value, int) else "<d", content)[0]


def _change_row(path: Path, decay: Decay) -> bool:
    """What a flip in the page of that row would do, without its other effects."""
    table, _, column = decay.file.partition(".")
    assert isinstance(decay.other, int)
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        key = _key_of(database, table)
        chosen = f'FROM "{table}" ORDER BY {key} LIMIT 1 OFFSET ?'
        (value,) = database.execute(f'SELECT "{column}" {chosen}', (decay.at,)).fetchone()
        row = database.execute(f"SELECT {key} {chosen}", (decay.at,)).fetchone()
        new = _like(value, changed(_bytes_of(value), decay.kind, decay.other))
        holes = ", ".join("?" * len(row))
        place = "CAST(? AS TEXT)" if isinstance(value, str) else "?"
        database.execute("PRAGMA foreign_keys = OFF")
        if new == _like(value, _bytes_of(value)):
            return False
        try:
            database.execute(f'UPDATE "{table}" SET "{column}" = {place} WHERE ({key}) = ({holes})', (new, *row))
        except sqlite3.IntegrityError:
            return False  # the key of another row: in a page both would stand there, which SQLite's own check tells
        return True
