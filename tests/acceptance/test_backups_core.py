"""Backups before delete: nothing goes that is not durable, read back and verified; and it comes back as it was."""

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
from contextlib import suppress

import pytest
import sqlalchemy

import waycairn as wc
from one_folder import OneFolder, source_of
from waycairn.backups.catalogue import open_contents
from waycairn.backups.flow import plan_of
from waycairn.backups.registry import register_source
from waycairn.backups.runs import runs
from waycairn.errors import (
    BackupError,
    BackupExpired,
    BackupNotFound,
    BackupRefused,
    Damaged,
    SourceChanged,
    WouldOverwrite,
)
from waycairn.model.backups import BackupState
from waycairn.process import acting
from waycairn.world.crashpoints import arm, disarm

register_source(OneFolder.kind, source_of)


@pytest.fixture
def store(tmp_path):
    with wc.open(tmp_path / "store") as store:
        yield store


@pytest.fixture
def folder(tmp_path):
    """Small files, an empty one, one of several parts, and an odd name."""
    path = tmp_path / "exports"
    path.mkdir()
    files = {f"note-{number}.txt": f"note {number}\n".encode() * 50 for number in range(20)}
    files |= {"empty": b"", "large.bin": os.urandom(20 << 20), "odd é\udcff\n name": b"odd"}
    for name, data in files.items():
        (path / name).write_bytes(data)
    return path


