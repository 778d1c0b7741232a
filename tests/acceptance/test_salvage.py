"""A catalog that SQLite itself refuses: what can be read of it, and the packs, make a new store."""

from __future__ import annotations

import json
import random
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

import waycairn as wc
from commands import WAYCAIRN, document, environment, waycairn
from waycairn.errors import Damaged
from waycairn.model.states import CheckpointStatus
from waycairn.upkeep.salvaging import CannotSalvage, salvage

PAGE = 4096


def noise(seed, size=200_000):
    return random.Random(seed).randbytes(size)


def build(folder):
    """Values in packs and in the catalog, and a run with items and steps; id to what it holds."""
    held = {}
    with wc.open(folder) as store:
        for number in range(40):
            held[store.save(f"small {number}", {"number": number, "text": "x" * 900})] = {
                "number": number,
                "text": "x" * 900,
            }
        for number in range(3):
            held[store.save(f"large {number}", noise(number))] = noise(number)
        with store.run("job", progress="off") as run:
            assert run.step("one", lambda: noise(77)) == noise(77)
            for item in run.each(range(500), key=str):
                assert item >= 0
    return held


def pages_of(database, table):
    """Numbers of the pages of a table, by SQLite's own statistics."""
    with closing(sqlite3.connect(database)) as connection:
        try:
            found = connection.execute("select pageno, pagetype from dbstat where name = ?", (table,)).fetchall()
        except sqlite3.OperationalError:
            pytest.skip("this SQLite has no dbstat")
    return [page for page, kind in found if kind == "leaf"]


def test_a_sound_store_is_salvaged_whole(tmp_path):
    """Every row and every byte; the old store stays as it was."""
    held = build(tmp_path / "store")
    before = {path: path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()}
    found = salvage(tmp_path / "store")
    assert found.is_whole
    assert found.to == str(tmp_path / "store.salvaged")
    assert {path: path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()} == before
    with wc.open(found.to, create=False) as store:
        assert {id_: store.load(id_) for id_ in held} == held
        assert store.find("job").progress.done == 500
        with store.run("job", progress="off") as run:
            assert run.step("one", lambda: 1) == noise(77)
        assert store.load(store.save("more", noise(9))) == noise(9)
    with pytest.raises(CannotSalvage):
        salvage(tmp_path / "store")


