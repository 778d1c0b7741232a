"""Damage in an encrypted store: found, repaired and saved around as in a plain one, with its key."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import waycairn as wc
from commands import waycairn
from waycairn.errors import Damaged, KeyMissing, KeyWrong
from waycairn.upkeep import invariants
from waycairn.upkeep.salvaging import salvage


def noise(seed, size=300_000):
    return random.Random(seed).randbytes(size)


def rows(folder, *statements):
    with closing(sqlite3.connect(Path(folder, "catalog.db"))) as database, database:
        return [database.execute(statement).fetchall() for statement in statements][-1]


def packs_of(folder):
    return sorted(path for path in Path(folder, "packs").glob("*/*") if path.is_file())


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    path = tmp_path_factory.mktemp("key") / "key"
    path.write_text(os.urandom(32).hex())
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def built(tmp_path_factory, key):
    """A store, and what its values hold."""
    folder = tmp_path_factory.mktemp("built") / "store"
    with wc.open(folder, key_file=key) as store:
        held = {store.save(f"v{number}", noise(number)): noise(number) for number in range(3)}
        held[store.save("small", {"secret": "word"})] = {"secret": "word"}
        with store.run("job", progress="off", metadata={"who": "me"}) as run:
            run.step("one", lambda: noise(77))
            for _ in run.each(range(50), key=str):
                pass
    return folder, held


@pytest.fixture
def store_at(built, tmp_path):
    shutil.copytree(built[0], tmp_path / "store")
    return tmp_path / "store"


def test_lost_index_rows_come_back(store_at, built, key):
    """And a pack whose sealed list is damaged says that it says nothing; everything else is repaired all the same."""
    held = built[1]
    rows(
        store_at,
        "delete from chunks where block in (select number from blocks where pack is not null)",
        "delete from blocks where pack is not null",
        "delete from packs",
    )
    with wc.open(store_at, key_file=key) as store:
        assert store.verify().broken
        report = store.repair()
        assert (report.lost, len(report.healed)) == (0, 3)
        assert {id_: store.load(id_) for id_ in held} == held
        assert store.verify().broken == []
        assert invariants.examine(store.core) == []
    for pack in packs_of(store_at):  # a byte of each list: rows stay the only ones that know
        content = bytearray(pack.read_bytes())
        content[-60] ^= 1
        pack.write_bytes(content)
    with wc.open(store_at, key_file=key) as store:
        report = store.repair()
        assert report.is_empty
        assert len(report.unlisted) == len(packs_of(store_at))
        assert all("Its list is encrypted" in damage for _, damage in report.unlisted)
        assert {id_: store.load(id_) for id_ in held} == held


def test_a_damaged_catalog_is_salvaged_with_its_key(store_at, built, key):
    """The new store has the same keys; rows that were not sealed for their place are left out; without the key nothing is
    left behind, and the error says what is missing."""
    held = built[1]
    with pytest.raises(KeyMissing):
        salvage(store_at)
    with pytest.raises(KeyWrong):
        salvage(store_at, passphrase="another")
    assert sorted(path.name for path in store_at.parent.iterdir()) == ["store"]
    rows(store_at, "update checkpoints set metadata = (select facts from audit limit 1) where rowid = 1")
    found = salvage(store_at, key_file=key)
    assert found.tables["checkpoints"].nonsense == 1
    assert not found.is_whole
    with wc.open(found.to, create=False, key_file=key) as store:
        assert store.core.is_encrypted
        listed = {record.id for record in store.checkpoints()} & set(held)
        assert len(listed) == len(held) - 1
        assert {id_: store.load(id_) for id_ in listed} == {id_: held[id_] for id_ in listed}
        assert store.find("job").progress.done == 50
        newest = list(store.core.catalog.audit_after(0))[-1].entry
        assert (newest.act, newest.object, newest.facts) == ("store.salvage", str(store_at), {"lost": ["checkpoints"]})
        assert invariants.examine(store.core) == []
    rows(store_at, "delete from keys")
    with pytest.raises(Damaged, match="wrapped keys cannot be read"):
        salvage(store_at, store_at.with_name("other"), key_file=key)


def test_everything_readable_is_exported_by_the_command(store_at, built, key):
    pack = packs_of(store_at)[0]
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.write_bytes(content)
    there = store_at.parent
    done = waycairn("export", "--all", "--to", "out", "--store", "store", "--key-file", str(key), at=there)
    assert done.returncode == 3, done.stderr
    index = json.loads((there / "out" / "index.json").read_text())
    assert len(index["failed"]) == 1
    assert {one.get("checkpoint") for one in index["files"]} | {index["failed"][0].get("checkpoint")} >= set(built[1])
    with wc.open(store_at, key_file=key) as store:
        acts = [row.entry.act for row in store.core.catalog.audit_after(0) if row.entry.act == "export"]
    assert acts == ["export", "export"]  # begun, done
