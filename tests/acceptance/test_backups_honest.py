"""What goes wrong on the way of a backup is told, and never taken for done."""

import errno
import json
import os
import shutil

import pytest
import sqlalchemy as sa

import waycairn as wc
from one_folder import OneFolder, source_of
from rows_case import driver
from waycairn.backups import paths_attributes, paths_mounts
from waycairn.backups.holding import held_for_delete
from waycairn.backups.paths import Paths
from waycairn.backups.paths_unguarded import _named_again
from waycairn.backups.registry import register_source
from waycairn.errors import BackupError, BackupExpired, BackupRefused, Damaged
from waycairn.model.backups import BackupStage, BackupState
from waycairn.upkeep.sweep import sweep

register_source(OneFolder.kind, source_of)


@pytest.fixture
def store(tmp_path):
    with wc.open(tmp_path / "store") as store:
        yield store


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "exports"
    path.mkdir()
    for number in range(3):
        (path / f"note-{number}").write_bytes(os.urandom(200_000))
    return path


def held(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Half(OneFolder):
    """Half of it goes, and cannot be put back."""

    def delete(self, contents):
        self._files()[0].unlink()
        raise BackupError("it could not be deleted, and putting it back failed", left=[str(self.path)])


def test_what_is_half_gone_is_not_said_to_be_there(store, folder):
    """The row stays one that nothing lets go; the delete can be finished, or taken back."""
    before = held(folder)
    with store.safeguard(Half(folder), keep=0) as backup, pytest.raises(BackupError, match="putting it back failed"):
        backup.delete()
    assert backup.record.state is BackupState.DELETING
    assert "may be gone" in backup.record.error
    assert store.prune_backups().expired == 0
    store.restore(backup.id)
    assert held(folder) == before


class Rival(OneFolder):
    """Somebody changes the row while the source is deleted."""

    def __init__(self, path, core):
        super().__init__(path)
        self.core = core

    def delete(self, contents):
        super().delete(contents)
        now = self.core.clock.now()
        change = {"state": BackupState.VERIFIED}
        assert self.core.catalog.change_backup(contents.record.id, [BackupState.DELETING], now, **change)


def test_a_row_that_was_changed_meanwhile_is_no_success(store, folder):
    with (
        store.safeguard(Rival(folder, store.core)) as backup,
        pytest.raises(BackupError, match="changed by another process"),
    ):
        backup.delete()


def test_nothing_is_restored_below_a_living_delete(store, folder):
    with store.safeguard(OneFolder(folder)) as backup:
        pass
    record = backup.record
    with held_for_delete(store.core, record):
        now = store.core.clock.now()
        store.core.catalog.change_backup(record.id, [BackupState.VERIFIED], now, state=BackupState.DELETING)
        with pytest.raises(BackupRefused, match=f"is being deleted by pid {os.getpid()}"):
            store.restore(record.id)
    assert store.restore(record.id).skipped == 3


def test_the_exception_goes_on_without_a_store(tmp_path, folder, caplog):
    """The one of the block, with a note, not one that says that the store was closed."""
    store = wc.open(tmp_path / "store")
    with pytest.raises(ZeroDivisionError) as error, store.safeguard(folder) as backup:
        shutil.rmtree(folder)
        store.close()
        print(1 / 0)
    assert f"waycairn backup restore {backup.id}" in error.value.__notes__[0]
    assert f"waycairn backup restore {backup.id}" in caplog.text


def test_what_there_is_not_is_refused(store, folder, tmp_path):
    """Of a backup that was declined."""
    with store.safeguard(OneFolder(folder), decline="a test") as backup:
        for ask in (
            lambda: backup.members,
            lambda: backup.read("x"),
            lambda: list(backup.search("x")),
            lambda: backup.find_record("x", "1"),
            lambda: backup.extract_to(tmp_path / "out"),
        ):
            with pytest.raises(BackupRefused, match="declined"):
                ask()


class Tickets(OneFolder):
    """Lines with a key that JSON has no type for."""

    def export(self, target, before):
        with target.member("tickets.jsonl", key=["id"]) as member:
            for number in range(3):
                line = {"id": {"$uuid": f"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1{number}"}, "n": number}
                member.write(json.dumps(line).encode() + b"\n", records=1)


def test_a_record_is_found_by_what_its_key_says(store, folder):
    with store.safeguard(Tickets(folder)) as backup:
        assert backup.find_record("tickets.jsonl", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")["n"] == 1
        with pytest.raises(BackupError, match="no record"):
            backup.find_record("tickets.jsonl", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a19")


def damage(store):
    """A byte in the middle of each pack."""
    packs = [path for path in (store / "packs").rglob("*") if path.is_file()]
    assert packs
    for pack in packs:
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 1
        pack.chmod(0o600)
        pack.write_bytes(data)


def test_what_is_damaged_stays_as_long_as_it_was_to_stay(store, folder, tmp_path):
    """Most of it can be read or mended; it is no backup to delete with."""
    with store.safeguard(OneFolder(folder)) as backup:
        pass
    damage(tmp_path / "store")
    with pytest.raises(Damaged):
        backup.verify()
    assert backup.record.state is BackupState.FAILED
    assert store.prune_backups().payloads == 0
    sweep(store.core, grace=0)
    assert store.core.catalog.get_run(backup.id) is not None
    now = store.core.clock.now()
    store.core.catalog.change_backup(backup.id, [BackupState.FAILED], now, expires=now)
    assert store.prune_backups().payloads == 1


def test_a_backup_that_went_while_it_was_read_is_not_verified(store, folder):
    with store.safeguard(OneFolder(folder)) as backup:
        pass

    def told(progress):
        if progress.stage is BackupStage.VERIFY and backup.record.state is not BackupState.EXPIRED:
            now = store.core.clock.now()
            store.core.catalog.change_backup(backup.id, [BackupState.VERIFIED], now, state=BackupState.EXPIRED)

    with pytest.raises(BackupExpired, match="given up while it was read"):
        backup.verify(told)


def test_mounts_that_cannot_be_listed_stop_it(store, folder, tmp_path, monkeypatch):
    """What lies on another file system could be taken for the folder's."""
    before = held(folder)
    with store.safeguard(folder) as backup:
        monkeypatch.setattr(paths_mounts, "_LIST", tmp_path)  # a directory
        with pytest.raises(BackupRefused, match="cannot be told"):
            backup.delete()
    with pytest.raises(BackupRefused, match="cannot be told"):
        Paths([os.fsencode(folder)]).delete_without_backup()
    assert held(folder) == before


@pytest.mark.skipif(not paths_attributes.CAN, reason="no extended attributes on this system")
def test_attributes_that_cannot_be_read_are_not_left_out(store, folder, monkeypatch):
    def fails(_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "listxattr", fails)
    with pytest.raises(BackupError, match="cannot be read"), store.safeguard(folder):
        raise AssertionError("never begun")


def test_each_that_can_gets_its_name_back(tmp_path):
    """One whose name was taken meanwhile keeps none of the others away."""
    moved = []
    for name in ("a", "b"):
        aside = tmp_path / f".{name}.aside"
        aside.mkdir()
        (aside / "x").write_text(name)
        moved.append((os.fsencode(tmp_path / name), os.fsencode(aside)))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "new").write_text("taken")
    with pytest.raises(BackupError, match=r"\.a\.aside") as error, _named_again(moved):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    assert error.value.left == [str(tmp_path / ".a.aside")]
    assert (tmp_path / "b" / "x").read_text() == "b"


def test_rows_are_flushed_whatever_their_user_is_set_to(store, postgres_schema):
    """A crash of the server must not undo a delete that was told to be done."""
    engine = sa.create_engine(driver(postgres_schema), poolclass=sa.NullPool)
    with engine.begin() as tx:
        tx.execute(sa.text("CREATE TABLE t (id integer PRIMARY KEY)"))
        tx.execute(sa.text("INSERT INTO t VALUES (1), (2)"))
    seen = []

    @sa.event.listens_for(engine, "connect")
    def careless(connection, _):
        connection.execute("SET synchronous_commit = off")
        connection.commit()

    @sa.event.listens_for(engine, "commit")
    def look(connection):
        seen.append(connection.exec_driver_sql("SHOW synchronous_commit").scalar())

    with store.safeguard(wc.rows(engine, "t")) as backup:
        seen.clear()
        backup.delete()
        backup.restore(to=engine)
    assert seen
    assert set(seen) == {"on"}
