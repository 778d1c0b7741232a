"""What a store says of its backups: that they have what they promise, and who looked, gave up or was refused."""

import os
import sqlite3

import pytest
import sqlalchemy as sa

import waycairn as wc
from backups.forked import killed_at
from commands import document
from one_folder import OneFolder, source_of
from rows_case import Scene
from waycairn.backups.registry import register_source
from waycairn.errors import BackupRefused, Damaged
from waycairn.model.backups import BackupState
from waycairn.upkeep.invariants import examine

register_source(OneFolder.kind, source_of)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "exports"
    path.mkdir()
    (path / "large.bin").write_bytes(os.urandom(20 << 20))
    return path


def acts(store, name):
    return [row.entry for row in store.core.catalog.audit_after(0) if row.entry.act == name]


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM steps WHERE place LIKE '%part-000001%'", "part part-000001 is missing"),
        ("DELETE FROM steps WHERE place LIKE '%index%'", "its payload has no index"),
        ("UPDATE runs SET status = 'running' WHERE task = 'backup'", "its payload is running"),
        ("DELETE FROM runs WHERE task = 'backup'", "its payload is gone"),
        ("DELETE FROM backups", "is the payload of a backup that no row knows"),
    ],
)
def test_a_backup_without_its_payload_is_told(tmp_path, folder, statement, told):
    """By `verify`, in whatever way somebody took something from behind its back."""
    with wc.open(tmp_path / "store") as store, store.safeguard(OneFolder(folder)) as backup:
        assert examine(store.core) == []
    with sqlite3.connect(tmp_path / "store" / "catalog.db") as catalog:
        catalog.execute("PRAGMA foreign_keys = ON")
        assert catalog.execute(statement).rowcount == 1
    catalog.close()
    with wc.open(tmp_path / "store") as store:
        [violation] = examine(store.core)
    assert violation.invariant == "I13"
    assert told in violation.what
    assert backup.id in violation.what
    found = document("verify", "--quick", "--store", tmp_path / "store", at=tmp_path, code=3)["violations"]
    assert [one["invariant"] for one in found] == ["I13"]


def test_a_job_that_is_called_backup_is_none(tmp_path):
    """Nobody promised anything of it."""
    with wc.open(tmp_path / "store") as store:
        with store.run("backup", task="backup", progress="off") as run:
            run.step("one", lambda: 1)
        assert examine(store.core) == []


def test_looking_again_is_an_act(tmp_path, folder):
    """With what was found."""
    with wc.open(tmp_path / "store") as store, store.safeguard(OneFolder(folder)) as backup:
        backup.verify()
        for pack in (tmp_path / "store" / "packs").glob("*/*"):
            pack.chmod(0o600)
            data = pack.read_bytes()
            pack.write_bytes(data[: len(data) // 2] + bytes(64) + data[len(data) // 2 + 64 :])
        with pytest.raises(Damaged):
            backup.verify()
        well, damaged = acts(store, "backup.verify")
        assert (well.object, well.outcome, "damage" in well.facts) == (backup.id, "done", False)
        assert (damaged.object, bool(damaged.facts["damage"])) == (backup.id, True)
        assert backup.record.state is BackupState.FAILED


def test_giving_up_a_dead_export_is_an_act(tmp_path, folder):
    """Once, by whoever prunes first."""

    def export():
        with wc.open(tmp_path / "store") as store, store.safeguard(OneFolder(folder)):
            pass

    assert killed_at(export, "backup.part", 1)
    with wc.open(tmp_path / "store", backups={"leftover_age": 0}) as store:
        [record] = store.backups()
        store.prune_backups()
        store.prune_backups()
        [given_up] = acts(store, "backup.prune")
        assert (given_up.object, given_up.outcome, given_up.facts["interrupted"]) == (record.id, "done", True)
        assert store.backup(record.id).record.state is BackupState.FAILED


@pytest.mark.parametrize("what", ["packs", "packs/ab", "."])
def test_packs_beside_a_database_are_not_deleted(postgres_database, tmp_path, what):
    """Of a store on PostgreSQL: the folder with its packs, what is in it, and what it is in."""
    (tmp_path / "data" / "packs" / "ab").mkdir(parents=True)
    path = tmp_path / "data" / what
    with wc.open(postgres_database, packs=tmp_path / "data" / "packs") as store:
        for how in ({}, {"decline": "why not"}):
            with pytest.raises(BackupRefused, match="lie in one another"), store.safeguard(path, **how):
                raise AssertionError("never begun")
    assert path.exists()


def test_rows_by_an_expression_say_how_to_go_on(tmp_path):
    """Another process knows its words only; with the same rows it deletes, with others it does not."""
    scene = Scene(f"sqlite:///{tmp_path / 'app.db'}", tmp_path).fill()
    old = sa.table("conversations", sa.column("id"), sa.column("created"))
    with wc.open(tmp_path / "store") as store, store.safeguard(scene.old(where=old.c.created < "2025")) as backup:
        pass
    with wc.open(tmp_path / "store") as store:
        found = store.backup(backup.id)
        with pytest.raises(BackupRefused, match="Nothing was deleted") as caught:
            found.delete()
        for words in (
            f"store.backup('{backup.id}').delete(wc.rows(engine, 'conversations'",
            "created <",
            "2025",
            "turns",
        ):
            assert words in str(caught.value)
        assert found.record.state is BackupState.VERIFIED
        assert len(scene.everything()["conversations"]) == 10
        found.delete(scene.old(where=old.c.created < "2025"))
        assert found.record.state is BackupState.DELETED
        assert len(scene.everything()["conversations"]) == 5