def held(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def state_of(store, backup):
    return store.backup(backup).record.state


def test_export_verify_delete_restore(store, folder):
    """The way of all backups; what comes back is what was there."""
    before = held(folder)
    with store.safeguard(OneFolder(folder), keep="7d") as backup:
        made = backup.record
        assert made.state is BackupState.VERIFIED
        assert (made.records, made.size) == (23, sum(map(len, before.values())))
        assert made.expires == pytest.approx(made.verified + 7 * 86400)
        assert held(folder) == before
        backup.delete()
        assert held(folder) == {}
    assert state_of(store, backup.id) is BackupState.DELETED
    restored = store.restore(backup.id)
    assert (restored.records, restored.skipped) == (23, 0)
    assert held(folder) == before
    assert store.restore(backup.id).skipped == 23


def test_the_second_backup_takes_over_what_did_not_change(store, folder):
    """Without reading it; and it does not need the first one."""
    with store.safeguard(OneFolder(folder)) as first:
        pass
    (folder / "note-3.txt").write_bytes(b"changed")
    with store.safeguard(OneFolder(folder)) as second:
        assert second.record.stored < 100_000 < first.record.stored
        assert second.members["large.bin"].sha256 == first.members["large.bin"].sha256
        second.delete()
    store.backup(first.id).remove()
    store.sweep(grace=0)
    store.restore(second.id)
    assert (folder / "note-3.txt").read_bytes() == b"changed"
    assert hashlib.sha256((folder / "large.bin").read_bytes()).hexdigest() == second.members["large.bin"].sha256


def test_what_was_read_back_long_ago_is_written_again(tmp_path, folder):
    """Nothing is leaned on that nobody has looked at lately."""
    with wc.open(tmp_path / "store", backups={"trust_verified": 0}) as store:
        with store.safeguard(OneFolder(folder)):
            pass
        with store.safeguard(OneFolder(folder)) as second:
            pass
        assert second.record.stored < 100_000, "the store has the bytes"
        contents = open_contents(store.core, second.record)
        assert min(contents.payload.index.written) > second.record.created


def test_a_source_that_changed_is_not_deleted(store, folder):
    """The backup stays what it was, and the row says why."""
    with store.safeguard(OneFolder(folder)) as backup:
        (folder / "note-1.txt").write_text("somebody else")
        with pytest.raises(SourceChanged, match="Nothing was deleted"):
            backup.delete()
        assert backup.record.state is BackupState.VERIFIED
        assert "SourceChanged" in backup.record.error
    assert len(held(folder)) == 23


def test_an_export_that_fails_deletes_nothing(store, folder):
    """The block is never begun; the row says what was the matter, and no bytes stay."""

    class Unreadable(OneFolder):
        def export(self, target, before):
            with target.member("half") as member:
                member.write(b"x" * 100)
                raise OSError("the disk is gone")

    before = held(folder)
    with pytest.raises(OSError, match="the disk is gone") as caught, store.safeguard(Unreadable(folder)):
        raise AssertionError("never begun")
    assert "Nothing was deleted" in str(caught.value.__notes__)
    [row] = store.backups()
    assert row.state is BackupState.FAILED
    assert "the disk is gone" in row.error
    assert store.core.catalog.get_run(row.id) is None
    with pytest.raises(BackupRefused, match="failed"):
        store.backup(row.id).delete()
    with pytest.raises(BackupError, match="never finished"):
        store.restore(row.id)
    assert held(folder) == before


def test_what_is_committed_behind_fails_the_export(store, folder):
    """An error of the thread that commits is raised where the source writes on."""
    arm("backup.part", hit=2, act="ENOSPC")
    try:
        with pytest.raises(OSError, match="No space left"), store.safeguard(OneFolder(folder)):
            raise AssertionError("never begun")
    finally:
        disarm()
    assert store.backups()[0].state is BackupState.FAILED
    assert len(held(folder)) == 23


def test_leaving_by_an_error_puts_back(store, folder):
    """What was deleted in the block is there again, and the error goes on and says so."""
    before = held(folder)
    with pytest.raises(ZeroDivisionError) as caught, store.safeguard(OneFolder(folder)) as backup:
        backup.delete()
        assert held(folder) == {}
        (folder / "empty").write_bytes(b"of somebody else")
        print(1 / 0)
    assert held(folder) == {**before, "empty": b"of somebody else"}
    assert "Put back 22" in str(caught.value.__notes__)
    assert state_of(store, backup.id) is BackupState.VERIFIED


def test_a_block_that_deletes_by_itself(store, folder):
    """The row says at the end that the backup is what is left."""
    with store.safeguard(OneFolder(folder)) as backup:
        for path in folder.iterdir():
            path.unlink()
    assert state_of(store, backup.id) is BackupState.DELETED


def test_async(store, folder):
    """The same by `async with`."""
    before = held(folder)

    async def work():
        async with store.safeguard(OneFolder(folder)) as backup:
            assert (await backup.record()).state is BackupState.VERIFIED
            await backup.delete()
            assert held(folder) == {}
            assert (await backup.restore()).records == 23
        with pytest.raises(ZeroDivisionError):
            async with store.safeguard(OneFolder(folder)) as backup:
                await backup.delete()
                print(1 / 0)

    asyncio.run(work())
    assert held(folder) == before


def test_declining_is_an_act_of_its_own(store, folder):
    """With a reason, in the audit log; then nothing brings it back."""
    with pytest.raises(ValueError, match="says why"):
        store.safeguard(OneFolder(folder), decline=" ")
    with store.safeguard(OneFolder(folder), decline="it is in git") as backup:
        with pytest.raises(BackupRefused, match="declined"):
            print(backup.id)
        assert backup.delete() is None
    assert held(folder) == {}
    assert store.backups() == []
    acts = [row.entry for row in store.core.catalog.audit_after(0)]
    assert [(one.act, one.facts.get("reason")) for one in acts if one.act == "backup.decline"] == [
        ("backup.decline", "it is in git")
    ]
    assert acts[-1].act == "backup.delete_source"


def test_a_source_that_needs_its_backup(store, folder):
    """Declined, it is not deleted: it knows only how to delete what was exported."""

    class Careful(OneFolder):
        delete_without_backup = None

    careful = Careful(folder)
    with store.safeguard(careful, decline="why not") as backup, pytest.raises(TypeError, match="only be deleted with"):
        backup.delete()
    assert len(held(folder)) == 23


def test_damage_refuses_the_delete(tmp_path, folder):
    """Verified once, it is read back again where that was long ago; what is damaged guards nothing."""
    with wc.open(tmp_path / "store", backups={"trust_verified": 0}) as store:
        with store.safeguard(OneFolder(folder)) as backup:
            damage(tmp_path / "store")
            with pytest.raises(Damaged):
                backup.delete()
            with pytest.raises(BackupRefused, match="damaged"):
                backup.delete()
        assert state_of(store, backup.id) is BackupState.FAILED
    assert len(held(folder)) == 23


def damage(store):
    """Every pack, in its middle."""
    for pack in (store / "packs").glob("*/*"):
        data = bytearray(pack.read_bytes())
        middle = len(data) // 2
        data[middle : middle + 64] = bytes(64)
        pack.chmod(0o600)
        pack.write_bytes(data)


def test_verify_tells_damage(store, folder, tmp_path):
    """Of one whose source is gone, too: it stays what it is, and says what is the matter."""
    with store.safeguard(OneFolder(folder)) as backup:
        backup.delete()
    assert store.backup(backup.id).verify().verified > backup.record.created
    damage(tmp_path / "store")
    with pytest.raises(Damaged):
        store.backup(backup.id).verify()
    row = store.backup(backup.id).record
    assert (row.state, "damaged" in row.error) == (BackupState.DELETED, True)
    notes = [f"note-{number}.txt" for number in range(20)]
    assert store.restore(backup.id, only=notes).records == 20, "what is intact comes back"


def test_restore_refuses_to_overwrite(store, folder, tmp_path):
    """Before it changes anything, unless it is told to; whole or in part; elsewhere."""
    with store.safeguard(OneFolder(folder)) as backup:
        pass
    (folder / "note-1.txt").write_text("newer")
    with pytest.raises(WouldOverwrite):
        store.restore(backup.id)
    assert (folder / "note-1.txt").read_text() == "newer"
    assert store.restore(backup.id, to=tmp_path / "other", only=["note-1.txt"]).records == 1
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["note-1.txt"]
    assert store.restore(backup.id, overwrite=True).overwritten == 1
    assert (folder / "note-1.txt").read_bytes() == (tmp_path / "other" / "note-1.txt").read_bytes()


def test_an_unknown_kind_says_what_to_do(store, folder):
    """A source of the user's own has to be registered where it is restored."""

    class Own(OneFolder):
        kind = "own"

    with store.safeguard(Own(folder)) as backup:
        backup.delete()
    with pytest.raises(BackupError, match="register_source"):
        store.restore(backup.id)
    with pytest.raises(ValueError, match="by waycairn itself"):
        register_source("rows", source_of)


def test_names_of_members(store, folder):
    """None can lead out of a folder, and none is taken twice."""

    class Named(OneFolder):
        def export(self, target, before):
            for name in self.names:
                with target.member(name) as member:
                    member.write(b"x")

    for names in (["../x"], ["/etc/passwd"], ["a//b"], ["a/./b"], [""], ["a", "a"], ["a\0b"]):
        source = Named(folder)
        source.names = names
        with pytest.raises(ValueError, match="Nothing was deleted"), store.safeguard(source):
            raise AssertionError("never begun")


# -- keeping ---------------------------------------------------------------------------------------------------------


def test_expired_backups_go_row_first(tmp_path, folder):
    """A sweep takes their bytes; the row stays and says so; pinned and extended ones stay."""
    with wc.open(tmp_path / "store") as store:
        ids = []
        for _ in range(4):
            with store.safeguard(OneFolder(folder), keep=0) as backup:
                ids.append(backup.id)
        store.backup(ids[1]).pin()
        store.backup(ids[2]).extend("1d")
        store.backup(ids[3]).extend("forever")
        pruned = store.prune_backups()
        assert (pruned.expired, pruned.payloads) == (1, 1)
        assert [state_of(store, id_) for id_ in ids] == [BackupState.EXPIRED, *[BackupState.VERIFIED] * 3]
        with pytest.raises(BackupExpired):
            store.restore(ids[0])
        with pytest.raises(BackupExpired):
            store.backup(ids[0]).extend()
        store.backup(ids[1]).unpin()
        store.sweep(grace=0)
        assert state_of(store, ids[1]) is BackupState.EXPIRED
        assert store.backup(ids[3]).record.expires is None
        assert store.prune_backups().expired == 0


def test_a_backup_that_is_restored_from_does_not_expire(store, folder):
    """Whoever looks for expired ones meanwhile, in whatever process."""
    with store.safeguard(OneFolder(folder), keep=0) as backup:
        backup.delete()
    pruned = []
    store.restore(backup.id, told=lambda _: pruned.append(store.prune_backups().expired))
    assert pruned == [0] * 23
    assert len(held(folder)) == 23


def test_removing_a_backup(store, folder):
    """By the catalogue, never by its run; not a pinned one, nor one that may be all that is left."""
    with store.safeguard(OneFolder(folder)) as backup:
        pass
    for act in (store.remove, store.discard):
        with pytest.raises(BackupRefused, match="waycairn backup delete"):
            act(backup.id)
    backup.pin()
    with pytest.raises(BackupRefused, match="pinned"):
        backup.remove()
    backup.unpin()
    store.core.catalog.change_backup(backup.id, [BackupState.VERIFIED], 0.0, state=BackupState.DELETING)
    with pytest.raises(BackupRefused, match="all that is left"):
        backup.remove()
    backup.delete()
    assert backup.remove().state is BackupState.EXPIRED
    assert store.core.catalog.get_run(backup.id) is None
    assert store.runs(task="backup") == []
    backup.remove()
    with pytest.raises(BackupNotFound):
        store.backup("nothing")


def test_a_run_of_the_user_with_the_same_task_is_no_backup(store):
    """It is theirs: it can be removed, and no prune touches it."""
    with store.run("mine", task="backup") as run:
        pass
    store.prune_backups()
    store.remove(run.id)
    assert store.runs() == []


def test_lists_by_owner(store, folder):
    """The account that it was made for, else the user of the system."""
    with acting("ada"), store.safeguard(OneFolder(folder)) as mine:
        pass
    with store.safeguard(OneFolder(folder)) as other:
        pass
    assert [row.id for row in store.backups()] == [other.id, mine.id]
    assert [row.id for row in store.backups(owner="ada")] == [mine.id]
    assert [row.id for row in store.backups(state="verified", kind="folder", limit=1)] == [other.id]
    assert store.backups(kind="rows") == []


# -- looking into it ---------------------------------------------------------------------------------------------------


def test_extracted_it_needs_no_waycairn(store, folder, tmp_path):
    """`sha256sum -c` agrees, and the sums are those of the row."""
    with store.safeguard(OneFolder(folder)) as backup:
        pass
    target = backup.extract_to(tmp_path / "out")
    assert held(target / "data") == held(folder)
    checked = subprocess.run(
        ["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=target, capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert hashlib.sha256((target / "SHA256SUMS").read_bytes()).hexdigest() == backup.record.digest
    about = json.loads((target / "backup.json").read_text())
    assert (about["version"], about["backup"]["id"], len(about["members"])) == (1, backup.id, 23)
    with pytest.raises(WouldOverwrite, match="not an empty folder"):
        backup.extract_to(target)
    assert [path.name for path in tmp_path.glob(".out*")] == []
    (tmp_path / "empty").mkdir()
    backup.extract_to(tmp_path / "empty")


def test_what_is_extracted_of_an_encrypted_store_lies_in_the_clear(tmp_path, folder):
    """So it is done only if that is said; and nothing of it is in the store."""
    with wc.open(tmp_path / "store", passphrase="secret") as store:
        with store.safeguard(OneFolder(folder)) as backup:
            backup.delete()
        with pytest.raises(BackupRefused, match="in the clear"):
            backup.extract_to(tmp_path / "out")
        assert not (tmp_path / "out").exists()
        assert len(held(backup.extract_to(tmp_path / "out", decrypt=True) / "data")) == 23
        store.restore(backup.id)
    files = [path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert not any(b"note 7" in data or b"note-7" in data or b"exports" in data for data in files)


def test_search(store, tmp_path):
    """Text over all members, with line and offset; long lines and binary, too."""
    path = tmp_path / "texts"
    path.mkdir()
    (path / "a.txt").write_bytes(b"one\ntwo needle two needle\n" * 3)
    (path / "b.bin").write_bytes(b"\0" * ((3 << 20) - 4) + b"needle" + b"\0" * 100)
    (path / "c.txt").write_bytes("é\nnadel ß\n".encode())
    with store.safeguard(OneFolder(path)) as backup:
        pass
    hits = list(backup.search("needle"))
    assert [(hit.member, hit.line, hit.offset) for hit in hits] == [
        *(("a.txt", 2 * (number + 1), 26 * number + 8) for number in range(3)),
        ("b.bin", 1, (3 << 20) - 4),
    ]
    assert hits[0].text == "two needle two needle"
    assert [(hit.line, hit.text) for hit in backup.search("ß", members=["c*"])] == [(2, "nadel ß")]
    assert len(list(backup.search("needle", limit=2))) == 2
    assert list(backup.search("nothing")) == []
    with pytest.raises(BackupError, match="has no member"):
        list(backup.search("x", members=["d*"]))
    assert b"".join(backup.read("b.bin", (3 << 20) - 4)) == b"needle" + b"\0" * 100


def test_find_one_record(store, tmp_path):
    """Of a member that is lines of JSON, by its key."""

    class Table(OneFolder):
        def export(self, target, before):
            with target.member("talks.jsonl", key=["id", "lang"]) as member:
                for number in range(1000):
                    line = json.dumps({"id": number, "lang": 'd"é', "text": "7"}, ensure_ascii=False)
                    member.write(line.encode() + b"\n", records=1)

    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "x").touch()
    with store.safeguard(Table(tmp_path / "t")) as backup:
        assert backup.record.records == 1000
        assert backup.find_record("talks.jsonl", '77,d"é') == {"id": 77, "lang": 'd"é', "text": "7"}
        for member, key in (("talks.jsonl", "7"), ("talks.jsonl", '1000,d"é'), ("other", "7")):
            with pytest.raises(BackupError):
                backup.find_record(member, key)


def test_many_small_files_are_few_commits(store, tmp_path):
    """One part holds pieces of many members."""

    class Many(OneFolder):
        def export(self, target, before):
            for number in range(20_000):
                with target.member(f"dir/{number}") as member:
                    member.write(b"%d" % number * 20, records=1)
                target.progress(number, 0)

    with store.safeguard(Many(tmp_path)) as backup:
        assert backup.record.records == 20_000
        assert len(store.core.catalog.list_steps(backup.id)) < 5
        assert b"".join(backup.read("dir/4711")) == b"4711" * 20
        contents = backup.members
    assert len(contents) == 20_000


def test_members_written_in_turn(store, tmp_path):
    """Several may be open at once; each comes back as it was written."""

    class InTurn(OneFolder):
        def export(self, target, before):
            with target.member("a") as one, target.member("b") as other:
                for number in range(60):
                    one.write(bytes([number]) * 300_000)
                    other.write(memoryview(bytes([number + 100]) * 200_000))

    with store.safeguard(InTurn(tmp_path)) as backup:
        for name, add, size in (("a", 0, 300_000), ("b", 100, 200_000)):
            assert b"".join(backup.read(name)) == b"".join(bytes([number + add]) * size for number in range(60))
            assert b"".join(backup.read(name, 59 * size - 1)) == bytes([58 + add]) + bytes([59 + add]) * size


def test_the_three_steps_as_data(store, folder):
    """What the command line and the dashboard ask: the same facts, for programs and for people."""
    plan = plan_of(store.core, OneFolder(folder), keep="30d")
    assert (plan.question.step, plan.question.fact("records"), plan.question.fact("source")) == (1, 23, "exports")
    assert store.backups() == []
    seen = []
    made = plan.make(seen.append)
    assert {told.stage for told in seen} == {"export", "verify"}
    assert seen[-1].size == seen[-1].total_size == made.backup.record.size
    assert made.question.fact("backup") == made.backup.id
    assert made.question.fact("sha256") == made.backup.record.digest
    assert len(held(folder)) == 23
    made.delete()
    assert held(folder) == {}
    assert plan_of(store.core, OneFolder(folder)).question.fact("before") == made.backup.id


def test_acts_are_in_the_audit_log(store, folder, tmp_path):
    """Who did what, and how it ended."""
    with store.safeguard(OneFolder(folder)) as backup:
        backup.delete()
    store.restore(backup.id)
    backup.extend("1d")
    backup.extract_to(tmp_path / "out")
    backup.remove()
    with pytest.raises(BackupExpired):
        store.restore(backup.id)
    acts = [(row.entry.act, row.entry.outcome) for row in store.core.catalog.audit_after(0)][1:]
    begun_and_done = [
        (f"backup.{act}", outcome)
        for act in ("create", "delete_source", "restore", "extend", "extract", "remove")
        for outcome in (("done",) if act == "extend" else ("begun", "done"))
    ]
    assert acts == [*begun_and_done]


def test_a_member_that_was_given_up_leaves_its_name(store, tmp_path):
    """A file that changed while it was read is written again under the same name."""

    class Again(OneFolder):
        def export(self, target, before):
            with suppress(ValueError), target.member("x") as member:
                member.write(b"half" * 100_000)
                raise ValueError("changed")
            with target.member("x") as member:
                member.write(b"whole", records=1)

    with store.safeguard(Again(tmp_path)) as backup:
        assert b"".join(backup.read("x")) == b"whole"
        assert [member.sha256 for member in backup.members.values()] == [hashlib.sha256(b"whole").hexdigest()]


def test_chunks_of_a_store_are_found_again(store, tmp_path):
    """What the source says is a chunk is stored as one, between pieces that are not."""
    chunks = [os.urandom(30_000) for _ in range(20)]

    class Chunks(OneFolder):
        def export(self, target, before):
            with target.member("x") as member:
                for chunk in chunks * 2:
                    member.write(b"line\n")
                    member.write(memoryview(chunk), is_chunk=True)

    with store.safeguard(Chunks(tmp_path)) as backup:
        assert b"".join(backup.read("x")) == b"".join(b"line\n" + chunk for chunk in chunks * 2)
        assert b"".join(backup.read("x", 30_007)) == b"".join(b"line\n" + chunk for chunk in chunks * 2)[30_007:]
        assert backup.record.stored < 700_000 < backup.record.size


# -- the sources of waycairn -------------------------------------------------------------------------------------------


def test_a_path(store, tmp_path):
    """A block that deletes it by itself, a restore by another process, and what the block deleted put back."""
    place = tmp_path / "old"
    (place / "below").mkdir(parents=True)
    (place / "below" / "a.txt").write_text("a")
    with pytest.raises(ZeroDivisionError), store.safeguard(place):
        shutil.rmtree(place)
        print(1 / 0)
    assert (place / "below" / "a.txt").read_text() == "a"
    with store.safeguard(place) as backup:
        shutil.rmtree(place)
    assert state_of(store, backup.id) is BackupState.DELETED
    store.restore(backup.id)
    assert (place / "below" / "a.txt").read_text() == "a"
    with pytest.raises(BackupRefused, match="lie in one another"), store.safeguard(tmp_path):
        raise AssertionError("never begun")


def test_a_path_that_cannot_be_looked_at_any_more_is_not_taken_for_gone(store, tmp_path):
    """The row says that it is gone only if it is."""
    place = tmp_path / "parent" / "old"
    place.mkdir(parents=True)
    (place / "a.txt").write_text("a")
    with store.safeguard(place) as backup:
        place.parent.rename(tmp_path / "elsewhere")
        place.parent.write_text("no folder")
    assert state_of(store, backup.id) is BackupState.VERIFIED


def test_what_cannot_be_put_back_is_told(store, tmp_path, caplog):
    """With the exception, and in the log for those who swallow it; nothing is lost."""
    place = tmp_path / "parent" / "old"
    place.mkdir(parents=True)
    (place / "a.txt").write_text("a")
    with pytest.raises(ZeroDivisionError) as error, store.safeguard(place) as backup:
        shutil.rmtree(place.parent)
        place.parent.write_text("no folder")
        print(1 / 0)
    assert "could not be put back" in error.value.__notes__[0]
    assert f"waycairn backup restore {backup.id}" in caplog.text
    place.parent.unlink()
    store.restore(backup.id)
    assert (place / "a.txt").read_text() == "a"


def test_a_run_that_the_block_removes_by_itself(store):
    with store.run("nightly") as run:
        run.save("x", 1)
    with store.safeguard(runs(store, "nightly")) as backup:
        store.remove("nightly")
    assert state_of(store, backup.id) is BackupState.DELETED
    store.restore(backup.id)
    assert store.find("nightly").id == run.id


def test_noise_in_a_path_is_stored_as_it_is(store, tmp_path):
    """Between text, also within one file; and what stands before its end is found again when it grew."""
    place = tmp_path / "old"
    place.mkdir()
    text, noise = b"a line of text\n" * 400_000, os.urandom(13 << 20)
    files = {"1.txt": text, "2.bin": noise, "3.both": text[: 4 << 20] + noise[: 5 << 20] + text, "4.txt": text[::-1]}
    for name, data in files.items():
        (place / name).write_bytes(data)
    with store.safeguard(place) as first:
        assert len(noise) < first.record.stored < len(noise) + (2 << 20)
    with (place / "2.bin").open("ab") as file:
        file.write(b"more")
    with store.safeguard(place) as second:
        assert second.record.stored < 2 << 20
    store.restore(second.id, to=tmp_path / "back")
    assert held(tmp_path / "back" / "old") == files | {"2.bin": noise + b"more"}


def test_rows(store, tmp_path):
    """Deleted in one transaction, restored by a process that has only the address."""
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/talks.db")
    with engine.begin() as tx:
        tx.execute(sqlalchemy.text("CREATE TABLE talks (id INTEGER PRIMARY KEY, text TEXT)"))
        tx.execute(sqlalchemy.text("INSERT INTO talks VALUES (1, 'old'), (2, 'new')"))
    rows = wc.rows(engine, "talks", where=sqlalchemy.text("text = 'old'"))
    with wc.safeguard(rows, store=store) as backup:
        assert backup.find_record("talks.jsonl", "1") == {"id": 1, "text": "old"}
        backup.delete()
    with engine.connect() as tx:
        assert tx.execute(sqlalchemy.text("SELECT id FROM talks")).fetchall() == [(2,)]
    assert wc.restore(backup.id, store=store).records == 1
    with engine.connect() as tx:
        assert tx.execute(sqlalchemy.text("SELECT id FROM talks")).fetchall() == [(1,), (2,)]
    # What was brought back is not deleted any more: it can be deleted again with the same backup.
    assert state_of(store, backup.id) is BackupState.VERIFIED
    backup.delete()
    with engine.connect() as tx:
        assert tx.execute(sqlalchemy.text("SELECT id FROM talks")).fetchall() == [(2,)]
    engine.dispose()


def test_runs(store):
    """Deleted from a store and put back from the backup in it."""
    with store.run("nightly", pace="every item") as run:
        for number in run.each(range(3)):
            run.step(f"step {number}", lambda: os.urandom(200_000))
    size = store.core.catalog.stored_bytes()
    with store.safeguard(runs(store, "nightly")) as backup:
        backup.delete()
    assert [run.task for run in store.runs()] == ["backup"]
    assert store.core.catalog.stored_bytes() - size < 100_000, "its chunks are found again"
    store.restore(backup.id)
    assert store.find("nightly").id == run.id


def test_what_cannot_be_read_back_is_no_backup(store, folder, tmp_path):
    """The medium lies: what was acknowledged is not there. The block with its delete is never begun."""

    class Lying(OneFolder):
        def export(self, target, before):
            super().export(target, before)
            for number in range(3):  # by the time the third waits, the first of the parts is committed
                with target.member(f"more-{number}") as member:
                    member.write(os.urandom(8 << 20))
            damage(tmp_path / "store")

    with pytest.raises(Damaged) as caught, store.safeguard(Lying(folder)):
        raise AssertionError("never begun")
    assert "Nothing was deleted" in str(caught.value.__notes__)
    assert store.backups()[0].state is BackupState.FAILED
    assert len(held(folder)) == 23
