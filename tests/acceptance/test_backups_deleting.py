"""A delete and its process: while that lives nobody else deletes the same, and when it is dead anybody may finish."""

import os
import signal

import pytest

import waycairn as wc
from backups.forked import ended, killed_at, start
from one_folder import OneFolder, source_of
from waycairn.backups.registry import register_source
from waycairn.errors import BackupRefused
from waycairn.model.backups import BackupState
from waycairn.model.states import RunStatus
from waycairn.upkeep.invariants import examine

register_source(OneFolder.kind, source_of)


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request, tmp_path):
    """How to open the store, in any process."""
    if request.param == "sqlite":
        return lambda: wc.open(tmp_path / "store")
    database = request.getfixturevalue("postgres_database")
    return lambda: wc.open(database, packs=tmp_path / "packs")


@pytest.fixture
def made(opened, tmp_path):
    """The id of a verified backup, and the folder that is in it."""
    folder = tmp_path / "exports"
    folder.mkdir()
    for number in range(5):
        (folder / f"note-{number}").write_text(f"note {number}")
    with opened() as store, store.safeguard(OneFolder(folder)) as backup:
        return backup.id, folder


def test_the_second_is_refused_while_the_first_lives(opened, made):
    """By name and time; once the first is dead, the second finishes what it began."""
    backup, folder = made

    def delete():
        with opened() as store:
            store.backup(backup).delete()

    child = start(delete, "folder.delete", hit=3, how="STOP")
    _, status = os.waitpid(child, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    with opened() as store:
        found = store.backup(backup)
        assert (found.record.state, found.is_interrupted) == (BackupState.DELETING, False)
        with pytest.raises(BackupRefused, match=rf"is being deleted by pid {child} on .* since .*Wait") as caught:
            found.delete()
        assert caught.value.owner.pid == child
        assert len(os.listdir(folder)) == 3
        assert [row.entry.outcome for row in store.core.catalog.audit_after(0)][-1] == "refused"
        os.kill(child, signal.SIGKILL)
        assert ended(child) == -signal.SIGKILL
        assert found.is_interrupted
        found.delete()
        assert os.listdir(folder) == []
        assert (found.record.state, found.is_interrupted) == (BackupState.DELETED, False)
        assert found.delete().state is BackupState.DELETED
        assert found.restore().records == 5


@pytest.mark.parametrize("point", ["owner.claimed", "backup.delete.taken", "backup.delete.held", "backup.deleting"])
def test_killed_while_it_takes_hold(tmp_path, point):
    """The next one gets it, and the payload is complete for all who look."""
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "note").write_text("note")
    with wc.open(tmp_path / "store") as store, store.safeguard(OneFolder(folder)) as made:
        backup = made.id

    def delete():
        with wc.open(tmp_path / "store") as store:
            store.backup(backup).delete()

    assert killed_at(delete, point, 1)
    with wc.open(tmp_path / "store") as store:
        assert examine(store.core) == []
        delete()
        assert os.listdir(folder) == []
        assert store.core.catalog.get_run(backup).status is RunStatus.COMPLETED
        assert store.restore(backup).records == 1


def test_two_threads_are_two(tmp_path):
    """Also within one process one of them is refused."""
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "note").write_text("note")

    class Twice(OneFolder):
        def delete(self, contents):
            with pytest.raises(BackupRefused, match=f"pid {os.getpid()}"):
                store.backup(contents.record.id).delete()
            super().delete(contents)

    with wc.open(tmp_path / "store") as store, store.safeguard(Twice(folder)) as backup:
        backup.delete()
    assert os.listdir(folder) == []