@pytest.mark.parametrize("table", ["checkpoints", "chunks", "blocks", "items", "runs"])
def test_a_page_of_nonsense_costs_its_rows_only(tmp_path, table):
    """What is listed afterwards reads back right, nearly all of it is there, and what was lost is counted."""
    held = build(tmp_path / "store")
    catalog = tmp_path / "store" / "catalog.db"
    leaves = pages_of(catalog, table)
    content = bytearray(catalog.read_bytes())
    page = leaves[len(leaves) // 2]
    content[(page - 1) * PAGE : page * PAGE] = noise(5, PAGE)
    catalog.write_bytes(content)
    with pytest.raises(wc.WaycairnError), wc.open(tmp_path / "store", create=False) as store:
        found = store.verify()
        assert not found.broken, "SQLite meets the damage before we do"
        raise wc.WaycairnError
    found = salvage(tmp_path / "store", tmp_path / "new")
    with wc.open(tmp_path / "new", create=False) as store:
        listed = {record.id: store.load(record.id) for record in store.checkpoints(status=CheckpointStatus.VALID)}
        values = {id_: value for id_, value in listed.items() if id_ in held}
        assert values.items() <= held.items()
        if table in {"chunks", "blocks", "items"}:
            large = [id_ for id_, value in held.items() if isinstance(value, bytes)]
            assert set(large) <= values.keys()
        if len(leaves) > 2:
            assert len(values) > len(held) // 2
        if table != "items" or not found.is_whole:
            assert sum(t.gaps + t.nonsense for t in found.tables.values()) > 0
        assert store.verify().broken == []


def test_a_store_that_nobody_can_name_is_refused(tmp_path):
    """Without its secret nothing can be told from nonsense; a copy of the catalog beside it tells it."""
    held = build(tmp_path / "store")
    catalog = tmp_path / "store" / "catalog.db"
    whole = catalog.read_bytes()
    with closing(sqlite3.connect(catalog)) as connection, connection:
        connection.execute("delete from meta")
    with pytest.raises(Damaged, match="which store this is"):
        salvage(tmp_path / "store")
    assert not list(tmp_path.glob("*.salvaged"))
    Path(tmp_path, "store", "catalog.db.format-2").write_bytes(whole)
    with wc.open(salvage(tmp_path / "store").to, create=False) as store:
        assert {id_: store.load(id_) for id_ in held} == held


def test_everything_readable_is_exported(tmp_path):
    """Around damage: the index says what is there and what is not, and so does the exit code."""
    held = build(tmp_path / "store")
    pack = next(path for path in (tmp_path / "store" / "packs").glob("*/*") if path.stat().st_size > 200_000)
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.write_bytes(content)
    done = waycairn("export", "--all", "--to", "out", "--store", "store", at=tmp_path)
    assert done.returncode == 3, done.stderr
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    exported = {one["checkpoint"] for one in index["files"] if one["what"] == "checkpoint"}
    lost = {one.get("checkpoint") for one in index["failed"]}
    assert exported | lost >= set(held)
    assert len(index["failed"]) == 1
    assert "does not match" in index["failed"][0]["why"] or "damaged" in index["failed"][0]["why"]
    for one in index["files"]:
        document = json.loads((tmp_path / "out" / one["file"]).read_text())
        if one.get("checkpoint") in held and isinstance(held[one["checkpoint"]], dict):
            assert document["value"] == held[one["checkpoint"]]
    assert waycairn("export", "--all", "--to", "out", "--store", "store", at=tmp_path).returncode == 1
    assert waycairn("export", "--all", "--store", "store", at=tmp_path).returncode == 2


def test_the_commands_repair_and_salvage(tmp_path):
    """In place, dry first; and to a new store; exit code 3 where something is lost."""
    held = build(tmp_path / ".waycairn")
    with closing(sqlite3.connect(tmp_path / ".waycairn" / "catalog.db")) as connection, connection:
        connection.execute("delete from chunks where number % 3 = 0")
    assert waycairn("verify", "--structure", at=tmp_path).returncode == 3
    would = document("repair", "--dry-run", at=tmp_path)
    assert would["chunks"] > 0
    done = document("repair", at=tmp_path)
    assert (done["chunks"], done["lost"], done["dry_run"]) == (would["chunks"], 0, False)
    assert len(done["healed"]) == 3
    assert document("verify", at=tmp_path)["damaged"] == []
    assert "nothing to repair" in waycairn("repair", at=tmp_path).stdout
    salvaged = document("repair", "--salvage", "--to", "new", at=tmp_path)
    assert salvaged["whole"] is True
    with wc.open(tmp_path / "new", create=False) as store:
        assert {id_: store.load(id_) for id_ in held} == held
    assert waycairn("repair", "--to", "x", at=tmp_path).returncode == 2
    assert waycairn("repair", "--salvage", "--dry-run", at=tmp_path).returncode == 2
    with wc.open(tmp_path / ".waycairn") as store:
        acts = [(row.entry.act, row.entry.outcome) for row in store.core.catalog.audit_after(0)]
    assert ("repair", "done") in acts


@pytest.mark.parametrize("point", ["salvage.packs", "salvage.rename"])
def test_a_salvage_that_is_killed_leaves_nothing_or_all(tmp_path, point):
    """And the next one makes the store."""
    held = build(tmp_path / ".waycairn")
    armed = environment(WAYCAIRN_CRASH=f"{point}@1:KILL")
    killed = subprocess.run([WAYCAIRN, "repair", "--salvage"], cwd=tmp_path, env=armed, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / ".waycairn.salvaged").exists()
    assert document("repair", "--salvage", at=tmp_path)["whole"] is True
    with wc.open(tmp_path / ".waycairn.salvaged", create=False) as store:
        assert {id_: store.load(id_) for id_ in held} == held
